"""Real git repositories for tests, untouched by the configuration of whoever runs them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "protocol.file.allow",
    "GIT_CONFIG_VALUE_0": "always",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


@dataclass
class Repository:
    """A work tree and its git folder."""

    folder: Path
    _clock: list[int] = field(default_factory=lambda: [1_700_000_000])

    def git(self, *arguments: str) -> str:
        """Run git there; its stdout."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    @property
    def environ(self) -> dict[str, str]:
        """Each commit a minute after the one before."""
        date = f"{self._clock[0]} +0000"
        return ENVIRON | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}

    def commit(self, file: str = "train.py") -> str:
        """Change a file and commit it; the commit."""
        self._clock[0] += 60
        path = self.folder / file
        path.write_text(f"print({self._clock[0]})\n")
        self.git("add", file)
        self.git("commit", "--quiet", "-m", f"Change {file}")
        return self.git("rev-parse", "HEAD")

    def commits(self, count: int) -> list[str]:
        """Make several commits, the oldest first."""
        return [self.commit() for _ in range(count)]

    def clone(self, folder: Path, url: str | None = None, *options: str) -> Repository:
        """Clone this, or what lies at `url`."""
        self.git("clone", "--quiet", *options, url or str(self.folder), str(folder))
        return Repository(folder, self._clock)


def repository(folder: Path) -> Repository:
    """A new, empty repository on branch main."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Repository(folder)
    made.git("init", "--quiet", "--initial-branch=main")
    return made


def fingerprint(folder: Path) -> dict[str, str]:
    """A digest of everything in a clone that is the user's: work tree and git folder but `mlci/` and objects."""
    common = folder / ".git"
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not any(file.is_relative_to(common / own) for own in ("mlci", "objects"))
    }
