"""What every reader does alike, whatever its format: a real file gives metrics, anything else one line or nothing."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path, PurePath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.event_files import event, scalar
from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins import registry
from mlci.plugins.readers import source
from mlci.plugins.readers.interface import HEAD

SCRAP = {"name": "accuracy", "data": 0.5, "encoder": "json", "version": 1}
NOTEBOOK = {"cells": [{"outputs": [{"data": {"application/scrapbook.scrap.json+json": SCRAP}}]}]}


def database() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("""
            CREATE TABLE runs (run_uuid, name, status, start_time, end_time, lifecycle_stage);
            CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan);
            INSERT INTO runs VALUES ('a', 'a', 'FINISHED', 1, 2, 'active');
            INSERT INTO metrics VALUES ('accuracy', 0.5, 1, 'a', 0, 0);
        """)
        return connection.serialize()


def archive(header: dict[str, Any]) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
            written.writestr("header.json", json.dumps(header))
        return file.getvalue()


EVALUATION = {
    "status": "success",
    "eval": {"task": "sums"},
    "results": {"scores": [{"name": "match", "metrics": {"accuracy": {"value": 0.5}}}]},
    "stats": {},
}
SAMPLES: dict[str, str | bytes] = {
    "json": '{"accuracy": 0.5}',
    "yaml": "accuracy: 0.5\n",
    "toml": "accuracy = 0.5\n",
    "csv": "accuracy\n0.5\n",
    "tsv": "accuracy\n0.5\n",
    "notebook": json.dumps(NOTEBOOK),
    "mlci-log": '{"name": "accuracy", "value": 0.5}\n',
    "bencher": '{"model": {"accuracy": {"value": 0.5}}}',
    "dvclive": '{"accuracy": 0.5, "step": 3}',
    "github-action-benchmark": '[{"name": "accuracy", "unit": "%", "value": 0.5}]',
    "hf-trainer": '{"accuracy": 0.5, "epoch": 3.0}',
    "lm-eval": '{"results": {"task": {"alias": "task", "accuracy,none": 0.5, "accuracy_stderr,none": 0.1}}}',
    "pytest-benchmark": '{"benchmarks": [{"fullname": "accuracy", "stats": {"mean": 0.5}}]}',
    "sklearn-report": '{"accuracy": 0.5}',
    "wandb": '{"accuracy": 0.5, "_step": 3}',
    "evidently": '{"metrics": [{"metric_name": "accuracy", "config": {}, "value": 0.5}]}',
    "inspect-ai": archive(EVALUATION),
    "junit": '<testsuite><properties><property name="accuracy" value="0.5"/></properties></testsuite>',
    "mlflow": database(),
    "promptfoo": '{"results": {"version": 3, "stats": {"successes": 1, "failures": 1, "errors": 0}}}',
    "tensorboard": event(0, scalar("accuracy", 0.5)),
}
NAMES = {
    "bencher": "model.accuracy",
    "lm-eval": "task.accuracy",
    "inspect-ai": "sums.match.accuracy",
    "promptfoo": "pass_rate",
}  # of the others it is `accuracy`
EMPTY_IS_FINE = {"yaml": False, "toml": True, "mlci-log": True}
RECOGNISING = [name for name in SAMPLES if hasattr(registry.plugin_class("readers", name), "recognises")]


def reader(name: str) -> Any:
    return registry.load("readers", name)


def outcome(name: str, path: Path) -> tuple[list[Metric], str]:
    """The metrics, or the error's line."""
    try:
        return reader(name).read(path, name="scores"), "scores"
    except MetricError as error:
        return [], error.message


def write(path: Path, name: str) -> Path:
    sample = SAMPLES[name]
    path.write_bytes(sample.encode() if isinstance(sample, str) else sample)
    return path


def test_readers__every_one_has_a_sample() -> None:
    assert set(SAMPLES) == set(registry.names("readers"))


