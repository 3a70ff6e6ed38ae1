"""A record that another workflow run left, taken through the forge: hostile data about a known commit."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlci.config.tables import NAME_PATTERN
from mlci.core.documents import Record, RecordsDocument, decode, digest
from mlci.core.record import kept_beside
from mlci.errors import DocumentError
from mlci.plugins.forges import artifact_zip
from mlci.plugins.forges.interface import Forge, Pull, WorkflowRun
from mlci.workspace import RECORDS, brought

_MAX_RECORDS = 1_000
_MAX_METRICS = 100_000
_MAX_FILES = 1_000  # predictions and plots
_MAX_CONTENTS = 256 * 1024 * 1024  # bytes, of all of them together


@dataclass(frozen=True, kw_only=True)
class Received:
    """What a workflow run left.

    Args:
        document: The record, or None.
        missing: Why there is none.
        contents: What the record names by digest: predictions, then plots.
    """

    document: RecordsDocument | None = None
    missing: str | None = None
    contents: tuple[bytes, ...] = ()


def receive(forge: Forge, run: WorkflowRun, artifact: str) -> Received:
    """Read `record.json`, and the predictions and plots that it names, out of the newest artifact of that name.

    Raises:
        DocumentError: The artifact or the record is not what an honest run leaves.
        ForgeError: The forge is out of reach.
    """
    found = next((item for item in forge.artifacts(run.id) if item.name == artifact), None)
    if found is None:
        return Received(missing=f"workflow run {run.id} left no artifact {artifact!r}")
    if found.expired:
        return Received(missing=f"the artifact {artifact!r} of workflow run {run.id} has expired")
    shown = f"artifact {artifact!r}"
    if found.size > artifact_zip.MAX_BYTES:
        raise DocumentError(f"{shown}: {found.size:,} bytes, at most {artifact_zip.MAX_BYTES:,} are read")
    with tempfile.TemporaryDirectory(prefix="mlci-") as folder:
        archive = Path(folder) / "artifact.zip"
        forge.download(found, archive, max_bytes=artifact_zip.MAX_BYTES)
        with artifact_zip.opened(archive, shown=shown) as read:
            data = read(RECORDS)
            if data is None:
                return Received(missing=f"{shown} holds no {RECORDS}: mlci did not get that far")
            document = decode(data, RecordsDocument, name=RECORDS)
            check_claims(document)
            return Received(document=document, contents=tuple(_contents(read, document)))


def _contents(read: Callable[[str], bytes | None], document: RecordsDocument) -> Iterator[bytes]:
    """Those that are there, up to a size in all; without them less is known or shown, and nothing else changes."""
    left = _MAX_CONTENTS
    for file in {file.sha256: file for record in document.records for file in kept_beside(record)}.values():
        for place in filter(None, (file.stored, brought(file))):
            content = read(place) if file.size <= min(left, artifact_zip.MAX_ENTRY) else None
            left -= len(content or b"")  # also where it is not what was said: reading it took as long
            if content is not None and digest(content) == file.sha256:
                yield content
                break


def check_claims(document: RecordsDocument) -> None:
    """Refuse records that no run of mlci makes, whoever wrote them.

    Raises:
        DocumentError: A name that no run can have, the same run twice, or more than a report can hold.
    """
    if len(document.records) > _MAX_RECORDS:
        raise DocumentError(f"{RECORDS}: {len(document.records):,} records, at most {_MAX_RECORDS:,} are read")
    seen: set[str] = set()
    for record in document.records:
        for what, name in (("run", record.name), ("profile", record.profile)):
            if not re.fullmatch(NAME_PATTERN, name):
                raise DocumentError(f"{RECORDS}: {name[:80]!r} is not the name of a {what}")
        if record.name in seen:
            raise DocumentError(f"{RECORDS}: the run {record.name!r} is in it twice")
        seen.add(record.name)
    files = [file for record in document.records for file in kept_beside(record)]
    if len(files) > _MAX_FILES:
        raise DocumentError(f"{RECORDS}: {len(files):,} predictions and plots, at most {_MAX_FILES:,} are read")
    if any(file.size < 0 for file in files):
        raise DocumentError(f"{RECORDS}: a file has less than no bytes")
    metrics = sum(len(record.metrics) for record in document.records)
    if metrics > _MAX_METRICS:
        raise DocumentError(f"{RECORDS}: {metrics:,} metrics, at most {_MAX_METRICS:,} are read")


def of_commit(document: RecordsDocument, sha: str | None) -> RecordsDocument:
    """The records as measured at `sha`, which the forge vouches for, in place of what they claim.

    Nor do they get to name the command that a reader may paste.
    """
    return msgspec.structs.replace(
        document,
        records=tuple(
            msgspec.structs.replace(
                record, command=None, origin=msgspec.structs.replace(record.origin, commit=sha, run_url=None)
            )
            for record in document.records
        ),
    )


def measured_commit(records: tuple[Record, ...]) -> str | None:
    """The commit that the records claim to be of, where they agree."""
    claimed = {record.origin.commit for record in records}
    return claimed.pop() if len(claimed) == 1 else None


def base_commit(forge: Forge, pull: Pull, claimed: str | None) -> str:
    """The commit on the base branch that a pull request is to be compared with.

    What was checked out is a claim of the run; it only chooses between three commits that the forge names: the first
    parent of the test merge, the merge base of a head that was checked out itself, and the base.
    """
    if claimed and claimed == pull.merge_sha:
        merge = forge.commit(claimed)
        if merge and len(merge.parents) == 2 and merge.parents[1] == pull.head_sha:  # noqa: PLR2004 - a merge of two
            return merge.parents[0]
    if claimed and claimed == pull.head_sha:
        return forge.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    return pull.base_sha
