"""Runs whole workflows with act, a real workflow runner, on this machine and without containers.

What act does otherwise than GitHub, and a test has to know:

- `permissions`, `concurrency` and `timeout-minutes` are not enforced, and all jobs of a run share one token.
- The commit of an event is that of the `repository` folder.
- `uses: actions/checkout` without `ref` copies that folder, git folder included; with another `ref` than the event's it
  is the stand-in, which fetches from the server.
- Jobs without `needs` run at the same time, as do those of a matrix, and each has a folder of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ACTIONS = Path(__file__).with_name("actions")
OURS = "OWNER/mlci"  # as the copyable workflows name this repository
CALLED = ".github/workflows/check.yml"
OWN = re.compile(r"uses: \$/(\w*)$", re.MULTILINE)  # GitHub's word for the repository of the workflow, which act lacks

# How this machine reaches the registries from which the action installs itself.
_PASSED = ("PIP_", "UV_", "SSL_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# What is no part of a commit, and what the actions do not read: act copies the rest twice for each of their steps.
_NO_PART = shutil.ignore_patterns(".git", ".mlci", ".*_cache", ".hypothesis", ".venv", "__pycache__", "build", "dist")
_UNREAD = ("benchmarks", "charts", "docs", "tests")
_REMOTE = re.compile(r"^\s*(?:- )?uses: ([\w.-]+/[\w.-]+)((?:/[\w./-]+)?)@(\S+)", re.MULTILINE)


@dataclass
class Finished:
    """A workflow run that has ended."""

    succeeded: bool
    lines: list[dict[str, Any]] = field(repr=False)
    errors: str = field(repr=False)

    @property
    def log(self) -> str:
        """Everything that the runner said."""
        return "\n".join([*(str(line.get("msg", "")) for line in self.lines), self.errors])

    @property
    def outputs(self) -> dict[str, str]:
        """Every output that a step set, the last one of a name. An action sets those to "" that its steps do not."""
        return {
            line["name"]: line["arg"]
            for line in self.lines
            if line.get("command") == "set-output" and "name" in line and line.get("arg")
        }

    def every_output(self, name: str) -> set[str]:
        """All values that steps gave to an output of this name."""
        return {line["arg"] for line in self.lines if line.get("name") == name and line.get("arg")}

    @property
    def summary(self) -> str:
        """What the summaries of all jobs show."""
        return "\n".join(str(line["content"]) for line in self.lines if line.get("command") == "summary")

    @property
    def jobs(self) -> dict[str, list[str]]:
        """Each job's results by its id; of a matrix one for each of its jobs, all of them failed where one is."""
        found: dict[str, list[str]] = {}
        for line in self.lines:
            if "jobResult" in line:
                found.setdefault(line["jobID"], []).append(line["jobResult"])
        return found


def checkout_copy(folder: Path) -> Path:
    """This checkout as a clone of it would be, as far as the actions read it."""
    shutil.copytree(
        ROOT,
        folder,
        ignore=lambda where, names: {*_NO_PART(where, names), *(_UNREAD if Path(where) == ROOT else ())},
        symlinks=True,
    )
    called = folder / CALLED
    text = OWN.sub(lambda found: f"uses: {OURS}/{found[1]}".rstrip("/") + f"@{'0' * 40}", called.read_text())
    called.write_text(text)
    return folder


@dataclass(frozen=True)
class Installed:
    """This repository as workflows use it: a copy of this checkout, and how its jobs find it installed."""

    ours: Path
    environ: dict[str, str]


def installation(folder: Path, *, extras: str = "") -> Installed:
    """Have `entry.sh` install mlci once, so that each job finds it in its RUNNER_TEMP as a later step of a job does.

    Otherwise the jobs would spend most of their time on it; one that installs it itself is in test_action.py.

    Args:
        folder: Where to.
        extras: MLCI_EXTRAS of every job.
    """
    runner, link = folder / "runner", folder / "link.sh"
    runner.mkdir(parents=True)
    ours = checkout_copy(folder / "ours")
    environ = os.environ | {"RUNNER_TEMP": str(runner), "INPUT_COMMAND": "--version", "INPUT_ARGS": ""}
    environ |= {"MLCI_EXTRAS": extras}
    subprocess.run(["bash", ours / "entry.sh"], env=environ, check=True, stdout=sys.stderr)
    # Every bash of a step reads this file first.
    link.write_text(
        f'for home in "{runner}"/mlci-*; do\n'
        '  if [ -n "${RUNNER_TEMP:-}" ] && [ ! -e "$RUNNER_TEMP/${home##*/}" ]; then\n'
        '    mkdir -p "$RUNNER_TEMP" && ln -s "$home" "$RUNNER_TEMP/"\n'
        "  fi\ndone\n"
    )
    return Installed(ours, {"BASH_ENV": str(link), "MLCI_EXTRAS": extras})


