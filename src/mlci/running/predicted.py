"""Computes the metrics of the predictions that a run wrote, of the whole and of each slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlci.config.tables import PredictionsTable
from mlci.core.documents import Metric
from mlci.core.metric import Key, agree, key
from mlci.core.prediction_files import MAX_BYTES
from mlci.core.prediction_metrics import Measure, custom, default_names, measure, unknown
from mlci.core.prediction_table import parse
from mlci.core.predictions import Layout, Predictions
from mlci.errors import MetricError
from mlci.plugins import registry


@dataclass(frozen=True)
class Predicted:
    """What a file of predictions says."""

    metrics: tuple[Metric, ...]
    notes: tuple[str, ...]  # one line each


def metrics_of_file(path: Path, table: PredictionsTable, *, name: str, said: Mapping[Key, float]) -> Predicted:
    """The metrics that the configuration names, or those that are usual, of the predictions in a file.

    Args:
        path: The file: CSV or Parquet.
        table: Its columns, and what to compute.
        name: How errors and notes call the file.
        said: What the run itself says; it counts where the metric is computed unasked.

    Raises:
        MetricError: The file is not what the configuration says, or has not what a metric takes.
    """
    if path.stat().st_size > MAX_BYTES:
        raise MetricError(f"{name}: larger than {MAX_BYTES:,} bytes")
    predictions = read(path.read_bytes(), table, name=name)
    metrics: list[Metric] = []
    notes = list(predictions.notes)
    for asked in names(table, predictions):
        try:
            found, told = _computed(measure_of(asked), predictions)
        except MetricError as error:
            raise MetricError(f"{name}: {asked}: {error.message}", hint=error.hint) from None
        notes += [f"{name}: {line}" for line in told]
        for metric in found:
            own = said.get(key(metric), metric.value)
            if table.metrics or agree(own, metric.value):
                metrics.append(metric)
            else:
                of = f"{metric.name} of {metric.slice}" if metric.slice else metric.name
                notes.append(f"{name}: {of} would be {metric.value:.6g}; what the run itself says, {own:.6g}, counts")
    return Predicted(tuple(metrics), tuple(notes))


def read(data: bytes, table: PredictionsTable, *, name: str) -> Predictions:
    """The predictions of a file under the configured layout; raises as `metrics_of_file`."""
    layout = {field: getattr(table, field) for field in Layout.__dataclass_fields__}
    return parse(data, Layout(**layout), name=name)


def names(table: PredictionsTable, predictions: Predictions) -> tuple[str, ...]:
    """What is computed of them."""
    return tuple(dict.fromkeys(table.metrics or default_names(predictions)))


def measure_of(name: str) -> Measure:
    """A metric by name: one of ours, or a function that is registered as entry point in the group `mlci.metrics`.

    Raises:
        MetricError: There is none, and which is the nearest; or its function cannot be loaded.
    """
    found = measure(name)
    if found is not None:
        return found
    others = registry.names("metrics")
    if name not in others:
        raise unknown(name, others)
    try:
        return custom(name, registry.plugin_class("metrics", name))
    except (ImportError, AttributeError) as error:
        raise MetricError(f"the metric {name!r} cannot be loaded: {error}") from None


def _computed(item: Measure, predictions: Predictions) -> tuple[list[Metric], list[str]]:
    """The metric of the whole and of the slices where it is defined, and what to say of where it is not."""
    whole = item.estimate(predictions)
    base = Metric(name=item.name, value=whole.value, direction=item.direction, n=len(predictions))
    metrics, notes = [base], [f"{item.name} is undefined: {whole.reason}"] if whole.reason else []
    undefined: dict[str, list[str]] = {}
    for name in predictions.slices():
        part = predictions.part(name)
        if part is None:
            continue
        found = item.estimate(part)
        if found.reason:
            undefined.setdefault(found.reason, []).append(name)
        else:
            metrics.append(msgspec.structs.replace(base, slice=name, value=found.value, n=len(part)))
    for reason, names in undefined.items() if not whole.reason else ():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        notes.append(f"{item.name} is undefined of {names[0]}{more}: {reason}")
    return metrics, notes
