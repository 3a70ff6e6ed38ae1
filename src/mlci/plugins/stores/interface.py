"""What a baseline store is: records of the main branch, found by run, profile and commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Protocol, runtime_checkable

from mlci.core.documents import Record

LIMIT = 1024**3  # bytes of a blob
NO_BLOBS: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True)
class Entry:
    """One stored record, without its content."""

    run: str
    profile: str
    commit: str


class CommitFiles(Protocol):
    """Writes files of a branch, and removes those given as None, in one commit that the server signs."""

    def __call__(self, branch: str, parent: str | None, files: Mapping[str, bytes | None], message: str) -> str | None:
        """The commit, or None where the branch is no longer at `parent` (None: the branch does not exist)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where mlci runs: what every store is given beside its own options.

    Args:
        folder: The user's checkout; relative paths of options are seen from here.
        environ: The environment to start processes with.
        token: For servers on `server_url` only.
        server_url: The server that gave the token.
        warn: Takes one line for the user.
        commit_files: Writes a commit through the server's API, which signs it; None where there is no API to ask.
    """

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    token: str | None = field(default=None, repr=False)
    server_url: str = "https://github.com"
    warn: Callable[[str], None] = lambda _line: None
    commit_files: CommitFiles | None = field(default=None, repr=False)


class Store(Protocol):
    """Keeps one record a (run, profile, commit), and blobs: content that records name by its sha256.

    A store is a frozen dataclass whose fields are its options, and `site`. Every method raises StoreError
    when the place cannot be reached or refuses; a damaged record or blob is skipped with a line to `site.warn`.
    """

    name: ClassVar[str]

    @property
    def site(self) -> Site:
        """Where mlci runs."""
        ...

    def save(self, records: Sequence[Record], *, blobs: Mapping[str, bytes] = NO_BLOBS) -> list[Record]:
        """Keep `records` and, by its sha256, each content of `blobs`, all or none.

        Of two records of one (run, profile, commit) the newer wins: the higher run id, then attempt, then the later
        creation; what CI measured is newer than what a laptop did. A blob is written once. Idempotent. Returns the
        records that are in the store now and were not, or differed.
        """
        ...

    def find(self, run: str, profile: str, commits: Sequence[str]) -> Record | None:
        """The record of the first of `commits` that has one."""
        ...

    def history(self, run: str, profile: str, commits: Sequence[str], count: int) -> list[Record]:
        """The records of the first `count` of `commits` that have one, in their order, damaged ones left out."""
        ...

    def blob(self, sha256: str, *, limit: int = LIMIT) -> bytes | None:
        """The content of that digest, checked; None where there is none, or none of at most `limit` bytes."""
        ...

    def entries(self) -> Iterator[Entry]:
        """Every stored record, in the order of their paths."""
        ...

    def prune(self, older_than: datetime, spare: Collection[str], *, dry_run: bool = False) -> list[Entry]:
        """Remove the records created before `older_than`, and the blobs that no other record names.

        The last record of each (run, profile) and the records of the commits `spare` stay. Idempotent; readers
        and writers may be at work meanwhile.

        Args:
            older_than: With a time zone.
            spare: Whole ids of commits.
            dry_run: Only say what would go.

        Returns:
            The records that went.
        """
        ...

    def describe(self) -> str:
        """Where records go, in words, without credentials."""
        ...


@dataclass(frozen=True)
class Published:
    """Pictures that everybody who may read the repository can look at.

    Args:
        commit: It has them whatever becomes of the branch later.
        paths: Where they lie in it, in the order in which they were given.
    """

    commit: str
    paths: tuple[str, ...]


@runtime_checkable
class Gallery(Protocol):
    """What a store can do besides, if it lies where a forge shows its files."""

    @property
    def home(self) -> str | None:
        """The URL of the repository that holds it, without credentials; None where that is this clone."""
        ...

    def publish(self, pictures: Sequence[bytes]) -> Published:
        """Keep `pictures`, at least one, in one commit; none is made where all are there. Idempotent.

        Raises:
            StoreError: The place cannot be reached or refuses.
        """
        ...
