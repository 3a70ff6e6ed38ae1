from __future__ import annotations

import math
import struct

import pytest

from mlci.core.documents import Metric
from mlci.core.metric import combine_seeds, infer_direction, merge_sources, thinned
from mlci.errors import MetricError


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("accuracy", "higher"),
        ("val/Accuracy", "higher"),
        ("test.f1_macro", "higher"),
        ("f1-score", "higher"),
        ("roc_auc", "higher"),
        ("metrics/mAP50(B)", "higher"),
        ("r2", "higher"),
        ("R_squared", "higher"),
        ("top1", "higher"),
        ("acc,none", "higher"),
        ("explained_variance", "higher"),
        ("true_positive_rate", "higher"),
        ("tokens_per_second", "higher"),
        ("loss", "lower"),
        ("eval_loss", "lower"),
        ("valLoss", "lower"),
        ("accuracy_loss", "lower"),
        ("rmse", "lower"),
        ("mean_absolute_error", "lower"),
        ("word_perplexity", "lower"),
        ("latency_p95", "lower"),
        ("false_positive_rate", "lower"),
        ("brier_score", "lower"),
        ("davies_bouldin_score", "lower"),
        ("cross_entropy", "lower"),
        ("neg_mean_squared_error", "higher"),
        ("threshold", None),
        ("epoch", None),
        ("", None),
        ("日本", None),
    ],
)
def test_infer_direction(name: str, direction: str | None) -> None:
    assert infer_direction(name) == direction


def test_combine_seeds__mean_and_samples_beside_their_seeds() -> None:
    [metric] = combine_seeds([(seed, [Metric(name="loss", value=value)]) for seed, value in ((0, 1.0), (2, 2.0))])
    assert (metric.value, metric.samples, metric.seeds) == (1.5, (1.0, 2.0), (0, 2))


def test_combine_seeds__a_run_without_seeds_has_no_samples() -> None:
    [metric] = combine_seeds([(None, [Metric(name="loss", value=1.0)])])
    assert (metric.value, metric.samples, metric.seeds) == (1.0, (), None)


def test_combine_seeds__a_metric_that_one_seed_lacks() -> None:
    [loss, other] = combine_seeds(
        [(0, [Metric(name="loss", value=1.0), Metric(name="f1", value=0.5)]), (1, [Metric(name="loss", value=3.0)])]
    )
    assert (loss.value, loss.seeds) == (2.0, (0, 1))
    assert (other.value, other.seeds) == (0.5, (0,))


def test_combine_seeds__nan_is_not_averaged_away() -> None:
    [metric] = combine_seeds([(0, [Metric(name="loss", value=1.0)]), (1, [Metric(name="loss", value=math.nan)])])
    assert math.isnan(metric.value)


def test_combine_seeds__splits_and_slices_are_metrics_of_their_own() -> None:
    metrics = [
        Metric(name="f1", value=1.0),
        Metric(name="f1", value=2.0, split="test"),
        Metric(name="f1", value=3.0, slice="a"),
    ]
    assert [metric.value for metric in combine_seeds([(0, metrics)])] == [1.0, 2.0, 3.0]


def test_merge_sources__equal_values_are_one_metric_with_the_attributes_of_both() -> None:
    one, other = Metric(name="f1", value=0.5, unit="%"), Metric(name="f1", value=0.5, direction="higher")
    assert merge_sources({"a": [one], "b": [other]}) == (Metric(name="f1", value=0.5, unit="%", direction="higher"),)


def test_merge_sources__nan_equals_nan() -> None:
    assert len(merge_sources({"a": [Metric(name="f1", value=math.nan)], "b": [Metric(name="f1", value=math.nan)]})) == 1


def single(value: float) -> float:
    """As TensorBoard keeps it."""
    [kept] = struct.unpack("f", struct.pack("f", value))
    return float(kept)


@pytest.mark.parametrize("order", [("events", "log_metric"), ("log_metric", "events")])
def test_merge_sources__of_a_number_and_its_32_bits_the_number(order: tuple[str, str]) -> None:
    given = {
        "events": [Metric(name="loss", value=single(0.3), series=((1.0, single(0.3)),))],
        "log_metric": [Metric(name="loss", value=0.3, direction="lower")],
    }
    [merged] = merge_sources({source: given[source] for source in order})
    assert merged == Metric(name="loss", value=0.3, direction="lower", series=((1.0, single(0.3)),))


@pytest.mark.parametrize("other", [0.30000001, 1e300, math.inf])
def test_merge_sources__numbers_that_merely_share_their_32_bits_differ(other: float) -> None:
    sources = {"events": [Metric(name="loss", value=single(0.3))], "a": [Metric(name="loss", value=0.3)]}
    with pytest.raises(MetricError, match=r"^metric 'loss': a says 0.3, b says "):
        merge_sources({**sources, "b": [Metric(name="loss", value=other)]})


def test_merge_sources__different_values_are_an_error_that_names_both() -> None:
    with pytest.raises(MetricError, match=r"metric 'f1': metrics\.json says 0\.5, log_metric says 0\.6"):
        merge_sources({"metrics.json": [Metric(name="f1", value=0.5)], "log_metric": [Metric(name="f1", value=0.6)]})


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 10_000])
def test_thinned__at_most_200_with_the_first_and_the_last(count: int) -> None:
    points = [(float(step), float(step)) for step in range(count)]
    kept = thinned(points)
    assert len(kept) == min(count, 200)
    assert sorted(set(kept)) == list(kept)
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
