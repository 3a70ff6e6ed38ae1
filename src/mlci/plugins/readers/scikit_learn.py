"""scikit-learn's `classification_report(output_dict=True)`, written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, ClassVar

from mlci.core.documents import Metric
from mlci.plugins.readers.outline import outline
from mlci.plugins.readers.source import Found, mapping, read_json
from mlci.plugins.readers.tree import as_count, as_number

_AVERAGES = ("micro avg", "macro avg", "weighted avg", "samples avg")
_SCORES = ("precision", "recall", "f1-score")


@dataclass(frozen=True)
class ScikitLearnReader:
    """A class is the slice `class=NAME` of `precision`, `recall` and `f1-score`; its support is their n."""

    name: ClassVar[str] = "sklearn-report"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By the averages that no report is without."""
        keys = outline(head)
        return path.suffix.lower() == ".json" and all(
            {*_SCORES, "support"} <= set(keys.below(average)) for average in ("macro avg", "weighted avg")
        )

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """`accuracy`, the averages under their names, and the classes as slices."""
        tree = mapping(read_json(path, name), name)
        found = Found(name)
        for label, scores in tree.items():
            number = as_number(scores)
            if number is not None:
                found.add(Metric(name=label, value=number, direction="higher", n=_support(tree, "weighted avg")))
                continue
            for score in _SCORES:
                value = as_number(mapping(scores, f"{name}: {label[:80]}").get(score))
                if value is not None:
                    found.add(_metric(label, score, value, _support(tree, label)))
        return found.all()


def _metric(label: str, score: str, value: float, n: int | None) -> Metric:
    if label in _AVERAGES:
        return Metric(name=f"{label}.{score}", value=value, direction="higher", n=n)
    return Metric(name=score, value=value, direction="higher", n=n, slice=f"class={label}")


def _support(tree: dict[str, Any], label: str) -> int | None:
    scores = tree.get(label)
    return as_count(scores.get("support")) if isinstance(scores, dict) else None
