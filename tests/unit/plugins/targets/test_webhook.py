"""The webhook beside the contract: signatures, repeats, keys, receivers that work in the background or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.loopback import Answer, Request, serving
from fakes.packages import deployed, package
from fakes.webhook_receiver import Receiver
from mlci.errors import DeployError
from mlci.plugins.targets.interface import TargetSite
from mlci.plugins.targets.webhook import WebhookTarget

SECRET = "a-shared-secret"


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(secret=SECRET, files=tmp_path / "packages")


@pytest.fixture
def url(receiver: Receiver) -> Iterator[str]:
    with serving(receiver) as url:
        yield url


def target(tmp_path: Path, url: str, deadline_s: float = 20) -> WebhookTarget:
    return WebhookTarget(
        url=f"{url}/hook",
        files_url=f"{url}/{{model}}-{{version}}",
        deadline_s=deadline_s,
        site=TargetSite(folder=tmp_path, environ={"MLCI_WEBHOOK_SECRET": SECRET}),
    )


def test_upload__and_switch_through_bad_weather(tmp_path: Path, receiver: Receiver, url: str) -> None:
    made = package(tmp_path / "packages")
    receiver.stumbles = 1
    receiver.lose_answers = 1
    target(tmp_path, url).upload(made)
    assert receiver.keys[0] == receiver.keys[1]  # the same message, sent again
    assert receiver.fetched[:3] == ["model.bin", "card.md", "empty.txt"]
    receiver.lose_answers = 1
    target(tmp_path, url).switch("churn", deployed(made), expected=None)
    assert receiver.keys[2] == receiver.keys[3] != receiver.keys[0]
    assert target(tmp_path, url).status("churn").current == deployed(made)


def test_switch__back_and_forth_has_new_keys(tmp_path: Path, receiver: Receiver, url: str) -> None:
    one, two = package(tmp_path / "packages"), package(tmp_path / "packages", "v2.0.0")
    made = target(tmp_path, url)
    made.upload(one)
    made.upload(two)
    made.switch("churn", deployed(one), expected=None)
    for to, before in ((two, one), (one, two), (two, one)):
        made.switch("churn", deployed(to), expected=deployed(before))
    assert len(set(receiver.keys)) == len(receiver.keys)


def test_upload__a_receiver_that_finds_another_digest(tmp_path: Path, receiver: Receiver, url: str) -> None:
    made = package(tmp_path / "packages")
    receiver.files = tmp_path / "others"
    package(tmp_path / "others", model__bin=b"x", card__md=b"y", empty__txt=b"")
    with pytest.raises(DeployError, match="POST upload: HTTP 422: wrong digest"):
        target(tmp_path, url).upload(made)


def test_upload__a_receiver_that_never_holds_it(tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        return Answer(202) if request.method == "POST" else Answer(body=b'{"current": null}')

    with serving(answer) as url, pytest.raises(DeployError, match=r"did not say within 1 s that it holds v1\.0\.0"):
        target(tmp_path, url, deadline_s=1).upload(package(tmp_path / "packages"))


def test_switch__a_receiver_that_takes_its_time(tmp_path: Path) -> None:
    made = package(tmp_path / "packages")
    state = {"version": made.version, "digest": made.digest}
    asked: list[str] = []

    def answer(request: Request) -> Answer:
        asked.append(request.method)
        current = state if asked.count("GET") > 2 else None
        return (
            Answer(202)
            if request.method == "POST"
            else Answer(body=json.dumps({"current": current, "kept": [state]}).encode())
        )

    with serving(answer) as url:
        target(tmp_path, url).switch("churn", deployed(made), expected=None)
    assert asked == ["GET", "POST", "GET", "GET"]


def test_secret__that_is_not_set(tmp_path: Path, url: str) -> None:
    site = TargetSite(folder=tmp_path, environ={})
    with pytest.raises(DeployError, match="no secret to sign with") as caught:
        WebhookTarget(url=url, secret_env="OTHER_SECRET", site=site).status("churn")
    assert caught.value.hint == "Set OTHER_SECRET."


def test_status__of_something_else(tmp_path: Path) -> None:
    page = Answer(body=b"<html>Welcome</html>")
    with serving(lambda _: page) as url, pytest.raises(DeployError, match="the status cannot be read"):
        target(tmp_path, url).status("churn")
