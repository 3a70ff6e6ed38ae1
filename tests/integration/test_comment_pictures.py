"""Pictures in the comment: pushed to the data branch over real HTTP, shown from the commit that has them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fakes.command_line import MLCI
from fakes.comparisons import measured
from fakes.git_server import READ, WRITE, GitServer, git_server
from fakes.github.repository import opened
from fakes.repositories import ENVIRON, Repository
from fakes.scenes import TOKEN, Scene, record_file, scene, zipped
from mlci.commands.comment import comment
from mlci.core.documents import Artifact, Metric, Outputs, Record, digest

pytestmark = pytest.mark.xdist_group("pictures")

CONFIG = """
[runs.train]
command = ["true"]

[metrics.accuracy]
max-regression = 0.01
"""
EVIL = '![x](https://evil.example/y.png) <img src="https://evil.example/x.png">'
HIDDEN = "<script>alert(1)</script>"
SHOWN = re.compile(r'(?:src|srcset)="([^"]*)"')
STEPS = tuple((float(step), step / 10) for step in range(10))


def plot(colour: str) -> bytes:
    """A PNG that carries more than pixels."""
    text = PngInfo()
    text.add_text("Comment", HIDDEN)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()


def drew(content: bytes, *, commit: str, accuracy: float, curve: bool = True, **fields: Any) -> Record:
    """A record of a run that declared a plot."""
    kept = Artifact(path="roc.png", size=len(content), sha256=digest(content), stored="outputs/train/plots/roc.png")
    metric = Metric(name="accuracy", value=accuracy, series=STEPS if curve else ())
    made = measured(commit=commit, outputs=(Outputs(plots=(kept,)),), **fields)
    return msgspec.structs.replace(made, metrics=(metric,))


@dataclass
class Gallery:
    """A team whose baselines lie on the data branch of a git server."""

    team: Scene
    git: GitServer

    @property
    def bare(self) -> Repository:
        return Repository(self.git.folder())

    @property
    def tip(self) -> str:
        return self.bare.git("rev-parse", "mlci-data")

    @property
    def published(self) -> list[str]:
        return self.bare.git("ls-tree", "-r", "--name-only", "mlci-data", "pictures/").split()

    @property
    def shown(self) -> list[str]:
        """What the comment loads where GitHub renders it."""
        [body] = self.team.comments
        return SHOWN.findall(MarkdownIt("commonmark").enable("table").render(body))

    def environ(self, *args: Any, **payload: Any) -> dict[str, str]:
        return self.team.environ(*args, **payload) | {"GITHUB_SERVER_URL": self.git.url}

    def post(self, **environ: Any) -> None:
        comment(self.team.project(self.environ(**environ), sys.stdout), self.team.forge())

    def content(self, url: str) -> bytes:
        """What a server that shows files answers for the URL of one."""
        found = re.fullmatch(
            re.escape(self.git.url) + r"/team/models/blob/([0-9a-f]{40})/(pictures/png/[0-9a-f]{2}/[0-9a-f]{64}\.png)"
            r"\?raw=true",
            url,
        )
        assert found, url
        command = ["git", "-C", str(self.git.folder()), "cat-file", "blob", f"{found[1]}:{found[2]}"]
        return subprocess.run(command, env=ENVIRON, capture_output=True, check=True).stdout

    def measure(self, content: bytes, accuracy: float = 0.8, **fields: Any) -> None:
        self.team.measure(drew(content, commit=self.team.merge, accuracy=accuracy, **fields))
        file = self.team.work.folder / ".mlci/outputs/train/plots/roc.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@contextmanager
def made(folder: Path, *, fork: bool = False) -> Iterator[Gallery]:
    with git_server(folder / "served") as git, scene(folder, fork=fork) as team:
        team.work.git("remote", "add", "origin", git.create())
        team.work.git("push", "--quiet", "origin", "main", "deeper-trees", f"{team.merge}:refs/pull/7/merge")
        git.tokens[TOKEN] = WRITE
        team.github.git = opened(git.folder())
        team.configure(CONFIG)
        gallery = Gallery(team, git)
        before = drew(plot("blue"), commit=team.main, accuracy=0.9)
        store = team.project(gallery.environ()).store
        store.save([before], blobs={digest(plot("blue")): plot("blue")})
        yield gallery
        if team.github.git:
            team.github.git.objects.close()


@pytest.fixture
def gallery(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gallery]:
    with made(tmp_path, fork=getattr(request, "param", False)) as gallery:
        yield gallery


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """After the report of a regression, to be looked at."""
    with made(tmp_path_factory.mktemp("posted")) as gallery:
        gallery.measure(plot("red"))
        gallery.post()
        yield gallery


def test_comment__shows_what_it_pushed_in_one_commit(posted: Gallery) -> None:
    gallery = posted
    assert gallery.bare.git("log", "--format=%s", "mlci-data").splitlines() == ["Show 6 pictures", "Save train"]
    # intervals and curves, dark and light; the plot and the baseline's
    assert len(gallery.shown) == 6
    assert {re.sub(r".*/blob/[0-9a-f]*/(.*)\?.*", r"\1", url) for url in gallery.shown} == set(gallery.published)
    pictures = [Image.open(io.BytesIO(gallery.content(url))) for url in gallery.shown]
    assert {picture.format for picture in pictures} == {"PNG"}
    assert [picture.getpixel((0, 0)) for picture in pictures[-2:]] == [(0, 0, 255), (255, 0, 0)]
    [body] = gallery.team.comments
    assert f"/blob/{gallery.tip}/" in body
    assert '<img alt="Learning curves: accuracy of train ends at 0.9, the baseline’s at 0.9."' in body
    assert "<code aria-hidden=" in body.partition("<summary>Gated metrics")[2]


def test_comment__only_the_pixels_of_a_plot_are_pushed(posted: Gallery) -> None:
    assert HIDDEN.encode() in plot("red")
    assert not any(HIDDEN.encode() in posted.content(url) for url in posted.shown)


def test_comment__the_summary_has_bars_and_curves_but_no_pictures(posted: Gallery) -> None:
    assert "worse ┃ allowed" in posted.team.summary
    assert "▁▂▃▃▄▅▆▆▇█" in posted.team.summary
    assert "<img" not in posted.team.summary
    assert "<img" not in (posted.team.work.folder / ".mlci/report.md").read_text()


def test_comment__the_same_again_pushes_nothing(posted: Gallery) -> None:
    gallery = posted
    tip, bodies = gallery.tip, gallery.team.comments
    gallery.git.requests.clear()
    gallery.post()
    assert (gallery.tip, gallery.team.comments) == (tip, bodies)
    assert not any("git-receive-pack" in path for _, path in gallery.git.requests)


def test_comment__a_pass_is_two_lines_and_shows_nothing_by_itself(gallery: Gallery) -> None:
    gallery.measure(plot("blue"), accuracy=0.9)
    gallery.post()
    [body] = gallery.team.comments
    assert body.startswith("### ✅ mlci: pass")
    assert len(body.partition("\n\n<details>")[0].splitlines()) == 2
    assert "<details><summary>Pictures (2)</summary>" in body
    assert "roc.png" not in body.partition("Gated metrics")[0]  # it is as in the baseline


def test_comment__a_failure_is_seen_at_once(posted: Gallery) -> None:
    assert "<details open><summary>Pictures (3)</summary>" in posted.team.comments[0]


def test_comment__text_only_where_that_is_wanted(gallery: Gallery) -> None:
    gallery.team.configure(f'{CONFIG}\n[report]\npictures = "text"\n')
    gallery.measure(plot("red"))
    gallery.post()
    assert gallery.shown == []
    assert gallery.published == []
    assert "worse ┃ allowed" in gallery.team.comments[0]
    assert not any("pictures" in line for line in gallery.team.said)


def test_comment__a_token_that_may_not_write_falls_back_to_text(gallery: Gallery) -> None:
    gallery.git.tokens[TOKEN] = READ
    gallery.measure(plot("red"))
    gallery.post()
    [body] = gallery.team.comments
    assert gallery.shown == []
    assert "Charts and plots are in [the workflow run’s artifact](" in body
    assert "worse ┃ allowed" in body
    [line] = [line for line in gallery.team.said if "pictures" in line]
    assert line.startswith("the comment shows no pictures: baseline store: branch mlci-data of http://127.0.0.1")
    assert line.endswith("The workflow needs `permissions: contents: write` to save.")
    assert gallery.team.statuses["mlci/main"][0] == "failure"


def test_comment__a_branch_that_nobody_may_push_falls_back_to_text(gallery: Gallery) -> None:
    hook = gallery.git.folder() / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    gallery.measure(plot("red"))
    gallery.post()
    assert gallery.shown == []
    assert any("A rule of the server forbids the push" in line for line in gallery.team.said)


def test_comment__without_matplotlib_falls_back_to_text(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mlci.render.pictures", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    gallery.measure(plot("red"))
    gallery.post()
    assert gallery.shown == []
    [line] = [line for line in gallery.team.said if "pictures" in line]
    assert "matplotlib is not installed" in line
    assert "MLCI_EXTRAS: pictures" in line


@pytest.mark.parametrize("broken", ["mlci.plots.pictures", "mlci.plugins.stores.git_branch.GitBranchStore.publish"])
def test_comment__what_nobody_thought_of_falls_back_to_text(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def full(*_: object, **_more: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(broken, full)
    gallery.measure(plot("red"))
    gallery.post()
    assert gallery.shown == []
    assert any("shows no pictures" in line and "No space left" in line for line in gallery.team.said)


def test_comment__a_damaged_plot_leaves_the_rest(gallery: Gallery) -> None:
    gallery.measure(plot("red")[:60])
    gallery.post()
    assert len(gallery.shown) == 5  # two charts, and the baseline's plot


def test_comment__where_commits_must_be_signed_the_api_makes_them(gallery: Gallery) -> None:
    hook = gallery.git.folder() / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\necho "- Commits must have verified signatures." >&2\nexit 1\n')
    hook.chmod(0o755)
    before = gallery.tip
    gallery.measure(plot("red"))
    gallery.post()
    assert gallery.bare.git("rev-parse", "mlci-data^") == before
    assert len({gallery.content(url) for url in gallery.shown}) == 6


@pytest.mark.parametrize("gallery", [True], indirect=True, ids=["fork"])
def test_comment__of_a_fork_shows_mlci_s_own_charts_never_its_plots_or_addresses(gallery: Gallery) -> None:
    team, content = gallery.team, plot("red")
    team.work.git("switch", "--quiet", "main")
    record = drew(content, commit=team.merge, accuracy=0.8, command=EVIL, notes=(EVIL,))
    evil = msgspec.structs.replace(record.metrics[0], name=EVIL, unit=EVIL, slice=EVIL)
    record = msgspec.structs.replace(record, metrics=(*record.metrics, evil))
    files: dict[str, Any] = {"outputs/train/plots/roc.png": content}
    team.ran(zipped(record__json=record_file(record), **files))
    started = gallery.environ("workflow_run", run=77, workflow_run={"id": 41, "event": "pull_request"})
    comment(team.project(started, sys.stdout), team.forge(), from_run="event")
    assert len(gallery.shown) == 4
    assert all(Image.open(io.BytesIO(gallery.content(url))).size[0] == 1520 for url in gallery.shown)
    assert all(url.startswith(f"{gallery.git.url}/team/models/blob/{gallery.tip}/") for url in gallery.shown)
    assert "evil.example" in team.comments[0]


def test_dry_run__says_what_would_be_pushed(gallery: Gallery) -> None:
    gallery.measure(plot("red"))
    tip = gallery.tip
    gallery.git.tokens.clear()
    done = subprocess.run(
        [*MLCI, "comment", "--dry-run"], cwd=gallery.team.work.folder, env=ENVIRON, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "would push 6 pictures, " in done.stderr
    assert "to branch mlci-data of http://127.0.0.1" in done.stderr
    assert "https://github.com/OWNER/REPOSITORY/blob/COMMIT/pictures/png/" in done.stdout
    assert gallery.tip == tip
