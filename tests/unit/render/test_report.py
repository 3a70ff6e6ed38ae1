from __future__ import annotations

import msgspec
import pytest

from fakes.comparisons import BEFORE, compared, delta, failed, judged, measured, passing, skipped
from mlci.core.documents import (
    Artifact,
    Attempt,
    Comparison,
    Cost,
    Environment,
    Failure,
    Location,
    Outputs,
    Record,
    Resources,
    Rule,
)
from mlci.render import markdown, terminal
from mlci.render.report import Meta

META = Meta(commit="c" * 40, command="mlci run train")
CELL = Location(file="notebooks/train.ipynb", line=45)
MODULE = Location(file="src/features.py", line=12)
ATTEMPT = Attempt(status="timed-out", started_at="2024-05-01", duration_s=7200.0, run_url="https://example.com/1")


def lines(
    *records: Record, before: Record | None = None, rules: tuple[Rule, ...] | None = None, meta: Meta = META
) -> list[str]:
    comparison: Comparison = compared(*records, before=before, rules=rules)
    return terminal.report(comparison, records, meta=meta, colour=False).splitlines()


def shown(comparison: Comparison, *records: Record) -> list[str]:
    return terminal.report(comparison, records or [measured()], meta=META, colour=False).splitlines()


def fold(found: list[str]) -> list[str]:
    return found[: found.index("")]


def test_report__a_pass_is_two_lines() -> None:
    assert fold(lines(measured(), before=measured(commit=BEFORE))) == [
        "mlci: pass: 1 of 1 metric gated",
        "Commit ccccccc, baseline bbbbbbb (the merge base), profile default · took 42 s, CPU 40 s, peak 123 MB",
    ]


def test_report__a_regression() -> None:
    assert fold(
        lines(
            measured(metrics={"accuracy": 0.8, "f1": 0.9}),
            before=measured(commit=BEFORE, metrics={"accuracy": 0.9, "f1": 0.8}),
        )
    ) == [
        "mlci: fail, blocking: 1 metric worse than allowed, 1 improved, 1 of 2 metrics gated",
        "- train accuracy 0.9 → 0.8 (−11.1%, noise not known): 0.1 worse, at most 0.01 allowed",
        "Commit ccccccc, baseline bbbbbbb (the merge base), profile default · took 42 s, CPU 40 s, peak 123 MB",
        "Executed notebook or log: .mlci/outputs/train/executed.ipynb",
        "Again on a laptop: mlci run train",
    ]


def test_report__a_failed_run_says_where_and_what() -> None:
    assert fold(lines(failed(), before=measured(commit=BEFORE)))[:2] == [
        "mlci: fail, blocking: 1 run did not succeed",
        "- train failed in notebooks/train.ipynb, cell 4, line 2: ValueError: no such column",
    ]


def test_report__however_much_goes_wrong_it_is_eight_lines() -> None:
    records = [*(failed(f"run{number}") for number in range(9)), measured(metrics={"accuracy": 0.1})]
    found = fold(lines(*records, before=measured(commit=BEFORE)))
    assert len(found) <= 8
    assert "- and 7 more, below" in found


def test_report__no_baseline_is_said_with_its_reason() -> None:
    found = fold(lines(measured()))
    assert found[0] == "mlci: no baseline, not blocking: 1 of 1 metric gated"
    assert found[1] == "- 1 metric without a baseline to compare with"
    assert found[2].startswith("Commit ccccccc, no baseline: the history is shallow, profile default · took 42 s")


def test_report__an_inconclusive_metric() -> None:
    rules = (Rule(pattern="gizmo", max_regression=0.1),)
    found = fold(
        lines(measured(metrics={"gizmo": 1.0}), before=measured(commit=BEFORE, metrics={"gizmo": 2.0}), rules=rules)
    )
    assert found[0] == "mlci: inconclusive, not blocking: 1 metric undecided, 1 of 1 metric gated"
    assert "inconclusive: its direction is not known" in found[1]


