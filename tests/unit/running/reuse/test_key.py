"""The key changes with what a result depends on, says so, and changes with nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.reuse import NOTEBOOK, Scene, scene
from mlci.core.documents import Environment
from mlci.running.reuse.key import changes
from mlci.userlib import __file__ as userlib

CELLS = ["import features\nrate = 1", "print(rate)", "%matplotlib inline\nfit()"]


def code(source: str | list[str], **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None} | more


def text(*cells: dict[str, Any], **metadata: Any) -> str:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def notebooks(folder: Path) -> Scene:
    return scene(folder, kind=NOTEBOOK, train__ipynb=text(*map(code, CELLS)), features__py="x = 1\n")


def changed(made: Scene, change: Callable[[], object]) -> tuple[str, ...]:
    before = made.key()
    change()
    after = made.key()
    return changes(before.parts, after.parts) if before.digest != after.digest else ()


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.text("abc", min_size=1), min_size=3, max_size=3),
    counts=st.lists(st.one_of(st.none(), st.integers(0, 99)), min_size=3, max_size=3),
    said=st.text(),
    prose=st.lists(st.tuples(st.integers(0, 3), st.text()), max_size=3),
    kernel=st.sampled_from(["python3", "my-env"]),
)
def test_make__a_notebook_s_outputs_ids_markdown_and_metadata_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    ids: list[str],
    counts: list[int | None],
    said: str,
    prose: list[tuple[int, str]],
    kernel: str,
) -> None:
    made = notebooks(tmp_path_factory.mktemp("scene"))
    stream = [{"output_type": "stream", "name": "stdout", "text": said}]
    cells = [
        code(
            source.splitlines(keepends=True) if count else source,
            id=name,
            execution_count=count,
            outputs=stream,
            metadata={"collapsed": True, "tags": ["mine"]},
        )
        for source, name, count in zip(CELLS, ids, counts, strict=True)
    ]
    for place, words in prose:
        cells.insert(place, {"cell_type": "markdown", "metadata": {}, "source": words})
    again = text(*cells, kernelspec={"name": kernel, "display_name": kernel, "language": "python"}, widgets={})
    assert changed(made, lambda: made.write(train__ipynb=again)) == ()


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2), source=st.text(st.characters(exclude_categories=["C"])))
def test_make__every_cell_of_a_notebook_matters(
    tmp_path_factory: pytest.TempPathFactory, place: int, source: str
) -> None:
    made = notebooks(tmp_path_factory.mktemp("scene"))
    cells = [*CELLS]
    cells[place] += f"\n#{source}"
    found = changed(made, lambda: made.write(train__ipynb=text(*map(code, cells))))
    assert found == (f"code cell {place + 1} is changed",)


@pytest.mark.parametrize("tag", ["parameters", "raises-exception"])
def test_make__tags_that_change_how_a_cell_runs(tmp_path: Path, tag: str) -> None:
    made = notebooks(tmp_path)
    cells = [code(CELLS[0], metadata={"tags": [tag]}), *map(code, CELLS[1:])]
    assert changed(made, lambda: made.write(train__ipynb=text(*cells))) == ("code cell 1 is changed",)


def test_make__another_language(tmp_path: Path) -> None:
    made = notebooks(tmp_path)
    again = text(*map(code, CELLS), kernelspec={"name": "ir", "display_name": "R", "language": "R"})
    assert changed(made, lambda: made.write(train__ipynb=again)) == ("language: python -> R",)


def test_make__a_percent_script_s_markdown_does_not_matter(tmp_path: Path) -> None:
    kind = '[runs.train]\nnotebook = "train.py"\nreuse = true\n'
    percent = "# %% [markdown]\n# {}\n\n# %%\nx = {}\n"
    made = scene(tmp_path, kind=kind, train__py=percent.format("one", 1))
    assert changed(made, lambda: made.write(train__py=percent.format("two", 1))) == ()
    assert changed(made, lambda: made.write(train__py=percent.format("two", 2))) == ("code cell 1 is changed",)


def test_make__an_old_notebook(tmp_path: Path) -> None:
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}}
    cell = {"cell_type": "code", "input": "x = {}", "language": "python", "outputs": [], "metadata": {}}

    def written(number: int) -> str:
        cells = [cell | {"input": f"x = {number}"}]
        return json.dumps(old | {"worksheets": [{"cells": cells, "metadata": {}}]})

    made = scene(tmp_path, kind=NOTEBOOK, train__ipynb=written(1))
    assert changed(made, lambda: made.write(train__ipynb=written(2))) == ("code cell 1 is changed",)


def _environment(**changed: Any) -> Environment:
    return Environment(**{"python": "3.12.1", "packages": {"scikit-learn": "1.5.0"}} | changed)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("environment", _environment(packages={"scikit-learn": "1.5.1"}), "package scikit-learn: 1.5.0 -> 1.5.1"),
        (
            "environment",
            _environment(packages={"scikit-learn": "1.5.0", "numpy": "2"}),
            "package numpy: none -> 2",
        ),
        ("environment", _environment(packages={}), "package scikit-learn: 1.5.0 -> none"),
        ("environment", _environment(python="3.13.0"), "python: 3.12.1 -> 3.13.0"),
        ("environment", _environment(platform="darwin-arm64"), "platform: none -> darwin-arm64"),
        ("parameters", {"trees": 200}, "parameter trees: 100 -> 200"),
        ("parameters", {"trees": "100"}, 'parameter trees: 100 -> "100"'),
        ("seed", 1, "seed: none -> 1"),
        ("environ", {"PYTHONHASHSEED": "0"}, "variable PYTHONHASHSEED: none -> 0"),
        ("environ", {"OMP_NUM_THREADS": "1"}, "variable OMP_NUM_THREADS: none -> 1"),
    ],
)
def test_make__what_is_asked_for(tmp_path: Path, name: str, value: Any, reason: str) -> None:
    made = scene(tmp_path)
    made.parameters = {"trees": 100}
    assert changed(made, lambda: setattr(made, name, value)) == (reason,)


def test_make__a_seed_or_parameter_of_another_type_is_told_apart_from_none(tmp_path: Path) -> None:
    made = scene(tmp_path)
    made.seed = 0
    assert changed(made, lambda: setattr(made, "seed", None)) == ("seed: 0 -> none",)


def test_make__variables_that_nobody_named_do_not_matter(tmp_path: Path) -> None:
    made = scene(tmp_path)
    assert changed(made, lambda: setattr(made, "environ", {"HOSTNAME": "b", "GITHUB_RUN_ID": "2"})) == ()


def test_make__the_run_s_own_variables_matter(tmp_path: Path) -> None:
    made = scene(tmp_path, 'inputs = []\nenv = { MODE = "a" }\n')
    again = made.table.replace('"a"', '"b"')
    assert changed(made, lambda: setattr(made, "table", again)) == (
        "what [runs.train] says is changed",
        "variable MODE: a -> b",
    )


def test_make__mlci_s_own_folders_of_the_path_do_not_matter(tmp_path: Path) -> None:
    made = scene(tmp_path)
    assert changed(made, lambda: setattr(made, "environ", {"PYTHONPATH": str(Path(userlib).parent)})) == ()
    assert changed(made, lambda: setattr(made, "environ", {"PYTHONPATH": "src"})) == (
        "variable PYTHONPATH: none -> src",
    )


@pytest.mark.parametrize("word", ["deep/helper.py", "settings.yaml"])
def test_make__a_file_that_a_command_names(tmp_path: Path, word: str) -> None:
    kind = f'[runs.train]\ncommand = ["python", "{word}", "{"x" * 300}"]\nreuse = true\n'
    files = {"deep/helper__py": "", "settings__yaml": "", "deep/near__py": ""}
    made = scene(tmp_path, kind=kind, **files)
    assert changed(made, lambda: made.write(**{word.replace(".", "__"): "1"})) == (f"file {word} is changed",)


def test_make__a_module_beside_a_command_s_script(tmp_path: Path) -> None:
    kind = '[runs.train]\ncommand = ["python", "deep/run.py"]\nreuse = true\n'
    made = scene(tmp_path, kind=kind, **{"deep/run__py": "import near", "deep/near__py": ""})
    assert changed(made, lambda: made.write(**{"deep/near__py": "1"})) == ("module deep/near.py is changed",)


def test_make__a_module_of_a_notebook(tmp_path: Path) -> None:
    made = notebooks(tmp_path)
    assert changed(made, lambda: made.write(features__py="x = 2\n")) == ("module features.py is changed",)


def test_make__a_package_that_was_built_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene(tmp_path)
    packages = tmp_path / "env/lib/python3.12/site-packages"
    (packages / "mine-1.0.dist-info").mkdir(parents=True)
    (packages / "mine-1.0.dist-info/direct_url.json").write_text('{"url": "file:///repository", "dir_info": {}}')
    record = packages / "mine-1.0.dist-info/RECORD"
    record.write_text("mine.py,sha256=a,1\n")
    (tmp_path / "env/bin").mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env/bin/python"))
    from mlci.running.reuse import installed  # noqa: PLC0415 - its memory is this test's business

    def rebuild() -> None:
        record.write_text("mine.py,sha256=b,1\n")
        installed.look.cache_clear()

    assert changed(made, rebuild) == ("code of package mine is changed",)


def test_changes__not_too_many() -> None:
    found = changes({}, {f"module {name}.py": "1" for name in "abcdefg"})
    assert found[-2:] == ("module e.py is new", "and 2 more")
    assert changes({"module a.py": "1"}, {}) == ("module a.py is gone",)


def test_changes__what_is_not_shown_was_secret() -> None:
    assert changes({"a": "1"}, {"a": "1"}) == ("a secret value changed",)
