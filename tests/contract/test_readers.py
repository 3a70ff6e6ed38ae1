"""What every reader does alike, whatever its format: a real file gives metrics, anything else one line or nothing."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins import registry

SCRAP = {"name": "accuracy", "data": 0.5, "encoder": "json", "version": 1}
NOTEBOOK = {"cells": [{"outputs": [{"data": {"application/scrapbook.scrap.json+json": SCRAP}}]}]}
SAMPLES = {
    "json": '{"accuracy": 0.5}',
    "yaml": "accuracy: 0.5\n",
    "toml": "accuracy = 0.5\n",
    "csv": "accuracy\n0.5\n",
    "tsv": "accuracy\n0.5\n",
    "notebook": json.dumps(NOTEBOOK),
    "mlci-log": '{"name": "accuracy", "value": 0.5}\n',
}
EMPTY_IS_FINE = {"yaml": False, "toml": True, "mlci-log": True}


def reader(name: str) -> Any:
    return registry.load("readers", name)


def test_readers__every_one_has_a_sample() -> None:
    assert set(SAMPLES) == set(registry.names("readers"))


@pytest.mark.parametrize("name", SAMPLES)
def test_read__a_real_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(SAMPLES[name])
    [metric] = reader(name).read(path, name="file")
    assert isinstance(metric, Metric)
    assert (metric.name, metric.value) == ("accuracy", 0.5)


@pytest.mark.parametrize("name", SAMPLES)
def test_read__knows_its_own_name_and_endings(name: str) -> None:
    plugin = registry.plugin_class("readers", name)
    assert plugin.name == name
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in plugin.suffixes)


@pytest.mark.parametrize("name", SAMPLES)
def test_read__a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"^scores: cannot be read: No such file"):
        reader(name).read(tmp_path / "gone", name="scores")


@pytest.mark.parametrize("name", SAMPLES)
def test_read__a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"^scores: cannot be read"):
        reader(name).read(tmp_path, name="scores")


@pytest.mark.parametrize("name", SAMPLES)
def test_read__an_empty_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    if EMPTY_IS_FINE.get(name):
        assert reader(name).read(tmp_path / "file", name="scores") == []
        return
    with pytest.raises(MetricError, match=r"^scores: "):
        reader(name).read(tmp_path / "file", name="scores")


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "mlci-log"])
def test_read__a_file_that_is_too_large(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = registry.plugin_class("readers", name)
    monkeypatch.setattr(importlib.import_module(plugin.__module__), "_MAX_BYTES", 5)
    (tmp_path / "file").write_text(SAMPLES[name])
    with pytest.raises(MetricError, match=r"^scores: .*(larger than 5|at most 5)"):
        reader(name).read(tmp_path / "file", name="scores")


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=80), st.text(alphabet='{}[]":,=.-+eE019ainfNty\n\t #&*', max_size=60).map(str.encode)
    )
)
def test_read__anything_gives_metrics_or_one_line(name: str, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    try:
        found = reader(name).read(path, name="scores")
    except MetricError as error:
        line = error.message
    else:
        line = "scores"
        assert all(isinstance(metric.value, float) for metric in found)
    assert line.startswith("scores")
    assert "\n" not in line


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
@pytest.mark.parametrize("name", SAMPLES)
def test_read__a_file_that_may_not_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(SAMPLES[name])
    (tmp_path / "file").chmod(0)
    with pytest.raises(MetricError, match=r"^scores: cannot be read: Permission denied"):
        reader(name).read(tmp_path / "file", name="scores")
