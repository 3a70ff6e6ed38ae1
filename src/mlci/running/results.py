"""The results of a `mlci run` under way: `run.json` is whole after each, and before the first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mlci.config import Run
from mlci.core.documents import Failure, Origin, RunResult, RunsDocument
from mlci.running.plan import Plan
from mlci.workspace import RUNS, Workspace


@dataclass
class Results:
    """What is known by now.

    Args:
        workspace: Where `run.json` lies.
        plan: What runs here, and in which order the results stand.
        origin: Where and when this was started.
        planned: What the whole plan selects, on whichever machine.
        known: Results of an earlier time that are kept.
    """

    workspace: Workspace
    plan: Plan
    origin: Origin
    planned: tuple[str, ...]
    known: list[RunResult]

    def expect(self, due: Iterable[tuple[Run, int | None]]) -> None:
        """Write down every execution that is due as lost: so it stays where mlci itself is killed before its end."""
        error = Failure(kind="lost", message="mlci itself was ended before this had finished")
        self.keep(*(result_of(run, "crashed", seed=seed, error=error) for run, seed in due))

    def keep(self, *results: RunResult) -> None:
        """Put results in the place of what was known of the same; a run that was skipped has one for all its seeds."""
        for result in results:
            self.known = [old for old in self.known if not _replaces(result, old)] + [result]
        places = {
            (item.run.name, seed): place
            for place, (item, seed) in enumerate(
                (item, seed) for item in self.plan.items for seed in (None, *item.run.table.seeds)
            )
        }
        self.known.sort(key=lambda result: places.get((result.name, result.seed), len(places)))
        self.workspace.write(RUNS, self.document())

    def document(self) -> RunsDocument:
        """`run.json` as it is now."""
        return RunsDocument(origin=self.origin, planned=self.planned, runs=tuple(self.known), profile=self.plan.profile)

    def has(self, run: Run) -> bool:
        """Whether anything is known of a run."""
        return any(result.name == run.name for result in self.known)

    def succeeded(self, run: Run, seed: int | None) -> bool:
        """Whether an execution has succeeded."""
        return any((old.name, old.seed, old.status) == (run.name, seed, "succeeded") for old in self.known)

    def unmet(self, run: Run) -> str | None:
        """Which run that this one needs did not succeed; to be asked when they all have ended."""
        for item in self.plan.items:
            if item.run.group in run.table.needs:
                mine = [result for result in self.known if result.name == item.run.name]
                if not mine or any(result.status != "succeeded" for result in mine):
                    return f"needs {item.run.name}, which did not succeed"
        return None


def result_of(run: Run, status: Any, **values: Any) -> RunResult:  # noqa: ANN401 - RunResult's own fields
    """A result of `run`."""
    return RunResult(name=run.name, profile=run.profile, status=status, **values)


def label(result: RunResult) -> str:
    """How messages call an execution."""
    return result.name if result.seed is None else f"{result.name} (seed {result.seed})"


def _replaces(result: RunResult, old: RunResult) -> bool:
    if old.name != result.name:
        return False
    return "skipped" in (old.status, result.status) or old.seed == result.seed
