"""Whether an SVG stays about as large as it is written: parts of one can stand for others, and those for others."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree as ET

_MOST = 50_000  # elements that are drawn: a browser is busy with ten times as many for half a minute
_URL = re.compile(r"url\(\s*['\"]?\s*#([^'\")]*)", re.IGNORECASE)
_RASTER = re.compile(r"data:image/(?:png|jpeg|gif|webp)[;,]", re.IGNORECASE)
_STYLED = re.compile(r"url\(|@import|\\", re.IGNORECASE)
_VERTEX = 4  # characters that take a vertex, or less


def bounded(content: bytes) -> bool:
    """Whether a browser draws it in good time; False where nobody can tell.

    Args:
        content: The SVG, without entities of its own.
    """
    try:
        root = ET.fromstring(content.decode("utf-8-sig"))  # noqa: S314 - without entities nothing unfolds
        return _told(root) and _Weights(root).of(root)[1] <= _MOST
    except (ET.ParseError, UnicodeDecodeError, RecursionError, ValueError):
        return False


def _told(root: ET.Element) -> bool:
    """Whether all that stands for something else does so in plain sight, and brings no further SVG along."""
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "style" and _STYLED.search("".join(element.itertext())):
            return False
        for value in element.attrib.values():
            if ("\\" in value and "(" in value) or ("data:" in value.lower() and not _RASTER.search(value)):
                return False
    return True


class _Weights:
    """How much is drawn for an element, with all that it and what is in it refer to."""

    def __init__(self, root: ET.Element) -> None:
        self._named = {found: element for element in reversed(list(root.iter())) if (found := element.get("id"))}
        self._known: dict[str, int] = {}

    def of(self, element: ET.Element) -> tuple[int, int]:
        """How many elements there are in it, itself among them, and how many are drawn."""
        parts = [self.of(child) for child in element]
        size, drawn = 1 + sum(size for size, _ in parts), 1 + sum(drawn for _, drawn in parts)
        for name, value in element.attrib.items():
            whole = unquote(value.strip())
            if name != "id" and whole[:1] == "#" and whole[1:] in self._named:
                drawn += self._of_named(whole[1:])
            for found in _URL.findall(value):
                # What is in the element inherits most of these, and a path has a marker at every vertex.
                times = size + (_vertices(element) if "marker" in f"{name} {value}".lower() else 0)
                drawn += times * self._of_named(unquote(found.strip()))
        return size, drawn

    def _of_named(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = _MOST + 1  # what refers to itself
            self._known[name] = self.of(self._named[name])[1] if name in self._named else 0
        return self._known[name]


def _vertices(element: ET.Element) -> int:
    return sum(len(part.get("d", "")) + len(part.get("points", "")) for part in element.iter()) // _VERTEX
