"""Compares parsed TOML with the types of `tables.py` and says in one line which key is wrong."""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from mlci.config.tables import DURATION_PATTERN, NAME_PATTERN, SIZE_PATTERN, Table
from mlci.errors import ConfigError

_MAX_SHOWN = 60
_WORDS = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
_PATTERN_WORDS = {
    NAME_PATTERN: 'a name of letters, digits, ".", "_" and "-" (at most 64, no "..")',
    DURATION_PATTERN: 'a duration such as "90s", "30m" or "1h30m"',
    SIZE_PATTERN: 'a size such as "512K", "1.5M" or "8G"',
}


def check(value: object, kind: Any, *, file: str, path: str = "") -> None:  # noqa: ANN401 - any annotation
    """Refuse what does not fit `kind`.

    Args:
        value: A parsed TOML value.
        kind: A `Table` or the annotation of one of its fields.
        file: The configuration file, for messages.
        path: The key path of `value`, for messages.

    Raises:
        ConfigError: One line: file, key path, what was expected.
    """
    if kind is Any:
        _check_plain(value, file, path)
        return
    alternatives = _alternatives(kind)
    table = next((item for item in alternatives if isinstance(item, type) and issubclass(item, Table)), None)
    if table and (isinstance(value, dict) or len(alternatives) == 1):
        _check_table(value, table, file, path)
        return
    for alternative in alternatives:
        origin, arguments = get_origin(alternative), get_args(alternative)
        if origin is dict and isinstance(value, dict):
            for key, item in value.items():
                check(item, arguments[1], file=file, path=_join(path, key))
            return
        if origin is tuple and isinstance(value, list):
            for position, item in enumerate(value):
                check(item, arguments[0], file=file, path=f"{path}[{position}]")
            break
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise ConfigError(f"{file}: {path}: expected {_words(kind)}, got {_shown(value)}") from None


def unknown_key(key: str, known: Iterable[str], *, file: str, path: str = "") -> ConfigError:
    """The error for a key, a run or a profile that does not exist, with the nearest one that does."""
    known = sorted(known)
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(known) or 'none'}."
    return ConfigError(f"{file}: {_join(path, key)}: no such key", hint=hint)


def _check_table(value: object, table: type[Table], file: str, path: str) -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{file}: {path}: expected a table, got {_shown(value)}")
    hints, fields = _known(table)
    for key, item in value.items():
        if key not in fields:
            raise unknown_key(key, fields, file=file, path=path)
        check(item, hints[fields[key].name], file=file, path=_join(path, key))
    for name, field in fields.items():
        if field.required and name not in value:
            raise ConfigError(f"{file}: {_join(path, name)}: expected {_words(hints[field.name])}, it is absent")


@cache
def _known(table: type[Table]) -> tuple[dict[str, Any], dict[str, msgspec.structs.FieldInfo]]:
    """The annotations of a table by name, and its fields by key: to evaluate them takes longer than to check them."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(table)}
    return get_type_hints(table, include_extras=True), fields


def _check_plain(value: object, file: str, path: str) -> None:
    """Refuse what has no place in the JSON documents that mlci writes: TOML's dates, infinities, huge numbers."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(item, file, _join(path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _check_plain(item, file, f"{path}[{position}]")
    elif not is_plain(value):
        raise ConfigError(
            f"{file}: {path}: expected a string, a finite number, true or false, got {value}",
            hint="Write it as a string, in quotes.",
        )


def is_plain(value: object) -> bool:
    """Whether a single value can stand in JSON as other programs read it."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, str | None) or (isinstance(value, float) and math.isfinite(value))


def _alternatives(kind: Any) -> list[Any]:  # noqa: ANN401 - any annotation
    """The members of a union, annotations taken off."""
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [item for member in get_args(kind) for item in _alternatives(member) if item is not type(None)]
    return [kind]


def _words(kind: Any) -> str:  # noqa: ANN401 - any annotation
    if get_origin(kind) is Annotated:
        for note in get_args(kind)[1:]:
            if isinstance(note, msgspec.Meta) and note.pattern in _PATTERN_WORDS:
                return _PATTERN_WORDS[note.pattern]
            if isinstance(note, msgspec.Meta) and note.min_length is not None:
                return f"{_words(get_args(kind)[0])}, at least {note.min_length}"
            if isinstance(note, msgspec.Meta) and note.ge is not None:
                return f"{_words(get_args(kind)[0])} of at least {note.ge}"
            if isinstance(note, msgspec.Meta) and note.gt is not None:
                return f"{_words(get_args(kind)[0])} above {note.gt}"
            if isinstance(note, msgspec.Meta) and note.max_length is not None:
                return f"{_words(get_args(kind)[0])} of at most {note.max_length} characters"
        return _words(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_words(item) for item in get_args(kind) if item is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(f'"{item}"' for item in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list of {_many(_words(get_args(kind)[0]))}"
    if get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, Table)):
        return "a table"
    return _WORDS.get(kind, str(kind))


def _many(words: str) -> str:
    """The plural of an expectation: "a string or a table" becomes "strings or tables"."""
    return " or ".join(f"{word.removeprefix('a ')}s" for word in words.split(" or "))


def _shown(value: object) -> str:
    shown = "true" if value is True else "false" if value is False else repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:57]}..."


def _join(path: str, key: str) -> str:
    shown = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'
    return f"{path}.{shown}" if path else shown
