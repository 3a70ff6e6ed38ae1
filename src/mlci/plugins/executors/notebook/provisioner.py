"""Has a kernel forked by a server of the user's interpreter; to jupyter_client it is a process like any other."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Unicode

from mlci.plugins.executors.notebook.servers import HEADER

_ANSWER_S = 10.0


class ForkedProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Asks the fork server at `server` for a kernel."""

    server = Unicode(config=True)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ANN401 - Popen's arguments
        """Fork a kernel; `cmd` is what would start it otherwise.

        Raises:
            OSError: The server does not answer.
        """
        self.process = ForkedProcess(
            Path(self.server),
            arguments=cmd[2:],  # without the interpreter and the launcher
            environ=kwargs["env"],
            cwd=str(kwargs["cwd"]),
            log=kwargs["stdout"],
        )
        self.pid = self.pgid = self.process.pid
        self.cwd = kwargs["cwd"]
        return self.connection_info


class ForkedProcess:
    """What jupyter_client needs of `subprocess.Popen`, for a process that another one has forked."""

    stdin = stdout = stderr = None

    def __init__(self, server: Path, *, arguments: list[str], environ: dict[str, str], cwd: str, log: int) -> None:
        request = json.dumps({"arguments": arguments, "environ": environ, "cwd": cwd}).encode()
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(_ANSWER_S)
        self._connection.connect(str(server))
        socket.send_fds(self._connection, [HEADER.pack(len(request))], [log])
        self._connection.sendall(request)
        self._rest = b""
        self.ended: dict[str, Any] = {}
        self.returncode: int | None = None
        forked = self._message(_ANSWER_S)
        self.pid: int = forked["pid"]
        self.keeper: int = forked["keeper"]  # its parent, to whom what it leaves behind comes

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self._finish()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            TimeoutError: It has not come within `timeout` seconds.
        """
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise TimeoutError
            self._finish()
        assert self.returncode is not None  # noqa: S101 - set by _finish
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _finish(self) -> None:
        try:
            self.ended = self._message(_ANSWER_S)
            self.returncode = os.waitstatus_to_exitcode(self.ended["status"])
        except (OSError, EOFError):
            # The server itself is gone, and its kernels with it.
            self.returncode = -signal.SIGKILL
        self._connection.close()

    def _message(self, timeout_s: float) -> Any:  # noqa: ANN401 - a JSON object
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            self._connection.settimeout(max(0.01, deadline - time.monotonic()))
            data = self._connection.recv(65536)
            if not data:
                raise EOFError
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)
