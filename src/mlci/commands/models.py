"""`mlci models`: the registry that git's tags are, with where each version is and what it scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import click
from msgspec import field

from mlci.commands.deployments import Row, deployments
from mlci.core.documents import Document, encode
from mlci.core.registry import read
from mlci.errors import ConfigError
from mlci.project import Invocation, Project
from mlci.releasing.models import Model, all_tags, models
from mlci.render.text import number, plain


class ListedVersion(Document, frozen=True):
    """One version of a model."""

    model: str
    version: str
    tag: str
    commit: str
    created_at: str
    stages: tuple[str, ...] = ()  # that hold it now
    deployed: tuple[str, ...] = ()  # the targets that serve it now
    metrics: dict[str, float] = field(
        default_factory=dict
    )  # of the record at its commit; of all data and splits, no slices


def listed(project: Project) -> Iterator[ListedVersion]:
    """Every version of every model, the newest first.

    Raises:
        GitError: The tags cannot be read.
        StoreError: The records cannot be.
    """
    tags = all_tags(project)
    rows = list(_deployed(project))
    for model in models(project).values():
        registry = read(tags, model.name, plain=model.table.plain_tags)
        for item in reversed(registry.versions):
            version, commit = str(item.version), item.tag.commit
            yield ListedVersion(
                model=model.name,
                version=version,
                tag=item.tag.name,
                commit=commit,
                created_at=datetime.fromtimestamp(item.tag.created, UTC).isoformat(timespec="seconds"),
                stages=tuple(stage for stage, held in registry.stages.items() if held.commit == commit),
                deployed=tuple(row.target for row in rows if (row.model, row.serves) == (model.name, version)),
                metrics=_metrics(project, model, commit),
            )


def _deployed(project: Project) -> Iterator[Row]:
    """What the targets serve; one that cannot be asked is said, and the registry is shown all the same."""
    try:
        for row in deployments(project):
            if row.problem:
                project.invocation.say(f"{row.target}: {plain(row.problem)}")
            yield row
    except ConfigError as error:
        project.invocation.say(error.message)


def _metrics(project: Project, model: Model, commit: str) -> dict[str, float]:
    record = project.store.find(model.run, model.profile, [commit])
    found = record.metrics if record else ()
    return {f"{item.split}/{item.name}" if item.split else item.name: item.value for item in found if not item.slice}


def _line(item: ListedVersion) -> str:
    words = [f"{item.model}  {item.version}", item.commit[:10], item.created_at[:10]]
    if item.stages:
        words.append(f"in {', '.join(item.stages)}")
    if item.deployed:
        words.append(f"served by {', '.join(item.deployed)}")
    words += [f"{plain(name)} = {number(value)}" for name, value in item.metrics.items()]
    return "  ".join(words)


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.pass_obj
def command(invocation: Invocation, as_json: bool) -> None:
    """List the models' versions, their stages, where they are served, and their metrics.

    Versions and stages are git tags, as GTO reads them too; metrics come from the baseline store.

    \b
    Examples:
      mlci models
      mlci models --json | jq '.[] | select(.stages | index("production"))'
    """
    project = Project.open(invocation)
    items = list(listed(project))
    if as_json:
        click.echo(json.dumps([json.loads(encode(item)) for item in items]))
        return
    for item in items:
        click.echo(_line(item))
    named = {item.model for item in items}
    for name in models(project):
        if name not in named:
            click.echo(f"{name}  no version yet")
