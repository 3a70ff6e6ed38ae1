"""`mlci record`: folds what one or several machines ran into one record a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from mlci import git
from mlci.commands.completion import run_names
from mlci.core.documents import RecordsDocument
from mlci.core.record import fold, kept_beside
from mlci.elsewhere import elsewhere_record
from mlci.errors import UsageError
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
        for file in (file for item in document.records for file in kept_beside(item)):
            content = next(filter(None, (workspace.content(file) for workspace in workspaces)), None)
            if content is not None:
                project.workspace.bring(content)
    project.workspace.write(RECORDS, document)
    for note in notes:
        project.invocation.say(note)
    return document


def record_elsewhere(
    project: Project, source: str, *, commit: str, name: str, profile: str, reader: str | None
) -> RecordsDocument:
    """Put a record of what was trained elsewhere into `record.json`, beside those of the same commit.

    Args:
        project: Where.
        source: A file, or `mlflow:URI[#experiment]`.
        commit: Whose code was trained.
        name: The run that it is a result of.
        profile: Its profile.
        reader: The file's format; None: by content, name and ending.

    Raises:
        UsageError: There is no such run or commit.
        MetricError: The metrics cannot be read.
    """
    runs = project.runs(profile)
    if name not in runs:
        raise UsageError(f"no run is called {name!r}", hint=f"There are: {', '.join(runs) or 'none'}.")
    whole = _whole(project, commit)
    made = elsewhere_record(project, source, commit=whole, name=name, profile=profile, reader=reader)
    beside = _beside(project, whole)
    records = (*(item for item in beside.records if item.name != name), made)
    document = RecordsDocument(made_from=beside.made_from, records=records)
    project.workspace.write(RECORDS, document)
    return document


def _whole(project: Project, commit: str) -> str:
    """The whole id of a commit; one that the clone does not have must be given whole."""
    clone = git.Git(project.config.root, project.invocation.environ)
    found = clone.answer("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    if found:
        return found
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise UsageError(
            f"--commit {commit}: this clone has no such commit", hint="Fetch it, or give its whole id in lower case."
        )
    project.invocation.say(f"the commit {commit[:10]} is not in this clone: taken as given")
    return commit


def _beside(project: Project, commit: str) -> RecordsDocument:
    """What is recorded of `commit` by now, and what has run here at it; what is of another commit goes."""
    workspace = project.workspace
    if workspace.path(RUNS).exists():
        if workspace.runs()[0].origin.commit == commit:
            if not workspace.path(RECORDS).exists():
                record_own(project)
        else:
            workspace.path(RUNS).unlink()
    if workspace.path(RECORDS).exists():
        document, _ = workspace.records()
        if all(item.origin.commit == commit for item in document.records):
            return document
    return RecordsDocument(made_from=(), records=())


def _workspaces(folder: Path) -> list[Workspace]:
    """The workspace that `folder` is, or those that lie in it."""
    if (folder / RUNS).is_file():
        return [Workspace(folder)]
    inside = sorted(path.parent for path in folder.glob(f"*/{RUNS}"))
    return [Workspace(path) for path in inside] or [Workspace(folder)]


@click.command("record")
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--from", "source", metavar="FILE|mlflow:URI", help="Record what was trained elsewhere; runs nothing.")
@click.option("--commit", metavar="SHA", help="With --from: the commit whose code was trained.")
@click.option(
    "--run", "name", metavar="NAME", shell_complete=run_names, help="With --from: the run that it is a result of."
)
@click.option("--format", "reader", metavar="FORMAT", help="With --from: the file's format; default: by its content.")
@click.option("--profile", envvar="MLCI_PROFILE", help="With --from: the profile; default: the event's.")
@click.pass_obj
def command(
    invocation: Invocation,
    folders: tuple[Path, ...],
    source: str | None,
    commit: str | None,
    name: str | None,
    reader: str | None,
    profile: str | None,
) -> None:
    """Fold runs into one record a run: .mlci/record.json.

    Without DIR the own workspace; with DIRs the workspaces of several machines, or folders that hold them. With --from
    the metrics of a file, or of the MLflow run of that commit, are put beside what is recorded of it.

    \b
    Examples:
      mlci record
      mlci record downloaded/cpu downloaded/gpu
      mlci record --from metrics.json --commit HEAD --run churn
      mlci record --from mlflow:http://mlflow.internal:5000#churn --commit 3f2a9c1 --run churn
    """
    project = Project.open(invocation)
    if source is not None:
        if folders or commit is None or name is None:
            raise UsageError("--from takes --commit and --run, and no DIR")
        document = record_elsewhere(
            project, source, commit=commit, name=name, profile=project.profile(profile), reader=reader
        )
    elif commit or name or reader:
        raise UsageError("--commit, --run and --format go with --from")
    else:
        found = [workspace for folder in folders for workspace in _workspaces(invocation.folder / folder)]
        document = record_own(project, found)
    for item in document.records:
        click.echo(f"{item.name}: {item.status}, {counted(len(item.metrics), 'metric')}")
