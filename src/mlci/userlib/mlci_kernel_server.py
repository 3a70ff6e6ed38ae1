"""Forks kernels from a process that has imported what they need: `python mlci_kernel_server.py SOCKET`.

A JSON object on stdin says what to preload; whoever connects gets a kernel. Each has a keeper between itself and the
server: the parent of the kernel and of whatever the kernel leaves behind, which it ends. A kernel ends with its
connection, all of them with stdin.

Runs with Python 3.9 and later on Linux, standard library and ipykernel only. It forks only while it has one thread and
no GPU open; otherwise it says why on stdout and ends, and mlci starts each kernel anew.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

import mlci_kernel  # type: ignore[import-not-found]

HEADER = struct.Struct("!Q")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# While modules are preloaded: a thread of a library would not be there in a fork.
_QUIET = {**dict.fromkeys(_THREADS, "1"), "JE_ARROW_MALLOC_CONF": "background_thread:false"}
_KERNEL_MODULES = ("ipykernel.kernelapp", "ipykernel.zmqshell")
# What every kernel imports when it starts, if it is there.
_STARTED_WITH = (
    *("ipykernel.debugger", "IPython.core.completerlib", "IPython.core.debugger", "IPython.core.oinspect"),
    *("IPython.extensions.storemagic", "psutil", "sqlite3", "tornado.platform.asyncio"),
)
_GRACE_S = 0.5  # in which what outlives a kernel may end by itself, as the trackers of multiprocessing and joblib do


def main(path: str) -> None:
    """Serve at the socket `path` until stdin ends; in each kernel, be that kernel."""
    # What modules print when they are imported is no word of the server's.
    out = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    server = _Server(path)
    try:
        server.prepare(json.loads(sys.stdin.buffer.readline() or b"{}").get("preload", []))
    except _UnfitError as error:
        out.write(json.dumps({"unfit": str(error)}) + "\n")
        out.flush()
        return
    server.listen()
    out.write(json.dumps({"ready": True}) + "\n")
    out.close()
    arguments = server.serve()
    if arguments is not None:
        mlci_kernel.run_kernel(arguments)


class _UnfitError(Exception):
    """This process cannot be forked safely."""


class _Server:
    def __init__(self, path: str) -> None:
        self._path = path
        self._keepers: list[int] = []
        self._threads: Any = None  # threadpoolctl's view of the numerical libraries, which takes a while to get
        self._environ: dict[str, str] = {}  # what modules have added to it when they were imported
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def prepare(self, preload: list[str]) -> None:
        before = set(os.environ)
        given = {name: os.environ.get(name) for name in (*_QUIET, "MPLBACKEND")}
        os.environ.update(_QUIET)
        # As ipykernel sets it, before the user's code can import matplotlib, which reads it only then.
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        for name in _STARTED_WITH:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        for name in (*_KERNEL_MODULES, *preload):
            try:
                importlib.import_module(name)
            except Exception as error:
                raise _UnfitError("cannot import {}: {}: {}".format(name, type(error).__name__, error)) from None
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            raise _UnfitError("the preloaded modules leave {} threads".format(threads))
        if any(_link("/proc/self/fd/" + fd).startswith("/dev/nvidia") for fd in os.listdir("/proc/self/fd")):
            raise _UnfitError("the preloaded modules have opened a GPU, which a fork does not survive")
        for name, value in given.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if "numpy" in sys.modules:
            try:
                self._threads = importlib.import_module("threadpoolctl").ThreadpoolController()
            except ImportError:
                raise _UnfitError("without threadpoolctl a preloaded numpy would stay at one thread") from None
        self._environ = {name: value for name, value in os.environ.items() if name not in before}
        mlci_kernel.kernel_class()
        gc.collect()
        gc.freeze()

    def listen(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._listener.bind(self._path)
        self._listener.listen(64)

    def serve(self) -> list[str] | None:
        """Until stdin ends, then None; in each kernel its arguments."""
        while True:
            ready, _, _ = select.select([sys.stdin.fileno(), self._listener], [], [])
            self._keepers = [pid for pid in self._keepers if os.waitpid(pid, os.WNOHANG)[0] == 0]
            if self._listener in ready:
                arguments = self._accept()
                if arguments is not None:
                    return arguments
            if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 4096):
                for pid in self._keepers:
                    os.kill(pid, signal.SIGTERM)
                for pid in self._keepers:
                    os.waitpid(pid, 0)
                return None

    def _accept(self) -> list[str] | None:
        connection, _ = self._listener.accept()
        try:
            connection.settimeout(10)
            request, log = _receive(connection)
        except (OSError, ValueError, EOFError):
            connection.close()
            return None
        try:
            pid = os.fork()
        except OSError:  # whoever asked finds the connection closed, and starts a kernel by itself
            pid = -1
        if pid:
            os.close(log)
            connection.close()
            if pid > 0:
                self._keepers.append(pid)
            return None
        self._listener.close()
        request["environ"] = {**self._environ, **request["environ"]}
        _fork_kernel(connection)
        try:
            _become_kernel(request, log)
            if self._threads is not None:
                _raise_limits(self._threads)
        except OSError as error:
            os.write(log, "cannot start the kernel: {}\n".format(error).encode())
            os._exit(70)
        return list(request["arguments"])


def _fork_kernel(connection: socket.socket) -> None:
    """Fork the kernel, in which this returns; this process becomes its keeper, and ends with it."""
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    told: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    try:
        kernel = os.fork()
    except OSError:
        os._exit(71)
    if kernel == 0:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in (woken, wake):
            os.close(descriptor)
        connection.close()
        return
    try:
        _keep(kernel, connection, woken, told)
    finally:
        os._exit(0)


def _keep(kernel: int, connection: socket.socket, woken: int, told: list[int]) -> None:
    """Wait for the end of a kernel, end what it leaves behind, and say how both went."""
    os.close(0)
    _send(connection, {"pid": kernel, "keeper": os.getpid()})
    status = None
    while status is None:
        ready, _, _ = select.select([woken, connection.fileno()], [], [])
        if woken in ready:
            os.read(woken, 4096)
        if told or (connection.fileno() in ready and not _alive(connection)):
            told.append(1)
            os.kill(kernel, signal.SIGKILL)
        status = _reap(kernel)
    left: set[int] = set()
    began = time.monotonic()
    with contextlib.suppress(ChildProcessError):  # none is left
        while time.monotonic() - began < 10 * _GRACE_S:
            _reap(kernel)
            if told or time.monotonic() - began >= _GRACE_S:
                for pid in _children(os.getpid()):
                    left.add(pid)
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
    _send(connection, {"status": status, "leftovers": len(left)})


def _reap(kernel: int) -> int | None:
    """Take whatever has ended; the kernel's status if it is among them.

    Raises:
        ChildProcessError: There is no child any more, and the kernel was none of those that have ended.
    """
    status = None
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            if status is None:
                raise
            return status
        if pid == 0:
            return status
        if pid == kernel:
            status = ended


def _become_kernel(request: dict[str, Any], log: int) -> None:
    """Make this fork what a newly started process would be."""
    keeper = os.getppid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for descriptor in (null, log):
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    # ipykernel has read the old value when it was imported; its poller ends the kernel with its parent.
    os.environ["JPY_PARENT_PID"] = str(keeper)
    request["arguments"].append("--IPKernelApp.parent_handle={}".format(keeper))
    time.tzset()
    _forget_state()
    _spare_teardown()
    if "MLCI_OBSERVE" in os.environ:
        _observing().observe(os.environ["MLCI_OBSERVE"])


def _forget_state() -> None:
    """Random numbers anew, as in a process of its own."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()


