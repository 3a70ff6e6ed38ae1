"""Which repository and commit of mlci a workflow should name: the one that this very mlci was installed from."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlci.errors import UsageError
from mlci.git import Git

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_NAMED = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
# Whatever in a workflow of mlci's is not GitHub's own: a placeholder, in a release that release.
_OURS = re.compile(r"uses: (?!actions/)([\w.-]+/[\w.-]+?)((?:/[\w./-]+)?)@([0-9a-f]{40})")


@dataclass(frozen=True)
class Action:
    """A commit of mlci's repository on the forge."""

    repository: str
    commit: str

    @property
    def known(self) -> bool:
        """Whether it is one, rather than what stands for it in the examples."""
        return self != UNKNOWN

    def put_into(self, workflow: str) -> str:
        """A template that names this commit."""
        text = _OURS.sub(rf"uses: {self.repository}\2@{self.commit}", workflow)
        return text.replace(" # the commit of a release", "") if self.known else text

    def __str__(self) -> str:
        """As workflows spell it."""
        return f"{self.repository}@{self.commit}"


UNKNOWN = Action("OWNER/mlci", "0" * 40)


def named(text: str) -> Action:
    """The action that somebody names.

    Raises:
        UsageError: It is not OWNER/REPOSITORY@COMMIT, the commit in full.
    """
    match = _NAMED.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--action: expected OWNER/REPOSITORY@COMMIT, got {text[:100]!r}",
            hint="All 40 digits of a commit: a tag or a branch can be moved to other code.",
        )
    return Action(match[1], match[2])


def named_by(workflow: str) -> Action:
    """The action that a template of mlci's names: of a release itself, else what stands for one."""
    match = _OURS.search(workflow)
    return Action(match[1], match[3]) if match else UNKNOWN


def installed_from(environ: Mapping[str, str]) -> Action | None:
    """Where this mlci was installed from, by what the installer left (PEP 610); None where that tells no commit."""
    try:
        said = importlib.metadata.distribution("mlci").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    try:
        found = json.loads(said or "{}")
    except ValueError:
        return None
    return from_direct_url(found if isinstance(found, dict) else {}, environ)


def from_direct_url(found: Mapping[str, Any], environ: Mapping[str, str]) -> Action | None:
    """The action of a parsed `direct_url.json`: a commit of a forge, or a clone of one with its HEAD."""
    url, commit = found.get("url"), None
    if not isinstance(url, str):
        return None
    if isinstance(found.get("vcs_info"), dict):
        commit = found["vcs_info"].get("commit_id")
    elif urlsplit(url).scheme == "file":
        clone = Path(unquote(urlsplit(url).path))
        if not (clone / "action.yml").is_file():
            return None
        git = Git(clone, environ)
        url, commit = git.answer("remote", "get-url", "origin") or "", git.answer("rev-parse", "HEAD")
    repository = _repository(url)
    whole = isinstance(commit, str) and re.fullmatch(r"[0-9a-f]{40}", commit)
    return Action(repository, commit) if repository and commit and whole else None


def _repository(url: str) -> str | None:
    """OWNER/REPOSITORY of a remote on a server, by https or ssh; a folder has none."""
    match = re.fullmatch(r"(?:(?:https|ssh|git)://(?:[^@/]+@)?[^/]+/|[\w.-]+@[\w.-]+:)(.+?)(?:\.git)?/?", url)
    return match[1] if match and _REPOSITORY.fullmatch(match[1]) else None
