"""Brings the files of a recorded run together, each by its digest: from the artifact store, this machine, or CI."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mlci.core.documents import Artifact, Record
from mlci.core.release import FileKind, ReleaseFile
from mlci.errors import ForgeError, UsageError
from mlci.plugins.forges import artifact_zip
from mlci.plugins.targets.interface import sha256_of
from mlci.project import Project
from mlci.releasing.artifact_store import ArtifactStore
from mlci.releasing.models import Model

MAX_ASSET = 2 * 1024**3 - 1  # bytes: GitHub takes assets under 2 GiB
_MAX_ZIP = 8 * 1024**3


@dataclass
class Sources:
    """Where the files of one record may lie.

    Args:
        project: Whose workspace, configuration and forge.
        record: Of what.
        artifact: What the workflow run called its artifact.
        scratch: A folder for what is downloaded.
    """

    project: Project
    record: Record
    artifact: str
    scratch: Path
    _archive: list[Path | None] = field(default_factory=list, init=False)

    def find(self, sha256: str, stored: str | None, to: Path) -> str | None:
        """Copy the file of that digest to `to`; where it was, or None."""
        store = artifact_store(self.project)
        if store is not None and store.get(sha256, to):
            return store.where(sha256)
        local = self.project.workspace.folder / stored if stored else None
        if local is not None and local.is_file() and not local.is_symlink() and sha256_of(local) == sha256:
            shutil.copyfile(local, to)
            return str(local)
        archive = self.archive() if stored else None
        if archive is not None and stored and artifact_zip.copy_entry(archive, stored, to, shown=self.artifact):
            if sha256_of(to) == sha256:
                return f"workflow run {self.record.origin.run_id}"
            to.unlink()
        return None

    def kept(self, path: str, to: Path) -> bool:
        """Copy something that mlci itself keeps, such as the executed notebook; it has no digest of its own."""
        local = self.project.workspace.folder / path
        if self._is_own() and local.is_file() and not local.is_symlink():
            shutil.copyfile(local, to)
            return True
        archive = self.archive()
        return archive is not None and artifact_zip.copy_entry(archive, path, to, shown=self.artifact)

    def archive(self) -> Path | None:
        """The artifact of the workflow run that measured, downloaded once; None where there is none."""
        if not self._archive:
            self._archive.append(self._downloaded())
        return self._archive[0]

    def _downloaded(self) -> Path | None:
        run_id = self.record.origin.run_id
        if run_id is None or not run_id.isdecimal() or self.project.context.token is None:
            return None
        try:
            forge = self.project.forge
            found = next((item for item in forge.artifacts(int(run_id)) if item.name == self.artifact), None)
            if found is None or found.expired:
                return None
            to = self.scratch / "artifact.zip"
            forge.download(found, to, max_bytes=_MAX_ZIP)
        except ForgeError as error:
            self.project.invocation.say(f"the artifact of workflow run {run_id} cannot be had: {error.message}")
            return None
        return to

    def _is_own(self) -> bool:
        """Whether the workspace here holds this very record."""
        path = self.project.workspace.path("record.json")
        if not path.is_file():
            return False
        document, _ = self.project.workspace.records()
        return any(
            (item.name, item.origin.commit, item.origin.created_at)
            == (self.record.name, self.record.origin.commit, self.record.origin.created_at)
            for item in document.records
        )


@contextmanager
def sources(project: Project, record: Record, artifact: str) -> Iterator[Sources]:
    """Where the files of `record` may lie."""
    with tempfile.TemporaryDirectory(prefix="mlci-") as scratch:
        yield Sources(project, record, artifact, Path(scratch))


def artifact_store(project: Project) -> ArtifactStore | None:
    """The configured artifact store."""
    table = project.config.settings.artifacts
    if table.store is None:
        return None
    url = table.store if "://" in table.store else str(project.config.root / table.store)
    return ArtifactStore(url, table.options)


def fill_store(project: Project, records: list[Record]) -> None:
    """Keep the artifacts of saved records, as far as they lie in this workspace, until they are released."""
    store = artifact_store(project)
    for artifact in (artifact for record in records for artifact in record.artifacts) if store else ():
        local = project.workspace.folder / artifact.stored if artifact.stored else None
        if store is not None and local is not None and local.is_file() and not local.is_symlink():
            store.put(local, artifact.sha256)


def artifacts_of(model: Model, record: Record) -> list[Artifact]:
    """Those of a record's artifacts that belong to the model.

    Raises:
        UsageError: The configuration names one that the run did not leave.
    """
    known = {artifact.path: artifact for artifact in record.artifacts}
    wanted = model.table.artifacts or tuple(path for path in known if path != model.table.golden)
    missing = [path for path in wanted if path not in known]
    if missing or not wanted:
        what = f"{missing[0]!r}" if missing else "any artifact"
        raise UsageError(
            f"model {model.name}: the record of {record.name} has not {what}",
            hint=f"It has: {', '.join(known) or 'none'}. Say which in [runs.{record.name}] artifacts.",
        )
    return [known[path] for path in wanted]


def gather(found: Sources, model: Model, folder: Path) -> list[ReleaseFile]:
    """Put the model's artifacts into `folder`, under flat names.

    Raises:
        UsageError: One is to be had nowhere, or is too large and there is no artifact store.
    """
    files: list[ReleaseFile] = []
    taken: set[str] = set()
    for artifact in artifacts_of(model, found.record):
        name = _flat(artifact.path, taken)
        to = folder / name
        if artifact.size > MAX_ASSET and artifact_store(found.project) is None:
            raise UsageError(
                f"{artifact.path}: {artifact.size:,} bytes, and a release takes files under 2 GiB",
                hint="Configure [artifacts] store: what is larger stays there, and is referred to by digest.",
            )
        where = found.find(artifact.sha256, artifact.stored, to)
        if where is None:
            raise UsageError(
                f"{artifact.path} as it was recorded (sha256 {artifact.sha256[:12]}) is to be had nowhere",
                hint="Its copy and the workflow's artifact are gone or differ: measure the commit again, or configure "
                "[artifacts] store, which keeps artifacts when a baseline is saved.",
            )
        # What is too large for an asset stays in the store, to be fetched from there by its digest.
        stored = where if artifact.size > MAX_ASSET else None
        files.append(describe(to, "artifact", source=artifact.path, stored=stored))
    return files


def describe(path: Path, kind: FileKind, *, source: str | None = None, stored: str | None = None) -> ReleaseFile:
    """A file of the release that lies in its folder."""
    return ReleaseFile(
        name=path.name, size=path.stat().st_size, sha256=sha256_of(path), kind=kind, source=source, stored=stored
    )


def _flat(path: str, taken: set[str]) -> str:
    """A name without folders that nothing else has."""
    plain = PurePosixPath(path)
    cleaned = "".join(item if item.isascii() and (item.isalnum() or item in "._-") else "-" for item in plain.name)
    name = cleaned.lstrip(".-_") or "file"
    count = 1
    while name in taken:
        count += 1
        name = f"{count}-{cleaned}"
    taken.add(name)
    return name
