"""Converts a notebook into a script: reads, translates, places, writes, and refuses rather than guesses."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mlci.exporting.assembling import Part, Pieces, assembled, unknown_names
from mlci.exporting.drawing import closings, imported_roots, without_display
from mlci.exporting.findings import Findings
from mlci.exporting.parameters import Parameter, parameters_of
from mlci.exporting.placing import Placed, place
from mlci.exporting.reading import Notebook
from mlci.exporting.rewriting import Scene, dotted, rewritten, scopes
from mlci.exporting.statements import Block, Statement, blocks

_HARMLESS = frozenset({"test", "this", "antigravity", "idlelib", "turtledemo", "__main__", "setup"})
_LISTS = frozenset({"n", "s", "p", "l", "grep", "fields", "nlstr", "spstr", "list", "paths"})


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the notebook lies, and where the script will.

    Args:
        modules: The modules beside the notebook, and beside the script.
        hiding: Those of them that hide modules of that name elsewhere.
        name: How the script is called, without its ending.
        folder: From the script's folder to that in which the notebook runs, where they differ.
        source: How the script calls the notebook.
        command: The command that makes the script.
        allow: Whether what cannot be translated becomes an error that the script raises.
    """

    modules: frozenset[str] = frozenset()
    hiding: frozenset[str] = frozenset()
    name: str = ""
    folder: str | None = None
    source: str = ""
    command: str = ""
    allow: bool = False


@dataclass(frozen=True, kw_only=True)
class Script:
    """A notebook as a script."""

    text: str
    parameters: dict[str, Parameter]
    asynchronous: bool


def convert(notebook: Notebook, surroundings: Surroundings, findings: Findings) -> Script | None:
    """The script of a notebook; None where `findings.refused` says why there is none."""
    try:
        return _Conversion(notebook, surroundings, findings).run()
    except (RecursionError, MemoryError):
        findings.refuse(1, 1, "this notebook", "an expression in it is nested too deeply", "Write it in several steps.")
        return None


