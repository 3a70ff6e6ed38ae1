"""The documentation says what is: reference pages, links, configurations and the tutorial's own steps."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from fakes.command_line import Workbench, workbench
from mlci.cli import COMMANDS
from mlci.config.checking import check
from mlci.config.file import ConfigFile
from mlci.core import redaction, strict_json
from mlci.plugins.executors.interface import IN_FULL
from mlci.plugins.executors.notebook import output, servers, watch, writing
from mlci.plugins.forges import artifact_zip, client, github, patience
from mlci.posting import comments, received, statuses
from mlci.render import comment as rendering
from mlci.running import spoken
from mlci.userlib import mlci_kernel

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENVIRONMENT = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
PERMISSIONS = (ROOT / "docs/reference/permissions.md").read_text(encoding="utf-8")
WORKFLOWS = sorted([*ROOT.glob("examples/workflows/*.yml"), *ROOT.glob("examples/*/.github/workflows/*.yml")])


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED: dict[Path, str] = generator().pages()


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_reference__is_what_the_code_says(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links__lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_configurations__are_accepted(page: Path) -> None:
    for text in blocks(page, "toml"):
        table = tomllib.loads(text)
        if "project" not in table:
            check(table, ConfigFile, file=page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands__exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"(?:`|&& )mlci ([a-z-]+)", text):
        assert name in COMMANDS, name


def test_readme__has_the_two_commands() -> None:
    commands = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert commands == ['python -m pip install ".[demo]" && mlci demo', 'python -m pip install -e ".[dev]" && pytest']


def test_ci__runs_the_readme_s_test_command() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert 'pip install --quiet --disable-pip-version-check -e ".[dev]"' in script
    assert "check pytest" in script


def test_example_workflow__differs_from_ours_in_the_action_and_the_folder_only() -> None:
    ours = (ROOT / ".github/workflows/mlci.yml").read_text(encoding="utf-8")
    example = (ROOT / "examples/wine/.github/workflows/mlci.yml").read_text(encoding="utf-8")

    def shape(text: str) -> str:
        text = re.sub(r"OWNER/mlci(/\w+)?@0{40} # the commit of a release", r".\1", text)
        text = re.sub(r"^ +working-directory: examples/wine\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"#.*|^ +with:\n(?= +(- |#)|\n)|examples/wine/", "", text, flags=re.MULTILINE)
        return text.replace("uses: ./\n", "uses: .\n").replace("the example needs", "the code needs")

    def lines(text: str) -> list[str]:
        return [line.rstrip() for line in shape(text).splitlines() if line.strip()]

    assert lines(ours) == lines(example)
    permissions = re.findall(r"^ +([a-z-]+: (?:read|write)) #", example, flags=re.MULTILINE)
    assert permissions == [
        "contents: read",
        "contents: read",
        "pull-requests: write",
        "statuses: write",
        "contents: write",
    ]


def documented() -> dict[str, set[str]]:
    """The permissions of each command that the page names, but for those that take an option of the configuration."""
    found: dict[str, set[str]] = {}
    rows = re.findall(
        r"^\| (?:`mlci ([a-z -]+)`|(every other)) \| `([a-z-]+: (?:read|write))` \| (.*) \|$", PERMISSIONS, re.MULTILINE
    )
    for command, other, permission, what in rows:
        if not what.startswith("only with"):
            found.setdefault(command or other, set()).add(permission)
    return found


def without_implied(permissions: set[str]) -> set[str]:
    """Writing includes reading."""
    return {item for item in permissions if item.replace(": read", ": write") not in permissions - {item}}


def commands_of(job: dict[str, Any]) -> set[str]:
    """What the steps of a job run of mlci, as the page calls it."""
    found = set()
    for step in job.get("steps", []):
        ours = re.match(r"OWNER/mlci(?:/(\w+))?@", step.get("uses", ""))
        given = step.get("with", {})
        if ours:
            words = [ours[1] or given.get("command", "ci"), *str(given.get("args", "")).split()]
            words += ["--from-run"] if "from-run" in given else []
            names = [" ".join(words[:2]), words[0], "every other"]
            found.add(next(name for name in names if name in documented()))
    return found


def test_permissions__are_those_that_the_code_asks_for() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/mlci/plugins/forges").glob("*.py"))
    asked = without_implied(set(re.findall(r'"([a-z-]+: (?:read|write))"', code)))
    said = set(re.findall(r"`([a-z-]+: (?:read|write))`", PERMISSIONS))
    assert asked <= said
    assert without_implied(said) <= asked


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_permissions__of_the_workflows_are_those_of_their_commands(path: Path) -> None:
    for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items():
        granted = {f"{key}: {value}" for key, value in job["permissions"].items()}
        commands = commands_of(job)
        if commands:
            assert granted == without_implied(set().union(*(documented()[command] for command in commands))), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_workflows__upload_no_checkpoints(path: Path) -> None:
    for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
        for step in job.get("steps", []):
            if "upload-artifact@" in step.get("uses", ""):
                paths = step["with"]["path"].split("\n")
                for whole in [name for name in paths if name.endswith(".mlci/")]:
                    assert f"!{whole}checkpoints/" in paths


def test_environment__names_the_variables_of_the_code_and_no_others() -> None:
    sources = [*(ROOT / "src/mlci").rglob("*.py"), ROOT / "entry.sh"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    # What mlci takes away again before the user's code runs is nobody's.
    used = set(re.findall(r"\bMLCI_[A-Z_]*[A-Z]\b", code)) - {"MLCI_KERNEL_SEED"}
    assert set(re.findall(r"`(MLCI_[A-Z_]*[A-Z])`", ENVIRONMENT)) == used


def seen_by(bench: Workbench, run: str) -> dict[str, str]:
    """The variables that a script has and mlci has not."""
    own = bench.environ
    found: dict[str, str] = json.loads((bench.folder / f"{run}.json").read_text())
    # Python's own, where the locale is none.
    return {name: value for name, value in found.items() if own.get(name) != value and name != "LC_CTYPE"}


def test_environment__names_what_a_run_is_given(tmp_path: Path) -> None:
    bench = workbench(tmp_path)
    bench.write(
        show__py="import json, os, sys\njson.dump(dict(os.environ), open(sys.argv[1], 'w'))\n",
        mlci__toml="""
            [runs.plain]
            command = ["python", "show.py", "plain.json"]

            [runs.much]
            command = ["python", "show.py", "much.json", "{seed}"]
            seeds = [1]
            deterministic = true
            reuse = true
            inputs = []
            checkpoint = "state"
            """,
    )
    bench.commit()
    done = bench.mlci("run", "-j", "2")
    assert done.code == 0, done.err
    given = set(re.findall(r"`([A-Z_]+)`", ENVIRONMENT))
    plain, much = seen_by(bench, "plain"), seen_by(bench, "much")
    assert {"MLCI_RUN", "MLCI_PARAMETERS", "MLCI_METRICS", "PYTHONPATH", "PYTHONFAULTHANDLER"} <= set(plain)
    assert {"MLCI_SEED", "MLCI_OBSERVE", "PYTHONHASHSEED", "MPLBACKEND"} <= set(much) - set(plain)
    assert set(plain) | set(much) <= given


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("explanation/posting.md", f"`[report] deadline`, by default {patience.DEADLINE_S:.0f} s"),
        ("explanation/posting.md", f"{patience._UNSAID_WAIT_S:.0f} s where nothing is asked"),
        ("explanation/posting.md", f"up to {comments._LOOKS} times"),
        ("explanation/posting.md", f"up to {github._LOOKS} times"),
        ("explanation/posting.md", f"{rendering.LIMIT:,} characters"),
        ("explanation/posting.md", f"; {rendering._RESERVE:,}\ncharacters are kept free"),
        ("explanation/posting.md", f"{statuses._MAX_ANNOTATIONS} a check run"),
        ("how-to/github-actions.md", f"up to {statuses._MAX_ANNOTATIONS} annotations"),
        ("how-to/forks.md", f"more than {artifact_zip.MAX_BYTES // 2**20} MiB, {artifact_zip._MAX_ENTRIES:,} files"),
        ("how-to/forks.md", f"a list of files of more than {artifact_zip._MAX_DIRECTORY // 2**20} MiB"),
        ("how-to/forks.md", f"deeper than {artifact_zip._MAX_DEPTH} folders"),
        ("how-to/forks.md", f"`record.json` of more than {artifact_zip.MAX_ENTRY // 2**20} MiB"),
        ("how-to/forks.md", f"more than {artifact_zip._MAX_RATIO} times its size"),
        ("how-to/forks.md", f"deeper than {strict_json.MAX_DEPTH} levels"),
        (
            "how-to/forks.md",
            f"more than {received._MAX_RECORDS:,} records, {received._MAX_FILES:,} files of predictions or",
        ),
        ("how-to/forks.md", f"or {received._MAX_METRICS:,} metrics, a run twice"),
        ("how-to/github-actions.md", f"no artifact of more than {artifact_zip.MAX_BYTES // 2**20} MiB"),
        ("how-to/github-actions.md", f"the first and the last {spoken._CELL_LINES // 2} lines"),
        ("explanation/notebooks.md", f"if it is still busy {watch._INTERRUPT_GRACE_S:.0f} s later SIGABRT"),
        ("explanation/notebooks.md", f"; {watch._DUMP_GRACE_S:.0f} s later it is killed"),
        ("explanation/notebooks.md", f"SIGINT and, {watch._INTERRUPT_GRACE_S:.0f} s later, the kill"),
        ("explanation/notebooks.md", f"each further cell may keep\n  {output._LATE_CELL // 1024} KiB"),
        ("explanation/notebooks.md", f"The whole is in `{IN_FULL}` beside the notebook"),
        ("explanation/notebooks.md", f"`{writing.JOURNAL}` beside it"),
        (
            "explanation/notebooks.md",
            f"than {redaction._SHORTEST} characters, or {redaction._SHORTEST_NAMED} where they",
        ),
        ("explanation/performance.md", f"There are at most {servers._MAX_SERVERS} servers"),
    ],
)
def test_numbers__are_those_of_the_code(page: str, words: str) -> None:
    assert words in (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["notebooks", "performance"])
def test_numbers__of_writing(page: str) -> None:
    # The module itself can be imported by papermill only.
    code = (ROOT / "src/mlci/plugins/executors/notebook/engine.py").read_text(encoding="utf-8")
    said = (ROOT / f"docs/explanation/{page}.md").read_text(encoding="utf-8")
    assert "in between at most every 5 s and for at most a twentieth of the time" in said
    assert "_SAVE_EVERY_S = 5.0\n_SHARE = 20 " in code


def test_preload__every_refusal_is_explained() -> None:
    code = Path(mlci_kernel.__file__).with_name("mlci_kernel_server.py").read_text(encoding="utf-8")
    refusals = re.findall(r'_UnfitError\(\s*"(the preloaded[^{"]*|cannot import|without [^"]*)', code)
    page = (ROOT / "docs/how-to/run-faster.md").read_text(encoding="utf-8")
    assert len(refusals) == 4
    for refusal in refusals:
        assert f"| `{refusal.partition(',')[0].strip()}" in page


def test_numbers__of_the_pauses() -> None:
    waits: list[float] = []
    patient = patience.Patience(sleep=waits.append, jitter=lambda: 1.0)
    for tries in range(1, 6):
        patient.pause(tries)
    assert waits == [1, 2, 4, 8, 8]
    assert "up to 1, 2, 4, then 8 s" in (ROOT / "docs/explanation/posting.md").read_text(encoding="utf-8")
    assert client.Client.__init__.__defaults__ == (30.0,)  # "One request has at most 30 s"


def test_order__of_the_sections_is_that_of_the_code() -> None:
    text = (ROOT / "docs/explanation/posting.md").read_text(encoding="utf-8").replace("\n", " ")
    order = "gated metrics, runs, tracebacks, what changed since the baseline, pictures, other metrics, skipped runs"
    assert order in text
    assert [title.split()[0].lower() for title in rendering._PRIORITY] == [
        "gated",
        "runs",
        "tracebacks",
        "changed",
        "pictures",
        "other",
        "skipped",
    ]


def test_hooks__look_at_every_workflow_and_action() -> None:
    [hooks] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    by_id = {hook["id"]: hook for hook in hooks["hooks"]}
    workflows = [*WORKFLOWS, *ROOT.glob(".github/workflows/*.yml")]
    actions = [ROOT / "action.yml", *ROOT.glob("*/action.yml"), *ROOT.glob("tests/e2e/actions/*/action.yml")]
    for hook, paths in {"zizmor": workflows + actions, "check-workflows": workflows, "check-action": actions}.items():
        for path in paths:
            assert re.search(by_id[hook]["files"], path.relative_to(ROOT).as_posix()), (hook, path)
    assert by_id["zizmor"]["entry"].removeprefix("bash -c '").rstrip("'") in (ROOT / ".ci/run").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
def test_tutorial_release__does_what_it_says(tmp_path: Path) -> None:
    page = ROOT / "docs/tutorial-release.md"
    bench = workbench(tmp_path)
    (train, predict), [config] = blocks(page, "python"), blocks(page, "toml")
    bench.write(train__py=train, predict__py=predict, mlci__toml=config)
    mlci = shlex.join([sys.executable, "-m", "mlci"])
    said = ""
    # The clean environment of `verify` needs an index, which a test has not: the interpreter that ran serves.
    verify = f"mlci verify --python {shlex.quote(sys.executable)}"
    at_once = "mlci deploy --target production --then promote"
    by_steps = f"mlci deploy --target production\n{verify}\nmlci promote --target production"
    for step in blocks(page, "sh"):
        script = step.replace(at_once, by_steps).replace("mlci verify\n", f"{verify}\n")
        script = re.sub(r"(^|&& )mlci\b", rf"\1{mlci}", script, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=bench.folder,
            env=bench.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout
    assert "released wine@v0.1.0" in said
    assert "production serves wine v0.1.0\n" in said
    assert "production serves wine v0.1.0 again, in place of v0.2.0" in said
    assert (tmp_path / "served/wine/current/model.pkl").is_file()


@pytest.mark.slow
def test_tutorial__does_what_it_says(tmp_path: Path) -> None:
    page = ROOT / "docs/tutorial.md"
    bench = workbench(tmp_path)
    [train], [config] = blocks(page, "python"), blocks(page, "toml")
    bench.write(train__py=train, mlci__toml=config)
    _, first, save, change = blocks(page, "sh")
    mlci = shlex.join([sys.executable, "-m", "mlci"])
    for step in (first, save, change):
        script = re.sub(r"^mlci\b", mlci, step, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=bench.folder,
            env=bench.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (5 if step is change else 0), done.stderr
    [metric] = [item for item in bench.document("record.json")["records"][0]["metrics"] if item["name"] == "accuracy"]
    assert metric["value"] == pytest.approx(0.852)


@pytest.mark.parametrize("image", sorted((ROOT / "docs/images").iterdir()), ids=lambda path: path.name)
def test_image__is_shown_and_made_by_a_script(image: Path) -> None:
    assert any(f"images/{image.name}" in page.read_text(encoding="utf-8") for page in PAGES)
    kind = image.stem.split("-")[0]
    script = {"page": "report"}.get(kind, kind)
    assert (ROOT / f"docs/screenshots/{script}.py").is_file()
