"""The one place that builds PyGithub's client and sends its requests, under our own policy of trying again.

PyGithub brings authentication, the URLs of Enterprise Server and the exceptions. Its objects are not used: they send
requests of their own accord when a field is missing, and its retries repeat creations.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import github
import requests
import urllib3

from mlci.errors import ForbiddenError, ForgeError
from mlci.plugins.forges.patience import Patience, StumbleError

# Of a body that is read in pieces, `requests` lets through what urllib3 raises.
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError)
_PER_PAGE = 100
_MAX_PAGES = 100
_CHUNK = 1024 * 1024
_FORBIDDEN, _NOT_FOUND, _GONE, _TOO_MANY, _SERVER = 403, 404, 410, 429, 500


class NotFoundError(ForgeError):
    """The forge has no such thing, or hides it from this token."""


class Client:
    """Requests to one GitHub, with a token that never shows.

    Args:
        api_url: Such as "https://api.github.com", or "https://HOST/api/v3".
        token: Sent in a header only.
        patience: When to try again.
        attempt_s: For one request: a body that drips must not take the whole deadline.
    """

    def __init__(self, api_url: str, token: str, patience: Patience, attempt_s: float = 30.0) -> None:
        self._api_url = api_url
        self._token = token
        self._attempt_s = attempt_s
        self.patience = patience
        self._github = self._built()

    def __repr__(self) -> str:
        return f"Client({self._api_url!r})"

    def _built(self) -> github.Github:
        return github.Github(
            auth=github.Auth.Token(self._token),
            base_url=self._api_url,
            timeout=15,
            per_page=_PER_PAGE,
            retry=0,
            user_agent="mlci",
            seconds_between_requests=0,
            seconds_between_writes=0,
        )

    def get(self, path: str, parameters: Mapping[str, Any] | None = None, *, needs: str) -> Any:  # noqa: ANN401 - JSON
        """The JSON at `path`.

        Args:
            path: Below the API's root.
            parameters: Of the query.
            needs: The permission that it takes, such as "pull-requests: read".

        Raises:
            NotFoundError: 404 or 410.
            ForbiddenError: The token may not.
            ForgeError: Out of reach, or refused.
        """
        return self._request("GET", path, parameters=parameters, needs=needs)

    def pages(self, path: str, key: str | None = None, *, needs: str, **parameters: Any) -> list[Any]:  # noqa: ANN401
        """All items of a list that comes in pages, under `key` where the pages are objects; raises as `get`."""
        items: list[Any] = []
        for page in range(1, _MAX_PAGES + 1):
            found = self.get(path, {**parameters, "per_page": _PER_PAGE, "page": page}, needs=needs)
            batch = found.get(key) if key and isinstance(found, dict) else found
            if not isinstance(batch, list):
                raise ForgeError(f"GET {path}: expected a list, got {type(batch).__name__}")
            items += batch
            if len(batch) < _PER_PAGE:
                return items
        raise ForgeError(f"GET {path}: more than {_MAX_PAGES * _PER_PAGE:,} items")

    def send(self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, needs: str) -> Any:  # noqa: ANN401
        """Send what does no harm when it arrives twice; raises as `get`."""
        return self._request(verb, path, body=body, needs=needs)

    def create(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        needs: str,
        adopt: Callable[[], Any | None],
    ) -> Any:  # noqa: ANN401 - JSON, or what `adopt` found
        """POST what must exist once: after an ambiguous failure `adopt` looks for it first; raises as `get`."""
        return self._request("POST", path, body=body, needs=needs, adopt=adopt)

    def graphql(self, query: str, variables: Mapping[str, Any], *, needs: str) -> Any:  # noqa: ANN401 - JSON
        """The `data` of a GraphQL answer, or its `errors` as {"errors": [...]}; raises as `get`.

        Sent again when it stumbles: it must do no harm when it arrives twice.
        """
        url = self._github.requester.graphql_url
        answer = self._request("POST", url, body={"query": query, "variables": dict(variables)}, needs=needs)
        if isinstance(answer, dict) and isinstance(answer.get("errors"), list):
            return {"errors": answer["errors"]}
        return answer.get("data") if isinstance(answer, dict) else None

    def upload(self, url: str, path: Path, *, needs: str, adopt: Callable[[], Any | None]) -> Any:  # noqa: ANN401 - JSON
        """POST a file as it is to an absolute URL of the forge; as `create`, but for as long as the deadline allows."""

        def attempt(left_s: float) -> Any:  # noqa: ANN401 - JSON
            def send() -> tuple[dict[str, Any], Any]:
                size = path.stat().st_size
                headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
                requester = self._github.requester
                with path.open("rb") as file:
                    return requester.requestMemoryBlobAndCheck("POST", url, {"name": path.name}, headers, file)

            return self._within(left_s, lambda: self._meant(send, f"POST {urlsplit(url).path}", needs))[1]

        return self.patience.call(f"upload {path.name}", attempt, adopt=adopt)

    def download_asset(self, path: str, to: Path, *, max_bytes: int) -> None:
        """Write a release's asset into `to`; raises as `download`."""

        def attempt(left_s: float) -> None:
            url = f"{self._api_url.rstrip('/')}{path}"
            headers = {"Accept": "application/octet-stream", "Authorization": f"Bearer {self._token}"}
            deadline = time.monotonic() + left_s
            try:
                # Redirected by hand: the storage behind it must not see the token.
                with requests.get(url, headers=headers, allow_redirects=False, stream=True, timeout=15) as response:
                    target = response.headers.get("location")
                    if target is None:
                        _keep(response, to, max_bytes=max_bytes, deadline=deadline)
                        return
            except _BROKEN as error:
                raise StumbleError(f"the download broke ({_kind(error)})") from None
            _fetch(target, to, max_bytes=max_bytes, deadline=deadline)

        self.patience.call(f"GET {path}", attempt)

    def download(self, path: str, to: Path, *, max_bytes: int, needs: str) -> None:
        """Write what `path` redirects to into `to`; the token stays with the forge.

        Raises:
            ForgeError: Larger than `max_bytes`, besides the errors of `get`.
        """

        def attempt(left_s: float) -> None:
            headers, _ = self._answer("GET", path, {}, None, needs)
            target = headers.get("location")
            if not target or urlsplit(target).scheme not in ("https", urlsplit(self._api_url).scheme):
                raise ForgeError(f"GET {path}: expected a redirect to the file")
            _fetch(target, to, max_bytes=max_bytes, deadline=time.monotonic() + left_s)

        self.patience.call(f"GET {path}", attempt)

    def _request(
        self,
        verb: str,
        path: str,
        *,
        needs: str,
        parameters: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        adopt: Callable[[], Any | None] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        def attempt(left_s: float) -> Any:  # noqa: ANN401 - JSON
            return self._within(
                min(left_s, self._attempt_s), lambda: self._answer(verb, path, dict(parameters or {}), body, needs)
            )[1]

        return self.patience.call(f"{verb} {urlsplit(path).path}", attempt, adopt=adopt)

    def _within(self, limit_s: float, request: Callable[[], tuple[dict[str, Any], Any]]) -> tuple[dict[str, Any], Any]:
        """Make a request in a thread, which is left behind at the limit: no timeout of `requests` ends a drip."""
        done: list[tuple[dict[str, Any], Any]] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                done.append(request())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(limit_s)
        if failed:
            raise failed[0]
        if not done:
            self._github = self._built()  # the old one's connection is still busy
            raise StumbleError(f"no whole answer within {limit_s:.0f} s")
        return done[0]

    def _answer(
        self, verb: str, path: str, parameters: dict[str, Any], body: Mapping[str, Any] | None, needs: str
    ) -> tuple[dict[str, Any], Any]:
        return self._meant(
            lambda: self._github.requester.requestJsonAndCheck(verb, path, parameters, input=body),
            f"{verb} {urlsplit(path).path}",
            needs,
        )

    def _meant(
        self, request: Callable[[], tuple[dict[str, Any], Any]], what: str, needs: str
    ) -> tuple[dict[str, Any], Any]:
        """The answer to a request, its failures in our own terms."""
        try:
            return request()
        except github.GithubException as error:
            raise _meaning(error, what, needs, self._token) from None
        except requests.exceptions.ConnectionError as error:
            refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
            raise StumbleError(f"no connection ({_kind(error)})", certain=refused) from None
        except requests.RequestException as error:
            raise StumbleError(f"the connection failed ({_kind(error)})") from None
        # PyGithub asserts and indexes what it takes for granted; an answer without it is no answer of GitHub's.
        except (ValueError, AssertionError, AttributeError, RuntimeError, KeyError, TypeError) as error:
            raise StumbleError(f"an answer that cannot be read ({type(error).__name__})") from None


def _meaning(error: github.GithubException, what: str, needs: str, token: str) -> Exception:
    """What an error answer means for us."""
    headers = {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}
    said = _said(error).replace(token, "***")
    limited = error.status == _TOO_MANY or isinstance(error, github.RateLimitExceededException)
    if limited or (error.status == _FORBIDDEN and headers.get("x-ratelimit-remaining") == "0"):
        return StumbleError(f"rate limit: {said}", certain=True, wait_s=_asked_wait(headers), limited=True)
    if error.status >= _SERVER:
        return StumbleError(f"HTTP {error.status}: {said}", wait_s=_seconds(headers.get("retry-after")))
    if error.status in (_NOT_FOUND, _GONE):
        return NotFoundError(f"{what}: HTTP {error.status}: {said}")
    if error.status == _FORBIDDEN:
        return ForbiddenError(
            f"{what}: {said}", hint=f"The token lacks a permission: add `{needs}` to the job's `permissions:`."
        )
    if error.status == 401:  # noqa: PLR2004 - unauthorized
        return ForgeError(f"{what}: the token is not valid: {said}", hint="Give mlci the job's `github.token`.")
    return ForgeError(f"{what}: HTTP {error.status}: {said}")


def _said(error: github.GithubException) -> str:
    """GitHub's own words on one line, shortened."""
    data = error.data if isinstance(error.data, dict) else {}
    words = [str(data.get("message") or error.message or "no reason given")]
    details = data.get("errors")
    if isinstance(details, list):
        words += [
            str(item.get("message") or item.get("code") or "") if isinstance(item, dict) else str(item)
            for item in details[:3]
        ]
    line = " ".join(" ".join(words).split())
    return "".join(character for character in line if character.isprintable())[:300]


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that a rate-limited answer asks to wait, if it says."""
    after = _seconds(headers.get("retry-after"))
    if after is not None:
        return after
    reset = _seconds(headers.get("x-ratelimit-reset"))
    if reset is not None and headers.get("x-ratelimit-remaining") == "0":
        return max(1.0, reset - time.time())
    return None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdecimal() else None


def _kind(error: BaseException) -> str:
    """The innermost cause's name: messages of `requests` repeat whole URLs."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return type(getattr(error, "reason", None) or error).__name__


def _fetch(url: str, to: Path, *, max_bytes: int, deadline: float) -> None:
    try:
        # No token here: the URL is signed, and storage refuses a second authorization.
        with requests.get(url, stream=True, timeout=15, auth=_no_auth) as response:
            _keep(response, to, max_bytes=max_bytes, deadline=deadline)
    except _BROKEN as error:
        raise StumbleError(f"the download broke ({_kind(error)})") from None


def _keep(response: requests.Response, to: Path, *, max_bytes: int, deadline: float) -> None:
    if response.status_code != requests.codes.ok:
        raise StumbleError(f"HTTP {response.status_code} from the storage")
    size = 0
    with to.open("wb") as file:
        for chunk in _chunks(response, deadline):
            size += len(chunk)
            if size > max_bytes:
                raise ForgeError(f"the artifact is larger than {max_bytes:,} bytes")
            file.write(chunk)


def _chunks(response: requests.Response, deadline: float) -> Iterator[bytes]:
    # What has come so far, rather than a whole chunk: a body that drips must not outlast the deadline.
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        if time.monotonic() > deadline:
            raise StumbleError("the download took too long")
        yield chunk


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps `requests` from reading a .netrc."""
    return request
