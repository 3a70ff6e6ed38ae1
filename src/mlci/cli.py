"""The `mlci` command: names its subcommands, imports only the one that is used, and turns errors into exit codes."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from mlci import __version__
from mlci.errors import MlciError

ISSUES = "the issue tracker of mlci"

# name -> one line of help; the module is `mlci.commands.NAME`, the click command in it `command`.
COMMANDS = {
    "demo": "Try mlci on a small example: no token, no network, under a minute.",
    "doctor": "Find what would fail later, with what to do about it.",
    "init": "Set mlci up in an existing repository: writes mlci.toml and a workflow, after showing them.",
    "ci": "Do the right thing for this CI event, in one step.",
    "plan": "Show which runs would run, and why each other would not.",
    "run": "Run notebooks, scripts and commands.",
    "record": "Fold runs (of one or several machines) into one record a run.",
    "compare": "Compare the records with their baselines.",
    "report": "Write and show the report.",
    "comment": "Post the report on the pull request, and set the commit status.",
    "accept": "Accept on purpose that a metric got worse, with a reason, for review.",
    "gate": "Exit 5 if the comparison blocks, with one line a reason.",
    "noise": "Run the same commit several times: how noisy metrics are, and which tolerances fit.",
    "export": "Make a production script of a notebook, and prove that it does the same.",
    "verify": "Prove that a release predicts what the lab predicted; exit 7 if not.",
    "release": "Release a model: tag a measured commit as a version, with everything that belongs to it.",
    "deploy": "Put a release beside what a target serves; runs no model code.",
    "promote": "Serve a deployed version that was verified, or take it back.",
    "rollback": "Serve the last verified version before the current one again.",
    "deployments": "Show what every target serves and keeps, and since when.",
    "models": "List models, their versions and stages, where they are served, and their metrics.",
    "monitor": "Measure a deployed model on fresh data; keep one issue open while it is unhealthy.",
    "baseline": "Save, show, list and prune baselines.",
    "history": "Show how a metric went along the base branch.",
    "dispatch": "Start a workflow for a pull request when somebody with write access asks in a comment.",
    "config": "Show the effective configuration and where each value comes from.",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of a day's work."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The click command of one name, imported now."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mlci.commands.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What TAB offers, without importing a subcommand."""
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of subcommands, written without importing one."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="mlci %(version)s")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar="MLCI_CONFIG",
    help="The configuration file.",
)
@click.option(
    "-C", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Work in this folder."
)
@click.pass_context
def cli(ctx: click.Context, config_file: Path | None, folder: Path | None) -> None:
    """CI for machine learning.

    Runs notebooks and training code, compares their metrics with the main branch, and reports.

    \b
    Examples:
      mlci demo                  try it on an example
      mlci run                   run everything that mlci.toml configures
      mlci ci                    the whole job, as CI does it
    """
    from mlci.actions import Actions  # noqa: PLC0415 - `mlci --help` needs none of this
    from mlci.project import Invocation  # noqa: PLC0415 - likewise

    environ = dict(os.environ)
    start = Path.cwd() / folder if folder else Path.cwd()
    ctx.obj = Invocation(
        environ=environ,
        folder=start,
        config_file=start / config_file if config_file else None,
        say=lambda line: click.echo(f"mlci: {line}", err=True),
        actions=Actions(environ, sys.stdout),
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: the one place where errors become words and exit codes."""
    try:
        # `obj` is what completion has of the environment: it parses, and calls nothing.
        result: Any = cli.main(args=arguments, prog_name="mlci", standalone_mode=False, obj=dict(os.environ))
    except MlciError as error:
        click.echo(click.style("error: ", fg="red", bold=True) + error.message, err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        click.echo(f"mlci {__version__} has a bug. Please report the lines above to {ISSUES}.", err=True)
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)
