"""What a shell offers after TAB beyond click's own: names of runs. Wrong or absent configuration offers nothing."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from mlci.errors import MlciError


def run_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The configured runs that begin so and are not named yet, each with what it runs."""
    from mlci.config import DEFAULT_PROFILE, load, resolve  # noqa: PLC0415 - what is not completed need not load it

    asked = ctx.find_root()
    folder = Path.cwd() / (asked.params.get("folder") or "")
    file = asked.params.get("config_file")
    try:
        config = load(folder, file=folder / file if file else None, environ=asked.obj)
        runs = resolve(config, DEFAULT_PROFILE)
    except MlciError:
        return []
    given = ctx.params.get(param.name or "") or ()
    return [
        CompletionItem(name, help=run.table.notebook or run.table.script or " ".join(run.table.command or ()))
        for name, run in runs.items()
        if name.startswith(incomplete) and name not in given
    ]
