"""`mlci record`: folds what one or several machines ran into one record a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mlci.core.documents import RecordsDocument
from mlci.core.record import fold
from mlci.project import Invocation, Project
from mlci.render.text import counted
from mlci.workspace import RECORDS, RUNS, Workspace


def record(workspaces: Sequence[Workspace], *, complete: bool) -> tuple[RecordsDocument, tuple[str, ...]]:
    """The records of what the workspaces hold, and notes for the user; `complete` as for `fold`."""
    read = [workspace.runs() for workspace in workspaces]
    records, notes = fold([document for document, _ in read], complete=complete)
    return RecordsDocument(made_from=tuple(digest for _, digest in read), records=records), notes


def record_own(project: Project, workspaces: Sequence[Workspace] = ()) -> RecordsDocument:
    """Fold `workspaces`, or the project's own, into its `record.json`; notes go to the user."""
    document, notes = record(workspaces or [project.workspace], complete=bool(workspaces))
    if workspaces:
        project.workspace.path(RUNS).unlink(missing_ok=True)
    project.workspace.write(RECORDS, document)
    for note in notes:
        project.invocation.say(note)
    return document


def _workspaces(folder: Path) -> list[Workspace]:
    """The workspace that `folder` is, or those that lie in it."""
    if (folder / RUNS).is_file():
        return [Workspace(folder)]
    inside = sorted(path.parent for path in folder.glob(f"*/{RUNS}"))
    return [Workspace(path) for path in inside] or [Workspace(folder)]


@click.command("record")
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.pass_obj
def command(invocation: Invocation, folders: tuple[Path, ...]) -> None:
    """Fold runs into one record a run: .mlci/record.json.

    Without DIR the own workspace; with DIRs the workspaces of several machines, or folders that hold them.

    \b
    Examples:
      mlci record
      mlci record downloaded/cpu downloaded/gpu
      mlci record downloaded
    """
    project = Project.open(invocation)
    found = [workspace for folder in folders for workspace in _workspaces(invocation.folder / folder)]
    document = record_own(project, found)
    for item in document.records:
        click.echo(f"{item.name}: {item.status}, {counted(len(item.metrics), 'metric')}")
