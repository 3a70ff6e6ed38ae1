from __future__ import annotations

import pytest

from fakes.comparisons import BEFORE, compared, failed, measured, skipped
from mlci.core.documents import Artifact, Comparison, Environment, Record, Rule
from mlci.render import terminal
from mlci.render.report import Meta

META = Meta(commit="c" * 40, command="mlci run train")


def lines(
    *records: Record, before: Record | None = None, rules: tuple[Rule, ...] | None = None, meta: Meta = META
) -> list[str]:
    comparison: Comparison = compared(*records, before=before, rules=rules)
    return terminal.report(comparison, records, meta=meta, colour=False).splitlines()


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
        "- train accuracy 0.9 → 0.8, −0.1 (−11.1%): 0.1 worse, at most 0.01 allowed (one run: noise not known)",
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
    assert found[1] == "- 1 gated metric without a baseline to compare with"
    assert found[2].startswith("Commit ccccccc, no baseline: the history is shallow, profile default · took 42 s")


def test_report__an_inconclusive_metric() -> None:
    rules = (Rule(pattern="gizmo", max_regression=0.1),)
    found = fold(
        lines(measured(metrics={"gizmo": 1.0}), before=measured(commit=BEFORE, metrics={"gizmo": 2.0}), rules=rules)
    )
    assert found[0].startswith("mlci: inconclusive, not blocking")
    assert "inconclusive: its direction is not known" in found[1]


def test_report__points_to_the_run_that_failed_first() -> None:
    found = fold(lines(measured("good"), failed("bad"), before=measured(commit=BEFORE)))
    assert "Executed notebook or log: .mlci/outputs/bad/executed.ipynb" in found


@pytest.mark.parametrize(
    ("section", "row"),
    [
        ("Gated metrics (1)", ["train", "accuracy", "0.9", "0.9", "–, unchanged", "at most 0.01 lower", "pass"]),
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


def test_report__another_configuration_is_named() -> None:
    assert lines(measured(), meta=Meta(id="fraud"))[0].startswith("mlci fraud: ")
