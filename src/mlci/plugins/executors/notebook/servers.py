"""The fork servers of one `mlci run`: one for each interpreter, environment and list of preloaded modules."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlci import userlib

_SERVER = Path(userlib.__file__).parent / "mlci_kernel_server.py"
HEADER = struct.Struct("!Q")  # of a request: the length of what follows
_READY_S = 120.0
_MAX_SERVERS = 8
_LONGEST = 60  # of the system's limit of 107 characters
# What differs from execution to execution, and no library reads when it is imported.
_PER_EXECUTION = ("MLCI_", "CUDA_VISIBLE_DEVICES", "MLFLOW_RUN_CONTEXT")

_Key = tuple[str, tuple[str, ...], frozenset[tuple[str, str]], str]


@dataclass(frozen=True)
class Forkable:
    """A kernel that may be forked."""

    python: str
    environ: Mapping[str, str] = field(repr=False)
    cwd: Path
    preload: Sequence[str] = ()

    @property
    def shared(self) -> dict[str, str]:
        """The variables that it has in common with the others of its server."""
        return {name: value for name, value in self.environ.items() if not name.startswith(_PER_EXECUTION)}

    @property
    def key(self) -> _Key:
        """What it must have in common with them."""
        # Python makes relative entries absolute where it starts.
        entries = self.environ.get("PYTHONPATH", "").split(os.pathsep)
        where = "" if all(map(os.path.isabs, entries)) else str(self.cwd)
        return self.python, tuple(self.preload), frozenset(self.shared.items()), where


@dataclass
class _Server:
    process: subprocess.Popen[bytes]
    socket: Path
    ready: bool | None = None  # None: it has not said yet
    reason: str = "it does not answer"


@dataclass
class KernelServers:
    """Starts servers before they are needed and ends them all in `close`."""

    _folder: tempfile.TemporaryDirectory[str] | None = None
    _servers: dict[_Key, _Server] = field(default_factory=dict)

    def start(self, kernel: Forkable) -> None:
        """Start the server for such kernels, if there is none yet; does not wait for it."""
        if sys.platform != "linux" or kernel.key in self._servers or len(self._servers) >= _MAX_SERVERS:
            return
        if self._folder is None:
            self._folder = private_folder()
        path = Path(self._folder.name) / f"{len(self._servers)}.sock"
        process = subprocess.Popen(
            [kernel.python, str(_SERVER), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=kernel.key[-1] or self._folder.name,
            env=kernel.shared,
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - a pipe, as asked for
        process.stdin.write(json.dumps({"preload": list(kernel.preload)}).encode() + b"\n")
        process.stdin.flush()
        self._servers[kernel.key] = _Server(process, path)

    def address(self, kernel: Forkable, *, given_up: Callable[[], bool] = lambda: False) -> Path | None:
        """The socket of the server for such kernels, once it is ready; None if each must be a new process."""
        server = self._servers.get(kernel.key)
        if server is None:
            return None
        if server.ready is None:
            self._hear(server, given_up)
        return server.socket if server.ready and server.process.poll() is None else None

    def refusal(self, kernel: Forkable) -> str | None:
        """Why there is no server although modules were to be preloaded."""
        if not kernel.preload or self.address(kernel) is not None:
            return None
        server = self._servers.get(kernel.key)
        many = f"there are more than {_MAX_SERVERS} environments" if sys.platform == "linux" else "it needs Linux"
        return f"nothing was preloaded: {server.reason if server else many}"

    @property
    def pids(self) -> tuple[int, ...]:
        """The servers' processes."""
        return tuple(server.process.pid for server in self._servers.values())

    def close(self) -> None:
        """End every server, and with it whatever kernel it still has."""
        for server in self._servers.values():
            assert server.process.stdin is not None and server.process.stdout is not None  # noqa: S101, PT018
            server.process.stdin.close()
        deadline = time.monotonic() + 2
        for server in self._servers.values():
            try:
                server.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
            server.process.stdout.close()  # type: ignore[union-attr]
        self._servers.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @staticmethod
    def _hear(server: _Server, given_up: Callable[[], bool]) -> None:
        assert server.process.stdout is not None  # noqa: S101 - a pipe, as asked for
        deadline = time.monotonic() + _READY_S
        while not select.select([server.process.stdout], [], [], 0.1)[0]:
            if given_up() or time.monotonic() > deadline:
                server.ready = False
                return
        try:
            said = json.loads(server.process.stdout.readline())
        except ValueError:
            said = {"unfit": "the interpreter cannot import ipykernel"}
        server.ready = bool(said.get("ready"))
        server.reason = str(said.get("unfit", server.reason))


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that nobody else may enter, with a path that leaves room for the name of a socket."""
    long = len(tempfile.gettempdir()) > _LONGEST and os.access("/tmp", os.W_OK)  # noqa: S108 - private within it
    return tempfile.TemporaryDirectory(prefix="mlci-", dir="/tmp" if long else None, ignore_cleanup_errors=True)  # noqa: S108
