"""`mlci doctor`: everything that would fail later, now, each with its remedy; it changes nothing and runs no code."""

from __future__ import annotations

import json
import sys
from typing import Literal

import click
import msgspec

from mlci.core.finding import Finding
from mlci.diagnosing.examination import examine
from mlci.diagnosing.patient import Patient
from mlci.project import Invocation
from mlci.render.diagnosis import diagnosis

_EXIT = 3
_ANNOTATED: dict[str, Literal["error", "warning"]] = {"error": "error", "warning": "warning"}


def annotate(invocation: Invocation, findings: list[Finding]) -> None:
    """Show what is amiss beside the lines that it is about; on a laptop nothing happens."""
    for finding in findings:
        if finding.level in _ANNOTATED:
            invocation.actions.annotate(
                _ANNOTATED[finding.level],
                f"{finding.subject}: {finding.found}. {finding.remedy}",
                file=finding.file,
                line=finding.line,
                title=f"mlci doctor: {finding.slug}",
            )
    invocation.actions.finish()


@click.command("doctor")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the runs, or its environment's folder.")
@click.option("--offline", is_flag=True, help="Ask neither GitHub nor the remote.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a list of objects: slug, level, subject, found, remedy, ..."
)
@click.pass_context
def command(context: click.Context, python: str | None, offline: bool, as_json: bool) -> None:
    """Find what would fail later, with what to do about it.

    Looks at configuration, interpreters, notebooks, files, git, the baseline store, rights on GitHub, workflow files
    and this machine. It changes nothing, runs no code of the repository, and says what it could not find out. A slug
    stays the same from version to version. Exits 3 if there is an error, else 0.

    \b
    Examples:
      mlci doctor
      GITHUB_TOKEN=$(gh auth token) mlci doctor      rights and rules on GitHub too
      mlci doctor --json | jq -r '.[] | select(.level == "error") | .slug'
    """
    invocation: Invocation = context.obj
    findings = examine(Patient.of(invocation, offline=offline, python=python))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(findings), indent=1))
    else:
        colour = sys.stdout.isatty() and not invocation.environ.get("NO_COLOR")
        with invocation.actions.inert():
            click.echo(diagnosis(findings, colour=colour))
    annotate(invocation, findings)
    if any(finding.level == "error" for finding in findings):
        context.exit(_EXIT)
