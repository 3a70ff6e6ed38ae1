"""A target behind a URL: whoever listens there is told what to serve, in signed JSON, and says what it holds."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from mlci.errors import DeployError
from mlci.plugins.targets import http, manifest, rules
from mlci.plugins.targets.interface import Deployed, Package, TargetSite, TargetStatus
from mlci.plugins.targets.refusals import refusals

_CONFLICT = 409
_OK = (200, 201, 202, 204)


@dataclass(frozen=True, kw_only=True)
class WebhookTarget:
    """POSTs `upload` and `switch`, GETs the status from the same URL.

    The receiver fetches the files, checks their sha256, and lists a version under `kept` when it holds it: that answer
    is awaited. `switch` says what it expects to be served; the receiver compares and answers 409 where it is not so.

    Args:
        url: Of the receiver.
        secret_env: The variable that holds the secret of the signature.
        files_url: Where the receiver finds a file: {model} and {version} stand for theirs, the file's name is appended.
        deadline_s: For one request and its repeats, and for the receiver to hold a version, in seconds.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "webhook"
    stages: ClassVar[bool] = False  # a receiver may, but need not, keep two versions

    url: str = field(repr=False)  # may hold a key in its query
    secret_env: str = "MLCI_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
    files_url: str | None = field(default=None, repr=False)
    deadline_s: float = 120.0
    site: TargetSite

    def status(self, model: str) -> TargetStatus:
        """What the receiver says, see `Target.status`."""
        with refusals(self):
            return self._status(model)

    def upload(self, package: Package) -> None:
        """Tell of a version and wait until the receiver holds it, see `Target.upload`."""
        with refusals(self):
            rules.check_package(package)
            wanted = Deployed(version=package.version, digest=package.digest)
            if rules.is_held(package, self._status(package.model).kept):
                return
            self._tell(
                {"action": "upload", "model": package.model, "files": self._files(package)},
                wanted,
                key=hashlib.sha256(f"{package.model}\n{package.version}\n{package.digest}".encode()).hexdigest(),
            )
            self._await(package.model, lambda status: rules.is_held(package, status.kept), f"holds {package.version}")

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Tell which version to serve, see `Target.switch`."""
        with refusals(self):
            rules.check_version(to.version)
            if not rules.may_switch(self._status(model), to, expected):
                return
            # Going back and forth repeats contents: only the tries of one switch share their key.
            key = hashlib.sha256(f"{model}\n{to.digest}\n{uuid.uuid4().hex}".encode()).hexdigest()
            told = self._tell({"action": "switch", "model": model, "expected": expected}, to, key=key)

            def is_served(status: TargetStatus) -> bool:
                if status.current != to and (not told or status.current != expected):
                    raise rules.conflict(to, expected, status.current)
                return status.current == to

            self._await(model, is_served, f"serves {to.version}")

    def describe(self) -> str:
        """The URL, without what might be secret in it."""
        parts = urlsplit(self.url)
        return f"webhook {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _await(self, model: str, done: Callable[[TargetStatus], bool], what: str) -> None:
        """Ask until the receiver, which may work in the background, says that it is done."""
        web = self._web
        end, tries = web.clock() + web.deadline_s, 0
        while not done(self._status(model)):
            tries += 1
            if web.clock() > end:
                raise DeployError(f"the receiver did not say within {self.deadline_s:.0f} s that it {what}")
            web.sleep(web.backoff(tries))

    @property
    def _web(self) -> http.Web:
        return http.Web(deadline_s=self.deadline_s)

    def _files(self, package: Package) -> list[dict[str, Any]]:
        base = self.files_url
        for name, value in (("{model}", package.model), ("{version}", package.version)):
            base = base.replace(name, quote(value, safe="")) if base else None
        return [
            {
                "name": file.name,
                "size": file.size,
                "sha256": file.sha256,
                "url": f"{base.rstrip('/')}/{quote(file.name)}" if base else None,
            }
            for file in package.files
        ]

    def _tell(self, message: Mapping[str, Any], version: Deployed, *, key: str) -> bool:
        """POST; False where the receiver says that something else is served."""
        fields = {"format": manifest.FORMAT, **message, "version": version.version, "digest": version.digest}
        body = manifest.encode(fields)
        answer = self._web.send(
            "POST",
            self.url,
            headers=lambda: {"Content-Type": "application/json", "Idempotency-Key": key, **self._signed(body)},
            body=body,
        )
        if answer.status_code in _OK or answer.status_code == _CONFLICT:
            answer.close()
            return answer.status_code != _CONFLICT
        raise http.refused(answer, f"POST {message['action']}", self._hint)

    def _status(self, model: str) -> TargetStatus:
        rules.check_model(model)
        url = f"{self.url}{'&' if urlsplit(self.url).query else '?'}{urlencode({'model': model})}"
        answer = self._web.send("GET", url, headers=lambda: self._signed(b""))
        if answer.status_code not in _OK:
            raise http.refused(answer, "GET status", self._hint)
        return manifest.read_status(http.read(answer, manifest.MAX_BYTES, what="the status"), "the status")

    @property
    def _hint(self) -> str:
        return f"The receiver compares the signature with its own secret: is {self.secret_env} the same?"

    def _signed(self, body: bytes) -> dict[str, str]:
        """A signature over the time and the body, so that an old message cannot be sent again."""
        secret = self.site.environ.get(self.secret_env)
        if not secret:
            raise DeployError("no secret to sign with", hint=f"Set {self.secret_env}.")
        now = str(int(time.time()))
        signature = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"X-Mlci-Timestamp": now, "X-Mlci-Signature": f"sha256={signature}"}
