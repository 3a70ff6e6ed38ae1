"""Dashboards for tests and pictures: a usual one, one of any length, and one whose every word means harm."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from fakes.records import origin
from mlci.core.acceptance import Acceptance
from mlci.core.dashboard import Columns, Commit, Dashboard, Release, dashboard
from mlci.core.documents import Cost, Environment, Metric, Record, Resources, Rule
from mlci.core.steps import steps
from mlci.render.pages.history import history

HOME = "https://github.com/team/models"
DROP, ACCEPTED, UPGRADE, RELEASES = 0.6, 0.8, 0.4, (0.2, 0.5, 0.9)  # where along the history
_SUBJECTS = ("Tune the learning rate", "Drop stale rows", "Add the features of last week", "Train on the last quarter")
_LOWER = "log_loss"
_NAMES = ("accuracy", "f1", "roc_auc", _LOWER)


def sha(number: int) -> str:
    """A commit nobody made."""
    return f"{(number * 2654435761 + 0x2F4A11) % 2**32:08x}" * 5


def usual(count: int = 300, *, metrics: int = 4, seed: int = 7) -> Dashboard:
    """Two runs: one regression, one accepted change, three releases, an upgrade, and gaps in the second run."""
    draw = random.Random(seed)  # noqa: S311 - noise of a picture
    names = [*_NAMES, *(f"recall_at_{number}" for number in range(1, metrics))][:metrics]
    commits = [
        Commit(sha=sha(number), time=1_704_067_200 + number * 43_200, subject=draw.choice(_SUBJECTS))
        for number in range(count)
    ]
    accepted = Acceptance(
        run="churn",
        profile="full",
        metric="f1",
        baseline=0.885,
        value=0.86,
        reason="the larger tokenizer, see issue 12",
        date="2024-01-01",
    )
    last = sha(int(count * ACCEPTED))
    every = []
    for run in ("churn", "ranking"):
        columns = Columns(run, "full")
        measured = (_record(run, number, count, names, draw) for number in _measured(run, count))
        tiers = ((Rule(pattern="accuracy", max_regression=0.015), Rule(pattern="f1", max_regression=0.012)),)
        for step in steps(
            measured, tiers=tiers, span=20, accepted=lambda commit: (accepted,) if commit == last else ()
        ):
            columns.add(step)
        every.append(columns)
    return dashboard(every, commits[::-1], _releases(count))


def _measured(run: str, count: int) -> Iterator[int]:
    yield from (number for number in reversed(range(count)) if run == "churn" or number % 41 != 3)


def _record(run: str, number: int, count: int, names: Sequence[str], draw: random.Random) -> Record:
    along = number / count
    metrics = [Metric(name=name, value=_value(place, name, along, draw), n=4000) for place, name in enumerate(names)]
    metrics += [
        Metric(name="accuracy", slice=f"country={part}", value=0.86 + 0.02 * along + draw.gauss(0, 0.006))
        for part in ("DE", "FR", "AT")
    ]
    return Record(
        name=run,
        profile="full",
        origin=origin(sha(number), run_id=str(9_000_000_000 + number)),
        status="succeeded",
        metrics=tuple(metrics),
        duration_s=180 + draw.gauss(0, 6) + (40 if along > 0.7 else 0),
        resources=Resources(cpu_s=1, peak_memory_bytes=int(1.2e9 + draw.gauss(0, 2e7))),
        cost=Cost(amount=0.12 + draw.gauss(0, 0.004), currency="EUR"),
        environment=Environment(python="3.12.1" if along < UPGRADE else "3.13.0", packages={"numpy": "2.1.0"}),
    )


def _value(place: int, name: str, along: float, draw: random.Random) -> float:
    fallen = 0.03 if name == "accuracy" and DROP <= along < DROP + 0.03 else 0.0
    fallen += 0.025 if name == "f1" and along >= ACCEPTED else 0.0
    good = 0.02 * along - fallen
    return (0.35 - good if name == _LOWER else 0.88 + good) - place * 0.01 + draw.gauss(0, 0.0025)


def _releases(count: int) -> list[Release]:
    found = [
        Release(run="churn", commit=sha(int(count * along)), label=f"v1.{number}.0", tag=f"churn@v1.{number}.0")
        for number, along in enumerate(RELEASES)
    ]
    return [*found, Release(run="churn", commit=found[-1].commit, label="production", tag="churn#production#1")]


def page(found: Dashboard) -> str:
    """The page of a dashboard."""
    return history(found, name="models", branch="main", home=HOME)


def hostile(words: Sequence[str]) -> str:
    """A page whose metrics, units, slices, subjects, reasons and changes are these words."""
    columns = Columns("churn", "full")
    records = [
        Record(
            name="churn",
            profile="full",
            origin=origin(sha(number), run_id=words[number % len(words)]),
            status="succeeded",
            metrics=tuple(
                Metric(name=word, value=0.5 + number / 100 * (-1) ** number, unit=word, split=word, direction="higher")
                for word in words
            )
            + tuple(Metric(name="accuracy", value=float(number), slice=word) for word in words),
            parameters=dict.fromkeys(words, number),
        )
        for number in reversed(range(12))
    ]
    for step in steps(records, span=20):
        columns.add(step)
    commits = [Commit(sha=sha(number), time=0, subject=words[number % len(words)]) for number in reversed(range(12))]
    releases = [Release(run="churn", commit=sha(5), label=word, tag=word) for word in words]
    found = dashboard([columns], commits, releases)
    return history(found, name=words[0], branch=words[1], home=HOME, notes=words)
