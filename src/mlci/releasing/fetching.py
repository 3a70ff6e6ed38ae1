"""Gets a release into `.mlci/release/`, from the forge or as it lies there; nothing of it is used unchecked."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlci.core import versions
from mlci.core.documents import decode
from mlci.core.release import Release
from mlci.errors import DeployError, DocumentError, UsageError
from mlci.plugins.targets.interface import sha256_of
from mlci.project import Project
from mlci.releasing import folder as layout
from mlci.releasing.folder import ReleaseFolder
from mlci.releasing.gathering import MAX_ASSET, artifact_store
from mlci.releasing.models import all_tags, find_model, registry_of
from mlci.releasing.signing import check_signature

if TYPE_CHECKING:
    from mlci.plugins.forges.releases import Asset, GitHubReleases

_MAX_SUMS = 1024 * 1024
_MAX_TOTAL = 64 * 1024**3  # bytes: more would fill the disk of any hosted runner
_AGAIN = "Nothing was deployed. Look at who changed the release, then make another version."


def fetch(
    project: Project, forge: GitHubReleases | None, *, tag: str | None = None, model: str | None = None
) -> ReleaseFolder:
    """The release, every file of it checked.

    Args:
        project: Whose workspace takes it.
        forge: Where it is published; None: the folder that is there is the release.
        tag: Which release; None: the one that lies in the workspace, else the model's latest version.
        model: Of which model.

    Raises:
        UsageError: It is not said which one, or another one lies here and there is no forge to ask.
        DeployError: It is no release, is not published, or a file of it is missing or another.
        ForgeError: The forge is out of reach.
        StoreError: The artifact store, which holds its large files, is out of reach.
    """
    if forge is None:
        found = layout.read(_folder(project))
        if tag not in (None, found.release.tag):
            raise UsageError(
                f".mlci/release/ holds {found.release.tag}, not {tag}, and there is no token to fetch it",
                hint="Make it here with `mlci release`, or give mlci a token.",
            )
    else:
        wanted = tag or _chosen(project, model)
        found = _from_forge(project, forge, wanted)
        if found.release.tag != wanted:
            raise DeployError(f"the release {wanted} says that it is {found.release.tag}", hint=_AGAIN)
    if model not in (None, found.release.model):
        raise UsageError(f"{found.release.tag} is a release of {found.release.model}, not of {model}")
    _check_tag(project, forge, found.release)
    check_signature(found.folder, find_model(project, found.release.model).table, project.config.root)
    return found


def _folder(project: Project) -> Path:
    return project.workspace.folder / layout.FOLDER


def _chosen(project: Project, model: str | None) -> str:
    """The tag of what lies here, which was released a moment ago, else of the latest version."""
    if (_folder(project) / layout.SUMS).is_file():
        here = layout.read(_folder(project)).release
        if model in (None, here.model):
            return here.tag
    which = find_model(project, model)
    latest = registry_of(project, which).latest
    if latest is None:
        raise UsageError(f"there is no version of {which.name}", hint="Make one with `mlci release`.")
    return latest.tag.name


def _from_forge(project: Project, forge: GitHubReleases, tag: str) -> ReleaseFolder:
    """The published release of a tag, downloaded unless its very files lie here already."""
    release = forge.find(tag)
    if release is None:
        raise DeployError(f"there is no release {tag}", hint="Name one by its tag, or make it with `mlci release`.")
    if release.draft:
        raise DeployError(f"the release {tag} is a draft", hint="Finish it: run `mlci release` for it again.")
    assets = {asset.name: asset for asset in release.assets}
    if layout.SUMS not in assets:
        raise DeployError(f"the release {tag} has no {layout.SUMS}", hint="Only releases of `mlci release` have one.")
    target = _folder(project)
    known = assets[layout.SUMS].sha256
    if known and (target / layout.SUMS).is_file() and sha256_of(target / layout.SUMS) == known:
        try:
            return layout.read(target)
        except (DeployError, DocumentError):
            pass  # damaged here: fetched anew
    partial = target.with_name(f".{layout.FOLDER}.part")
    project.workspace.prepare()
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    _download(project, forge, assets, partial)
    found = layout.read(partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return replace(found, folder=target)


def _download(project: Project, forge: GitHubReleases, assets: Mapping[str, Asset], folder: Path) -> None:
    """Fetch what the sums name: those names are flat, and what they do not name is none of the release's business."""
    forge.download(assets[layout.SUMS], folder / layout.SUMS, max_bytes=_MAX_SUMS)
    listed = layout.sums(folder)
    wanted = [name for name in (*listed, layout.SIGNATURE) if name in assets]
    for name in sorted(assets.keys() - {*wanted, layout.SUMS}):
        project.invocation.say(f"not fetched: {name!r} is not in {layout.SUMS}")
    if sum(assets[name].size for name in wanted) > _MAX_TOTAL:
        raise DeployError(f"the release's files have more than {_MAX_TOTAL:,} bytes")
    for name in wanted:
        asset = assets[name]
        if not asset.whole:
            raise DeployError(f"{name}: its upload did not come to an end", hint=_AGAIN)
        forge.download(asset, folder / name, max_bytes=min(asset.size, MAX_ASSET))
    absent = {name: sha256 for name, sha256 in listed.items() if name not in assets}
    if absent:
        _from_store(project, folder, absent)


def _from_store(project: Project, folder: Path, absent: Mapping[str, str]) -> None:
    """Fetch the files that were too large for assets, by digest, from the store that the configuration names.

    Where the release says that they lie is not followed: it is a claim, and the digest finds them.
    """
    path = folder / layout.RELEASE
    data = path.read_bytes() if path.is_file() else b""
    stored = {file.name for file in decode(data, Release, name=layout.RELEASE).files if file.stored}
    store = artifact_store(project)
    for name, sha256 in absent.items():
        if name not in stored:
            raise DeployError(f"{name}: it is in {layout.SUMS}, and not among the release's files", hint=_AGAIN)
        if store is None:
            raise DeployError(
                f"{name}: it is too large for the release and lies in an artifact store",
                hint="Configure [artifacts] store as it was when the release was made.",
            )
        if not store.get(sha256, folder / name):
            raise DeployError(f"{name}: it is no longer in the artifact store {store.url}")


def _check_tag(project: Project, forge: GitHubReleases | None, release: Release) -> None:
    """Refuse a release whose tag is of another commit: what was measured is what the tag names."""
    named = {release.version, f"{release.model}@{release.version}"}
    if versions.parse(release.version) is None or release.tag not in named:
        raise DeployError(f"{release.tag} is not the tag of {release.model} {release.version}", hint=_AGAIN)
    if forge is not None:
        commit = forge.tagged(release.tag)
    else:
        commit = next((tag.commit for tag in all_tags(project) if tag.name == release.tag), None)
    if commit != release.commit:
        where = f"points at {commit[:10]}" if commit else "is gone"
        raise DeployError(
            f"the tag {release.tag} {where}, and the release was made from {release.commit[:10]}", hint=_AGAIN
        )
