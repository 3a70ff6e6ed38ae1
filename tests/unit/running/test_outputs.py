"""Only what a run wrote anew is its output, and what it declared and did not write is a problem."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from fakes.event_files import event, message, record, scalar
from mlci.config.tables import MetricFile, RunTable
from mlci.running import known
from mlci.running.outputs import Collected, begun, collect, declared, taken, within_reach


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    folder = tmp_path / "repository/work"
    folder.mkdir(parents=True)
    return folder


def after(
    cwd: Path,
    table: RunTable,
    run: Callable[[], object] = lambda: None,
    beside: Mapping[str, Sequence[str]] | None = None,
) -> Collected:
    """What is collected when `run` has written between the two looks."""
    before = begun(table, cwd)
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
        beside=beside,
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


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


LM_EVAL = '{"results": {"arc": {"acc,none": 0.5, "acc_stderr,none": 0.1}}}'


def test_collect__a_format_is_recognised_by_its_content(cwd: Path) -> None:
    found = after(cwd, table(metrics=["results.json"]), lambda: _write(cwd / "results.json", LM_EVAL))
    assert [(metric.name, metric.standard_error) for metric in found.metrics] == [("arc.acc", 0.1)]


def test_collect__a_named_format_beats_what_is_recognised(cwd: Path) -> None:
    metrics = [{"path": "results.json", "format": "json"}]
    found = after(cwd, table(metrics=metrics), lambda: _write(cwd / "results.json", LM_EVAL))
    assert "results.arc.acc,none" in [metric.name for metric in found.metrics]


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


def test_declared__of_auto_are_the_places(tmp_path: Path) -> None:
    assert declared(table(metrics=["auto", "own.json"], plots=["p.png"]), tmp_path) == [
        *known.PLACES,
        "own.json",
        "p.png",
    ]
    assert declared(table(metrics=["./auto"]), tmp_path) == ["./auto"]


def values(collected: Collected) -> dict[str, float]:
    return {metric.name: metric.value for metric in collected.metrics}


def note(collected: Collected) -> str:
    """The one note; nothing of what it is about may fail the run."""
    assert collected.problems == ()
    [said] = collected.notes
    assert said.startswith("not read: ")
    assert said.endswith("; name it in `metrics`, or say `metrics = []`")
    return said.removeprefix("not read: ").removesuffix("; name it in `metrics`, or say `metrics = []`")


def test_default__known_places_are_read_where_no_metrics_are_named(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "metrics.json", '{"accuracy": 0.9}')
        _write(cwd / "runs/fit/results.csv", "epoch,loss\n1,0.5\n")
        _write(cwd / "other.json", '{"other": 1}')

    found = after(cwd, table(), run)
    assert values(found) == {"accuracy": 0.9, "loss": 0.5}
    assert (found.problems, found.notes, found.doubtful) == ((), (), False)
    assert set(found.written) == {cwd / "metrics.json", cwd / "runs/fit/results.csv"}
    assert list((cwd.parent / ".mlci/outputs/train").iterdir()) == []  # no copy of it travels with the workspace


def test_default__none_are_read_where_it_says_so(cwd: Path) -> None:
    found = after(cwd, table(metrics=[]), lambda: _write(cwd / "metrics.json", '{"accuracy": 0.9}'))
    assert (found.metrics, found.notes, found.written) == ((), (), ())


def test_default__what_was_there_before_is_stale(cwd: Path) -> None:
    _write(cwd / "metrics.json", '{"accuracy": 0.9}')
    found = after(cwd, table())
    assert (found.metrics, found.notes) == ((), ())


def test_default__what_cannot_be_read_is_a_note(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "metrics.json", "{")
        _write(cwd / "all_results.json", '{"accuracy": 0.9}')

    found = after(cwd, table(), run)
    assert note(found).startswith("metrics.json: not JSON")
    assert values(found) == {"accuracy": 0.9}


def test_default__files_of_one_place_that_contradict_each_other_are_a_note(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "a/all_results.json", '{"eval_loss": 0.5}')
        _write(cwd / "b/all_results.json", '{"eval_loss": 0.6}')
        _write(cwd / "metrics.json", '{"accuracy": 0.9}')

    found = after(cwd, table(), run)
    assert note(found) == "metric 'eval_loss': a/all_results.json says 0.5, b/all_results.json says 0.6"
    assert values(found) == {"accuracy": 0.9}


def test_default__of_many_notes_of_a_place_the_first(cwd: Path) -> None:
    def run() -> None:
        for name in "abc":
            _write(cwd / f"{name}/all_results.json", "{")

    found = after(cwd, table(), run)
    assert note(found).startswith("a/all_results.json: not JSON")
    assert note(found).endswith("(and 2 more)")


def test_default__a_place_that_is_too_large_is_a_note(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_BYTES", 10)
    found = after(cwd, table(), lambda: _write(cwd / "metrics.json", '{"accuracy": 0.9}'))
    assert (note(found), found.metrics) == ("metrics.json: larger than 10 bytes", ())
    assert values(after(cwd, table(metrics=["auto"]), lambda: _write(cwd / "metrics.json", '{"a": 0.95 }'))) == {
        "a": 0.95
    }


@pytest.mark.parametrize("metrics", [{}, {"metrics": ["auto"]}], ids=["default", "auto"])
def test_auto__a_place_with_too_many_files_is_a_note(
    cwd: Path, monkeypatch: pytest.MonkeyPatch, metrics: dict[str, list[str]]
) -> None:
    monkeypatch.setattr(known, "MAX_ENTRIES", 3)
    for name in range(4):
        _write(cwd / f"dvclive/plots/metrics/{name}.tsv", "step\tloss\n1\t0.5\n")

    def run() -> None:  # afterwards there are few enough, of which nobody knows how old they are
        (cwd / "dvclive/plots/metrics/0.tsv").unlink()
        (cwd / "dvclive/plots/metrics/1.tsv").unlink()

    found = after(cwd, table(**metrics), run)
    assert note(found) == "dvclive/plots/metrics/**/*.tsv: more than 3 files lie there"
    assert (found.metrics, found.doubtful) == ((), True)


def test_default__what_another_run_may_have_written_is_a_note(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "metrics.json", '{"accuracy": 0.9}')
        _write(cwd / "deep/all_results.json", '{"loss": 0.5}')

    elsewhere = within_reach(table(), cwd / "deep")
    found = after(cwd, table(), run, {"other (seed 1)": within_reach(table(metrics=[]), cwd)})
    assert found.metrics == ()
    assert found.notes[0].startswith("not read: metrics.json: other (seed 1) ran meanwhile and may have written it;")
    assert (len(found.notes), found.written, found.doubtful) == (2, (), True)
    found = after(cwd, table(), run, {"deeper": elsewhere})
    assert note(found) == "deep/all_results.json: deeper ran meanwhile and may have written it"
    assert values(found) == {"accuracy": 0.9}


def test_default__what_another_run_declares_is_that_one_s(cwd: Path) -> None:
    beside = {"other": within_reach(table(artifacts=[f"../{cwd.name}/*.json"]), cwd.parent / "elsewhere")}
    found = after(cwd, table(), lambda: _write(cwd / "metrics.json", '{"accuracy": 0.9}'), beside)
    assert note(found) == "metrics.json: other ran meanwhile and may have written it"


@pytest.mark.parametrize("metrics", ["auto", "metrics.json"])
def test_collect__what_is_asked_for_is_read_whatever_ran_meanwhile(cwd: Path, metrics: str) -> None:
    beside = {"other": within_reach(table(), cwd)}
    found = after(cwd, table(metrics=[metrics]), lambda: _write(cwd / "metrics.json", '{"accuracy": 0.9}'), beside)
    assert (values(found), found.notes) == ({"accuracy": 0.9}, ())


def test_auto__what_mlflow_says_of_a_model_is_no_metric(cwd: Path) -> None:
    def run() -> None:
        _write(cwd / "mlruns/models/churn/meta.yaml", "name: churn\ncreation_timestamp: 1700000000000\n")
        _write(cwd / "mlruns/0/m-1/meta.yaml", "model_id: m-1\nsource_run_id: abc\nstatus: 2\n")

    for given in (table(), table(metrics=["auto"])):
        found = after(cwd, given, run)
        assert (found.metrics, found.notes, found.problems) == ((), (), ())


@pytest.mark.parametrize("metrics", [{}, {"metrics": ["auto"]}], ids=["default", "auto"])
def test_auto__what_dvc_names_counts_first(cwd: Path, metrics: dict[str, list[str]]) -> None:
    _write(cwd / "dvc.yaml", "metrics: [eval/scores.json, eval/old.json, ../outside.json, /etc/hostname]\n")
    _write(cwd / "eval/old.json", '{"old": 1}')

    def run() -> None:
        _write(cwd / "eval/scores.json", '{"accuracy": 0.8}')
        _write(cwd / "metrics.json", '{"accuracy": 0.9, "loss": 0.5}')
        _write(cwd.parent / "outside.json", '{"beside": 1}')

    found = after(cwd, table(**metrics), run)
    assert values(found) == {"accuracy": 0.8, "loss": 0.5, "beside": 1}
    assert not found.problems


def test_auto__a_number_of_32_bits_is_the_one_that_was_logged(cwd: Path) -> None:
    folder = cwd.parent / ".mlci/outputs/train"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"name": "loss", "value": 0.3}\n')
    written = record(message(3, b"brain.Event:2")) + event(1, scalar("loss", 0.3))
    found = after(cwd, table(), lambda: _write(cwd / "runs/events.out.tfevents.1", written))
    [metric] = found.metrics
    assert (metric.value, metric.series[0][0], found.notes) == (0.3, 1.0, ())


def test_taken__without_metrics_known_places_are_outputs_that_are_not_declared(cwd: Path) -> None:
    given = table(artifacts=["m.bin"])
    assert declared(given, cwd) == ["m.bin"]
    assert taken(given, cwd) == ["m.bin", *known.PLACES]
    assert taken(table(metrics=[]), cwd) == []


@pytest.mark.parametrize(
    ("asked", "accuracy"), [({}, 0.7), ({"metrics": ["accuracy"]}, 0.75)], ids=["unasked", "asked"]
)
def test_default__beside_predictions(cwd: Path, asked: dict[str, list[str]], accuracy: float) -> None:
    def run() -> None:
        _write(cwd / "metrics.json", '{"accuracy": 0.7}')
        _write(cwd / "p.csv", "id,label,prediction\n1,a,a\n2,b,b\n3,a,a\n4,b,a\n")

    found = after(cwd, table(predictions={"path": "p.csv", **asked}), run)
    assert not found.problems
    assert values(found)["accuracy"] == accuracy
