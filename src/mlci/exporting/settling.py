"""Which statements may leave their place in a notebook: what they run, and what they can change for others."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterable

from mlci.exporting.rewriting import dotted
from mlci.exporting.statements import Statement

_UNSETTLING = frozenset(
    [
        "environ",
        "putenv",
        "unsetenv",
        "chdir",
        "_run_script",
        "_shell_lines",
        "_mlci_subprocess",
        "_mlci_pathlib",
        "subprocess",
        "system",
        "popen",
        "import_module",
        "reload",
        "invalidate_caches",
        "run_path",
        "run_module",
        "switch_backend",
        "set_start_method",
        "load_dotenv",
        "write_text",
        "writelines",
        "exec",
        "eval",
        "meta_path",
        "path_hooks",
        "addsitedir",
    ]
)
_SETTINGS = frozenset(
    [
        "sys.path.insert",
        "sys.path.append",
        "sys.path.extend",
        "os.environ.setdefault",
        "os.environ.update",
        "os.environ.pop",
        "warnings.filterwarnings",
        "warnings.simplefilter",
        "matplotlib.use",
        "style.use",
        "rcParams.update",
        "set_option",
        "set_printoptions",
        "seterr",
        "set_theme",
        "set_style",
        "set_palette",
        "set_context",
        "logging.basicConfig",
        "logging.disable",
        "config.update",
        "filterwarnings",
        "simplefilter",
        "set_float32_matmul_precision",
        "setrecursionlimit",
    ]
)
_DECORATORS = frozenset(
    [
        "dataclass",
        "dataclasses.dataclass",
        "staticmethod",
        "classmethod",
        "property",
        "functools.wraps",
        "functools.lru_cache",
        "lru_cache",
        "functools.cache",
        "cache",
        "functools.total_ordering",
        "total_ordering",
        "functools.cached_property",
        "cached_property",
        "abstractmethod",
        "abc.abstractmethod",
        "contextmanager",
        "contextlib.contextmanager",
        "torch.no_grad",
        "torch.inference_mode",
        "numba.njit",
        "numba.jit",
        "njit",
        "jit",
        "override",
        "typing.override",
        "overload",
        "runtime_checkable",
        "enum.unique",
        "unique",
    ]
)
_MAKING = frozenset(
    [
        "field",
        "dataclasses.field",
        "Path",
        "pathlib.Path",
        "os.path.join",
        "frozenset",
        "tuple",
        "set",
        "dict",
        "list",
        "auto",
    ]
)


def is_import(node: ast.stmt) -> bool:
    """Whether it imports."""
    return isinstance(node, ast.Import | ast.ImportFrom)


def is_definition(node: ast.stmt) -> bool:
    """Whether it defines something, and to define it runs nothing of the notebook's."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        return all(map(_known_decorator, node.decorator_list)) and all(map(is_plain, defaults))
    if isinstance(node, ast.ClassDef):
        bases = [*node.bases, *(keyword.value for keyword in node.keywords)]
        return (
            all(map(_known_decorator, node.decorator_list))
            and all(map(is_plain, bases))
            and all(map(_in_class, node.body))
        )
    return False


def _in_class(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value is None or is_plain(node.value)
    return (
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or is_definition(node)
    )


def _known_decorator(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        return _known_decorator(node.func) and all(map(is_plain, arguments))
    name = dotted(node)
    return name in _DECORATORS or name.endswith((".setter", ".getter"))


def is_plain(node: ast.expr) -> bool:
    """Whether to evaluate it runs nothing of the notebook's, and gives the same at any time."""
    for child in ast.walk(node):
        if isinstance(child, ast.Call) and dotted(child.func) not in _MAKING:
            return False
        if isinstance(child, ast.Attribute) and child.attr in ("environ", "argv"):
            return False
        if isinstance(child, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr | ast.comprehension):
            return False
    return True


def is_constant(node: ast.expr) -> bool:
    """Whether it is built of literals and names alone."""
    making = {id(part) for call in ast.walk(node) if isinstance(call, ast.Call) for part in ast.walk(call.func)}
    looking = [child for child in ast.walk(node) if isinstance(child, ast.Attribute | ast.Subscript)]
    return is_plain(node) and all(id(child) in making for child in looking)


def changed_modules(statements: Iterable[Statement]) -> set[str]:
    """What the notebook sets attributes or items of: to read them is another thing before and after."""
    return {
        dotted(child.value).partition(".")[0]
        for item in statements
        for child in ast.walk(item.node)
        if isinstance(child, ast.Attribute | ast.Subscript) and isinstance(child.ctx, ast.Store | ast.Del)
    }


def is_setting(item: Statement, names: Collection[str]) -> bool:
    """Whether a statement of the beginning only sets what modules do, with nothing but modules at hand."""
    if not all(name in names or is_builtin(name) or name.startswith("_mlci_") for name in item.uses.all_read):
        return False
    node = item.node
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        name = dotted(node.value.func).removeprefix("_mlci_")
        return any(name == known or name.endswith(f".{known}") for known in _SETTINGS) or name in (
            "sns.set",
            "seaborn.set",
        )
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Subscript | ast.Attribute) for target in node.targets) and not any(
            isinstance(child, ast.Call) and not dotted(child.func).startswith(("os.", "_mlci_os."))
            for child in ast.walk(node)
        )
    if isinstance(node, ast.Try | ast.If):
        inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
        kinds = (ast.Import, ast.ImportFrom, ast.Pass, ast.Assign, ast.Raise)
        plain = all(is_plain(child.value) for child in inner if isinstance(child, ast.Assign))
        return any(map(is_import, inner)) and all(isinstance(child, kinds) for child in inner) and plain
    return False


def unsettles(item: Statement, functions: Collection[str], modules: Collection[str]) -> bool:
    """Whether it may change what a later import does."""
    for child in ast.walk(item.node):
        if isinstance(child, ast.Name) and (child.id in _UNSETTLING or child.id in functions):
            return True
        if isinstance(child, ast.Attribute):
            if child.attr in _UNSETTLING or dotted(child) in ("sys.path", "sys.modules", "matplotlib.use", "mpl.use"):
                return True
            if isinstance(child.ctx, ast.Store) and dotted(child).partition(".")[0] in modules:
                return True  # it changes a module that others may look into
        if isinstance(child, ast.Call) and dotted(child.func) in ("setattr", "delattr"):
            return True
    return False


def is_builtin(name: str) -> bool:
    """Whether every module has that name."""
    return hasattr(builtins, name) or name in ("__name__", "__builtins__")
