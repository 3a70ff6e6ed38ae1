"""How often the gate fails a pull request that has made nothing worse than allowed, and how often one that has.

    pip install -e ".[dev]"
    python benchmarks/judgement.py                       everything; takes some twenty minutes
    python benchmarks/judgement.py --quick seeds power   some tables, of few trials

Simulated pull requests go through `mlci.core.comparison.compare`, beside a gate that only holds the point values
against the tolerance. Rates are in percent, with the half width of their 95% interval; w is the true worsening, t the
tolerance. The tables are in Markdown, and the same each time but for the seconds.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

from mlci.core.comparison import Baseline, compare
from mlci.core.documents import Direction, Metric, Origin, Record, Rule
from mlci.core.estimates import ExampleNoise
from mlci.core.metric import Key
from mlci.core.threshold import GateSettings

Floats = NDArray[np.float64]

TRIALS, QUICK_TRIALS = 4_000, 200
FEWEST = 2_000  # of a family of many metrics
MEAN, DEVIATION = 0.8, 0.01  # of a metric, from seed to seed
DROPS = (0.0, 0.5, 1.0, 2.0, 4.0)  # in standard deviations
_ORIGIN = Origin(commit="a" * 40, dirty=False, branch="main", event="push", created_at="2024-05-01T12:00:00Z")


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A simulated pull request: the metrics before and now, and what else is known of their noise.

    Args:
        before: Of the baseline.
        now: Of the pull request.
        examples: By metric, what predictions say.
        history: Values of the one metric on the base branch, the oldest first.
        deterministic: Both sides give the same each time.
        mcnemar: The one-sided p-value of McNemar's test on the predictions of one seed a side.
    """

    before: tuple[Metric, ...]
    now: tuple[Metric, ...]
    examples: Mapping[Key, ExampleNoise] = field(default_factory=dict)
    history: tuple[float, ...] = ()
    deterministic: bool = False
    mcnemar: float | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Where noise comes from.

    Args:
        name: In the table.
        draw: Makes a pull request whose metrics are truly worse by that much.
        tolerance: A typical one.
        family: How many metrics are gated.
    """

    name: str
    draw: Callable[[Generator, float], Pull]
    tolerance: float | str = DEVIATION
    family: int = 1


@dataclass(frozen=True)
class Rates:
    """Shares of the pull requests."""

    trials: int
    fails: float
    inconclusive: float
    naive: float  # that fail by point values
    mcnemar: float | None

    def shown(self, share: float) -> str:
        """In percent, with the half width of its 95% interval."""
        return f"{100 * share:.1f} ± {196 * math.sqrt(share * (1 - share) / self.trials):.1f}"


def rates(scenario: Scenario, *, drop: float, tolerance: float | str, trials: int, seed: int = 1) -> Rates:
    """Judge `trials` pull requests that are worse by `drop`."""
    random = np.random.default_rng([seed, *scenario.name.encode()])
    rules = {"train": [[Rule(pattern="*", max_regression=tolerance)]]}
    verdicts, naive, mcnemar = [], 0, []
    for _ in range(trials):
        pull = scenario.draw(random, drop)
        baseline = Baseline(
            _record(pull.before, pull),
            distance=0,
            history=tuple(_record((_metric(value),), pull) for value in reversed(pull.history)),
            examples=pull.examples,
        )
        comparison = compare(
            [_record(pull.now, pull)],
            baselines={"train": baseline},
            rules=rules,
            gate=GateSettings(),
            current="a" * 64,
        )
        verdicts.append(comparison.verdict)
        naive += any(_worse(*pair, tolerance) for pair in zip(pull.before, pull.now, strict=True))
        if pull.mcnemar is not None:
            mcnemar.append(pull.mcnemar < 0.05)  # noqa: PLR2004 - the level
    return Rates(
        trials,
        verdicts.count("fail") / trials,
        verdicts.count("inconclusive") / trials,
        naive / trials,
        sum(mcnemar) / trials if mcnemar else None,
    )


def _record(metrics: tuple[Metric, ...], pull: Pull) -> Record:
    return Record(
        name="train",
        profile="full",
        origin=_ORIGIN,
        status="succeeded",
        metrics=metrics,
        deterministic=pull.deterministic,
    )


def _metric(value: float, name: str = "accuracy", **fields: object) -> Metric:
    return Metric(name=name, value=value, **fields)  # type: ignore[arg-type]


def _sampled(
    samples: Floats, name: str = "accuracy", *, paired: bool = True, direction: Direction = "higher"
) -> Metric:
    values = tuple(samples.tolist())
    seeds = tuple(range(len(values))) if paired else None
    return Metric(name=name, value=float(samples.mean()), samples=values, seeds=seeds, direction=direction)


def _worse(before: Metric, now: Metric, tolerance: float | str) -> bool:
    """What a gate without statistics says."""
    share = float(tolerance.rstrip("%")) / 100 * abs(before.value) if isinstance(tolerance, str) else tolerance
    sign = 1 if now.direction == "lower" else -1
    return sign * (now.value - before.value) > share


def seeds(
    before: int,
    now: int,
    *,
    shared: float = 0.0,
    paired: bool = True,
    step: float = 0.0,
    heavy: bool = False,
) -> Callable[[Generator, float], Pull]:
    """Training noise alone, normal or of Student's t with 3 degrees of freedom.

    Args:
        before: Seeds of the baseline.
        now: Seeds of the pull request.
        shared: Standard deviation of what a seed does to both sides.
        paired: Both sides have the seeds 0, 1, ...
        step: To multiples of which the metric is rounded.
        heavy: It is Student's.
    """

    def draw(random: Generator, drop: float) -> Pull:
        effect = random.normal(0, shared, max(before, now))
        sides = []
        for size, mean in ((before, MEAN), (now, MEAN - drop)):
            noise = random.standard_t(3, size) if heavy else random.normal(0, 1, size)
            values = mean + effect[:size] + DEVIATION * noise
            sides.append(_sampled(np.round(values / step) * step if step else values, paired=paired))
        return Pull(before=(sides[0],), now=(sides[1],))

    return draw


def relative(deviation: float) -> Callable[[Generator, float], Pull]:
    """Three unpaired seeds a side of a loss of 1, that is to be held against a share of the baseline."""

    def draw(random: Generator, drop: float) -> Pull:
        before, now = (random.normal(mean, deviation, 3) for mean in (1.0, 1.0 + drop))
        return Pull(
            before=(_sampled(before, paired=False, direction="lower"),),
            now=(_sampled(now, paired=False, direction="lower"),),
        )

    return draw


def families(count: int, correlation: float) -> Callable[[Generator, float], Pull]:
    """`count` metrics of five paired seeds, whose noise is correlated from metric to metric."""

    def draw(random: Generator, drop: float) -> Pull:
        common, own = random.normal(size=(2, 5, 1)), random.normal(size=(2, 5, count))
        noise = math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
        values = MEAN + DEVIATION * noise - np.array([0, drop]).reshape(2, 1, 1)
        before, now = (tuple(_sampled(side[:, place], f"metric-{place}") for place in range(count)) for side in values)
        return Pull(before=before, now=now)

    return draw


def right_or_wrong(size: int, discordant: float) -> Callable[[Generator, float], Pull]:
    """Two deterministic models that disagree on a share of the examples."""

    def draw(random: Generator, drop: float) -> Pull:
        lost, won, _ = random.multinomial(
            size, [(discordant + drop) / 2, (discordant - drop) / 2, 1 - discordant]
        ).tolist()
        change = (won - lost) / size
        error = math.sqrt(((won + lost) / size - change**2) / (size - 1))
        noise = ExampleNoise(examples=size, change=change, standard_error=error, discordant=(lost, won))
        return _by_examples(_metric(MEAN), _metric(MEAN + change), noise, deterministic=True)

    return draw


def absolute_errors(size: int) -> Callable[[Generator, float], Pull]:
    """Two deterministic models of equal mean absolute error, on the same examples."""

    def draw(random: Generator, drop: float) -> Pull:
        common = random.normal(size=size)
        before, now = (np.abs(0.9 * common + math.sqrt(0.19) * random.normal(size=size)) for _ in range(2))
        now = now * (1 + drop / math.sqrt(2 / math.pi))
        noise = _noise(now - before)
        fields = {"direction": "lower"}
        return _by_examples(
            _metric(float(before.mean()), **fields), _metric(float(now.mean()), **fields), noise, deterministic=True
        )

    return draw


def seeds_and_examples(
    count: int, size: int, *, training: float, zero_one: bool = True, between: float = 0.5
) -> Callable[[Generator, float], Pull]:
    """Models that are trained with noise and asked the same sampled examples.

    An example's score is its difficulty, what the side's code makes of it, what a training makes of all examples, and
    what it makes of this one; all normal, so that the true metric is known.

    Args:
        count: Seeds a side.
        size: Examples.
        training: Standard deviation of what a training makes of all examples.
        zero_one: The metric is how often the score is below a limit; else it is the mean score.
        between: Standard deviation of what the code makes of one example; 0: it is the same code.
    """

    def draw(random: Generator, drop: float) -> Pull:
        difficulty = random.normal(size=size)
        spread = math.sqrt(1 + between**2 + training**2 + 0.25)
        tables = []
        for lost in (0.0, drop):
            scores = (
                difficulty
                + random.normal(0, between, size)
                + random.normal(0, training, (count, 1))
                + random.normal(0, 0.5, (count, size))
            )
            tables.append((scores < spread * stats.norm.ppf(MEAN - lost)) * 1.0 if zero_one else -scores - lost)
        before, now = tables
        one_lost, one_won = ((one[0] > other[0]).sum() for one, other in ((before, now), (now, before)))
        return Pull(
            before=(_sampled(before.mean(axis=1)),),
            now=(_sampled(now.mean(axis=1)),),
            examples={("accuracy", None, None): _noise(now.mean(axis=0) - before.mean(axis=0))},
            mcnemar=float(stats.norm.sf((one_lost - one_won) / math.sqrt(max(one_lost + one_won, 1))))
            if zero_one
            else None,
        )

    return draw


def standard_errors(size: int, *, training: float = 0.0, common: bool = False) -> Callable[[Generator, float], Pull]:
    """Accuracies that come with the error of their sampling.

    Args:
        size: Examples a side.
        training: Standard deviation of training noise, of which the errors know nothing.
        common: Both sides were asked the same examples, of which the errors know nothing either.
    """

    def draw(random: Generator, drop: float) -> Pull:
        luck = random.random(size)
        sides = []
        for mean in (MEAN, MEAN - drop):
            asked = luck if common else random.random(size)
            value = float((asked < mean + random.normal(0, training)).mean())
            error = math.sqrt(value * (1 - value) / size)
            sides.append(_metric(value, standard_error=error, n=size, direction="higher"))
        return Pull(before=(sides[0],), now=(sides[1],))

    return draw


def histories(
    records: int,
    *,
    correlation: float = 0.0,
    shifts: float = 0.0,
    heavy: bool = False,
    step: float = 0.0,
) -> Callable[[Generator, float], Pull]:
    """A base branch without seeds; the pull request is what its next commit would be.

    Args:
        records: How many are known.
        correlation: Of each with the one before; 1: a random walk.
        shifts: Share of the commits that truly change the metric, by four standard deviations of the noise up or down.
        heavy: The noise is of Student's t with 3 degrees of freedom.
        step: To multiples of which the metric is rounded.
    """

    def draw(random: Generator, drop: float) -> Pull:
        noise = random.standard_t(3, records + 1) if heavy else random.normal(size=records + 1)
        if correlation:
            innovation = math.sqrt(1 - correlation**2) if correlation < 1 else 1.0
            for place in range(1, records + 1):
                noise[place] = correlation * noise[place - 1] + innovation * noise[place]
        moves = random.choice([-4, 0, 4], records + 1, p=[shifts / 2, 1 - shifts, shifts / 2])
        moves[-1] = 0
        values = MEAN + DEVIATION * (noise + np.cumsum(moves))
        values[-1] -= drop
        if step:
            values = np.round(values / step) * step
        *past, now = values.tolist()
        before, current = (_metric(value, direction="higher") for value in (past[-1], now))
        return Pull(before=(before,), now=(current,), history=tuple(past))

    return draw


def _noise(differences: Floats) -> ExampleNoise:
    size = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(size)
    return ExampleNoise(examples=size, change=float(differences.mean()), standard_error=error)


def _by_examples(before: Metric, now: Metric, noise: ExampleNoise, *, deterministic: bool) -> Pull:
    return Pull(before=(before,), now=(now,), examples={("accuracy", None, None): noise}, deterministic=deterministic)


SCENARIOS: Mapping[str, Sequence[Scenario]] = {
    "seeds": [
        *(Scenario(name=f"{n} paired seeds", draw=seeds(n, n, shared=2 * DEVIATION)) for n in (2, 3, 5)),
        *(Scenario(name=f"{n} seeds in common, noise their own", draw=seeds(n, n)) for n in (2, 3, 5)),
        *(Scenario(name=f"{n} unpaired seeds", draw=seeds(n, n, paired=False)) for n in (2, 3, 5)),
        Scenario(name="3 against 5 seeds", draw=seeds(3, 5, paired=False)),
        Scenario(name="2 against 5 seeds", draw=seeds(2, 5, paired=False)),
        Scenario(name="1 against 3 seeds", draw=seeds(1, 3, paired=False)),
        Scenario(name="5 against 1 seeds", draw=seeds(5, 1, paired=False)),
        Scenario(name="5 paired seeds, t3", draw=seeds(5, 5, heavy=True)),
        Scenario(name="5 unpaired seeds, t3", draw=seeds(5, 5, paired=False, heavy=True)),
        Scenario(name="1 against 5 seeds, t3", draw=seeds(1, 5, paired=False, heavy=True)),
        *(
            Scenario(
                name=f"{n} seeds in common, of 1/{steps}",
                draw=seeds(n, n, step=1 / steps),
                tolerance=max(0.01, 1 / steps),
            )
            for steps in (50, 200)
            for n in (2, 3, 5)
        ),
        Scenario(name="2 seeds in common, of 1/50, half a step allowed", draw=seeds(2, 2, step=1 / 50)),
        Scenario(name="3 unpaired seeds, of 1/50", draw=seeds(3, 3, paired=False, step=1 / 50), tolerance=0.02),
        Scenario(name="a loss of 1 ± 0.05, 10%", draw=relative(0.05), tolerance="10%"),
        Scenario(name="a loss of 1 ± 0.05, 50%", draw=relative(0.05), tolerance="50%"),
    ],
    "examples": [
        Scenario(name="right or wrong, n = 200, 5% differ", draw=right_or_wrong(200, 0.05)),
        Scenario(name="right or wrong, n = 1,000, 2% differ", draw=right_or_wrong(1_000, 0.02)),
        Scenario(name="right or wrong, n = 10,000, 10% differ", draw=right_or_wrong(10_000, 0.1)),
        Scenario(name="absolute errors, n = 100", draw=absolute_errors(100), tolerance=0.05),
        Scenario(name="absolute errors, n = 1,000", draw=absolute_errors(1_000), tolerance=0.02),
    ],
    "seeds and examples": [
        *(
            Scenario(
                name=f"{kind}, {count} seeds, n = {size:,}, {said}",
                draw=seeds_and_examples(count, size, training=training, zero_one=zero_one, between=between),
                tolerance=0.02,
            )
            for kind, zero_one in (("right or wrong", True), ("mean", False))
            for count, size, said, training, between in (
                (3, 300, "the same code", 0.1, 0.0),
                (2, 300, "another model", 0.1, 0.5),
                (3, 300, "another model", 0.1, 0.5),
                (5, 300, "another model", 0.1, 0.5),
                (3, 300, "another model, no training noise of its own", 0.0, 0.5),
            )
        ),
    ],
    "standard errors": [
        Scenario(name="n = 500, other examples a side", draw=standard_errors(500), tolerance=0.02),
        Scenario(name="n = 500, the same examples", draw=standard_errors(500, common=True), tolerance=0.02),
        Scenario(name="n = 500, training noise as large", draw=standard_errors(500, training=0.018), tolerance=0.02),
    ],
    "history": [
        *(Scenario(name=f"{count} records", draw=histories(count)) for count in (8, 20, 50)),
        *(
            Scenario(name=f"{count} records, AR(1) {correlation}", draw=histories(count, correlation=correlation))
            for correlation in (0.5, 0.9)
            for count in (8, 20)
        ),
        *(
            Scenario(name=f"{count} records, a random walk", draw=histories(count, correlation=1.0))
            for count in (8, 20)
        ),
        Scenario(name="20 records, one in ten a real change", draw=histories(20, shifts=0.1)),
        *(Scenario(name=f"{count} records, t3", draw=histories(count, heavy=True)) for count in (8, 20, 50)),
        Scenario(name="20 records, of 1/50", draw=histories(20, step=1 / 50), tolerance=0.02),
        Scenario(name="20 records, of 1/200", draw=histories(20, step=1 / 200)),
    ],
    "families": [
        Scenario(name=f"{count} metrics, {said}", draw=families(count, correlation), family=count, tolerance=DEVIATION)
        for count, correlation, said in (
            (1, 0.0, "5 paired seeds"),
            (10, 0.0, "independent"),
            (10, 0.9, "correlated 0.9"),
            (50, 0.0, "independent"),
            (50, 0.9, "correlated 0.9"),
        )
    ],
}


def false_alarms(title: str, trials: int) -> None:
    """Print how often nothing is worse than allowed and the gate fails all the same."""
    scenarios = SCENARIOS[title]
    mcnemar = title == "seeds and examples"
    print(f"\n### {title[0].upper()}{title[1:]}\n")
    print(
        "| noise | w = t = 0 | naive | w = t | naive | t | fails | inconclusive | naive |"
        + (" McNemar, one seed |" if mcnemar else "")
    )
    print("|---|---|---|---|---|---|---|---|---|" + ("---|" if mcnemar else ""))
    for scenario in scenarios:
        count = max(trials // scenario.family, min(trials, FEWEST))
        given = scenario.tolerance
        limit = float(given.rstrip("%")) / 100 if isinstance(given, str) else given
        zero, edge, usual = (
            rates(scenario, drop=drop, tolerance=tolerance, trials=count)
            for drop, tolerance in ((0.0, 0.0), (limit, given), (0.0, given))
        )
        cells = [
            scenario.name,
            zero.shown(zero.fails),
            f"{100 * zero.naive:.0f}",
            edge.shown(edge.fails),
            f"{100 * edge.naive:.0f}",
            str(given),
            usual.shown(usual.fails),
            f"{100 * usual.inconclusive:.0f}",
            f"{100 * usual.naive:.1f}",
            *([f"{100 * zero.mcnemar:.0f}" if zero.mcnemar is not None else ""] if mcnemar else []),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def power(trials: int) -> None:
    """Print how often the gates fail a pull request that is truly worse."""
    print("\n### Power\n")
    print("| seeds a side | t | gate |" + "".join(f" {drop:g} |" for drop in DROPS))
    print("|---|---|---|" + "---|" * len(DROPS))
    for said, count, shared, paired in (
        *((f"{count} paired", count, 2 * DEVIATION, True) for count in (2, 3, 5, 10)),
        *((f"{count} unpaired", count, 0.0, False) for count in (2, 3, 5, 10)),
    ):
        scenario = Scenario(name=said, draw=seeds(count, count, shared=shared, paired=paired))
        for tolerance, words in ((0.0, "0"), (DEVIATION, "1")):
            found = [rates(scenario, drop=drop * DEVIATION, tolerance=tolerance, trials=trials) for drop in DROPS]
            for gate, shares in (("mlci", [one.fails for one in found]), ("naive", [one.naive for one in found])):
                print(
                    f"| {said} | {words} | {gate} |" + "".join(f" {100 * share:.0f} |" for share in shares), flush=True
                )


def seconds(_: int) -> None:
    """Print what 1,000 metrics with 5 seeds a side cost, and what the same tests cost in a loop of scipy's."""
    random = np.random.default_rng(1)
    pull = families(1_000, 0.0)(random, 0.0)
    before, now = _record(pull.before, pull), _record(pull.now, pull)
    rules = {"train": [[Rule(pattern="*", max_regression=0.01)]]}
    taken: dict[str, list[float]] = {"mlci": [], "scipy": []}
    for _round in range(5):
        start = time.perf_counter()
        compare([now], baselines={"train": Baseline(before)}, rules=rules, gate=GateSettings(), current="a" * 64)
        taken["mlci"].append(time.perf_counter() - start)
        start = time.perf_counter()
        for old, new in zip(pull.before, pull.now, strict=True):
            stats.ttest_rel(new.samples, old.samples, alternative="less")
        taken["scipy"].append(time.perf_counter() - start)
    ours, theirs = (sorted(times)[2] for times in taken.values())
    print("\n### Seconds\n\n| 1,000 metrics, 5 seeds a side | seconds | times mlci |\n|---|---|---|")
    print(f"| mlci: everything | {ours:.2f} | 1.00 |")
    print(f"| a loop of scipy.stats.ttest_rel | {theirs:.2f} | {theirs / ours:.2f} |")


def main() -> None:
    """Print the tables."""
    tables: dict[str, Callable[[int], None]] = {
        **{title: lambda trials, title=title: false_alarms(title, trials) for title in SCENARIOS},  # type: ignore[misc]
        "power": power,
        "seconds": seconds,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help=f"some of: {', '.join(tables)}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TRIALS} trials each")
    given = parser.parse_args()
    for name in given.tables or tables:
        tables[name](QUICK_TRIALS if given.quick else TRIALS)


if __name__ == "__main__":
    main()
