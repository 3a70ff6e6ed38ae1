"""Finds the modules of the repository that code imports, by its syntax alone, each with the digest of its content."""

from __future__ import annotations

import ast
import os.path
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from mlci.running.inputs import sha256

Name = tuple[str, ...]


@dataclass(frozen=True)
class _Import:
    """One thing that code imports: `level` dots, then `name`, of which the last part may be no module."""

    level: int
    name: Name


@dataclass
class Modules:
    """The modules that lie in some folders, the first folder first, as Python would look for them."""

    folders: tuple[Path, ...]
    repository: Path
    _found: dict[Path, str] = field(default_factory=dict)

    def used_by(self, sources: Iterable[str]) -> dict[str, str]:
        """Path relative to the repository -> sha256 of every module that `sources` import, directly or not."""
        for source in sources:
            self._follow(_imports(source), package=None)
        return {Path(path).relative_to(self.repository).as_posix(): digest for path, digest in self._found.items()}

    def _follow(self, imports: Iterable[_Import], package: Path | None) -> None:
        for wanted in imports:
            if not wanted.level:
                self._descend(self._top(wanted.name[0]) if wanted.name else None, wanted.name)
            elif package is not None:
                folder = package
                for _ in range(wanted.level - 1):
                    folder = folder.parent
                self._keep(folder / "__init__.py")
                self._descend(folder, wanted.name)

    def _top(self, name: str) -> Path | None:
        """The folder that Python would take `name` from: a module or package in any before a bare folder in any."""
        for folder in self._searched:
            if (folder / name / "__init__.py").is_file() or (folder / f"{name}.py").is_file():
                return folder
        return next((folder for folder in self._searched if (folder / name).is_dir()), None)

    @cached_property
    def _searched(self) -> list[Path]:
        return [folder for folder in dict.fromkeys(self.folders) if folder.is_dir()]

    def _descend(self, folder: Path | None, name: Name) -> None:
        for part in name:
            if folder is None:
                return
            if not self._keep(folder / part / "__init__.py"):
                self._keep(folder / f"{part}.py")
            folder = folder / part if (folder / part).is_dir() else None

    def _keep(self, path: Path) -> bool:
        if path in self._found:
            return True
        if not path.is_file() or not path.resolve().is_relative_to(self.repository):
            return False
        path = Path(os.path.normpath(path))
        if path in self._found or not path.is_relative_to(self.repository):
            return path in self._found
        seen = path.stat()
        self._found[path], imports = _read(path, seen.st_mtime_ns, seen.st_size)
        self._follow(imports, package=path.parent)
        return True


@cache
def _read(path: Path, _modified: int, _size: int) -> tuple[str, tuple[_Import, ...]]:
    return sha256(path), _imports(path.read_text(encoding="utf-8", errors="replace"))


def _imports(source: str) -> tuple[_Import, ...]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ()  # what it does import is seen when it runs
    return tuple(dict.fromkeys(found for node in ast.walk(tree) for found in _imported_by(node)))


def _imported_by(node: ast.AST) -> Iterator[_Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield _Import(0, tuple(alias.name.split(".")))
    elif isinstance(node, ast.ImportFrom):
        base = tuple(node.module.split(".")) if node.module else ()
        for alias in node.names:
            yield _Import(node.level, base if alias.name == "*" else (*base, alias.name))
    elif isinstance(node, ast.Call) and node.args and _called(node.func) in ("import_module", "__import__"):
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value:
            dots = len(first.value) - len(first.value.lstrip("."))
            yield _Import(dots, tuple(part for part in first.value.split(".") if part))


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None
