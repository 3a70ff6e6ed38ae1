"""Logs of inspect-ai, `.eval` archives or `.json`: the scores of an evaluation that came to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, ClassVar

from mlci.core import strict_json
from mlci.core.documents import Metric
from mlci.errors import DocumentError, MetricError
from mlci.plugins.readers.outline import outline
from mlci.plugins.readers.source import Found, kind, mapping, read_json
from mlci.plugins.readers.tree import as_count, as_error, as_number
from mlci.plugins.readers.zip_member import read_member

_MAX_BYTES = 16 * 1024 * 1024  # of the header in an archive
_ZIP = b"PK\x03\x04"
# How far a mean of the same scorer may be off, the first found; and what such an error says nothing about.
_ERRORS = ("stderr", "bootstrap_stderr")
_SPREADS = ("std", "var")


@dataclass(frozen=True)
class InspectReader:
    """A metric is called `task.score.metric`; the tokens that each model took come after."""

    name: ClassVar[str] = "inspect-ai"
    suffixes: ClassVar[tuple[str, ...]] = (".eval",)

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """An archive by its ending, JSON by its keys."""
        if path.suffix == ".eval":
            return not head or head.startswith(_ZIP)
        return outline(head).has("version", "status", "eval") and "task_id" in outline(head).below("eval")

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The scores' metrics."""
        log = mapping(_log(path, name), name)
        status = log.get("status")
        if status != "success":
            raise MetricError(f"{name}: status: the evaluation's is {status!r:.60}, only 'success' is read")
        found = Found(name)
        for metric in _metrics(log, name):
            found.add(metric)
        return found.all()


def _log(path: Path, name: str) -> object:
    try:
        with path.open("rb") as file:
            archive = file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise MetricError(f"{name}: cannot be read: {error.strerror}") from None
    if not archive:
        return read_json(path, name)
    header = read_member(path, "header.json", name=name, limit=_MAX_BYTES)
    try:
        return strict_json.loads(header, name=f"{name}: header.json", allow_nan=True)
    except DocumentError as error:
        raise MetricError(error.message) from None


def _metrics(log: dict[str, Any], name: str) -> Iterator[Metric]:
    evaluation = _inner(log, "eval", name)
    task = str(evaluation.get("task", ""))
    results = _inner(log, "results", name)
    scores = results.get("scores")
    if not isinstance(scores, list):
        raise MetricError(f"{name}: results.scores: expected a list, got {kind(scores)}")
    described = [mapping(score, f"{name}: results.scores[{index}]") for index, score in enumerate(scores)]
    names = Counter(str(score.get("name")) for score in described)
    for index, score in enumerate(described):
        title = str(score.get("name"))
        if names[title] > 1 and score.get("reducer"):
            title = f"{title}.{score['reducer']}"
        n = as_count(score.get("scored_samples", results.get("completed_samples")))
        values = _values(score, f"{name}: results.scores[{index}].metrics")
        error = next((as_error(values[key]) for key in _ERRORS if key in values), None)
        for key, value in values.items():
            if key not in _ERRORS:
                own = None if key in _SPREADS else error
                yield Metric(
                    name=".".join(filter(None, (task, title, key))),
                    value=value,
                    n=n,
                    standard_error=own,
                    definition=_definition(evaluation, score),
                )
    usage = _inner(log, "stats", name).get("model_usage") or {}
    for model, counts in mapping(usage, f"{name}: stats.model_usage").items():
        tokens = as_number(mapping(counts, f"{name}: stats.model_usage.{model:.60}").get("total_tokens"))
        if tokens is not None:
            where = ".".join(filter(None, (task, "total_tokens")))
            yield Metric(name=where, value=tokens, direction="lower", unit="tokens", slice=f"model={model}")


def _values(score: dict[str, Any], where: str) -> dict[str, float]:
    values = {}
    for key, entry in mapping(score.get("metrics"), where).items():
        given = mapping(entry, f"{where}.{key:.60}").get("value")
        number = as_number(given)
        if number is None:
            raise MetricError(f"{where}.{key:.60}.value: expected a number, got {given!r:.60}")
        values[key] = number
    return values


def _definition(evaluation: dict[str, Any], score: dict[str, Any]) -> str | None:
    """Which questions are asked and who judges the answers: such as "version 2, dataset gsm8k, scorer match"."""
    dataset = evaluation.get("dataset")
    given = {
        "version": evaluation.get("task_version"),
        "dataset": dataset.get("name") if isinstance(dataset, dict) else None,
        "scorer": score.get("scorer"),
    }
    said = [f"{key} {value!s:.80}" for key, value in given.items() if isinstance(value, str | int) and value != ""]
    return ", ".join(said) or None


def _inner(log: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    return mapping(log.get(key), f"{name}: {key}")
