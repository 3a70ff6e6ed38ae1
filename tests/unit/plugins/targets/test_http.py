"""Requests that may be repeated: how often, how long, what is read of the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.loopback import Answer, Request, free_port, serving
from mlci.errors import DeployError
from mlci.plugins.targets import http


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def web(self, deadline_s: float = 100) -> http.Web:
        return http.Web(deadline_s=deadline_s, clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0)


def answers(*given: Answer) -> tuple[list[Request], Callable[[Request], Answer]]:
    """One after another, the last one for ever."""
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return given[min(len(seen), len(given)) - 1]

    return seen, answer


def test_send__again_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    time, (seen, answer) = Time(), answers(Answer(503), Answer(502), Answer(201, b"done"))
    with serving(answer) as url:
        got = time.web().send("PUT", url, headers=lambda: {"X-At": str(time.now)}, body=file)
        assert http.read(got, 10, what="it") == b"done"
    assert time.waits == [1, 2]
    assert [(request.body, request.headers["x-at"]) for request in seen] == [
        (b"content", "0.0"),
        (b"content", "1.0"),
        (b"content", "3.0"),
    ]


def test_send__waits_as_asked() -> None:
    time, (_, answer) = Time(), answers(Answer(429, headers={"Retry-After": "7"}), Answer())
    with serving(answer) as url:
        time.web().send("GET", url).close()
    assert time.waits == [8]  # a jitter of a second on top


def test_send__gives_up_at_the_deadline() -> None:
    time, (seen, answer) = Time(), answers(Answer(500))
    with serving(answer) as url, pytest.raises(DeployError, match="given up after 3 tries: HTTP 500"):
        time.web(deadline_s=6).send("GET", url)
    assert len(seen) == 3
    time, (_, answer) = Time(), answers(Answer(429, headers={"Retry-After": "3600"}))
    with serving(answer) as url, pytest.raises(DeployError, match="given up after 1 try: HTTP 429"):
        time.web().send("GET", url)


def test_send__nobody_there() -> None:
    with pytest.raises(DeployError, match=r"not reached \(\w+\)"):
        Time().web(deadline_s=1).send("GET", f"http://127.0.0.1:{free_port()}/?key=secret")


def test_send__not_a_url() -> None:
    with pytest.raises(DeployError, match="GET: MissingSchema"):
        Time().web().send("GET", "nowhere")


def test_send__no_redirects_unless_asked() -> None:
    seen, answer = answers(Answer(302, headers={"Location": "/other"}), Answer())
    with serving(answer) as url:
        found = Time().web().send("GET", url)
        found.close()
        assert (found.status_code, len(seen)) == (302, 1)


def test_send__reads_no_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pass")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen, answer = answers(Answer())
    with serving(answer) as url:
        Time().web().send("GET", url).close()
    assert "authorization" not in seen[0].headers


def test_send__an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    seen, answer = answers(Answer())
    with serving(answer) as url:
        Time().web().send("PUT", url, body=tmp_path / "empty").close()
    assert seen[0].headers["content-length"] == "0"


def test_read__is_bounded() -> None:
    _, answer = answers(Answer(body=b"x" * 11))
    with serving(answer) as url:
        with pytest.raises(DeployError, match="it is larger than 10 bytes"):
            http.read(Time().web().send("GET", url), 10, what="it")
        assert http.read(Time().web().send("GET", url), 10, what="it", cut=True) == b"x" * 10


def test_refused__hint_for_credentials_only() -> None:
    for status, hint in ((403, "a token"), (422, None)):
        _, answer = answers(Answer(status, b"because"))
        with serving(answer) as url:
            error = http.refused(Time().web().send("GET", url), "GET it", "a token")
        assert (error.message, error.hint) == (f"GET it: HTTP {status}: because", hint)
