"""A plot of a run beside that of its baseline, as a page shows it: never more than an image."""

from __future__ import annotations

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One declared plot of a run, of one seed.

    Args:
        run: The run's name.
        path: As it was declared.
        seed: Whose; None where the run has no seeds.
        media: Its type, which its content shows; empty where there is none. SVG belongs into an `<img>`, never inline.
        now: Its content; the same object as `before` where nothing changed.
        before: The baseline's.
        missing: Why a side that there is cannot be shown, such as that the store does not keep it.
    """

    run: str
    path: str
    seed: int | None
    media: str
    now: bytes | None
    before: bytes | None
    missing: str | None = None

    @property
    def sides(self) -> dict[str, str]:
        """The addresses of its images by side, the baseline's first; one where both are the same."""
        contents = {"Baseline": self.before, "Now": self.now}
        if self.now is not None and self.now == self.before:
            contents = {"Now, the same as in the baseline": self.now}
        return {side: self._address(content) for side, content in contents.items() if content is not None}

    def _address(self, content: bytes) -> str:
        return f"data:{self.media};base64,{base64.b64encode(content).decode()}"
