from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fakes.comparisons import delta, failed, judged, measured, passing
from mlci.core.documents import Comparison, Delta, Record
from mlci.render.parts import Line, Quoted
from mlci.render.points import accepted, problems
from mlci.render.text import headline

UNDECIDED = "0.021 worse, at most 0.01 allowed, but that may be noise; about 4 more seeds would tell"


def said(lines: list[Line]) -> list[str]:
    return ["".join(part.text if isinstance(part, Quoted) else str(part) for part in line) for line in lines]


def told(comparison: Comparison, *records: Record) -> list[str]:
    return said(problems(comparison, records or [measured()]))


def undecided(metric: str = "f1", **fields: object) -> Delta:
    given: dict[str, object] = {"gate": "inconclusive", "verdict": "inconclusive", "interval": (-0.05, 0.01)}
    return delta(metric, 0.812, 0.791, reason=UNDECIDED, **given | fields)


def test_problems__a_failure_says_its_numbers_once() -> None:
    assert told(judged(delta())) == [
        "train accuracy 0.912 → 0.881 (−3.4%, 3 paired seeds): "
        "0.031 worse, at most 0.01 allowed (90% interval 0.02 to 0.042)"
    ]


def test_problems__an_undecided_one_shows_how_sure_the_change_is() -> None:
    assert told(judged(undecided())) == [
        f"train f1 0.812 → 0.791 (change −0.050 … +0.010, 3 paired seeds): inconclusive: {UNDECIDED}"
    ]


def test_problems__without_noise_it_says_so() -> None:
    bare = delta(interval=None, noise="none", reason="0.031 worse, at most 0.01 allowed")
    repeated = delta("f1", interval=None, noise="none, deterministic", reason="below the minimum 0.9")
    assert told(judged(bare, repeated)) == [
        "train accuracy 0.912 → 0.881 (−3.4%, noise not known): 0.031 worse, at most 0.01 allowed",
        "train f1 0.912 → 0.881 (−3.4%, deterministic): below the minimum 0.9",
    ]


def test_problems__without_one_of_the_values() -> None:
    gone = delta("recall", 0.9, None, reason="required, but the run did not report it", verdict="missing")
    new = delta("f1", None, 0.7, reason="below the minimum 0.8", verdict="new")
    assert told(judged(gone, new)) == [
        "train recall: required, but the run did not report it",
        "train f1 = 0.7: below the minimum 0.8",
    ]


def test_problems__where_nothing_was_measured_it_says_what_to_do() -> None:
    nothing = [
        "nothing to compare: name the file of the metrics in metrics of the run, "
        "or call log_metric of mlci_log in its code"
    ]
    unknown = replace(judged(), verdict="no-baseline")
    assert told(unknown) == nothing
    assert "no metric was written" in headline(unknown, [measured()])
    assert told(replace(unknown, verdict="pass")) == []
    assert told(unknown, failed()) == told(judged(), failed())


def test_headline__what_got_worse_where_no_rule_looks_is_counted_as_what_improved_is() -> None:
    free: dict[str, Any] = {"gate": "none", "reason": None}
    shown = headline(judged(delta(**free), delta("f1", 0.7, 0.9, verdict="improved", **free)), [measured()])
    assert shown == "pass: 1 worse without a rule, 1 improved, 0 of 2 metrics gated"


def test_problems__several_slices_of_a_metric_are_one_line_that_names_the_worst() -> None:
    reason = "0.032 worse, at most 0.03 allowed"
    slices = [
        delta("accuracy", 0.9, 0.9 - loss / 1000, slice=f"country={code}", reason=f"0.0{loss} worse", interval=None)
        for code, loss in (("AT", 31), ("DE", 57), ("CH", 40))
    ]
    one = delta("recall", 0.9, 0.868, slice="country=AT", reason=reason, interval=None)
    open_ = [undecided("accuracy", slice=f"country={code}") for code in ("FR", "IT")]
    assert told(judged(*open_, *slices, one)) == [
        "train accuracy fails in 3 slices, the worst country=DE 0.9 → 0.843 (−6.33%, 3 paired seeds): 0.057 worse",
        f"train recall [country=AT] 0.9 → 0.868 (−3.56%, 3 paired seeds): {reason}",
        "train accuracy is inconclusive in 2 slices, the worst country=FR 0.812 → 0.791 "
        f"(change −0.050 … +0.010, 3 paired seeds): {UNDECIDED}",
    ]


def test_problems__without_a_baseline_are_counted() -> None:
    alone = [delta(f"m{number}", None, 0.5, gate="no-baseline", verdict="new") for number in range(2)]
    part = delta("m1", None, 0.5, gate="no-baseline", verdict="new", slice="country=AT")
    assert told(judged(*alone, part)) == ["2 metrics and 1 slice without a baseline to compare with"]


def test_problems__failed_runs_come_first_and_four_lines_are_the_most() -> None:
    deltas = [undecided(), *(delta(f"m{number}") for number in range(3))]
    found = told(judged(*deltas), failed())
    assert [line.split(" 0.")[0] for line in found] == [
        "train failed in notebooks/train.ipynb, cell 4, line 2: ValueError: no such column",
        "train m0",
        "train m1",
        "and 2 more, below",
    ]


def test_problems__a_pass_has_none() -> None:
    assert told(judged(passing(), delta(gate="pass", accepted="on purpose"), delta(gate="none"))) == []


def test_accepted__is_said_with_its_reason() -> None:
    assert said(accepted(judged(delta(gate="pass", accepted="fewer layers"), passing()))) == [
        "train accuracy 0.912 → 0.881 (change −0.042 … −0.020, 3 paired seeds): accepted: fewer layers"
    ]


def test_accepted__what_fails_all_the_same_is_a_problem() -> None:
    assert accepted(judged(delta(accepted="a little worse"))) == []


def test_accepted__two_lines_are_the_most() -> None:
    deltas = [delta(f"m{number}", gate="pass", accepted="on purpose") for number in range(5)]
    found = said(accepted(judged(*deltas)))
    assert found[0].startswith("train m0 ")
    assert found[1:] == ["and 4 more accepted, below"]
