"""Which records and blobs a store lets go: what is old, is nobody's last record, and is not released."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mlci.core.documents import Record
from mlci.core.record import kept_beside
from mlci.plugins.stores import blobs, layout
from mlci.plugins.stores.interface import Entry

_NO_DATE = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """What has to be known of a record; its content need not be held."""

    path: str
    entry: Entry
    created: datetime
    blobs: frozenset[str]  # their paths


def kept(path: str, record: Record | None) -> Kept | None:
    """What has to be known of the record at `path`; None where it cannot be read."""
    if record is None:
        return None
    return Kept(
        path=path,
        entry=Entry(record.name, record.profile, record.origin.commit or ""),
        created=layout.created(record) or _NO_DATE,
        blobs=frozenset(f"{blobs.ROOT}/{file.sha256[:2]}/{file.sha256}" for file in kept_beside(record)),
    )


def outgoing(
    records: Iterable[Kept | None],
    stored: Iterable[str],
    *,
    older_than: datetime,
    spare: Collection[str],
) -> tuple[list[Entry], list[str]]:
    """What has to go.

    A record whose date cannot be told stays, and so does one that cannot be read. While there is such a one all blobs
    stay, too: which of them it names is not known.

    Args:
        records: Every stored record, by `kept`.
        stored: The paths of all blobs.
        older_than: Records created before go; with a time zone.
        spare: Commits whose records stay.

    Returns:
        The records; and the paths of theirs, with those of the blobs that no other record names.
    """
    known = list(records)
    readable = sorted(filter(None, known), key=lambda item: item.created)
    dated = [item for item in readable if item.created < _NO_DATE]
    last = set({(item.entry.run, item.entry.profile): item.path for item in dated}.values())
    gone = {
        item.path: item.entry
        for item in readable
        if item.created < older_than and item.entry.commit not in spare and item.path not in last
    }
    named = {name for item in readable if item.path not in gone for name in item.blobs}
    unnamed = [path for path in stored if path not in named] if len(readable) == len(known) else []
    return [gone[path] for path in sorted(gone)], [*sorted(gone), *unnamed]
