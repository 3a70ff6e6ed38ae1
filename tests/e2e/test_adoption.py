"""A new user: `mlci init --yes` in a repository that has never heard of mlci, a commit, and the runner does the rest.

By default one shape is tried. `MLCI_TEST_EXHAUSTIVE=1` tries every one, which takes some minutes, for uv and poetry a
package index, and R for R.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.runner import Finished, Installed
from e2e.team import Shown, Team, team
from fakes.command_line import MLCI
from fakes.exhaustive import EXHAUSTIVE
from fakes.repositories import ENVIRON
from fakes.teams import SHAPES, Shape

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

ACTION = f"OWNER/mlci@{'0' * 40}"
ADOPTABLE = [name for name, shape in SHAPES.items() if shape.runs]
TRIED = ADOPTABLE if EXHAUSTIVE else ["script"]
MOST_LINES = 15
# On a runner of GitHub's, conda is there; here it makes an environment that sees the packages of the tests.
CONDA = """#!/bin/sh
set -e
[ "$1 $2" = "env create" ] && [ "$3" = --prefix ] && exec "{python}" -m venv --system-site-packages "$4"
"""


SUDO = '#!/bin/sh\nexec "$@"\n'


@dataclass
class Story:
    """A repository from its adoption to its first report."""

    team: Team
    shape: Shape
    yaml: str
    pushed: Finished
    proposed: Finished
    shown: dict[str, Shown]


def interpreter(folder: Path) -> Path:
    """A Python of its own for the job, which sees the packages of the tests and may install more."""
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin/python"
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    Path(where.stdout.strip(), "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name, text in (("conda/bin/conda", CONDA.format(python=python)), ("bin/sudo", SUDO)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return python


@pytest.fixture(scope="module", params=TRIED)
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, installed: Installed
) -> Iterator[Story]:
    if request.param == "r" and shutil.which("R") is None:
        pytest.skip("there is no R")
    shape = SHAPES[request.param]
    scratch = tmp_path_factory.mktemp(request.param)
    python = interpreter(scratch / "python")
    with team(scratch / "team", installed) as here:
        for name in here.work.git("ls-files").splitlines():
            (here.work.folder / name).unlink()
        shutil.rmtree(here.work.folder / ".github")
        here.commit("What we have", shape.files())
        subprocess.run(
            [*MLCI, "init", "--yes", "--action", ACTION],
            cwd=here.work.folder,
            env=ENVIRON | {"HOME": str(scratch)},
            check=True,
            stdout=sys.stderr,
        )
        main = here.commit("Adopt mlci", {})
        here.push("main", "refs/heads/main")
        path = f"{python.parent}:{os.environ['PATH']}"
        environ = {"MLCI_TEST_PYTHON": str(python), "CONDA": str(scratch / "python/conda"), "PATH": path}
        pushed = here.run("push", "mlci.yml", at=main, ref="refs/heads/main", environ=environ)
        pull = here.propose(7, "words", {"CHANGES.md": "- A word.\n"})
        assert pull.merge_commit_sha
        proposed = here.run("pull_request", "mlci.yml", at=pull.merge_commit_sha, pull=pull, environ=environ)
        yaml = (here.work.folder / ".github/workflows/mlci.yml").read_text()
        ids = [Path(folder).name or "main" for folder in shape.folders]
        yield Story(here, shape, yaml, pushed, proposed, {name: here.shown(pull.head_sha, pull, name) for name in ids})


def test_workflow__is_short(story: Story) -> None:
    lines = [line for line in story.yaml.splitlines() if not line.startswith("#")]
    assert len(lines) <= MOST_LINES + (0 if len(story.shape.folders) == 1 else 8)


def test_push__saves_a_baseline_a_run(story: Story) -> None:
    assert story.pushed.succeeded, story.pushed.log[-3000:]
    assert {path.split("/")[1] for path in story.team.baselines()} == set(story.shape.runs)


def test_pull_request__gets_a_report_with_its_metrics(story: Story) -> None:
    assert story.proposed.succeeded, story.proposed.log[-3000:]
    comments = "\n".join(body for shown in story.shown.values() for body in shown.comments.values())
    for metric in story.shape.metrics:
        assert f"`{metric}`" in comments
    assert "no baseline" not in comments
    assert all(shown.status.state == "success" for shown in story.shown.values())


def test_tokens__are_nowhere(story: Story) -> None:
    assert story.team.leaks() == []
