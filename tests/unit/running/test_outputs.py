"""Only what a run wrote anew is its output, and what it declared and did not write is a problem."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path, PurePath

import msgspec
import pytest

from mlci.config.tables import MetricFile, RunTable
from mlci.errors import MetricError
from mlci.plugins.readers.dvclive import DvcliveReader
from mlci.running import known
from mlci.running.outputs import Collected, collect, declared, reader_of, snapshot


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    folder = tmp_path / "repository/work"
    folder.mkdir(parents=True)
    return folder


def after(cwd: Path, table: RunTable, run: Callable[[], object] = lambda: None) -> Collected:
    """What is collected when `run` has written between the two looks."""
    before = snapshot(cwd, declared(table))
    run()
    workspace = cwd.parent / ".mlci"
    folder = workspace / "outputs/train"
    folder.mkdir(parents=True, exist_ok=True)
    return collect(
        table,
        cwd=cwd,
        repository=cwd.parent,
        before=before,
        folder=folder,
        workspace=workspace,
        logged=folder / "metrics.jsonl",
        notebook=None,
    )


def table(**fields: object) -> RunTable:
    return msgspec.convert(fields, RunTable, strict=False)


def problems(collected: Collected) -> list[tuple[str, str]]:
    return [(problem.kind, problem.message) for problem in collected.problems]


def test_collect__metrics_are_read_and_kept(cwd: Path) -> None:
    found = after(cwd, table(metrics=["out/m.json"]), lambda: _write(cwd / "out/m.json", '{"loss": 0.5}'))
    assert [(metric.name, metric.value) for metric in found.metrics] == [("loss", 0.5)]
    assert (cwd.parent / ".mlci/outputs/train/metrics/out/m.json").read_text() == '{"loss": 0.5}'
    assert not found.problems


def test_collect__artifacts_have_size_digest_and_copy(cwd: Path) -> None:
    found = after(cwd, table(artifacts=["*.bin"]), lambda: _write(cwd / "model.bin", "abc"))
    [artifact] = found.artifacts
    assert (artifact.path, artifact.size, artifact.stored) == ("model.bin", 3, "outputs/train/artifacts/model.bin")
    assert artifact.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_collect__what_was_not_written(cwd: Path) -> None:
    found = after(cwd, table(artifacts=["model.bin", "*.csv"]))
    assert problems(found) == [
        ("missing-output", "'model.bin' is declared and was not written"),
        ("missing-output", "'*.csv' is declared and was not written"),
    ]


def test_collect__what_was_there_before_and_not_touched_is_stale(cwd: Path) -> None:
    _write(cwd / "m.json", '{"loss": 0.5}')
    found = after(cwd, table(metrics=["m.json"]))
    assert problems(found) == [("missing-output", "'m.json' is declared and is as it was before the run")]
    assert found.metrics == ()


def test_collect__the_same_content_written_again_is_anew(cwd: Path) -> None:
    _write(cwd / "m.json", '{"loss": 0.5}')
    found = after(cwd, table(metrics=["m.json"]), lambda: _write(cwd / "m.json", '{"loss": 0.5}'))
    assert len(found.metrics) == 1


def test_collect__a_time_that_was_set_back_does_not_hide_a_write(cwd: Path) -> None:
    path = cwd / "m.json"
    _write(path, '{"loss": 0.5}')
    seen = path.stat()

    def write() -> None:
        _write(path, '{"loss": 0.6}')
        os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    assert [metric.value for metric in after(cwd, table(metrics=["m.json"]), write).metrics] == [0.6]


def test_collect__of_a_glob_only_the_new_files(cwd: Path) -> None:
    _write(cwd / "old.json", '{"a": 1}')
    found = after(cwd, table(metrics=["*.json"]), lambda: _write(cwd / "new.json", '{"b": 2}'))
    assert [metric.name for metric in found.metrics] == ["b"]


def test_collect__a_link_out_of_the_repository_is_not_followed(cwd: Path, tmp_path: Path) -> None:
    _write(tmp_path / "secret", "s")
    found = after(cwd, table(artifacts=["model.bin"]), lambda: (cwd / "model.bin").symlink_to(tmp_path / "secret"))
    assert problems(found) == [("missing-output", "'model.bin' is a link that leaves the repository")]
    assert found.artifacts == ()


def test_collect__a_file_of_a_folder_beside(cwd: Path) -> None:
    found = after(cwd, table(plots=["../plots/a.png"]), lambda: _write(cwd.parent / "plots/a.png", "p"))
    [plot] = found.plots
    assert plot.stored == "outputs/train/plots/__/plots/a.png"


def test_collect__the_format_can_be_named(cwd: Path) -> None:
    item = MetricFile(path="m.txt", format="json")
    found = after(cwd, RunTable(metrics=(item,)), lambda: _write(cwd / "m.txt", '{"loss": 1}'))
    assert [metric.name for metric in found.metrics] == ["loss"]


def test_collect__an_ending_that_no_reader_knows(cwd: Path) -> None:
    found = after(cwd, table(metrics=["m.txt"]), lambda: _write(cwd / "m.txt", "1"))
    assert problems(found) == [("metrics", "m.txt: no reader for files ending in '.txt'")]


def test_collect__two_sources_that_disagree(cwd: Path) -> None:
    def write() -> None:
        _write(cwd / "a.json", '{"loss": 1}')
        _write(cwd / "b.json", '{"loss": 2}')

    [(kind, message)] = problems(after(cwd, table(metrics=["a.json", "b.json"]), write))
    assert kind == "metrics"
    assert "loss" in message
    assert "a.json" in message
    assert "b.json" in message


def test_collect__one_bad_file_does_not_lose_the_others(cwd: Path) -> None:
    def write() -> None:
        _write(cwd / "a.json", "{")
        _write(cwd / "b.json", '{"loss": 2}')

    found = after(cwd, table(metrics=["a.json", "b.json"]), write)
    assert [metric.value for metric in found.metrics] == [2]
    assert len(found.problems) == 1


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


LM_EVAL = '{"results": {"arc": {"acc,none": 0.5, "acc_stderr,none": 0.1}}}'


def test_collect__a_format_is_recognised_by_its_content(cwd: Path) -> None:
    found = after(cwd, table(metrics=["results.json"]), lambda: _write(cwd / "results.json", LM_EVAL))
    assert [(metric.name, metric.standard_error) for metric in found.metrics] == [("arc.acc", 0.1)]


def test_collect__a_named_format_beats_what_is_recognised(cwd: Path) -> None:
    metrics = [{"path": "results.json", "format": "json"}]
    found = after(cwd, table(metrics=metrics), lambda: _write(cwd / "results.json", LM_EVAL))
    assert "results.arc.acc,none" in [metric.name for metric in found.metrics]


def test_reader_of__what_two_recognise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DvcliveReader, "recognises", staticmethod(lambda _path, _head: True))
    with pytest.raises(MetricError) as caught:
        reader_of(PurePath("results.json"), LM_EVAL.encode())
    assert caught.value.message == "results.json: it may be dvclive or lm-eval"
    assert caught.value.hint == "Name its format beside its path."


def test_reader_of__before_the_file_is_there() -> None:
    assert reader_of(PurePath("dvclive/metrics.json")) == "dvclive"
    assert reader_of(PurePath("out/*.JSON")) == "json"


def test_auto__reads_what_lies_in_known_places(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "metrics.json", '{"accuracy": 0.9}')
        _write(cwd / "dvclive/metrics.json", '{"train": {"loss": 0.5}, "step": 3}')
        _write(cwd / "other.json", '{"other": 1}')

    found = after(cwd, table(metrics=["auto"]), run)
    assert {metric.name: metric.value for metric in found.metrics} == {"accuracy": 0.9, "train/loss": 0.5}
    assert (cwd.parent / ".mlci/outputs/train/metrics/dvclive/metrics.json").is_file()
    assert not found.problems


def test_auto__nan_is_read_not_hidden(cwd: Path) -> None:
    [metric] = after(cwd, table(metrics=["auto"]), lambda: _write(cwd / "metrics.json", '{"loss": NaN}')).metrics
    assert math.isnan(metric.value)


def test_auto__nothing_written_is_no_problem(cwd: Path) -> None:
    _write(cwd / "metrics.json", '{"accuracy": 0.9}')
    found = after(cwd, table(metrics=["auto"]))
    assert (found.metrics, found.problems) == ((), ())


def test_auto__what_cannot_be_read_is_a_problem(cwd: Path) -> None:
    found = after(cwd, table(metrics=["auto"]), lambda: _write(cwd / "metrics.json", "{"))
    [(kind, message)] = problems(found)
    assert kind == "metrics"
    assert message.startswith("metrics.json: not JSON")


def test_auto__of_two_places_the_earlier_counts_and_the_series_stays(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "all_results.json", '{"eval_loss": 0.5, "eval_acc": 0.9}')
        history = [{"eval_loss": 0.7, "eval_acc": 0.8, "step": 1}, {"eval_loss": 0.6, "eval_acc": 0.9, "step": 2}]
        _write(cwd / "out/trainer_state.json", json.dumps({"global_step": 2, "log_history": history}))

    found = {metric.name: metric for metric in after(cwd, table(metrics=["auto"]), run).metrics}
    assert (found["eval_loss"].value, found["eval_loss"].series) == (0.5, ())
    assert (found["eval_acc"].value, found["eval_acc"].series) == (0.9, ((1.0, 0.8), (2.0, 0.9)))


def test_auto__files_of_one_place_have_to_agree(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "a/all_results.json", '{"eval_loss": 0.5}')
        _write(cwd / "b/all_results.json", '{"eval_loss": 0.6}')

    [(kind, message)] = problems(after(cwd, table(metrics=["auto"]), run))
    assert (kind, message) == (
        "metrics",
        "metric 'eval_loss': a/all_results.json says 0.5, b/all_results.json says 0.6",
    )


def test_auto__of_lightning_s_versions_the_newest_counts(cwd: Path) -> None:
    def run() -> None:
        for version, loss in ((9, 0.5), (10, 0.4)):
            path = cwd / f"lightning_logs/version_{version}/metrics.csv"
            _write(path, f"step,loss\n1,{loss}\n")
            os.utime(path, (version, version))

    [metric] = after(cwd, table(metrics=["auto"]), run).metrics
    assert metric.value == 0.4


def test_auto__what_is_named_besides_comes_first(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "metrics.json", '{"loss": 0.5}')
        _write(cwd / "last.json", '{"loss": 0.4}')

    found = after(cwd, table(metrics=["auto", "last.json"]), run)
    assert [metric.value for metric in found.metrics] == [0.4]
    assert not found.problems


def test_auto__follows_the_link_to_the_latest_run(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "wandb/run-2/files/wandb-summary.json", '{"loss": 0.5, "_step": 2}')
        (cwd / "wandb/latest-run").unlink()
        (cwd / "wandb/latest-run").symlink_to("run-2")

    _write(cwd / "wandb/run-1/files/wandb-summary.json", '{"loss": 0.6, "_step": 2}')
    (cwd / "wandb/latest-run").symlink_to("run-1")
    [metric] = after(cwd, table(metrics=["auto"]), run).metrics
    assert (metric.name, metric.value) == ("loss", 0.5)


def test_auto__a_link_out_of_the_repository_is_not_followed(cwd: Path, tmp_path: Path) -> None:
    _write(tmp_path / "secret.json", '{"loss": 0.5}')
    found = after(cwd, table(metrics=["auto"]), lambda: (cwd / "metrics.json").symlink_to(tmp_path / "secret.json"))
    assert found.metrics == ()


def test_declared__of_auto_are_the_places() -> None:
    assert declared(table(metrics=["auto", "own.json"], plots=["p.png"])) == [*known.PLACES, "own.json", "p.png"]
    assert declared(table(metrics=["./auto"])) == ["./auto"]
