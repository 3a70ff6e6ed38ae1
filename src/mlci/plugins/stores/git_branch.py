"""The default store: a branch of data on the repository's own remote, or in the clone where it has none."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from mlci import git
from mlci.core.documents import Record, encode
from mlci.errors import GitError, StoreError
from mlci.plugins.stores import layout
from mlci.plugins.stores.git_objects import Objects
from mlci.plugins.stores.git_places import Place, UnsignedError, opened
from mlci.plugins.stores.interface import Entry, Site

_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "mlci"), ("EMAIL", "mlci@noreply.invalid"))
}
_MAX_PAUSE_S = 2.0
_FIRST_BATCH = 4  # the nearest commits usually have the record; each next batch is four times as large
_HINTS = (
    (r"error: 403|Permission to|Write access", "The workflow needs `permissions: contents: write` to save."),
    (
        r"error: 401|Authentication failed|could not read Username|[Nn]ot found|error: 404",
        "Give mlci a token that may read this repository (to save: write).",
    ),
    (r"declined|protected", "A rule of the server forbids the push: let mlci push to this branch."),
)


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
    deadline_s: float = 120.0
    site: Site
    # The commit last read: one command sees one state of the branch, and fetches it once.
    _read_at: dict[str, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def save(self, records: Sequence[Record]) -> list[Record]:
        """Keep `records`, see `Store.save`."""
        wanted = layout.by_path(records)
        self._read_at.clear()
        with self._opened() as place:
            tried: dict[str, Record] = {}
            for _ in self._until_deadline():
                tip = place.tip()
                changed = self._superseding(place.objects, tip, wanted)
                if not changed:  # nothing is new, or the last try arrived although its answer was lost
                    return list(tried.values())
                tried = changed
                if self._published(place, tip, changed):
                    return list(changed.values())
        raise StoreError(
            f"baseline store: {self.describe()}: not saved within {self.deadline_s:.0f} s, others were first",
            hint="Save again: it does no harm.",
        )

    def find(self, run: str, profile: str, commits: Sequence[str]) -> Record | None:
        """The nearest record, see `Store.find`."""
        paths = [layout.path(run, profile, commit) for commit in commits]
        with self._opened() as place:
            tip = self._tip(place)
            size = _FIRST_BATCH
            while tip and paths:
                batch, paths = paths[:size], paths[size:]
                found = place.objects.locate(tip, batch)
                for path in filter(found.__contains__, batch):
                    record = self._record(path, place.objects.read([found[path]])[found[path]])
                    if record is not None:
                        return record
                size *= 4
        return None

    def entries(self) -> Iterator[Entry]:
        """Every record, see `Store.entries`."""
        with self._opened() as place:
            tip = self._tip(place)
            paths = place.objects.files(tip, layout.ROOT, layout.DEPTH) if tip else []
        yield from filter(None, map(layout.entry, paths))

    def describe(self) -> str:
        """The branch and its place, in words."""
        remote = self._remote()
        return f"branch {self.branch} of {remote.url}" if remote else f"local branch {self.branch}"

    def _published(self, place: Place, tip: str | None, records: Mapping[str, Record]) -> bool:
        """Move the branch on by a commit with `records`; False where somebody else was first."""
        try:
            return place.publish(_commit(place.objects, tip, records), tip)
        except UnsignedError:
            if self.site.commit_files is None:
                raise
        # Commits that the server makes itself are signed.
        files = {path: encode(record) for path, record in records.items()}
        return self.site.commit_files(self.branch, tip, files, _message(records)) is not None

    def _superseding(self, objects: Objects, tip: str | None, wanted: Mapping[str, Record]) -> dict[str, Record]:
        """Those of `wanted` that are not in the store, or newer than what is."""
        found = objects.locate(tip, wanted) if tip else {}
        contents = objects.read(found.values())
        stored = {path: self._record(path, contents[oid]) for path, oid in found.items()}
        return {path: new for path, new in wanted.items() if layout.supersedes(new, stored.get(path))}

    def _record(self, path: str, data: bytes) -> Record | None:
        return layout.read(data, path=path, warn=self.site.warn)

    def _tip(self, place: Place) -> str | None:
        known = self._read_at.get(self.branch, "")
        if known is None or (known and not place.objects.missing([known])):
            return known
        self._read_at[self.branch] = tip = place.tip()
        return tip

    def _until_deadline(self) -> Iterator[None]:
        """Tries, with random pauses between them that get longer."""
        deadline = time.monotonic() + self.deadline_s
        pause_s = 0.1
        yield
        while time.monotonic() < deadline:
            time.sleep(random.uniform(0, pause_s))  # noqa: S311 - only spreads writers out
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)
            yield

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


def _commit(objects: Objects, parent: str | None, records: Mapping[str, Record]) -> str:
    """A commit that adds `records` to the tree of `parent`."""
    blobs = {path: objects.write_blob(encode(record)) for path, record in records.items()}
    tree = objects.graft(parent, blobs)
    parents = ("-p", parent) if parent else ()
    return objects.git.with_variables(**_IDENTITY).run("commit-tree", tree, *parents, "-m", _message(records))


def _message(records: Mapping[str, Record]) -> str:
    return f"Save {', '.join(sorted({record.name for record in records.values()}))}"
