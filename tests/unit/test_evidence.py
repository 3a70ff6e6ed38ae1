"""Predictions of both sides give the noise of what both records hold, or a note says why not."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.predictions import binary, table
from fakes.records import record
from fakes.repositories import ENVIRON, repository
from mlci.actions import Actions
from mlci.core.documents import Metric, PredictionsFile, Record, digest
from mlci.core.estimates import ExampleNoise
from mlci.core.metric import Key, combine_seeds
from mlci.evidence import examples, kept_predictions
from mlci.project import Invocation, Project
from mlci.running.predicted import metrics_of_file

CONFIG = """
[runs.churn]
command = ["true"]
predictions = {{ path = "p.csv", metrics = {metrics} }}

[profiles.full]

[baseline]
store = "folder"
options = {{ path = "baselines" }}
{more}
"""
SITES = ["x", "y"] * 20
ACCURACY: Key = ("accuracy", None, None)


@dataclass
class Scene:
    """A workspace, a store, and what was said."""

    folder: Path
    more: str = ""
    metrics: str = '["accuracy", "f1"]'
    said: list[str] = field(default_factory=list)

    @property
    def project(self) -> Project:
        """Opened now."""
        (self.folder / "mlci.toml").write_text(CONFIG.format(more=self.more, metrics=self.metrics))
        return Project.open(Invocation(ENVIRON, self.folder, None, self.said.append, Actions(ENVIRON, io.StringIO())))

    def measured(self, contents: Sequence[bytes], *, seeds: Sequence[int | None] = (None,), **more: Any) -> Record:
        """The record of a run that left these predictions in the workspace, a file a seed."""
        files, metrics = [], []
        for seed, content in zip(seeds, contents, strict=True):
            path = self.folder / f".mlci/outputs/{digest(content)[:8]}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            stored = path.relative_to(self.folder / ".mlci").as_posix()
            files.append(
                PredictionsFile(path="p.csv", sha256=digest(content), size=len(content), seed=seed, stored=stored)
            )
            configured = self.project.runs("full")["churn"].table.predictions_file
            assert configured is not None
            metrics.append((seed, metrics_of_file(path, configured, name="p.csv", said={}).metrics))
        made = record(**more)
        return msgspec.structs.replace(made, predictions=tuple(files), metrics=combine_seeds(metrics))

    def baseline(self, *contents: bytes, **more: Any) -> Record:
        """The same, kept by the store and gone from the workspace."""
        made = self.measured(contents, commit="b" * 40, **more)
        project = self.project
        project.store.save([made], blobs=kept_predictions(project, [made]))
        for file in made.predictions:
            (self.folder / ".mlci" / str(file.stored)).unlink()
        return made

    def examples(self, now: Record, before: Record) -> tuple[dict[Key, ExampleNoise], tuple[str, ...]]:
        """What they say."""
        found, notes = examples(self.project, now, before)
        return dict(found), notes


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    repository(tmp_path / "repository")
    return Scene(tmp_path / "repository")


def content(seed: int, count: int = 40, **more: Any) -> bytes:
    return table(**{name: values[:count] for name, values in binary(seed, 40, **more).items()}, site=SITES[:count])


def test_examples__of_each_metric_and_slice_that_both_hold(scene: Scene) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    found, notes = scene.examples(now, before)
    assert notes == ()
    assert sorted(found, key=str) == sorted(
        ((name, None, part) for name in ("accuracy", "f1") for part in (None, "site=x", "site=y")), key=str
    )
    assert (found[ACCURACY].examples, found["f1", None, "site=x"].examples) == (40, 20)
    assert found[ACCURACY].change == pytest.approx(now.metrics[0].value - before.metrics[0].value)
    assert found[ACCURACY].discordant is not None


def test_examples__of_seeds(scene: Scene) -> None:
    before = scene.baseline(content(1), content(2), seeds=(0, 1))
    now = scene.measured([content(3), content(4)], seeds=(0, 1))
    found, notes = scene.examples(now, before)
    assert notes == ()
    assert found[ACCURACY].change == pytest.approx(now.metrics[0].value - before.metrics[0].value)


def test_examples__the_same_content_is_not_fetched(scene: Scene) -> None:
    scene.more = 'keep-predictions = "0"'
    before = scene.baseline(content(1))
    found, _ = scene.examples(scene.measured([content(1)]), before)
    assert (found[ACCURACY].change, found[ACCURACY].standard_error) == (0, 0)


@pytest.mark.parametrize("side", ["now", "before"])
def test_examples__no_predictions(scene: Scene, side: str) -> None:
    both = {"before": scene.baseline(content(1)), "now": scene.measured([content(2)])}
    both[side] = msgspec.structs.replace(both[side], predictions=())
    assert scene.examples(**both) == ({}, ())


def test_examples__a_value_that_is_not_that_of_the_predictions(scene: Scene) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    own = (Metric(name="accuracy", value=0.99), *now.metrics[1:])
    found, _ = scene.examples(msgspec.structs.replace(now, metrics=own), before)
    assert ACCURACY not in found
    assert ("f1", None, None) in found


def test_examples__ids_that_differ(scene: Scene) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2, 36)])
    assert scene.examples(now, before) == (
        {},
        ("churn: predictions are not compared example by example: 4 ids only in the baseline, 0 only now",),
    )


def test_examples__slices_that_tell_nothing_are_counted(scene: Scene) -> None:
    before, now = (
        table(**{name: values[:4] for name, values in binary(seed).items()}, site=["x", "y", "z", "z"])
        for seed in (1, 2)
    )
    _, notes = scene.examples(scene.measured([now]), scene.baseline(before))
    reason = "predictions are not compared example by example: accuracy of site=x and 3 more: one example tells nothing"
    assert f"churn: {reason}" in notes


def refused(scene: Scene, now: Record, before: Record) -> str:
    found, [note] = scene.examples(now, before)
    assert found == {}
    return note.removeprefix("churn: predictions are not compared example by example: ")


def test_examples__not_kept(scene: Scene) -> None:
    scene.more = 'keep-predictions = "0"'
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    assert refused(scene, now, before) == (
        "the baseline's are not in the store, which keeps them up to [baseline] keep-predictions"
    )


def test_examples__columns_that_the_baseline_has_not(scene: Scene) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    renamed = content(1).replace(b"label", b"truth")
    scene.project.store.save([before], blobs={digest(renamed): renamed})
    other = PredictionsFile(path="p.csv", sha256=digest(renamed), size=len(renamed))
    message = refused(scene, now, msgspec.structs.replace(before, predictions=(other,)))
    assert message.startswith("predictions of the baseline: there is no column 'label'; there are: id, truth")


GONE = "p.csv is not in the workspace, or not as it was recorded"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"stored": None}, GONE, id="not-stored"),
        pytest.param({"stored": "outputs/gone.csv"}, GONE, id="gone"),
        pytest.param({"stored": "outputs"}, GONE, id="folder"),
        pytest.param({"stored": "../secret.csv"}, GONE, id="above"),
        pytest.param({"stored": "/etc/passwd"}, GONE, id="absolute"),
        pytest.param({"stored": "outputs/link.csv"}, GONE, id="link"),
        pytest.param({"stored": "a\0b"}, GONE, id="zero-byte"),
        pytest.param({"size": 7}, GONE, id="size"),
        pytest.param({"sha256": "0" * 64}, GONE, id="changed"),
    ],
)
def test_examples__hostile_records(scene: Scene, changes: dict[str, Any], message: str) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    (scene.folder / "secret.csv").write_bytes(content(3))
    (scene.folder / ".mlci/outputs/link.csv").symlink_to(scene.folder / "secret.csv")
    hostile = msgspec.structs.replace(now, predictions=(msgspec.structs.replace(now.predictions[0], **changes),))
    assert refused(scene, hostile, before) == message
    assert kept_predictions(scene.project, [hostile]) == {}
    assert scene.said == [f"churn: of predictions only the digest is kept: {message}"]


def test_examples__more_than_can_be_held(scene: Scene) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    file = msgspec.structs.replace(now.predictions[0], size=300 * 1024**2)
    many = msgspec.structs.replace(now, predictions=(file, msgspec.structs.replace(file, seed=1)))
    assert refused(scene, many, before) == "those of all seeds are larger than 536,870,912 bytes"


def test_examples__the_configuration_has_no_such_run(scene: Scene) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    gone = msgspec.structs.replace(now, name="gone")
    _, notes = scene.examples(gone, before)
    assert notes[0].endswith("the configuration no longer says how to read them")


def test_examples__a_metric_that_is_not_installed_here(scene: Scene) -> None:
    before, now = scene.baseline(content(1)), scene.measured([content(2)])
    before, now = (
        msgspec.structs.replace(item, metrics=(*item.metrics, Metric(name="ours", value=0.5))) for item in (before, now)
    )
    scene.metrics = '["ours", "accuracy"]'
    found, notes = scene.examples(now, before)
    assert ACCURACY in found
    [note] = notes
    assert "ours: no metric of predictions is called 'ours'; known: accuracy, f1" in note


def test_kept_predictions__within_the_size_compressed(scene: Scene) -> None:
    repeated = table(id=range(5000), label=[1] * 5000, prediction=[1] * 5000)
    made = scene.measured([repeated, content(1)], seeds=(0, 1))
    assert kept_predictions(scene.project, [made]) == {digest(repeated): repeated, digest(content(1)): content(1)}
    scene.more = 'keep-predictions = "1K"'
    assert set(kept_predictions(scene.project, [made])) == {digest(content(1))}
    assert scene.said == [
        "churn: of predictions only the digest is kept: p.csv takes more than [baseline] keep-predictions, 1,024 bytes"
    ]
