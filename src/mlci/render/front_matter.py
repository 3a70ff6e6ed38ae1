"""The front matter of a model card, as Hugging Face reads it: YAML in which other people's words are only strings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import yaml

from mlci.core.documents import Metric
from mlci.core.release import Release
from mlci.render.text import plain


class About(Protocol):
    """What the configuration says of a model, in people's words."""

    @property
    def description(self) -> str:
        """What it does."""
        ...

    @property
    def intended_use(self) -> str:
        """What it is for, and not for."""
        ...

    @property
    def license(self) -> str | None:
        """An identifier such as "apache-2.0"."""
        ...

    @property
    def tags(self) -> Sequence[str]:
        """Keywords."""
        ...

    @property
    def owners(self) -> Sequence[str]:
        """Who answers for it."""
        ...


def front_matter(release: Release, about: About) -> str:
    """The front matter, between its two lines of dashes.

    Args:
        release: What is released.
        about: What people say of the model.
    """
    # Never wrapped: a line of dashes within a string would end it early.
    matter = yaml.safe_dump(_values(release, about), allow_unicode=True, sort_keys=False, width=math.inf)
    return f"---\n{matter}---\n"


def _values(release: Release, about: About) -> dict[str, Any]:
    """What Hugging Face shows beside a model; its index takes no value that is not finite."""
    metrics = [
        {
            "type": plain(metric.name),
            "name": plain(_named(metric)),
            "value": metric.value,
        }
        for metric in release.record.metrics
        if math.isfinite(metric.value)
    ]
    dataset = {"type": "recorded", "name": plain(f"run {release.record.name}, profile {release.record.profile}")}
    result = {"task": {"type": "other"}, "dataset": dataset, "metrics": metrics}
    return {
        **({"license": plain(about.license)} if about.license else {}),
        "tags": [*dict.fromkeys(["mlci", *map(plain, about.tags)])],
        **({"model-index": [{"name": plain(release.model), "results": [result]}]} if metrics else {}),
    }


def _named(metric: Metric) -> str:
    where = ", ".join(filter(None, [metric.split, metric.slice]))
    return f"{metric.name} [{where}]" if where else metric.name
