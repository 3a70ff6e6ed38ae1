"""Releases, tags and deployments on GitHub: made once, whatever happens on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from mlci.errors import ForgeError
from mlci.plugins.forges.answers import at, number, required, text
from mlci.plugins.forges.client import Client, NotFoundError

_WRITE = "contents: write"
DeploymentState = Literal["in_progress", "success", "failure", "error", "inactive"]


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file of a release."""

    id: int
    name: str
    size: int
    sha256: str | None
    whole: bool  # its upload came to an end


@dataclass(frozen=True, kw_only=True)
class HostedRelease:
    """A release as GitHub has it."""

    id: int
    tag: str
    draft: bool
    upload_url: str
    url: str | None
    assets: tuple[Asset, ...]


@dataclass(frozen=True, kw_only=True)
class HostedDeployment:
    """A deployment as GitHub has it."""

    id: int
    environment: str
    key: str | None  # tells ours from another's


@dataclass(frozen=True)
class GitHubReleases:
    """The releases of one repository; every method may be repeated.

    Args:
        client: Sends the requests.
        repository: "owner/name".
    """

    client: Client
    repository: str

    def tagged(self, tag: str) -> str | None:
        """The commit that a tag points at, in the end; None where there is no such tag."""
        try:
            found = self.client.get(self._path(f"git/ref/tags/{quote(tag)}"), needs="contents: read")
            kind, sha = text(found, "object", "type"), required(found, "object", "sha")
            if kind == "tag":
                found = self.client.get(self._path(f"git/tags/{sha}"), needs="contents: read")
                return required(found, "object", "sha")
        except NotFoundError:
            return None
        return sha

    def create_tag(self, tag: str, commit: str, message: str) -> None:
        """Make an annotated tag; one that is there and points at `commit` is kept.

        Raises:
            ForgeError: It is there and points elsewhere.
        """
        there = self.tagged(tag)
        if there is None:
            # A tag object that nobody refers to does no harm when it is made twice.
            body = {"tag": tag, "object": commit, "type": "commit", "message": message}
            made = self.client.send("POST", self._path("git/tags"), body, needs=_WRITE)
            try:
                self.client.create(
                    self._path("git/refs"),
                    {"ref": f"refs/tags/{tag}", "sha": required(made, "sha")},
                    needs=_WRITE,
                    adopt=lambda: self.tagged(tag),
                )
            except ForgeError as error:
                if "Reference already exists" not in error.message:
                    raise
            there = self.tagged(tag) or commit
        if there != commit:
            raise ForgeError(
                f"the tag {tag} points at {there[:10]}, not at {commit[:10]}",
                hint="A version is never moved: release another one.",
            )

    def find(self, tag: str) -> HostedRelease | None:
        """The release of a tag, drafts included; the published one where there are several."""
        found = [
            _release(item)
            for item in self.client.pages(self._path("releases"), needs=_WRITE)
            if text(item, "tag_name") == tag
        ]
        return min(found, key=lambda release: (release.draft, release.id), default=None)

    def draft(self, tag: str, commit: str, title: str, body: str) -> HostedRelease:
        """The release of a tag; made as a draft where there is none."""
        existing = self.find(tag)
        if existing is not None:
            return existing
        given = {"tag_name": tag, "target_commitish": commit, "name": title, "body": body, "draft": True}
        made = self.client.create(self._path("releases"), given, needs=_WRITE, adopt=lambda: self.find(tag))
        return made if isinstance(made, HostedRelease) else _release(made)

    def upload(self, release: HostedRelease, path: Path, sha256: str) -> None:
        """Add a file to a draft; one of the same name and content is kept, a broken one is made anew."""
        there = {asset.name: asset for asset in release.assets}.get(path.name)
        if there is not None and there.whole and there.sha256 == sha256:
            return
        if there is not None:
            self._delete_asset(there.id)

        def arrived() -> Asset | None:
            now = self.find(release.tag)
            asset = next((item for item in now.assets if item.name == path.name), None) if now else None
            if asset is not None and asset.whole and asset.sha256 == sha256:
                return asset
            if asset is not None:
                self._delete_asset(asset.id)
            return None

        made = self.client.upload(release.upload_url.partition("{")[0], path, needs=_WRITE, adopt=arrived)
        asset = made if isinstance(made, Asset) else _asset(made)
        if asset.sha256 is not None and asset.sha256 != sha256:
            raise ForgeError(f"{path.name} did not arrive as it was sent", hint="Release again.")

    def publish(self, release: HostedRelease) -> HostedRelease:
        """Publish a draft; one that is published stays as it is."""
        if not release.draft:
            return release
        done = self.client.send("PATCH", self._path(f"releases/{release.id}"), {"draft": False}, needs=_WRITE)
        return _release(done)

    def download(self, asset: Asset, to: Path, *, max_bytes: int) -> None:
        """Fetch an asset."""
        self.client.download_asset(self._path(f"releases/assets/{asset.id}"), to, max_bytes=max_bytes)

    def deployments(self, environment: str) -> list[HostedDeployment]:
        """The deployments to an environment, newest first."""
        found = self.client.pages(self._path("deployments"), needs="deployments: read", environment=environment)
        return [_deployment(item) for item in found]

    def deploy(self, *, ref: str, environment: str, key: str, description: str, production: bool) -> HostedDeployment:
        """The deployment of that key, made where there is none."""

        def ours() -> HostedDeployment | None:
            return next((item for item in self.deployments(environment) if item.key == key), None)

        existing = ours()
        if existing is not None:
            return existing
        given: Mapping[str, Any] = {
            "ref": ref,
            "environment": environment,
            "description": description[:140],
            "auto_merge": False,
            "required_contexts": [],  # the policy has decided already
            "production_environment": production,
            "payload": {"mlci": key},
        }
        made = self.client.create(self._path("deployments"), given, needs="deployments: write", adopt=ours)
        return made if isinstance(made, HostedDeployment) else _deployment(made)

    def set_deployment(
        self,
        deployment: HostedDeployment,
        state: DeploymentState,
        *,
        url: str | None,
        log_url: str | None,
        description: str,
    ) -> None:
        """Say how a deployment goes, unless that was the last thing said."""
        path = self._path(f"deployments/{deployment.id}/statuses")
        words = description[:140]

        def said() -> bool | None:
            found = self.client.pages(path, needs="deployments: read")
            last = max(found, key=lambda item: number(item, "id"), default=None)
            return (text(last, "state"), text(last, "description")) == (state, words) or None

        if said():
            return
        body: dict[str, Any] = {"state": state, "description": words}
        if url:
            body["environment_url"] = url
        if log_url:
            body["log_url"] = log_url
        self.client.create(path, body, needs="deployments: write", adopt=said)

    def _delete_asset(self, asset_id: int) -> None:
        try:
            self.client.send("DELETE", self._path(f"releases/assets/{asset_id}"), needs=_WRITE)
        except NotFoundError:
            return

    def _path(self, path: str) -> str:
        return f"/repos/{self.repository}/{path}"


def deployment_key(model: str, version: str, target: str, digest: str, run: str) -> str:
    """Names one attempt to deploy: the same step run again finds its own deployment."""
    return hashlib.sha256("\0".join((model, version, target, digest, run)).encode()).hexdigest()[:32]


def _release(item: Any) -> HostedRelease:  # noqa: ANN401 - JSON
    assets = at(item, "assets")
    return HostedRelease(
        id=number(item, "id"),
        tag=required(item, "tag_name"),
        draft=bool(at(item, "draft")),
        upload_url=required(item, "upload_url"),
        url=text(item, "html_url"),
        assets=tuple(_asset(asset) for asset in assets) if isinstance(assets, list) else (),
    )


def _asset(item: Any) -> Asset:  # noqa: ANN401 - JSON
    digest = text(item, "digest") or ""
    return Asset(
        id=number(item, "id"),
        name=required(item, "name"),
        size=number(item, "size"),
        sha256=digest.removeprefix("sha256:") or None,
        whole=text(item, "state") == "uploaded",
    )


def _deployment(item: Any) -> HostedDeployment:  # noqa: ANN401 - JSON
    return HostedDeployment(
        id=number(item, "id"), environment=required(item, "environment"), key=text(item, "payload", "mlci")
    )
