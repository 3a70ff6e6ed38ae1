"""Decides where each statement of a notebook belongs in a script, so that the script does exactly what it did.

All cells of a notebook share one namespace, the globals of `__main__`. In the script they become the body of one
function, `main()`, in their order, and three kinds of statements leave it, where nothing can tell the difference:

- the first statements, as long as they are imports and settings (`sys.path`, `os.environ`, `matplotlib.use`, warnings):
  they stay in their order, at the top of the module. A later import joins them only if no statement before it can
  change what it does: not after changes of variables, paths, folders or modules, not if its name is bound twice or
  is a builtin's, not if it is a module beside the notebook, which may read what earlier cells have written;
- functions and classes that are defined once and use nothing but what lies at the top of the module. To define them
  runs nothing: decorators, defaults and class bodies are of known kinds;
- constants in capitals that are plain values.

What is left is local to `main()`, and functions and classes in it are closures over these locals, which see later
assignments as they saw those of globals. But such names are declared `global` in `main()`, and are then what they were:

- functions and classes: pickle and multiprocessing look them up in `__main__`, and by `global` their qualified name
  is the plain one; likewise what is told its own name, as by `namedtuple("Point", ...)`;
- names of builtins, since a cell may use the builtin before another one hides it; names that are bound at the top too;
- names that functions declare `global`; that class bodies bind and read at once, for these look past closures; that
  stand in texts within functions (`df.query("x > @limit")` looks into frames); of postponed annotations;
- all of them, where the notebook handles namespaces as a whole: `globals()`, `eval`, `exec`, `import *`, `%run`.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from mlci.exporting.rewriting import edited, scopes
from mlci.exporting.settling import (
    changed_modules,
    is_builtin,
    is_constant,
    is_definition,
    is_import,
    is_setting,
    unsettles,
)
from mlci.exporting.statements import Statement


@dataclass
class Placed:
    """Where everything goes.

    Args:
        future: `from __future__` imports.
        top: Imports and settings, in order.
        definitions: Functions, classes and constants of the module.
        body: What stays in main(), in order.
        shared: The names that main() declares global.
        all_shared: Whether it had to be all of them.
    """

    future: list[Statement] = field(default_factory=list)
    top: list[Statement] = field(default_factory=list)
    definitions: list[Statement] = field(default_factory=list)
    body: list[Statement] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    all_shared: bool = False


def place(
    statements: Sequence[Statement], parameters: Collection[str], beside: Callable[[str], bool], *, open_names: bool
) -> Placed:
    """Distribute the statements.

    Args:
        statements: All but those that parameters were made of, in order.
        parameters: Names that main() gets as arguments.
        beside: Whether a module of that name lies beside the notebook.
        open_names: Whether names come from elsewhere that nobody knows, as with %run.
    """
    return _Placing(statements, parameters, beside, open_names=open_names).run()


class _Placing:
    def __init__(
        self,
        statements: Sequence[Statement],
        parameters: Collection[str],
        beside: Callable[[str], bool],
        *,
        open_names: bool,
    ) -> None:
        self._placed = Placed(future=[item for item in statements if _is_future(item.node)])
        self._statements = [item for item in statements if not _is_future(item.node)]
        self._parameters, self._beside = frozenset(parameters), beside
        self._bindings = Counter(name for item in self._statements for name in _binds(item))
        self._bindings.update(self._parameters)
        self._imports: dict[str, set[str]] = {}
        self._changed = changed_modules(self._statements)
        for item in self._statements:
            if isinstance(item.node, ast.Import | ast.ImportFrom):
                for name, source in _imported(item.node).items():
                    self._imports.setdefault(name, set()).add(source)
        self._open = open_names or any("*" in item.uses.binds for item in self._statements)

    def run(self) -> Placed:
        placed = self._placed
        top = self._top()
        taken = {id(item) for item in top}
        names = {name for item in top for name in _binds(item)}
        rest = [item for item in self._statements if id(item) not in taken]
        elsewhere = {name for item in rest for name in _binds(item)} | self._parameters
        definitions = self._definitions(rest, names - elsewhere, elsewhere)
        taken |= {id(item) for item in definitions}
        placed.top, placed.definitions = _without_repeats(top), definitions
        placed.body = [item for item in self._statements if id(item) not in taken]
        self._share()
        return placed

    def _top(self) -> list[Statement]:
        """Imports and settings for the top of the module."""
        found: list[Statement] = []
        names: set[str] = set()
        first, settled = True, True
        unsettling = self._unsettling_functions()
        for item in self._statements:
            node = item.node
            if item.guarded:
                first = settled = False
            elif isinstance(node, ast.Import | ast.ImportFrom):
                if first or (settled and self._movable(item)):
                    found.append(item)
                    names |= _binds(item)
                else:
                    first = False
            elif item.ours:  # nothing that was imported so far has to do with it
                if first or settled:
                    found.append(item)
            elif first and is_setting(item, names):
                found.append(item)
                names |= _binds(item)
            elif not (is_definition(node) or self._is_constant(item)):
                first = False
                settled = settled and not unsettles(item, unsettling, self._imports.keys())
        return found

    def _movable(self, item: Statement) -> bool:
        node = item.node
        assert isinstance(node, ast.Import | ast.ImportFrom)  # noqa: S101 - as the caller asks
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        return not any(
            name == "*"
            or hasattr(builtins, name)
            or name in self._parameters
            or len(self._imports[name]) > 1
            or self._bindings[name] > sum(name in _binds(other) for other in self._statements if is_import(other.node))
            for name in _binds(item)
        ) and not any(self._beside(module.partition(".")[0]) for module in modules)

    def _unsettling_functions(self) -> set[str]:
        """Functions of the notebook that may change what an import does."""
        found: set[str] = set()
        defined = [
            item
            for item in self._statements
            if isinstance(item.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        for _ in defined:
            more = {item.node.name for item in defined if unsettles(item, found, self._imports.keys())}  # type: ignore[attr-defined]
            if more <= found:
                break
            found |= more
        return found

    def _definitions(self, rest: Sequence[Statement], above: set[str], elsewhere: set[str]) -> list[Statement]:
        """Functions, classes and constants that use nothing but each other and what is `above`."""
        declared = {name for item in self._statements for name in item.uses.declared}
        candidates = [
            item
            for item in rest
            if not item.guarded
            and (is_definition(item.node) or self._is_constant(item))
            and all(
                self._bindings[name] == 1 and not hasattr(builtins, name) and name not in declared
                for name in _binds(item)
            )
        ]
        while True:
            mine = {name for item in candidates for name in _binds(item)}
            known = above | mine
            hidden = elsewhere - mine
            kept, before = [], set(above)
            for item in candidates:
                later = item.uses.all_read
                if (
                    all(name in known or (name not in hidden and is_builtin(name)) for name in later)
                    and all(name in before or is_builtin(name) for name in item.uses.reads - _binds(item))
                    and not item.uses.declared
                    and not item.uses.namespaces
                    and not item.uses.spoken & hidden
                    and not item.uses.reads & self._changed
                ):
                    kept.append(item)
                    before |= _binds(item)
            if len(kept) == len(candidates):
                return candidates
            candidates = kept

    def _is_constant(self, item: Statement) -> bool:
        """Whether it binds one name in capitals, once, to a plain value that nothing changes."""
        node = item.node
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            return False
        return (
            isinstance(target, ast.Name)
            and target.id.isupper()
            and target.id not in self._parameters
            and self._bindings[target.id] == 1
            and is_constant(value)
        )

    def _share(self) -> None:
        """Find the names that main() must declare global."""
        placed, body = self._placed, self._placed.body
        bound = {name for item in body for name in _binds(item)}
        outside = {name for item in (*placed.top, *placed.definitions) for name in _binds(item)}
        everything = [*placed.top, *placed.definitions, *body]
        placed.all_shared = self._open or any(item.uses.namespaces for item in everything)
        shared = bound if placed.all_shared else bound & outside
        for item in everything:
            shared |= (item.uses.declared | item.uses.shadowed | item.uses.spoken) & (bound | self._parameters)
            shared |= item.uses.annotations & bound if placed.future else set()
        shared |= {name for item in everything for name in item.uses.declared}
        for item in body:
            if is_definition(item.node):
                shared |= _binds(item)
            shared |= {name for name in _binds(item) if hasattr(builtins, name) and name not in self._parameters}
            shared |= _told_its_name(item.node)
        # What main() itself only gets as an argument is shared if a class or text would look for it.
        placed.shared = shared
        placed.body = [_without_annotations(item, shared) for item in body]


def _binds(item: Statement) -> set[str]:
    return item.uses.binds


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """What each name is that an import binds."""
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: alias.name if alias.asname else alias.name.partition(".")[0]
            for alias in node.names
        }
    return {alias.asname or alias.name: f"{node.module}:{alias.name}" for alias in node.names}


def _told_its_name(node: ast.stmt) -> set[str]:
    """`Point = namedtuple("Point", ...)`: pickle will look for it under that name."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call) or not node.value.args:
        return set()
    first = node.value.args[0]
    named = {target.id for target in node.targets if isinstance(target, ast.Name)}
    return named & {first.value} if isinstance(first, ast.Constant) else set()


def _without_annotations(item: Statement, shared: Collection[str]) -> Statement:
    """A name that is declared global cannot be annotated."""
    edits: list[tuple[ast.AST, str]] = []
    for child in scopes(item.node):
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            if child.value is None:
                edits.append((child, "pass"))
            elif child.target.id in shared:
                value = ast.get_source_segment(item.code, child.value) or ""
                edits.append((child, f"{child.target.id} = {value}"))
    return item.changed(edited(item.code, edits)) if edits else item


def _without_repeats(items: Sequence[Statement]) -> list[Statement]:
    """Imports that stand there twice, once."""
    seen: set[str] = set()
    kept = []
    for item in items:
        if not is_import(item.node) or ast.dump(item.node) not in seen:
            kept.append(item)
        seen.add(ast.dump(item.node))
    return kept
