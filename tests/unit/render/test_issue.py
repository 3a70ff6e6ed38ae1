"""The text of a monitor's issue."""

from __future__ import annotations

from fakes.comparisons import compared, measured
from mlci.core.drift import Finding
from mlci.core.monitoring import IssueMarker, Monitoring, find
from mlci.render import issue

MARKER = IssueMarker(id="main", monitor="churn", run_id=41, attempt=1)
HOSTILE = "`@team` | </details> <script> ![x](http://evil.example/x.png) " + "\U0001f600" * 1_000


def monitoring(*, accuracy: float = 0.8, name: str = "accuracy", metrics: int = 1, **changes: object) -> Monitoring:
    values = {name if number == 0 else f"{name}{number}": accuracy for number in range(metrics)}
    record = measured("watch", metrics=values)
    before = measured("watch", metrics=dict.fromkeys(values, 0.9))
    given: dict[str, object] = {
        "monitor": "churn",
        "model": "churn",
        "stage": "production",
        "version": "v1.0.0",
        "tag": "churn@v1.0.0",
        "commit": "a" * 40,
        "record": record,
        "reference": "churn",
        "comparison": compared(record, before=before),
        "reasons": ("watch: accuracy: 0.1 worse, at most 0.01 allowed",),
    }
    return Monitoring(**given | changes)  # type: ignore[arg-type]


def test_body__of_an_unhealthy_model() -> None:
    text = issue.body(monitoring(), marker=MARKER, run_url="https://github.com/team/models/actions/runs/41")
    assert text.startswith("### ❌ churn v1.0.0 in production is unhealthy\n")
    assert "- `watch: accuracy: 0.1 worse, at most 0.01 allowed`" in text
    assert "| `accuracy` | 0.9" in text
    assert "[this workflow run](https://github.com/team/models/actions/runs/41)" in text
    assert find(text) == MARKER


def test_body__of_a_healthy_model_has_the_last_values() -> None:
    text = issue.body(monitoring(accuracy=0.91, healthy=True, reasons=()), marker=MARKER, run_url=None)
    assert text.startswith("### ✅ churn v1.0.0 in production is healthy\n")
    assert "0.91" in text


def test_title__stays_the_same() -> None:
    assert issue.title(monitoring()) == issue.title(monitoring(healthy=True, version="v2.0.0"))


def test_body__holds_other_people_s_words_as_words_and_fits() -> None:
    found = monitoring(
        name=HOSTILE, metrics=500, reasons=(HOSTILE,) * 500, drift=(Finding(kind="drift", report="r", what=HOSTILE),)
    )
    text = issue.body(found, marker=MARKER, run_url="https://example.com/) <!-- ")
    assert len(text.encode("utf-16-le")) // 2 < 65_536
    assert find(text) == MARKER
    for line in text.splitlines()[:-1]:
        assert not line.startswith(("<", "!"))
        # Back-ticks of others are inside longer ones.
        assert "``" in line or "@team" not in line
    assert "and 480 more" in text
    assert "and 460 more metrics" in text
