"""Nested JSON, YAML and TOML files, by DVC's rules: dictionaries joined with dots, numbers at the leaves."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from mlci.core import strict_json
from mlci.core.documents import Metric
from mlci.errors import DocumentError, MetricError

_MAX_BYTES = 16 * 1024 * 1024
_MAX_DEPTH = 32
_MAX_METRICS = 10_000
# How frameworks write what JSON has no number for.
_NON_FINITE = {
    "nan": math.nan,
    "inf": math.inf,
    "infinity": math.inf,
    "-inf": -math.inf,
    "-infinity": -math.inf,
}


@dataclass(frozen=True)
class JsonReader:
    """`{"test": {"accuracy": 0.9}}` is the metric `test.accuracy`; NaN and Infinity are read, not hidden."""

    name: ClassVar[str] = "json"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The numbers of a JSON file."""
        try:
            tree = strict_json.loads(_bytes(path, name), name=name, max_depth=_MAX_DEPTH, allow_nan=True)
        except DocumentError as error:
            raise MetricError(error.message) from None
        return metrics_of(tree, name=name)


@dataclass(frozen=True)
class YamlReader:
    """The same in YAML; aliases are refused, since a few of them can stand for terabytes."""

    name: ClassVar[str] = "yaml"
    suffixes: ClassVar[tuple[str, ...]] = (".yaml", ".yml")

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The numbers of a YAML file."""
        return _parsed(path, name, "YAML", lambda text: yaml.load(text, Loader=_StrictLoader))  # noqa: S506 - a SafeLoader


@dataclass(frozen=True)
class TomlReader:
    """The same in TOML."""

    name: ClassVar[str] = "toml"
    suffixes: ClassVar[tuple[str, ...]] = (".toml",)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The numbers of a TOML file."""
        return _parsed(path, name, "TOML", tomllib.loads)


def metrics_of(tree: object, *, name: str) -> list[Metric]:
    """The numbers in a parsed document.

    Booleans, texts, nulls and lists are passed over, as DVC does: a file of metrics may say more than numbers.

    Raises:
        MetricError: The document is no dictionary, is too deep, holds too much, or names one metric twice.
    """
    if not isinstance(tree, dict):
        raise MetricError(f"{name}: expected a dictionary of metrics at the top, got {_kind(tree)}")
    found: dict[str, Metric] = {}
    for path, value in _leaves(tree, name, 0):
        key = ".".join(path)
        if key in found:
            raise MetricError(f"{name}: the metric {key!r} stands twice, nested and with a dot in its name")
        found[key] = Metric(name=key, value=value)
        if len(found) > _MAX_METRICS:
            raise MetricError(f"{name}: more than {_MAX_METRICS:,} metrics")
    return list(found.values())


def as_number(value: object) -> float | None:
    """A leaf as a number; None for what is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return _NON_FINITE.get(value.lower()) if isinstance(value, str) else None


def _leaves(tree: dict[Any, Any], name: str, depth: int) -> Iterator[tuple[tuple[str, ...], float]]:
    if depth > _MAX_DEPTH:
        raise MetricError(f"{name}: nested deeper than {_MAX_DEPTH} levels")
    for key, value in tree.items():
        if isinstance(value, dict):
            for path, leaf in _leaves(value, name, depth + 1):
                yield (str(key), *path), leaf
            continue
        number = as_number(value)
        if number is not None:
            yield (str(key),), number


def _parsed(path: Path, name: str, format_name: str, parse: Callable[[str], object]) -> list[Metric]:
    data = _bytes(path, name)
    try:
        return metrics_of(parse(data.decode("utf-8-sig")), name=name)
    except UnicodeDecodeError as error:
        raise MetricError(f"{name}: not UTF-8 text (byte {error.start})") from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise MetricError(f"{name}: not {format_name}: {said}") from None
    except RecursionError:
        raise MetricError(f"{name}: nested too deep") from None


def _bytes(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise MetricError(f"{name}: cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise MetricError(f"{name}: larger than {_MAX_BYTES:,} bytes")
    return data


def _kind(value: object) -> str:
    return {list: "a list", str: "text", type(None): "nothing"}.get(type(value), "a single value")


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that also refuses aliases and keys given twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) != len(keys) else None
        if twice is not None:
            raise yaml.YAMLError(f"the key {twice!r} stands twice in one mapping")
        return super().construct_mapping(node, deep=deep)
