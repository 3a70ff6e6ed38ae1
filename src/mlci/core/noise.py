"""What is known of the noise in a change: of the sources that two metrics offer, the one that says most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlci.core import estimates
from mlci.core.documents import Metric
from mlci.core.estimates import Evidence, ExampleNoise
from mlci.core.statistics import measurable
from mlci.core.threshold import FLOAT_NOISE

_PAIR = 2  # the fewest values that vary


@dataclass(frozen=True)
class Noise:
    """The change with its error, and where that comes from.

    Args:
        evidence: None where the values are compared as they are.
        source: In words, such as "3 paired seeds" or "none".
    """

    evidence: Evidence | None
    source: str


def noise(
    before: Metric,
    now: Metric,
    *,
    examples: ExampleNoise | None = None,
    history: Sequence[float] = (),
    deterministic: bool = False,
) -> Noise:
    """Weigh a change of a metric.

    In this order: seeds, with what the examples add; where the run is deterministic, the examples alone, which carry no
    noise of training; standard errors or the base branch's history, whichever is wider; none.

    Args:
        before: The baseline's.
        now: The current one.
        examples: What predictions of both sides say.
        history: The metric's values on the base branch, the oldest first.
        deterministic: Both sides are known to give the same when they are run again.
    """
    if not measurable((before.value, now.value)):
        return Noise(None, "none")
    examples = _beyond_rounding(examples, before, now)
    seeds = _seeds(before, now, examples)
    if seeds is not None:
        return seeds
    if deterministic:
        return _fixed(examples, "deterministic")
    change = now.value - before.value
    errors = None
    if before.standard_error is not None and now.standard_error is not None:
        errors = estimates.by_standard_errors(change, (before.standard_error, before.n), (now.standard_error, now.n))
    past = estimates.by_history(change, history)
    if errors and (past is None or errors.standard_error >= past.standard_error):
        sizes = {metric.n for metric in (before, now)} - {None}
        return Noise(errors, "standard errors" + (f", n = {_either(sizes)}" if sizes else ""))
    return Noise(past, f"the last {len(history)} records" if past else "none")


def _seeds(before: Metric, now: Metric, examples: ExampleNoise | None) -> Noise | None:
    """By samples; None where there are too few of them."""
    if not measurable((*before.samples, *now.samples)):
        return None
    # A run without seeds has drawn one value.
    values = before.samples or (before.value,), now.samples or (now.value,)
    sizes = len(values[0]), len(values[1])
    pairs = _pairs(before, now)
    if len(pairs) >= _PAIR:
        found = _paired(pairs, examples, of=max(sizes))
        if found:
            return found
    if max(sizes) < _PAIR:
        return None
    if min(sizes) == 1:
        found_one = estimates.one_against_several(*values, examples)
        return Noise(found_one, _with(examples, f"{sizes[0]} against {sizes[1]} seeds")) if found_one else None
    estimate = estimates.unpaired(*values, examples)
    if estimate:
        return Noise(estimate, _with(examples, f"{_either(set(sizes))} unpaired seeds"))
    return _fixed(examples, f"deterministic, {_either(set(sizes))} seeds agree")


def _paired(pairs: Sequence[tuple[float, float]], examples: ExampleNoise | None, *, of: int) -> Noise | None:
    """By pairs; None where each differs by the very same, which says nothing of how far another one would."""
    estimate = estimates.paired(pairs, examples)
    if estimate:
        alone = f" of {of}" if of > len(pairs) else ""
        return Noise(estimate, _with(examples, f"{len(pairs)} paired seeds{alone}"))
    unchanged = all(abs(now - before) <= FLOAT_NOISE * max(abs(before), abs(now)) for before, now in pairs)
    if unchanged and not (examples and examples.standard_error > 0):
        return Noise(None, f"none, {len(pairs)} seeds as before")
    return None


def _fixed(examples: ExampleNoise | None, said: str) -> Noise:
    """What there is to a change of a run that gives the same each time: which examples were asked."""
    # Where the model answers each example as before it is as it was, whatever other examples might have shown.
    differing = examples if examples and examples.discordant != (0, 0) else None
    evidence = estimates.by_examples(differing) if differing else None
    return Noise(evidence, _with(examples, said) if evidence else f"none, {said}")


def _beyond_rounding(examples: ExampleNoise | None, before: Metric, now: Metric) -> ExampleNoise | None:
    """What the examples say; predictions that are the same but for rounding say that nothing differs."""
    if examples is None or not measurable((examples.change, examples.standard_error)):
        return None
    rounding = FLOAT_NOISE * max(abs(before.value), abs(now.value))
    return replace(examples, standard_error=0.0) if examples.standard_error <= rounding else examples


def _pairs(before: Metric, now: Metric) -> list[tuple[float, float]]:
    """(baseline, current) of each seed that both have."""
    if before.seeds is None or now.seeds is None:
        return []
    known = dict(zip(before.seeds, before.samples, strict=False))
    return [(known[seed], value) for seed, value in zip(now.seeds, now.samples, strict=False) if seed in known]


def _with(examples: ExampleNoise | None, said: str) -> str:
    return f"{said}, {examples.examples:,} examples" if examples else said


def _either(sizes: set[int | None] | set[int]) -> str:
    return " and ".join(f"{size:,}" for size in sorted(size for size in sizes if size is not None))
