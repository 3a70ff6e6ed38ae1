from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from fakes.pages import png
from fakes.records import record
from fakes.repositories import ENVIRON, repository
from mlci.actions import Actions
from mlci.core.documents import Artifact, Outputs, Record, digest
from mlci.plots import Picture, kept_plots, pictures
from mlci.project import Invocation, Project

CONFIG = """
[runs.churn]
command = ["true"]
[profiles.full]
[baseline]
store = "folder"
options = {{ path = "baselines" }}
{more}
"""
SVG = b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "a" "b">\n<!-- made -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'
PICTURES = {
    "image/png": png(1),
    "image/jpeg": b"\xff\xd8\xff\xe0rest",
    "image/gif": b"GIF89arest",
    "image/webp": b"RIFF\0\0\0\0WEBPrest",
    "image/svg+xml": SVG,
}


@dataclass
class Scene:
    """A repository with a workspace and a store of baselines."""

    folder: Path
    more: str = ""
    said: list[str] = field(default_factory=list)

    @property
    def project(self) -> Project:
        """Opened now."""
        (self.folder / "mlci.toml").write_text(CONFIG.format(more=self.more))
        return Project.open(Invocation(ENVIRON, self.folder, None, self.said.append, Actions(ENVIRON, io.StringIO())))

    def drew(self, *contents: bytes, commit: str = "c" * 40, seeds: tuple[int, ...] = ()) -> Record:
        """The record of a run that left these in the workspace: plot 0.png, 1.png, ..., or one plot a seed."""
        outputs = []
        for place, content in enumerate(contents):
            within = f"outputs/churn/seed-{seeds[place]}" if seeds else "outputs/churn"
            name = "plot.png" if seeds else f"{place}.png"
            path = self.folder / ".mlci" / within / "plots" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            stored = f"{within}/plots/{name}"
            outputs.append(
                Outputs(plots=(Artifact(path=name, size=len(content), sha256=digest(content), stored=stored),))
            )
        return msgspec.structs.replace(record(commit=commit), outputs=tuple(outputs))

    def baseline(self, *contents: bytes, seeds: tuple[int, ...] = ()) -> Record:
        """The same of the commit before, kept by the store and gone from the workspace."""
        made = self.drew(*contents, commit=self.base, seeds=seeds)
        project = self.project
        project.store.save([made], blobs=kept_plots(project, [made]))
        for outputs in made.outputs:
            (self.folder / ".mlci" / str(outputs.plots[0].stored)).unlink()
        return made

    def shown(self, now: Record, *, each: int = 100_000, whole: int = 100_000) -> list[Picture]:
        """The pictures of a record."""
        return list(pictures(self.project, [now], limit_each=each, limit_all=whole))

    @property
    def base(self) -> str:
        """The commit whose record is the baseline."""
        return self.project.history.commits[0]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = repository(tmp_path / "repository")
    made.commit()
    made.git("switch", "--quiet", "--create", "topic")
    made.commit()
    return Scene(tmp_path / "repository")


@pytest.mark.parametrize("media", PICTURES)
def test_pictures__beside_those_of_the_baseline(scene: Scene, media: str) -> None:
    content = PICTURES[media]
    now, before = content + b" ", content + b"  "
    scene.baseline(before)
    assert scene.shown(scene.drew(now)) == [Picture("churn", "0.png", None, media, now, before)]


def test_pictures__new_gone_and_of_each_seed(scene: Scene) -> None:
    scene.baseline(png(1), png(2), seeds=(0, 1))
    shown = scene.shown(scene.drew(png(3), png(4), seeds=(1, -2)))
    assert [(item.seed, item.now, item.before) for item in shown] == [
        (1, png(3), png(2)),
        (-2, png(4), None),
        (0, None, png(1)),
    ]
    assert [item.missing for item in shown] == [None, None, None]


def test_pictures__the_same_is_not_fetched_and_counts_once(scene: Scene) -> None:
    scene.more = 'keep-plots = "0"'
    scene.baseline(png(1))
    [shown] = scene.shown(scene.drew(png(1)), whole=len(png(1)))
    assert shown.now is shown.before
    assert (shown.now, shown.missing) == (png(1), None)


