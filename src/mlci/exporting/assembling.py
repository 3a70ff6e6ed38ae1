"""Writes the script out of its placed parts, and checks that it is whole: it compiles, and no name in it is unknown."""

from __future__ import annotations

import builtins
import re
import symtable
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlci.exporting import command_line
from mlci.exporting.parameters import Parameter
from mlci.exporting.placing import Placed
from mlci.exporting.shell import literal
from mlci.exporting.statements import Statement, indented

_MARK = re.compile(r"\b_mlci_(\w+)")
_WIDTH = 100
_HELPERS = {
    "_shell_lines": '''
def _shell_lines(command: str) -> list:
    """What a command prints, its errors included, as lines."""
    shell = _mlci_os.environ.get("SHELL") if _mlci_os.name == "posix" else None
    done = _mlci_subprocess.run(
        command,
        shell=True,
        executable=shell,
        stdout=_mlci_subprocess.PIPE,
        stderr=_mlci_subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()
''',
    "_run_script": '''
def _run_script(path: str, *arguments: str) -> None:
    """Run a script as `%run` does: the names that it binds become names of this one."""
    before, _mlci_sys.argv = _mlci_sys.argv, [path, *arguments]
    try:
        names = _mlci_runpy.run_path(path, run_name="__main__")
    finally:
        _mlci_sys.argv = before
    globals().update({name: value for name, value in names.items() if not name.startswith("__")})
''',
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """What main() has of one cell."""

    statements: Sequence[Statement]
    above: str = ""  # comments: the Markdown before it
    below: str = ""
    captured: bool = False
    guarded: bool = False
    closes: str = ""  # a statement that closes the figures that are open at its end


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Everything that a script is written of."""

    docstring: str
    placed: Placed
    parts: Sequence[Part]
    parameters: Mapping[str, Parameter]
    helpers: Collection[str]
    folder: str | None  # where relative paths lead from, relative to the script's own folder; None: from there
    finds_beside: bool  # modules are looked for in the current folder, whichever that is
    asynchronous: bool
    bound: Collection[str]  # every name of the notebook


def assembled(pieces: Pieces) -> str:
    """The script.

    Raises:
        ValueError: A statement would not mean the same within main().
    """
    return _Assembly(pieces).text()


class _Assembly:
    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self.main = "main" if "main" not in pieces.bound and "main" not in pieces.parameters else "run_notebook"

    def text(self) -> str:
        pieces, placed = self._pieces, self._pieces.placed
        helpers = [_HELPERS[name].strip("\n") for name in sorted(pieces.helpers & _HELPERS.keys())]
        start = self._start()
        functions = [*helpers, *self._main(), *command_line.written(pieces.parameters), self._entry()]
        own = {f"import {name}" for name in self._as_they_are()}
        top = "\n".join(_lines(item for item in placed.top if item.code not in own)).strip("\n")
        definitions = _spaced(placed.definitions)
        text = "\n\n".join(filter(None, (start, top)))
        body = "\n\n\n".join(filter(None, (definitions, *functions)))
        text, body, needed = self._named(text, body)
        header = "\n".join(f"import {name}" + (f" as {alias}" if alias != name else "") for name, alias in needed)
        future = "\n".join(item.code for item in placed.future)
        header = "\n\n".join(filter(None, (pieces.docstring, future, header)))
        return f"{header}\n\n{text}\n\n\n{body}\n"

    def _start(self) -> str:
        pieces = self._pieces
        lines = [
            'if __name__ == "__main__":',
            "    # Relative paths lead from where they led in the notebook, wherever this is started.",
        ]
        place = "_mlci_pathlib.Path(__file__).resolve().parent"
        if pieces.folder is not None:
            place = f"{place}.joinpath({literal(pieces.folder)}).resolve()"
        lines.append(f"    _mlci_os.chdir({place})")
        if pieces.folder is not None or pieces.finds_beside:
            lines.append('    _mlci_sys.path.insert(0, "")  # so do imports')
        return "\n".join(lines)

    def _named(self, text: str, body: str) -> tuple[str, str, list[tuple[str, str]]]:
        """Our modules by their names, or by others where the notebook has taken these."""
        found = sorted(set(_MARK.findall(f"{text}\n{body}")) - {"file"})
        names = {"pyplot": "matplotlib.pyplot"}
        bound = (set(self._pieces.bound) | set(self._pieces.parameters)) - self._as_they_are()
        aliases = {name: f"_{name}" if name in bound or name == "pyplot" else name for name in found}

        def name(match: re.Match[str]) -> str:
            return aliases.get(match[1], f"_{match[1]}")

        needed = [(names.get(name, name), alias) for name, alias in aliases.items()]
        return _MARK.sub(name, text), _MARK.sub(name, body), needed

    def _as_they_are(self) -> set[str]:
        """The modules that the notebook imports at the top by their own names, and calls nothing else so."""
        placed = self._pieces.placed
        plain = {item.code.removeprefix("import ") for item in placed.top if re.fullmatch(r"import \w+", item.code)}
        others = [item for item in placed.top if item.code.removeprefix("import ") not in plain]
        rest = (*others, *placed.definitions, *placed.body)
        elsewhere = {name for item in rest for name in item.uses.binds | item.uses.declared}
        return (plain & self._own()) - elsewhere - set(self._pieces.parameters)

    def _own(self) -> set[str]:
        """The modules that the script imports for itself."""
        placed = self._pieces.placed
        statements = "\n".join(item.code for item in (*placed.top, *placed.definitions, *placed.body))
        helpers = "\n".join(_HELPERS[name] for name in self._pieces.helpers & _HELPERS.keys())
        return set(_MARK.findall("\n".join((self._start(), statements, helpers))))

    def _main(self) -> Iterator[str]:
        """The function, or two where arguments must be seen by everybody as globals."""
        pieces, placed = self._pieces, self._pieces.placed
        parameters = list(pieces.parameters.values())
        seen = bool(parameters) and (placed.all_shared or bool(placed.shared & pieces.parameters.keys()))
        shared = sorted((placed.shared - {"*"}) | (set(pieces.parameters) if seen else set()))
        body = [*self._defaults(), *(f"    global {line}" for line in _wrapped(shared) if not seen)]
        if not seen:
            yield "\n".join([*self._signature(self.main), *body, *self._cells()])
            return
        cells = "_cells"
        call = f"await {cells}()" if pieces.asynchronous else f"{cells}()"
        given = ", ".join(f"{item.name}={item.name}" for item in parameters)
        yield "\n".join([*self._signature(self.main), *body, f"    globals().update({given})", f"    {call}"])
        word = "async def" if pieces.asynchronous else "def"
        about = '    """The cells of the notebook, whose variables are seen by everything in it."""'
        yield "\n".join(
            [f"{word} {cells}() -> None:", about, *(f"    global {line}" for line in _wrapped(shared)), *self._cells()]
        )

    def _signature(self, name: str) -> list[str]:
        pieces = self._pieces
        word = "async def" if pieces.asynchronous else "def"
        arguments = [f"{item.name}: {item.annotation} = {_default(item)}" for item in pieces.parameters.values()]
        line = f"{word} {name}({'*, ' if arguments else ''}{', '.join(arguments)}) -> None:"
        lines = (
            [line]
            if len(line) <= _WIDTH
            else [f"{word} {name}(", "    *,", *(f"    {item}," for item in arguments), ") -> None:"]
        )
        told = [(item.name, item.help) for item in pieces.parameters.values() if item.help]
        if not told:
            return [*lines, '    """Do what the notebook does."""']
        about = [f"        {name}: {text[:1].upper()}{text[1:]}".rstrip(".") + "." for name, text in told]
        safe = [line.replace("\\", "\\\\").replace('"""', "'''") for line in about]
        return [*lines, '    """Do what the notebook does.', "", "    Args:", *safe, '    """']

    def _defaults(self) -> list[str]:
        return [
            f"    {item.name} = {item.source} if {item.name} is None else {item.name}"
            for item in self._pieces.parameters.values()
            if isinstance(item.default, list | dict)
        ]

    def _cells(self) -> list[str]:
        lines: list[str] = []
        for part in self._pieces.parts:
            inner = [indented(text) if text else "" for text in _lines(part.statements)]
            if part.guarded and inner:
                inner = [
                    "    try:",
                    *map(_deeper, inner),
                    "    except Exception:  # the notebook expects it",
                    "        _mlci_traceback.print_exc()",
                ]
            if part.captured and inner:
                out = "_mlci_contextlib.redirect_stdout(_mlci_io.StringIO())"
                err = "_mlci_contextlib.redirect_stderr(_mlci_io.StringIO())"
                inner = [f"    with {out}, {err}:", *map(_deeper, inner)]
            block = [*_comment(part.above), *inner, *_comment(part.below)]
            if part.closes:
                block.append(f"    {part.closes}")
            if block:
                lines += ["", *block] if lines else block
        return (
            lines if any(line.strip() and not line.strip().startswith("#") for line in lines) else [*lines, "    pass"]
        )

    def _entry(self) -> str:
        call = f"{self.main}(**_command_line())" if self._pieces.parameters else f"{self.main}()"
        lines = ['if __name__ == "__main__":']
        if not self._pieces.parameters:
            lines.append("    _command_line()")
        lines.append(f"    _mlci_asyncio.run({call})" if self._pieces.asynchronous else f"    {call}")
        return "\n".join(lines)


def _deeper(text: str) -> str:
    """One step further in, of what stands one step in already."""
    return "\n".join(indented(f"if 1:\n{text}").split("\n")[1:]) if text else ""


def _default(item: Parameter) -> str:
    return "None" if isinstance(item.default, list | dict) else item.source


def _comment(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.split("\n")] if text else []


def _with_comments(item: Statement) -> str:
    return f"{item.comments}\n{item.code}" if item.comments else item.code


def _lines(items: Iterable[Statement]) -> Iterator[str]:
    """Statements, with empty lines where they had them, and around functions and classes."""
    before: Statement | None = None
    for item in items:
        if before is not None and (item.apart or _is_long(item) or _is_long(before) or item.cell is not before.cell):
            yield ""
        yield _with_comments(item)
        before = item


def _is_long(item: Statement) -> bool:
    return item.code.startswith(("def ", "class ", "async def ", "@"))


def _spaced(items: Sequence[Statement]) -> str:
    """Functions and classes with two empty lines around them."""
    text, before = "", False
    for item in items:
        long = _is_long(item)
        if text:
            text += "\n\n\n" if long or before else "\n"
        text += _with_comments(item)
        before = long
    return text


def _wrapped(names: Sequence[str]) -> list[str]:
    lines = textwrap.wrap(", ".join(names), _WIDTH - 12, break_long_words=False)
    return [line.rstrip(",") for line in lines]


def unknown_names(text: str) -> dict[str, None]:
    """The names that the script reads and nothing in it, nor Python, binds."""
    found: dict[str, None] = {}
    top = symtable.symtable(text, "script", "exec")
    bound = {
        item.get_name() for item in top.get_symbols() if item.is_assigned() or item.is_imported() or item.is_namespace()
    }
    tables = [top]
    for table in tables:
        tables += table.get_children()
        bound |= {item.get_name() for item in table.get_symbols() if item.is_declared_global() and _binds(item)}
    for table in tables:
        for item in table.get_symbols():
            name = item.get_name()
            free = item.is_global() or table is top
            known = name in bound or hasattr(builtins, name) or name in ("__file__", "__name__", "__doc__", "__class__")
            if item.is_referenced() and free and not known:
                found[name] = None
    return found


def _binds(item: symtable.Symbol) -> bool:
    return item.is_assigned() or item.is_imported() or item.is_namespace()
