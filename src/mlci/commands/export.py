"""`mlci export`: makes a production script of a notebook, and proves that it does the same."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgspec

from mlci import git
from mlci.checkout import carried
from mlci.commands.run import display_for, parameters_of
from mlci.config import Config, Run, load, profile_for, resolve
from mlci.config.loading import FILE, PYPROJECT
from mlci.context import Context
from mlci.core.documents import Document, encode
from mlci.errors import ConfigError, UsageError, VerifyError
from mlci.exporting.agreeing import Row
from mlci.exporting.checking import Asked, Checked, check
from mlci.exporting.command_line import options
from mlci.exporting.converting import Script, Surroundings, convert
from mlci.exporting.findings import Finding, Findings
from mlci.exporting.reading import read
from mlci.project import Invocation
from mlci.render.text import counted, plain
from mlci.running.display import Display
from mlci.workspace import write_atomically

_SHOWN = 200  # rows of the verdict on a terminal


class Exported(Document, frozen=True, omit_defaults=True):
    """What was made of a notebook, for `--json`."""

    notebook: str
    sha256: str
    output: str | None  # None: nothing was written
    parameters: dict[str, str] = msgspec.field(default_factory=dict)  # name -> option
    refused: tuple[Finding, ...] = ()
    replaced: tuple[Finding, ...] = ()
    dropped: tuple[Finding, ...] = ()
    todo: tuple[Finding, ...] = ()
    requirements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    check: Checked | None = None


@dataclass(frozen=True)
class Place:
    """Where a notebook stands: its repository, and the run that it is in the configuration."""

    repository: Path
    folder: Path  # where relative paths lead from
    config: Config | None = None
    run: Run | None = None
    carry: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for; paths are absolute."""

    notebook: Path
    output: Path
    force: bool = False
    check: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 0.0
    run: str | None = None
    profile: str | None = None
    python: str | None = None
    requirements: Path | None = None
    allow: bool = False


def place_of(invocation: Invocation, wanted: Wanted) -> Place:
    """Find out where a notebook stands.

    Raises:
        ConfigError: The configuration is wrong.
        UsageError: `run` is none of this notebook.
    """
    notebook, run = wanted.notebook, wanted.run
    repository = (git.top_level(notebook.parent, invocation.environ) or notebook.parent).resolve()
    candidates = [
        folder / name for folder in (invocation.folder, *invocation.folder.parents) for name in (FILE, PYPROJECT)
    ]
    if invocation.config_file is None and not any(path.is_file() for path in candidates):
        return Place(repository, notebook.parent)
    try:
        config = load(invocation.folder, file=invocation.config_file, environ=invocation.environ)
    except ConfigError:
        if invocation.config_file is None and not any(path.is_file() for path in candidates if path.name == FILE):
            return Place(repository, notebook.parent)  # a pyproject.toml that says nothing of mlci
        raise
    runs = resolve(config, profile_for(config, Context.from_environ(invocation.environ).event, wanted.profile))
    mine = [item for item in runs.values() if item.kind == "notebook" and item.path and item.path.resolve() == notebook]
    found = next((item for item in mine if run in (None, item.name)), None)
    if run is not None and found is None:
        raise UsageError(
            f"{run!r} is no run of {notebook.name}", hint=f"Its runs: {', '.join(r.name for r in mine) or 'none'}."
        )
    carry = tuple(carried(config, config.settings.baseline.carry)) if config.repository == repository else ()
    if found is None:
        return Place(repository, notebook.parent, carry=carry)
    if len(mine) > 1 and run is None:
        invocation.say(f"{notebook.name} is several runs; taken is {found.name} (--run names another)")
    return Place(config.repository, found.cwd, config, found, carry)


