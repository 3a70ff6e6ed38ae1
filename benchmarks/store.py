"""What reading a baseline costs beside 10 records on the data branch, and beside 10,000.

    python benchmarks/store.py                   about a minute and a half
    python benchmarks/store.py --records 1000 --rounds 5

Git's own server over HTTP on loopback serves both branches, one commit a record, each record of about 8 kB with
predictions of its own. Every read is from a fresh clone; the reads of both branches alternate, and medians are shown.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakes.full_stores import commits, fill
from fakes.git_server import GitServer, git_server
from fakes.repositories import ENVIRON, Repository, repository
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.plugins.stores.interface import Site

FEW = 10
LAST = 20

Read = Callable[[GitBranchStore, list[str]], object]


def one_baseline(store: GitBranchStore, known: list[str]) -> object:
    """The record of the merge base."""
    return store.find("churn", "full", known[:200])


def its_predictions(store: GitBranchStore, known: list[str]) -> object:
    """The record and the predictions that it names."""
    record = store.find("churn", "full", known[:200])
    return record and store.blob(record.predictions[0].sha256)


def the_last(store: GitBranchStore, known: list[str]) -> object:
    """What `mlci history` reads."""
    return store.history("churn", "full", known[:200], LAST)


READS: dict[str, Read] = {
    "one baseline": one_baseline,
    "one baseline and its predictions": its_predictions,
    f"history of the last {LAST}": the_last,
}


@dataclass
class Branch:
    """A store of so many records.

    Args:
        server: Who serves it.
        known: The commits that were measured, the newest first.
        clone: A clone in which mlci has never been.
    """

    server: GitServer
    known: list[str]
    clone: Repository
    seconds: dict[str, list[float]] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, server: GitServer, count: int, folder: Path) -> Branch:
        """Make the branch, and the clone."""
        name = f"team/of-{count}"
        clone = repository(folder / str(count))
        clone.commit()
        clone.git("remote", "add", "origin", server.create(name))
        known = commits(count)
        fill(server.folder(name), known)
        return cls(server, known, clone)

    def time(self, name: str, read: Read) -> None:
        """Read once from a fresh clone."""
        fresh = self.clone.folder.with_name("fresh")
        shutil.copytree(self.clone.folder, fresh)
        store = GitBranchStore(site=Site(folder=fresh, environ=ENVIRON))
        self.server.requests.clear()
        before = self.server.moved
        start = time.perf_counter()
        found = read(store, self.known)
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)
        self.moved[name] = self.server.moved - before
        self.requests[name] = len(self.server.requests)
        if not found:
            raise RuntimeError(f"{name}: nothing was read")
        shutil.rmtree(fresh)


def main() -> None:
    """Print bytes, requests, medians and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, git_server(Path(scratch) / "served") as server:
        few, many = (Branch.of(server, count, Path(scratch)) for count in (FEW, options.records))
        for _ in range(options.rounds):
            for name, read in READS.items():
                few.time(name, read)
                many.time(name, read)
    print(f"| read | records | moved | requests | median | times that of {FEW} |\n|---|---|---|---|---|---|")
    for name in READS:
        usual = statistics.median(few.seconds[name])
        for branch in (few, many):
            median = statistics.median(branch.seconds[name])
            print(
                f"| {name} | {len(branch.known):,} | {branch.moved[name] / 1000:.1f} kB | {branch.requests[name]} "
                f"| {1000 * median:.0f} ms | {median / usual:.2f} |"
            )


if __name__ == "__main__":
    main()
