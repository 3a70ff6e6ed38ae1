"""What `mlci doctor` finds: one thing that is right, wrong, or not known, with what to do about it."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "warning", "error", "unknown"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Args:
        slug: "AREA/WHAT", the same in every version, for scripts.
        level: `error` fails later for sure, `warning` fails sometimes or misleads, `unknown` could not be checked.
        subject: What it is about, such as a run, a file or a branch.
        found: What is the case, in a line.
        remedy: What to do, in a line; empty where all is well.
        file: Where, from the repository's top.
        line: Which line of it.
    """

    slug: str
    level: Level
    subject: str
    found: str
    remedy: str = ""
    file: str | None = None
    line: int | None = None

    @property
    def area(self) -> str:
        """What it belongs to, such as "git"."""
        return self.slug.partition("/")[0]
