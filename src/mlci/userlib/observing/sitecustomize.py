# ruff: noqa: INP001
"""Tells mlci which files a run with `reuse` reads and writes, and which programs and sockets it uses.

Python imports this file when it starts, as mlci puts its folder first on PYTHONPATH and names a file in MLCI_OBSERVE;
a fork server loads it by its path and calls `observe`. Standard library only, Python 3.9 and later. Each line that it
appends is a kind and what it happened to, said once:

    start   this Python is watched
    read    a file is opened for reading         list     the names in a folder are asked for
    write   a file is made, or emptied           update   a file that is there is opened for writing, and not emptied
    replace a name is removed, or given to another file
    connect, bind, lookup   an address or a host's name      program   a program that is no watched Python
    lost    something of the above could not be told
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Told = Iterator[tuple[str, Any]]

VARIABLE = "MLCI_OBSERVE"
_HERE = os.path.dirname(os.path.abspath(__file__))
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_TMPFILE = getattr(os, "O_TMPFILE", 0)
_IMPORTING = ("_frozen_importlib_external", "importlib", "importlib_metadata", "pkgutil", "pkg_resources")
_FILES = ("read", "write", "update", "list")


def observe(log: str) -> None:
    """Append to the file `log` what this process and those that it forks do from now on."""
    sys.addaudithook(_Observer(log))


class _Observer:
    def __init__(self, log: str) -> None:
        self.log = os.path.abspath(log)
        self.seen: set[tuple[str, str]] = set()
        self.busy: set[int] = set()  # threads that are in here: what they open is ours
        self.lost = False
        self.known = _installed()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.busy.clear)
        self.append("start", sys.executable or "")

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        handler = _HANDLERS.get(event)
        if handler is None or get_ident() in self.busy:
            return
        try:
            self.busy.add(get_ident())
            for kind, what in handler(*arguments):
                self.note(kind, os.fsdecode(what))
        except Exception:  # whatever it is, the user's code did not do it
            self.append("lost", event)
        finally:
            self.busy.discard(get_ident())

    def note(self, kind: str, what: str) -> None:
        if kind in _FILES or kind == "replace":
            what = os.path.join(os.getcwd(), what)
            if kind == "read" and what.startswith(self.known):
                return
        if (kind, what) in self.seen:
            return
        self.seen.add((kind, what))
        if kind in _FILES:
            self.append(kind, os.path.realpath(what))
        elif kind == "replace":  # the name itself, be it a link
            self.append(kind, os.path.join(os.path.realpath(os.path.dirname(what)), os.path.basename(what)))
        else:
            self.append(kind, what)

    def append(self, kind: str, what: str) -> None:
        # In one write, so that the lines of several processes never mix; and opened each time: a descriptor that
        # stays open may be closed by the user's code, and given to a file of its own.
        line = "{} {}\n".format(kind, what.replace("%", "%25").replace("\n", "%0A"))
        if self.lost:
            line = "lost earlier\n" + line
        data = line.encode("utf-8", "surrogateescape")
        try:
            handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                self.lost = os.write(handle, data) != len(data)
            finally:
                os.close(handle)
        except OSError:
            self.lost = True


def _installed() -> tuple[str, ...]:
    """The folders that tell nothing: versions say what is in those of packages, and the system's own are no data."""
    prefixes = (sys.prefix + os.sep, sys.base_prefix + os.sep)
    packages = [
        path
        for path in sys.path
        if path.startswith(prefixes) and os.path.basename(path) in ("site-packages", "dist-packages")
    ]
    return tuple(path + os.sep for path in ["/proc", "/sys", os.path.dirname(os.__file__), *packages])


def _opened(path: Any, _mode: Any, flags: int) -> Told:
    if isinstance(path, int) or (_TMPFILE and flags & _TMPFILE == _TMPFILE):
        return
    if not flags & _WRITES:
        yield "read", path
    elif flags & os.O_TRUNC or not os.path.lexists(path):
        yield "write", path
    else:
        yield "update", path


def _listed(path: Any = None) -> Told:
    # The import system looks through every folder of the path; what it finds there is opened, and told then.
    caller = sys._getframe(2).f_globals.get("__name__") or ""  # noqa: SLF001 - there is no other way
    if not isinstance(path, int) and caller.partition(".")[0] not in _IMPORTING:
        yield "list", path or "."


def _at(path: Any, folder: int) -> str:
    """`path`, that may be relative to an open folder."""
    path = os.fsdecode(path)
    return path if folder == -1 or os.path.isabs(path) else os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)