def export(invocation: Invocation, wanted: Wanted, display: Callable[[], Display]) -> Exported:
    """Convert a notebook, check the script if that is asked for, and write it unless something speaks against it.

    Args:
        invocation: How mlci was started.
        wanted: What is asked for.
        display: The commentary of an execution.

    Raises:
        UsageError: It is no notebook of Python, or the script exists and differs.
        RunsFailedError: With `check`: the notebook itself does not succeed.
        EnvironmentMissingError: With `check`: no interpreter, or one without a kernel.
        CancelledError: mlci was told to stop.
    """
    place = place_of(invocation, wanted)
    findings = Findings()
    notebook = read(wanted.notebook, findings)
    script = convert(notebook, _surroundings(wanted, place), findings)
    checked = None
    written = script is not None
    if script is not None:
        data = script.text.encode()
        if not wanted.force and wanted.output.exists() and wanted.output.read_bytes() != data:
            raise UsageError(
                f"{wanted.output.name} is there and differs: it is not replaced",
                hint="Say --force, or another --output.",
            )
        if wanted.check:
            checked = _checked(invocation, wanted, place, script, display)
            written = checked.proves or wanted.force
        if written:
            wanted.output.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(wanted.output, data)
            if wanted.requirements is not None:
                write_atomically(wanted.requirements, "".join(f"{item}\n" for item in findings.requirements).encode())
    return Exported(
        notebook=_shown(wanted.notebook, place.repository),
        sha256=notebook.sha256,
        output=_shown(wanted.output, place.repository) if written else None,
        parameters=options(script.parameters) if script else {},
        refused=tuple(findings.refused),
        replaced=tuple(findings.replaced),
        dropped=tuple(findings.dropped),
        todo=tuple(findings.todo),
        requirements=tuple(findings.requirements),
        notes=tuple(findings.notes),
        check=checked,
    )


def _surroundings(wanted: Wanted, place: Place) -> Surroundings:
    beside = wanted.output.parent
    folder = None if place.folder == beside else Path(os.path.relpath(place.folder, beside)).as_posix()
    source = _shown(wanted.notebook, place.repository)
    command = ["mlci", "export", source]
    if wanted.output != wanted.notebook.with_suffix(".py"):
        command += ["--output", _shown(wanted.output, place.repository)]
    hiding = frozenset({name for where in {place.folder, beside} for name in _modules(where)} - {wanted.output.stem})
    return Surroundings(
        modules=hiding | _folders(place.folder),
        hiding=hiding,
        name=wanted.output.stem,
        folder=folder,
        source=source,
        command=shlex.join([*command, *(["--allow"] if wanted.allow else [])]),
        allow=wanted.allow,
    )


def _checked(
    invocation: Invocation, wanted: Wanted, place: Place, script: Script, display: Callable[[], Display]
) -> Checked:
    asked = Asked(
        repository=place.repository,
        notebook=wanted.notebook,
        output=wanted.output,
        text=script.text,
        parameters=wanted.parameters,
        python=wanted.python,
        run=place.run,
        config=place.config,
        carry=place.carry,
        tolerance=wanted.tolerance,
    )
    return check(invocation, asked, display)


def _shown(path: Path, repository: Path) -> str:
    return path.relative_to(repository).as_posix() if path.is_relative_to(repository) else path.name


def _modules(folder: Path) -> set[str]:
    """The modules and packages that lie in a folder."""
    return {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}


def _folders(folder: Path) -> set[str]:
    """The folders with modules, which may be imported as well, but come after everything else of that name."""
    return {path.parent.name for path in folder.glob("*/*.py")}


def verdict(exported: Exported, *, forced: bool) -> None:
    """Raise what an export has come to, if that is nothing good.

    Raises:
        UsageError: Something cannot be translated truthfully.
        VerifyError: Notebook and script do not agree, or nothing shows that they do.
    """
    name, refused, checked = Path(exported.notebook).name, exported.refused, exported.check
    if len(refused) == 1:
        raise UsageError(f"{name}: {plain(str(refused[0]))}", hint=refused[0].remedy)
    if refused:
        raise UsageError(f"{name}: {len(refused)} lines cannot be translated truthfully: nothing was written")
    if checked is None or checked.proves:
        return
    kept = "the script was written all the same: --force" if forced else "the script was not written"
    if checked.differences:
        things = counted(len(checked.differences), "difference")
        raise VerifyError(f"{name}: the script does not do the same: {things}; {kept}")
    raise VerifyError(
        f"{name}: nothing shows that the script does the same; {kept}",
        hint="It writes no metric and no file that is the same twice: fix its seeds, or let it write metrics.",
    )


