"""Keeps secret values out of everything that is stored or printed."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
_SHORTEST = 6  # of a value that is taken for a secret by its name, and of a line of one
_SHORTEST_NAMED = 3

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(("auth", "authorization", "dsn", "pwd", "secrets", "passwords", "credentials", "passphrases"))
_SECRET_ENDINGS = ("token", "secret", "password", "passwd", "passphrase", "credential", "apikey")  # PGPASSWORD, too
_SECRET_LAST_WORDS = frozenset(("pass", "pat", "webhook", "jwt", "cookie"))
_SECRET_PAIRS = frozenset(
    [
        *itertools.product(
            _WORDS.findall("api access private signing encryption account deploy ssh storage kaggle"), ("key", "keys")
        ),
        *itertools.product(("connection", "conn"), ("string", "str")),
        ("webhook", "url"),
    ]
)
# A name that ends so tells something about a secret, or where it is, not the secret.
_ABOUT = frozenset(
    _WORDS.findall(
        "count counts number size length limit max min file filename path dir folder sock socket id ids type kind name "
        "names url uri host port user username method mode header endpoint ttl expiry expires timeout enabled "
        "directory location root home cache helper provider manager scope scopes version"
    )
)
_FOLDERS = frozenset(("PWD", "OLDPWD"))  # set by every shell
_HARMLESS = re.compile(
    r"[-+]?[\d.,_]+(?:e[-+]?\d+)?"  # a number
    r"|true|false|none|null"
    r"|(?:~|\.{0,2})/[\w./@ -]*\.\w{1,5}|[A-Za-z]:\\.*"  # a file's path; keys in base64 have no dot
    r"|<.*>|\[.*\]",  # a special token of a language model
    re.IGNORECASE | re.DOTALL,
)
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:]*:([^\s@/]+)@")

_JSON_SCALAR = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?\d[\d.eE+-]*+', re.DOTALL)
_JSON_ESCAPE = r"\\(?:u[0-9a-fA-F]{4}|.)"


@dataclass(frozen=True)
class Redactor:
    """Replaces secret values by `***`, whatever they look like inside a string literal.

    A secret of several lines is also hidden line by line, as loggers print it.
    """

    secrets: tuple[str, ...] = field(repr=False)

    def text(self, text: str) -> str:
        """`text` without the secrets."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def json_text(self, text: str) -> str:
        """Serialised JSON without the secrets; still JSON, and a number that is one becomes a string."""
        pattern = self._json_pattern
        if pattern is None or all(match.lastgroup for match in pattern.finditer(text)):
            return text

        def string(match: re.Match[str]) -> str:
            if match[0][0] != '"':
                return f'"{HIDDEN}"' if match[0] in self.secrets else match[0]
            return f'"{pattern.sub(inside, match[0][1:-1])}"'

        def inside(match: re.Match[str]) -> str:
            return match[0] if match.lastgroup else HIDDEN

        return _JSON_SCALAR.sub(string, text)

    def value(self, value: Any) -> Any:  # noqa: ANN401 - walks any JSON value
        """A copy of a value of builtins without the secrets; keys of mappings stay."""
        if not self.secrets:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self.secrets:
            return HIDDEN
        return value

    def stream(self) -> StreamRedactor:
        """The same for a text that comes in chunks."""
        return StreamRedactor(self._pattern, self._by_last_character)

    @cached_property
    def _spellings(self) -> tuple[str, ...]:
        """Every secret as it can stand in a text, the longest first."""
        plain = {secret for secret in self.secrets if secret}
        for secret in self.secrets:
            lines = secret.splitlines()
            if len(lines) > 1 or secret != secret.strip():
                plain.update(line.strip() for line in lines if len(line.strip()) >= _SHORTEST)
        return _longest_first(spelling for secret in plain for spelling in (secret, *_literals(secret)))

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        return re.compile("|".join(map(re.escape, self._spellings))) if self._spellings else None

    @cached_property
    def _json_pattern(self) -> re.Pattern[str] | None:
        """Matches secrets, else whole escapes, so that no match begins within one."""
        spellings = _longest_first(found for spelling in self._spellings for found in _json_literals(spelling))
        if not spellings:
            return None
        return re.compile(f"{'|'.join(map(re.escape, spellings))}|(?P<escape>{_JSON_ESCAPE})", re.DOTALL)

    @cached_property
    def _by_last_character(self) -> dict[str, tuple[str, ...]]:
        """The spellings of which a proper prefix ends in a character: few texts need a closer look."""
        found: dict[str, list[str]] = {}
        for spelling in self._spellings:
            for character in set(spelling[:-1]):
                found.setdefault(character, []).append(spelling)
        return {character: tuple(spellings) for character, spellings in found.items()}


