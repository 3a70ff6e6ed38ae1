"""A target in a model repository of a Hugging Face Hub: a tag a version, `main` is what is served."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlci.core import versions
from mlci.errors import DeployError
from mlci.plugins.targets import manifest, rules
from mlci.plugins.targets.interface import Deployed, Package, TargetSite, TargetStatus, sha256_of
from mlci.plugins.targets.manifest import Manifest
from mlci.plugins.targets.refusals import refusals

_MAIN = "main"
_MISSING, _CONFLICTS = 404, (409, 412)
_HINT = "Set HF_TOKEN to a token that may write to the repository."


@dataclass(frozen=True, kw_only=True)
class HuggingFaceTarget:
    """Commits a version on a branch of its own and tags it; a switch is one commit on `main` that names its parent.

    So the Hub itself compares and swaps, `from_pretrained` without a revision gets what is served, with one any version
    that was kept. Files on `main` that no version brought are left alone. Of large files a switch moves only pointers.

    Args:
        repo_id: Such as "team/churn"; it holds one model and is made where it does not exist.
        endpoint: Of another Hub.
        private: Whether a repository that is made is private.
        site: Where mlci runs; HF_TOKEN is read from its environment.
    """

    name: ClassVar[str] = "huggingface"
    stages: ClassVar[bool] = True

    repo_id: str
    endpoint: str | None = None
    private: bool = True
    site: TargetSite

    def status(self, model: str) -> TargetStatus:
        """What is there, see `Target.status`."""
        with self._refusals():
            return self._hub(model).status()

    def upload(self, package: Package) -> None:
        """Commit and tag, see `Target.upload`."""
        with self._refusals():
            rules.check_package(package)
            hub = self._hub(package.model)
            if rules.is_held(package, hub.status().kept):
                hub.check(package, package.version)
            else:
                hub.put(package, private=self.private)

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Commit the version's files on `main`, see `Target.switch`."""
        with self._refusals():
            rules.check_version(to.version)
            hub = self._hub(model)
            parent = hub.refs()[0].get(_MAIN)
            if not rules.may_switch(hub.status(main=parent), to, expected):
                return
            try:
                hub.serve(to.version, parent=parent)
            except OSError as error:  # HfHubHTTPError is one
                if _status_code(error) not in _CONFLICTS:
                    raise
            current = hub.status().current
            if current != to:
                raise rules.conflict(to, expected, current)

    def describe(self) -> str:
        """The repository, in words."""
        return f"Hugging Face repository {self.repo_id}"

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals(self, extra="huggingface", hint=_HINT)

    def _hub(self, model: str) -> _Hub:
        from huggingface_hub import HfApi  # noqa: PLC0415 - slow, and only for this target
        from huggingface_hub.utils import disable_progress_bars  # noqa: PLC0415

        rules.check_model(model)
        disable_progress_bars()
        token = self.site.environ.get("HF_TOKEN") or None
        return _Hub(HfApi(endpoint=self.endpoint, token=token, library_name="mlci"), self.repo_id, model)


@dataclass(frozen=True)
class _Hub:
    api: Any  # huggingface_hub.HfApi
    repo_id: str
    model: str

    def refs(self) -> tuple[dict[str, str], dict[str, str]]:
        """Branches and tags with their commits; none where the repository does not exist."""
        try:
            found = self.api.list_repo_refs(self.repo_id)
        except OSError as error:
            if _status_code(error) != _MISSING:
                raise
            return {}, {}
        return (
            {ref.name: ref.target_commit for ref in found.branches},
            {ref.name: ref.target_commit for ref in found.tags},
        )

    def status(self, main: str | None = None) -> TargetStatus:
        """What is there; served is what `main` holds now, or held at that commit."""
        branches, tags = self.refs()
        commit = main or branches.get(_MAIN)
        served = self.manifest(commit) if commit else None
        kept = [found.deployed for tag in tags if versions.parse(tag) and (found := self.manifest(tag, version=tag))]
        return TargetStatus(current=served.deployed if served else None, kept=rules.sorted_by_version(kept))

    def manifest(self, revision: str, version: str | None = None) -> Manifest | None:
        with tempfile.TemporaryDirectory(prefix="mlci-target-") as folder:
            try:
                path = self._download(rules.MANIFEST, revision, folder)
            except OSError as error:
                if _status_code(error) != _MISSING:
                    raise
                return None
            what = f"{rules.MANIFEST} at {revision}"
            return manifest.read_manifest(path.read_bytes(), what, model=self.model, version=version)

    def check(self, package: Package, revision: str) -> None:
        """Read every file back."""
        for file in package.files:
            with tempfile.TemporaryDirectory(prefix="mlci-target-") as folder:
                path = self._download(file.name, revision, folder)
                rules.check_file(file, path.stat().st_size, sha256_of(path), "there")

    def put(self, package: Package, *, private: bool) -> None:
        from huggingface_hub import CommitOperationAdd  # noqa: PLC0415

        self.api.create_repo(self.repo_id, private=private, exist_ok=True)
        branch = f"mlci-{package.version}"
        branches, _ = self.refs()
        start = branches.get(_MAIN)
        if start is None:
            raise DeployError(f"the repository has no branch {_MAIN}")
        if branch in branches:  # of a try that was killed
            self.api.delete_branch(self.repo_id, branch=branch)
        self.api.create_branch(self.repo_id, branch=branch, revision=start)
        described = manifest.manifest_of(package)
        added = [CommitOperationAdd(file.name, str(package.folder / file.name)) for file in package.files]
        added.append(CommitOperationAdd(rules.MANIFEST, manifest.encode(described)))
        made = self.api.create_commit(
            self.repo_id,
            [*self._removals(start, described), *added],
            commit_message=f"{package.model} {package.version}",
            revision=branch,
            parent_commit=start,
        )
        self.check(package, made.oid)
        self.api.create_tag(self.repo_id, tag=package.version, revision=made.oid, tag_message=package.digest)
        self.api.delete_branch(self.repo_id, branch=branch)

    def serve(self, version: str, *, parent: str | None) -> None:
        from huggingface_hub import CommitOperationCopy  # noqa: PLC0415

        wanted = self.manifest(version, version=version)
        if wanted is None or parent is None:
            raise DeployError(f"{version} is not there")
        copied = [
            CommitOperationCopy(src_path_in_repo=name, path_in_repo=name, src_revision=version)
            for name in (*(file.name for file in wanted.files), rules.MANIFEST)
        ]
        self.api.create_commit(
            self.repo_id,
            [*self._removals(parent, wanted), *copied],
            commit_message=f"Serve {self.model} {version}",
            revision=_MAIN,
            parent_commit=parent,
        )

    def _removals(self, revision: str, wanted: Manifest) -> list[Any]:
        """Takes away what the version at `revision` brought and `wanted` does not."""
        from huggingface_hub import CommitOperationDelete  # noqa: PLC0415

        before = self.manifest(revision)
        gone = {file.name for file in before.files} - {file.name for file in wanted.files} if before else set()
        return [CommitOperationDelete(name, is_folder=False) for name in sorted(gone)]

    def _download(self, name: str, revision: str, folder: str) -> Path:
        return Path(self.api.hf_hub_download(self.repo_id, name, revision=revision, local_dir=folder))


def _status_code(error: OSError) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
