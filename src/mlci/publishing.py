"""Puts a comparison where the people of this event look: job summary, annotations, outputs, log."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlci.actions import Level
from mlci.core.documents import Comparison, Failure, RecordsDocument
from mlci.project import Project
from mlci.render.metrics import named
from mlci.render.text import regressions, summary_line
from mlci.workspace import RECORDS, REPORT


@dataclass(frozen=True, kw_only=True)
class Place:
    """What an annotation points at."""

    title: str
    file: str | None = None
    line: int | None = None


def publish(
    project: Project,
    comparison: Comparison,
    records: RecordsDocument,
    *,
    markdown: str,
    terminal: str,
    echo: Callable[[str], object],
) -> None:
    """Show the report on the runner; on a laptop only in the terminal.

    Args:
        project: Where.
        comparison: What was decided.
        records: About what.
        markdown: The whole report, for the job summary.
        terminal: The same for the log.
        echo: Prints it there.
    """
    actions = project.invocation.actions
    actions.append_summary(markdown)
    for level, message, place in findings(project, comparison, records):
        actions.annotate(level, message, file=place.file, line=place.line, title=place.title)
    actions.finish()
    actions.set_outputs(verdict_outputs(project, comparison, records))
    with actions.group("Report"), actions.inert():
        echo(terminal)


def verdict_outputs(project: Project, comparison: Comparison, records: RecordsDocument) -> dict[str, str]:
    """The outputs that every command with a comparison sets."""
    return {
        "verdict": "fail" if comparison.blocks else comparison.verdict,
        "summary": summary_line(comparison, records.records),
        "regressions": str(len(regressions(comparison))),
        "record": str(project.workspace.path(RECORDS)),
        "report": str(project.workspace.path(REPORT)),
    }


def findings(project: Project, comparison: Comparison, records: RecordsDocument) -> Iterator[tuple[Level, str, Place]]:
    """(level, message, place) of everything that did not succeed or got worse, the worst first."""
    for item in records.records:
        if item.error:
            for place in _places(project, item.name, item.error):
                yield "error", item.error.message, place
    for delta in comparison.deltas:
        if delta.gate == "fail":
            yield (
                "error",
                delta.reason or f"{delta.metric} got worse",
                Place(title=f"{delta.run}: {named(delta)}"),
            )


def _places(project: Project, run: str, error: Failure) -> Iterator[Place]:
    """Where a failure is to be seen: the innermost line of the user's own code, and the run's own file."""
    title = f"{run}, cell {error.cell}" if error.cell else run
    if not error.at:
        # A cell's line is no line of the notebook's file.
        yield _place(project, title, error.file, error.line if error.cell is None else None)
        return
    own = [location for location in error.at if location.file == error.file]
    for location in dict.fromkeys([error.at[0], *own[:1]]):
        yield _place(project, title if location.file == error.file else run, location.file, location.line)


def _place(project: Project, title: str, file: str | None, line: int | None) -> Place:
    """A place in the repository; only the title where it lies elsewhere."""
    path = Path(os.path.normpath(project.config.root / file)) if file else None
    if path is None or not path.is_relative_to(project.config.repository):
        return Place(title=title)
    return Place(title=title, file=path.relative_to(project.config.repository).as_posix(), line=line)
