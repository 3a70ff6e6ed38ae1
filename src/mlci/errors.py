"""Every error that a user can meet, in one place: its exit code and the slug under which the docs explain it."""

from __future__ import annotations

from typing import ClassVar


class MlciError(Exception):
    """An expected failure: shown as one line (and a hint), never as a traceback.

    Args:
        message: One line that names the file, key or metric and what was expected.
        hint: What to do about it, shown on a line of its own.
    """

    exit_code: ClassVar[int] = 1
    slug: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MlciError):
    """The command line asks for something that cannot be."""

    exit_code = 2
    slug = "usage"


class WorkspaceError(MlciError):
    """A document in `.mlci/` is absent, unreadable, or was made from something else."""

    exit_code = 2
    slug = "workspace"


class DocumentError(MlciError):
    """A document's content is not what its format says."""

    exit_code = 2
    slug = "document"


class ConfigError(MlciError):
    """The configuration is wrong: file, key path, what was expected."""

    exit_code = 3
    slug = "configuration"


class RunsFailedError(MlciError):
    """At least one selected run did not succeed."""

    exit_code = 4
    slug = "runs-failed"


class MetricError(MlciError):
    """A metric file cannot be read, or two sources disagree; it fails the run that wrote it."""

    exit_code = 4
    slug = "metric"


class EnvironmentMissingError(MlciError):
    """The user's interpreter or kernel cannot run what was asked."""

    exit_code = 4
    slug = "environment"


class GateFailedError(MlciError):
    """The gate says no."""

    exit_code = 5
    slug = "gate"


class ForgeError(MlciError):
    """GitHub (or another forge) refused or could not be reached."""

    exit_code = 6
    slug = "forge"


class ForbiddenError(ForgeError):
    """The token lacks a permission; the message names it and the line to add."""

    slug = "forbidden"


class StoreError(MlciError):
    """The baseline store refused or could not be reached."""

    exit_code = 6
    slug = "store"


class GitError(MlciError):
    """A git command failed."""

    exit_code = 6
    slug = "git"


class PolicyError(MlciError):
    """A release or deployment that the policy does not allow; the message says which rule."""

    exit_code = 5
    slug = "policy"


class DeployError(MlciError):
    """A deploy target refused or could not be reached, or what arrived there is not what was sent."""

    exit_code = 7
    slug = "deploy"


class ConflictError(DeployError):
    """Somebody else deployed at the same time and was first."""

    slug = "conflict"


class VerifyError(MlciError):
    """What is deployed or exported does not do what it did in the lab, or cannot be asked."""

    exit_code = 7
    slug = "verify"


class CancelledError(MlciError):
    """mlci itself was told to stop (SIGINT or SIGTERM); what was done is on disk."""

    exit_code = 130
    slug = "cancelled"
