"""What all stores share: `runs/<name>/<profile>/<aa>/<commit>.json`, and which of two records wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mlci.core.documents import Record, decode, encode
from mlci.errors import DocumentError, StoreError
from mlci.plugins.stores.interface import Entry

ROOT = "runs"
DEPTH = 4  # levels from there to a record
NARROW = 2  # the level of a path at which there is little but folders: a run's, of its profiles

_NAME = r"[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{0,63}"
_COMMIT = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_PATH = re.compile(
    rf"{ROOT}/(?P<run>{_NAME})/(?P<profile>{_NAME})/(?P<shard>[0-9a-f]{{2}})/(?P<commit>{_COMMIT})\.json"
)


def path(run: str, profile: str, commit: str) -> str:
    """Where a record lies, with forward slashes.

    Raises:
        StoreError: A name or commit that no record can have.
    """
    found = f"{ROOT}/{run}/{profile}/{commit[:2]}/{commit}.json"
    if not _PATH.fullmatch(found):
        raise StoreError(f"baseline: no record can be kept as run {run!r}, profile {profile!r}, commit {commit!r}")
    return found


def record_path(record: Record) -> str:
    """Where `record` belongs.

    Raises:
        StoreError: It has no commit, or a name that no record can have.
    """
    if record.origin.commit is None:
        raise StoreError(
            f"baseline: the record of {record.name!r} names no commit",
            hint="Baselines belong to commits: run inside a git repository that has one.",
        )
    return path(record.name, record.profile, record.origin.commit)


def entry(path: str) -> Entry | None:
    """What the path of a record says; None for any other path."""
    found = _PATH.fullmatch(path)
    if not found or not found["commit"].startswith(found["shard"]):
        return None
    return Entry(found["run"], found["profile"], found["commit"])


def read(data: bytes, *, path: str, warn: Callable[[str], None]) -> Record | None:
    """The record at `path`, or None and a warning where it is damaged or belongs elsewhere."""
    try:
        record = decode(data, Record, name=path)
    except DocumentError as error:
        warn(f"baseline skipped: {error.message}")
        return None
    if Entry(record.name, record.profile, record.origin.commit or "") != entry(path):
        warn(f"baseline skipped: {path} holds a record of another run, profile or commit")
        return None
    return record


def by_path(records: Iterable[Record]) -> dict[str, Record]:
    """The records to keep, by their paths; of two of one path the newer.

    Raises:
        StoreError: As `record_path`.
    """
    kept: dict[str, Record] = {}
    for record in records:
        place = record_path(record)
        if place not in kept or supersedes(record, kept[place]):
            kept[place] = record
    return kept


def supersedes(new: Record, old: Record | None) -> bool:
    """Whether `new` takes the place of `old`: it differs, and is not older."""
    # Compared as written: a NaN inside a document differs from itself.
    return old is None or (_age(new) >= _age(old) and encode(new) != encode(old))


def created(record: Record) -> datetime | None:
    """When `record` was made, with a time zone; None where what it says is no date."""
    try:
        said = datetime.fromisoformat(record.origin.created_at)
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def _age(record: Record) -> tuple[int, int, datetime]:
    """Sorts by run id and attempt, then by time; what CI measured comes after what a laptop did."""
    origin = record.origin
    run_id = origin.run_id or ""
    return (
        int(run_id) if re.fullmatch(r"[0-9]{1,20}", run_id) else -1,
        origin.run_attempt or 0,
        created(record) or datetime(1, 1, 1, tzinfo=UTC),
    )
