"""Which names a statement binds, reads at once, and reads only when something that it defines is called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_WORD = re.compile(r"[^\W\d]\w*")
_EXPRESSION = re.compile(r"[@~<>+*=]|\s[-/]\s")
_NAMESPACES = frozenset({"globals", "locals", "vars", "eval", "exec", "dir", "__import__"})


@dataclass
class Uses:
    """The names of one statement at the top of a cell.

    Args:
        binds: What it assigns, imports, defines or deletes here.
        reads: What it reads while it is executed.
        later: What functions, classes and comprehensions within it read from around them.
        declared: What functions in it declare `global`.
        shadowed: What a class body reads from outside although it binds the name as well: it sees only true globals.
        spoken: Names in texts that are handed on within functions: `df.query("x > @limit")` finds them by looking.
        annotations: Names in annotations.
        namespaces: Whether it looks at namespaces as a whole.
    """

    binds: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    shadowed: set[str] = field(default_factory=set)
    spoken: set[str] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    namespaces: bool = False

    @property
    def all_read(self) -> set[str]:
        """Whatever it reads, now or later."""
        return self.reads | self.later


def uses(node: ast.stmt) -> Uses:
    """The names of a statement."""
    found = Uses()
    visitor = _Visitor(found)
    visitor.visit(node)
    found.binds, found.reads, found.later = visitor.binds, visitor.reads, visitor.later
    return found


class _Visitor(ast.NodeVisitor):
    """One scope."""

    def __init__(self, found: Uses, *, nested: bool = False) -> None:
        self.binds: set[str] = set()
        self.reads: set[str] = set()
        self.later: set[str] = set()
        self.given: set[str] = set()  # declared global or nonlocal here
        self._found, self._nested = found, nested

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.reads.add(node.id)
            if node.id in _NAMESPACES:
                self._found.namespaces = True
        else:
            self.binds.add(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.reads.add(node.target.id)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._note_annotation(node.annotation)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.binds.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        if any(alias.name == "__main__" for alias in node.names):
            self._found.namespaces = True

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.binds.update(alias.asname or alias.name for alias in node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.binds |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.binds |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self.binds |= {node.name} if node.name else set()

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.binds |= {node.rest} if node.rest else set()
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.given.update(node.names)
        if self._nested:
            self._found.declared.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.given.update(node.names)

    def visit_Constant(self, node: ast.Constant) -> None:
        if node.value == "__main__":
            self._found.namespaces = True

    def visit_Compare(self, node: ast.Compare) -> None:
        if isinstance(node.left, ast.Name) and node.left.id == "__name__":
            self.reads.add("__name__")  # which is "__main__" here and there
            return
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if self._nested:
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                self._found.spoken.update(_spoken(argument))
        if isinstance(node.func, ast.Name) and node.func.id in ("vars", "dir") and node.args:
            for child in (*node.args, *node.keywords):  # of a value, not of a namespace
                self.visit(child)
            return
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.binds.add(node.name)
        for part in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(part)
        for annotation in _annotations(node):
            self._note_annotation(annotation)
            self.visit(annotation)
        self._function(node.args, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for part in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(part)
        self._function(node.args, [node.body])

    def _function(self, arguments: ast.arguments, body: list[ast.stmt] | list[ast.expr]) -> None:
        inner = _Visitor(self._found, nested=True)
        for part in body:
            inner.visit(part)
        inner.binds.update(argument.arg for argument in _all_arguments(arguments))
        own = inner.binds - inner.given
        self.later |= (inner.reads | inner.later | inner.binds & inner.given) - own

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.binds.add(node.name)
        for part in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(part)
        bound: set[str] = set()
        outside: set[str] = set()
        for statement in node.body:
            inner = _Visitor(self._found, nested=True)
            inner.visit(statement)
            outside |= inner.reads - bound
            bound |= inner.binds
            self.later |= inner.later  # methods do not see the class's own names
        self.reads |= outside
        self._found.shadowed |= outside & bound

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.visit(node.generators[0].iter)
        inner = _Visitor(self._found, nested=True)
        for place, generator in enumerate(node.generators):
            inner.visit(generator.target)
            for part in (*([generator.iter] if place else []), *generator.ifs):
                inner.visit(part)
        bound = set(inner.binds)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            inner.visit(part)
        self.binds |= _walrus(node)
        self.later |= (inner.reads | inner.later) - bound
        self.reads |= inner.reads - bound  # a generator may wait, the others do not

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp  # noqa: N815

    def _note_annotation(self, node: ast.expr) -> None:
        self._found.annotations.update(child.id for child in ast.walk(node) if isinstance(child, ast.Name))


def _annotations(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    for argument in _all_arguments(node.args):
        if argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*named, *filter(None, (arguments.vararg, arguments.kwarg))]


def _walrus(node: ast.AST) -> set[str]:
    return {child.target.id for child in ast.walk(node) if isinstance(child, ast.NamedExpr)}


def _spoken(node: ast.expr) -> Iterator[str]:
    """The words of a text that may be an expression."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and _EXPRESSION.search(child.value):
            yield from _WORD.findall(child.value)