def test_report__points_to_the_run_that_failed_first() -> None:
    found = fold(lines(measured("good"), failed("bad"), before=measured(commit=BEFORE)))
    assert "Executed notebook or log: .mlci/outputs/bad/executed.ipynb" in found


@pytest.mark.parametrize(
    ("section", "row"),
    [
        (
            "Gated metrics (1)",
            ["train", "accuracy", "0.9", "0.9", "0, unchanged", "at most 0.01 lower", "░░░░┃···●····", "pass"],
        ),
        ("Other metrics (1)", ["train", "loss", "0.5", "0.4", "−0.1 (−20%)", "improved"]),
        ("Runs (1)", ["train", "succeeded", "–", "42 s (was 10 s)", "40 s", "123 MB (was 123 MB)"]),
    ],
)
def test_report__tables(section: str, row: list[str]) -> None:
    before = measured(commit=BEFORE, metrics={"accuracy": 0.9, "loss": 0.5}, duration_s=10.0)
    found = lines(measured(metrics={"accuracy": 0.9, "loss": 0.4}), before=before)
    cells = found[found.index(section) + 3].split("  ")
    assert [cell.strip() for cell in cells if cell.strip()] == row


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("Skipped (1)", "  gpu: event push is not in only.events (schedule)"),
        ("Changed since the baseline (1)", "  train: numpy 1 → 2"),
        ("Tracebacks", "  bad in notebooks/train.ipynb, cell 4, line 2"),
        ("Files", "  train: .mlci/outputs/train/executed.ipynb"),
    ],
)
def test_report__sections(section: str, line: str) -> None:
    now = measured(environment=Environment(packages={"numpy": "2"}))
    before = measured(commit=BEFORE, environment=Environment(packages={"numpy": "1"}))
    bad = failed("bad", environment=Environment(packages={"numpy": "1"}))
    found = lines(now, bad, skipped(), before=before)
    assert found[found.index(section) + 1] == line


def test_report__artifacts_with_their_digests() -> None:
    artifact = Artifact(path="model.bin", size=2_000, sha256="d" * 64)
    found = lines(measured(artifacts=(artifact,)))
    assert "  train: model.bin, 2 kB, sha256 dddddddddddd" in found


def test_report__empty_sections_are_left_out() -> None:
    found = lines(measured(), before=measured(commit=BEFORE))
    assert not any(line.startswith(("Skipped", "Tracebacks", "Other metrics")) for line in found)


def section(found: list[str], title: str) -> list[str]:
    """The lines of a section."""
    start = found.index(title) + 1
    return [line.strip() for line in found[start : found.index("", start) if "" in found[start:] else None]]


@pytest.mark.parametrize(
    ("at", "where"),
    [
        pytest.param((), "notebooks/train.ipynb, cell 4, line 2", id="not known"),
        pytest.param((CELL,), "notebooks/train.ipynb, cell 4, line 2", id="in the cell itself"),
        pytest.param(
            (MODULE, CELL), "notebooks/train.ipynb, cell 4, line 2 (src/features.py, line 12)", id="in a module"
        ),
    ],
)
def test_report__a_failed_run_says_the_cell_and_the_line_in_the_user_s_own_file(
    at: tuple[Location, ...], where: str
) -> None:
    error = failed().error
    assert error is not None
    found = lines(failed(error=msgspec.structs.replace(error, at=at)))
    assert f"- train failed in {where}: ValueError: no such column" in fold(found)
    assert f"train in {where}" in section(found, "Tracebacks")


def test_report__a_failure_of_a_command_is_where_the_user_s_code_was() -> None:
    error = Failure(kind="exit-code", message="exit status 1", at=(MODULE,))
    assert "- train failed in src/features.py, line 12: exit status 1" in fold(lines(failed(error=error)))


