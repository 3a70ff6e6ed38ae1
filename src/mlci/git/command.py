"""A thin wrapper over git: every call names its folder, reads no prompt and never shows a credential."""

from __future__ import annotations

import base64
import binascii
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlci import process
from mlci.errors import GitError

Config = tuple[tuple[str, str], ...]

# What a hook of the user's has set must not redirect where our commands read and write.
_REDIRECTING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_QUARANTINE_PATH",
)
_TRACING = "GIT_TRACE"  # a trace can hold the authorization header


@dataclass(frozen=True)
class Git:
    """Git commands in one folder.

    Args:
        folder: A work tree or a bare repository.
        environ: The environment to start git with.
        config: Extra configuration, handed over in the environment so that it never stands in argv.
        variables: Environment variables of git's own to set.
    """

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    config: Config = field(default=(), repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: bytes | None = None, timeout_s: float | None = 120) -> str:
        """Run a command; its stdout as text without the last newline.

        Raises:
            GitError: It exited non-zero, took too long, or git is not installed.
        """
        return text(self.output(*arguments, stdin=stdin, timeout_s=timeout_s)).rstrip("\n")

    def output(self, *arguments: str, stdin: bytes | None = None, timeout_s: float | None = 120) -> bytes:
        """Run a command; its stdout as it is.

        Raises:
            GitError: As `run`.
        """
        done = self.attempt(*arguments, stdin=stdin, timeout_s=timeout_s)
        if done.returncode != 0:
            raise GitError(f"git {arguments[0]}: {self.complaint(done)}")
        return done.stdout

    def attempt(self, *arguments: str, stdin: bytes | None = None, timeout_s: float | None = 120) -> process.Completed:
        """Run a command whose failure is an answer; a git that is missing or hangs still raises GitError."""
        try:
            return process.capture(
                ["git", *arguments],
                cwd=self.folder,
                environ=self._environ(),
                stdin=stdin,
                timeout_s=timeout_s,
            )
        except OSError:
            raise GitError(
                f"git cannot be started in {self.folder}",
                hint="Install git 2.30 or newer, and check that the folder exists.",
            ) from None
        except subprocess.TimeoutExpired:
            raise GitError(f"git {arguments[0]}: no answer within {timeout_s:.0f} s") from None

    def answer(self, *arguments: str) -> str | None:
        """Stdout of a command, or None where it fails."""
        done = self.attempt(*arguments)
        return text(done.stdout).strip() if done.returncode == 0 else None

    def with_variables(self, **variables: str) -> Git:
        """The same git with further environment variables."""
        return replace(self, variables={**self.variables, **variables})

    def complaint(self, done: process.Completed) -> str:
        """What git said on failing, on one line and without credentials."""
        lines = [line for line in text(done.stderr).splitlines() if line.strip()]
        return self._without_secrets(" ".join(lines[-2:])) or f"exit status {done.returncode}"

    def _without_secrets(self, text: str) -> str:
        for _, value in self.config:
            if value.lower().startswith("authorization:"):
                encoded = value.split()[-1]
                for secret in (encoded, _basic_password(encoded)):
                    text = text.replace(secret, "***") if secret else text
        text = re.sub(r"(\w://)[^/@\s]+@", r"\1", text)
        return "".join(character if character.isprintable() else " " for character in text)

    def _environ(self) -> dict[str, str]:
        environ = {
            name: value
            for name, value in self.environ.items()
            if name not in _REDIRECTING and not name.startswith(_TRACING)
        }
        environ |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        count = int(environ.get("GIT_CONFIG_COUNT", "0") or 0)
        for offset, (key, value) in enumerate(self.config, start=count):
            environ[f"GIT_CONFIG_KEY_{offset}"] = key
            environ[f"GIT_CONFIG_VALUE_{offset}"] = value
        environ["GIT_CONFIG_COUNT"] = str(count + len(self.config))
        return {**environ, **self.variables}


@dataclass(frozen=True)
class Head:
    """What is checked out."""

    commit: str | None
    branch: str | None  # None where HEAD is detached
    dirty: bool  # a tracked file differs from the commit


def head(folder: Path, environ: Mapping[str, str]) -> Head:
    """What is checked out in `folder`; outside of a repository nothing is."""
    git = Git(folder, environ)
    return Head(
        commit=git.answer("rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
        branch=git.answer("symbolic-ref", "--quiet", "--short", "HEAD"),
        dirty=bool(git.answer("status", "--porcelain", "--untracked-files=no")),
    )


def top_level(folder: Path, environ: Mapping[str, str]) -> Path | None:
    """The work tree that `folder` lies in, or None outside of one."""
    found = Git(folder, environ).answer("rev-parse", "--show-toplevel")
    return Path(found) if found else None


def common_folder(folder: Path, environ: Mapping[str, str]) -> Path | None:
    """The git folder that all work trees of a repository share, or None outside of a repository."""
    found = Git(folder, environ).answer("rev-parse", "--git-common-dir")
    return (folder / found).resolve() if found else None


def _basic_password(encoded: str) -> str:
    try:
        return text(base64.b64decode(encoded)).partition(":")[2]
    except (ValueError, binascii.Error):
        return ""


def text(data: bytes) -> str:
    """What git printed; paths and messages need not be UTF-8."""
    return data.decode("utf-8", "replace")
