"""Reads where code failed or hung from what Python, IPython and faulthandler print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CELL = "<cell>"  # the file of a frame that is code of a cell

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CELL_FILE = re.compile(r"<ipython-input-\d+-\w+>|.*[/\\]ipykernel_\d+[/\\]\w+\.py")
_TIMED = re.compile(r"<timed (?:exec|eval)>")
_HEADER = re.compile(
    r"\ {0,2}(?:"
    r"(?P<cell>(?:Cell|Input)\ In\ ?\[[\d*]+\])(?:,\ line\ (?P<cell_line>\d+))?"  # IPython since 8.0
    r'|File\ "(?P<quoted>[^"\n]+)",\ line\ (?P<quoted_line>\d+)'  # Python
    r"|File\ (?P<bare>\S[^\n]*?):(?P<bare_line>\d+)"  # IPython since 8.0
    r"|(?P<old>\S[^\n]*?)(?=\ in\ )"  # IPython before; its line follows behind an arrow
    r")"
    r"(?:,?\ in\ (?:<cell\ line:\ (?P<statement>\d+)>|(?P<function>[^\n(]+)).*)?",
    re.VERBOSE,
)
_ARROW = re.compile(r"-+> *(\d+)")
_CHAINED = re.compile(
    r"^(?:The above exception was the direct cause of the following exception|"
    r"During handling of the above exception, another exception occurred):$",
    re.MULTILINE,
)
_THREAD = re.compile(r"(?P<current>Current thread|Thread) 0x[0-9a-f]+.*\(most recent call first\):")
_DUMPED = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)')
_FOREIGN = frozenset(("site-packages", "dist-packages"))


@dataclass(frozen=True)
class Frame:
    """A line that was being executed."""

    file: str  # as printed, such as "~/x/util.py"; `CELL` for code of a cell
    line: int
    function: str | None = None


def plain(text: str) -> str:
    """Text without terminal colours."""
    return _ANSI.sub("", text)


def frames(text: str) -> list[Frame]:
    """The frames of a traceback without colours, the outermost first, in the style of Python or of IPython."""
    found: list[Frame] = []
    pending: tuple[str, str | None] | None = None
    for line in text.split("\n"):
        header = _HEADER.fullmatch(line)
        if header is None:
            arrow = _ARROW.match(line)
            if pending and arrow:
                _add(found, *pending, int(arrow[1]))
                pending = None
            continue
        file = CELL if header["cell"] else header["quoted"] or header["bare"] or header["old"]
        number = header["cell_line"] or header["quoted_line"] or header["bare_line"] or header["statement"]
        if number is None:
            pending = (file, header["function"])
        else:
            pending = None
            _add(found, file, header["function"], int(number))
    return found


def _add(found: list[Frame], file: str, function: str | None, line: int) -> None:
    if _TIMED.fullmatch(file):
        # The body of `%%time` counts from the line below it; what lies between is IPython's.
        while found and found.pop().file != CELL:
            pass
        file, line = CELL, line + 1
    found.append(Frame(CELL if _CELL_FILE.fullmatch(file) else file, line, function and function.strip()))


def cell_line(text: str) -> int | None:
    """The line of the cell that was being executed, from a traceback without colours; None if it does not say.

    Of a chain of exceptions the last counts. A function of the cell that the cell calls is deeper, and does not count.
    """
    last = text[max((chain.end() for chain in _CHAINED.finditer(text)), default=0) :]
    return next((frame.line for part in (last, text) for frame in frames(part) if frame.file == CELL), None)


def own_locations(frames: Iterable[Frame], repository: Path, cwd: Path, home: Path) -> tuple[tuple[Path, int], ...]:
    """Where `frames`, the outermost first, are in the user's own files, the innermost first.

    Args:
        frames: Of a traceback.
        repository: Whatever is outside of it, in an environment or in a hidden folder within is not the user's own.
        cwd: What relative files are relative to.
        home: What "~" stands for.
    """
    root = repository.resolve()
    found: dict[tuple[Path, int], None] = {}
    for frame in reversed(list(frames)):
        if frame.file.startswith("<"):
            continue
        file = home / frame.file[2:] if frame.file.startswith("~/") else cwd / frame.file
        try:
            inside = file.resolve().relative_to(root)
        except (OSError, ValueError):
            continue
        foreign = any(part in _FOREIGN or part.startswith(".") for part in inside.parts)
        if not foreign and file.is_file():
            found[repository / inside, frame.line] = None
    return tuple(found)


def parse_stack_dump(text: str) -> list[Frame]:
    """The frames, the outermost first, of the thread that runs a cell, from a dump by `faulthandler`.

    Where no thread runs a cell it is the one that was current. Of several dumps the last counts.
    """
    threads: list[tuple[bool, list[Frame]]] = []
    for line in text.split("\n"):
        if thread := _THREAD.fullmatch(line):
            threads.append((thread["current"] != "Thread", []))
        elif threads and (frame := _DUMPED.fullmatch(line)):
            file = CELL if _CELL_FILE.fullmatch(frame["file"]) else frame["file"]
            threads[-1][1].insert(0, Frame(file, int(frame["line"]), frame["function"]))

    def likely(thread: tuple[bool, list[Frame]]) -> tuple[bool, bool, bool]:
        current, stack = thread
        cells = [frame for frame in stack if frame.file == CELL]
        return any(frame.function == "<module>" for frame in cells), bool(cells), current

    return max(reversed(threads), key=likely, default=(False, []))[1]
