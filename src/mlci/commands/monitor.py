"""`mlci monitor`: measures a deployed model on fresh data, and keeps one issue that says whether it is healthy."""

from __future__ import annotations

import click

from mlci.commands.record import record_own
from mlci.commands.run import check_succeeded, display_for, run_all
from mlci.core.documents import encode
from mlci.core.monitoring import IssueMarker, Monitoring
from mlci.errors import GateFailedError, RunsFailedError, UsageError
from mlci.plugins.forges.issues import GitHubIssues
from mlci.posting.issues import Kept, keep_issue
from mlci.project import Invocation, Project
from mlci.releasing.monitoring import FILE, Watch, findings_of, judged, keep, only_run, received, telling, watch_of
from mlci.render import issue as rendering
from mlci.render.text import counted, plain
from mlci.running import outputs
from mlci.running.display import Display
from mlci.running.session import Options
from mlci.workspace import write_atomically


def measure(project: Project, watch: Watch, options: Options, display: Display) -> Monitoring:
    """Run the monitor's run, told which version it measures, judge its record, and write `monitor.json`.

    Raises:
        RunsFailedError: The run did not succeed, or was not selected: nothing is known of the model.
        MetricError: It left no drift report.
    """
    path = project.workspace.path(FILE)
    path.unlink(missing_ok=True)  # nothing older may be taken for this one's
    run = only_run(project, watch, project.profile(options.profile))
    before = outputs.snapshot(run.cwd, watch.drift)
    check_succeeded(run_all(telling(project, watch), options, display))
    record = next(item for item in record_own(project).records if item.name == watch.run)
    if record.status != "succeeded":
        raise RunsFailedError(f"{watch.run} was left out: {record.reason or record.status}")
    found = judged(project, watch, record, findings_of(project, watch, run, before))
    write_atomically(path, encode(found))
    return found


def report(project: Project, issues: GitHubIssues, found: Monitoring) -> Kept:
    """Keep the monitor's one issue: open while the model is unhealthy."""
    context = project.context
    marker = IssueMarker(
        id=project.config.settings.id,
        monitor=found.monitor,
        run_id=int(context.run_id) if context.run_id and context.run_id.isdecimal() else 0,
        attempt=context.run_attempt or 0,
    )
    body = rendering.body(found, marker=marker, run_url=context.run_url)
    kept = keep_issue(issues, rendering.title(found), body, marker, wanted=not found.healthy)
    url = kept.issue.url if kept.issue and kept.issue.url else ""
    project.invocation.say(plain(f"issue {kept.done}: {url}" if kept.done else f"no change of an issue: {kept.reason}"))
    return kept


def check_posting(project: Project) -> None:
    """Refuse to touch the issue from anywhere but the default branch, whose configuration is the one that counts.

    Raises:
        UsageError: Another branch's workflow, or a pull request's.
    """
    context = project.context
    if context.in_actions and not context.on_default_branch:
        raise UsageError(
            f"monitors report from the default branch only, not from {context.event} on {context.ref}",
            hint="Use `on: schedule`, or --no-issue.",
        )


def check_healthy(found: Monitoring) -> None:
    """Raise GateFailedError if the model is unhealthy."""
    if not found.healthy:
        reasons = "\n".join(f"  {plain(reason)}" for reason in found.reasons)
        raise GateFailedError(f"{found.model} {found.version} in {found.stage} is unhealthy:\n{reasons}")


@click.command("monitor")
@click.argument("name", required=False)
@click.option("--no-issue", is_flag=True, help="Only measure: .mlci/monitor.json, for --report in another job.")
@click.option("--report", "reporting", is_flag=True, help="Only report .mlci/monitor.json; runs no code.")
@click.option("--keep", "keeping", is_flag=True, help="Keep the record in the store, too; not with --no-issue.")
@click.option("--one-step", is_flag=True, help="In CI, run code in a job whose token may write issues.")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the run, or its environment's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print monitor.json.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    name: str | None,
    no_issue: bool,
    reporting: bool,
    keeping: bool,
    one_step: bool,
    profile: str | None,
    python: str | None,
    as_json: bool,
) -> None:
    """Measure a deployed model on fresh data; keep one issue open while it is unhealthy.

    Runs the run of [monitor.NAME] with MLCI_MODEL, MLCI_VERSION and MLCI_COMMIT, compares its record with that of the
    version that the stage holds, under the rules of that run, and reads the drift reports. NAME may be left out where
    there is one. Exits 0 if the model is healthy, 5 if not, 4 if the run failed, which leaves the issue as it is.

    \b
    Examples:
      mlci monitor churn                 on a laptop
      mlci monitor churn --no-issue      in a job that runs code and may write nothing
      mlci monitor churn --report        in a job that writes the issue and runs no code
    """
    if no_issue and (reporting or keeping):
        raise UsageError("--no-issue excludes --report and --keep")
    project = Project.open(invocation)
    if not no_issue:
        check_posting(project)
    both = not no_issue and not reporting
    if both and project.context.in_actions and project.context.token and not one_step:
        raise UsageError(
            "this job holds a token and would run code: nothing but a job of its own keeps the two apart",
            hint="Use --no-issue here and --report in a second job (examples/workflows/monitor.yml), or --one-step.",
        )
    watch = watch_of(project, name)
    if reporting:
        found = received(project, watch)
    else:
        options = Options(names=(watch.run,), profile=profile, python=python)
        found = measure(project, watch, options, display_for(invocation))
    _show(project, found, as_json=as_json)
    if keeping:
        kept = keep(project, found)
        said = "kept the record" if kept else "nothing new to keep"
        invocation.say(f"{said} in {project.store.describe()}")
    if not no_issue and project.context.token:
        report(project, project.issues, found)
    elif not no_issue:
        invocation.say("no issue: there is no token")
    check_healthy(found)


def _show(project: Project, found: Monitoring, *, as_json: bool) -> None:
    """What was found, for whoever reads the log and the job summary."""
    project.invocation.actions.append_summary(rendering.summary(found, run_url=project.context.run_url))
    if as_json:
        click.echo(encode(found).decode(), nl=False)
        return
    deltas = found.comparison.deltas if found.comparison else ()
    state = "healthy" if found.healthy else "unhealthy"
    click.echo(
        f"{found.model} {found.version} in {found.stage} is {state}: {counted(len(deltas), 'metric')}, "
        f"{counted(len(found.drift), 'finding')} of drift"
    )
    for reason in found.reasons if found.healthy else ():
        click.echo(f"  {plain(reason)}")