def test_pictures__what_the_store_does_not_keep_is_said(scene: Scene) -> None:
    scene.more = 'keep-plots = "1K"'
    scene.baseline(png(1, side=200, noise=True))
    reason = "its 120 kB do not fit into the 1.02 kB that are left"
    assert scene.said == [f"churn: of a plot only the digest is kept: 0.png: {reason}"]
    [shown] = scene.shown(scene.drew(png(2)), each=10**6, whole=10**6)
    assert (shown.now, shown.before) == (png(2), None)
    assert shown.missing == "the baseline's: the store does not keep it; it keeps plots up to [baseline] keep-plots"


def test_pictures__of_a_baseline_that_another_workspace_has(scene: Scene) -> None:
    scene.more = 'keep-plots = "0"'
    scene.baseline(png(1))
    scene.project.workspace.bring(png(1))
    [shown] = scene.shown(scene.drew(png(2)))
    assert (shown.now, shown.before, shown.missing) == (png(2), png(1), None)


def test_pictures__without_a_store_only_what_is_here(scene: Scene) -> None:
    scene.baseline(png(1))
    (scene.folder / "baselines").rename(scene.folder / "gone")
    (scene.folder / "baselines").write_text("no folder")
    [shown] = scene.shown(scene.drew(png(2)))
    assert (shown.now, shown.before) == (png(2), None)


def test_pictures__within_what_is_allowed_for_each_and_for_all(scene: Scene) -> None:
    size = len(png(1))
    now = scene.drew(png(1), png(2, side=400, noise=True), png(3), png(4))
    shown = scene.shown(now, each=size, whole=2 * size)
    assert [item.now for item in shown] == [png(1), None, png(3), None]
    assert [item.missing for item in shown if item.missing] == [
        f"its 481 kB do not fit into the {size} B that are left",
        f"its {size} B do not fit into the 0 B that are left",
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html><svg></svg></html>", b"MZ", b"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>", SVG + b"<!ENTITY a>"],
)  # fmt: skip
def test_pictures__what_shows_itself_to_be_no_picture_is_none(scene: Scene, content: bytes) -> None:
    [shown] = scene.shown(scene.drew(content))
    assert (shown.now, shown.media, shown.missing) == (None, "", "no PNG, JPEG, GIF, WebP or SVG")


@pytest.mark.parametrize(
    "changes",
    [
        {"stored": "../secret.png"},
        {"stored": "outputs/link.png"},
        {"stored": "\0"},
        {"stored": None},
        {"sha256": "0" * 64},
        {"sha256": "../../x"},
        {"size": -1},
    ],
)  # fmt: skip
def test_pictures__hostile_records(scene: Scene, changes: dict[str, object]) -> None:
    now = scene.drew(png(1))
    (scene.folder / "secret.png").write_bytes(png(1))
    (scene.folder / ".mlci/outputs/link.png").symlink_to(scene.folder / "secret.png")
    plot = msgspec.structs.replace(now.outputs[0].plots[0], **changes)
    [shown] = scene.shown(msgspec.structs.replace(now, outputs=(Outputs(plots=(plot,)),)))
    assert (shown.now, shown.missing) == (None, "not in the workspace, or not as it was recorded")


def test_pictures__a_baseline_of_another_type_is_not_shown_beside(scene: Scene) -> None:
    scene.baseline(SVG)
    [shown] = scene.shown(scene.drew(png(1)))
    assert (shown.now, shown.before, shown.missing) == (png(1), None, "the baseline's: it is of another type")


def test_kept_plots__go_with_the_last_record_that_names_them(scene: Scene) -> None:
    project = scene.project

    def saved(commit: str, year: int, *contents: bytes) -> None:
        made = scene.drew(*contents)
        dated = msgspec.structs.replace(made.origin, commit=commit * 40, created_at=f"{year}-01-01T00:00:00Z")
        made = msgspec.structs.replace(made, origin=dated)
        project.store.save([made], blobs=kept_plots(project, [made]))

    def kept_of(*contents: bytes) -> list[bool]:
        return [project.store.blob(digest(content)) == content for content in contents]

    saved("c", 2020, png(1), png(2))
    saved("d", 2022, png(2))
    project.store.prune(datetime(2021, 1, 1, tzinfo=UTC), frozenset())
    assert kept_of(png(1), png(2)) == [False, True]
    saved("e", 2024)
    project.store.prune(datetime(2023, 1, 1, tzinfo=UTC), frozenset())
    assert kept_of(png(1), png(2)) == [False, False]
