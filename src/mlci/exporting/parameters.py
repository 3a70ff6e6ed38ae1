"""The parameters cell as typed parameters: plain values, their types, choices and what comments say of them."""

from __future__ import annotations

import ast
import io
import math
import operator
import re
import tokenize
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlci.exporting.findings import Findings
from mlci.exporting.shell import literal
from mlci.exporting.statements import Statement

Kind = Literal["bool", "int", "float", "str", "list", "dict", "any"]
_MAX_SIZE = 10_000  # of a computed text or container
_MAX_BITS = 4096
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_NAMES: dict[str, Kind] = {"bool": "bool", "int": "int", "float": "float", "str": "str"}
_NAMES |= {
    "list": "list",
    "List": "list",
    "tuple": "list",
    "Sequence": "list",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
}
_REMEDY = "Move it to the next cell."


class NotPlain(Exception):  # noqa: N818 - no error: it is then no parameter
    """The expression is no plain value."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of the notebook."""

    name: str
    kind: Kind
    optional: bool  # None is one of its values
    default: Any
    source: str  # the default as Python
    help: str = ""
    choices: tuple[str | int, ...] = ()

    @property
    def annotation(self) -> str:
        """For the signature of main(); in quotes where an old Python could not evaluate it."""
        name = "object" if self.kind == "any" else self.kind
        none = self.optional and name != "object"
        mutable = isinstance(self.default, list | dict)
        return f'"{name} | None"' if none or mutable else name


def parameters_of(
    statements: Iterable[Statement], findings: Findings
) -> tuple[dict[str, Parameter], list[Statement], list[Statement]]:
    """What the statements of a parameters cell are.

    Returns:
        The parameters, the statements that they were made of, and those that stay code.
    """
    found: dict[str, Parameter] = {}
    made: list[Statement] = []
    rest: list[Statement] = []
    for statement in statements:
        target, annotation, value = _assigned(statement.node)
        if target is None or value is None:
            rest.append(statement)
            continue
        try:
            default = evaluated(value, {name: item.default for name, item in found.items()})
        except NotPlain:
            rest.append(statement)
            continue
        if target in found and annotation is None and found[target].choices:
            found.pop(target)
        found[target] = _parameter(target, annotation, value, default, statement)
        made.append(statement)
    for statement in rest:
        used = sorted(statement.uses.all_read & found.keys())
        again = sorted(statement.uses.binds & found.keys())
        if used or again:
            name = (used or again)[0]
            reason = f"it uses {name}, and papermill computes it before it sets {name}"
            findings.refuse(statement.cell.number, statement.line, statement.code, reason, _REMEDY)
        elif statement.uses.binds and isinstance(statement.node, ast.Assign | ast.AnnAssign):
            names = ", ".join(sorted(statement.uses.binds))
            findings.notes.append(f"cell {statement.cell.number}: {names} is no plain value, and so no parameter")
    return found, made, rest


def _assigned(node: ast.stmt) -> tuple[str | None, ast.expr | None, ast.expr | None]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.annotation, node.value
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, None, node.value
    return None, None, None


def _parameter(
    name: str, annotation: ast.expr | None, value: ast.expr, default: object, statement: Statement
) -> Parameter:
    kind, optional, choices = _annotated(annotation) if annotation is not None else (None, False, ())
    plain = not any(isinstance(child, ast.Name) for child in ast.walk(value))
    source = ast.get_source_segment(statement.code, value) if plain else None
    return Parameter(
        name=name,
        kind=kind or _kind_of(default),
        optional=optional or default is None,
        default=default,
        source=source if source and "\n" not in source and "#" not in source else _written(default),
        help=_help(statement),
        choices=choices,
    )


def _written(value: object) -> str:
    """A plain value as Python."""
    match value:
        case str():
            return literal(value)
        case list():
            return f"[{', '.join(map(_written, value))}]"
        case tuple():
            items = ", ".join(map(_written, value))
            return f"({items},)" if len(value) == 1 else f"({items})"
        case dict():
            return f"{{{', '.join(f'{_written(key)}: {_written(item)}' for key, item in value.items())}}}"
    return repr(value)


