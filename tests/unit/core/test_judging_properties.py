from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fakes.records import record
from mlci.core.comparison import Baseline, compare
from mlci.core.documents import Comparison, Delta, Metric, Record, Rule, encode
from mlci.core.estimates import ExampleNoise
from mlci.core.metric import Key
from mlci.core.threshold import GateSettings

FLIPPED = {"improved": "regressed", "regressed": "improved"}
GATES = ("fail", "inconclusive", "pass")
NAMES = [f"accuracy-{number}" for number in range(4)]

quick = settings(max_examples=60, deadline=None, derandomize=True)
numbers = st.integers(-200, 200).map(lambda count: count / 64)  # so that ties, constants and zeros come often
samples = st.lists(numbers, min_size=1, max_size=5)
tolerances = st.integers(0, 64).map(lambda count: count / 64)
errors = st.none() | st.integers(0, 64).map(lambda count: count / 64)
sides = st.tuples(samples, st.booleans(), errors)


def metric(name: str, side: tuple[Sequence[float], bool, float | None]) -> Metric:
    """One value is one of a run without seeds."""
    values, paired, error = side
    seeded = len(values) > 1
    return Metric(
        name=name,
        value=fmean(values),
        samples=tuple(values) if seeded else (),
        seeds=tuple(range(len(values))) if seeded and paired else None,
        standard_error=error,
        n=None if error is None else 40,
        direction="higher",
    )


def holding(metrics: Sequence[Metric]) -> Record:
    return msgspec.structs.replace(record("train"), metrics=tuple(metrics))


def compared(
    before: Sequence[Metric],
    now: Sequence[Metric],
    *,
    rules: Sequence[Rule],
    history: Sequence[float] = (),
    examples: dict[Key, ExampleNoise] | None = None,
) -> Comparison:
    past = tuple(holding([Metric(name=NAMES[0], value=value)]) for value in reversed(history))
    baseline = Baseline(holding(before), history=past, examples=examples or {})
    return compare(
        [holding(now)], baselines={"train": baseline}, rules={"train": [rules]}, gate=GateSettings(), current="a" * 64
    )


def judged(comparison: Comparison) -> dict[str, tuple[str, str]]:
    return {delta.metric: (delta.verdict, delta.gate) for delta in comparison.deltas}


def scaled(given: Metric, factor: float) -> Metric:
    return msgspec.structs.replace(
        given,
        value=given.value * factor,
        samples=tuple(value * factor for value in given.samples),
        standard_error=None if given.standard_error is None else given.standard_error * factor,
    )


def lowered(given: Metric, amount: float) -> Metric:
    lower = tuple(value - amount for value in given.samples)
    return msgspec.structs.replace(given, value=fmean(lower) if lower else given.value - amount, samples=lower)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[list[Metric], list[Metric], float, list[float]]:
    """Metrics before and now, a tolerance, and a history of the first one."""
    names = NAMES[: draw(st.integers(1, 4))]
    before, now = ([metric(name, draw(sides)) for name in names] for _ in range(2))
    return before, now, draw(tolerances), draw(st.lists(numbers, max_size=10))


@quick
@given(comparisons())
def test_compare__swapping_sides_flips_verdicts(
    given: tuple[list[Metric], list[Metric], float, list[float]],
) -> None:
    before, now, tolerance, history = given
    rules = [Rule(pattern="*", max_drop=tolerance)]
    there, back = (compared(*pair, rules=rules, history=history) for pair in ((before, now), (now, before)))
    turned = {name: FLIPPED.get(verdict, verdict) for name, (verdict, _) in judged(there).items()}
    assert {name: verdict for name, (verdict, _) in judged(back).items()} == turned


@quick
@given(comparisons(), st.sampled_from([0.5, 1024.0, 2.0**-20]) | st.sampled_from([100.0, 1e-3, 3.7, 1e12]))
def test_compare__another_unit_changes_nothing(
    given: tuple[list[Metric], list[Metric], float, list[float]], factor: float
) -> None:
    before, now, tolerance, history = given
    exact = math.frexp(factor)[0] == 0.5
    # Where a point value lies on its bound, a factor that is no power of two may round it over the edge.
    assume(
        exact or all(abs(abs(new.value - old.value) - tolerance) > 1e-9 for old, new in zip(before, now, strict=True))
    )
    plain = compared(before, now, rules=[Rule(pattern="*", max_drop=tolerance)], history=history)
    other = compared(
        [scaled(each, factor) for each in before],
        [scaled(each, factor) for each in now],
        rules=[Rule(pattern="*", max_drop=tolerance * factor)],
        history=[value * factor for value in history],
    )
    assert judged(other) == judged(plain)


