"""A repository in which nothing is amiss hears so, in a few lines, and is left as it was."""

from __future__ import annotations

from pathlib import Path

from fakes.patients import EXAMPLES, amiss, example, healthy, only, patient, published, workflow
from fakes.repositories import fingerprint
from mlci.core.finding import Finding
from mlci.diagnosing.examination import examine
from mlci.diagnosing.patient import Patient
from mlci.render.diagnosis import diagnosis


def test_examine__a_healthy_repository_has_nothing_but_what_takes_a_token(tmp_path: Path) -> None:
    bench = published(tmp_path)
    before = fingerprint(bench.folder)
    mlci = bench.folder / ".git/mlci"
    assert only(amiss(bench)).slug == "github/no-repository"
    assert fingerprint(bench.folder) == before
    assert not mlci.exists()
    assert not (bench.folder / ".mlci").exists()


def test_examine__every_example_workflow_is_healthy(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    for path in EXAMPLES.glob("*.yml"):
        workflow(bench, example(path.stem), path.name)
    assert amiss(bench, "workflow") == []


def test_examine__offline_nothing_is_asked(tmp_path: Path) -> None:
    bench = published(tmp_path)
    bench.repository.git("remote", "set-url", "origin", "https://127.0.0.1:1/team/models.git")
    assert only(amiss(bench, offline=True, environ={"GITHUB_TOKEN": "ghp_canary"})).slug == "github/offline"


def test_examine__a_check_that_breaks_hides_no_other(tmp_path: Path) -> None:
    def broken(_: Patient) -> list[Finding]:
        raise ZeroDivisionError("of mine")

    def sound(_: Patient) -> list[Finding]:
        return [Finding(slug="git/x", level="warning", subject="a", found="b")]

    found = examine(patient(healthy(tmp_path)), [("files", broken), ("git", sound)])
    assert [(item.slug, item.level) for item in found] == [("files/unchecked", "unknown"), ("git/x", "warning")]
    assert "ZeroDivisionError: of mine" in found[0].found


def test_examine__a_broken_configuration_leaves_the_areas_of_runs_unsaid(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    bench.write(mlci__toml="[run.train]\n")
    found = amiss(bench)
    assert [item.slug for item in found][:2] == ["configuration/refused", "configuration/hides"]
    said = diagnosis(examine(patient(bench)), colour=False)
    assert "✓ git, workflow" in said
