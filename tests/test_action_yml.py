"""The actions' manifests and the workflows to copy: what they promise, what they grant, what they pin."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from mlci.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
MANIFESTS = [ROOT / "action.yml", *sorted(ROOT.glob("*/action.yml"))]
ENTRY = (ROOT / "entry.sh").read_text(encoding="utf-8")
WORKFLOWS = sorted([*ROOT.glob("**/.github/workflows/*.yml"), *ROOT.glob("examples/workflows/*.yml")])
WITHOUT_TOKEN = {
    "plan",
    "run",
    "record",
    "report",
    "gate",
    "config",
    "demo",
    "verify",
    "accept",
    "noise",
    "export",
    "init",
}
# Inputs that are no option: what to call, where, and the token, which stands in no argument.
OWN = {"command", "args", "working-directory", "github-token"}
RELEASE = "0" * 40  # stands for the commit of a release


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(params=MANIFESTS, ids=name_of)
def manifest(request: pytest.FixtureRequest) -> dict[str, Any]:
    path: Path = request.param
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded | {"folder": path.parent}


@pytest.fixture
def step(manifest: dict[str, Any]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = manifest["runs"]["steps"]
    [only] = steps
    return only


@pytest.fixture
def command(manifest: dict[str, Any], step: dict[str, Any]) -> str:
    """The command that the action runs, by default or always."""
    fixed = step["env"]["INPUT_COMMAND"]
    return str(manifest["inputs"]["command"]["default"] if fixed == "${{ inputs.command }}" else fixed)


def options(command: str) -> dict[str, set[str]]:
    """The options of a command and their variables, those of mlci itself included."""
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    return {
        word.removeprefix("--"): {item.envvar} if isinstance(item.envvar, str) else set(item.envvar or ())
        for item in (*cli.params, *found.params)
        if isinstance(item, click.Option)
        for word in item.opts
    }


def test_manifests__are_those_of_the_design() -> None:
    assert [name_of(path) for path in MANIFESTS] == [
        "action.yml",
        "comment/action.yml",
        "compare/action.yml",
        "deploy/action.yml",
        "release/action.yml",
        "run/action.yml",
    ]


def test_command__exists_and_a_folder_is_named_after_its_own(manifest: dict[str, Any], command: str) -> None:
    assert command in COMMANDS
    assert manifest["folder"] == (ROOT if command == "ci" else ROOT / command)


def test_inputs__are_used_as_declared_and_described(manifest: dict[str, Any], step: dict[str, Any]) -> None:
    assert set(re.findall(r"inputs\.([a-z-]+)", str(step))) == set(manifest["inputs"])
    for name, item in manifest["inputs"].items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert item["description"]
        assert "default" in item


def test_inputs__are_options_of_the_command(manifest: dict[str, Any], command: str) -> None:
    known = options(command)
    for name in set(manifest["inputs"]) - OWN:
        variable = f"MLCI_{name.upper().replace('-', '_')}"
        assert variable in known.get(name, set()), f"{command} has no --{name} that reads {variable}"


def test_inputs__reach_the_command_through_the_environment_only(manifest: dict[str, Any], step: dict[str, Any]) -> None:
    assert "${{" not in step["run"]
    assert "${{" not in ENTRY
    [names] = re.findall(r"^for name in ([A-Z_ ]+); do$", ENTRY, flags=re.MULTILINE)
    for name in set(manifest["inputs"]) - {"working-directory", "github-token"}:
        variable = name.upper().replace("-", "_")
        if name != "command":
            assert step["env"][f"INPUT_{variable}"] == f"${{{{ inputs.{name} }}}}"
        assert name in OWN or variable in names.split()
    assert step["working-directory"] == "${{ inputs.working-directory }}"


def test_outputs__are_set_somewhere_and_passed_on(manifest: dict[str, Any], step: dict[str, Any]) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/mlci").glob("**/*.py"))
    for name, output in manifest["outputs"].items():
        assert re.search(rf'"{name}": |\["{name}"\] = ', sources), name
        assert output["value"] == f"${{{{ steps.{step['id']}.outputs.{name} }}}}"
        assert output["description"]


def test_outputs__of_the_folders_are_those_of_the_root() -> None:
    root, *others = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in MANIFESTS)
    for manifest in others:
        for name, output in manifest["outputs"].items():
            assert root["outputs"][name]["description"].startswith(output["description"])


def test_token__is_withheld_from_commands_that_need_none(
    manifest: dict[str, Any], step: dict[str, Any], command: str
) -> None:
    value = step["env"].get("MLCI_GITHUB_TOKEN", "")
    if manifest["folder"] == ROOT:
        listed = set(re.findall(r'"([a-z]+)"', value))
        assert {"ci", "compare", "comment", "dispatch", "baseline"} <= listed
        assert not listed & WITHOUT_TOKEN
        assert set(COMMANDS) <= listed | WITHOUT_TOKEN
    else:
        assert value == ("" if command in WITHOUT_TOKEN else "${{ inputs.github-token }}")
    assert manifest["inputs"].get("github-token", {}).get("default") == ("${{ github.token }}" if value else None)
    for name, item in step["env"].items():
        assert name == "MLCI_GITHUB_TOKEN" or not re.search(r"github[.-]token", str(item))


def test_step__becomes_the_entry_and_the_entry_mlci(manifest: dict[str, Any], step: dict[str, Any]) -> None:
    up = os.path.relpath(ROOT, manifest["folder"])
    at = "" if up == "." else f"{up}/"
    assert step["run"] == f'exec bash "$GITHUB_ACTION_PATH/{at}entry.sh"'
    assert ENTRY.strip().splitlines()[-1].startswith("exec ")
    assert (ROOT / "entry.sh").stat().st_mode & stat.S_IXUSR


def test_install__everything_by_hash_and_apart() -> None:
    installs = [line.strip() for line in ENTRY.replace("\\\n", " ").splitlines() if "pip" in line and "install" in line]
    assert len(installs) == 3
    assert [line for line in installs if "--require-hashes" not in line] == [
        line for line in installs if "--no-deps" in line and "--build-constraints" in line
    ]
    assert "--no-config" in ENTRY
    assert "$RUNNER_TEMP" in ENTRY
    for file in ("GITHUB_ENV", "GITHUB_PATH", "sudo"):
        assert file not in ENTRY


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    """The jobs of a workflow that have steps."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return {name: job for name, job in loaded.items() if "steps" in job}


