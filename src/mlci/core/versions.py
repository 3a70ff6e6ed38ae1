"""Semantic versions of models: parsed, compared, and raised by a rule that anybody can check.

The grammar and the order are those of Semantic Versioning 2.0.0 (semver.org).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Literal

Bump = Literal["major", "minor", "patch"]
_NUMBER = r"(?:0|[1-9]\d{0,8})"
_PART = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"v(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})(?:-(?P<pre>{_PART}(?:\.{_PART})*))?"
)


@total_ordering
@dataclass(frozen=True)
class Version:
    """One version, such as v1.2.0 or v1.2.0-rc.1."""

    major: int
    minor: int
    patch: int
    pre: str | None = None

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}{f'-{self.pre}' if self.pre else ''}"

    def __lt__(self, other: Version) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]:
        parts = self.pre.split(".") if self.pre else []
        ranked = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
        # A version is newer than its own previews.
        return self.major, self.minor, self.patch, 0 if parts else 1, ranked

    def bumped(self, bump: Bump) -> Version:
        """The next version of that kind."""
        if bump == "major":
            return Version(self.major + 1, 0, 0)
        if bump == "minor":
            return Version(self.major, self.minor + 1, 0)
        # The release of a preview is the version that it previews.
        return Version(self.major, self.minor, self.patch + (0 if self.pre else 1))


FIRST = Version(0, 1, 0)


def parse(text: str) -> Version | None:
    """The version that `text` writes, with its "v"; None for anything else."""
    found = _VERSION.fullmatch(text)
    if not found:
        return None
    return Version(int(found["major"]), int(found["minor"]), int(found["patch"]), found["pre"])
