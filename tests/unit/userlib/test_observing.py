"""What a watched Python says about itself, and that the user's code never notices."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlci import userlib

FOLDER = Path(userlib.__file__).parent / "observing"
Watched = Callable[..., list[tuple[str, str]]]


def environ(log: Path, *path: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [FOLDER, *path])), "MLCI_OBSERVE": str(log)}


def told(log: Path) -> list[tuple[str, str]]:
    lines = log.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [
        (kind, what.replace("%0A", "\n").replace("%25", "%")) for kind, _, what in (x.partition(" ") for x in lines)
    ]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """Runs code in a Python of its own, in the folder `work`; what it said of paths there, relative, and of others."""
    (tmp_path / "work").mkdir()

    def run(code: str, python: str = sys.executable) -> list[tuple[str, str]]:
        log = tmp_path / "log"
        script = tmp_path / "script.py"  # multiprocessing needs a file to import again
        script.write_text(code)
        subprocess.run([python, "-W", "error", script], cwd=tmp_path / "work", env=environ(log), check=True)
        here = f"{tmp_path / 'work'}{os.sep}"
        own = str(script), f"{tmp_path}{os.sep}__pycache__"
        return [(kind, what.removeprefix(here)) for kind, what in told(log) if not what.startswith(own)]

    return run


def here(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(kind, what) for kind, what in found if kind in ("read", "write", "update", "replace") and what[0] != "/"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('a', 'w').close(); open('a').close()", [("write", "a"), ("read", "a")]),
        ("open('a', 'w').close(); open('a', 'a').close(); open('a', 'r+').close()", [("write", "a"), ("update", "a")]),
        ("open('new', 'a').close()", [("write", "new")]),
        ("import os; os.close(os.open('a', os.O_WRONLY | os.O_CREAT))", [("write", "a")]),
        (
            "open('a', 'w').close(); import os; os.replace('a', 'b')",
            [("write", "a"), ("replace", "a"), ("replace", "b")],
        ),
        ("open('a', 'w').close(); import os; os.remove('a')", [("write", "a"), ("replace", "a")]),
        ("import pathlib; pathlib.Path('a').unlink(missing_ok=True)", []),
        ("import os; os.symlink('x', 'l')", [("replace", "l")]),
        ("open('a\\nb%', 'w').close()", [("write", "a\nb%")]),
        ("for _ in range(3): open('a', 'w').close()", [("write", "a")]),
        ("import os; os.mkdir('d'); os.chdir('d'); open('a', 'w').close()", [("write", "d/a")]),
        ("import sqlite3; sqlite3.connect(':memory:').close(); sqlite3.connect('a.db').close()", [("write", "a.db")]),
        ("import contextlib\nwith contextlib.suppress(OSError): open('gone')", [("read", "gone")]),
        ("import tempfile; tempfile.TemporaryFile(dir='.').close()", []),
    ],
)
def test_observe__files(watched: Watched, code: str, said: list[tuple[str, str]]) -> None:
    assert here(watched(code)) == said


def test_observe__an_open_folder_and_a_name_in_it(watched: Watched) -> None:
    code = "import os; os.mkdir('d'); open('d/a', 'w').close(); os.remove('a', dir_fd=os.open('d', os.O_RDONLY))"
    assert ("replace", "d/a") in watched(code)


def test_observe__names_in_a_folder_but_not_for_imports(watched: Watched) -> None:
    code = "import os, glob; os.mkdir('d'); glob.glob('d/*'); import json, importlib.metadata as m; m.version('pip')"
    assert [what for kind, what in watched(code) if kind == "list"] == ["d"]


def test_observe__what_comes_with_the_interpreter_is_not_said(watched: Watched) -> None:
    found = watched("import json, click, importlib.metadata as m; m.version('click')")
    assert [what for kind, what in found if kind == "read" and "site-packages" in what] == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("s.connect_ex(('127.0.0.1', 1))", [("connect", "127.0.0.1:1")]),
        ("s.bind(('127.0.0.1', 0))", [("bind", "127.0.0.1:0")]),
        ("socket.getaddrinfo('localhost', 80)", []),
        ("socket.getaddrinfo('127.0.0.1', 80)", [("lookup", "127.0.0.1")]),
        ("socket.socketpair()[0].close()", []),
        ("u = socket.socket(socket.AF_UNIX); u.bind('s'); u.close()", []),
    ],
)
def test_observe__sockets(watched: Watched, code: str, said: list[tuple[str, str]]) -> None:
    found = watched(f"import socket, warnings; warnings.simplefilter('ignore')\ns = socket.socket()\n{code}\ns.close()")
    assert [item for item in found if item[0] in ("connect", "bind", "lookup")] == said


@pytest.mark.parametrize(
    ("code", "programs"),
    [
        ("subprocess.run(['true'])", ["true"]),
        ("subprocess.run('true', shell=True)", ["/bin/sh"]),
        ("os.system('true')", ["sh"]),
        ("os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)", ["/bin/true"]),
        ("subprocess.run([sys.executable, '-c', ''])", []),
        ("subprocess.run([sys.executable, '-W', 'error', '-u', '-c', '', '-I'])", []),
        ("subprocess.run([sys.executable, '-Ic', ''])", [sys.executable]),
        ("subprocess.run([sys.executable, '-c', ''], env={})", [sys.executable]),
        ("os.execv(sys.executable, [sys.executable, '-E', '-c', ''])", [sys.executable]),
    ],
)
def test_observe__programs_but_no_watched_python(watched: Watched, code: str, programs: list[str]) -> None:
    found = watched(f"import os, subprocess, sys\n{code}")
    assert [what for kind, what in found if kind == "program"] == programs


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess, sys; subprocess.run([sys.executable, '-c', \"open('child', 'w').close()\"], check=True)",
        "import os\nif os.fork() == 0:\n    open('child', 'w').close(); os._exit(0)\nos.wait()",
        "import os\nif os.fork() == 0:\n    os.closerange(3, 64); open('child', 'w').close(); os._exit(0)\nos.wait()",
        "import threading; t = threading.Thread(target=lambda: open('child', 'w').close()); t.start(); t.join()",
    ],
    ids=["started", "forked", "forked-and-closed", "thread"],
)
def test_observe__children(watched: Watched, code: str) -> None:
    assert ("write", "child") in watched(code)


def test_observe__a_spawned_worker_is_watched_itself(watched: Watched) -> None:
    code = (
        "import multiprocessing as m, os\ndef work():\n    open('child', 'w').close()\n"
        "if __name__ == '__main__':\n    p = m.get_context('spawn').Process(target=work); p.start(); p.join()"
    )
    found = watched(code)
    assert ("write", "child") in found
    assert len([kind for kind, _ in found if kind == "start"]) >= 2


def test_observe__hands_on_to_the_file_that_it_hides(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import builtins\nbuiltins.THEIRS = __file__\n")
    code = "import sitecustomize; print(THEIRS); print(sitecustomize.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ(tmp_path / "log", theirs), check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [str(theirs / "sitecustomize.py")] * 2
    assert ("read", str(theirs / "sitecustomize.py")) in told(tmp_path / "log")


def test_observe__nothing_without_its_variable(tmp_path: Path) -> None:
    handed = environ(tmp_path / "log")
    del handed["MLCI_OBSERVE"]
    subprocess.run([sys.executable, "-c", "open('x', 'w').close()"], cwd=tmp_path, env=handed, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("log", ["gone/log", "folder"])
def test_observe__a_log_that_cannot_be_written_is_none_of_the_user_s_business(tmp_path: Path, log: str) -> None:
    (tmp_path / "folder").mkdir()
    code = "open('x', 'w').close(); print(open('x').read() == '')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ(tmp_path / log), capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"True\n", b"")


def test_observe__what_was_lost_is_said_as_soon_as_it_can_be(tmp_path: Path) -> None:
    code = "import os; open('x', 'w').close(); os.mkdir('late'); open('y', 'w').close()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ(tmp_path / "late/log"), check=True)
    assert [kind for kind, _ in told(tmp_path / "late/log")] == ["lost", "write"]


def test_observe__an_event_that_it_does_not_understand_is_lost_and_breaks_nothing(watched: Watched) -> None:
    assert ("lost", "open") in watched("import sys; sys.audit('open'); open('a', 'w').close()")


def test_observe__from_a_file_loaded_by_its_path(tmp_path: Path) -> None:
    code = (
        f"import runpy; runpy.run_path({str(FOLDER / 'sitecustomize.py')!r})['observe']({str(tmp_path / 'log')!r})\n"
        "open('x', 'w').close()"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)
    assert ("write", str(tmp_path / "x")) in told(tmp_path / "log")


def old_pythons() -> list[str]:
    return [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python") if _version(path) >= (3, 9)]


def _version(python: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in python.parts[-3].split(".") if part.isdecimal())


@pytest.mark.parametrize("python", old_pythons() or [sys.executable], ids=lambda path: Path(path).parts[-3])
def test_observe__every_python_that_users_have(watched: Watched, python: str) -> None:
    code = "import os, glob; open('a', 'w').close(); open('a').close(); os.remove('a'); glob.glob('*')"
    found = watched(code, python=python)
    assert here(found) == [("write", "a"), ("read", "a"), ("replace", "a")]
    assert "lost" not in [kind for kind, _ in found]