def _spare_teardown() -> None:
    """Leave the modules that were there before the user's code as they are when Python ends.

    To take them apart, as it does, costs as much as the start, and nothing of the user's is in them.
    """
    known = getattr(sys, "stdlib_module_names", None)
    if known is None:
        return
    own = {*known, "__main__"}
    shared = {name: module for name, module in sys.modules.items() if name.partition(".")[0] not in own}

    def leave() -> None:
        for name, module in shared.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

    # Never freed: else they would be torn down when the last reference goes.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(shared))
    atexit.register(leave)


def _raise_limits(threads: Any) -> None:
    """As many threads as the libraries would have taken by themselves."""
    cores = str(len(os.sched_getaffinity(0)))
    openmp = os.environ.get("OMP_NUM_THREADS", cores)
    wanted = {"openmp": openmp, "blas": os.environ.get("OPENBLAS_NUM_THREADS", openmp)}
    threads.limit(limits={api: int(number) for api, number in wanted.items() if number.isdigit()})
    numexpr, number = sys.modules.get("numexpr"), os.environ.get("NUMEXPR_NUM_THREADS", openmp)
    if numexpr is not None and number.isdigit():
        numexpr.set_num_threads(int(number))


def _observing() -> Any:
    """What a process of its own would have imported as `sitecustomize`."""
    path = os.path.join(os.path.dirname(__file__), "observing", "sitecustomize.py")
    spec: Any = importlib.util.spec_from_file_location("mlci_observing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _receive(connection: socket.socket) -> tuple[dict[str, Any], int]:
    """A request and the descriptor that the kernel's own output goes to."""
    head, descriptors, _, _ = socket.recv_fds(connection, HEADER.size, 1)
    data = bytearray(head)
    while len(data) < HEADER.size:
        data += _some(connection)
    size = HEADER.unpack(bytes(data[: HEADER.size]))[0] + HEADER.size
    while len(data) < size:
        data += _some(connection)
    if not descriptors:
        raise ValueError("no descriptor")
    return json.loads(bytes(data[HEADER.size :])), descriptors[0]


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise EOFError
    return data


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    try:
        connection.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return


def _alive(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def _children(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/{}/stat".format(name), "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(name))
    return found


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


if __name__ == "__main__":
    # This folder, for `mlci_kernel` above, is no part of the kernels' path; PYTHONPATH may name it.
    del sys.path[0]
    main(sys.argv[1])
