"""`mlci compare`: each record against its baseline, under the configured rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import click

from mlci import accepted
from mlci.config import seconds
from mlci.config.tables import DURATION_PATTERN
from mlci.core.comparison import Baseline, Shown
from mlci.core.comparison import compare as judge
from mlci.core.documents import Comparison, Metric, Record, encode
from mlci.core.metric import key
from mlci.core.threshold import bounds_change, choose
from mlci.errors import GitError, StoreError
from mlci.project import Invocation, Project
from mlci.publishing import verdict_outputs
from mlci.releasing.models import models, registry_of
from mlci.waiting import Wait, settled
from mlci.workspace import COMPARISON


def compare(project: Project, baselines: Mapping[str, Baseline] | None = None) -> Comparison:
    """Compare `record.json` with its baselines and write `comparison.json`.

    Args:
        project: Where.
        baselines: By run, where they have been looked up already.
    """
    document, made_from = project.workspace.records()
    found = settled(project, document.records) if baselines is None else baselines
    notes: list[str] = []
    comparison = judge(
        document.records,
        baselines={record.name: with_noise(project, record, found[record.name], notes) for record in document.records},
        rules={record.name: project.config.rules(record.name) for record in document.records},
        gate=project.gate,
        current=made_from,
        deployed=deployed_versions(project, document.records),
        accepted=accepted.load(project.config),
        strict=project.config.settings.baseline.comparable == "strict",
        notes=notes,
    )
    project.workspace.write(COMPARISON, comparison)
    return comparison


def with_noise(project: Project, record: Record, baseline: Baseline, notes: list[str]) -> Baseline:
    """`baseline` with what tells its noise: predictions of both sides, and earlier records where nothing else does.

    Args:
        project: Where.
        record: What is compared with it.
        baseline: As it was looked up.
        notes: Takes one line for each thing that a reader should know.
    """
    before = baseline.record
    if before is None or record.status == "skipped":
        return baseline
    if record.predictions and before.predictions:
        from mlci.evidence import examples  # noqa: PLC0415 - heavy, and few records need it

        found, said = examples(project, record, before)
        notes += said
        baseline = replace(baseline, examples=found)
    count = project.config.settings.baseline.history
    if count and _need_history(project, record, before):
        commits = project.history.commits[baseline.distance or 0 :]
        try:
            past = project.store.history(record.name, record.profile, commits, count)
        except StoreError as error:
            notes.append(f"{record.name}: earlier records are not read: {error.message}")
        else:
            baseline = replace(baseline, history=tuple(past))
    return baseline


def _need_history(project: Project, record: Record, before: Record) -> bool:
    """Whether the change of a gated metric has no seeds to tell its noise."""
    if record.deterministic and before.deterministic:
        return False
    rules, old = project.config.rules(record.name), {key(metric): metric for metric in before.metrics}
    return any(
        _too_few_seeds(old[key(metric)], metric)
        for metric in record.metrics
        if key(metric) in old and (rule := choose(rules, metric.name, metric.slice)) and bounds_change(rule)
    )


def _too_few_seeds(before: Metric, now: Metric) -> bool:
    return max(len(before.samples), len(now.samples)) < 2  # noqa: PLR2004 - a spread needs two


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


def wait_of(_ctx: click.Context, _option: click.Parameter, given: str | None) -> Wait:
    """Parse `--wait`."""
    if given is not None and not re.fullmatch(DURATION_PATTERN, given):
        raise click.BadParameter(f'expected a duration such as "90s" or "10m", got {given!r}')
    return Wait(limit_s=seconds(given) if given else 0.0)


wait_option = click.option(
    "--wait",
    envvar="MLCI_WAIT",
    callback=wait_of,
    metavar="DURATION",
    help="How long to wait for the base branch's own run, while the merge base is still being measured.",
)


@click.command("compare")
@wait_option
@click.option("--json", "as_json", is_flag=True, help="Print comparison.json.")
@click.pass_obj
def command(invocation: Invocation, wait: Wait, as_json: bool) -> None:
    """Compare the records with their baselines: .mlci/comparison.json.

    Exits 0 whatever the verdict; `mlci gate` decides.

    \b
    Examples:
      mlci compare
      mlci compare --wait 10m      where the merge base may still be being measured
      mlci compare --json | jq '.deltas[] | select(.verdict == "regressed")'
    """
    project = Project.open(invocation)
    records, _ = project.workspace.records()
    comparison = compare(project, settled(project, records.records, wait))
    invocation.actions.set_outputs(verdict_outputs(project, comparison, records))
    if as_json:
        click.echo(encode(comparison).decode())
    else:
        click.echo(f"{comparison.verdict}: {len(comparison.deltas)} metrics compared")
