from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mlci.plugins.executors.notebook.tracebacks import (
    CELL,
    Frame,
    cell_line,
    frames,
    own_locations,
    parse_stack_dump,
    plain,
)

UTIL = "def inner(x):\n    return 1 / x\n\n\ndef outer(x):\n    return inner(x)\n"
# Runs each cell of a shell as a kernel does, and prints what it prints of an exception.
SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
mode, *cells = sys.argv[1:]
shell = InteractiveShell.instance(colors="linux")
shell.run_line_magic("xmode", mode)
for cell in cells:
    print("=" * 9)
    shell.run_cell(cell, store_history=True)
"""
Shell = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "util.py").write_text(UTIL)
    (folder / "broken.py").write_text("x = 1\nif x\n    y\n")
    (folder / "shell.py").write_text(SHELL)
    return folder


@pytest.fixture(scope="module")
def shell(folder: Path) -> Shell:
    def run(mode: str, *cells: str) -> str:
        """What IPython prints for the last of `cells`."""
        command = [sys.executable, "shell.py", mode, *cells]
        environ = {"IPYTHONDIR": str(folder / "ipython"), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
        return plain(done.stdout.rpartition("=" * 9 + "\n")[2])

    return run


MODES = ["Context", "Verbose", "Plain"]


@pytest.mark.parametrize("mode", MODES)
def test_cell_line__the_statement_that_failed(shell: Shell, mode: str) -> None:
    assert cell_line(shell(mode, "import util\n\nx = 0\nutil.outer(x)\ny = 1")) == 4


@pytest.mark.parametrize("mode", MODES)
def test_cell_line__not_the_line_within_a_function_of_the_cell(shell: Shell, mode: str) -> None:
    assert cell_line(shell(mode, "def f(a):\n    raise ValueError(a)\n\nf(1)")) == 4


@pytest.mark.parametrize("mode", MODES)
def test_cell_line__not_that_of_an_earlier_cell(shell: Shell, mode: str) -> None:
    assert cell_line(shell(mode, "\n\n\ndef f(a):\n    raise ValueError(a)", "x = 1\nf(1)")) == 2


@pytest.mark.parametrize("mode", [*MODES, "Minimal"])
def test_cell_line__a_syntax_error(shell: Shell, mode: str) -> None:
    assert cell_line(shell(mode, "a = 1\nif a\n    b")) == 2


@pytest.mark.parametrize("mode", MODES)
def test_cell_line__of_a_chain_the_last_exception(shell: Shell, mode: str) -> None:
    cell = "try:\n    1 / 0\nexcept Exception as error:\n    raise KeyError('k') from error"
    assert cell_line(shell(mode, cell)) == 4
    assert cell_line(shell(mode, cell.replace(" from error", ""))) == 4


@pytest.mark.parametrize("mode", MODES)
def test_cell_line__below_the_magic_that_times_the_cell(shell: Shell, mode: str) -> None:
    assert cell_line(shell(mode, "%%time\nx = 1\n1 / 0")) == 3


def test_plain__text_without_colours() -> None:
    assert plain("\x1b[0;31mred\x1b[0m and \x1b[38;5;28mgreen\x1b[39m\x1b[K") == "red and green"


def test_cell_line__not_said(shell: Shell) -> None:
    assert cell_line(shell("Minimal", "1 / 0")) is None
    assert cell_line("Error in f(): not Python\n") is None


# From IPython 7.34 with ipykernel 6.29, 7.16 with ipykernel 5.5, and 8.2.
SEVEN = """\
---------------------------------------------------------------------------
ZeroDivisionError                         Traceback (most recent call last)
/tmp/ipykernel_4711/3259009797.py in <module>
      2
      3 x = 0
----> 4 util.outer(x)

~/project/util.py in outer(x)
      4
      5 def outer(x):
----> 6     return inner(x)

~/project/util.py in inner(x)
      1 def inner(x):
----> 2     return 1 / x

