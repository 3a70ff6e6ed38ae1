"""A file finds its reader by its content, its place, or its ending."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from mlci.errors import MetricError
from mlci.plugins.readers.dvclive import DvcliveReader
from mlci.running.formats import is_of, read_metrics, reader_of

LM_EVAL = '{"results": {"arc": {"acc,none": 0.5, "acc_stderr,none": 0.1}}}'


def test_reader_of__what_two_recognise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DvcliveReader, "recognises", staticmethod(lambda _path, _head: True))
    with pytest.raises(MetricError) as caught:
        reader_of(PurePath("results.json"), LM_EVAL.encode())
    assert caught.value.message == "results.json: it may be dvclive or lm-eval"
    assert caught.value.hint == "Name its format beside its path."


def test_reader_of__before_the_file_is_there() -> None:
    assert reader_of(PurePath("dvclive/metrics.json")) == "dvclive"
    assert reader_of(PurePath("out/*.JSON")) == "json"


def test_read_metrics__by_content_or_by_the_format_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(LM_EVAL)
    assert [metric.name for metric in read_metrics(path, name="r")] == ["arc.acc"]
    assert "results.arc.acc,none" in [metric.name for metric in read_metrics(path, name="r", reader="json")]


def test_is_of(tmp_path: Path) -> None:
    path = tmp_path / "mlruns/1/a/meta.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("run_id: a\n")
    assert is_of("mlflow", path)
    path.write_text("model_id: a\n")
    assert not is_of("mlflow", path)
