from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.huggingface import HuggingFaceReader

FIXTURES = Path(__file__).parents[3] / "fixtures/readers/hf-trainer"


def read(path: Path) -> dict[str, Metric]:
    return {metric.name: metric for metric in HuggingFaceReader().read(path, name="m")}


def test_read__results_have_n_and_units() -> None:
    found = read(FIXTURES / "all_results.json")
    assert "epoch" not in found
    assert (found["eval_loss"].n, found["eval_loss"].unit) == (20, None)
    assert (found["train_loss"].n, found["train_samples"].value) == (32, 32.0)
    assert (found["eval_runtime"].n, found["eval_runtime"].unit) == (None, "s")
    assert found["train_samples_per_second"].unit == "1/s"


def test_read__a_state_has_everything_that_was_logged_by_step() -> None:
    found = read(FIXTURES / "trainer_state.json")
    assert found.keys() >= {"loss", "grad_norm", "learning_rate", "eval_loss", "eval_mae", "train_loss", "best_metric"}
    assert not found.keys() & {"step", "epoch"}
    assert [step for step, _ in found["eval_mae"].series] == [4.0, 8.0, 12.0]
    assert found["eval_mae"].value == found["eval_mae"].series[-1][1] == found["best_metric"].value


def test_read__all_that_is_in_both_results_and_state_agrees() -> None:
    results, state = read(FIXTURES / "eval_results.json"), read(FIXTURES / "trainer_state.json")
    assert results["eval_mae"].value == state["eval_mae"].value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "m: expected an object, got a list"),
        ('{"log_history": {}}', "m: log_history: expected a list, got an object"),
        ('{"log_history": [{}, 1]}', "m: log_history[1]: expected an object, got a single value"),
    ],
)
def test_read__what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m").write_text(text)
    with pytest.raises(MetricError) as caught:
        read(tmp_path / "m")
    assert caught.value.message == said


def test_read__a_best_metric_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "m").write_text('{"best_metric": null, "log_history": [{"loss": 1}, {"loss": NaN, "step": 5}]}')
    assert read(tmp_path / "m").keys() == {"loss"}


@pytest.mark.parametrize(
    ("path", "head", "taken"),
    [
        ("out/all_results.json", b'{"epoch": 1.0, "eval_loss": 1', True),
        ("test_results.json", b'{"test_loss": 1', True),
        ("all_results.json", b'{"accuracy": 1', False),
        ("test_results.json", b'{"accuracy": 1', False),
        ("test_results.json", b'{"test_loss": {"a": 1', False),
        ("results.json", b'{"eval_loss": 1', False),
        ("trainer_state.json", b'{"global_step": 1, "log_history": [', True),
        ("trainer_state.json", b'{"step": 1}', False),
    ],
)
def test_recognises__by_name_and_keys(path: str, head: bytes, taken: bool) -> None:
    assert HuggingFaceReader.recognises(PurePath(path), head) is taken
