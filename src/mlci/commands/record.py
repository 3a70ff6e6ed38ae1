"""`mlci record`: folds what one or several machines ran into one record a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mlci.core.documents import RecordsDocument
from mlci.core.record import fold
from mlci.project import Invocation, Project
from mlci.workspace import RECORDS, Workspace


def record(workspaces: Sequence[Workspace]) -> tuple[RecordsDocument, tuple[str, ...]]:
    """The records of what the workspaces hold, and notes for the user."""
    read = [workspace.runs() for workspace in workspaces]
    records, notes = fold([document for document, _ in read])
    return RecordsDocument(made_from=tuple(digest for _, digest in read), records=records), notes


@click.command("record")
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.pass_obj
def command(invocation: Invocation, folders: tuple[Path, ...]) -> None:
    """Fold runs into one record a run: .mlci/record.json.

    Without DIR the own workspace; with DIRs the workspaces of several machines.

    \b
    Examples:
      mlci record
      mlci record downloaded/cpu downloaded/gpu
    """
    project = Project.open(invocation)
    sources = [Workspace(invocation.folder / folder) for folder in folders] or [project.workspace]
    document, notes = record(sources)
    if folders:
        project.workspace.path("run.json").unlink(missing_ok=True)
    project.workspace.write(RECORDS, document)
    for note in notes:
        invocation.say(note)
    for item in document.records:
        click.echo(f"{item.name}: {item.status}, {len(item.metrics)} metrics")
