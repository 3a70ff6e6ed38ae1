"""The fork servers of one `mlci run`: one for each interpreter, environment and list of preloaded modules."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlci.userlib import mlci_kernel

_READY_S = 120.0
_MAX_SERVERS = 8
# What differs from execution to execution, and no library reads when it is imported.
_PER_EXECUTION = ("MLCI_", "CUDA_VISIBLE_DEVICES")

_Key = tuple[str, tuple[str, ...], frozenset[tuple[str, str]]]


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

    def start(self, python: str, environ: Mapping[str, str], preload: Sequence[str]) -> None:
        """Start the server for such kernels, if there is none yet; does not wait for it."""
        key = _key(python, environ, preload)
        if sys.platform != "linux" or key in self._servers or len(self._servers) >= _MAX_SERVERS:
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="mlci-", ignore_cleanup_errors=True)
        path = Path(self._folder.name) / f"{len(self._servers)}.sock"
        process = subprocess.Popen(
            [python, mlci_kernel.__file__, "--serve", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env={name: value for name, value in environ.items() if not name.startswith(_PER_EXECUTION)},
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - a pipe, as asked for
        process.stdin.write(json.dumps({"preload": list(preload)}).encode() + b"\n")
        process.stdin.flush()
        self._servers[key] = _Server(process, path)

    def address(self, python: str, environ: Mapping[str, str], preload: Sequence[str]) -> Path | None:
        """The socket of the server for such kernels, once it is ready; None if each must be a new process."""
        server = self._servers.get(_key(python, environ, preload))
        if server is None:
            return None
        if server.ready is None:
            self._hear(server)
        return server.socket if server.ready and server.process.poll() is None else None

    def refusal(self, python: str, environ: Mapping[str, str], preload: Sequence[str]) -> str | None:
        """Why there is no server although modules were to be preloaded."""
        if not preload or self.address(python, environ, preload) is not None:
            return None
        server = self._servers.get(_key(python, environ, preload))
        reason = server.reason if server else "it needs Linux"
        return f"nothing was preloaded: {reason}"

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
    def _hear(server: _Server) -> None:
        assert server.process.stdout is not None  # noqa: S101 - a pipe, as asked for
        server.ready = False
        if select.select([server.process.stdout], [], [], _READY_S)[0]:
            try:
                said = json.loads(server.process.stdout.readline())
            except ValueError:
                server.reason = "the interpreter cannot import ipykernel"
                return
            server.ready = bool(said.get("ready"))
            server.reason = str(said.get("unfit", server.reason))


def _key(python: str, environ: Mapping[str, str], preload: Sequence[str]) -> _Key:
    shared = {name: value for name, value in environ.items() if not name.startswith(_PER_EXECUTION)}
    return python, tuple(preload), frozenset(shared.items())
