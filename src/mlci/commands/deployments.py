"""`mlci deployments`: what each target serves and keeps, and since when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from mlci.core.documents import Document, encode
from mlci.core.registry import Registry, read
from mlci.errors import DeployError
from mlci.project import Invocation, Project
from mlci.releasing.deploying import Place, open_place
from mlci.releasing.models import Model, all_tags, models
from mlci.render.text import plain


class Row(Document, frozen=True):
    """One model on one target."""

    target: str
    model: str
    where: str  # in words
    serves: str | None = None
    kept: tuple[str, ...] = ()
    stage: str | None = None
    since: str | None = None  # when its stage tag was made; None where the stage says something else
    url: str | None = None
    problem: str | None = None  # why the target could not say


def deployments(project: Project) -> Iterator[Row]:
    """What every target says of every model.

    Raises:
        ConfigError: A target's options are wrong.
        GitError: The tags cannot be read.
    """
    places = [open_place(project, name) for name in project.config.settings.targets]
    tags = all_tags(project) if places else []
    for place in places:
        for model in models(project).values():
            yield _row(place, model, read(tags, model.name, plain=model.table.plain_tags))


def _row(place: Place, model: Model, registry: Registry) -> Row:
    row = Row(
        target=place.name, model=model.name, where=place.target.describe(), stage=place.stage, url=place.table.url
    )
    try:
        status = place.target.status(model.name)
    except DeployError as error:
        return msgspec.structs.replace(row, problem=error.message)
    serves = status.current.version if status.current else None
    held = registry.stages.get(place.stage) if place.stage else None
    since = None
    if held is not None and any(
        str(item.version) == serves and item.tag.commit == held.commit for item in registry.versions
    ):
        since = datetime.fromtimestamp(held.tag.created, UTC).isoformat(timespec="seconds")
    return msgspec.structs.replace(row, serves=serves, kept=tuple(item.version for item in status.kept), since=since)


def _line(row: Row) -> str:
    if row.problem:
        return f"{row.target}  {row.model}  {plain(row.problem)}"
    words: list[Any] = [row.target, row.model, row.serves or "nothing"]
    if row.stage:
        words.append(row.stage)
    if row.since:
        words.append(f"since {row.since}")
    others = [version for version in row.kept if version != row.serves]
    if others:
        words.append(f"keeps {', '.join(others)}")
    return "  ".join(words)


@click.command("deployments")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.pass_obj
def command(invocation: Invocation, as_json: bool) -> None:
    """Show what every target serves of every model, what else it keeps, and since when.

    Exits 7 where a target cannot be asked, after showing the others.

    \b
    Examples:
      mlci deployments
      mlci deployments --json | jq '.[] | select(.target == "production") | .serves'
    """
    project = Project.open(invocation)
    rows = list(deployments(project))
    if as_json:
        click.echo(json.dumps([json.loads(encode(row)) for row in rows]))
    else:
        for row in rows:
            click.echo(_line(row))
    silent = sorted({row.target for row in rows if row.problem})
    if silent:
        raise DeployError(f"{', '.join(silent)} could not be asked")
    if not rows and not as_json:
        click.echo("no target is configured, or no model")