@pytest.mark.parametrize(
    ("amount", "shown"), [(0.1234, "0.12 EUR"), (12.0, "12.00 EUR"), (0.00123, "0.0012 EUR"), (0.0, "0 EUR")]
)
def test_report__cost(amount: float, shown: str) -> None:
    found = lines(measured(cost=Cost(amount=amount, currency="EUR")), before=measured(commit=BEFORE))
    assert fold(found)[1].endswith(f"took 42 s, CPU 40 s, peak 123 MB, cost {shown}")
    assert section(found, "Runs (1)")[0].endswith("Cost")
    assert section(found, "Runs (1)")[2].endswith(shown)


def test_report__costs_of_all_runs_are_one_sum() -> None:
    runs = [measured(name, cost=Cost(amount=0.5, currency="USD")) for name in ("a", "b")]
    assert fold(lines(*runs, before=measured(commit=BEFORE)))[1].endswith(", cost 1.00 USD")


def test_report__gpu_where_there_is_one() -> None:
    used = Resources(cpu_s=1.0, peak_memory_bytes=1, gpu_memory_bytes=8_000_000_000, gpu_utilisation=0.734)
    with_gpu, without = lines(measured("a", resources=used), measured("b")), lines(measured())
    header, _, first, second = section(with_gpu, "Runs (2)")
    assert header.endswith("GPU use")
    assert first.split()[-3:] == ["8", "GB", "73%"]
    assert second.split()[-2:] == ["–", "–"]
    assert "GPU" not in "".join(without)


def test_report__what_was_reused_took_nothing() -> None:
    found = lines(measured("a", reused=True), measured("b"), before=measured(commit=BEFORE))
    assert fold(found)[1].endswith("took 42 s, CPU 40 s, peak 123 MB, 1 run reused")
    assert "succeeded, reused" in section(found, "Runs (2)")[2]
    assert fold(lines(measured(reused=True), before=measured(commit=BEFORE)))[1].endswith(" · 1 run reused")


@pytest.mark.parametrize(
    ("count", "seeds", "status"),
    [
        (0, (), "succeeded"),
        (1, (), "succeeded, 2nd attempt, went on from a checkpoint"),
        (2, (7,), "succeeded, 3rd attempt, went on from a checkpoint"),
        (10, (), "succeeded, 11th attempt, went on from a checkpoint"),
        (2, (0, 1), "succeeded, 2 earlier attempts, went on from a checkpoint"),
    ],
)
def test_report__which_attempt_it_is(count: int, seeds: tuple[int, ...], status: str) -> None:
    found = lines(measured(attempts=(ATTEMPT,) * count, seeds=seeds))
    assert section(found, "Runs (1)")[2].split("  ")[1].strip() == status


def test_report__earlier_attempts_and_notes_are_below_the_fold() -> None:
    lost = Attempt(status="crashed", started_at="2024-05-02", duration_s=0.0)
    found = lines(
        measured(attempts=(ATTEMPT, lost), notes=("the kernel was started twice",)), before=measured(commit=BEFORE)
    )
    assert len(fold(found)) == 2
    assert section(found, "Earlier attempts (2)") == [
        "train: timed-out after 2 h 00 min, started 2024-05-01, in https://example.com/1",
        "train: crashed, started 2024-05-02",
    ]
    assert section(found, "Notes (1)") == ["train: the kernel was started twice"]


def test_report__whole_outputs_are_among_the_files() -> None:
    kept = Outputs(notebook="outputs/train/executed.ipynb", spilled=("outputs/train/cell-3.txt",))
    found = lines(measured(outputs=(kept,)))
    assert "train: .mlci/outputs/train/cell-3.txt, an output in full" in section(found, "Files")


def test_report__hostile_words_of_a_record_are_only_words() -> None:
    bad = "x](http://evil) <img> @team"
    attempt = Attempt(status="failed", started_at=bad, duration_s=1.0, run_url=bad)
    record = measured(
        notes=(bad,),
        attempts=(attempt,),
        cost=Cost(amount=float("nan"), currency=bad),
        outputs=(Outputs(spilled=(bad,)),),
        error=Failure(kind="x", message="x", file="a.ipynb", at=(Location(file=bad, line=1),)),
    )
    text = markdown.report(compared(record), [record], meta=META)
    assert text.count(f"`{bad}`") + text.count(f"`.mlci/{bad}`") == text.count(bad) > 5


