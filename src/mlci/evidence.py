"""What predictions of single examples, kept by the workspace and by the store, say of a run and its baseline."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mlci.config import size
from mlci.config.tables import PredictionsTable
from mlci.core.documents import Metric, PredictionsFile, Record, digest
from mlci.core.estimates import ExampleNoise
from mlci.core.metric import Key, key
from mlci.core.prediction_files import MAX_BYTES
from mlci.errors import ConfigError, MetricError, StoreError
from mlci.project import Project

if TYPE_CHECKING:
    from mlci.core.predictions import Predictions
    from mlci.core.resampling import Paired

_CHUNK = 1024 * 1024
_TOLERANCE = 1e-6  # relative: what a framework wrote as well may be of 32 bits
_Named = tuple[Key, str]  # the key of a metric, and how notes call it


def examples(project: Project, record: Record, baseline: Record) -> tuple[Mapping[Key, ExampleNoise], tuple[str, ...]]:
    """By metric, what the predictions of both records say of its change; and notes on why they say nothing.

    A metric that the predictions do not give, or not as the records have it, is not among them.
    """
    if not record.predictions or not baseline.predictions:
        return {}, ()
    try:
        _check_sizes(record, baseline)
        table = _table(project, record)
        known = {file.sha256: _own(project, file) for file in record.predictions}
        now = _parsed(record.predictions, table, lambda file: known[file.sha256], "predictions now")
        before = _parsed(baseline.predictions, table, _of_baseline(project, known), "predictions of the baseline")
    except (ConfigError, MetricError, StoreError, OSError) as error:
        return {}, (_note(record, str(error)),)
    return _compared(record, baseline, table, before, now)


def kept_predictions(project: Project, records: Sequence[Record]) -> dict[str, bytes]:
    """By digest, the predictions that the store keeps beside `records`; of what it does not keep, the user is told."""
    limit = size(project.config.settings.baseline.keep_predictions)
    kept: dict[str, bytes] = {}
    for record in records if limit else ():
        for file in record.predictions:
            try:
                content = _own(project, file)
            except (MetricError, OSError) as error:
                project.invocation.say(f"{record.name}: of predictions only the digest is kept: {error}")
                continue
            if _packs_within(content, limit):
                kept[file.sha256] = content
            else:
                reason = f"{file.path} takes more than [baseline] keep-predictions, {limit:,} bytes"
                project.invocation.say(f"{record.name}: of predictions only the digest is kept: {reason}")
    return kept


def _compared(
    record: Record,
    baseline: Record,
    table: PredictionsTable,
    before: Mapping[int | None, Predictions],
    now: Mapping[int | None, Predictions],
) -> tuple[dict[Key, ExampleNoise], tuple[str, ...]]:
    from mlci.core.resampling import IncomparableError, Paired, example_noise  # noqa: PLC0415 - numpy
    from mlci.running.predicted import measure_of, names  # noqa: PLC0415 - likewise

    try:
        pair = Paired(before, now)
    except IncomparableError as error:
        return {}, (_note(record, str(error)),)
    found: dict[Key, ExampleNoise] = {}
    reasons: dict[str, list[str]] = {}
    for name in names(table, next(iter(now.values()))):
        for one, other in _common(baseline, record, name):
            try:
                noise = example_noise(_part(pair, other.slice), measure_of(name))
            except (IncomparableError, MetricError) as error:
                reasons.setdefault(str(error), []).append(
                    f"{other.name} of {other.slice}" if other.slice else other.name
                )
                continue
            scale = max(abs(one.value), abs(other.value))
            if math.isclose(noise.change, other.value - one.value, rel_tol=0, abs_tol=_TOLERANCE * scale):
                found[key(other)] = noise
    notes = [
        _note(record, f"{called[0]}{f' and {len(called) - 1} more' if len(called) > 1 else ''}: {reason}")
        for reason, called in reasons.items()
    ]
    return found, tuple(notes)


def _part(pair: Paired, slice_name: str | None) -> Paired:
    return pair if slice_name is None else pair.part(slice_name)


def _common(baseline: Record, record: Record, name: str) -> Iterator[tuple[Metric, Metric]]:
    """The metrics of a name, of the whole and of slices, that both records hold."""
    before = {key(metric): metric for metric in baseline.metrics}
    for metric in record.metrics:
        if (metric.name, metric.split) == (name, None) and key(metric) in before:
            yield before[key(metric)], metric


def _check_sizes(*records: Record) -> None:
    for record in records:
        if sum(file.size for file in record.predictions) > MAX_BYTES:
            raise MetricError(f"those of all seeds are larger than {MAX_BYTES:,} bytes")


def _table(project: Project, record: Record) -> PredictionsTable:
    run = project.runs(record.profile).get(record.name)
    if run is None or run.table.predictions_file is None:
        raise MetricError("the configuration no longer says how to read them")
    return run.table.predictions_file


def _parsed(
    files: Sequence[PredictionsFile], table: PredictionsTable, content: Callable[[PredictionsFile], bytes], name: str
) -> dict[int | None, Predictions]:
    from mlci.running.predicted import read  # noqa: PLC0415 - numpy

    return {file.seed: read(content(file), table, name=name) for file in files}


def _of_baseline(project: Project, known: Mapping[str, bytes]) -> Callable[[PredictionsFile], bytes]:
    """Content of the baseline's: what this run has just the same, or this job has measured itself, is not fetched."""

    def content(file: PredictionsFile) -> bytes:
        found = known.get(file.sha256) or project.workspace.content(file)
        if found is None:
            found = project.store.blob(file.sha256, limit=MAX_BYTES)
        if found is None:
            raise MetricError("the baseline's are not in the store, which keeps them up to [baseline] keep-predictions")
        if digest(found) != file.sha256:
            raise MetricError("the baseline's are not what was recorded")
        return found

    return content


def _own(project: Project, file: PredictionsFile) -> bytes:
    """The content of a file in the workspace.

    Raises:
        MetricError: It is not there, or not what was recorded.
    """
    if file.size > MAX_BYTES:
        raise MetricError(f"{file.path}: larger than {MAX_BYTES:,} bytes")
    content = project.workspace.content(file)
    if content is None:
        raise MetricError(f"{file.path} is not in the workspace, or not as it was recorded")
    return content


def _packs_within(content: bytes, limit: int) -> bool:
    """Whether it takes at most so many bytes compressed; found out without holding them."""
    packing, total = zlib.compressobj(), 0
    for start in range(0, len(content), _CHUNK):
        total += len(packing.compress(content[start : start + _CHUNK]))
        if total > limit:
            return False
    return total + len(packing.flush()) <= limit


def _note(record: Record, what: str) -> str:
    return f"{record.name}: predictions are not compared example by example: {what}"
