"""The keys that the beginning of a JSON file shows, without parsing the rest of it: by them formats are told apart."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_DEPTH = 3
# A string may be cut by the end: a pattern that failed there would start over at each of its quotes.
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)(?:"\s*(:)?|\\?\Z)|[{}\[\]]', re.DOTALL)


@dataclass(frozen=True)
class Outline:
    """Keys by the path of the object that holds them, at most three deep; an element of a list is `[]` in a path."""

    keys: Mapping[tuple[str, ...], Collection[str]]
    cut: bool  # it ends before its end: the last keys may lack what stands below them

    def has(self, *keys: str) -> bool:
        """Whether all of `keys` stand at the top."""
        return all(key in self.below() for key in keys)

    def below(self, *path: str) -> Collection[str]:
        """The keys of the object at `path`, in their order."""
        return self.keys.get(path, ())


@functools.lru_cache(maxsize=2)
def outline(head: bytes) -> Outline:
    """What the beginning of a file shows, wherever it is cut; nothing for what is no JSON."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    keys: dict[tuple[str, ...], dict[str, None]] = {}
    objects: list[bool] = []  # of all that is open, whether it is an object
    path: list[str] = []  # and its last key, `[]` in a list
    for token in _TOKEN.finditer(text) if text[:1] in (b"{", b"[") else ():
        mark = token[0][:1]
        if mark in b"{[":
            objects.append(mark == b"{")
            path.append("[]")
        elif mark in b"}]":
            objects.pop()
            path.pop()
        elif token[2] and objects[-1] and len(path) <= _DEPTH:
            path[-1] = token[1].decode("utf-8", "replace")
            keys.setdefault(tuple(path[:-1]), {})[path[-1]] = None
        if not path:
            break
    return Outline({at: tuple(found) for at, found in keys.items()}, cut=bool(path))