class _Conversion:
    def __init__(self, notebook: Notebook, surroundings: Surroundings, findings: Findings) -> None:
        self._notebook, self._around, self._findings = notebook, surroundings, findings
        self._closes: dict[int, str] = {}  # by the number of the cell

    def run(self) -> Script | None:
        findings = self._findings
        found = list(blocks(self._notebook.cells, findings, allow=self._around.allow))
        parameters, found = self._parameters(found)
        found = self._rewritten(found)
        self._check_shadows(found)
        self._check_lists(found)
        everything = [statement for block in found for statement in block.statements]
        runs = "_run_script" in findings.helpers
        placed = place(everything, parameters, self._around.modules.__contains__, open_names=runs)
        self._check_stars(placed)
        if findings.refused:
            return None
        asynchronous = any(_awaits(item.node) for item in placed.body) or _needs_loop(placed.body)
        changes = any("chdir" in item.code for item in everything)
        pieces = Pieces(
            docstring=self._docstring(),
            placed=placed,
            parts=self._parts(found, placed),
            parameters=parameters,
            helpers=findings.helpers,
            folder=self._around.folder,
            finds_beside=changes,
            asynchronous=asynchronous,
            bound={name for item in everything for name in item.uses.binds},
        )
        try:
            text = assembled(pieces)
            compile(text, "script", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            findings.refuse(
                1, 1, "this notebook", f"it cannot be written as a function: {error}", "Simplify that part."
            )
            return None
        if any("mlci_log" in imported_roots(item.node) for item in everything):
            findings.notes.append("it imports mlci_log, which is there under `mlci run` only")
        if not runs and "*" not in pieces.bound:
            self._check_names(text, everything)
        return None if findings.refused else Script(text=text, parameters=parameters, asynchronous=asynchronous)

    def _parameters(self, found: list[Block]) -> tuple[dict[str, Parameter], list[Block]]:
        """The parameters, and the blocks without what they were made of."""
        tagged = [block for block in found if "parameters" in block.cell.tags][:1]
        injected = [block for block in found if "injected-parameters" in block.cell.tags]
        if injected:
            cell = injected[0].cell
            self._findings.notes.append(
                f"cell {cell.number}: papermill has injected its values: they are the defaults now"
            )
        cells = [*tagged, *injected]
        statements = [statement for block in cells for statement in block.statements]
        parameters, made, _ = parameters_of(statements, self._findings)
        if tagged:
            for block in found[: found.index(tagged[0])]:
                for statement in block.statements:
                    again = sorted(statement.uses.binds & parameters.keys())
                    if again:
                        reason = f"the parameters cell comes later, and sets {again[0]} again"
                        remedy = "Remove this line, or rename what it assigns."
                        self._findings.refuse(statement.cell.number, statement.line, statement.code, reason, remedy)
        gone = {id(item) for item in made}
        return parameters, [
            Block(
                block.cell,
                [item for item in block.statements if id(item) not in gone],
                block.captured,
                block.interactive,
                "" if block in cells else block.trailing,
            )
            for block in found
        ]

    def _rewritten(self, found: list[Block]) -> list[Block]:
        everything = [statement for block in found for statement in block.statements]
        scene = Scene.of(everything, interactive=any(block.interactive for block in found))
        for block in found:
            kept, comments = [], ""
            for statement in block.statements:
                try:
                    said = rewritten(statement, scene, self._findings)
                except (SyntaxError, ValueError):
                    reason, remedy = "it cannot be rewritten for a script", "Write it in several lines."
                    self._findings.refuse(statement.cell.number, statement.line, statement.code, reason, remedy)
                    continue
                if said is None:  # what was said above it may be of the next one
                    comments = "\n".join(filter(None, (comments, statement.comments)))
                    continue
                said.comments = "\n".join(filter(None, (comments, said.comments)))
                comments = ""
                kept.append(said)
            block.statements = kept
            block.trailing = "\n".join(filter(None, (comments, block.trailing)))
        _drop_unused(found)
        without_display(found)
        self._closes = closings(found, scene)
        return found

    def _check_shadows(self, found: Sequence[Block]) -> None:
        cell = found[0].cell if found else self._notebook.cells[0]
        hidden = sorted((self._around.hiding | {self._around.name}) & sys.stdlib_module_names - _HARMLESS)
        if hidden:
            reason = f"{hidden[0]}.py beside a script comes before the standard library's {hidden[0]}"
            self._findings.refuse(cell.number, 1, "this notebook", reason, "Rename it, or choose another --output.")
        for block in found:
            for item in block.statements:
                if self._around.name in imported_roots(item.node):
                    reason = f"a script called {self._around.name}.py would import itself"
                    self._findings.refuse(item.cell.number, item.line, item.code, reason, "Choose another --output.")

    def _check_lists(self, found: Sequence[Block]) -> None:
        """What IPython gives back for a shell line is more than a list."""
        everything = [statement for block in found for statement in block.statements]
        lists = {
            target.id
            for item in everything
            for child in ast.walk(item.node)
            if isinstance(child, ast.Assign)
            and isinstance(child.value, ast.Call)
            and dotted(child.value.func) == "_shell_lines"
            for target in child.targets
            if isinstance(target, ast.Name)
        }
        for item in everything:
            for child in ast.walk(item.node):
                if isinstance(child, ast.Attribute) and dotted(child.value) in lists and child.attr in _LISTS:
                    reason = f".{child.attr} is IPython's, and the script has a plain list of lines"
                    self._findings.refuse(item.cell.number, item.line, item.code, reason, "Work on the list itself.")

    def _check_stars(self, placed: Placed) -> None:
        for item in placed.body:
            for child in ast.walk(item.node):
                if isinstance(child, ast.ImportFrom) and child.names[0].name == "*":
                    reason = "only the top of a module can import everything"
                    remedy = "Import the names, or move the line to the beginning of the first cell."
                    self._findings.refuse(item.cell.number, item.line, item.code, reason, remedy)

    def _check_names(self, text: str, everything: Sequence[Statement]) -> None:
        for name in unknown_names(text):
            item = next((item for item in everything if name in item.uses.all_read), None)
            number, line, code = (item.cell.number, item.line, item.code) if item else (1, 1, name)
            reason = f"no cell says what {name} is"
            remedy = "Define it; a parameter needs a default in the cell tagged parameters."
            if name in ("_", "__", "___", "In", "Out") or name.startswith(("_i", "_oh", "_exit")):
                reason, remedy = (
                    f"{name} is a result that only a notebook keeps",
                    "Give it a name where it is computed.",
                )
            elif name in ("spark", "dbutils", "sc", "sqlContext"):
                reason = f"{name} is there in some notebooks only"
                remedy = f"Make it in a cell, or tag the cells that use {name} skip-export."
            self._findings.refuse(number, line, code, reason, remedy)

    def _parts(self, found: Sequence[Block], placed: Placed) -> list[Part]:
        cells = {block.cell.number: block for block in found}
        parts, above, first = [], "", True
        for cell in self._notebook.cells:
            if not cell.code:
                above = "\n\n".join(filter(None, (above, "" if first else _as_comment(cell.source))))
                first = False
                continue
            first = False
            block = cells.get(cell.number)
            mine = [item for item in placed.body if item.cell is cell]
            if block is None or not (mine or block.trailing):
                continue
            parts.append(
                Part(
                    statements=mine,
                    above=above,
                    below=block.trailing,
                    captured=block.captured,
                    guarded="raises-exception" in cell.tags,
                    closes=self._closes.get(cell.number, ""),
                )
            )
            above = ""
        return parts

    def _docstring(self) -> str:
        first = self._notebook.cells[0]
        lines = [line.strip("# ").strip() for line in first.source.split("\n")] if not first.code else []
        title = next((line for line in lines if line), self._notebook.name)
        source = self._around.source or self._notebook.name
        made = [f"Made by mlci from {source}", f"(sha256 {self._notebook.sha256}); to make it again:"]
        text = [
            f"{_plain(title).rstrip('.')}.",
            "",
            *made,
            "",
            f"    {self._around.command or f'mlci export {source}'}",
        ]
        rest = [_plain(line) for line in lines[lines.index(title) + 1 :]] if title in lines else []
        if any(rest):
            text[1:1] = ["", *"\n".join(rest).strip("\n").split("\n")]
        if self._findings.requirements:
            text += [
                "",
                "The notebook installed:",
                "",
                *(f"    {_plain(item)}" for item in self._findings.requirements),
            ]
        return '"""' + "\n".join(text) + '\n"""'


def _plain(text: str) -> str:
    return _printable(text).replace("\\", "\\\\").replace('"', "'")


def _as_comment(markdown: str) -> str:
    """Markdown as comments, a heading with a rule behind it."""
    from nbconvert.filters.strings import comment_lines  # noqa: PLC0415 - heavy

    text = "\n".join(_printable(_ruled(line)).rstrip() for line in markdown.strip("\n").split("\n"))
    return "\n".join(line.rstrip() for line in str(comment_lines(text, prefix="# ")).split("\n"))


def _ruled(line: str) -> str:
    heading = line.lstrip("#").strip()
    return f"--- {heading} ".ljust(76, "-") if line.startswith("#") and heading else line


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _awaits(node: ast.stmt) -> bool:
    for child in scopes(node):
        if isinstance(child, ast.Await | ast.AsyncFor | ast.AsyncWith) or (
            isinstance(child, ast.comprehension) and child.is_async
        ):
            return True
    return False


def _needs_loop(body: Sequence[Statement]) -> bool:
    """Whether cells rely on the loop that runs in a notebook."""
    names = {dotted(child.func) for item in body for child in scopes(item.node) if isinstance(child, ast.Call)}
    return bool(names & {"asyncio.create_task", "asyncio.ensure_future", "asyncio.get_running_loop"})


def _drop_unused(found: Sequence[Block]) -> None:
    """Imports of IPython that nothing uses any more."""
    read = {name for block in found for item in block.statements for name in item.uses.all_read}
    for block in found:
        kept = []
        for item in block.statements:
            node = item.node
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "IPython":
                aliases = [alias for alias in node.names if (alias.asname or alias.name) in read]
                if not aliases:
                    continue
                names = ", ".join(alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in aliases)
                kept.append(item.changed(f"from {node.module} import {names}"))
            else:
                kept.append(item)
        block.statements = kept
