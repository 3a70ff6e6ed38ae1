from __future__ import annotations

import io
import json
import math
import sys
import zipfile
from pathlib import Path, PurePath
from typing import Any

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers import inspect_ai, zip_member
from mlci.plugins.readers.inspect_ai import InspectReader

FIXTURES = Path(__file__).parents[3] / "fixtures/readers/inspect-ai"
ARCHIVE, DOCUMENT = FIXTURES / "arithmetic.eval", FIXTURES / "arithmetic.json"
BOMB = b'{"a": "' + b"0" * 50_000_000 + b'"}'


def score(name: str = "match", *, reducer: str | None = None, **metrics: object) -> dict[str, Any]:
    values = {key: {"name": key, "value": value} for key, value in metrics.items()}
    return {"name": name, "scorer": "match", "reducer": reducer, "scored_samples": 40, "metrics": values}


def log(*scores: object, **fields: object) -> bytes:
    results = {"completed_samples": 50, "scores": list(scores)}
    whole = {"version": 2, "status": "success", "eval": {"task": "sums"}, "results": results, "stats": {}}
    return json.dumps({**whole, **fields}).encode()


def packed(header: bytes, *, member: str = "header.json", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr(member, header)
        return file.getvalue()


def read(tmp_path: Path, data: bytes) -> list[Metric]:
    path = tmp_path / "log.eval"
    path.write_bytes(data)
    return InspectReader().read(path, name="log")


@pytest.mark.parametrize("path", [ARCHIVE, DOCUMENT])
def test_read__what_inspect_ai_writes(path: Path) -> None:
    assert InspectReader().read(path, name="log") == [
        *(
            Metric(
                name=f"arithmetic.{scorer}.accuracy",
                value=0.75,
                n=4,
                standard_error=0.25,
                definition=f"version 0, scorer {scorer}",
            )
            for scorer in ("match", "includes")
        ),
        Metric(name="arithmetic.total_tokens", value=28, direction="lower", unit="tokens", slice="model=mockllm/model"),
    ]


def test_read__an_error_belongs_to_the_means_of_its_scorer(tmp_path: Path) -> None:
    found = read(
        tmp_path, packed(log(score(mean=0.5, std=0.2, bootstrap_stderr=0.03, stderr=0.1), score("f1", f1=0.5)))
    )
    assert [(metric.name, metric.n, metric.standard_error) for metric in found] == [
        ("sums.match.mean", 40, 0.1),
        ("sums.match.std", 40, None),
        ("sums.f1.f1", 40, None),
    ]


def test_read__an_error_of_0_is_none(tmp_path: Path) -> None:
    [metric] = read(tmp_path, log(score(accuracy=1.0, stderr=0.0)))
    assert (metric.value, metric.standard_error) == (1.0, None)


def test_read__task_data_and_scorer_are_the_definition(tmp_path: Path) -> None:
    task = {"task": "sums", "task_version": "2-A", "dataset": {"name": "gsm8k", "location": "/somewhere/gsm8k"}}
    [metric] = read(tmp_path, log(score(accuracy=1.0), eval=task))
    assert metric.definition == "version 2-A, dataset gsm8k, scorer match"
    [metric] = read(tmp_path, log(score(accuracy=1.0), eval={"task": "sums", "task_version": [], "dataset": "gsm8k"}))
    assert metric.definition == "scorer match"


def test_read__scores_of_one_name_are_told_apart_by_their_reducers(tmp_path: Path) -> None:
    found = read(tmp_path, log(score(reducer="mean", accuracy=0.5), score(reducer="max", accuracy=0.75)))
    assert [metric.name for metric in found] == ["sums.match.mean.accuracy", "sums.match.max.accuracy"]


def test_read__a_metric_without_a_value(tmp_path: Path) -> None:
    [metric] = read(tmp_path, log(score(accuracy=math.nan)))
    assert math.isnan(metric.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (log(status="error"), "status: the evaluation's is 'error', only 'success' is read"),
        (log(status="cancelled"), "status: the evaluation's is 'cancelled', only 'success' is read"),
        (log(status=None), "status: the evaluation's is None, only 'success' is read"),
        (log(results=None), "results: expected an object, got nothing"),
        (log(results={}), "results.scores: expected a list, got nothing"),
        (log("match"), r"results.scores\[0\]: expected an object, got text"),
        (log({"name": "match"}), r"results.scores\[0\].metrics: expected an object, got nothing"),
        (log(score(accuracy="high")), r"results.scores\[0\].metrics.accuracy.value: expected a number, got 'high'"),
        (log(score(accuracy=1), score(accuracy=2)), "the metric 'sums.match.accuracy' stands twice"),
        (log(stats={"model_usage": {"m": 3}}), "stats.model_usage.m: expected an object, got a single value"),
        (b"[]", "expected an object, got a list"),
        (b"", "not JSON"),
        (packed(b"{"), "header.json: not JSON"),
        (packed(b'{"a": ' + b"[" * 10_000), "header.json: nested deeper than 64 levels"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",  # archives hold the time at which they were made
)
def test_read__what_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(MetricError, match=f"^log: {said}"):
        read(tmp_path, data)


def test_read__only_the_header_of_that_very_name(tmp_path: Path) -> None:
    for member in ("../header.json", "/header.json", "logs/header.json", "header.json/", "HEADER.JSON"):
        with pytest.raises(MetricError, match=r"^log: it holds no header\.json$"):
            read(tmp_path, packed(log(), member=member))
    assert [path.name for path in tmp_path.iterdir()] == ["log.eval"]


def test_read__the_header_that_was_appended_last(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    path.write_bytes(packed(log(status="started")))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("header.json", log(score(accuracy=0.5)))
    assert [metric.value for metric in InspectReader().read(path, name="log")] == [0.5]


def test_read__a_header_that_unpacks_to_too_much(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"^log: header.json is larger than 16,777,216 bytes$"):
        read(tmp_path, packed(BOMB))


def test_read__a_header_that_lies_about_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(BOMB).to_bytes(4, "little")
    lying = packed(BOMB).replace(size, (100).to_bytes(4, "little"))
    with pytest.raises(MetricError, match=r"^log: header.json is larger than 16,777,216 bytes$"):
        read(tmp_path, lying)
    monkeypatch.setattr(inspect_ai, "_MAX_BYTES", 2 * len(BOMB))
    with pytest.raises(MetricError, match=r"^log: header.json: its checksum does not hold$"):
        read(tmp_path, lying)


def test_read__a_zstandard_bomb(tmp_path: Path) -> None:
    zstd = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    archive = bytearray(packed(zstd.compress(BOMB), method=zipfile.ZIP_STORED))
    with pytest.raises(MetricError, match=r"^log: header.json is larger than 16,777,216 bytes$"):
        read(tmp_path, with_method(archive, 93))


def test_read__zstandard_where_nothing_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MetricError, match=r"^log: header.json: compressed with Zstandard") as raised:
        read(tmp_path, ARCHIVE.read_bytes())
    assert "Install backports.zstd" in str(raised.value.hint)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_read__another_method(tmp_path: Path, method: int) -> None:
    with pytest.raises(MetricError, match=rf"^log: header.json: compressed by a method \({method}\) that is not read$"):
        read(tmp_path, packed(log(), method=method))


def test_read__an_encrypted_archive(tmp_path: Path) -> None:
    archive = bytearray(packed(log()))
    archive[archive.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(MetricError, match=r"^log: header.json is encrypted$"):
        read(tmp_path, bytes(archive))


def test_read__a_directory_of_millions_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_member, "_MAX_DIRECTORY", 100_000)
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for index in range(2_000):
                archive.writestr(f"samples/{index}.json", b"")
        names = file.getvalue()
    with pytest.raises(MetricError, match=r"^log: not a ZIP archive: its directory is too large$"):
        read(tmp_path, names)


def test_read__an_archive_cut_or_broken_anywhere_gives_one_line(tmp_path: Path) -> None:
    whole = packed(log(score(accuracy=0.5)))
    for position in range(4, len(whole)):
        with pytest.raises(MetricError, match=r"^log: [^\n]+$"):
            read(tmp_path, whole[:position])
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        line = outcome(tmp_path, bytes(broken))
        assert line.startswith("log: ")
        assert "\n" not in line


def outcome(tmp_path: Path, data: bytes) -> str:
    try:
        return f"log: {len(read(tmp_path, data))} metrics"
    except MetricError as error:
        return error.message


def with_method(archive: bytearray, method: int) -> bytes:
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = archive.index(signature) + offset
        archive[at : at + 2] = method.to_bytes(2, "little")
    return bytes(archive)


@pytest.mark.parametrize(
    ("path", "head", "recognised"),
    [
        (ARCHIVE, ARCHIVE.read_bytes(), True),
        (DOCUMENT, DOCUMENT.read_bytes()[:2000], True),
        (PurePath("logs/*.eval"), b"", True),
        (PurePath("model.eval"), b"accuracy 0.5", False),
        (PurePath("metrics.json"), b'{"status": "success", "eval": 0.5}', False),
        (PurePath("archive.zip"), ARCHIVE.read_bytes(), False),
    ],
)
def test_recognises(path: PurePath, head: bytes, recognised: bool) -> None:
    assert InspectReader.recognises(path, head) is recognised
