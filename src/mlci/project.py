"""What nearly every command needs first: configuration, event, workspace, store and history, opened once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlci.actions import Actions
from mlci.config import Config, Run, load, profile_for, resolve
from mlci.context import Context
from mlci.core.comparison import Baseline
from mlci.errors import ConfigError
from mlci.history import History, baseline_history
from mlci.plugins import registry
from mlci.plugins.stores.interface import Site, Store
from mlci.workspace import FOLDER, Workspace


@dataclass(frozen=True)
class Invocation:
    """How mlci was started: handed from `cli.py` to every command."""

    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    config_file: Path | None
    say: Callable[[str], None]  # a line for the user, beside the command's own output
    actions: Actions


@dataclass(frozen=True)
class Project:
    """One repository with its configuration, in one event."""

    invocation: Invocation
    config: Config
    context: Context
    workspace: Workspace

    @classmethod
    def open(cls, invocation: Invocation) -> Project:
        """Load the configuration and the event.

        Raises:
            ConfigError: Anything wrong in the configuration.
        """
        config = load(invocation.folder, file=invocation.config_file, environ=invocation.environ)
        named = invocation.environ.get("MLCI_WORKSPACE")
        folder = Path(invocation.folder, named) if named else config.root / FOLDER
        return cls(invocation, config, Context.from_environ(invocation.environ), Workspace(folder))

    def profile(self, asked: str | None) -> str:
        """The profile in force."""
        return profile_for(self.config, self.context.event, asked)

    def runs(self, profile: str) -> dict[str, Run]:
        """Every configured run under `profile`."""
        return resolve(self.config, profile)

    @cached_property
    def store(self) -> Store:
        """The baseline store that the configuration names."""
        baseline = self.config.settings.baseline
        site = Site(
            folder=self.config.root,
            environ=self.invocation.environ,
            token=self.context.token,
            server_url=self.context.server_url,
            warn=self.invocation.say,
        )
        if "site" in baseline.options:
            raise self.config.error("baseline.options.site", "this option is mlci's own")
        try:
            store: Store = registry.load("stores", baseline.store, {**baseline.options, "site": site})
        except ConfigError as error:
            raise self.config.error("baseline", error.message, hint=error.hint) from None
        except TypeError:
            raise self.config.error(
                "baseline.options",
                f"the store {baseline.store!r} needs more options",
                hint='Such as path = "baselines".',
            ) from None
        return store

    @cached_property
    def history(self) -> History:
        """The commits whose records may be baselines, nearest first."""
        return baseline_history(
            self.config.root,
            context=self.context,
            branch=self.config.settings.baseline.branch,
            environ=self.invocation.environ,
        )

    def baseline(self, run: str, profile: str) -> Baseline:
        """The baseline of a run, or why there is none."""
        history = self.history
        if not history.commits:
            return Baseline(record=None, distance=None, reason=history.reason or "there is no earlier commit")
        record = self.store.find(run, profile, history.commits)
        if record is None:
            count = len(history.commits)
            reason = (
                f"no record of {run} (profile {profile}) at the merge base {history.commits[0][:7]} "
                f"or the {count - 1} commits before it, in {self.store.describe()}"
            )
            return Baseline(record=None, distance=None, reason=reason)
        distance = history.commits.index(record.origin.commit or "")
        return Baseline(record=record, distance=distance, reason=history.reason)
