from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from fakes.records import record as one_record
from mlci.core.comparison import Baseline, Shown, compare
from mlci.core.differences import changes
from mlci.core.documents import Comparison, Environment, Failure, Metric, Record, Rule
from mlci.core.threshold import GateSettings


def record(*metrics: Metric, name: str = "train", **fields: Any) -> Record:
    return msgspec.structs.replace(one_record(name), metrics=metrics, **fields)


def metric(value: float, name: str = "accuracy", **fields: Any) -> Metric:
    return Metric(name=name, value=value, **fields)


def compared(
    now: Record | Sequence[Record], before: Record | None = None, *rules: Rule, own: Sequence[Rule] = (), **gate: Any
) -> Comparison:
    records = [now] if isinstance(now, Record) else now
    return compare(
        records,
        baselines={
            item.name: Baseline(record=before, distance=0, reason=None if before else "none yet") for item in records
        },
        rules={item.name: (own, rules) for item in records},
        gate=GateSettings(**gate),
        current="a" * 64,
    )


WITHIN = Rule(pattern="accuracy", max_regression=0.01)


@pytest.mark.parametrize(
    ("before", "now", "verdict", "gate", "overall"),
    [
        (0.9, 0.95, "improved", "pass", "pass"),
        (0.9, 0.9, "unchanged", "pass", "pass"),
        (0.3, 0.1 + 0.2, "unchanged", "pass", "pass"),
        (0.9, 0.895, "regressed", "pass", "pass"),
        (0.9, 0.8, "regressed", "fail", "fail"),
        (0.9, math.nan, "inconclusive", "fail", "fail"),
        (math.nan, 0.9, "inconclusive", "no-baseline", "no-baseline"),
    ],
)
def test_compare__a_gated_metric(before: float, now: float, verdict: str, gate: str, overall: str) -> None:
    comparison = compared(record(metric(now)), record(metric(before)), WITHIN)
    [delta] = comparison.deltas
    assert (delta.verdict, delta.gate, comparison.verdict) == (verdict, gate, overall)
    assert comparison.blocks == (overall == "fail")


def test_compare__a_metric_without_a_rule_is_reported_and_gates_nothing() -> None:
    comparison = compared(record(metric(0.1)), record(metric(0.9)))
    [delta] = comparison.deltas
    assert (delta.verdict, delta.gate, comparison.verdict, comparison.blocks) == ("regressed", "none", "pass", False)


def test_compare__a_name_that_says_nothing_has_no_direction() -> None:
    rule = Rule(pattern="gizmo", max_regression=0.1)
    comparison = compared(record(metric(1.0, "gizmo")), record(metric(2.0, "gizmo")), rule)
    [delta] = comparison.deltas
    assert (delta.direction, delta.verdict, delta.gate) == (None, "inconclusive", "inconclusive")
    assert "set direction in its rule" in str(delta.reason)


@pytest.mark.parametrize(
    ("given", "logged", "verdict"),
    [
        (None, None, "improved"),
        (None, "lower", "regressed"),
        ("lower", "higher", "regressed"),
        ("higher", None, "improved"),
    ],
)
def test_compare__direction_of_the_rule_then_the_metric_then_the_name(given: Any, logged: Any, verdict: str) -> None:
    now, before = (record(metric(value, direction=logged)) for value in (0.9, 0.8))
    assert compared(now, before, Rule(pattern="*", direction=given)).deltas[0].verdict == verdict


def test_compare__min_and_max_need_no_baseline() -> None:
    bounds = Rule(pattern="accuracy", min=0.85)
    assert compared(record(metric(0.9)), None, bounds).verdict == "pass"
    failed = compared(record(metric(0.8)), None, bounds)
    assert (failed.verdict, failed.deltas[0].reason) == ("fail", "below the minimum 0.85")


def test_compare__no_baseline_is_never_a_pass() -> None:
    assert compared(record(metric(0.9)), None, WITHIN).verdict == "no-baseline"
    assert compared(record(metric(0.9)), None).verdict == "no-baseline"


def test_compare__a_metric_that_is_new() -> None:
    comparison = compared(record(metric(0.9)), record(metric(1.0, "loss")), WITHIN)
    assert [(delta.metric, delta.verdict, delta.gate) for delta in comparison.deltas] == [
        ("accuracy", "new", "no-baseline"),
        ("loss", "missing", "none"),
    ]