class StreamRedactor:
    """Redacts a text that comes in chunks, as if it had come whole.

    What could be the beginning of a secret is held back until the next chunk tells, or `flush`.
    """

    def __init__(self, pattern: re.Pattern[str] | None, by_last_character: Mapping[str, tuple[str, ...]]) -> None:
        self._pattern = pattern
        self._by_last_character = by_last_character
        self._held = ""

    def feed(self, text: str) -> str:
        """What can be let through by now."""
        if self._pattern is None or not text:
            return text
        text = self._held + text
        through: list[str] = []
        end = 0
        cut = self._undecided(text, 0)
        for match in self._pattern.finditer(text):
            if cut <= match.start():
                break
            through += text[end : match.start()], HIDDEN
            end = match.end()
            if cut < end:  # what began within a secret is no beginning of another
                cut = self._undecided(text, end)
        self._held = text[cut:]
        return "".join((*through, text[end:cut]))

    def flush(self) -> str:
        """What is still held back: the text has ended, so it is redacted as it is."""
        held, self._held = self._held, ""
        return self._pattern.sub(HIDDEN, held) if self._pattern else held

    def _undecided(self, text: str, start: int) -> int:
        """The first position from `start` on whose rest is a proper prefix of a secret; the end if there is none."""
        cut = len(text)
        for spelling in self._by_last_character.get(text[-1], ()):
            at = text.find(spelling[0], max(start, len(text) - len(spelling) + 1), cut)
            while at >= 0:
                if spelling.startswith(text[at:]):
                    cut = at
                    break
                at = text.find(spelling[0], at + 1, cut)
        return cut


def find_secrets(*sources: Mapping[str, object], named: Iterable[str] = ()) -> tuple[str, ...]:
    """The secret values in mappings of names to values, such as environments and parameters, nested ones included.

    A value is secret if its name says so (`HF_TOKEN`, `dbPassword`) or is in `named`; so is the password within a URL.
    By its name alone nothing shorter than 6 characters is taken, and no number, boolean or path of a file. What is
    named is taken from 3 characters on: hiding a shorter value would riddle every text with stars, and the pattern of
    the stars would give it away.

    Args:
        sources: Mappings of names to values.
        named: Names whose values are secret whatever they look like.
    """
    wanted = frozenset(named)
    found: dict[str, None] = {}
    for source in sources:
        for name, value, secret in _scalars(source, wanted):
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                continue
            text = str(value)
            if name in wanted:
                if len(text.strip()) >= _SHORTEST_NAMED:
                    found[text] = None
            elif secret and len(text.strip()) >= _SHORTEST and not _HARMLESS.fullmatch(text.strip()):
                found[text] = None
            for password in _URL_PASSWORD.findall(text) if isinstance(value, str) else ():
                found.update(dict.fromkeys(part for part in (password, unquote(password)) if len(part) >= _SHORTEST))
    return tuple(found)


def _scalars(
    source: Mapping[str, object], named: frozenset[str], parent: str = "", secret: bool = False
) -> Iterator[tuple[str, object, bool]]:
    """(name, value, whether the name looks secret) of every leaf; what is below a secret name is secret too."""
    for key, value in source.items():
        name = parent if parent in named else str(key)
        looks = _looks_secret(name) or (secret and not _is_about(name))
        if isinstance(value, Mapping):
            yield from _scalars(value, named, name, looks)
        elif isinstance(value, list | tuple):
            for item in value:
                if isinstance(item, Mapping):
                    yield from _scalars(item, named, name, looks)
                else:
                    yield name, item, looks
        else:
            yield name, value, looks


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def _is_about(name: str) -> bool:
    words = _words(name)
    return bool(words) and words[-1] in _ABOUT


def _looks_secret(name: str) -> bool:
    words = _words(name)
    if not words or name in _FOLDERS:
        return False
    if tuple(words[-2:]) in _SECRET_PAIRS:
        return True
    if words[-1] in _ABOUT:
        return False
    return (
        words[-1] in _SECRET_LAST_WORDS
        or any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words)
        or not _SECRET_PAIRS.isdisjoint(itertools.pairwise(words))
    )


def _literals(text: str) -> set[str]:
    """`text` as it stands within a string literal: Python's, papermill's, JSON's."""
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return {repr(text)[1:-1], escaped, *_json_literals(text)}


def _json_literals(text: str) -> set[str]:
    return {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}


def _longest_first(spellings: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(spellings), key=lambda spelling: (-len(spelling), spelling)))
