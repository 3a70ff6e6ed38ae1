"""`mlci config`: the effective values and where each was written."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from mlci.config import Run
from mlci.config.file import json_schema
from mlci.project import Invocation, Project
from mlci.render.text import plain


def effective(project: Project, profile: str) -> list[tuple[str, Any, str]]:
    """(key path, value, origin) of every effective value, the defaults of mlci included."""
    rows: list[tuple[str, Any, str]] = []
    settings = msgspec.to_builtins(project.config.settings)
    for table in ("id", "gate", "report", "baseline", "metrics"):
        written = project.config.tables.get(table)
        value = getattr(project.config.settings, table)
        if isinstance(value, str):
            rows.append((table, value, project.config.shown if written else "default"))
        elif table == "metrics":
            rows += [
                (f'metrics."{pattern}"', rule, project.config.shown)
                for pattern, rule in settings.get(table, {}).items()
            ]
        else:
            rows += [
                (
                    f"{table}.{field.encode_name}",
                    getattr(value, field.name),
                    _where(project, written, field.encode_name),
                )
                for field in msgspec.structs.fields(value)
            ]
    for run in project.runs(profile).values():
        rows += _of_run(run)
    return rows


def _where(project: Project, written: dict[str, Any] | None, key: str) -> str:
    return project.config.shown if written and key in written else "default"


def _of_run(run: Run) -> list[tuple[str, Any, str]]:
    rows: list[tuple[str, Any, str]] = []
    values = msgspec.to_builtins(run.table)
    for key, value in values.items():
        if key in ("parameters", "env"):
            rows += [
                (f"runs.{run.name}.{key}.{name}", item, run.origins.get(f"{key}.{name}", "default"))
                for name, item in value.items()
            ]
        else:
            rows.append((f"runs.{run.name}.{key}", value, run.origins.get(key, "default")))
    return rows


@click.command("config")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of mlci.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.pass_obj
def command(invocation: Invocation, profile: str | None, schema: bool, as_json: bool) -> None:
    """Show the effective configuration and where each value comes from.

    \b
    Examples:
      mlci config --profile smoke
      mlci config --schema > mlci.schema.json
    """
    if schema:
        click.echo(json_schema().decode(), nl=False)
        return
    project = Project.open(invocation)
    chosen = project.profile(profile)
    rows = effective(project, chosen)
    if as_json:
        click.echo(json.dumps([{"key": key, "value": value, "from": where} for key, value, where in rows]))
        return
    click.echo(f"# profile {chosen}")
    for key, value, where in rows:
        click.echo(plain(f"{key} = {json.dumps(value)}  # {where}"))
