"""Reads Evidently's JSON reports as data: what drifted, and which tests failed.

Written against Evidently 0.7.23 (`Snapshot.save_json`); 0.7.0, which has `metric_id` in place of `metric_name` and no
`config`, and the reports of 0.4 to 0.6 (`metric`, `result`) are read as far as they say themselves what drifted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Literal

from mlci.core import strict_json
from mlci.core.documents import Document
from mlci.errors import DocumentError

MAX_BYTES = 16 * 1024 * 1024
MAX_ITEMS = 10_000  # metrics, and tests, of one report
MAX_FINDINGS = 100  # of one report; of more the last one says how many
_MAX_WORDS = 200  # characters
_MAX_COLUMNS = 5

_NAME = re.compile(r"(?P<kind>\w+)(?:\((?P<arguments>.*)\))?", re.DOTALL)
_SHARE = re.compile(r"drift_share=(\d+(?:\.\d+)?)")
# Evidently's own names and those that it shows. A distance drifts from its threshold up, a p-value below it.
_DISTANCES = {
    *("psi", "wasserstein", "wasserstein distance (normed)", "jensenshannon", "jensen-shannon distance", "hellinger"),
    *("hellinger distance", "kl_div", "kullback-leibler divergence", "ed", "energy-distance"),
    *("perc_text_content_drift", "percentile text content drift"),
}
_P_VALUES = {
    *("ks", "chisquare", "z", "anderson", "anderson-darling", "cramer_von_mises", "cramer-von mises", "es"),
    *("epps-singleton", "fisher_exact", "fisher's exact test", "g_test", "mannw", "mann-whitney u-rank test"),
    *("empirical_mmd", "t_test", "tvd", "total-variation-distance"),
}
_GOOD, _BAD, _UNDECIDED = ("SUCCESS", "WARNING"), ("FAIL", "ERROR"), ("SKIPPED",)


class Finding(Document, frozen=True):
    """One thing that a drift report holds against the data."""

    kind: Literal["drift", "test"]
    report: str  # its file, as configured
    what: str  # a column, the dataset, or a test's name: one line of somebody else's words
    detail: str | None = None


def read(data: bytes, *, name: str) -> tuple[Finding, ...]:
    """What drifted and which tests failed.

    A report that counts drifted columns (DriftedColumnsCount, DataDriftPreset) drifts if their share reaches its
    `drift_share`: among many columns some always differ. Without, each ValueDrift counts by its own threshold.

    Args:
        data: The report, which may be hostile.
        name: How findings and errors call it.

    Raises:
        DocumentError: No report, too large, or one that decides nothing.
    """
    report = strict_json.loads(data, name=name, max_bytes=MAX_BYTES, allow_nan=True)
    if not isinstance(report, dict) or not {"metrics", "tests"} & report.keys():
        raise DocumentError(f"{name}: not a report of Evidently: it has neither metrics nor tests")
    metrics, tests = _items(report, "metrics", name), _items(report, "tests", name)
    failed, decided = _tests(tests, name)
    drifted, judged = _drift(metrics, name, tested=decided)
    if not decided and not judged:
        raise DocumentError(
            f"{name}: it decides nothing: no test that ran, no drift metric",
            hint="Add DataDriftPreset or ValueDrift, or tests, to the report.",
        )
    return _capped([*drifted, *failed], name)


def _items(report: dict[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    found = report.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise DocumentError(f"{name}: {key}: expected a list of objects")
    if len(found) > MAX_ITEMS:
        raise DocumentError(f"{name}: {key}: {len(found):,} items, at most {MAX_ITEMS:,} are read")
    return found


def _tests(tests: list[dict[str, Any]], name: str) -> tuple[list[Finding], bool]:
    """The failed ones, and whether any was decided."""
    failed, decided = [], False
    for position, test in enumerate(tests):
        status = str(test.get("status")).removeprefix("TestStatus.").upper()
        if status not in (*_GOOD, *_BAD, *_UNDECIDED):
            raise DocumentError(f"{name}: tests[{position}].status: expected SUCCESS, FAIL, ..., got {_words(status)}")
        decided = decided or status not in _UNDECIDED
        if status in _BAD:
            said = test.get("description")
            detail = _words(said) if isinstance(said, str) else None
            failed.append(Finding(kind="test", report=name, what=_words(test.get("name") or "a test"), detail=detail))
    return failed, decided


def _drift(metrics: list[dict[str, Any]], name: str, *, tested: bool) -> tuple[list[Finding], bool]:
    """What drifted, and whether any metric could say so."""
    placed = [(metric, f"{name}: metrics[{position}]") for position, metric in enumerate(metrics)]
    whole = [detail for metric, where in placed for detail in _dataset(metric, where)]
    columns = [found for metric, where in placed for found in _column(metric, where, elsewhere=tested or bool(whole))]
    bad = [(column, detail) for column, detail in columns if detail is not None]
    if not whole:
        return [Finding(kind="drift", report=name, what=column, detail=detail) for column, detail in bad], bool(columns)
    named = ", ".join(column for column, _ in bad[:_MAX_COLUMNS]) + (", ..." if len(bad) > _MAX_COLUMNS else "")
    return [
        Finding(kind="drift", report=name, what="dataset", detail=_words(f"{detail}: {named}" if named else detail))
        for detail in whole
        if detail is not None
    ], True


def _dataset(metric: dict[str, Any], where: str) -> Iterator[str | None]:
    """How a metric of the whole dataset says that it drifted, or None; nothing from another metric."""
    result = metric.get("result")
    if isinstance(result, dict) and "dataset_drift" in result:
        share = _finite(result.get("share_of_drifted_columns"))
        said = "drifted" if share is None else f"{share:.3g} of the columns drifted"
        yield said if _flag(result, "dataset_drift", where) else None
    elif _kind(metric) == "DriftedColumnsCount":
        share = _finite(metric["value"].get("share")) if isinstance(metric.get("value"), dict) else None
        written = _SHARE.search(_label(metric))
        limit = _finite(_settings(metric).get("drift_share", float(written[1]) if written else None))
        if share is None or limit is None:
            raise DocumentError(f"{where}: expected value.share and config.drift_share, which are numbers")
        yield f"{share:.3g} of the columns drifted, it drifts from {limit:.3g}" if share >= limit else None


def _column(metric: dict[str, Any], where: str, *, elsewhere: bool) -> Iterator[tuple[str, str | None]]:
    """A column, and how its metric says that it drifted, or None; nothing from another metric.

    Where it is decided elsewhere, a metric that cannot tell is passed over.
    """
    result = metric.get("result")
    if isinstance(result, dict) and "drift_detected" in result:
        said = "drifted" if _flag(result, "drift_detected", where) else None
        yield _words(result.get("column_name") or "a column"), said
        return
    if _kind(metric) != "ValueDrift":
        return
    settings, value = _settings(metric), _float(metric.get("value"))
    method, threshold = settings.get("method"), _finite(settings.get("threshold"))
    known = str(method).casefold()
    below = "p_value" in known or known in _P_VALUES
    if threshold is None or not (below or known in _DISTANCES):
        if elsewhere:
            return
        raise DocumentError(
            f"{where}: whether it drifted cannot be told by the method {_words(method)}",
            hint="Give the metric a test, or the report a DriftedColumnsCount.",
        )
    if value is None:
        raise DocumentError(f"{where}.value: expected a number")
    # A value that is NaN has not shown that the column stayed as it was.
    drifted = not math.isfinite(value) or (value < threshold if below else value >= threshold)
    column = _words(settings.get("column") or _label(metric))
    yield column, f"{_words(method)} {value:.3g}, threshold {threshold:.3g}" if drifted else None


def _flag(result: dict[str, Any], key: str, where: str) -> bool:
    if not isinstance(result[key], bool):
        raise DocumentError(f"{where}.result.{key}: expected true or false")
    return bool(result[key])


def _settings(metric: dict[str, Any]) -> dict[str, Any]:
    config = metric.get("config")
    return config if isinstance(config, dict) else {}


def _kind(metric: dict[str, Any]) -> str | None:
    found = _NAME.fullmatch(_label(metric))
    return found["kind"] if found else None


def _label(metric: dict[str, Any]) -> str:
    return str(metric.get("metric_name") or metric.get("metric_id") or metric.get("metric") or "")


def _capped(findings: list[Finding], name: str) -> tuple[Finding, ...]:
    if len(findings) <= MAX_FINDINGS:
        return tuple(findings)
    kept = findings[: MAX_FINDINGS - 1]
    more = Finding(kind=findings[-1].kind, report=name, what=f"{len(findings) - len(kept)} more")
    return (*kept, more)


def _float(value: object) -> float | None:
    """A number as a float; None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _finite(value: object) -> float | None:
    number = _float(value)
    return number if number is not None and math.isfinite(number) else None


def _words(text: object) -> str:
    """One line, shortened."""
    line = " ".join(str(text).split())
    return line if len(line) <= _MAX_WORDS else f"{line[: _MAX_WORDS - 1]}…"
