"""`mlci gate`: turns the comparison into an exit code."""

from __future__ import annotations

import click

from mlci.core.documents import Comparison
from mlci.errors import GateFailedError
from mlci.project import Invocation, Project
from mlci.render.text import plain


def check_gate(comparison: Comparison) -> None:
    """Raise GateFailedError if the comparison blocks."""
    if comparison.blocks:
        reasons = "\n".join(f"  {plain(reason)}" for reason in comparison.reasons)
        raise GateFailedError(f"the gate fails:\n{reasons}")


@click.command("gate")
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Exit 5 if the comparison blocks, with one line a reason.

    \b
    Examples:
      mlci run && mlci record && mlci compare && mlci gate
    """
    comparison, _ = Project.open(invocation).workspace.comparison()
    check_gate(comparison)
    verdict = comparison.verdict
    click.echo("the gate does not block: the verdict is fail" if verdict == "fail" else f"the gate passes ({verdict})")
    for reason in comparison.reasons:
        click.echo(f"  {plain(reason)}")