def permissions(path: Path) -> list[str]:
    """Every permission of a workflow, with its reason."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^ +([a-z-]+: (?:read|write)\b.*)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflows__grant_nothing_at_the_top_and_pin_what_they_use(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    loaded = yaml.safe_load(text)
    assert loaded["permissions"] == {}
    assert text.startswith("# ") or path.name == "tests.yml"
    assert loaded["jobs"]
    for item in permissions(path):
        assert re.fullmatch(r"[a-z-]+: (read|write) # \w.*", item), item
    for used in re.findall(r"\buses: (\S+)", text):
        if used.startswith("$/"):  # this repository, at the commit of the workflow that says so
            assert ROOT / used.removeprefix("$/") / "action.yml" in MANIFESTS
        elif used.startswith("./"):
            assert (ROOT / used).is_dir() or (ROOT / "examples/workflows" / Path(used).name).is_file(), used
        elif used.startswith("OWNER/"):
            folder, _, commit = used.removeprefix("OWNER/mlci").partition("@")
            assert commit == RELEASE
            place = ROOT / folder.strip("/")
            assert place in WORKFLOWS or place / "action.yml" in MANIFESTS
        else:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflows__give_the_actions_inputs_that_they_have(path: Path) -> None:
    for job in jobs(path).values():
        for step in job["steps"]:
            ours = re.match(r"(?:OWNER/mlci|\.|\$)(?:/(\w+))?(?:@|/?$)", step.get("uses", ""))
            if ours:
                manifest = yaml.safe_load((ROOT / (ours[1] or ".") / "action.yml").read_text(encoding="utf-8"))
                assert set(step.get("with", {})) <= set(manifest["inputs"]), step


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflows__keep_rights_and_code_apart(path: Path) -> None:
    for name, job in jobs(path).items():
        assert "timeout-minutes" in job
        steps = str(job["steps"])
        writes = [key for key, value in job["permissions"].items() if value == "write"]
        runs_code = any(
            re.match(r"(OWNER/mlci|[.$]/)(/run|run)?(@|$)", step.get("uses", ""))
            and step.get("with", {}).get("command", "run" if "run@" in step["uses"] else "ci") in {"ci", "run"}
            for step in job["steps"]
        )
        if path.name != "one-step.yml":
            assert not (runs_code and writes), f"{name} runs code and may write {writes}"
            assert not (writes and "pip install" in steps)
        assert "actions/cache" not in steps
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
                if writes:
                    assert "ref" not in step["with"], f"{name} may write and chooses what it checks out"


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflows__of_mlci_have_no_paths_filter_and_a_limit_to_how_many_run(path: Path) -> None:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    events = loaded[True]  # YAML reads `on` so
    assert "paths" not in str(events)
    assert ("concurrency" in loaded) == ("workflow_call" not in events)


def test_fork_comment__waits_for_the_pull_request_s_workflow() -> None:
    load = yaml.safe_load
    waits = load((ROOT / "examples/workflows/fork-comment.yml").read_text(encoding="utf-8"))[True]["workflow_run"]
    for name in ("pull-request", "one-step", "several-machines", "enterprise-server", "call-reusable", "cloud-data"):
        text = (ROOT / f"examples/workflows/{name}.yml").read_text(encoding="utf-8")
        assert load(text)["name"] in waits["workflows"]
        if name != "call-reusable":
            [kept] = [
                step["with"]
                for job in jobs(ROOT / f"examples/workflows/{name}.yml").values()
                for step in job["steps"]
                if "upload-artifact" in step.get("uses", "") and step["with"]["name"] == "mlci"
            ]
            assert kept["include-hidden-files"] is True
            assert kept["if-no-files-found"] == "error"
