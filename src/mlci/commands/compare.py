"""`mlci compare`: each record against its baseline, under the configured rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from mlci.core.comparison import Baseline, Shown
from mlci.core.comparison import compare as judge
from mlci.core.documents import Comparison, Record, Rule, encode
from mlci.core.threshold import GateSettings
from mlci.errors import GitError, StoreError
from mlci.project import Invocation, Project
from mlci.publishing import verdict_outputs
from mlci.releasing.models import models, registry_of
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
        deployed=deployed_versions(project, document.records),
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
    deployed: Mapping[str, Shown] | None = None,
) -> Comparison:
    """The comparison of values that were fetched already."""
    return judge(records, baselines=baselines, rules=rules, gate=gate, current=made_from, deployed=deployed)


def deployed_versions(project: Project, records: Sequence[Record]) -> dict[str, Shown]:
    """By run: what `[baseline] also` names a stage for; what cannot be had is said and left out."""
    stage = project.config.settings.baseline.also
    found: dict[str, Shown] = {}
    if stage is None:
        return found
    wanted = {record.name for record in records}
    for model in models(project).values():
        if model.run not in wanted:
            continue
        try:
            version = registry_of(project, model).staged_version(stage)
            record = project.store.find(model.run, model.profile, [version.tag.commit]) if version else None
        except (GitError, StoreError) as error:
            project.invocation.say(f"{model.name}: what is in {stage} is not shown: {error.message}")
            continue
        if version and record:
            found[model.run] = Shown(version.tag.name, record, gates=project.config.settings.baseline.also_gates)
    return found


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