def _kind_of(value: object) -> Kind:
    for kind, types in {
        "bool": bool,
        "int": int,
        "float": float,
        "str": str,
        "list": list | tuple,
        "dict": dict,
    }.items():
        if isinstance(value, types):
            return kind  # type: ignore[return-value]
    return "any"


def _annotated(node: ast.expr) -> tuple[Kind | None, bool, tuple[str | int, ...]]:
    """Kind, whether None is allowed, and choices; a kind of None: not to be told."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return _annotated(ast.parse(node.value, mode="eval").body)
        except SyntaxError:
            return None, False, ()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if not _is_none(side)]
        if len(sides) == 1:
            kind, _, choices = _annotated(sides[0])
            return kind, True, choices
        return "any", any(map(_is_none, (node.left, node.right))), ()
    name, inner = node, None
    if isinstance(node, ast.Subscript):
        name, inner = node.value, node.slice
    word = name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""
    if word == "Optional" and inner is not None:
        kind, _, choices = _annotated(inner)
        return kind, True, choices
    if word == "Literal" and inner is not None:
        items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        values = [item.value for item in items if isinstance(item, ast.Constant)]
        of = [value for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
        if of and len(of) + values.count(None) == len(items) and len({type(value) for value in of}) == 1:
            return _kind_of(of[0]), None in values, tuple(of)
        return None, False, ()
    return _NAMES.get(word), False, ()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _help(statement: Statement) -> str:
    """What comments say: that behind the value, else those right above."""
    try:
        comments = [
            token.string
            for token in tokenize.generate_tokens(io.StringIO(statement.code + "\n").readline)
            if token.type == tokenize.COMMENT
        ]
    except (tokenize.TokenError, SyntaxError):
        comments = []
    above = statement.comments.rsplit("\n\n", 1)[-1].split("\n")
    lines = [line.lstrip("# ").rstrip() for line in comments or above]
    text = " ".join(line for line in lines if line and not re.fullmatch(r"[-=#*\s]*", line))
    return re.sub(r"^type:\s*\S+\s*", "", text)[:200]


def evaluated(node: ast.expr, names: Mapping[str, Any]) -> Any:  # noqa: ANN401 - one case a kind of expression
    """The value of an expression of constants and of names of earlier ones, within bounds.

    Raises:
        NotPlain: It is anything else.
    """
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not() as op, operand=operand):
            value = evaluated(operand, names)
            if isinstance(op, ast.Not):
                return not value
            if not isinstance(value, int | float):
                raise NotPlain
            return -value if isinstance(op, ast.USub) else +value
        case ast.List(elts=items):
            return [evaluated(item, names) for item in items]
        case ast.Tuple(elts=items):
            return tuple(evaluated(item, names) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {
                evaluated(key, names) if key is not None else _refused(): evaluated(value, names)
                for key, value in zip(keys, values, strict=True)
            }
        case ast.JoinedStr(values=parts):
            return "".join(_formatted(part, names) for part in parts)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _computed(type(op), evaluated(left, names), evaluated(right, names))
    raise NotPlain


def _refused() -> Any:  # noqa: ANN401 - it gives nothing back
    raise NotPlain


def _formatted(part: ast.expr, names: Mapping[str, Any]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    if not isinstance(part, ast.FormattedValue) or part.format_spec is not None or part.conversion != -1:
        raise NotPlain
    return str(evaluated(part.value, names))


def _computed(kind: type[ast.operator], left: Any, right: Any) -> Any:  # noqa: ANN401 - plain values
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    texts = kind is ast.Add and type(left) is type(right) and isinstance(left, str | list | tuple)
    repeated = kind is ast.Mult and isinstance(left, str | list) and isinstance(right, int)
    if not (numbers or texts or (repeated and len(left) * max(right, 0) <= _MAX_SIZE)):
        raise NotPlain
    bits = [value.bit_length() for value in (left, right) if isinstance(value, int)]
    if any(size > _MAX_BITS for size in bits):
        raise NotPlain
    if kind is ast.Pow and isinstance(left, int) and isinstance(right, int) and bits[0] * abs(right) > _MAX_BITS:
        raise NotPlain
    try:
        value = _OPERATORS[kind](left, right)
    except (ArithmeticError, ValueError, TypeError):
        raise NotPlain from None
    if isinstance(value, complex) or (isinstance(value, float) and not math.isfinite(value)):
        raise NotPlain
    return value
