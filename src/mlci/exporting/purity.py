"""Tells whether an expression only shows something: it may be dropped only where nothing can depend on it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass

# Of pandas, polars and numpy; what others call so changes nothing either, unless the notebook itself defines it.
_METHODS = frozenset(
    [
        "head",
        "tail",
        "describe",
        "value_counts",
        "nunique",
        "isnull",
        "isna",
        "notnull",
        "notna",
        "corr",
        "duplicated",
        "memory_usage",
        "nlargest",
        "nsmallest",
        "sort_values",
        "sort_index",
        "mean",
        "median",
        "std",
        "var",
        "sum",
        "min",
        "max",
        "round",
        "pivot_table",
        "transpose",
        "to_frame",
        "reset_index",
        "idxmax",
        "idxmin",
        "quantile",
        "any",
        "all",
        "unique",
        "groupby",
        "size",
    ]
)
_BUILTINS = frozenset({"len", "type", "str", "repr", "round", "abs", "isinstance", "print"})
_SHOWN = frozenset(
    {"HTML", "Image", "Markdown", "Latex", "SVG", "JSON", "Code", "IFrame", "Audio", "Video", "YouTubeVideo"}
)
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
# As harmless as what they are made of.
_WHOLES = (
    ast.Slice,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.UnaryOp,
    ast.Compare,
    ast.JoinedStr,
    ast.FormattedValue,
)
_CUNNING = frozenset({"defaultdict", "property", "cached_property", "__getattr__", "__getitem__", "__missing__"})


@dataclass(frozen=True)
class Purity:
    """What of a notebook's expressions certainly changes nothing.

    Args:
        modules: Names that are imported: `requests.head()` is no `df.head()`.
        bound: Names that the notebook binds.
        methods: What its classes define.
        cunning: Whether reading an attribute or item may do something.
    """

    modules: frozenset[str]
    bound: frozenset[str]
    methods: frozenset[str]
    cunning: bool

    @classmethod
    def of(cls, nodes: Iterable[ast.stmt], bound: Collection[str]) -> Purity:
        """For a notebook of these statements."""
        walked = [child for node in nodes for child in ast.walk(node)]
        imported = [
            alias.asname or alias.name.partition(".")[0]
            for child in walked
            if isinstance(child, ast.Import | ast.ImportFrom)
            for alias in child.names
        ]
        methods = [
            inner.name
            for child in walked
            if isinstance(child, ast.ClassDef)
            for inner in ast.walk(child)
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        said = {child.id for child in walked if isinstance(child, ast.Name)} | set(methods) | set(imported)
        said |= {child.attr for child in walked if isinstance(child, ast.Attribute)}
        return cls(frozenset(imported), frozenset(bound), frozenset(methods), bool(said & _CUNNING))

    def only_shows(self, node: ast.expr) -> bool:
        """Whether an expression whose value nobody keeps can be left out."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            return False  # what is printed is in the log, and wanted
        return self.pure(node)

    def pure(self, node: ast.expr | None) -> bool:
        """Whether evaluating it changes nothing."""
        match node:
            case None | ast.Constant() | ast.Name():
                return True
            case ast.Attribute() | ast.Subscript():
                return not self.cunning and self._parts_pure(node)
            case ast.BinOp(op=op):
                return isinstance(op, _OPERATORS) and self._parts_pure(node)
            case ast.Call():
                return self._pure_call(node)
        return isinstance(node, _WHOLES) and self._parts_pure(node)

    def _parts_pure(self, node: ast.expr) -> bool:
        return all(self.pure(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))

    def _pure_call(self, node: ast.Call) -> bool:
        keywords = [keyword.arg for keyword in node.keywords]
        if "inplace" in keywords or None in keywords or any(isinstance(value, ast.Starred) for value in node.args):
            return False
        if not all(map(self.pure, (*node.args, *(keyword.value for keyword in node.keywords)))):
            return False
        if isinstance(node.func, ast.Name):
            name = node.func.id
            return (name in _BUILTINS and name not in self.bound) or (name in _SHOWN and name in self.modules)
        if not isinstance(node.func, ast.Attribute) or self.cunning:
            return False
        method, root = node.func.attr, _root(node.func.value)
        if method in self.methods or (root is not None and root in self.modules):
            return False
        if method == "info":  # a logger's says something, and may write
            return not node.args and not keywords and self.pure(node.func.value)
        return method in _METHODS and self.pure(node.func.value)


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