def act(
    event: str,
    payload: dict[str, Any],
    *,
    repository: Path,
    scratch: Path,
    token: str,
    server: str,
    workflow: str | None = None,
    ours: Path | None = None,
    api: str | None = None,
    artifacts: str | None = None,
    name: str = "team/models",
    run_id: int = 1,
    attempt: int = 1,
    labels: Sequence[str] = ("ubuntu-latest",),
    secrets: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    fetches: bool = False,
    timeout: float = 280,
) -> Finished:
    """Run the workflows of `repository` that want `event`.

    Args:
        event: Its name.
        payload: What GitHub would send with it; of workflow_dispatch, `inputs` are the workflow's.
        repository: A checkout, in the state in which `actions/checkout` would leave it.
        scratch: A folder of the test's own.
        token: The GITHUB_TOKEN of every job.
        server: The URL of the git server, as `GITHUB_SERVER_URL`.
        workflow: The one workflow to run, by its file's name in `.github/workflows`; without it all that want the
            event. Its remote actions, and those of the workflows beside it, become the stand-ins; `OWNER/mlci` and
            its subfolders become `ours`.
        ours: A `checkout_copy`, which several runs may share; without it one is made.
        api: The URL of the fake GitHub, as `GITHUB_API_URL`.
        artifacts: The URL of the server that holds the stand-ins' artifacts, by default `api`.
        name: The repository, as owner/name.
        run_id: The run's id, and the key of its artifacts.
        attempt: The run's attempt.
        labels: Every label of a `runs-on`, all of which are this machine.
        secrets: More secrets by name.
        environ: More variables of every step.
        fetches: Whether a checkout without `ref` fetches from the server as well; the stand-in does it.
        timeout: In seconds.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    file = scratch / "event.json"
    file.write_text(json.dumps(payload))
    variables = {key: value for key, value in os.environ.items() if key.upper().startswith(_PASSED)}
    variables |= {
        "GITHUB_SERVER_URL": server,
        "GITHUB_REPOSITORY": name,
        "GITHUB_REPOSITORY_ID": str(payload["repository"]["id"]),
        "GITHUB_RUN_ID": str(run_id),
        "GITHUB_RUN_ATTEMPT": str(attempt),
    }
    if api:
        variables |= {"GITHUB_API_URL": api, "GITHUB_GRAPHQL_URL": f"{api}/graphql"}
    if artifacts or api:
        variables["MLCI_TEST_ARTIFACTS"] = artifacts or api or ""
    # Secrets in the log stay as they are, so that a test finds one that is said.
    command = [str(Path(sys.executable).with_name("act")), event, "--json", "--insecure-secrets"]
    command += ["--eventpath", str(file)]
    if workflow:
        ref = _ref(event, payload)
        path = f".github/workflows/{workflow}"
        variables |= {"GITHUB_REF": ref, "GITHUB_WORKFLOW_REF": f"{name}/{path}@{ref}"}
        command += ["--workflows", path]
        for used, folder in _mapped(repository, workflow, ours or scratch / "ours").items():
            command += ["--local-repository", f"{used}={folder}"]
    if fetches:
        command += ["--no-skip-checkout"]
    for label in labels:
        command += ["--platform", f"{label}=-self-hosted"]
    for key, value in {"GITHUB_TOKEN": token, **(secrets or {})}.items():
        command += ["--secret", f"{key}={value}"]
    for key, value in (variables | dict(environ or {})).items():
        command += ["--env", f"{key}={value}"]
    done = subprocess.run(
        command,
        cwd=repository,
        env=os.environ | {"XDG_CACHE_HOME": str(scratch / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Finished(succeeded=done.returncode == 0, lines=lines, errors=done.stderr)


def _ref(event: str, payload: Mapping[str, Any]) -> str:
    """GITHUB_REF: act knows it of the commonest events only."""
    if event == "pull_request":
        return f"refs/pull/{payload['number']}/merge"
    if event == "merge_group":
        return str(payload["merge_group"]["head_ref"])
    return str(payload.get("ref") or f"refs/heads/{payload['repository']['default_branch']}")


def _mapped(repository: Path, workflow: str, ours: Path) -> dict[str, Path]:
    """Every remote `uses:` of the repository's workflows, as act names it, and the folder that stands in for it.

    Those of the workflow that other repositories call are among them.
    """
    found: dict[str, Path] = {}
    for file in [*(repository / ".github/workflows").iterdir(), ROOT / CALLED]:
        for used, _, ref in _REMOTE.findall(file.read_text(encoding="utf-8")):
            if used == OURS:
                found[f"{used}@{ref}"] = ours if ours.exists() else checkout_copy(ours)
                continue
            folder = ACTIONS / used.rpartition("/")[2]
            if not folder.is_dir() and file.name not in (workflow, Path(CALLED).name):
                continue  # another workflow's, which is not run
            if not folder.is_dir():
                raise LookupError(f"{file.name} uses {used}, for which {ACTIONS.name}/ has no stand-in")
            found[f"{used}@{ref}"] = folder
    return found
