"""What a baseline store is: records of the main branch, found by run, profile and commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from mlci.core.documents import Record


@dataclass(frozen=True)
class Entry:
    """One stored record, without its content."""

    run: str
    profile: str
    commit: str


class CommitFiles(Protocol):
    """Adds files to a branch in one commit that the server signs."""

    def __call__(self, branch: str, parent: str | None, files: Mapping[str, bytes], message: str) -> str | None:
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
    """Keeps one record a (run, profile, commit).

    A store is a frozen dataclass whose fields are its options, and `site`. Every method raises StoreError
    when the place cannot be reached or refuses; a damaged record is skipped with a line to `site.warn`.
    """

    name: ClassVar[str]

    @property
    def site(self) -> Site:
        """Where mlci runs."""
        ...

    def save(self, records: Sequence[Record]) -> list[Record]:
        """Keep `records`, all or none; of two of one (run, profile, commit) the newer wins.

        Newer is the higher run id, then attempt, then the later creation; what CI measured is newer than
        what a laptop did. Idempotent. Returns those that are in the store now and were not, or differed.
        """
        ...

    def find(self, run: str, profile: str, commits: Sequence[str]) -> Record | None:
        """The record of the first of `commits` that has one."""
        ...

    def entries(self) -> Iterator[Entry]:
        """Every stored record, in the order of their paths."""
        ...

    def describe(self) -> str:
        """Where records go, in words, without credentials."""
        ...
