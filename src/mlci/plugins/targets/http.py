"""HTTP requests that do no harm when they arrive twice: repeated with jitter within one deadline, answers bounded."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import requests

from mlci.errors import DeployError

_TIMEOUT_S = 30.0  # to connect, and between two bytes
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.5, 8.0
_MAY_PASS = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, kw_only=True)
class Web:
    """Sends requests until one is answered, with full jitter between them, within `deadline_s` for each.

    Args:
        deadline_s: For one request and its repeats, in seconds.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
        jitter: A random number in [0, 1).
    """

    deadline_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        body: bytes | Path | None = None,
        redirects: bool = False,
    ) -> requests.Response:
        """The first answer that is not about to pass; its body is read by the caller, who closes it.

        Args:
            method: Such as "PUT"; whatever it does must do no harm twice.
            url: Where to.
            headers: Asked anew for every try.
            body: Bytes, or a file that is streamed.
            redirects: Follow them; credentials stay with the first host.

        Raises:
            DeployError: Nothing but failures until the deadline.
        """
        end = self.clock() + self.deadline_s
        tries = 0
        while True:
            tries += 1
            wait_s = None
            try:
                answer = _once(method, url, headers(), body, redirects=redirects)
                if answer.status_code not in _MAY_PASS:
                    return answer
                wait_s, seen = _asked_wait(answer), f"HTTP {answer.status_code}"
                answer.close()
            except (requests.ConnectionError, requests.Timeout) as error:
                seen = f"not reached ({_kind(error)})"
            except requests.RequestException as error:
                raise DeployError(f"{method}: {type(error).__name__}") from None
            pause_s = self.backoff(tries) if wait_s is None else wait_s + self.jitter()
            if self.clock() + pause_s > end:
                count = "1 try" if tries == 1 else f"{tries} tries"
                hint = "Run the step again: it does no harm."
                raise DeployError(f"{method}: given up after {count}: {seen}", hint=hint)
            self.sleep(pause_s)

    def backoff(self, tries: int) -> float:
        """How long to wait before the next look."""
        return self.jitter() * min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(tries, 10))


def refused(answer: requests.Response, what: str, hint: str) -> DeployError:
    """The error that an answer is."""
    unauthorized = answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden)
    words = read(answer, 2000, what="an error", cut=True).decode(errors="replace")
    said = f": {words}" if words.strip() and "<html" not in words.lower() else ""
    return DeployError(f"{what}: HTTP {answer.status_code}{said}", hint=hint if unauthorized else None)


def read(answer: requests.Response, limit: int, *, what: str, cut: bool = False) -> bytes:
    """The body of an answer, which is closed; one that is larger than `limit` is refused, or cut."""
    found = bytearray()
    try:
        with answer:
            for chunk in answer.iter_content(65536):
                found += chunk
                if len(found) > limit:
                    if cut:
                        break
                    raise DeployError(f"{what} is larger than {limit:,} bytes")
    except requests.RequestException as error:
        if not cut:
            raise DeployError(f"{what} broke off ({_kind(error)})", hint="Run the step again.") from None
    return bytes(found[:limit])


def _once(
    method: str, url: str, headers: Mapping[str, str], body: bytes | Path | None, *, redirects: bool
) -> requests.Response:
    with ExitStack() as stack:
        data = stack.enter_context(body.open("rb")) if isinstance(body, Path) and body.stat().st_size else body
        return requests.request(
            method,
            url,
            headers={"User-Agent": "mlci", **headers},
            data=b"" if isinstance(data, Path) else data,  # an empty file would be sent in chunks
            auth=_as_given,
            timeout=_TIMEOUT_S,
            allow_redirects=redirects,
            stream=True,
        )


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps `requests` from reading a .netrc."""
    return request


def _asked_wait(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _kind(error: BaseException) -> str:
    """The innermost cause's name: messages of `requests` repeat whole URLs."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return type(getattr(error, "reason", None) or error).__name__
