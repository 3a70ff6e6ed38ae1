"""Which runs an event and a profile select, why each other is left out, and in which order they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from mlci.config import Run
from mlci.context import Context
from mlci.errors import UsageError

NOT_NAMED = "not named here"


@dataclass(frozen=True)
class Planned:
    """One run and whether it is selected."""

    run: Run
    reason: str | None  # why it is left out; None: selected

    @property
    def selected(self) -> bool:
        """Whether it runs."""
        return self.reason is None


@dataclass(frozen=True)
class Plan:
    """Every configured run, each after those that it needs."""

    profile: str
    items: tuple[Planned, ...]

    @property
    def selected(self) -> tuple[Run, ...]:
        """The runs that run, in order."""
        return tuple(item.run for item in self.items if item.selected)


def make_plan(
    runs: Mapping[str, Run], profile: str, context: Context, *, unchanged: Callable[[Run], str | None]
) -> Plan:
    """Decide which of `runs` the event selects.

    Args:
        runs: Every run, by name.
        profile: Its name.
        context: The event and its labels.
        unchanged: For a run with `only.paths`: why it need not run, or None.
    """
    own = {name: _left_out(run, context) for name, run in runs.items()}
    idle: dict[str, str | None] = {
        name: unchanged(run) for name, run in runs.items() if own[name] is None and run.table.only.paths == "inputs"
    }
    order = _order(runs)
    reasons: dict[str, str | None] = {}
    for name in order:
        needed = _needed(runs, name)
        blocked = next((need for need in needed if reasons[need]), None)
        reasons[name] = own[name] or (f"needs {blocked}, which is skipped" if blocked else None)
        if any(reasons[need] is None and not idle.get(need) for need in needed):
            idle[name] = None  # what it needs runs, and may write something else for it to read
    # What a selected run needs runs too, even where its own inputs are as they were.
    wanted: set[str] = set()
    for name in reversed(order):
        if reasons[name] is None and (not idle.get(name) or name in wanted):
            wanted.update((name, *_needed(runs, name)))
    return Plan(
        profile,
        tuple(Planned(runs[name], reasons[name] or (None if name in wanted else idle[name])) for name in order),
    )


def only_named(plan: Plan, names: Sequence[str]) -> Plan:
    """The plan cut down to `names`, runs or their tables, and what they need.

    Raises:
        UsageError: No run is called so.
    """
    if not names:
        return plan
    runs = {item.run.name: item.run for item in plan.items}
    wanted: set[str] = set()
    for name in names:
        found = [run.name for run in runs.values() if name in (run.name, run.group)]
        if not found:
            raise UsageError(f"no run is called {name!r}", hint=f"There are: {', '.join(runs) or 'none'}.")
        for item in found:
            wanted.update((item, *_all_needed(runs, item)))
    return Plan(
        plan.profile,
        tuple(item if item.run.name in wanted else Planned(item.run, item.reason or NOT_NAMED) for item in plan.items),
    )


def _left_out(run: Run, context: Context) -> str | None:
    only = run.table.only
    if only.events and context.event not in only.events:
        return f"event {context.event} is not in only.events ({', '.join(only.events)})"
    if only.labels and context.is_pull_request and not set(only.labels) & set(context.labels):
        return f"the pull request has none of the labels {', '.join(only.labels)}"
    return None


def _order(runs: Mapping[str, Run]) -> list[str]:
    return list(TopologicalSorter({name: _needed(runs, name) for name in runs}).static_order())


def _needed(runs: Mapping[str, Run], name: str) -> list[str]:
    """The runs that one needs; a table with a glob stands for all its runs."""
    return [run.name for run in runs.values() if run.group in runs[name].table.needs]


def _all_needed(runs: Mapping[str, Run], name: str) -> set[str]:
    direct = _needed(runs, name)
    return set(direct).union(*(_all_needed(runs, need) for need in direct))
