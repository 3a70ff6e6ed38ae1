"""GitHub Actions I/O: outputs, job summary, groups and annotations, within its limits; silent elsewhere."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

Level = Literal["error", "warning", "notice"]

_MAX_SUMMARY = 1024 * 1024  # bytes a step; the runner drops a larger one whole
_CUT = "\n\nThe rest did not fit into the job summary; it is in `.mlci/report.md`.\n"
_MAX_ANNOTATIONS = 10  # of each kind a step; the runner drops more without a word


@dataclass(frozen=True)
class Actions:
    """The runner's side channels for one step.

    Args:
        environ: Says whether there is a runner, and where its files are.
        stream: Where workflow commands are printed.
    """

    environ: Mapping[str, str] = field(repr=False)
    stream: TextIO = field(repr=False)
    _annotated: dict[Level, int] = field(default_factory=dict, init=False, repr=False)
    _stopped: list[str] = field(default_factory=list, init=False, repr=False)  # the token that is in force

    @property
    def enabled(self) -> bool:
        """Whether a runner listens."""
        return self.environ.get("GITHUB_ACTIONS") == "true"

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        """Set the step's outputs."""
        text = "".join(_heredoc(name, clean(value)) for name, value in outputs.items())
        self._append("GITHUB_OUTPUT", text)

    def append_summary(self, markdown: str) -> None:
        """Add to the job summary; what would not fit is left out, and that is said."""
        text = clean(markdown).removesuffix("\n") + "\n"
        path = self._file("GITHUB_STEP_SUMMARY")
        room = _MAX_SUMMARY - (path.stat().st_size if path and path.exists() else 0)
        data = text.encode()
        if len(data) > room:
            kept = data[: max(0, room - len(_CUT))].decode("utf-8", "ignore").rpartition("\n")[0]
            text = kept + _CUT if room >= len(_CUT) else ""
        self._append("GITHUB_STEP_SUMMARY", text)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """What is printed meanwhile folds under `title`."""
        if not self.enabled:
            yield
            return
        self._print(f"::group::{_message(title)}")
        try:
            yield
        finally:
            self._print("::endgroup::")

    def annotate(
        self,
        level: Level,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        title: str | None = None,
    ) -> None:
        """Add an annotation, while the runner would show it."""
        self._annotated[level] = self._annotated.get(level, 0) + 1
        if not self.enabled or self._annotated[level] > _MAX_ANNOTATIONS:
            return
        given = {"file": file, "line": str(line) if line else None, "title": title}
        properties = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
        self._print(f"::{level}{' ' if properties else ''}{properties}::{_message(message)}")

    def finish(self) -> None:
        """Say how many annotations were left out."""
        left_out = sum(max(0, count - _MAX_ANNOTATIONS) for count in self._annotated.values())
        if left_out and self.enabled:
            self._print(f"{left_out} more annotations were left out: GitHub shows {_MAX_ANNOTATIONS} of each kind.")
        self._annotated.clear()

    @contextmanager
    def inert(self) -> Iterator[None]:
        """Whatever is printed meanwhile is text, even if it looks like a workflow command; within another, it is so."""
        if not self.enabled or self._stopped:
            yield
            return
        token = secrets.token_hex(16)
        self._print(f"::stop-commands::{token}")
        self._stopped.append(token)
        try:
            yield
        finally:
            self._stopped.clear()
            self._print(f"::{token}::")

    def _print(self, line: str) -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()

    def _file(self, variable: str) -> Path | None:
        path = self.environ.get(variable) if self.enabled else None
        return Path(path) if path else None

    def _append(self, variable: str, text: str) -> None:
        path = self._file(variable)
        if path:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)


def clean(text: str) -> str:
    """`text` without control characters (new lines and tabs aside) and without what UTF-8 cannot hold."""
    return "".join(item for item in text if item in "\n\t" or unicodedata.category(item) not in ("Cc", "Cs"))


def _heredoc(name: str, value: str) -> str:
    delimiter = f"mlci-{secrets.token_hex(16)}"
    while delimiter in value:
        delimiter = f"mlci-{secrets.token_hex(16)}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _message(text: str) -> str:
    return clean(text).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
