"""What the folders and files around a run are to it: its own, declared, scratch, caches, installed."""

from __future__ import annotations

import os.path
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlci import userlib
from mlci.config import Config, Run
from mlci.plugins.executors.interface import Job
from mlci.running.known import PLACES, matches
from mlci.running.outputs import taken
from mlci.running.reuse import code

_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc", "/proc", "/sys", "/dev", "/run", "/var/lib")
_CACHES = (".cache", ".config", ".ipython", ".jupyter", ".local/share/jupyter", ".matplotlib", ".local/share/fonts")
_CACHE_VARIABLES = (
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "IPYTHONDIR", "XDG_RUNTIME_DIR"),
    *("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"),
)
LITTER = ("__pycache__", ".ipynb_checkpoints")  # what tools leave behind; nobody asks for it


@dataclass(frozen=True, kw_only=True)
class Places:
    """The places of one run; every path is real, without links."""

    repository: str
    cwd: str
    inputs: frozenset[str]  # declared: files, or folders that DVC tracks
    outputs: tuple[tuple[str, ...], ...]  # patterns, relative to `cwd`, in parts
    folders: tuple[tuple[str, ...], ...]  # those of them whose folders hold nothing but outputs
    own: tuple[str, ...]  # what mlci gives to the run
    hidden: tuple[str, ...]  # what mlci keeps beside it
    scratch: tuple[str, ...]  # whatever is written there is gone, or no result
    caches: tuple[str, ...]  # of libraries: taken to hold what their names say
    installed: tuple[str, ...]  # with the interpreter or the system

    @classmethod
    def of(cls, config: Config, run: Run, job: Job, inputs: dict[str, str], hidden: tuple[Path, ...]) -> Places:
        """Those of `run`.

        Args:
            config: The configuration.
            run: The run.
            job: One execution of it.
            inputs: Its fingerprint.
            hidden: Folders of mlci, such as the workspace, whose coming and going tells nothing.
        """
        home = job.environ.get("HOME") or str(Path.home())
        cwd = os.path.realpath(run.cwd)
        named = {config.root / name for name in inputs if not name.startswith("[")}
        if run.kind == "notebook" and run.path:
            named.discard(run.path)  # of it only the code is in the key
        elif run.kind == "command":
            named |= {run.cwd / word for word in code.named(run, job.argv)}
        python = Path(job.python or "")
        temporary = [job.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
        patterns = taken(run.table, run.cwd)
        checkpoint = [str(run.cwd / run.table.checkpoint)] if run.table.checkpoint else []
        return cls(
            repository=os.path.realpath(config.repository),
            cwd=cwd,
            inputs=frozenset(os.path.realpath(path) for path in named),
            outputs=_parts(patterns),
            # A known place in any folder at all says nothing about a folder.
            folders=_parts(pattern for pattern in patterns if not (pattern in PLACES and pattern.startswith("*"))),
            own=_real(job.outputs, Path(userlib.__file__).parent),
            hidden=_real(*hidden),
            scratch=_real(*filter(None, temporary), tempfile.gettempdir(), "/dev/shm", *checkpoint),  # noqa: S108
            caches=_real(
                *(Path(home, name) for name in _CACHES),
                *filter(None, (job.environ.get(name) for name in _CACHE_VARIABLES)),
            ),
            installed=_real(*_SYSTEM, python.parent.parent, python.resolve().parent.parent),
        )

    def is_output(self, path: str) -> bool:
        """Whether a declared output is called so."""
        return any(matches(self._parts(path), pattern) for pattern in self.outputs)

    def leads_to_output(self, folder: str) -> bool:
        """Whether declared outputs may lie below a folder."""
        parts = self._parts(folder)
        return any(matches(parts, pattern[:end]) for pattern in self.folders for end in range(len(pattern)))

    def _parts(self, path: str) -> tuple[str, ...]:
        return Path(os.path.relpath(path, self.cwd)).parts

    def is_input(self, path: str) -> bool:
        """Whether the run's `inputs` hold a file."""
        return path in self.inputs or any(str(parent) in self.inputs for parent in Path(path).parents)

    def shown(self, path: str) -> str:
        """As a person would write it."""
        return os.path.relpath(path, self.repository) if within(path, (self.repository,)) else path


def within(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is one of `folders`, or below one."""
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def _parts(patterns: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(Path(os.path.normpath(pattern)).parts for pattern in patterns)


def _real(*paths: Path | str) -> tuple[str, ...]:
    found = dict.fromkeys(os.path.realpath(path) for path in paths)
    return tuple(path for path in found if path != os.sep)  # "/" would be everything
