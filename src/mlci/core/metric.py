"""What a metric's name says about its direction, and how metrics of seeds and of several sources become one."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec

from mlci.core.documents import Direction, Metric
from mlci.errors import MetricError

Key = tuple[str, str | None, str | None]  # name, split, slice
MAX_SERIES = 200  # points of a series that are kept
# How people say which way is better.
DIRECTIONS: dict[str, Direction] = {"higher": "higher", "lower": "lower", "maximize": "higher", "minimize": "lower"}


def listed(*lines: str) -> frozenset[str]:
    """The words of `lines`: a long set that reads as a paragraph."""
    return frozenset(word for line in lines for word in line.split())


# Words of a metric's name, as frameworks spell them. Of several, the last one decides: "accuracy_loss" is a loss.
HIGHER = listed(
    "acc accuracy alignment ap ari auc aucpr auprc auroc bleu chrf concordance correct correlation coverage dice",
    "em f1 f2 fbeta fps gini gmean hit hits iou jaccard kappa likelihood map mar mcc meteor mrr ndcg nmi pearson",
    "precision psnr purity r2 recall reward roc rouge rougel score sensitivity silhouette similarity spearman",
    "specificity ssim success throughput tnr top1 top5 tpr",
)
LOWER = listed(
    "bce brier cer chamfer cost crossentropy deviance distance divergence drift duration ece eer energy entropy",
    "err error errors fdr fid fnr fpr hamming hausdorff kl kld lag latency logloss loss mae mape mase mce medae",
    "memory misclassification mse msle nll nmae overfit perplexity pinball ppl regret residual rmse rmsle rss",
    "runtime smape std stddev ter time variance violations wer",
)
# Pairs that mean something else than their words do.
PHRASES: dict[tuple[str, ...], Direction] = {
    ("true", "positive", "rate"): "higher",
    ("true", "negative", "rate"): "higher",
    ("false", "positive", "rate"): "lower",
    ("false", "negative", "rate"): "lower",
    ("explained", "variance"): "higher",
    ("r", "squared"): "higher",
    ("log", "likelihood"): "higher",
    ("hit", "rate"): "higher",
    ("pass", "rate"): "higher",
    ("win", "rate"): "higher",
    ("exact", "match"): "higher",
    ("average", "precision"): "higher",
    ("tokens", "per", "second"): "higher",
    ("samples", "per", "second"): "higher",
    ("time", "to", "failure"): "higher",
    ("error", "rate"): "lower",
    ("brier", "score"): "lower",
    ("davies", "bouldin"): "lower",
    ("fid", "score"): "lower",
    ("cross", "entropy"): "lower",
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def infer_direction(name: str) -> Direction | None:
    """Which way is better, by the words of a metric's name; None where they say nothing.

    The table (`HIGHER`, `LOWER`) lists the usual names; "neg" in front, as in scikit-learn's scorers, turns it over.
    """
    words = _words(name)
    for phrase, direction in PHRASES.items():
        if _contains(words, phrase):
            return direction
    for word in reversed(words):
        if word in LOWER or word in HIGHER:
            lower = (word in LOWER) != ("neg" in words or "negative" in words)
            return "lower" if lower else "higher"
    return None


def key(metric: Metric) -> Key:
    """What makes a metric the same one in two places."""
    return metric.name, metric.split, metric.slice


def thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most 200 of `points`, evenly spread, the first and the last among them."""
    if len(points) <= MAX_SERIES:
        return tuple(points)
    last = len(points) - 1
    return tuple(points[round(index * last / (MAX_SERIES - 1))] for index in range(MAX_SERIES))


def combine_seeds(per_seed: Sequence[tuple[int | None, Sequence[Metric]]]) -> tuple[Metric, ...]:
    """One metric a key: `samples` aligned with the seeds that have it, `value` their mean.

    Args:
        per_seed: (seed, metrics) of each succeeded execution; the seed is None for a run without seeds.
    """
    found: dict[Key, list[tuple[int | None, Metric]]] = {}
    for seed, metrics in per_seed:
        for metric in metrics:
            found.setdefault(key(metric), []).append((seed, metric))
    combined = []
    for occurrences in found.values():
        seeds = tuple(seed for seed, _ in occurrences if seed is not None)
        first = occurrences[0][1]
        if not seeds:
            combined.append(first)
            continue
        values = tuple(metric.value for _, metric in occurrences)
        value = fmean(values) if all(map(math.isfinite, values)) else sum(values) / len(values)
        combined.append(msgspec.structs.replace(first, value=value, samples=values, seeds=seeds))
    return tuple(combined)


def merge_sources(sources: Mapping[str, Sequence[Metric]]) -> tuple[Metric, ...]:
    """One metric a key from several sources of one execution; attributes that only one source has are kept.

    Raises:
        MetricError: Two sources give different values; names both.
    """
    merged: dict[Key, tuple[str, Metric]] = {}
    for source, metrics in sources.items():
        for metric in metrics:
            known = merged.get(key(metric))
            if known is None:
                merged[key(metric)] = (source, metric)
                continue
            other, first = known
            if not agree(first.value, metric.value):
                raise MetricError(
                    f"metric {metric.name!r}: {other} says {first.value!r}, {source} says {metric.value!r}",
                    hint="Write it to one place, or under two names.",
                )
            finer = _single(metric.value) == first.value != metric.value
            united = _united(first, metric)
            merged[key(metric)] = (
                (source, msgspec.structs.replace(united, value=metric.value)) if finer else (other, united)
            )
    return tuple(metric for _, metric in merged.values())


def _united(first: Metric, second: Metric) -> Metric:
    given = {
        field: getattr(second, field)
        for field in first.__struct_fields__
        if getattr(first, field) in (None, ()) and getattr(second, field) not in (None, ())
    }
    return msgspec.structs.replace(first, **given)


def agree(one: float, other: float) -> bool:
    """Whether two sources mean one value: it is the same, or one of them keeps it in 32 bits, as TensorBoard does."""
    same = one == other or (math.isnan(one) and math.isnan(other))
    return same or _single(one) == other or one == _single(other)


def _single(value: float) -> float | None:
    """The nearest number of 32 bits; None where it is beyond the largest of them."""
    try:
        [single] = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        return None
    return float(single)


def _words(name: str) -> list[str]:
    """Lower-case words; a digit stays with the letters before it, so that "mAP50" and "top1" keep their meaning."""
    words: list[str] = []
    for chunk in re.split(r"[^A-Za-z0-9]+", name):
        if not chunk:
            continue
        plain = chunk.lower().rstrip("0123456789") if chunk.lower() not in HIGHER else chunk.lower()
        if plain in HIGHER or plain in LOWER:
            words.append(plain)
            continue
        words += [word.lower() for word in _WORD.findall(chunk)]
    return words


def _contains(words: Sequence[str], phrase: Sequence[str]) -> bool:
    return any(tuple(words[start : start + len(phrase)]) == tuple(phrase) for start in range(len(words)))
