"""Runs the `mlci` command as a user does: a process of its own in a repository of the test's."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fakes.repositories import ENVIRON, Repository, repository

MLCI = [sys.executable, "-I", "-m", "mlci"]


@dataclass
class Done:
    """A finished command."""

    code: int
    out: str
    err: str


@dataclass
class Workbench:
    """A repository with a configuration, and the mlci to try on it."""

    repository: Repository
    home: Path

    @property
    def folder(self) -> Path:
        """The work tree."""
        return self.repository.folder

    @property
    def environ(self) -> dict[str, str]:
        """What mlci is started with: this test's interpreter is the user's."""
        return ENVIRON | {"HOME": str(self.home), "MLCI_PYTHON": sys.executable, "JUPYTER_PLATFORM_DIRS": "1"}

    def write(self, **files: str) -> None:
        """Write files; in a name `__` stands for the dot."""
        for name, text in files.items():
            path = self.folder / name.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message: str = "Change") -> str:
        """Commit everything; the commit."""
        self.repository.git("add", "--all")
        self.repository.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.repository.git("rev-parse", "HEAD")

    def copy(self, folder: Path) -> Workbench:
        """The same at another place, with all that lies beside the repository."""
        shutil.copytree(self.folder.parent, folder, symlinks=True, dirs_exist_ok=True)
        return Workbench(Repository(folder / self.folder.name), folder / self.home.name)

    def mlci(self, *arguments: str, **environ: str) -> Done:
        """Run `mlci`."""
        done = subprocess.run(
            [*MLCI, *arguments],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start `mlci` and leave it running."""
        return subprocess.Popen(
            [*MLCI, *arguments],
            cwd=self.folder,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def document(self, name: str) -> Any:
        """A document of the workspace, parsed."""
        return json.loads((self.folder / ".mlci" / name).read_text())

    def result(self, run: str) -> Any:
        """The result of one run in `run.json`."""
        return next(result for result in self.document("run.json")["runs"] if result["name"] == run)


def workbench(folder: Path) -> Workbench:
    """A workbench on a new repository."""
    home = folder / "home"
    home.mkdir(parents=True)
    return Workbench(repository(folder / "repository"), home)


def notebook(*cells: str, tags: dict[int, str] | None = None, **metadata: Any) -> str:
    """An .ipynb of code cells, spelled as Jupyter spells it; `tags` by position, from 0."""
    document = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"c{position}",
                "metadata": {"tags": [tags[position]]} if tags and position in tags else {},
                "outputs": [],
                "source": source.splitlines(keepends=True),
            }
            for position, source in enumerate(cells)
        ],
        "metadata": metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1) + "\n"


def living(**environ: str) -> list[str]:
    """The processes that have these variables, and are no zombies."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and environ.items() <= process.environ().items():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def marked(text: str) -> list[str]:
    """The processes, zombies aside, that have this text among their arguments or in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            said = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and (text in said or text in str(process.environ())):
                found.append(said)
    return found
