"""What nearly every command needs first: configuration, event, workspace, store and history, opened once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlci import git
from mlci.actions import Actions
from mlci.committed import committed_baseline
from mlci.config import Config, Run, load, profile_for, resolve, seconds, unreadable
from mlci.context import Context
from mlci.core.comparison import Baseline
from mlci.core.documents import Origin
from mlci.core.threshold import GateSettings
from mlci.errors import ConfigError, ForgeError
from mlci.history import History, baseline_history, history_from
from mlci.plugins import registry
from mlci.plugins.forges.interface import Forge
from mlci.plugins.stores.interface import Site, Store
from mlci.render.text import counted
from mlci.workspace import FOLDER, Workspace

if TYPE_CHECKING:
    from mlci.plugins.forges.client import Client
    from mlci.plugins.forges.issues import GitHubIssues
    from mlci.plugins.forges.releases import GitHubReleases


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
    base_commit: str | None = None  # whose record is the baseline, where it is not for the checkout to say

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

    @classmethod
    def broken(cls, invocation: Invocation) -> Project:
        """What can be had of a project whose configuration is wrong: its event, and its id if that can be read."""
        config = unreadable(invocation.folder, file=invocation.config_file, environ=invocation.environ)
        return cls(invocation, config, Context.from_environ(invocation.environ), Workspace(config.root / FOLDER))

    def profile(self, asked: str | None) -> str:
        """The profile in force."""
        return profile_for(self.config, self.context.event, asked)

    def runs(self, profile: str) -> dict[str, Run]:
        """Every configured run under `profile`."""
        return resolve(self.config, profile)

    @property
    def gate(self) -> GateSettings:
        """The gate as configured; `[baseline] missing = "fail"` is `on-no-baseline = "fail"`."""
        gate = msgspec.structs.asdict(self.config.settings.gate)
        if self.config.settings.baseline.missing == "fail":
            gate["on_no_baseline"] = "fail"
        return GateSettings(**gate)

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
            commit_files=self._commit_files if self.hosted else None,
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

    @property
    def hosted(self) -> bool:
        """Whether there is a forge to talk to: a token, and a repository to use it on."""
        return bool(self.context.token and self.context.repository)

    @property
    def remote(self) -> git.Remote | None:
        """The remote `origin`, ready for a private repository; None where the clone has none."""
        context = self.context
        return git.remote(
            self.config.root, "origin", self.invocation.environ, token=context.token, server_url=context.server_url
        )

    @property
    def forge(self) -> Forge:
        """The forge that the event comes from; raises as `client`."""
        from mlci.plugins.forges.github import GitHubForge  # noqa: PLC0415 - heavy, and few commands need it

        client, repository = self.client
        return GitHubForge(client, repository)

    def forge_within(self, deadline_s: float) -> Forge:
        """The forge with a deadline of its own, in seconds, for what is not worth more; raises as `client`."""
        from mlci.plugins.forges.github import GitHubForge  # noqa: PLC0415 - heavy, and few commands need it

        return GitHubForge(*self._client(deadline_s))

    @property
    def releases(self) -> GitHubReleases:
        """Its releases and deployments; raises as `client`."""
        from mlci.plugins.forges.releases import GitHubReleases  # noqa: PLC0415 - heavy, and few commands need it

        client, repository = self.client
        return GitHubReleases(client, repository)

    @property
    def issues(self) -> GitHubIssues:
        """Its issues; raises as `client`."""
        from mlci.plugins.forges.issues import GitHubIssues  # noqa: PLC0415 - heavy, and few commands need it

        client, repository = self.client
        return GitHubIssues(client, repository)

    @cached_property
    def client(self) -> tuple[Client, str]:
        """What talks to the forge, under one deadline for all, and which repository it is about.

        Raises:
            ForgeError: There is no token, or no repository to talk about.
        """
        return self._client(seconds(self.config.settings.report.deadline))

    def _client(self, deadline_s: float) -> tuple[Client, str]:
        from mlci.plugins.forges.client import Client  # noqa: PLC0415 - heavy, and few commands need it
        from mlci.plugins.forges.patience import Patience  # noqa: PLC0415 - likewise

        context = self.context
        repository = context.repository or self.invocation.environ.get("GITHUB_REPOSITORY")
        if not context.token:
            raise ForgeError("there is no token to post with", hint="Set GITHUB_TOKEN, or the input github-token.")
        if not repository or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise ForgeError("it is not known which repository this is", hint='Set GITHUB_REPOSITORY to "owner/name".')
        return Client(context.api_url, context.token, Patience(deadline_s)), repository

    def _commit_files(
        self, branch: str, parent: str | None, files: Mapping[str, bytes | None], message: str
    ) -> str | None:
        return self.forge.commit_files(branch, parent, files, message)

    @cached_property
    def history(self) -> History:
        """The commits whose records may be baselines, nearest first."""
        if self.base_commit is not None:
            return history_from(self.config.root, self.base_commit, self.context, self.invocation.environ)
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
        record = committed_baseline(self, run, profile) or self.store.find(run, profile, history.commits)
        if record is None:
            return self._measured_here(run, profile) or Baseline(record=None, reason=self._lacking(run, profile))
        distance = history.commits.index(record.origin.commit or "")
        return Baseline(record=record, distance=distance, reason=history.reason)

    def _lacking(self, run: str, profile: str) -> str:
        commits = self.history.commits
        before = f" or the {counted(len(commits) - 1, 'commit')} before it" if len(commits) > 1 else ""
        return (
            f"no record of {run} (profile {profile}) at the merge base {commits[0][:7]}{before}, "
            f"in {self.store.describe()}: there is one once the base branch has been measured"
        )

    def _measured_here(self, run: str, profile: str) -> Baseline | None:
        """What `mlci baseline measure` found out, unless others know better what the baseline is."""
        if self.base_commit is not None:
            return None
        commit = self.history.commits[0]
        record = next(
            (
                record
                for record in self.workspace.measured_baseline()
                if (record.name, record.profile, record.origin.commit) == (run, profile, commit)
            ),
            None,
        )
        if record is None:
            return None
        if record.status == "succeeded":
            return Baseline(record=record, distance=0, reason="measured by this very job at the merge base")
        said = record.error.message if record.error else record.reason or "it does not say why"
        reason = f"{self._lacking(run, profile)}; this job tried there: {record.status}: {said}"
        return Baseline(record=None, reason=reason)

    def reread(self) -> None:
        """Forget what was read of the store: it may hold more by now."""
        self.__dict__.pop("store", None)


def origin_of(project: Project) -> Origin:
    """Where and when this starts; taken before anything executes."""
    context = project.context
    head = git.head(project.config.root, project.invocation.environ)
    return Origin(
        commit=head.commit,
        dirty=head.dirty,
        branch=head.branch or context.branch,
        event=context.event,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        repository_id=context.repository_id,
        run_id=context.run_id,
        run_attempt=context.run_attempt,
        workflow=context.workflow,
        run_url=context.run_url,
    )