def told(exported: Exported) -> str:
    """What was done, for a terminal."""
    lines = [f"replaced  {plain(str(item))}" for item in exported.replaced]
    lines += [f"dropped   {plain(str(item))}" for item in exported.dropped]
    lines += [f"to do     {plain(str(item))}" for item in exported.todo]
    lines += [f"requires  {plain(item)}" for item in exported.requirements]
    lines += [f"note      {plain(item)}" for item in exported.notes]
    if len(exported.refused) > 1:
        lines += [f"refused   {plain(str(item))}. {item.remedy}" for item in exported.refused]
    if exported.check is not None:
        lines += ["", *_table(exported.check), ""]
    if exported.output is not None:
        lines.append(f"wrote {plain(exported.output)}")
    return "\n".join(lines).strip("\n")


def _table(checked: Checked) -> Iterator[str]:
    lines = [(row.verdict, row.kind, plain(row.name), plain(_beside(row))) for row in checked.rows[:_SHOWN]]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    for line in lines:
        yield "  ".join((*(word.ljust(width) for word, width in zip(line, widths, strict=False)), line[3])).rstrip()
    if len(checked.rows) > _SHOWN:
        yield f"and {len(checked.rows) - _SHOWN} more"
    if checked.failure:
        yield f"the script did not succeed: {plain(checked.failure)}"
    elif not checked.rows:
        yield "neither wrote a metric or a file"


def _beside(row: Row) -> str:
    return row.detail or (f"{row.script:.10g}" if row.script is not None else "")


@click.command("export")
@click.argument("notebook", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The script; default: beside the notebook, as .py.",
)
@click.option("--force", is_flag=True, help="Replace a script that differs; with --check also one that does not agree.")
@click.option(
    "--check", "check", is_flag=True, help="Run both in clean copies, and write the script only if it does the same."
)
@click.option(
    "-p",
    "parameters",
    multiple=True,
    callback=parameters_of,
    metavar="NAME=VALUE",
    help="A parameter of both, for --check; typed as papermill types it.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    help="How far metrics may be apart, relative to their value; default: not at all.",
)
@click.option("--run", metavar="NAME", help="Which configured run the notebook is, where it is several.")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile of that run; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter for --check, or its environment's folder.")
@click.option(
    "--requirements",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what the notebook installs to this file.",
)
@click.option("--allow", is_flag=True, help="Where a magic has no Python, let the script raise instead of refusing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was replaced, dropped and refused as JSON.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    notebook: Path,
    output: Path | None,
    requirements: Path | None,
    *,
    as_json: bool,
    **wanted: Any,  # noqa: ANN401 - as click hands them over
) -> None:
    """Make a production script of a notebook.

    Parameters become a typed command line, imports move to the top, magics become Python, and what only shows something
    is dropped. What cannot be translated truthfully is refused, with its cell and line: nothing is written then.

    --check proves it: it runs the notebook and the script as `mlci run` would, each in a clean copy of the repository,
    and compares metrics and files. Exits 7 if they differ, 4 if the notebook itself does not succeed.

    \b
    Examples:
      mlci export train.ipynb
      mlci export notebooks/train.ipynb --check -p trees=50
      mlci export train.ipynb --output src/train.py --requirements requirements.txt
    """
    path = (invocation.folder / notebook).resolve()
    if not path.is_file():
        raise UsageError(f"there is no file {str(notebook)!r}")
    if output is None and path.suffix == ".py":
        raise UsageError(
            f"{path.name} is a percent script: the script needs another name", hint="Name it with --output."
        )
    target = (invocation.folder / output).resolve() if output else path.with_suffix(".py")
    if target == path:
        raise UsageError("--output: the notebook itself would be replaced")
    if wanted["parameters"] and not wanted["check"]:
        raise UsageError("-p: parameters are for --check", hint="The script takes them on its own command line.")
    where = (invocation.folder / requirements).resolve() if requirements else None
    exported = export(
        invocation,
        Wanted(notebook=path, output=target, requirements=where, **wanted),
        lambda: display_for(invocation),
    )
    click.echo(encode(exported).decode() if as_json else told(exported))
    verdict(exported, forced=wanted["force"])
