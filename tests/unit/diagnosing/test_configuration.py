"""Configurations with one mistake each, and with many."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.command_line import notebook
from fakes.patients import CONFIG, amiss, edit, healthy, only


@pytest.mark.parametrize(
    ("old", "new", "slug", "words", "line"),
    [
        ('timeout = "5m"', 'timout = "5m"', "refused", ("runs.train.timout", "no such key", "'timeout'"), 8),
        ('timeout = "5m"', 'timeout = "5"', "refused", ("runs.train.timeout", "expected a duration"), 8),
        ("[runs.digits]", "[runs.digits", "refused", ("not TOML",), 10),
        ('"train.py"', '"trian.py"', "refused", ("there is no file 'trian.py'", "train.py"), 2),
        ('["data.csv"]', '["date.csv"]', "refused", ("runs.train.inputs", "date.csv"), 7),
        ('timeout = "5m"', 'needs = ["digist"]', "refused", ("digist", "no such key"), 8),
        ('"metrics.json"', '"metrics.parq"', "no-reader", ("no reader", ".parq"), 6),
        ('"--seed", "{seed}", ', "", "unreceived", ("seeds would be ignored", '"--seed", "{seed}"'), 5),
        ("depth = 6", "depth = 6, dept = 1", "unreceived", ("parameter dept would be ignored", '"--dept"'), 4),
        ("neighbours = 3", "neighbors = 3", "unreceived", ("parameter neighbors", "tagged `parameters`"), 12),
    ],
)
def test_check__one_mistake_one_finding(
    tmp_path: Path, old: str, new: str, slug: str, words: tuple[str, ...], line: int
) -> None:
    bench = healthy(tmp_path)
    edit(bench, "mlci.toml", old, new)
    found = only([item for item in amiss(bench, "configuration", "files") if item.slug != "configuration/hides"])
    assert (found.slug, found.level) == (f"configuration/{slug}", "error")
    assert (found.file, found.line) == ("mlci.toml", line)
    said = f"{found.subject}: {found.found} {found.remedy}"
    assert [word for word in words if word not in said] == []


def test_check__says_every_mistake_at_once(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    text = CONFIG.replace('"5m"', "5").replace("[0, 1]", '["a"]').replace("max-regression", "max-regresion")
    bench.write(mlci__toml=f"{text}\n[targets.shelf]\nurl = 3\n[nonsense]\n")
    found = [item.subject for item in amiss(bench, "configuration")]
    assert (
        found
        == [
            "runs.train.seeds[0]",
            "runs.train.timeout",
            "metrics.accuracy.max-regresion",
            "targets.shelf.url",
            "nonsense",
            "interpreter, notebook, files, rules, store, deployment, machine",
        ][: len(found)]
    )
    assert len(found) == 5


def test_check__a_key_that_is_absent_is_said_of_its_table(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    bench.write(mlci__toml=f"{CONFIG}\n[targets.shelf]\nstage = 'production'\n")
    found = only(amiss(bench, "configuration"))
    assert (found.subject, found.line) == ("targets.shelf.kind", 17)


def test_check__every_run_is_looked_at_by_itself(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    edit(bench, "mlci.toml", "train.py", "gone.py")
    edit(bench, "mlci.toml", "digits.ipynb", "lost.ipynb")
    found = amiss(bench, "configuration")
    assert [item.subject for item in found] == ["runs.train.script", "runs.digits.notebook"]


def test_check__no_configuration_at_all(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    (bench.folder / "mlci.toml").unlink()
    found = only(amiss(bench, "configuration"))
    assert "no mlci.toml" in found.found
    assert found.remedy == "Run: mlci init"
    assert found.file is None


def test_check__in_pyproject_lines_are_those_of_the_file(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    (bench.folder / "mlci.toml").unlink()
    bench.write(pyproject__toml='[project]\nname = "x"\n\n[tool.mlci.runs.train]\nscript = "no.py"\n')
    found = only(amiss(bench, "configuration"))
    assert (found.file, found.line) == ("pyproject.toml", 5)


def test_check__a_notebook_that_is_none(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    bench.write(digits__ipynb="{")
    assert only(amiss(bench, "configuration")).slug == "configuration/unreadable"


def test_check__notebooks(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    bench.write(digits__ipynb=notebook("print(neighbours)"))
    found = only(amiss(bench, "configuration", "notebook"))
    assert (found.slug, found.line) == ("notebook/no-parameters-cell", 11)
    bench.write(digits__ipynb=notebook("neighbours = 1", "a = neighbours", tags={0: "parameters", 1: "parameters"}))
    assert only(amiss(bench, "notebook")).slug == "notebook/two-parameters-cells"
    bench.write(digits__ipynb=notebook("neighbours = 1", f"#{'x' * 11_000_000}", tags={0: "parameters"}))
    found = only(amiss(bench, "notebook"))
    assert (found.slug, "--clear-output" in found.remedy) == ("notebook/large", True)
