"""Reads the signs off Python's syntax tree: which literal paths are written and read, which arguments are asked for."""

from __future__ import annotations

import ast
import contextlib
import os.path
import posixpath
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlci.adopting.signs import Signs
from mlci.core.metric import listed

_MAX_PATH = 200
_FITS = listed("fit fit_generator fit_transform_model backward partial_fit learn")
_TRAINS = listed("lgb lightgbm xgb xgboost trainer model catboost engine Trainer YOLO")
_JUDGES = listed(
    "accuracy_score average_precision_score balanced_accuracy_score classification_report cross_val_score",
    "cross_validate evaluate f1_score log_loss mean_absolute_error mean_squared_error precision_score r2_score",
    "recall_score roc_auc_score root_mean_squared_error score silhouette_score",
)
_LOGS = frozenset(("log_metric", "log_metrics", "glue"))
_WRITERS = listed(
    "dump_model export imsave imwrite save save_model save_onnx save_weights savefig savez to_csv to_json to_parquet",
    "write_bytes write_image write_text",
)
_DUMPERS = frozenset(("dump", "save"))  # joblib.dump(model, path), torch.save(model, path)
_READERS = listed(
    "genfromtxt imread load load_npz loadtxt read_bytes read_csv read_excel read_feather read_json read_parquet",
    "read_pickle read_table read_text",
)
_WRITING = frozenset("wax")


def of_python(cells: Sequence[str], tagged: int | None, path: str) -> Signs | None:
    """The signs in the cells of one file; None where none of them is Python.

    Args:
        cells: Their texts.
        tagged: Which one is the parameters cell.
        path: The file's, from the repository's top.
    """
    trees = [_parsed(text) for text in cells]
    whole = [tree for tree in trees if tree is not None]
    if cells and not whole:
        return None
    reading = _Reading(path)
    for tree in whole:
        reading.remember(tree)
    for tree in whole:
        reading.look(tree)
    given = trees[tagged] if tagged is not None else None
    if given is not None:
        reading.signs.parameters = dict(_assigned(given))
    return reading.signs