@quick
@given(comparisons(), sides, sides)
def test_compare__a_metric_without_a_rule_changes_no_other(
    given: tuple[list[Metric], list[Metric], float, list[float]],
    old: tuple[list[float], bool, float | None],
    new: tuple[list[float], bool, float | None],
) -> None:
    before, now, tolerance, history = given
    rules = [Rule(pattern="accuracy-[0-1]", max_drop=tolerance)]
    alone = compared(before, now, rules=rules, history=history)
    more = compared([*before, metric("loss", old)], [*now, metric("loss", new)], rules=rules, history=history)
    assert more.deltas[:-1] == alone.deltas
    assert (more.verdict, more.reasons) == (alone.verdict, alone.reasons)


@quick
@given(comparisons(), st.integers(1, 200).map(lambda count: count / 64))
def test_compare__a_worse_value_is_never_judged_better(
    given: tuple[list[Metric], list[Metric], float, list[float]], amount: float
) -> None:
    before, now, tolerance, history = given
    rules = [Rule(pattern="*", max_regression=tolerance)]
    worse = [lowered(now[0], amount), *now[1:]]
    one, other = (compared(before, each, rules=rules, history=history).deltas[0] for each in (now, worse))
    assert GATES.index(other.gate) <= GATES.index(one.gate)
    assert _standing(other) <= _standing(one)


def _standing(delta: Delta) -> int:
    """A verdict from bad to good; whether it is unchanged or undecided says nothing of that."""
    return {"regressed": -1, "improved": 1}.get(delta.verdict, 0)


@quick
@given(
    st.lists(numbers, min_size=2, max_size=4),
    st.lists(numbers, min_size=2, max_size=4),
    st.booleans(),
    st.none() | tolerances,
    st.integers(2, 3),
)
def test_compare__more_seeds_of_the_same_spread_never_widen_an_interval(
    old: list[float], new: list[float], paired: bool, error: float | None, times: int
) -> None:
    def reach(repeated: int) -> float | None:
        before, now = (metric(NAMES[0], (side * repeated, paired, None)) for side in (old[: len(new)], new[: len(old)]))
        noise = None if error is None else ExampleNoise(examples=100, change=0.0, standard_error=error)
        examples: dict[Key, ExampleNoise] = {} if noise is None else {(NAMES[0], None, None): noise}
        [delta] = compared([before], [now], rules=[], examples=examples).deltas
        return None if delta.interval is None else delta.interval[1] - delta.interval[0]

    few, many = reach(1), reach(times)
    assert (few is None) == (many is None)
    assert few is None or many is None or many <= few * (1 + 1e-9)


@quick
@given(comparisons(), st.randoms(use_true_random=False))
def test_compare__the_order_of_metrics_is_of_no_account(
    given: tuple[list[Metric], list[Metric], float, list[float]], random: object
) -> None:
    before, now, tolerance, history = given
    rules = [Rule(pattern="*", max_regression=tolerance)]
    shuffled = [*now]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        compared(before[::turn], each, rules=rules, history=history) for turn, each in ((1, now), (-1, shuffled))
    )
    assert sorted(one.deltas, key=lambda delta: delta.metric) == sorted(other.deltas, key=lambda delta: delta.metric)


extremes = st.floats() | st.sampled_from([0.0, 5e-324, 1e-160, 1e-100, 1e-75, 1e75, 1e100, 1e155, 1e308, -1e308])


@settings(quick, max_examples=150)
@given(
    st.lists(extremes, max_size=4),
    st.lists(extremes, max_size=4),
    st.booleans(),
    st.tuples(extremes, extremes, extremes, st.floats(0)),
    st.lists(extremes, max_size=10),
    st.booleans(),
)
def test_compare__any_numbers_have_an_answer(
    old: list[float],
    new: list[float],
    paired: bool,
    others: tuple[float, float, float, float],
    history: list[float],
    deterministic: bool,
) -> None:
    def side(values: list[float], error: float) -> Record:
        # As `combine_seeds` takes it: beyond the largest number the mean is infinite or none.
        value = sum(values) / len(values) if values else 0.5
        found = Metric(name=NAMES[0], value=value, samples=tuple(values), standard_error=error, n=40)
        seeds = tuple(range(len(values))) if paired else None
        metrics = (msgspec.structs.replace(found, seeds=seeds),)
        return msgspec.structs.replace(record("train"), metrics=metrics, deterministic=deterministic)

    examples = ExampleNoise(examples=9, change=others[2], standard_error=others[3])
    baseline = Baseline(
        side(old, others[0]),
        history=tuple(holding([Metric(name=NAMES[0], value=value)]) for value in history),
        examples={(NAMES[0], None, None): examples},
    )
    comparison = compare(
        [side(new, others[1])],
        baselines={"train": baseline},
        rules={"train": [[Rule(pattern="*", max_regression="2%", max_increase=0.1)]]},
        gate=GateSettings(),
        current="a" * 64,
    )
    [delta] = comparison.deltas
    assert delta.interval is None or not any(map(math.isnan, delta.interval))
    assert encode(comparison)
