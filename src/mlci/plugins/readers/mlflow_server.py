"""Requests to an MLflow tracking server: few, bounded in time and size, with credentials that go nowhere else."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from mlci.core import strict_json
from mlci.errors import DocumentError, MetricError
from mlci.plugins.readers.source import mapping

if TYPE_CHECKING:
    import requests

_API = "/api/2.0/mlflow/"
_MAX_BYTES = 16 * 1024 * 1024  # of one answer
_MAX_PAGES = 5
_EXPERIMENTS, _RUNS = 1000, 100  # on a page
_TIMEOUT_S = (5.0, 10.0)  # to connect, and between two bytes
_DEADLINE_S = 60.0  # for all that is asked
_PAUSE_S = 0.5
_MAY_PASS = (429, 500, 502, 503, 504)
_HINT = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, give access."


def host(uri: str) -> str:
    """Host and port of an address, without who may enter.

    Raises:
        MetricError: It is no address of a server.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    found = parts.netloc.rpartition("@")[2]
    if parts.scheme not in ("http", "https") or not found:
        raise MetricError("MLflow: expected the address of a tracking server, http://HOST or https://HOST")
    return found


class Conversation:
    """Requests to one server, within one deadline.

    Args:
        uri: Its address; a user and a password in it are sent, and never shown.
        environ: Where MLflow's credentials are.
        retries: How often a request is sent again that was not answered.

    Raises:
        MetricError: By every method: the server refuses, or cannot be reached or understood.
    """

    def __init__(self, uri: str, environ: Mapping[str, str], retries: int) -> None:
        import requests  # noqa: PLC0415 - heavy, and few read from a server
        from requests.adapters import HTTPAdapter  # noqa: PLC0415 - likewise
        from urllib3.util import Retry  # noqa: PLC0415 - likewise

        self.name = f"MLflow at {host(uri)}"
        self._end = time.monotonic() + _DEADLINE_S
        parts = urlsplit(uri)
        self._base = urlunsplit((parts.scheme, host(uri), parts.path.rstrip("/") + _API, "", ""))
        self._credentials = _authorization(uri, environ)
        self._session = requests.Session()
        patience = Retry(
            retries,
            backoff_factor=_PAUSE_S,
            backoff_jitter=_PAUSE_S,
            status_forcelist=_MAY_PASS,
            allowed_methods=None,  # a search is a POST, and does no harm twice
            raise_on_status=False,
            respect_retry_after_header=False,  # it could ask for a day
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=patience))

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def experiment(self, name: str) -> str | None:
        """The id of an experiment; None where there is none, or a deleted one."""
        answer = self._ask("GET", "experiments/get-by-name", query={"experiment_name": name}, absent=True)
        found = mapping(answer.get("experiment", {}), self.name)
        return str(found["experiment_id"]) if found.get("lifecycle_stage") == "active" else None

    def experiments(self) -> list[str]:
        """The ids of all experiments."""
        pages = self._pages("experiments/search", "experiments", {"max_results": _EXPERIMENTS})
        return [str(item.get("experiment_id")) for item in pages]

    def runs(self, experiments: list[str], tag: str, value: str) -> Iterator[dict[str, Any]]:
        """The runs with a tag, the newest first."""
        asked = {
            "experiment_ids": experiments,
            "filter": f"tags.`{tag}` = '{value}'",
            "order_by": ["attributes.start_time DESC"],
            "max_results": _RUNS,
        }
        return self._pages("runs/search", "runs", asked)

    def _pages(self, path: str, what: str, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        token = None
        for _ in range(_MAX_PAGES):
            answer = self._ask("POST", path, body={**asked, **({"page_token": token} if token else {})})
            items = answer.get(what, [])
            for item in items if isinstance(items, list) else []:
                yield mapping(item, f"{self.name}: {what}")
            token = answer.get("next_page_token")
            if not token:
                return

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        absent: bool = False,
    ) -> dict[str, Any]:
        """What is answered; nothing where `absent` allows that it is not there."""
        import requests  # noqa: PLC0415 - heavy, and few read from a server

        if time.monotonic() > self._end:
            raise self._late()
        try:
            answer = self._session.request(
                method,
                self._base + path,
                params=query,
                json=body,
                headers={"User-Agent": "mlci"},
                auth=self._authorized,
                timeout=_TIMEOUT_S,
                allow_redirects=False,
                stream=True,
            )
            with answer:
                data = self._body(answer)
        except requests.RequestException as error:
            # Its own words repeat the address, or the header that it refuses to send.
            raise MetricError(f"{self.name}: not reached ({type(error).__name__})") from None
        if answer.status_code != requests.codes.ok:
            said = _error(data)
            if absent and said.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise self._refusal(answer.status_code, str(said.get("message", "")))
        try:
            found = strict_json.loads(data, name=self.name, allow_nan=True)
        except DocumentError as error:
            raise MetricError(f"{error.message}: is it a tracking server?") from None
        return mapping(found, self.name)

    def _body(self, answer: requests.Response) -> bytes:
        found = bytearray()
        for chunk in answer.iter_content(65536):
            found += chunk
            if len(found) > _MAX_BYTES:
                raise MetricError(f"{self.name}: it answers with more than {_MAX_BYTES:,} bytes")
            if time.monotonic() > self._end:
                raise self._late()
        return bytes(found)

    def _late(self) -> MetricError:
        return MetricError(f"{self.name}: no whole answer within {_DEADLINE_S:.0f} s")

    def _refusal(self, status: int, said: str) -> MetricError:
        shown = "".join(character if character.isprintable() else " " for character in said[:200])
        hint = _HINT if status in (401, 403) else None
        return MetricError(f"{self.name}: HTTP {status}{f': {shown}' if shown else ''}", hint=hint)

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Credentials for this server; without any, `requests` is kept from looking for some in a .netrc."""
        if self._credentials:
            request.headers["Authorization"] = self._credentials
        return request


def _error(data: bytes) -> dict[str, Any]:
    try:
        return mapping(json.loads(data), "")
    except (ValueError, RecursionError, MetricError):
        return {}


def _authorization(uri: str, environ: Mapping[str, str]) -> str | None:
    parts = urlsplit(uri)
    user, password = parts.username, parts.password
    if user is None:
        user, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    else:
        user, password = unquote(user), unquote(password or "")
    if user and password is not None:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = environ.get("MLFLOW_TRACKING_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise MetricError("MLFLOW_TRACKING_TOKEN is no token: it holds what cannot be sent")
    return f"Bearer {token}" if token else None
