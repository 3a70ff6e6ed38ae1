"""The sample of docs/how-to/read-the-report.md is what mlci writes."""

from __future__ import annotations

from pathlib import Path

from fakes.comparisons import COMMIT, delta, judged, measured, passing
from mlci.core.documents import Comparison, Delta
from mlci.render import markdown, terminal
from mlci.render.report import Meta

PAGE = Path(__file__).parents[3] / "docs/how-to/read-the-report.md"
META = Meta(commit=COMMIT, command="mlci run train")
EXAMPLES = {"noise": "3 paired seeds, 4,000 examples", "tolerance": "at most 0.03 lower"}


def slice_(code: str, worse: float, **fields: object) -> Delta:
    given: dict[str, object] = {
        "slice": f"country={code}",
        "interval": (-worse - 0.018, -worse + 0.018),
        "reason": f"{worse:g} worse, at most 0.03 allowed (90% interval {worse - 0.018:.2g} to {worse + 0.018:.2g})",
    }
    return delta("accuracy", 0.9, 0.9 - worse, **EXAMPLES | given | fields)


def sample() -> Comparison:
    quiet: dict[str, object] = {"gate": "pass", "verdict": "inconclusive", "reason": None, "detectable": 0.055}
    undecided: dict[str, object] = {
        "gate": "inconclusive",
        "verdict": "inconclusive",
        "reason": "0.021 worse, at most 0.01 allowed, but that may be noise; about 4 more seeds would tell",
        "interval": (-0.05, 0.008),
        "detectable": 0.035,
    }
    return judged(
        delta(),
        slice_("DE", 0.071),
        slice_("AT", 0.056),
        *(slice_(f"X{number}", 0.0003 * number, **quiet) for number in range(40)),
        delta("f1", 0.812, 0.791, **undecided),
        passing("loss", 0.3112, 0.3098, direction="lower", tolerance="at most 2% higher", detectable=0.0071),
        delta(
            "size",
            120,
            141,
            unit="MB",
            gate="pass",
            direction="lower",
            interval=None,
            noise="none",
            tolerance="at most 10% higher",
            accepted="the larger tokenizer, see issue 12",
        ),
        delta("recall", 0.701, 0.752, gate="none", verdict="improved", interval=(0.021, 0.081)),
        distance=2,
        created_at="2024-04-28T12:00:00+00:00",
        changed=("python 3.11.9 → 3.12.1", "parameter trees 100 → 200", "numpy 1.26.4 → 2.0.0", "seeds 5 → 3"),
        doubts=("python 3.11.9 → 3.12.1", "parameter trees 100 → 200", "numpy 1.26.4 → 2.0.0"),
    )


def test_page__shows_what_stands_above_the_fold() -> None:
    text = terminal.report(sample(), [measured()], meta=META, colour=False)
    fold = text.partition("\n\n")[0]
    assert f"```text\n{fold}\n```" in PAGE.read_text(encoding="utf-8")


def test_page__shows_the_table_of_gated_metrics() -> None:
    text = markdown.report(sample(), [measured()], meta=META)
    table = [line for line in text.partition("Other metrics")[0].splitlines() if line.startswith("|")]
    assert "\n".join(table) in PAGE.read_text(encoding="utf-8")