@pytest.mark.parametrize(
    ("rule", "gate", "overall"),
    [
        (Rule(pattern="accuracy", max_regression=0.1), "fail", "fail"),
        (Rule(pattern="acc*", max_regression=0.1), "inconclusive", "inconclusive"),
        (Rule(pattern="acc*", required=True), "fail", "fail"),
        (Rule(pattern="loss"), "none", "pass"),
    ],
)
def test_compare__a_metric_that_is_gone(rule: Rule, gate: str, overall: str) -> None:
    still = metric(0.9, "acc5")
    comparison = compared(record(still), record(metric(0.9), still), rule)
    gone = comparison.deltas[-1]
    assert (gone.metric, gone.verdict, gone.gate) == ("accuracy", "missing", gate)
    assert comparison.verdict == overall


def test_compare__all_that_rules_are_about_is_gone() -> None:
    before = record(metric(0.9), metric(0.8, "accuracy5"), metric(1.0, "size"))
    comparison = compared(record(metric(1.0, "size")), before, Rule(pattern="acc*", max_regression=0.1))
    assert [(delta.gate, delta.reason) for delta in comparison.deltas[1:]] == [
        ("fail", "the run no longer reports it, and nothing that a rule is about is left"),
    ] * 2


def test_compare__a_required_metric_that_nobody_ever_had() -> None:
    comparison = compared(record(metric(0.9)), record(metric(0.9)), Rule(pattern="*recall", required=True))
    missing = comparison.deltas[-1]
    assert (missing.metric, missing.gate, comparison.verdict) == ("*recall", "fail", "fail")


def test_compare__a_run_can_take_itself_out_of_a_required_rule() -> None:
    required, own = Rule(pattern="accuracy", required=True), Rule(pattern="*")
    assert compared(record(metric(1.0, "rows")), record(metric(1.0, "rows")), required, own=[own]).verdict == "pass"


@pytest.mark.parametrize(
    ("samples", "n", "gate"), [((), None, "inconclusive"), ((0.9, 0.9, 0.9), None, "pass"), ((), 3, "pass")]
)
def test_compare__too_few_seeds_or_examples(samples: tuple[float, ...], n: int | None, gate: str) -> None:
    now = record(metric(0.9, samples=samples, n=n))
    comparison = compared(now, record(metric(0.9)), Rule(pattern="accuracy", min_n=3, max_regression=0.1))
    assert comparison.deltas[0].gate == gate


def test_compare__splits_and_slices_are_apart() -> None:
    now = record(metric(0.9), metric(0.5, split="test"), metric(0.4, slice="old"))
    before = record(metric(0.9), metric(0.9, split="test"), metric(0.4, slice="old"))
    assert [(delta.metric, delta.slice, delta.gate) for delta in compared(now, before, WITHIN).deltas] == [
        ("accuracy", None, "pass"),
        ("accuracy (test)", None, "fail"),
        ("accuracy", "old", "none"),
    ]


def test_compare__another_definition_is_said_and_where_asked_for_decides_nothing() -> None:
    now, before = (
        record(metric(value, definition=definition), metric(0.7, "loss", definition=definition))
        for value, definition in ((0.8, "version 2"), (0.9, "version 1"))
    )
    loose = compared(now, before, WITHIN)
    assert (loose.verdict, loose.notes) == (
        "fail",
        ("train: accuracy and 1 more: its definition is another one: version 1 → version 2",),
    )
    strict = compare(
        [now],
        baselines={"train": Baseline(before, 0)},
        rules={"train": ((WITHIN,),)},
        gate=GateSettings(),
        current="a" * 64,
        strict=True,
    )
    assert [(delta.gate, delta.reason) for delta in strict.deltas] == [
        ("inconclusive", "not comparable: its definition is another one: version 1 → version 2"),
        ("none", None),
    ]


def test_compare__a_metric_that_a_rule_of_the_run_names_and_that_never_was() -> None:
    comparison = compared(record(metric(0.9)), record(metric(0.9)), own=[Rule(pattern="recall", min=0.1)])
    assert [(delta.metric, delta.verdict, delta.gate, delta.reason) for delta in comparison.deltas] == [
        ("accuracy", "unchanged", "none", None),
        ("recall", "missing", "fail", "the run did not report it, and a rule names it"),
    ]


def test_compare__a_metric_that_a_rule_for_all_runs_names_and_none_has_is_noted() -> None:
    rules = [Rule(pattern="acuracy", min=0.1), Rule(pattern="loss*", min=0.1)]
    comparison = compared(record(metric(0.9)), record(metric(0.9)), *rules)
    assert (comparison.verdict, comparison.notes) == ("pass", ("no run reports acuracy, which a rule names",))
    assert compared(record(status="failed"), None, *rules).notes == ()


