"""Log metrics for mlci: one file, standard library only, Python 3.9 and later; copy it into a project as it is.

    from mlci_log import log_metric

    log_metric("accuracy", 0.93)
    log_metric("loss", 0.21, step=epoch)

Under `mlci run` every call appends one line to the file that the variable MLCI_METRICS names, so that what was logged
before a crash survives it. In a notebook the value is shown as a scrap as well, which scrapbook reads. Elsewhere the
file `mlci-metrics.jsonl` in the working directory takes the lines, if it is there; otherwise nothing is written.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["log_metric"]

_ATTRIBUTES = ("direction", "unit", "split", "slice", "n", "standard_error")
_DIRECTIONS = ("higher", "lower", "maximize", "minimize")
_LOCAL = "mlci-metrics.jsonl"


def log_metric(name: str, value: Any, step: float | None = None, **attributes: Any) -> None:
    """Log one value of a metric.

    Args:
        name: Such as "accuracy" or "val/loss".
        value: A number, or what `float()` or `.item()` makes one of.
        step: The epoch or step; values with a step make the metric's series, the last one its value.
        **attributes: direction ("higher" or "lower" is better; or "maximize", "minimize"), unit, split ("train",
            "test"), slice (a subgroup of the data), n (examples it is measured on), standard_error.

    Raises:
        TypeError: The value is no number, or an attribute does not exist.
    """
    unknown = sorted(set(attributes) - set(_ATTRIBUTES))
    if unknown:
        raise TypeError("log_metric: no attribute {!r}; there are: {}".format(unknown[0], ", ".join(_ATTRIBUTES)))
    entry: dict[str, Any] = {"name": str(name), "value": _number(name, value)}
    if step is not None:
        entry["step"] = _number(name, step)
    for key, given in attributes.items():
        if given is not None:
            entry[key] = _number(name, given) if key in ("n", "standard_error") else str(given)
    if entry.get("direction", "higher") not in _DIRECTIONS:
        raise TypeError(
            "log_metric: no direction {!r}; there are: {}".format(entry["direction"], ", ".join(_DIRECTIONS))
        )
    path = os.environ.get("MLCI_METRICS") or (_LOCAL if os.path.exists(_LOCAL) else None)
    if path:
        _append(path, json.dumps(entry) + "\n")
    _show(entry)


def _number(name: str, value: Any) -> float:
    item = getattr(value, "item", None)
    try:
        # A tensor or an array of one element; float() alone would warn on some of them.
        return float(item() if callable(item) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError("log_metric: {!r} takes a number, got {}".format(str(name), type(value).__name__)) from error


def _append(path: str, line: str) -> None:
    """Append in one write: lines of several processes never mix, and a crash cuts at most the last one."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode("utf-8"))
    finally:
        os.close(handle)


def _show(entry: dict[str, Any]) -> None:
    """Show a scrap in a notebook; only where IPython is already there and has a kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return
    label = "/".join(str(entry[key]) for key in ("name", "split", "slice") if key in entry)
    scrap = {"name": label, "data": entry["value"], "encoder": "json", "version": 1}
    publish = shell.display_pub.publish
    # Logged again, the same display is updated: a metric of a thousand steps is one line in the notebook.
    seen = shell.__dict__.setdefault("_mlci_shown", set())
    publish(
        data={
            "application/scrapbook.scrap.json+json": scrap,
            "text/plain": "{} = {:g}".format(label, entry["value"]),
        },
        metadata={"mlci": {"metric": entry["name"]}},
        transient={"display_id": "mlci-metric-" + label},
        update=label in seen,
    )
    seen.add(label)
