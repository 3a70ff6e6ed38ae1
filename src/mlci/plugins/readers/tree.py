"""Nested JSON, YAML and TOML files, by DVC's rules: dictionaries joined with dots, numbers at the leaves."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.source import Found, kind, read_bytes, read_json

_MAX_BYTES = 512 * 1024  # of YAML and TOML: the parser of the former takes a second for 100 kB
_MAX_DEPTH = 32
_MAX_DOTS = 200
_BETWEEN_DOTTED_KEYS = re.compile(r"[\n=,\[\]{}]")
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
        return metrics_of(read_json(path, name), name=name)


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
        return _parsed(path, name, "TOML", _toml)


def metrics_of(tree: object, *, name: str) -> list[Metric]:
    """The numbers in a parsed document.

    Booleans, texts, nulls and lists are passed over, as DVC does: a file of metrics may say more than numbers.

    Raises:
        MetricError: The document is no dictionary, is too deep, holds too much, or names one metric twice.
    """
    if not isinstance(tree, dict):
        raise MetricError(f"{name}: expected a dictionary of metrics at the top, got {kind(tree)}")
    found = Found(name)
    for path, value in leaves(tree, name):
        found.add(Metric(name=".".join(path), value=value))
    return found.all()


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


def as_error(value: object) -> float | None:
    """A leaf as a standard error; None for what is none.

    Nor is 0 one: it says that all examples gave the same score, as few do by chance, and not that a mean is certain.
    """
    number = as_number(value)
    return number if number is not None and 0 < number < math.inf else None


def as_count(value: object) -> int | None:
    """A leaf as a number of examples; None for what is none."""
    number = as_number(value)
    return int(number) if number is not None and number.is_integer() and 0 < number < 2**53 else None


def leaves(tree: dict[Any, Any], name: str, depth: int = 0) -> Iterator[tuple[tuple[str, ...], float]]:
    """The numbers in nested dictionaries, each with the keys that lead to it.

    Raises:
        MetricError: They are nested too deep.
    """
    if depth > _MAX_DEPTH:
        raise MetricError(f"{name}: nested deeper than {_MAX_DEPTH} levels")
    for key, value in tree.items():
        if isinstance(value, dict):
            for path, leaf in leaves(value, name, depth + 1):
                yield (str(key), *path), leaf
            continue
        number = as_number(value)
        if number is not None:
            yield (str(key),), number


def _parsed(path: Path, name: str, format_name: str, parse: Callable[[str], object]) -> list[Metric]:
    data = read_bytes(path, name, limit=_MAX_BYTES)
    try:
        return metrics_of(parse(data.decode("utf-8-sig")), name=name)
    except UnicodeDecodeError as error:
        raise MetricError(f"{name}: not UTF-8 text (byte {error.start})") from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise MetricError(f"{name}: not {format_name}: {said}") from None
    except RecursionError:
        raise MetricError(f"{name}: nested too deep") from None


def _toml(text: str) -> dict[str, Any]:
    # The parser remembers each beginning of a dotted key: of 100,000 parts that is more than a machine holds.
    if any(part.count(".") > _MAX_DOTS for part in _BETWEEN_DOTTED_KEYS.split(text)):
        raise ValueError(f"more than {_MAX_DOTS} dots in one key")
    return tomllib.loads(text)


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
