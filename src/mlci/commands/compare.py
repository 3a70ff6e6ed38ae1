"""`mlci compare`: each record against its baseline, under the configured rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from mlci.core.comparison import Baseline
from mlci.core.comparison import compare as judge
from mlci.core.documents import Comparison, Record, Rule, encode
from mlci.core.threshold import GateSettings
from mlci.project import Invocation, Project
from mlci.publishing import verdict_outputs
from mlci.workspace import COMPARISON


def compare(project: Project) -> Comparison:
    """Compare `record.json` with its baselines and write `comparison.json`."""
    document, made_from = project.workspace.records()
    comparison = compared(
        document.records,
        baselines={record.name: project.baseline(record.name, record.profile) for record in document.records},
        rules={record.name: project.config.rules(record.name) for record in document.records},
        gate=project.gate,
        made_from=made_from,
    )
    project.workspace.write(COMPARISON, comparison)
    return comparison


def compared(
    records: Sequence[Record],
    *,
    baselines: Mapping[str, Baseline],
    rules: Mapping[str, Sequence[Sequence[Rule]]],
    gate: GateSettings,
    made_from: str,
) -> Comparison:
    """The comparison of values that were fetched already."""
    return judge(records, baselines=baselines, rules=rules, gate=gate, current=made_from)


@click.command("compare")
@click.option("--json", "as_json", is_flag=True, help="Print comparison.json.")
@click.pass_obj
def command(invocation: Invocation, as_json: bool) -> None:
    """Compare the records with their baselines: .mlci/comparison.json.

    Exits 0 whatever the verdict; `mlci gate` decides.

    \b
    Examples:
      mlci compare
      mlci compare --json | jq '.deltas[] | select(.verdict == "regressed")'
    """
    project = Project.open(invocation)
    comparison = compare(project)
    invocation.actions.set_outputs(verdict_outputs(project, comparison, project.workspace.records()[0]))
    if as_json:
        click.echo(encode(comparison).decode())
    else:
        click.echo(f"{comparison.verdict}: {len(comparison.deltas)} metrics compared")
