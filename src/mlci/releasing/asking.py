"""Predicts by asking what is deployed, over HTTP, as anybody could: nothing of the model is loaded here."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from mlci.core import strict_json
from mlci.errors import DocumentError, VerifyError
from mlci.releasing.golden import Golden, Prediction
from mlci.render.text import plain

_ANSWER_S = 30.0  # for one prediction
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # before an endpoint that is about to start is asked again
_MAX_ANSWER = 4 * 1024 * 1024
_MAX_REDIRECTS = 3
_STARTING = (429, 502, 503, 504)
_KEEP_METHOD = (307, 308)
_REDIRECTS = (301, 302, 303, *_KEEP_METHOD)
_OK = range(200, 300)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a model is served.

    Args:
        url: Takes a POST of one input as JSON, and answers with JSON.
        field: The key of the prediction in the answer; None: the answer is the prediction.
        end: When all has to be done, in seconds of `clock`.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
    """

    url: str
    field: str | None
    end: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def predict(self, examples: Sequence[Golden]) -> tuple[Prediction, ...]:
        """Ask for one prediction after the other, over one connection.

        Raises:
            VerifyError: Out of reach, too slow, another status than 2xx, not JSON, or without the field; it names the
                example.
        """
        with requests.Session() as session:
            return tuple(self._predict(session, example) for example in examples)

    def _predict(self, session: requests.Session, example: Golden) -> Prediction:
        where = f"{host(self.url)}: example {plain(example.id)}"
        body = json.dumps(example.input).encode()
        for pause_s in (*_PAUSES_S, None):
            seen = self._ask(session, body, where)
            if isinstance(seen, _Answer) and seen.status not in _STARTING:
                return Prediction(id=example.id, prediction=self._picked(seen, where), latency_s=seen.took_s)
            said = f"HTTP {seen.status}" if isinstance(seen, _Answer) else f"not reached ({seen})"
            if pause_s is None or self.clock() + pause_s > self.end:
                raise VerifyError(f"{where}: {said}", hint="Is it deployed there, and up?")
            self.sleep(pause_s)
        raise AssertionError

    def _ask(self, session: requests.Session, body: bytes, where: str) -> _Answer | str:
        """The answer, or why there is none yet."""
        url = self.url
        for _ in range(_MAX_REDIRECTS + 1):
            limit_s = min(_ANSWER_S, self.end - self.clock())
            if limit_s <= 0:
                raise _too_late(where)
            try:
                answer = _within(limit_s, partial(_post, session, url, body, limit_s, where))
            except requests.ConnectionError as error:
                return _kind(error)
            except (requests.Timeout, TimeoutError):
                raise _too_late(where) from None
            except requests.RequestException as error:
                raise VerifyError(f"{where}: {type(error).__name__}") from None
            if answer.status not in _REDIRECTS:
                return answer
            # Elsewhere may be anybody, and what is asked is the team's data.
            onward = urljoin(url, answer.location)
            if answer.status not in _KEEP_METHOD or host(onward) != host(url):
                raise VerifyError(
                    f"{where}: HTTP {answer.status}, a redirect that is not followed", hint="Give the final address."
                )
            url = onward
        raise VerifyError(f"{where}: too many redirects")

    def _picked(self, answer: _Answer, where: str) -> Any:  # noqa: ANN401 - JSON is any value
        if answer.status not in _OK:
            words = plain(answer.body.decode(errors="replace"), limit=200)
            raise VerifyError(f"{where}: HTTP {answer.status}{': ' if words else ''}{words}")
        try:
            value = strict_json.loads(answer.body, name=f"{where}: the answer")
        except DocumentError as error:
            raise VerifyError(error.message) from None
        if self.field is None:
            return value
        if not isinstance(value, dict) or self.field not in value:
            known = f"an object with {plain(', '.join(value))}" if isinstance(value, dict) else type(value).__name__
            raise VerifyError(f"{where}: the answer has no {self.field!r}; it is {known}", hint="See verify.field.")
        return value[self.field]


def host(url: str) -> str:
    """Scheme, host and port: what may be shown of an address, and what it shares with those of the same server."""
    parts = urlsplit(url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


@dataclass(frozen=True)
class _Answer:
    status: int
    location: str
    body: bytes
    took_s: float


def _post(session: requests.Session, url: str, body: bytes, limit_s: float, where: str) -> _Answer:
    start = time.perf_counter()
    found = bytearray()
    with session.post(
        url,
        data=body,
        headers={"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "mlci"},
        auth=lambda request: request,  # keeps requests from reading a .netrc
        timeout=limit_s,
        allow_redirects=False,
        stream=True,
    ) as answer:
        for chunk in answer.iter_content(65536):
            found += chunk
            if len(found) > _MAX_ANSWER:
                raise VerifyError(f"{where}: the answer is larger than {_MAX_ANSWER:,} bytes")
    took_s = time.perf_counter() - start
    return _Answer(answer.status_code, answer.headers.get("Location", ""), bytes(found), took_s)


def _within(limit_s: float, act: Callable[[], T]) -> T:
    """What `act` returns or raises, or TimeoutError: the timeout of `requests` starts anew with every byte."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act())
        except BaseException as error:  # raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def _too_late(where: str) -> VerifyError:
    return VerifyError(f"{where}: no answer in time", hint="See what is served there, or raise verify.timeout.")


def _kind(error: BaseException) -> str:
    """The innermost cause's name: messages of `requests` repeat whole URLs."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return type(getattr(error, "reason", None) or error).__name__
