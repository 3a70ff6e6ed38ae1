"""Every request that `mlci release` makes, and everything that can happen to it: the release is there once, whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.github_server import Fault
from fakes.releases import Hosted, hosted_team
from mlci.errors import ForgeError
from mlci.releasing.deciding import Request, decide
from mlci.releasing.making import release
from mlci.releasing.models import find_model

pytestmark = [pytest.mark.fault, pytest.mark.slow]

KINDS = (
    "committed-502",
    "cut",
    "dropped",
    "dropped-committed",
    "502",
    "429",
    "secondary-bare",
    "read-only",
    "stale-list",
)
REQUESTS = 16


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted_team(tmp_path_factory.mktemp("release-faults")) as made:
        yield made


def attempt(hosted: Hosted) -> bool:
    """Whether a release succeeded, in a process that knows of no other."""
    project = hosted.project()
    request = Request()
    try:
        release(project, decide(project, find_model(project, None), request), request)
    except ForgeError:
        return False
    return True


def test_release__makes_so_many_requests(hosted: Hosted) -> None:
    hosted.forget()
    seen = len(hosted.server.requests)
    assert attempt(hosted)
    assert len(hosted.server.requests) - seen == REQUESTS, "say the new count above"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nth", range(REQUESTS))
def test_release__whatever_happens_to_a_request_it_ends_the_same(hosted: Hosted, kind: str, nth: int) -> None:
    hosted.forget()
    hosted.server.arm(Fault(kind, nth=nth))
    succeeded = attempt(hosted)
    hosted.server.arm()
    if not succeeded:
        assert attempt(hosted)
    state = hosted.state["team/models"]
    [(tag, _, _, draft, _, assets)] = state["releases"]
    assert (tag, draft) == ("churn@v0.1.0", False)
    assert [name for name, _ in assets] == sorted(
        ["MODEL_CARD.md", "SHA256SUMS", "golden.jsonl", "model.bin", "record.json", "release.json"]
    )
    assert [name for name in state["refs"] if "tags" in name or "@" in name] != []
