"""Rewrites what only a notebook can do: showing things, asking IPython, reading what nobody types."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlci.exporting import shell
from mlci.exporting.findings import Findings
from mlci.exporting.magics import translate
from mlci.exporting.purity import Purity
from mlci.exporting.reading import Cell
from mlci.exporting.statements import Statement

_ELSEWHERE = {
    "google.colab": "it exists in Colab only",
    "kaggle_secrets": "it exists on Kaggle only",
    "kaggle_datasets": "it exists on Kaggle only",
    "ipywidgets": "widgets need a notebook to answer them",
    "dbutils": "it exists in Databricks only",
}
_PATHS = "Read data from a path that a parameter names and secrets from variables, or tag the cell skip-export."
_ASKED = "Make it a value of the cell tagged parameters."


@dataclass(frozen=True)
class Scene:
    """What the whole notebook says about the names in it."""

    purity: Purity
    pyplot: frozenset[str]  # what stands for the module
    shows: frozenset[str]  # what stands for its function show
    interactive: bool  # figures stay open from cell to cell
    sets_argv: bool
    known: frozenset[str]

    @classmethod
    def of(cls, statements: Sequence[Statement], *, interactive: bool) -> Scene:
        """For these statements."""
        known = {name for statement in statements for name in statement.uses.binds}
        nodes = [statement.node for statement in statements]
        pyplot, shows, argv, stays = set(), set(), False, interactive
        for child in (child for node in nodes for child in ast.walk(node)):
            if isinstance(child, ast.Import):
                pyplot |= {alias.asname for alias in child.names if alias.name == "matplotlib.pyplot" and alias.asname}
            elif isinstance(child, ast.ImportFrom):
                names = {alias.name: alias.asname or alias.name for alias in child.names}
                pyplot |= {names["pyplot"]} if child.module == "matplotlib" and "pyplot" in names else set()
                shows |= {names["show"]} if child.module == "matplotlib.pyplot" and "show" in names else set()
            elif isinstance(child, ast.Call) and dotted(child.func).endswith(
                (".switch_backend", "matplotlib.use", "mpl.use")
            ):
                stays = True  # it has chosen a backend that shows nothing, and closes nothing
            elif isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Store) and dotted(child) == "sys.argv":
                argv = True
        return cls(Purity.of(nodes, known), frozenset(pyplot), frozenset(shows), stays, argv, frozenset(known))


def dotted(node: ast.expr) -> str:
    """`a.b.c` as text, or ""."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def rewritten(statement: Statement, scene: Scene, findings: Findings) -> Statement | None:
    """The statement as a script can say it; None where it says nothing to anybody there."""
    rewriter = _Rewriter(statement, scene, findings)
    return rewriter.run()