@pytest.mark.parametrize("name", SAMPLES)
def test_read__a_real_file(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "file", name)
    found = reader(name).read(path, name="file")
    assert all(isinstance(metric, Metric) for metric in found)
    assert (NAMES.get(name, "accuracy"), 0.5) in [(metric.name, metric.value) for metric in found]


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
    # The limit is its own module's, or the one that all readers share.
    own = importlib.import_module(registry.plugin_class("readers", name).__module__)
    for module in (source, own):
        monkeypatch.setattr(module, "_MAX_BYTES", 5, raising=module is source)
    write(tmp_path / "file", name)
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
    found, line = outcome(name, path)
    assert all(isinstance(metric.value, float) for metric in found)
    assert line.startswith("scores")
    assert "\n" not in line


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
@pytest.mark.parametrize("name", SAMPLES)
def test_read__a_file_that_may_not_be_read(name: str, tmp_path: Path) -> None:
    write(tmp_path / "file", name)
    (tmp_path / "file").chmod(0)
    with pytest.raises(MetricError, match=r"^scores: cannot be read: Permission denied"):
        reader(name).read(tmp_path / "file", name="scores")


@pytest.mark.parametrize("name", RECOGNISING)
@settings(max_examples=25, deadline=None)
@given(
    head=st.one_of(st.binary(max_size=80), st.text(alphabet='{}[]":,\\\n aresultsvmic', max_size=120).map(str.encode)),
    path=st.sampled_from(["m.json", "all_results.json", "trainer_state.json", "m.xml", "m", ".json", "a/*.json"]),
)
def test_recognises__anything_is_a_yes_or_a_no(name: str, head: bytes, path: str) -> None:
    assert reader(name).recognises(PurePath(path), head) in (True, False)