def _removed(path: Any, folder: int = -1) -> Told:
    if os.path.lexists(_at(path, folder)):
        yield "replace", _at(path, folder)


def _renamed(source: Any, target: Any, source_folder: int = -1, target_folder: int = -1) -> Told:
    yield "replace", _at(source, source_folder)
    yield "replace", _at(target, target_folder)


def _linked(source: Any, target: Any, source_folder: int = -1, target_folder: int = -1) -> Told:
    yield "read", _at(source, source_folder)
    yield "replace", _at(target, target_folder)


def _symlinked(_source: Any, target: Any, folder: int = -1) -> Told:
    yield "replace", _at(target, folder)


def _truncated(path: Any, _length: int) -> Told:
    if not isinstance(path, int):
        yield "update", path


def _database(path: Any) -> Told:
    """SQLite opens the file itself; an empty name and ":memory:" are no files."""
    path = os.fsdecode(path)
    if path.startswith("file:"):
        path = path[len("file:") :].partition("?")[0]
    if path and path != ":memory:":
        yield ("read" if os.path.exists(path) else "write"), path


def _imported(_module: str, file: Any, *_: Any) -> Told:
    if file:  # native code: the loader of the system opens it
        yield "read", file


def _address(kind: str) -> Callable[..., Told]:
    def handler(_socket: Any, address: Any) -> Told:
        # Of other families than IP the first item is no text.
        if isinstance(address, tuple) and address and isinstance(address[0], (str, bytes)):
            yield kind, "{}:{}".format(os.fsdecode(address[0]), address[1])

    return handler


def _looked_up(host: Any, *_: Any) -> Told:
    if host and os.fsdecode(host) not in ("localhost", os.uname().nodename):
        yield "lookup", host


def _started(program: Any, arguments: Any, _folder: Any, environ: Any) -> Told:
    if not _is_watched(os.fsdecode(program), arguments, os.environ if environ is None else environ):
        yield "program", program


def _executed(program: Any, arguments: Any, environ: Any) -> Told:
    return _started(program, arguments, None, environ)


def _shell(_command: Any) -> Told:
    yield "program", "sh"


def _is_watched(program: str, arguments: Any, environ: Mapping[Any, Any]) -> bool:
    """Whether it is this same interpreter, started so that it reads this file."""
    if os.sep not in program:
        near = os.path.join(os.path.dirname(sys.executable), program)
        first = next((folder for folder in os.get_exec_path() if os.path.exists(os.path.join(folder, program))), "")
        if os.path.abspath(first) != os.path.dirname(near):
            return False
        program = near
    same_folder = os.path.dirname(os.path.abspath(program)) == os.path.dirname(sys.executable)
    if not same_folder or os.path.realpath(program) != os.path.realpath(sys.executable):
        return False
    words = iter([] if isinstance(arguments, (str, bytes)) else [os.fsdecode(word) for word in arguments][1:])
    for word in words:
        if not word.startswith("-") or word[:2] in ("-c", "-m"):
            break
        if word in ("-W", "-X"):
            next(words, None)
        elif not word.startswith(("--", "-W", "-X")) and set(word) & set("IES"):
            return False
    handed = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
    return bool(handed.get(VARIABLE)) and _HERE in handed.get("PYTHONPATH", "").split(os.pathsep)


_HANDLERS: dict[str, Callable[..., Told]] = {
    "open": _opened,
    "os.listdir": _listed,
    "os.scandir": _listed,
    "os.remove": _removed,
    "os.rename": _renamed,
    "os.link": _linked,
    "os.symlink": _symlinked,
    "os.truncate": _truncated,
    "sqlite3.connect": _database,
    "import": _imported,
    "socket.connect": _address("connect"),
    "socket.sendto": _address("connect"),
    "socket.bind": _address("bind"),
    "socket.getaddrinfo": _looked_up,
    "socket.gethostbyname": _looked_up,
    "subprocess.Popen": _started,
    "os.exec": _executed,
    "os.posix_spawn": _executed,
    "os.system": _shell,
}


def _hand_on() -> None:
    """Run the `sitecustomize` that this one hides, and let it have the name."""
    from importlib.machinery import PathFinder  # noqa: PLC0415 - a forked kernel needs none

    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if os.path.abspath(path) != _HERE])
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec  # noqa: PLC0415 - few need it, and it is slow

    sys.modules["sitecustomize"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    if os.environ.get(VARIABLE):
        observe(os.environ[VARIABLE])
    _hand_on()
