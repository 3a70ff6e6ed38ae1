"""A client of one repository of an OCI registry: the few requests of the distribution API that an artifact needs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import requests

from mlci.errors import DeployError
from mlci.plugins.targets import http

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_MAX_JSON = 4 * 1024 * 1024  # what registries accept as a manifest
_HINT = "Set MLCI_OCI_USERNAME and MLCI_OCI_PASSWORD (or a token) of an account that may push."
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_OK, _UNAUTHORIZED, _MISSING = (200, 201, 202), 401, 404
_MAX_PAGES = 1000


@dataclass
class Registry:
    """One repository.

    Args:
        base: Scheme and host.
        repository: Its name on the registry.
        user: With `password`, for Basic authentication or for the token service that the registry names.
        password: Of the user; sent to the registry and its token service only.
        web: How requests are repeated.
    """

    base: str
    repository: str
    user: str
    password: str = field(repr=False)
    web: http.Web
    _authorization: str | None = field(default=None, repr=False)

    def manifest(self, reference: str) -> bytes | None:
        """The manifest of a tag or digest; None where there is none."""
        answer = self._request("GET", f"manifests/{reference}", headers={"Accept": MANIFEST_TYPE}, may_miss=True)
        return http.read(answer, _MAX_JSON, what=f"the manifest of {reference}") if answer else None

    def put_manifest(self, tag: str, content: bytes) -> None:
        """Tag a manifest whose blobs are there."""
        headers = {"Content-Type": MANIFEST_TYPE}
        self._close(self._request("PUT", f"manifests/{tag}", headers=headers, body=content))

    def tags(self) -> list[str]:
        """Every tag, all pages of them."""
        found: list[str] = []
        path: str | None = "tags/list?n=1000"
        for _ in range(_MAX_PAGES):
            answer = self._request("GET", path, may_miss=True) if path else None
            if answer is None:
                return found
            link = answer.links.get("next", {}).get("url")
            page = _json(answer, "the list of tags")
            found += [tag for tag in page.get("tags") or [] if isinstance(tag, str)]
            path = urljoin(answer.url, link) if link else None
        raise DeployError(f"more than {_MAX_PAGES:,} pages of tags")

    def has_blob(self, digest: str) -> bool:
        """Whether a blob is there."""
        answer = self._request("HEAD", f"blobs/{digest}", may_miss=True)
        self._close(answer)
        return answer is not None

    def put_blob(self, digest: str, content: bytes | Path) -> None:
        """Upload in one piece; the registry refuses content of another digest."""
        started = self._request("POST", "blobs/uploads/")
        self._close(started)
        place = urljoin(self.base, started.headers.get("Location", "")) if started else ""
        query = urlencode({"digest": digest})
        place += f"{'&' if urlsplit(place).query else '?'}{query}"
        headers = {"Content-Type": "application/octet-stream"}
        self._close(self._request("PUT", place, headers=headers, body=content))

    def measure_blob(self, digest: str) -> tuple[int, str]:
        """Size and sha256 of a blob, read back."""
        answer = self._request("GET", f"blobs/{digest}", redirects=True)
        size, found = 0, hashlib.sha256()
        try:
            with answer or requests.Response() as body:
                for chunk in body.iter_content(1024 * 1024):
                    size += len(chunk)
                    found.update(chunk)
        except requests.RequestException as error:
            raise DeployError(f"blob {digest} broke off ({type(error).__name__})", hint="Run the step again.") from None
        return size, found.hexdigest()

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Path | None = None,
        may_miss: bool = False,
        redirects: bool = False,
    ) -> requests.Response | None:
        url = path if "://" in path else f"{self.base}/v2/{self.repository}/{path}"
        for last in (False, True):
            answer = self.web.send(
                method, url, headers=lambda: self._headers(url, headers or {}), body=body, redirects=redirects
            )
            if answer.status_code in _OK:
                return answer
            if answer.status_code == _MISSING and may_miss:
                answer.close()
                return None
            if answer.status_code != _UNAUTHORIZED or last:
                break
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            self._authorize(challenge)
        raise http.refused(answer, f"{method} {urlsplit(url).path}", _HINT)

    def _headers(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        # An upload may be sent to another host: it gets no credentials of this one.
        ours = self._authorization and urlsplit(url).netloc == urlsplit(self.base).netloc
        return {**headers, **({"Authorization": self._authorization} if ours and self._authorization else {})}

    def _authorize(self, challenge: str) -> None:
        """Answer a challenge: Basic, or a token from the service that it names."""
        scheme, _, rest = challenge.partition(" ")
        basic = f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}" if self.password else None
        if scheme.lower() != "bearer":
            if basic is None:
                raise DeployError("the registry wants credentials", hint=_HINT)
            self._authorization = basic
            return
        values = dict(_CHALLENGE.findall(rest))
        realm = values.get("realm", "")
        if urlsplit(realm).scheme not in ("https", urlsplit(self.base).scheme):
            raise DeployError("the registry names a token service without encryption")
        query = {"scope": f"repository:{self.repository}:pull,push"}
        query |= {"service": values["service"]} if "service" in values else {}
        where = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
        answer = self.web.send("GET", where, headers=lambda: {"Authorization": basic} if basic else {})
        if answer.status_code not in _OK:
            raise http.refused(answer, "the registry's token service", _HINT)
        given = _json(answer, "the token")
        token = given.get("token") or given.get("access_token")
        if not isinstance(token, str):
            raise DeployError("the registry's token service gave no token", hint=_HINT)
        self._authorization = f"Bearer {token}"

    @staticmethod
    def _close(answer: requests.Response | None) -> None:
        if answer is not None:
            answer.close()


def _json(answer: requests.Response, what: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(http.read(answer, _MAX_JSON, what=what), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DeployError(f"{what} cannot be read: {error}") from None