HEADS = {
    "quotes": b'{"' + b'\\"' * HEAD,
    "strings": b"{" + b'"",' * HEAD,
    "keys": b"{" + b",".join(b'"%d":{"%d":{"value":1}}' % (number, number) for number in range(4_000)),
    "depth": b'{"a":' * HEAD,
    "brackets": b"[" * HEAD,
    "blanks": b"{" + b" " * HEAD,
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
@pytest.mark.parametrize("name", RECOGNISING)
def test_recognises__a_hostile_beginning(name: str, head: bytes) -> None:
    assert reader(name).recognises(PurePath("m.json"), head[:HEAD]) in (True, False)


LONG = 10_000_000
HOSTILE = {
    "depth": b'{"results":' * 10_000,
    "closed depth": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a long string": b'{"a": "' + b"x" * LONG + b'"}',
    "a long key": b'{"' + b"x" * LONG + b'": 0.5}',
    "a long key twice": b'{"' + b"x" * 1000 + b'": 1, "' + b"x" * 1000 + b'": 2}',
    "a long number": b'{"a": ' + b"9" * 100_000 + b"}",
    "a key twice": b'{"results": {"a": 1, "a": 2}}',
    "not finite": b'{"a": NaN, "b": 1e999, "c": -Infinity, "d": "nan"}',
    "UTF-16": '{"a": 0.5}'.encode("utf-16"),
    "Latin-1": '{"ä": 0.5}'.encode("latin-1"),
    "a lone surrogate": b'{"\\ud800": 0.5}',
    "a NUL": b'{"a\0b": 0.5}\0',
    "a long column": b"x" * LONG + b"\n1\n",
    "a long line": b"x," * (LONG // 2) + b"\n",
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", SAMPLES)
def test_read__a_hostile_file(name: str, document: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(document)
    found, line = outcome(name, path)
    assert all(len(metric.name.encode()) <= 2000 for metric in found)
    assert line.startswith("scores")
    assert len(line) < 500
    assert "\n" not in line


@pytest.mark.parametrize("name", ["json", "hf-trainer", "wandb", "csv", "tsv"])
def test_read__a_million_names(name: str, tmp_path: Path) -> None:
    names = (f"m{number}" for number in range(1_000_000))
    path = tmp_path / "file"
    if name in ("csv", "tsv"):
        path.write_text(("," if name == "csv" else "\t").join(names)[:3_000_000] + "\n")
    else:
        path.write_text("{" + ",".join(f'"{metric}":1' for metric in names) + "}")
    with pytest.raises(MetricError, match=r"^scores: .*(at most 2,000 are read|more than 10,000 metrics)$"):
        reader(name).read(path, name="scores")


SCRAPPED = (
    '{"data": {"application/scrapbook.scrap.json+json": {"name": "m#", "data": 1, "encoder": "json", "version": 1}}}'
)
# What stands around its metrics, and one of them; `#` is a number.
SHAPES = {
    "yaml": ("", "m#: 1\n", ""),
    "toml": ("", "m# = 1\n", ""),
    "notebook": ('{"cells": [{"outputs": [', SCRAPPED + ",", "{}]}]}"),
    "mlci-log": ("", '{"name": "m#", "value": 1}\n', ""),
    "hf-trainer": ('{"log_history": [', '{"m#": 1},', "{}]}"),
    "bencher": ("{", '"b#": {"m": {"value": 1}},', '"b": {}}'),
    "dvclive": ("{", '"m#": 1,', '"step": 1}'),
    "github-action-benchmark": ("[", '{"name": "m#", "unit": "", "value": 1},', "{}]"),
    "lm-eval": ('{"results": {', '"t#": {"m,none": 1},', '"t": {}}}'),
    "pytest-benchmark": ('{"benchmarks": [', '{"fullname": "m#", "stats": {"mean": 1}},', "{}]}"),
    "sklearn-report": ("{", '"m#": {"precision": 1, "recall": 1, "f1-score": 1, "support": 1},', '"accuracy": 1}'),
    "evidently": ('{"metrics": [', '{"metric_name": "m#", "config": {}, "value": 1},', "{}]}"),
    "inspect-ai": (
        '{"status": "success", "eval": {}, "stats": {}, "results": {"scores": [{"metrics": {',
        '"m#": {"value": 1},',
        '"m": {"value": 1}}}]}}',
    ),
    "junit": ("<testsuite>", '<properties><property name="m#" value="1"/></properties>', "</testsuite>"),
    "promptfoo": (
        '{"results": {"version": 3, "stats": {"successes": 1}, "prompts": [',
        '{"raw": "p#", "metrics": {"testPassCount": 1, "namedScores": {"a": 1}}},',
        "{}]}}",
    ),
}
READ_ALL = """
import pathlib, resource, sys
from mlci.errors import MetricError
from mlci.plugins import registry
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in map(pathlib.Path, sys.argv[2:]):
    try:
        print(path.name, len(registry.load("readers", path.name).read(path, name="scores")))
    except MetricError as error:
        print(path.name, error.message)
"""


def filled(shape: tuple[str, str, str], size: int) -> str:
    head, piece, tail = shape
    pieces = (piece.replace("#", str(number)) for number in range(size // len(piece)))
    return head + "".join(pieces) + tail


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a limit of memory is not kept")
def test_read__as_many_names_as_its_size_allows_in_bounded_memory(tmp_path: Path) -> None:
    assert SHAPES.keys() | {"json", "wandb", "csv", "tsv", "mlflow", "tensorboard"} == SAMPLES.keys()
    # Large where what is built of it is largest: the memory of the others is less.
    sizes = dict.fromkeys(SHAPES, 1_500_000) | {"inspect-ai": 8_000_000}
    paths = [tmp_path / name for name in SHAPES]
    for path in paths:
        path.write_text(filled(SHAPES[path.name], sizes[path.name]))
    command = [sys.executable, "-c", READ_ALL, str(1024**3), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert said.keys() == SHAPES.keys()
    refused = re.compile(r"^scores: (more than 10,000 metrics|larger than 524,288 bytes)$")
    assert [name for name, line in said.items() if not refused.match(line)] == []
