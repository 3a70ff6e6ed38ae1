"""The default store: a branch of data on the repository's own remote, or in the clone where it has none."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from mlci import git
from mlci.core.documents import Record, encode
from mlci.errors import GitError, StoreError
from mlci.plugins.stores import layout, retention
from mlci.plugins.stores import pictures as gallery
from mlci.plugins.stores.blobs import DEPTH as BLOB_DEPTH
from mlci.plugins.stores.blobs import ROOT as BLOBS
from mlci.plugins.stores.blobs import pack, unpack
from mlci.plugins.stores.blobs import path as blob_path
from mlci.plugins.stores.git_objects import Objects, is_blob
from mlci.plugins.stores.git_places import Place, UnsignedError, opened
from mlci.plugins.stores.interface import LIMIT, NO_BLOBS, Entry, Published, Site
from mlci.plugins.stores.retention import Kept, kept

T = TypeVar("T")

_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "mlci"), ("EMAIL", "mlci@noreply.invalid"))
}
_MAX_PAUSE = 8  # times what a try takes
_MAX_PAUSE_S = 15.0
_FIRST_BATCH = 4  # the nearest commits usually have the record; each next batch is four times as large
_AT_ONCE = 500  # records whose content is held at a time where all are read
_HINTS = (
    (r"error: 403|Permission to|Write access", "The workflow needs `permissions: contents: write` to save."),
    (
        r"error: 401|Authentication failed|could not read Username|[Nn]ot found|error: 404",
        "Give mlci a token that may read this repository (to save: write).",
    ),
    (r"declined|protected", "A rule of the server forbids the push: let mlci push to this branch."),
)


@dataclass(frozen=True)
class _Change(Generic[T]):
    """What a commit does, and what is told of it."""

    told: list[T]
    files: Mapping[str, bytes | None]  # None: removed
    message: str


@dataclass(frozen=True, kw_only=True)
class GitBranchStore:
    """Keeps records as files of an orphan branch, which nobody needs to check out.

    The checkout, index, stash, configuration and shallow file of the clone stay as they are. Any number of
    processes may save at once, from one clone or from many.

    Args:
        branch: The branch; made when something is saved.
        remote: The remote that holds it. Where the clone has no such remote, its own branch is the store.
        deadline_s: For how long `save` keeps trying while others save too, in seconds.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "git-branch"

    branch: str = "mlci-data"
    remote: str = "origin"
    deadline_s: float = 300.0
    site: Site
    # The commit last read: one command sees one state of the branch, and fetches it once.
    _read_at: dict[str, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def save(self, records: Sequence[Record], *, blobs: Mapping[str, bytes] = NO_BLOBS) -> list[Record]:
        """Keep `records` and `blobs`, see `Store.save`."""
        wanted, packed = layout.by_path(records), pack(blobs)

        def plan(objects: Objects, tip: str | None) -> _Change[Record]:
            new = self._superseding(objects, tip, wanted)
            files = {path: encode(record) for path, record in new.items()} | self._lacking(objects, tip, packed)
            names = sorted({record.name for record in new.values()})
            return _Change(list(new.values()), files, f"Save {', '.join(names) or 'blobs'}")

        return self._committed(plan)[0]

    def find(self, run: str, profile: str, commits: Sequence[str]) -> Record | None:
        """The nearest record, see `Store.find`."""
        paths = [layout.path(run, profile, commit) for commit in commits]
        with self._opened() as place:
            tip = self._tip(place)
            size = _FIRST_BATCH
            while tip and paths:
                batch, paths = paths[:size], paths[size:]
                found = place.objects.locate(tip, batch, narrow=layout.NARROW)
                for path in filter(found.__contains__, batch):
                    record = self._record(path, place.objects.read([found[path]])[found[path]])
                    if record is not None:
                        return record
                size *= 4
        return None

    def history(self, run: str, profile: str, commits: Sequence[str], count: int) -> list[Record]:
        """The nearest records, see `Store.history`: one fetch for what there is, one for the records."""
        paths = [layout.path(run, profile, commit) for commit in commits]
        with self._opened() as place:
            tip = self._tip(place)
            found = place.objects.locate(tip, paths, narrow=layout.NARROW) if tip else {}
            nearest = [path for path in paths if path in found][:count]
            contents = place.objects.read(found[path] for path in nearest)
            read = [self._record(path, contents[found[path]]) for path in nearest]
        return [record for record in read if record is not None]

    def blob(self, sha256: str, *, limit: int = LIMIT) -> bytes | None:
        """Content by its digest, see `Store.blob`."""
        path = blob_path(sha256)
        with self._opened() as place:
            tip = self._tip(place)
            found = place.objects.locate(tip, [path]) if tip else {}
            data = place.objects.read(found.values())
        return unpack(data[found[path]], path, limit=limit, warn=self.site.warn) if found else None

    def entries(self) -> Iterator[Entry]:
        """Every record, see `Store.entries`."""
        with self._opened() as place:
            tip = self._tip(place)
            paths = place.objects.files(tip, layout.ROOT, layout.DEPTH) if tip else {}
        yield from filter(None, map(layout.entry, paths))

    def prune(self, older_than: datetime, spare: Collection[str], *, dry_run: bool = False) -> list[Entry]:
        """Remove what is old, see `Store.prune`: one commit on top, so that nobody's history changes.

        Pictures go whatever their age: comments show them as of the commit that brought them, which stays.
        """
        read: dict[tuple[str, str], Kept | None] = {}  # by path and object: another try reads what is new

        def plan(objects: Objects, tip: str | None) -> _Change[Entry]:
            stored = objects.files(tip, BLOBS, BLOB_DEPTH) if tip else {}
            found = objects.files(tip, layout.ROOT, layout.DEPTH) if tip else {}
            records = [(path, oid) for path, oid in found.items() if layout.entry(path)]
            read.update(self._summaries(objects, [item for item in records if item not in read]))
            known = [read[item] for item in records]
            gone, paths = retention.outgoing(known, stored, older_than=older_than, spare=spare)
            shown = objects.files(tip, gallery.ROOT, gallery.DEPTH) if tip else {}
            message = f"Prune {len(gone)} records, {len(paths) - len(gone)} blobs and {len(shown)} pictures"
            return _Change(gone, dict.fromkeys([*paths, *shown]), message)

        if dry_run:
            with self._opened() as place:
                return plan(place.objects, place.tip()).told
        return self._committed(plan)[0]

    @property
    def home(self) -> str | None:
        """The remote's URL, see `Gallery.home`."""
        remote = self._remote()
        return remote.url if remote else None

    def publish(self, pictures: Sequence[bytes]) -> Published:
        """Keep pictures, see `Gallery.publish`."""
        files = {gallery.path(content): content for content in pictures}

        def plan(objects: Objects, tip: str | None) -> _Change[str]:
            found = objects.locate(tip, files) if tip else {}
            lacking = {path: data for path, data in files.items() if not is_blob(found.get(path, ""), data)}
            return _Change([], lacking, f"Show {len(lacking)} pictures")

        _, commit = self._committed(plan)
        return Published(commit or "", tuple(map(gallery.path, pictures)))

    def describe(self) -> str:
        """The branch and its place, in words."""
        remote = self._remote()
        return f"branch {self.branch} of {remote.url}" if remote else f"local branch {self.branch}"

    def _committed(self, plan: Callable[[Objects, str | None], _Change[T]]) -> tuple[list[T], str | None]:
        """Do what `plan` finds to do at the tip, and again where somebody else moved the branch first.

        Returns:
            What was done, and the commit at which it is.
        """
        self._read_at.clear()
        with self._opened() as place:
            tip: str | None = None
            tried: list[T] = []
            for _ in self._until_deadline():
                tip = place.tip(since=tip)
                change = plan(place.objects, tip)
                if not change.files:  # nothing is to do, or the last try arrived although its answer was lost
                    return tried, tip
                tried = change.told
                commit = self._moved(place, tip, change.files, change.message)
                if commit:
                    return tried, commit
        raise StoreError(
            f"baseline store: {self.describe()}: not saved within {self.deadline_s:.0f} s, others were first",
            hint="Do it again: it does no harm.",
        )

    def _moved(self, place: Place, tip: str | None, files: Mapping[str, bytes | None], message: str) -> str | None:
        """Move the branch on by a commit; None where somebody else was first."""
        try:
            commit = _commit(place.objects, tip, files, message)
            return commit if place.publish(commit, tip) else None
        except UnsignedError:
            if self.site.commit_files is None:
                raise
        # Commits that the server makes itself are signed.
        return self.site.commit_files(self.branch, tip, files, message)

    def _superseding(self, objects: Objects, tip: str | None, wanted: Mapping[str, Record]) -> dict[str, Record]:
        """Those of `wanted` that are not in the store, or newer than what is."""
        found = objects.locate(tip, wanted, narrow=layout.NARROW) if tip else {}
        contents = objects.read(found.values())
        stored = {path: self._record(path, contents[oid]) for path, oid in found.items()}
        return {path: new for path, new in wanted.items() if layout.supersedes(new, stored.get(path))}

    def _lacking(self, objects: Objects, tip: str | None, packed: Mapping[str, bytes]) -> dict[str, bytes]:
        """Those of the packed blobs that are not in the store, or damaged there."""
        found = objects.locate(tip, packed) if tip else {}
        # What another zlib packed reads as the same.
        others = objects.read(oid for path, oid in found.items() if not is_blob(oid, packed[path]))
        damaged = [
            path
            for path, oid in found.items()
            if oid in others and unpack(others[oid], path, limit=LIMIT, warn=self.site.warn) is None
        ]
        return {path: data for path, data in packed.items() if path not in found or path in damaged}

    def _summaries(
        self, objects: Objects, places: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[tuple[str, str], Kept | None]]:
        """What retention has to know of the records at places: all are fetched at once, a few held at a time."""
        objects.have(oid for _, oid in places)
        for start in range(0, len(places), _AT_ONCE):
            batch = places[start : start + _AT_ONCE]
            contents = objects.read(oid for _, oid in batch)
            yield from (((path, oid), kept(path, self._record(path, contents[oid]))) for path, oid in batch)

    def _record(self, path: str, data: bytes) -> Record | None:
        return layout.read(data, path=path, warn=self.site.warn)

    def _tip(self, place: Place) -> str | None:
        known = self._read_at.get(self.branch, "")
        if known is None or (known and not place.objects.missing([known])):
            return known
        self._read_at[self.branch] = tip = place.tip()
        return tip

    def _until_deadline(self) -> Iterator[None]:
        """Tries, with random pauses between them: the longer, the longer a try takes and the more have failed."""
        deadline = time.monotonic() + self.deadline_s
        for failed in itertools.count(1):
            began = time.monotonic()
            yield
            ended = time.monotonic()
            if ended >= deadline:
                return
            # What many writers keep busy, they or the server, is slow: those who wait longer let the others through.
            pause_s = min(max(ended - began, 0.1) * min(2**failed, _MAX_PAUSE), _MAX_PAUSE_S, deadline - ended)
            time.sleep(random.uniform(0, pause_s))  # noqa: S311 - only spreads writers out

    def _remote(self) -> git.Remote | None:
        site = self.site
        return git.remote(site.folder, self.remote, site.environ, token=site.token, server_url=site.server_url)

    @contextmanager
    def _opened(self) -> Iterator[Place]:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", self.branch):
            raise StoreError(f"baseline store: {self.branch!r} is not a branch's name")
        try:
            with opened(self.site, self.branch, self._remote()) as place:
                yield place
        except GitError as error:
            hint = next((hint for pattern, hint in _HINTS if re.search(pattern, error.message)), error.hint)
            raise StoreError(f"baseline store: {self.describe()}: {error.message}", hint=hint) from None


def _commit(objects: Objects, parent: str | None, files: Mapping[str, bytes | None], message: str) -> str:
    """A commit that writes `files` into the tree of `parent`, or takes them out."""
    blobs = {path: None if data is None else objects.write_blob(data) for path, data in files.items()}
    tree = objects.graft(parent, blobs)
    parents = ("-p", parent) if parent else ()
    return objects.git.with_variables(**_IDENTITY).run("commit-tree", tree, *parents, "-m", message)
