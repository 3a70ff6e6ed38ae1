"""A running kernel as the engine talks to it: started, proved ready, listened to without polling, ended for certain."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_core.utils import ensure_async, run_sync

Channel = Literal["shell", "iopub"]
Message = dict[str, Any]

_TICK_S = 0.2
_RECONNECT_MS = 5  # zmq's own 100 would be waited for at every start
_WELCOME_S = 0.3  # kernels without a welcome message: ask again until something was heard
_MAX_ASKED = 10
_ENDING_S = 5.0
_PATIENCE_S = 2.5  # with a kernel that was asked to end
_BATCH = 500  # messages between two looks at the clock


class KernelDiedError(Exception):
    """The kernel is gone, or never came."""


class Kernel:
    """One kernel.

    Args:
        manager: Of jupyter_client; blocking or asynchronous.
        on_log: Receives what the kernel's process prints past its channels.
    """

    def __init__(self, manager: Any, *, on_log: Callable[[bytes], object] = lambda _data: None) -> None:  # noqa: ANN401 - jupyter_client publishes no types
        self.manager = manager
        self.info: dict[str, Any] = {}
        self._on_log = on_log
        self._poller = zmq.Poller()
        self._log: int | None = None
        self._pidfd: int | None = None
        self._client: Any = None
        self._last_asked_alive = 0.0

    @property
    def client(self) -> Any:  # noqa: ANN401 - jupyter_client publishes no types
        """Its client of jupyter_client, whose channels are read by `messages` alone."""
        return self._client

    @property
    def pid(self) -> int | None:
        """The process, where it runs on this machine."""
        return getattr(self.manager.provisioner, "pid", None)

    @property
    def exit_status(self) -> int | None:
        """How the process has ended, once `messages` has said so: negative for a signal; None if that is not known."""
        process: Any = getattr(self.manager.provisioner, "process", None)
        with contextlib.suppress(Exception):
            # Its end is seen a moment before whoever started it has waited for it.
            return int(process.wait(timeout=2))
        return None

    @property
    def leftovers(self) -> int:
        """How many processes outlived it, as far as the server that forked it has ended them."""
        process = getattr(self.manager.provisioner, "process", None)
        return int(getattr(process, "ended", {}).get("leftovers", 0))

    @property
    def keeper(self) -> int | None:
        """The process to which comes what the kernel leaves behind, if that is not this one."""
        return getattr(getattr(self.manager.provisioner, "process", None), "keeper", None)

    @property
    def is_alive(self) -> bool:
        """Whether its process has not ended."""
        if self._pidfd is None:
            return self._still_there()
        return not select.select([self._pidfd], [], [], 0)[0]

    def start(self, *, environ: Mapping[str, str] | None, cwd: str | None, arguments: list[str]) -> None:
        """Start the process and connect to it.

        Raises:
            KernelDiedError: It could not be started.
        """
        read, write = os.pipe()
        self._log = read
        os.set_blocking(read, False)
        self._poller.register(read, zmq.POLLIN)
        options: dict[str, Any] = {"stdout": write, "stderr": write, "extra_arguments": arguments}
        if environ is not None:
            options["env"] = dict(environ)
        if cwd is not None:
            options["cwd"] = cwd
        try:
            _wait(self.manager.start_kernel(**options))
        except Exception as error:
            raise KernelDiedError(f"{type(error).__name__}: {error}") from None
        finally:
            os.close(write)
        self.connect()

    def connect(self) -> None:
        """Connect to a kernel that runs already."""
        client = BlockingKernelClient(context=zmq.Context())
        # Nothing that a fast kernel says is dropped for a slow reader.
        client.context.setsockopt(zmq.RCVHWM, 0)
        client.context.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        client.load_connection_info(self.manager.get_connection_info())
        client.session.key = self.manager.session.key
        client.start_channels(stdin=False, hb=False)
        client.allow_stdin = False
        self._client = client
        for socket in (client.shell_channel.socket, client.iopub_channel.socket):
            self._poller.register(socket, zmq.POLLIN)
        if self.pid is not None and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._pidfd = os.pidfd_open(self.pid)
                self._poller.register(self._pidfd, zmq.POLLIN)

    def wait_until_ready(self, timeout_s: float, *, given_up: Callable[[], bool] = lambda: False) -> None:
        """Wait for the kernel's answer on its shell channel and for proof that its output will be heard.

        Raises:
            KernelDiedError: It ended, did not answer in time, or `given_up` said so.
        """
        deadline = time.monotonic() + timeout_s
        asked, asked_at, heard = 1, time.monotonic(), False
        self._client.kernel_info()
        while True:
            for channel, message in self.messages(_TICK_S if not self.info else 0.02):
                heard = heard or channel == "iopub"
                if message["msg_type"] == "kernel_info_reply":
                    self.info = message["content"]
            now = time.monotonic()
            if self.info and (heard or asked > _MAX_ASKED):
                return
            if self.info and not heard and now - asked_at > _WELCOME_S:
                self._client.kernel_info()
                asked, asked_at = asked + 1, now
            if given_up():
                raise KernelDiedError("mlci was told to stop")
            if now > deadline:
                raise KernelDiedError(f"no answer within {timeout_s:g} s")

    def execute(self, code: str, *, stop_on_error: bool) -> str:
        """Have the kernel run `code`; the id of the request."""
        return str(self._client.execute(code, store_history=True, stop_on_error=stop_on_error, allow_stdin=False))

    def messages(self, timeout_s: float) -> Iterator[tuple[Channel, Message]]:
        """What has come, or comes within `timeout_s`: all of it, without waiting for more.

        Raises:
            KernelDiedError: The process has ended; everything that it had said was handed out before.
        """
        ready = dict(self._poller.poll(int(timeout_s * 1000)))
        died = self._pidfd in ready or (self._pidfd is None and not self._still_there())
        if self._log in ready:
            self._read_log()
        yield from self._waiting("iopub")
        yield from self._waiting("shell")
        if died:
            # The last messages may still be on their way through the socket.
            while self._poller.poll(50) and (late := [*self._waiting("iopub"), *self._waiting("shell")]):
                yield from late
            self._read_log()
            raise KernelDiedError("the kernel's process has ended")

    def _waiting(self, channel: Channel) -> Iterator[tuple[Channel, Message]]:
        socket = getattr(self._client, f"{channel}_channel").socket
        session = self._client.session
        for _ in range(_BATCH):
            try:
                _, message = session.recv(socket, mode=zmq.NOBLOCK)
            except ValueError:  # not signed by our kernel
                continue
            if message is None:
                return
            yield channel, message

    def _read_log(self) -> None:
        if self._log is None:
            return
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._log, 65536):
                self._on_log(data)
            # Everybody who could write is gone.
            self._poller.unregister(self._log)
            os.close(self._log)
            self._log = None

    def _still_there(self) -> bool:
        """Asked of kernels whose process is not a file descriptor here, once a second."""
        now = time.monotonic()
        if now - self._last_asked_alive < 1:
            return True
        self._last_asked_alive = now
        return bool(_wait(self.manager.is_alive()))

    def interrupt(self) -> None:
        """SIGINT, or the message that stands for it."""
        with contextlib.suppress(Exception):
            _wait(self.manager.interrupt_kernel())

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel's process group."""
        if self.pid is not None:
            with contextlib.suppress(OSError):
                os.killpg(os.getpgid(self.pid), number)

    def kill(self) -> None:
        """SIGKILL to its process group."""
        if self.pid is None:
            with contextlib.suppress(Exception):
                _wait(self.manager.shutdown_kernel(now=True))
        self.send_signal(signal.SIGKILL)

    def ask_to_end(self) -> None:
        """Ask for an orderly shutdown, in which `atexit` handlers run; does not wait."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.shutdown()

    def close(self, within_s: float = _ENDING_S) -> None:
        """Wait a while for the end, hasten what has not ended, and release everything."""
        began = time.monotonic()
        hastened = False
        with contextlib.suppress(KernelDiedError):
            while self._client is not None and time.monotonic() - began < within_s:
                for _ in self.messages(_TICK_S):
                    pass
                if not hastened and time.monotonic() - began >= min(_PATIENCE_S, within_s / 2):
                    # It may wait for children that have ended and that nobody has waited for.
                    self.send_signal(signal.SIGTERM)
                    hastened = True
            self.kill()
        if self._pidfd is not None:
            select.select([self._pidfd], [], [], _ENDING_S)
        self._read_log()
        self.disconnect()
        process = getattr(self.manager.provisioner, "process", None)
        if process is not None:
            with contextlib.suppress(Exception):
                process.wait(timeout=_ENDING_S)
        with contextlib.suppress(Exception):
            _wait(self.manager.cleanup_resources())

    def disconnect(self) -> None:
        """Leave the kernel to itself."""
        for descriptor in (self._pidfd, self._log):
            if descriptor is not None:
                os.close(descriptor)
        self._pidfd = self._log = None
        if self._client is not None:
            self._client.context.destroy(linger=0)
            self._client = None


def _wait(value: Any) -> Any:  # noqa: ANN401 - the value of an awaitable, or itself
    return run_sync(ensure_async)(value) if hasattr(value, "__await__") else value