def _parsed(text: str) -> ast.Module | None:
    """The tree of a cell, magics and shell lines blanked."""
    lines = ["pass" if line.lstrip().startswith(("%", "!", "?")) else line for line in text.splitlines()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other people's code
            return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _assigned(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """The plain values that a cell gives to names."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.expr):
            with contextlib.suppress(ValueError, TypeError, MemoryError, RecursionError):
                yield target.id, ast.literal_eval(value)


@dataclass
class _Reading:
    """One file, on the way through its trees."""

    path: str
    signs: Signs = field(default_factory=Signs)
    texts: dict[str, str | None] = field(default_factory=dict)  # what a name or an option holds; None: several things

    def remember(self, tree: ast.Module) -> None:
        """Names that hold one path only, and the options of a command line."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) in ("add_argument", "option", "Option", "argument"):
                self._option(node)
        for node in ast.walk(tree):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and node.value:
                value = self.literal(node.value)
                same = self.texts.get(target.id, value) == value
                self.texts[target.id] = value if same else None

    def _option(self, node: ast.Call) -> None:
        flags = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        given = {item.arg: item.value for item in node.keywords if item.arg}
        flag = next((item for item in flags if item.startswith("--")), flags[0] if flags else None)
        if flag is None:
            return
        default = given.get("default")
        value = default.value if isinstance(default, ast.Constant) else None
        optional = {"default", "action"} & given.keys() or _constant(given.get("nargs")) in ("?", "*")
        positional = not flag.startswith("-") and not optional
        if positional or _constant(given.get("required")) is True:
            self.signs.required[flag] = None
        self.signs.options[flag] = value
        if isinstance(value, str):
            name = _constant(given.get("dest")) or flag.lstrip("-").replace("-", "_")
            self.texts[f"args.{name}"] = value

    def look(self, tree: ast.Module) -> None:
        """Everything else."""
        for node, sure in _walked(tree):
            if isinstance(node, ast.Import):
                self.signs.modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self.signs.modules.add(node.module.partition(".")[0])
            elif isinstance(node, ast.If) and _is_entry(node):
                self.signs.entered = True
            elif isinstance(node, ast.Dict):
                self._dictionary(node)
            elif isinstance(node, ast.Call):
                self._call(node, sure=sure)
            elif isinstance(node, ast.Subscript):
                self._subscript(node)
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
        self.signs.acts |= any(
            not isinstance(node, definitions)
            and any(isinstance(inner, ast.Call) for inner in ast.walk(node))
            and not isinstance(node, ast.Assign | ast.AnnAssign)
            for node in tree.body
        )

    def _dictionary(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
                self.signs.add_name(_constant(key))

    def _subscript(self, node: ast.Subscript) -> None:
        """`os.environ["SEED"]`, and `metrics["accuracy"] = ...`."""
        key = _constant(node.slice)
        if not isinstance(key, str):
            return
        if isinstance(node.value, ast.Attribute) and node.value.attr == "environ":
            self.signs.variables[key] = None
        elif isinstance(node.ctx, ast.Store):
            self.signs.add_name(key)

    def _call(self, node: ast.Call, *, sure: bool) -> None:
        name, owner = _called(node), _owner(node)
        signs = self.signs
        signs.fits |= name in _FITS or (name == "train" and owner in _TRAINS and bool(node.args or node.keywords))
        signs.judges |= name in _JUDGES
        if name in _LOGS:
            signs.logs.add(
                {"mlflow": "mlflow", "wandb": "wandb", "live": "dvclive", "sb": "scrapbook"}.get(owner, "log")
            )
            signs.add_name(_constant(node.args[0]) if node.args else None)
        elif (owner, name) in (("wandb", "log"), ("wandb", "init"), ("mlflow", "autolog"), ("mlflow", "start_run")):
            signs.logs.add(owner)
        elif name == "set_tracking_uri" and node.args:
            uri = _constant(node.args[0])
            signs.remote = uri if isinstance(uri, str) and uri.startswith("http") else signs.remote
        elif name in ("getenv", "get") and (name == "getenv" or owner == "environ") and node.args:
            variable = _constant(node.args[0])
            if isinstance(variable, str):
                signs.variables[variable] = None
        for path, writes in self._files(node, name, owner):
            if not writes:
                signs.reads[path] = None
            elif sure:
                signs.writes[path] = None

    def _files(self, node: ast.Call, name: str, owner: str) -> Iterator[tuple[str, bool]]:
        """The literal paths of a call, and whether it writes them."""
        method = isinstance(node.func, ast.Attribute)
        if name == "open":
            # `open(path, mode)`, or `path.open(mode)` where the path stands in front.
            own = self.literal(node.func.value) if isinstance(node.func, ast.Attribute) else None
            at = 0 if own is not None else 1
            mode = next((_constant(item.value) for item in node.keywords if item.arg == "mode"), None)
            mode = mode or (_constant(node.args[at]) if len(node.args) > at else "r")
            path = own if own is not None else self._first(node)
            if path is not None and isinstance(mode, str):
                yield path, bool(_WRITING & set(mode))
        elif name in ("write_text", "write_bytes", "read_text", "read_bytes") and isinstance(node.func, ast.Attribute):
            path = self.literal(node.func.value)
            if path is not None:
                yield path, name.startswith("write")
        elif name in _DUMPERS and owner in ("joblib", "torch", "np", "numpy"):
            path = self.literal(node.args[0 if owner in ("np", "numpy") else 1]) if len(node.args) > 1 else None
            if path is not None:
                yield path, True
        elif method and name in _WRITERS | _READERS:
            path = self._first(node)
            if path is not None:
                yield path, name in _WRITERS

    def _first(self, node: ast.Call) -> str | None:
        named = (
            item.value for item in node.keywords if item.arg in ("path", "fname", "path_or_buf", "file", "filepath")
        )
        first = node.args[0] if node.args else next(named, None)
        return self.literal(first) if first is not None else None

    def literal(self, node: ast.expr, depth: int = 20) -> str | None:
        """The path that an expression stands for, if its text tells."""
        found = self._literal(node, depth) if depth else None
        return found if found and len(found) <= _MAX_PATH and found.isprintable() else None

    def _literal(self, node: ast.expr, depth: int) -> str | None:  # noqa: C901 - a case a kind of expression
        def inner(item: ast.expr) -> str | None:
            return self.literal(item, depth - 1)

        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id="__file__"):
                return f"/{self.path}"
            case ast.Name(id=name):
                return self.texts.get(name)
            case ast.BinOp(op=ast.Div(), left=left, right=right):
                return _joined([inner(left), inner(right)])
            case ast.Attribute(value=value, attr="parent"):
                whole = inner(value)
                return posixpath.dirname(whole) or "/" if whole and whole.startswith("/") else None
            case ast.Attribute(value=ast.Name(), attr=name):
                return self.texts.get(f"args.{name}")
            case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=ast.Constant(value=int(count))):
                whole = inner(value)
                for _ in range(min(count, depth) + 1 if whole else 0):
                    whole = posixpath.dirname(whole or "")
                return whole if whole and whole.startswith("/") else None
            case ast.Call(func=ast.Attribute(value=value, attr="resolve" | "absolute" | "as_posix" | "expanduser")):
                return inner(value)
            case ast.Call(func=func, args=[_, *_] as arguments):
                return self._called_path(func, arguments, inner)
            case ast.JoinedStr(values=values):
                parts = [inner(item.value if isinstance(item, ast.FormattedValue) else item) for item in values]
                return None if None in parts else "".join(map(str, parts))
        return None

    def _called_path(self, func: ast.expr, arguments: list[ast.expr], inner: Any) -> str | None:  # noqa: ANN401
        name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
        if name in ("Path", "PurePath", "PosixPath", "join"):
            return _joined([inner(item) for item in arguments])
        if name in ("str", "abspath", "realpath", "fspath"):
            return str(inner(arguments[0]) or "") or None
        if name == "dirname":
            return posixpath.dirname(inner(arguments[0]) or "") or None
        if name in ("getenv", "get") and len(arguments) > 1:
            return str(inner(arguments[1]) or "") or None
        return None


def _joined(parts: Sequence[str | None]) -> str | None:
    return None if None in parts else os.path.normpath(posixpath.join(*map(str, parts)))


def _walked(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether every execution reaches it."""
    ahead: deque[tuple[ast.AST, bool]] = deque([(tree, True)])
    while ahead:
        node, sure = ahead.popleft()
        yield node, sure
        branching = isinstance(node, ast.ExceptHandler) or (isinstance(node, ast.If) and not _is_entry(node))
        ahead.extend((child, sure and not branching) for child in ast.iter_child_nodes(node))


def _is_entry(node: ast.If) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "__name__" for item in ast.walk(node.test))


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _owner(node: ast.Call) -> str:
    """The last name before the called one: `np` of `np.save`, `environ` of `os.environ.get`."""
    value = node.func.value if isinstance(node.func, ast.Attribute) else None
    return value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")


def _constant(node: ast.AST | None) -> Any:  # noqa: ANN401 - of any type
    return node.value if isinstance(node, ast.Constant) else None
