"""Interpreters that lack something, files that CI would lack, and machines that are too small."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

from fakes.command_line import Workbench, notebook
from fakes.patients import CONFIG, amiss, edit, healthy, only
from mlci.diagnosing import files, machine


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return healthy(tmp_path)


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """An interpreter that has nothing installed."""
    venv.create(tmp_path / "bare", symlinks=True)
    return str(tmp_path / "bare")


def test_interpreter__without_a_kernel(bench: Workbench, bare: str) -> None:
    found = only(amiss(bench, "interpreter", environ={"MLCI_PYTHON": bare}))
    assert (found.slug, found.level, found.line) == ("interpreter/ipykernel", "error", 11)
    assert found.remedy == f"Install it: {bare}/bin/python -m pip install ipykernel"


def test_interpreter__is_asked_once_and_named_by_runs(bench: Workbench, bare: str) -> None:
    edit(bench, "mlci.toml", '"train.py"', f'"train.py"\npython = "{bare}/nowhere"')
    assert len(amiss(bench, "interpreter", environ={"MLCI_PYTHON": "nowhere"})) == 1
    edit(bench, "mlci.toml", '"digits.ipynb"', f'"digits.ipynb"\npython = "{sys.executable}"')
    found = only(amiss(bench, "interpreter", environ={"MLCI_PYTHON": ""}))
    assert (found.slug, found.subject, found.line) == ("interpreter/missing", "run train", 3)


def test_interpreter__that_does_not_run(bench: Workbench, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    assert only(amiss(bench, "interpreter", environ={"MLCI_PYTHON": str(fake)})).slug == "interpreter/missing"


def test_interpreter__that_is_too_old(bench: Workbench, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    told = '{"environment": {"python": "3.8.1"}, "ipykernel": true}'
    fake.write_text(f"#!/bin/sh\ncase \"$3\" in *ipykernel*) echo '{told}';; *) echo '[]';; esac\n")
    fake.chmod(0o755)
    assert only(amiss(bench, "interpreter", environ={"MLCI_PYTHON": str(fake)})).slug == "interpreter/old"


@pytest.mark.parametrize("shape", ["program", "environment", "link", "settings"])
def test_interpreter__of_the_repository_is_not_run(bench: Workbench, shape: str) -> None:
    trap = bench.folder / ("hidden" if shape == "link" else ".venv") / "bin/python"
    trap.parent.mkdir(parents=True)
    if shape == "settings":  # what it is started with lies beside it, such as a .pth file
        trap.symlink_to(sys.executable)
        (bench.folder / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
        bench.repository.git("add", "--force", ".venv/pyvenv.cfg")
    else:
        trap.write_text(f"#!/bin/sh\ntouch {bench.folder}/trapped\nexit 1\n")
        trap.chmod(0o755)
    if shape == "link":
        (bench.folder / ".venv").symlink_to("hidden")
    if shape == "program":
        edit(bench, "mlci.toml", '"digits.ipynb"', '"digits.ipynb"\npython = ".venv/bin/python"')
    bench.commit("Trap")
    environ = {"MLCI_PYTHON": "", "VIRTUAL_ENV": ""}
    found = amiss(bench, "interpreter", environ=environ)
    assert {(item.slug, item.level) for item in found} == {("interpreter/in-git", "unknown")}
    assert not (bench.folder / "trapped").exists()


def test_imports__that_the_interpreter_lacks(bench: Workbench) -> None:
    (bench.folder / "helpers").mkdir()
    bench.write(
        train__py="""
            import json, absent_one.sub
            import shared, mlci_log
            from helpers import deep
            from typing import TYPE_CHECKING
            try:
                import absent_and_tried
            except ImportError:
                pass
            if TYPE_CHECKING:
                import absent_but_typing
            def later():
                import absent_until_called
            """.replace("\n            ", "\n"),
        shared__py="import sklearn_absent\n",
        digits__ipynb=notebook(
            "%pip install absent_installed\nneighbours = 1",
            "import absent_installed, absent_in_notebook\n!ls\nprint(neighbours)",
            "%%bash\nimport absent_in_bash",
            tags={0: "parameters"},
        ),
    )
    (bench.folder / "helpers/deep.py").write_text("from absent_deep import x\n")
    train, digits = amiss(bench, "interpreter")
    assert (train.slug, train.level) == ("interpreter/imports", "warning")
    assert "imports absent_deep, absent_one, sklearn_absent, which" in train.found
    assert f"{sys.executable} -m pip install absent_deep absent_one" in train.remedy
    assert "imports absent_in_notebook, which" in digits.found


def test_imports__are_called_as_they_are_installed(bench: Workbench, bare: str) -> None:
    edit(bench, "train.py", "import sys", "import sys\nimport cv2, PIL.Image")
    found, _ = amiss(bench, "interpreter", environ={"MLCI_PYTHON": bare})
    assert found.remedy.endswith("pip install pillow opencv-python")
    bench.write(requirements__txt="pillow\n")
    found, _ = amiss(bench, "interpreter", environ={"MLCI_PYTHON": bare})
    assert "pip install -r requirements.txt (does it list pillow opencv-python?)" in found.remedy


def test_imports__nothing_of_the_repository_is_run(bench: Workbench) -> None:
    trap = "open('trapped', 'w')\n"
    bench.write(sitecustomize__py=trap, json__py=trap, ipykernel__py=trap, importlib__py=trap)
    edit(bench, "train.py", "import sys", "import sys, ipykernel, sitecustomize")
    amiss(bench, environ={"PYTHONPATH": str(bench.folder)})
    assert not list(bench.folder.rglob("trapped"))


def test_kernel__of_a_language_that_nobody_has_installed(bench: Workbench) -> None:
    spec = {"name": "ir-of-nobody", "language": "R", "display_name": "R"}
    bench.write(digits__ipynb=notebook("neighbours <- 1", kernelspec=spec, tags={0: "parameters"}))
    found = only(amiss(bench, "interpreter"))
    assert (found.slug, "'ir-of-nobody'" in found.found) == ("interpreter/kernel", True)


def test_files__that_git_does_not_hold(bench: Workbench) -> None:
    bench.repository.git("rm", "--quiet", "--cached", "train.py", "data.csv")
    script, data = amiss(bench, "files")
    assert (script.slug, script.level, script.remedy) == ("files/untracked", "error", "Run: git add train.py")
    assert (data.slug, data.level, data.line) == ("files/untracked-input", "warning", 7)


def test_files__data_of_dvc(bench: Workbench) -> None:
    bench.repository.git("rm", "--quiet", "--cached", "data.csv")
    bench.write(data__csv__dvc="outs:\n- md5: 0123\n  path: data.csv\n")
    assert amiss(bench, "files") == []
    (bench.folder / "data.csv").unlink()
    assert only(amiss(bench, "files")).slug == "files/dvc"


def test_files__metrics_that_a_checkout_would_bring(bench: Workbench) -> None:
    bench.write(metrics__json="{}")
    bench.repository.git("add", "--force", "metrics.json")
    found = only(amiss(bench, "files"))
    assert (found.slug, "git rm --cached metrics.json" in found.remedy) == ("files/stale-metrics", True)
    bench.write(mlci__toml='[runs.train]\ncommitted = true\nmetrics = ["metrics.json"]\n')
    assert amiss(bench, "files") == []


def test_files__the_workspace_in_git(bench: Workbench) -> None:
    (bench.folder / ".mlci").mkdir()
    (bench.folder / ".mlci/run.json").write_text("{}")
    bench.repository.git("add", "--force", ".mlci")
    assert only(amiss(bench, "files")).slug == "files/workspace"


def test_files__that_are_too_large(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_GIT_MAX", 1000)
    monkeypatch.setattr(files, "_ASSET_MAX", 1000)
    bench.write(data__csv="x" * 2000, model__bin="x" * 2000)
    edit(bench, "mlci.toml", 'inputs = ["data.csv"]', 'inputs = ["data.csv"]\nartifacts = ["model.bin"]')
    artifact, large = [item for item in amiss(bench, "files") if item.subject != ".github/workflows/pull-request.yml"]
    assert (artifact.slug, large.slug) == ("files/large-artifact", "files/large")
    assert "data.csv (2 kB)" in large.found


@pytest.mark.parametrize("wants", ["cpus = 4000", 'memory = "900T"', "gpu = 64"])
def test_machine__is_too_small(bench: Workbench, wants: str) -> None:
    edit(bench, "mlci.toml", '"5m"', f'"5m"\nresources = {{ {wants} }}')
    found = only(amiss(bench, "machine"))
    assert (found.slug, found.subject, found.line) == ("machine/resources", "run train", 9)


def test_machine__its_disk_is_full(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_LITTLE", 1 << 70)
    assert only(amiss(bench, "machine")).slug == "machine/disk"


@pytest.mark.parametrize(
    ("tables", "slugs"),
    [
        ('[targets.a]\nkind = "foldr"', ["target"]),
        ('[targets.a]\nkind = "folder"', ["target"]),
        ('[targets.a]\nkind = "folder"\noptions = { path = "x", pth = 1 }', ["target"]),
        ('[targets.a]\nkind = "folder"\noptions = { path = "x" }', []),
        ('[targets.a]\nkind = "object-store"\noptions = { url = "gs://b/x" }', ["extra"]),
        ('[targets.a]\nkind = "object-store"\noptions = { url = "s3://b/x" }', []),
        ('[targets.a]\nkind = "webhook"\noptions = { url = "https://x", secret_env = "HOOK" }', ["variable"]),
        ('[targets.a]\nkind = "huggingface"\noptions = { repo_id = "a/b" }', ["variable"]),
        ('[artifacts]\nstore = "az://b/x"', ["extra"]),
        ('[runs.x]\nscript = "train.py"\nmetrics = [{ path = "$TRACKER", format = "mlflow" }]', ["variable"]),
    ],
)
def test_deployment__what_it_would_stumble_over(bench: Workbench, tables: str, slugs: list[str]) -> None:
    bench.write(mlci__toml=f"{CONFIG}\n{tables}\n")
    found = amiss(bench, "deployment")
    assert [item.slug for item in found] == [f"deployment/{slug}" for slug in slugs]
    assert [item for item in found if not item.remedy or not item.line] == []


def test_deployment__a_variable_that_is_set_here_or_in_a_workflow(bench: Workbench) -> None:
    target = '[targets.a]\nkind = "webhook"\noptions = { url = "https://x", secret_env = "HOOK" }'
    bench.write(mlci__toml=f"{CONFIG}\n{target}\n")
    assert amiss(bench, "deployment", environ={"HOOK": "canary"}) == []
    edit(
        bench, ".github/workflows/main.yml", "permissions: {}\n", "permissions: {}\nenv: { HOOK: '${{ secrets.X }}' }\n"
    )
    assert amiss(bench, "deployment") == []