ZeroDivisionError: division by zero"""
EIGHT_TWO = (
    SEVEN.replace("/tmp/ipykernel_4711/3259009797.py in <module>", "Input In [3], in <cell line: 4>()")
    .replace("~/project/util.py in outer(x)", "File ~/project/util.py:6, in outer(x)")
    .replace("~/project/util.py in inner(x)", "File ~/project/util.py:2, in inner(x)")
)


@pytest.mark.parametrize(
    "text", [SEVEN, SEVEN.replace("/tmp/ipykernel_4711/3259009797.py", "<ipython-input-3-0a1b2c3d4e5f>"), EIGHT_TWO]
)
def test_frames__older_versions_of_ipython(text: str) -> None:
    assert cell_line(text) == 4
    assert [(frame.file, frame.line) for frame in frames(text)] == [
        (CELL, 4),
        ("~/project/util.py", 6),
        ("~/project/util.py", 2),
    ]


def test_cell_line__an_older_syntax_error() -> None:
    assert (
        cell_line('  File "<ipython-input-3-0a1b2c3d4e5f>", line 2\n    if a\n        ^\nSyntaxError: invalid syntax\n')
        == 2
    )


@pytest.mark.parametrize("mode", MODES)
def test_frames__the_outermost_first(shell: Shell, mode: str) -> None:
    text = shell(mode, "import util\nutil.outer(0)")
    assert [(Path(frame.file).name, frame.line, frame.function) for frame in frames(text)] == [
        (CELL, 2, None),
        ("util.py", 6, "outer"),
        ("util.py", 2, "inner"),
    ]


def test_frames__a_module_that_cannot_be_read(shell: Shell) -> None:
    assert [(Path(frame.file).name, frame.line) for frame in frames(shell("Context", "x = 1\nimport broken"))][-2:] == [
        (CELL, 2),
        ("broken.py", 2),
    ]


def test_frames__a_plain_traceback(folder: Path) -> None:
    code = ["-c", "import util\nutil.outer(0)"]
    text = subprocess.run([sys.executable, *code], cwd=folder, capture_output=True, text=True, check=False).stderr
    assert [(Path(frame.file).name, frame.line, frame.function) for frame in frames(text)] == [
        ("<string>", 2, "<module>"),
        ("util.py", 6, "outer"),
        ("util.py", 2, "inner"),
    ]


def test_own_locations__only_the_users_files_the_innermost_first(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    own = ["util.py", "src/deep.py", "notebooks/near.py"]
    foreign = [".venv/lib/x.py", "env/lib/python3.11/site-packages/numpy/y.py", ".hidden/z.py", "../outside.py"]
    for name in own + foreign:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).touch()
    printed = [
        Frame(CELL, 1),
        Frame("~/repository/util.py", 3),
        Frame("<string>", 1),
        *(Frame(str(repository / name), 9) for name in foreign),
        Frame(str(repository / "src/deep.py"), 5),
        Frame(str(repository / "src/deep.py"), 5),
        Frame("near.py", 7),
        Frame("absent.py", 8),
        Frame("~/repository/../repository/util.py", 4),
    ]
    found = own_locations(printed, repository, cwd=repository / "notebooks", home=tmp_path)
    assert found == (
        (repository / "util.py", 4),
        (repository / "notebooks/near.py", 7),
        (repository / "src/deep.py", 5),
        (repository / "util.py", 3),
    )


def test_own_locations__a_repository_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.py").touch()
    (tmp_path / "link").symlink_to("real")
    frame = Frame(str(tmp_path / "real/a.py"), 1)
    assert own_locations([frame], tmp_path / "link", tmp_path, tmp_path) == ((tmp_path / "link/a.py", 1),)


def dumped(folder: Path, code: str) -> str:
    """What faulthandler dumps of a process whose main thread runs `code` as ipykernel would run a cell."""
    cell = folder / "ipykernel_4711" / "3259009797.py"
    cell.parent.mkdir(exist_ok=True)
    cell.write_text(textwrap.dedent(code))
    outside = f"exec(compile(open({str(cell)!r}).read(), {str(cell)!r}, 'exec'))"
    done = subprocess.run([sys.executable, "-c", outside], cwd=folder, capture_output=True, text=True, check=True)
    return done.stderr


def test_parse_stack_dump__the_thread_of_the_cell(folder: Path) -> None:
    text = dumped(
        folder,
        """\
        import faulthandler, threading
        started, done = threading.Event(), threading.Event()
        def wait():
            started.set()
            done.wait()
        other = threading.Thread(target=wait)
        other.start()
        started.wait()
        def hang():
            faulthandler.dump_traceback()
        hang()
        done.set()
        """,
    )
    assert text.count("most recent call first") == 2
    assert parse_stack_dump(text) == [
        Frame("<string>", 1, "<module>"),
        Frame(CELL, 11, "<module>"),
        Frame(CELL, 10, "hang"),
    ]


def test_parse_stack_dump__the_cell_waits_while_another_thread_is_current(folder: Path) -> None:
    text = dumped(
        folder,
        """\
        import faulthandler, threading
        other = threading.Thread(target=lambda: faulthandler.dump_traceback())
        other.start()
        other.join()
        """,
    )
    [line, *_] = [frame.line for frame in parse_stack_dump(text) if frame.file == CELL]
    assert line in (3, 4)


def test_parse_stack_dump__no_cell_and_no_dump() -> None:
    dump = (
        'Thread 0x00007f0000000001 [python3] (most recent call first):\n  File "/x/a.py", line 1 in f\n\n'
        'Current thread 0x00007f0000000002 [python3] (most recent call first):\n  File "/x/b.py", line 2 in g\n'
    )
    assert parse_stack_dump(dump) == [Frame("/x/b.py", 2, "g")]
    assert parse_stack_dump("nothing") == []
