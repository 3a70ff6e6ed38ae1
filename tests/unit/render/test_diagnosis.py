from __future__ import annotations

from typing import Any

from mlci.core.finding import Finding
from mlci.render.diagnosis import diagnosis, summary

WELL = [Finding(slug=f"{area}/ok", level="ok", subject=area, found="nothing amiss") for area in ("git", "store")]


def finding(**changes: Any) -> Finding:
    given = {
        "slug": "files/untracked",
        "level": "error",
        "subject": "run x",
        "found": "not in git",
        "remedy": "git add",
    }
    return Finding(**given | changes)


def test_diagnosis__what_is_well_takes_a_line() -> None:
    assert diagnosis(WELL, colour=False) == "✓ git, store\nmlci doctor: all is well"


def test_diagnosis__by_area_the_worst_first() -> None:
    said = diagnosis(
        [
            WELL[0],
            finding(level="unknown", found="no idea", remedy=""),
            finding(level="warning", found="might be", line=3, file="mlci.toml"),
            finding(),
            finding(slug="rules/idle"),
        ],
        colour=False,
    )
    assert said.splitlines() == [
        "files",
        "  ✗ run x: not in git",
        "    → git add",
        "  ! run x: might be (mlci.toml:3)",
        "    → git add",
        "  ? run x: no idea",
        "",
        "rules",
        "  ✗ run x: not in git",
        "    → git add",
        "",
        "✓ git",
        "mlci doctor: 2 errors, 1 warning, 1 not known",
    ]


def test_diagnosis__colours_only_where_they_are_wanted() -> None:
    assert "\x1b[31m✗\x1b[0m" in diagnosis([finding()], colour=True)
    assert "\x1b" not in diagnosis([finding()], colour=False)


def test_diagnosis__nobody_s_text_reaches_the_terminal_as_a_command() -> None:
    bad = "\x1b[2J\n::error::x\u202e"
    said = diagnosis([finding(subject=bad, found=bad, remedy=bad, file=bad)], colour=False)
    assert not {"\x1b", "\u202e"} & set(said)
    assert not [line for line in said.splitlines() if line.lstrip().startswith("::")]


def test_summary__counts() -> None:
    assert summary([finding(level="warning")]) == "mlci doctor: 1 warning"
    assert summary([finding(level="unknown"), *WELL]) == "mlci doctor: 1 not known"
