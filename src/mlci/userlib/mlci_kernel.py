"""Starts ipykernel in the user's interpreter, once or by forking from a server that has imported it already.

    python mlci_kernel.py -f CONNECTION_FILE [ipykernel's options]
    python mlci_kernel.py --serve SOCKET     preloads what a JSON object on stdin says, then forks a kernel a request

Runs with Python 3.9 and later, standard library and ipykernel only. A server forks only while it has one thread and no
GPU open; otherwise it says why on stdout and ends, and mlci starts each kernel anew.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import functools
import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import re
import select
import signal
import socket
import struct
import sys
from typing import Any, Callable

_SNDHWM = 23  # of zmq, which comes with ipykernel
HEADER = struct.Struct("!Q")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_KERNEL_MODULES = ("ipykernel.kernelapp", "ipykernel.zmqshell")
# What every kernel imports when it starts, if it is there.
_STARTED_WITH = (
    *("ipykernel.debugger", "IPython.core.completerlib", "IPython.core.debugger", "IPython.core.oinspect"),
    *("IPython.extensions.storemagic", "psutil", "sqlite3", "tornado.platform.asyncio"),
)
# While modules are preloaded: a thread of a library would not be there in a fork.
_QUIET = {**dict.fromkeys(_THREADS, "1"), "JE_ARROW_MALLOC_CONF": "background_thread:false"}
_KERNEL_SEED = "MLCI_KERNEL_SEED"  # for mlci alone: gone before the user's code runs


def main() -> None:
    """Run what the command line says."""
    # As `python -m ipykernel_launcher`: the folder of this file is on the path by PYTHONPATH if at all.
    del sys.path[0]
    if sys.argv[1:2] == ["--serve"]:
        kernel = _Server(sys.argv[2]).run()
        if kernel is None:
            return
        arguments = kernel
    else:
        arguments = sys.argv[1:]
    _run_kernel(arguments)


def _run_kernel(arguments: list[str]) -> None:
    # ipykernel captures descriptor 2; a stack dump of a dying kernel must reach the log past it.
    faulthandler.enable(file=os.fdopen(os.dup(2), "w"))
    seed = os.environ.pop(_KERNEL_SEED, None)
    if seed is not None:
        _seed_on_import(int(seed))
    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [launcher.origin if launcher and launcher.origin else "ipykernel_launcher", *arguments]
    _kernel_class().launch_instance()


@functools.lru_cache(maxsize=None)
def _kernel_class() -> Any:
    from ipykernel import kernelapp  # noqa: PLC0415 - the path and the seeds come first

    class Kernel(kernelapp.IPKernelApp):
        def init_iopub(self, context: Any) -> None:
            # With more than a thousand messages under way to a slow reader zmq would drop the next ones.
            context.setsockopt(_SNDHWM, 0)
            super().init_iopub(context)  # type: ignore[no-untyped-call]

        def parse_command_line(self, argv: Any = None) -> None:
            # The parser for all of ipykernel's options takes a third of the start of a forked kernel.
            config = _as_config(argv or sys.argv[1:])
            if config is None:
                super().parse_command_line(argv)
            else:
                self.update_config(self.config.__class__(config))

    return Kernel


def _as_config(arguments: list[str]) -> dict[str, dict[str, Any]] | None:
    """What `-f FILE` and `--Class.option=value` say; None where there is anything else."""
    config: dict[str, dict[str, Any]] = {"IPKernelApp": {}}
    rest = list(arguments)
    if rest[:1] == ["-f"]:
        config["IPKernelApp"]["connection_file"] = rest[1]
        del rest[:2]
    for argument in rest:
        found = re.match(r"--(\w+)\.(\w+)=(.*)$", argument)
        if found is None:
            return None
        owner, option, value = found.groups()
        config.setdefault(owner, {})[option] = int(value) if value.isdigit() else value
    return config


# -- seeds ------------------------------------------------------------------------------------------------------------


def _seed_on_import(seed: int) -> None:
    """Seed `random` now, numpy and torch now or when they are imported."""
    seeders: dict[str, Callable[[Any], None]] = {
        "numpy": lambda numpy: numpy.random.seed(seed % 2**32),
        "torch": lambda torch: _seed_torch(torch, seed),
    }
    random.seed(seed)
    for name in [name for name in seeders if name in sys.modules]:
        seeders.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _SeedingFinder(seeders))


def _seed_torch(torch: Any, seed: int) -> None:
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


class _SeedingFinder(importlib.abc.MetaPathFinder):
    """Finds nothing itself; has what others find seeded once it is loaded."""

    def __init__(self, seeders: dict[str, Callable[[Any], None]]) -> None:
        self._seeders = seeders

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002 - importlib's
        seeder = self._seeders.pop(name, None)
        if seeder is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            seeder(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


# -- the fork server --------------------------------------------------------------------------------------------------


class _UnfitError(Exception):
    """This process cannot be forked safely."""


class _Server:
    """Forks a kernel for each connection; a kernel whose connection is gone is killed with all that it started."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kernels: dict[int, socket.socket] = {}
        self._threads: Any = None  # threadpoolctl's view of the numerical libraries, which takes a while to get
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def run(self) -> list[str] | None:
        """Serve until stdin ends, then None; in each forked kernel its arguments."""
        try:
            told = json.loads(sys.stdin.buffer.readline() or b"{}")
            self._prepare(told.get("preload", []))
        except _UnfitError as error:
            print(json.dumps({"unfit": str(error)}), flush=True)
            return None
        wake, woken = socket.socketpair()
        for end in (wake, woken, self._listener):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._listener.bind(self._path)
        self._listener.listen(64)
        print(json.dumps({"ready": True}), flush=True)
        while True:
            watched = [sys.stdin.fileno(), woken, self._listener, *self._kernels.values()]
            ready, _, _ = select.select(watched, [], [])
            if woken in ready:
                woken.recv(4096)
                self._reap_all()
            if self._listener in ready:
                arguments = self._accept([wake, woken])
                if arguments is not None:
                    return arguments
            for pid, connection in list(self._kernels.items()):
                if connection in ready and not _alive(connection):
                    self._kill(pid)
            if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 4096):
                for pid in list(self._kernels):
                    self._kill(pid)
                while self._kernels:
                    self._reap(os.wait4(-1, 0))
                return None

    def _prepare(self, preload: list[str]) -> None:
        given = {name: os.environ.get(name) for name in (*_QUIET, "MPLBACKEND")}
        os.environ.update(_QUIET)
        # As ipykernel sets it, before the user's code can import matplotlib, which reads it only then.
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise _UnfitError("the system has no child subreaper")
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
        _kernel_class()
        gc.collect()
        gc.freeze()

    def _accept(self, inner: list[socket.socket]) -> list[str] | None:
        connection, _ = self._listener.accept()
        try:
            connection.settimeout(10)
            request, log = _receive(connection)
        except (OSError, ValueError, EOFError):
            connection.close()
            return None
        pid = os.fork()
        if pid:
            os.close(log)
            self._kernels[pid] = connection
            _send(connection, {"pid": pid})
            return None
        for end in (*inner, self._listener, connection, *self._kernels.values()):
            end.close()
        try:
            _become_kernel(request, log)
            if self._threads is not None:
                _raise_limits(self._threads)
        except OSError as error:
            os.write(log, "cannot start the kernel: {}\n".format(error).encode())
            os._exit(70)
        return list(request["arguments"])

    def _reap_all(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                ended = os.wait4(-1, os.WNOHANG)
                if ended[0] == 0:
                    return
                self._reap(ended)

    def _reap(self, ended: tuple[int, int, Any]) -> None:
        pid, status, _ = ended
        connection = self._kernels.pop(pid, None)
        if connection is not None:  # not an orphan of a kernel
            _send(connection, {"status": status, "leftovers": self._kill_orphans()})
            connection.close()

    def _kill(self, pid: int) -> None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _kill_orphans(self) -> int:
        """Kernels reap their own orphans; what comes here outlived a kernel. How many there were."""
        killed: set[int] = set()
        for _ in range(20):
            orphans = [pid for pid in _children(os.getpid()) if pid not in self._kernels]
            if not orphans:
                break
            for pid in orphans:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
            for pid in orphans:
                try:
                    os.waitpid(pid, 0)
                except ChildProcessError:
                    continue
        return len(killed)


def _become_kernel(request: dict[str, Any], log: int) -> None:
    """Make this fork what a newly started process would be."""
    parent = os.getppid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for descriptor in (null, log):
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    # ipykernel has read the old value when it was imported; its poller ends the kernel with its parent.
    os.environ["JPY_PARENT_PID"] = str(parent)
    request["arguments"].append("--IPKernelApp.parent_handle={}".format(parent))
    if hasattr(__import__("time"), "tzset"):
        __import__("time").tzset()
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
    main()
