"""The Hugging Face target beside the contract: what else is in a repository."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.hub_server import Hub, Repository
from fakes.loopback import serving
from fakes.packages import deployed, package
from mlci.errors import DeployError
from mlci.plugins.targets.huggingface import HuggingFaceTarget
from mlci.plugins.targets.interface import TargetSite

TOKEN = "hf_of_the_tests"
# huggingface_hub 2.4 gives its HTTP client a stream in the way that this client calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    made = Hub(token=TOKEN)
    with serving(made) as made.url:
        yield made


def target(tmp_path: Path, hub: Hub) -> HuggingFaceTarget:
    site = TargetSite(folder=tmp_path, environ={"HF_TOKEN": TOKEN})
    return HuggingFaceTarget(repo_id="team/churn", endpoint=hub.url, site=site)


def test_main__holds_what_is_served_and_what_was_there(tmp_path: Path, hub: Hub) -> None:
    hub.repositories["team/churn"] = repository = Repository()
    repository.branches["main"] = repository.add({"logo.svg": b"<svg/>"}, "")
    one = package(tmp_path / "packages", model__bin=b"1", notes__md=b"gone later")
    two = package(tmp_path / "packages", "v2.0.0", model__bin=b"2", card__md=b"new")
    target(tmp_path, hub).upload(one)
    assert set(repository.files("main")) == {"logo.svg"}
    target(tmp_path, hub).switch("churn", deployed(one), expected=None)
    target(tmp_path, hub).upload(two)
    target(tmp_path, hub).switch("churn", deployed(two), expected=deployed(one))
    assert set(repository.files("main")) == {"logo.svg", "model.bin", "card.md", "mlci.json"}
    assert set(repository.files("v1.0.0")) == {"logo.svg", "model.bin", "notes.md", "mlci.json"}
    assert set(repository.tags) == {"v1.0.0", "v2.0.0"}
    assert set(repository.branches) == {"main"}


def test_upload__over_the_branch_of_one_that_was_killed(tmp_path: Path, hub: Hub) -> None:
    hub.repositories["team/churn"] = repository = Repository()
    repository.branches["mlci-v1.0.0"] = repository.add({"junk.txt": b""}, "")
    target(tmp_path, hub).upload(package(tmp_path / "packages"))
    assert set(repository.files("v1.0.0")) == {".gitattributes", "model.bin", "card.md", "empty.txt", "mlci.json"}


def test_upload__of_another_model(tmp_path: Path, hub: Hub) -> None:
    target(tmp_path, hub).upload(package(tmp_path / "packages"))
    with pytest.raises(DeployError, match=r"mlci\.json at v1\.0\.0 is of churn v1\.0\.0"):
        target(tmp_path, hub).upload(package(tmp_path / "packages", "v2.0.0", model="ranking"))


def test_upload__that_arrives_spoiled(tmp_path: Path, hub: Hub) -> None:
    hub.spoil = True
    with pytest.raises(DeployError, match=r"model\.bin has another digest there"):
        target(tmp_path, hub).upload(package(tmp_path / "packages"))
    assert hub.repositories["team/churn"].tags == {}


def test_library__that_is_missing(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DeployError) as caught:
        target(tmp_path, hub).status("churn")
    assert caught.value.hint == 'Run: pip install "mlci[huggingface]"'
