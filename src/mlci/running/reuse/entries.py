"""What was kept of an execution, and which of it an event may take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlci.core.documents import Document, Origin, RunResult, decode, digest, encode
from mlci.errors import DocumentError
from mlci.running.reuse.key import Key
from mlci.running.reuse.observed import Dependency
from mlci.workspace import write_atomically

TRUSTED, CANDIDATE = "trusted", "candidate"
_PREFIX = 32  # of a key, in the name of an entry
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Entry(Document, frozen=True):
    """A result that succeeded, and what it depends on."""

    key: str
    parts: dict[str, str]
    dependencies: tuple[Dependency, ...]
    result: RunResult
    outputs: dict[str, str]  # file in the run's folder of the workspace -> sha256
    produced: dict[str, str]  # file relative to the working directory -> sha256
    origin: Origin
    trusted: bool  # made by the default branch, or on a laptop


@dataclass(frozen=True)
class Entries:
    """The entries in a folder: one folder a tier, a run, and a profile with a seed."""

    folder: Path
    trusted: bool  # whether this event is the default branch's
    repository_id: str | None

    def of(self, key: Key) -> Iterator[tuple[Path, Entry]]:
        """Every entry of `key` that this event may take, the last used first."""
        yield from self._readable(key, f"{key.digest[:_PREFIX]}-*.json")

    def nearest(self, key: Key) -> Entry | None:
        """The last used entry of the same run, profile and seed, whatever its key."""
        return next((entry for _, entry in self._readable(key, "*.json")), None)

    def write(self, entry: Entry, key: Key) -> None:
        """Keep `entry`, in the tier of this event."""
        slot = self._slot(TRUSTED if self.trusted else CANDIDATE, key)
        slot.mkdir(parents=True, exist_ok=True)
        observed = digest(b"".join(encode(dependency) for dependency in entry.dependencies))
        write_atomically(slot / f"{entry.key[:_PREFIX]}-{observed[:16]}.json", encode(entry))

    def _readable(self, key: Key, pattern: str) -> Iterator[tuple[Path, Entry]]:
        tiers = (TRUSTED,) if self.trusted else (TRUSTED, CANDIDATE)
        paths = [path for tier in tiers for path in self._slot(tier, key).glob(pattern)]
        for path in sorted(paths, key=_used_at, reverse=True):
            entry = self._read(path, key)
            if entry is not None:
                yield path, entry

    def _slot(self, tier: str, key: Key) -> Path:
        request = key.request
        seed = "" if request.seed is None else f"@{request.seed}"
        return self.folder / tier / request.run.name / f"{request.run.profile}{seed}"

    def _read(self, path: Path, key: Key) -> Entry | None:
        """The entry at `path`, unless it is damaged, or claims what it may not."""
        try:
            entry = decode(path.read_bytes(), Entry, name=path.name)
        except (OSError, DocumentError):
            return None
        run, result = key.request.run, entry.result
        asked = (run.name, run.profile, key.request.seed, "succeeded", self.repository_id)
        told = (result.name, result.profile, result.seed, result.status, entry.origin.repository_id)
        digests = [*entry.outputs.values(), *entry.produced.values()]
        names = [*entry.outputs, *entry.produced, *(dependency.path for dependency in entry.dependencies)]
        whole = asked == told and all(map(_DIGEST.fullmatch, digests)) and all(map(_can_be_a_file, names))
        return entry if whole and (entry.trusted or not self.trusted) else None


def _can_be_a_file(name: str) -> bool:
    """JSON can spell what no path is: half of a surrogate pair, and the zero byte."""
    return "\0" not in name and name.encode("utf-8", "replace").decode() == name


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