def test_compare__a_slice_that_a_rule_is_about_and_none_has_is_noted() -> None:
    rules = [
        Rule(pattern="accuracy", min=0.1, slice="country=*"),
        Rule(pattern="accuracy", min=0.1, slice="contry=*"),
        Rule(pattern="acuracy", min=0.1),
        Rule(pattern="acuracy", min=0.1, slice="country=*"),
    ]
    measured = record(metric(0.9), metric(0.9, slice="country=DE"))
    assert compared(measured, measured, *rules).notes == (
        "no run reports a slice contry=* of accuracy, which a rule is about",
        "no run reports acuracy, which a rule names",
        "no run reports a slice country=* of acuracy, which a rule is about",
    )


def test_compare__slices_of_a_metric_are_one_reason_that_names_the_worst() -> None:
    rule = Rule(pattern="accuracy", max_regression=0.01, slice="country=*")
    before = record(*(metric(0.9, slice=f"country={name}") for name in ("DE", "FR", "IT")))
    now = record(*(metric(0.9 - fall, slice=f"country={name}") for name, fall in (("DE", 0.1), ("FR", 0.3), ("IT", 0))))
    comparison = compared(now, before, rule)
    assert comparison.reasons == (
        "train: accuracy [country=FR], the worst of 2 slices: 0.3 worse, at most 0.01 allowed",
    )


FAILED: dict[str, Any] = {"status": "failed", "error": Failure(kind="exception", message="ValueError: no")}
SKIPPED: dict[str, Any] = {"status": "skipped", "reason": "event push"}
BLOCKED: dict[str, Any] = {"status": "skipped", "error": Failure(kind="needs", message="needs prepare")}


@pytest.mark.parametrize(
    ("fields", "overall", "blocks", "reasons"),
    [
        (FAILED, "fail", True, ("train: ValueError: no",)),
        (BLOCKED, "fail", True, ("train: needs prepare",)),
        (SKIPPED, "pass", False, ()),
    ],
)
def test_compare__a_run_that_did_not_succeed(
    fields: dict[str, Any], overall: str, blocks: bool, reasons: tuple[str, ...]
) -> None:
    comparison = compared(record(**fields), record(metric(0.9)), Rule(pattern="accuracy", required=True))
    assert (comparison.verdict, comparison.blocks, comparison.reasons) == (overall, blocks, reasons)
    assert comparison.deltas == ()


@pytest.mark.parametrize(
    ("gate", "blocks", "reasons"),
    [
        ({}, False, 1),
        ({"on_no_baseline": "pass"}, False, 0),
        ({"on_no_baseline": "warn"}, False, 1),
        ({"on_no_baseline": "fail"}, True, 1),
        ({"on_no_baseline": "fail", "mode": "report"}, False, 1),
    ],
)
@pytest.mark.parametrize("rules", [(), (WITHIN,)], ids=["no rule", "a rule"])
def test_compare__what_no_baseline_does(
    gate: dict[str, Any], blocks: bool, reasons: int, rules: tuple[Rule, ...]
) -> None:
    comparison = compared(record(metric(0.9)), None, *rules, **gate)
    assert (comparison.verdict, comparison.blocks, len(comparison.reasons)) == ("no-baseline", blocks, reasons)


@pytest.mark.parametrize(("policy", "blocks", "reasons"), [("pass", False, 0), ("warn", False, 1), ("fail", True, 1)])
def test_compare__what_inconclusive_and_skipped_do(policy: Any, blocks: bool, reasons: int) -> None:
    unknown = compared(
        record(metric(1.0, "gizmo")),
        record(metric(1.0, "gizmo")),
        Rule(pattern="*", max_regression=1),
        on_inconclusive=policy,
    )
    skipped = compared(record(**SKIPPED), None, on_skipped=policy)
    for comparison in (unknown, skipped):
        assert (comparison.blocks, len(comparison.reasons)) == (blocks, reasons)


def test_compare__report_mode_never_blocks() -> None:
    comparison = compared(record(metric(0.1)), record(metric(0.9)), WITHIN, mode="report")
    assert (comparison.verdict, comparison.blocks) == ("fail", False)


def test_compare__the_worst_of_several_runs() -> None:
    before = record(metric(0.9))
    runs = [record(metric(0.9), name="good"), record(metric(0.1), name="bad")]
    assert compared(runs, before, WITHIN).verdict == "fail"


def test_changes__environment_inputs_and_parameters() -> None:
    def environment(python: str, **packages: str) -> Environment:
        return Environment(python=python, packages=packages)

    before = record(
        environment=environment("3.11.7", numpy="1", torch="2"), inputs={"a": "1", "b": "1"}, parameters={"rate": 1}
    )
    now = record(
        environment=environment("3.12.0", numpy="2", jax="1"), inputs={"a": "2", "c": "1"}, parameters={"rate": 2}
    )
    assert changes(now, before) == (
        "python 3.11.7 → 3.12.0",
        "jax absent → 1",
        "numpy 1 → 2",
        "torch 2 → absent",
        "input a changed",
        "input b removed",
        "input c added",
        "parameter rate 1 → 2",
    )


