"""`mlci init`: reads a repository, asks little, and writes its configuration and workflows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from mlci.adopting import origin, telling
from mlci.adopting.origin import UNKNOWN, Action
from mlci.adopting.planning import Answers, Intent, intended, key, missing_runs
from mlci.adopting.scan import Found, Part, scan
from mlci.adopting.workflows import template
from mlci.adopting.writing import File, write
from mlci.errors import UsageError
from mlci.project import Invocation
from mlci.render.text import counted, plain, printable

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def suggested(found: Found) -> list[str]:
    """What is picked where nobody says otherwise.

    Raises:
        UsageError: There is nothing to pick from.
    """
    picked = [key(item.path, item.name) for part in found.parts for item in part.suggested]
    if picked:
        return picked
    near = [item.path for part in found.parts for item in part.candidates][:3]
    if near:
        raise UsageError(
            f"nothing looks like a training among {counted(found.files, 'file')}; the likeliest is {plain(near[0])}",
            hint=f"If it is one: mlci init --run {plain(near[0])}",
        )
    raise UsageError(
        f"no notebook and no training script among {counted(found.files, 'file')} that git knows",
        hint="Add one and try again; or write [runs.NAME] with command = [...] into mlci.toml, for any process.",
    )


def picked_by_path(found: Found, paths: Sequence[str]) -> list[str]:
    """The candidates of the files that somebody names.

    Raises:
        UsageError: One is no candidate.
    """
    everything = [item for part in found.parts for item in part.candidates]
    picked = []
    for path in paths:
        own = [key(item.path, item.name) for item in everything if path in (item.path, item.source, item.name)]
        if not own:
            raise UsageError(
                f"--run: {plain(path)!r} is no notebook or script that was found", hint="`--json` lists them."
            )
        picked += own
    return picked


def report(intent: Intent, *, force: bool) -> list[File]:
    """The files to write; says what happens to the others."""
    to_write = []
    for file in intent.files:
        if file.state == "new" or (file.state == "different" and force):
            to_write.append(file)
        elif file.state == "same":
            click.echo(f"{file.path}: as it should be")
        else:
            click.echo(f"{file.path}: there already and different, left as it is (--force writes it anew)")
    lacking = missing_runs(intent)
    if lacking and not force:
        click.echo(f"Not in {', '.join(intent.kept)}; to add, paste:\n\n{lacking}")
    return to_write


def show(files: Sequence[File], *, coloured: bool) -> None:
    """The diff of what is to be written."""
    for file in files:
        for line in file.diff():
            text = printable(line)
            click.echo(click.style(text, fg=_COLOURS.get(line[:1])) if coloured else text)
        click.echo()


def _ask_runs(part: Part) -> list[str]:
    """Which candidates of a project; by their numbers."""
    shown = list(part.candidates)
    default = ",".join(str(shown.index(item) + 1) for item in part.suggested)

    def numbers(text: str) -> list[int]:
        if text.strip() in ("", "none"):
            return []
        try:
            found = [int(word) for word in text.replace(" ", ",").split(",") if word]
        except ValueError:
            found = [0]
        if not all(0 < number <= len(shown) for number in found):
            raise click.BadParameter(f"expected numbers from 1 to {len(shown)} with commas between them, or none")
        return found

    where = f" of {plain(part.folder)}" if part.folder else ""
    chosen: list[int] = click.prompt(f"Which runs{where}", default=default or "none", value_proc=numbers)
    return [key(shown[number - 1].path, shown[number - 1].name) for number in chosen]


def _ask_action(known: Action | None) -> Action:
    if known is not None:
        return known
    text: str = click.prompt(
        "mlci's repository and a release's commit, OWNER/REPOSITORY@COMMIT", default="", show_default=False
    )
    return origin.named(text) if text else UNKNOWN


def _answer(given: Any, ask: Callable[[], Any] | None, default: Any) -> Any:  # noqa: ANN401 - of any question
    """What the command line says, else what is answered, else the default."""
    return given if given is not None else ask() if ask is not None else default


@click.command("init")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: take what is suggested.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found, as one object, and write nothing.")
@click.option("--run", "paths", multiple=True, metavar="PATH", help="Run this notebook or script; may be repeated.")
@click.option("--branch", metavar="NAME", help="The default branch, whose results are the baselines.")
@click.option("--forks/--no-forks", default=None, help="Comment on pull requests from forks, too.")
@click.option("--releases/--no-releases", default=None, help="Release and deploy models, too.")
@click.option("--full", is_flag=True, help="Write whole workflows to edit, rather than one that calls mlci's own.")
@click.option("--action", "action_name", metavar="OWNER/REPO@COMMIT", help="The mlci that workflows use.")
@click.option("--force", is_flag=True, help="Write files anew that are there and different.")
@click.pass_obj
def command(
    invocation: Invocation,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    paths: tuple[str, ...],
    branch: str | None,
    forks: bool | None,
    releases: bool | None,
    full: bool,
    action_name: str | None,
    force: bool,
) -> None:
    """Set mlci up in an existing repository: writes mlci.toml and a workflow, after showing them.

    Finds notebooks and training scripts, the metrics, models and plots that they write, and how they are installed;
    executes and imports nothing. What is there already stays as it is, so that running it again changes nothing.

    \b
    Examples:
      mlci init                              asks which runs, and shows what it writes
      mlci init --yes                        asks nothing
      mlci init --dry-run --yes              only shows
      mlci init --run train.py --no-forks
      mlci init --json                       what was found, for scripts
    """
    listing, found = scan(invocation.folder, invocation.environ)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    asking = not (yes or dry_run)
    for line in telling.of_repository(found):
        click.echo(line)
    for part in found.parts:
        for line in telling.of_part(part, part.suggested):
            click.echo(line)
    default = picked_by_path(found, paths) if paths else suggested(found)
    carried = origin.named_by(template("call-reusable.yml"))
    known = origin.installed_from(invocation.environ) or (carried if carried.known else None)
    try:
        answers = Answers(
            picked=[name for part in found.parts for name in _ask_runs(part)] if asking and not paths else default,
            branch=_answer(
                branch, (lambda: click.prompt("Default branch", found.branch)) if asking else None, found.branch
            ),
            forks=_answer(
                forks, (lambda: click.confirm("Pull requests from forks")) if asking else None, default=False
            ),
            releases=_answer(
                releases, (lambda: click.confirm("Releases of models")) if asking else None, default=False
            ),
            full=full,
            action=origin.named(action_name) if action_name else _ask_action(known) if asking else known or UNKNOWN,
        )
    except click.Abort:
        raise UsageError("no answer: nothing was written", hint="`mlci init --yes` takes what is suggested.") from None
    if not answers.picked:
        raise UsageError("no run was chosen: nothing was written", hint="`mlci init --run PATH` names one.")
    intent = intended(listing, found, answers, invocation.environ)
    click.echo()
    to_write = report(intent, force=force)
    show(to_write, coloured=sys.stdout.isatty())
    for line in telling.to_do(found, intent.projects, answers.action):
        invocation.say(line)
    if dry_run or not to_write:
        click.echo("nothing written" if to_write else "nothing to write")
        return
    if asking and not click.confirm(f"Write {counted(len(to_write), 'file')}", default=True):
        click.echo("nothing written")
        return
    for file in to_write:
        write(listing.root, file)
        click.echo(f"wrote {file.path}")
    first = intent.projects[0]
    inside = f" -C {plain(first.folder)}" if first.folder else ""
    click.echo(f"Next: mlci{inside} doctor, then mlci{inside} ci. Commit the files and open a pull request;")
    statuses = " and ".join(f"mlci/{project.id}" for project in intent.projects)
    click.echo(f"once it has its report, require the status {statuses} in the branch rule.")
