from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from mlci.plugins.readers.wandb import WandbReader

FIXTURE = Path(__file__).parents[3] / "fixtures/readers/wandb/wandb-summary.json"


def test_read__numbers_without_what_is_its_own() -> None:
    found = {metric.name: metric.value for metric in WandbReader().read(FIXTURE, name="m")}
    assert found.keys() == {"train/loss", "accuracy.max", "accuracy.last", "test.f1"}
    assert (found["accuracy.max"], found["accuracy.last"], found["test.f1"]) == (0.9, 0.8, 0.75)


@pytest.mark.parametrize("path", ["wandb/latest-run/files/wandb-summary.json", "wandb-summary.json"])
def test_recognises__by_its_name(path: str) -> None:
    assert WandbReader.recognises(PurePath(path), b"")
    assert not WandbReader.recognises(PurePath(path).with_name("summary.json"), b'{"_step": 1}')