def test_report__slices_are_counted_apart_from_metrics() -> None:
    deltas = [
        delta(),
        *(delta(slice=f"country={code}") for code in ("AT", "CH", "DE")),
        delta(slice="country=FR", gate="inconclusive", verdict="inconclusive"),
        delta("size", gate="pass", accepted="the larger tokenizer"),
        passing("f1", verdict="improved"),
        passing("loss", slice="country=AT", gate="none"),
    ]
    found = shown(judged(*deltas))
    assert found[0] == (
        "mlci: fail, blocking: 1 metric and 3 slices worse than allowed, 1 slice undecided, "
        "1 metric accepted as worse, 1 improved, 3 of 3 metrics and 4 slices gated"
    )
    assert "Gated metrics (3 and 4 slices)" in found
    assert "Other metrics (1 slice)" in found


def test_report__what_fails_is_counted_once_though_its_verdict_is_open() -> None:
    found = shown(judged(delta(verdict="inconclusive"), delta("f1", verdict="missing", now=None, interval=None)))
    assert found[0] == (
        "mlci: fail, blocking: 1 metric worse than allowed, 1 metric against its rule, 2 of 2 metrics gated"
    )


def test_report__where_a_missing_baseline_blocks_the_first_line_says_so() -> None:
    comparison = msgspec.structs.replace(judged(delta(before=None, gate="no-baseline", verdict="new")), blocks=True)
    assert shown(comparison)[0] == "mlci: fail, blocking: 1 metric without a baseline, 1 of 1 metric gated"


def test_report__slices_alone_are_no_metrics() -> None:
    assert shown(judged(passing(slice="country=AT")))[0] == "mlci: pass: 1 slice gated"


def test_report__a_pass_with_an_accepted_worsening_says_so_in_a_third_line() -> None:
    found = fold(shown(judged(delta(gate="pass", accepted="fewer layers, see issue 12"))))
    assert found == [
        "mlci: pass: 1 metric accepted as worse, 1 of 1 metric gated",
        "- train accuracy 0.912 → 0.881 (change −0.042 … −0.020, 3 paired seeds): accepted: fewer layers, see issue 12",
        "Commit ccccccc, baseline bbbbbbb (the merge base), profile default · took 42 s, CPU 40 s, peak 123 MB",
    ]


def test_report__what_else_changed_stands_beside_a_regression() -> None:
    changed = ("python 3.11.9 → 3.12.1", "input data/train.csv changed", "parameter trees 100 → 200")
    found = shown(judged(delta(), changed=changed, doubts=changed))
    assert "Also changed since the baseline: python 3.11.9 → 3.12.1, input data/train.csv changed, 1 more" in fold(
        found
    )
    assert section(found, "Changed since the baseline (3)") == [f"train: {line}" for line in changed]


def test_report__notes_of_the_comparison_come_before_those_of_runs() -> None:
    note = "train: the acceptance of recall has expired"
    found = shown(judged(passing(), notes=(note,)), measured(notes=("the kernel was started twice",)))
    assert section(found, "Notes (2)") == [note, "train: the kernel was started twice"]


def test_report__what_was_measured_elsewhere_was_not_run_here() -> None:
    record = measured(elsewhere="committed to git", duration_s=0.0, resources=None, outputs=())
    found = shown(judged(passing()), record, measured("other"))
    assert section(found, "Runs (2)")[2].split("  ")[1].strip() == "not run here"
    assert section(found, "Notes (1)") == ["train: not run here: committed to git"]
    assert fold(found)[1].endswith("took 42 s, CPU 40 s, peak 123 MB, 1 of 2 runs not run here")


def test_report__another_configuration_is_named() -> None:
    assert lines(measured(), meta=Meta(id="fraud"))[0].startswith("mlci fraud: ")