class _Rewriter:
    def __init__(self, statement: Statement, scene: Scene, findings: Findings) -> None:
        self._statement, self._scene, self._findings = statement, scene, findings
        self._edits: list[tuple[ast.AST, str]] = []
        self._bound = scene.purity.bound - scene.purity.modules

    def run(self) -> Statement | None:
        node = self._statement.node
        if isinstance(node, ast.Global):
            return None
        if isinstance(node, ast.Expr) and self._scene.purity.only_shows(node.value):
            if not isinstance(node.value, ast.Constant):
                self._drop(node, "only shows a value")
            return None
        top = self._expression(node) if isinstance(node, ast.Expr) else None
        if top is not None:
            return self._statement.changed(top) if top else None
        self._visit(node, top=True)
        return self._statement.changed(self._edited()) if self._edits else self._statement

    def _visit(self, node: ast.AST, *, top: bool) -> None:
        for child in ast.iter_child_nodes(node) if not isinstance(node, ast.Import | ast.ImportFrom) else [node]:
            if isinstance(child, ast.Expr):
                said = self._expression(child)
                if said is not None:
                    self._edits.append((child, said or "pass"))
                    continue
            elif isinstance(child, ast.Import | ast.ImportFrom):
                self._import(child)
                continue
            inner = top and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef)
            if isinstance(child, ast.Call) and self._call(child, top=inner):
                continue
            self._refuse_names(child)
            self._visit(child, top=inner)
        if isinstance(node, ast.stmt):
            self._refuse_names(node)

    def _expression(self, node: ast.Expr) -> str | None:
        """What a statement that is one call becomes: "" nothing, None what it is."""
        call = node.value
        if not isinstance(call, ast.Call):
            return None
        name, arguments = dotted(call.func), [*call.args, *(keyword.value for keyword in call.keywords)]
        if name in ("display", "IPython.display.display", "clear_output") and name not in self._bound:
            kept = [self._text(item) for item in call.args if not self._scene.purity.pure(item)]
            kept += [self._text(item.value) for item in call.keywords if not self._scene.purity.pure(item.value)]
            self._drop(node, "only shows something", ", ".join(kept))
            return "\n".join(kept) if len(kept) < 2 else f"({', '.join(kept)})"  # noqa: PLR2004
        root, _, method = name.rpartition(".")
        pyplot = root in self._scene.pyplot or root == "matplotlib.pyplot" or name in self._scene.shows
        if pyplot and (method == "show" or name in self._scene.shows):
            return self._shown(node, root)
        if (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "show"
            and all(map(self._scene.purity.pure, arguments))
        ):
            return self._show(node, call.func)
        if isinstance(call.func, ast.Attribute) and self._text(call.func.value).replace(" ", "") == "get_ipython()":
            return self._ipython(call.func.attr, call)
        return None

    def _shown(self, node: ast.Expr, root: str) -> str:
        if self._scene.interactive:
            self._drop(node, "only shows figures")
            return ""
        if not root:
            root = "_mlci_pyplot"
        by = f'{root}.close("all")'
        self._findings.replace(
            self._statement.cell.number, self._line(node), self._text(node), by.replace("_mlci_", "")
        )
        return by

    def _show(self, node: ast.Expr, function: ast.Attribute) -> str | None:
        receiver = function.value
        if "show" in self._scene.purity.methods or (
            isinstance(receiver, ast.Name) and receiver.id in self._scene.purity.modules
        ):
            return None
        kept = "" if self._scene.purity.pure(receiver) else self._text(receiver)
        self._drop(node, "only shows something", kept)
        return kept

    def _ipython(self, method: str, call: ast.Call) -> str | None:
        words = [item.value for item in call.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        if len(words) != len(call.args) or call.keywords or not words:
            return None
        line = {
            "system": "!{0}",
            "magic": "%{0}",
            "run_line_magic": "%{0} {1}",
            "run_cell_magic": "%%{0} {1}\n{2}",
        }.get(method)
        if line is None or len(words) != line.count("{"):
            return None
        cell = Cell(number=self._statement.cell.number, code=True, source=line.format(*words))
        said = translate(cell, self._scene.known, self._findings).text.strip()
        return said if "\n" not in said else None

    def _call(self, node: ast.Call, *, top: bool) -> bool:
        """Rewrite or refuse one call; whether that is all there is to say of it."""
        name = dotted(node.func)
        if name in ("locals", "vars") and top and not node.args and name not in self._bound:
            self._edits.append((node.func, "globals"))
            return True
        if name == "dir" and not node.args and "dir" not in self._bound:
            self._refuse(node, "it lists the notebook's names", "Say sorted(globals()).")
        if name in ("input", "getpass", "getpass.getpass", "raw_input") and name not in self._bound:
            self._refuse(node, "nobody answers a script", _ASKED)
        if name in ("_mlci_os.chdir", "os.chdir"):
            return False
        if (
            name.endswith((".parse_args", ".parse_known_args"))
            and not node.args
            and not node.keywords
            and not self._scene.sets_argv
        ):
            reason = "it would read the script's own command line"
            self._refuse(node, reason, "Pass a list, such as parse_args([]), or use the cell tagged parameters.")
        if isinstance(node.func, ast.Attribute) and node.func.attr == "getoutput":
            inner = node.func.value
            if isinstance(inner, ast.Call) and dotted(inner.func) == "get_ipython" and len(node.args) == 1:
                [command] = node.args
                if isinstance(command, ast.Constant) and isinstance(command.value, str):
                    self._findings.helpers.add("_shell_lines")
                    said = f"_shell_lines({shell.expression(command.value, self._scene.known)})"
                    self._edits.append((node, said))
                    return True
        return False

    def _refuse_names(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in self._bound:
            if node.id == "get_ipython":
                self._refuse(node, "there is no IPython in a script", "Say it in Python, or tag the cell skip-export.")
            elif node.id == "__file__":
                self._refuse(node, "a notebook has no file, and a script has one", "Say the path, or use Path.cwd().")
            elif node.id == "display":
                self._refuse(node, "what display gives back is used", "Tag the cell skip-export, or print it.")
        if isinstance(node, ast.Constant) and node.value in ("__file__", "get_ipython", "ipykernel", "IPKernelApp"):
            self._refuse(node, "it asks whether this is a notebook", "Tag the cell skip-export.")
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and dotted(node) == "sys.argv"
            and not self._scene.sets_argv
        ):
            self._refuse(node, "a notebook has other arguments than a script", _ASKED)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if isinstance(node, ast.ImportFrom) and node.level:
            self._refuse(node, "a script is in no package", "Import it absolutely.")
        if isinstance(node, ast.ImportFrom) and node.module == "google":
            modules += [f"google.{alias.name}" for alias in node.names]
        for module in modules:
            known = next((name for name in _ELSEWHERE if module == name or module.startswith(f"{name}.")), None)
            if known:
                self._refuse(node, _ELSEWHERE[known], _PATHS)
        text = self._text(node)
        said = re.sub(r"\btqdm\.notebook\b", "tqdm.auto", text)
        if isinstance(node, ast.ImportFrom) and node.module == "tqdm":
            said = re.sub(
                r"\btqdm_notebook\b(?! as)", "tqdm as tqdm_notebook", re.sub(r"\btqdm_notebook as\b", "tqdm as", said)
            )
        if said != text and "tqdm.notebook" in text and isinstance(node, ast.Import) and " as " not in text:
            self._refuse(node, "it draws its bars in a notebook", "Say `from tqdm.auto import tqdm`.")
        elif said != text:
            self._edits.append((node, said))
            self._findings.replace(self._statement.cell.number, self._line(node), text, said)

    def _text(self, node: ast.AST) -> str:
        return ast.get_source_segment(self._statement.code, node) or ""

    def _line(self, node: ast.AST) -> int:
        return self._statement.line + getattr(node, "lineno", 1) - _first_line(self._statement.node)

    def _drop(self, node: ast.AST, why: str, kept: str = "") -> None:
        said = f"{why}; kept: {kept}" if kept else why
        self._findings.drop(self._statement.cell.number, self._line(node), self._text(node), said)

    def _refuse(self, node: ast.AST, reason: str, remedy: str) -> None:
        what = self._statement.code.split("\n")[max(0, getattr(node, "lineno", 1) - 1)].strip()
        self._findings.refuse(self._statement.cell.number, self._line(node), what, reason, remedy)

    def _edited(self) -> str:
        return edited(self._statement.code, self._edits)


def _first_line(node: ast.stmt) -> int:
    return int(min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))]))


def edited(code: str, edits: Sequence[tuple[ast.AST, str]]) -> str:
    """The code with the text of nodes replaced; the nodes' positions are those in it."""
    lines = [line.encode() for line in code.split("\n")]
    for node, text in sorted(edits, key=lambda edit: _position(edit[0]), reverse=True):
        (first, start), (last, end) = _position(node), (int(node.end_lineno) - 1, int(node.end_col_offset))  # type: ignore[attr-defined]
        said = lines[first][:start] + text.encode() + lines[last][end:]
        lines[first : last + 1] = said.split(b"\n")
    return b"\n".join(lines).decode()


def _position(node: ast.AST) -> tuple[int, int]:
    return int(node.lineno) - 1, int(node.col_offset)  # type: ignore[attr-defined]


def scopes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of the same scope as `node`, itself among them: not what functions and classes hold."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        for child in ast.iter_child_nodes(node):
            yield from scopes(child)