def test_changes__many_packages_are_counted() -> None:
    now = record(environment=Environment(packages={f"p{number}": "2" for number in range(9)}))
    before = record(environment=Environment(packages={f"p{number}": "1" for number in range(9)}))
    assert changes(now, before)[-1] == "4 more packages"


def beside(now: float, deployed: float, *, gates: bool) -> Comparison:
    return compare(
        [record(metric(now))],
        baselines={"train": Baseline(record(metric(0.9)), 0)},
        rules={"train": [[WITHIN]]},
        gate=GateSettings(),
        current="a" * 64,
        deployed={"train": Shown("churn@v1.2.0", record(metric(deployed)), gates=gates)},
    )


def test_compare__what_is_deployed_is_shown_and_decides_nothing() -> None:
    found = beside(0.9, 0.99, gates=False)
    assert (found.deltas[0].deployed, found.deltas[0].gate, found.blocks) == (0.99, "pass", False)
    assert found.baselines["train"].deployed == "churn@v1.2.0"


def test_compare__what_is_deployed_gates_where_it_is_asked_to() -> None:
    found = beside(0.9, 0.99, gates=True)
    assert (found.deltas[0].gate, found.verdict, found.blocks) == ("fail", "fail", True)
    assert found.reasons == ("train: accuracy: against the deployed churn@v1.2.0: 0.09 worse, at most 0.01 allowed",)
    assert not beside(0.9, 0.9, gates=True).blocks


def test_compare__what_fails_against_the_baseline_says_so_once() -> None:
    [delta] = beside(0.8, 0.99, gates=True).deltas
    assert delta.reason == "0.1 worse, at most 0.01 allowed"


EVERYTHING = Rule(pattern="*", max_regression=0.05)


@pytest.mark.parametrize(
    ("accuracy", "loss", "gizmo", "gates"),
    [
        (0.9, 0.3, 2.0, ("pass", "pass", "inconclusive")),
        (0.8, 0.3, 2.0, ("fail", "pass", "inconclusive")),
        (0.9, 0.4, 2.0, ("pass", "fail", "inconclusive")),
        (1.0, 0.1, 1.0, ("pass", "pass", "inconclusive")),
        (0.8, 0.4, 9.0, ("fail", "fail", "inconclusive")),
    ],
)
@pytest.mark.parametrize("tolerance", [0.05, "6%"])
def test_compare__one_rule_for_all_judges_each_in_its_own_direction(
    accuracy: float, loss: float, gizmo: float, gates: tuple[str, ...], tolerance: float | str
) -> None:
    now = record(metric(accuracy), metric(loss, "loss"), metric(gizmo, "gizmo"))
    before = record(metric(0.9), metric(0.3, "loss"), metric(2.0, "gizmo"))
    found = compared(now, before, msgspec.structs.replace(EVERYTHING, max_regression=tolerance))
    assert tuple(delta.gate for delta in found.deltas) == gates
    assert found.blocks is ("fail" in gates)
    assert found.deltas[2].reason == "its direction is not known: set direction in its rule"


def test_compare__one_rule_for_all_over_seeds() -> None:
    def seeded(name: str, *samples: float) -> Metric:
        return metric(sum(samples) / len(samples), name, samples=samples, seeds=tuple(range(len(samples))))

    before = record(seeded("accuracy", 0.90, 0.91, 0.92, 0.91), seeded("loss", 0.30, 0.31, 0.32, 0.31))
    now = record(seeded("accuracy", 0.80, 0.81, 0.82, 0.80), seeded("loss", 0.20, 0.21, 0.22, 0.20))
    assert [delta.gate for delta in compared(now, before, EVERYTHING).deltas] == ["fail", "pass"]
    assert [delta.gate for delta in compared(before, now, EVERYTHING).deltas] == ["pass", "fail"]


def test_compare__one_rule_for_all_and_one_that_says_the_direction() -> None:
    rules = (EVERYTHING, Rule(pattern="gizmo", max_regression=0.05, direction="lower"))
    before = record(metric(0.9), metric(2.0, "gizmo"))
    assert [delta.gate for delta in compared(record(metric(0.9), metric(1.0, "gizmo")), before, *rules).deltas] == [
        "pass",
        "pass",
    ]
    [_, worse] = compared(record(metric(0.9), metric(3.0, "gizmo")), before, *rules).deltas
    assert worse.gate == "fail"
