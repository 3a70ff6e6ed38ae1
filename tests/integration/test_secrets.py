"""What is secret is nowhere to be read after `mlci run`, and what user code prints commands nobody."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from fakes.command_line import Workbench, notebook, workbench

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("secrets")]

SECRETS = {
    "HF_TOKEN": 'hf_"quoted"\\and-back/slashed€9x',  # a variable whose name says it
    "QUIET": "quite-quiet-word-7531",  # one that `--secret` names
    "DB_PASSWORD": "of-the-table-env-2468",  # in `env` of the run
    "api_token": "param-eter-value-1357",  # a parameter whose name says it
    "pin": "98127634",  # a number that `--secret` names
}
# What a step gets from its runner, and no code of the user does.
OF_THE_RUNNER = {
    **dict.fromkeys(("GITHUB_TOKEN", "GH_TOKEN", "MLCI_GITHUB_TOKEN"), "ghs_tokenofthestep"),
    "ACTIONS_RUNTIME_TOKEN": "runtime-token-of-the-step",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://oidc.example/of-the-step",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "oidc-token-of-the-step",
    "INPUT_TOKEN": "input-token-of-the-step",
}
FILES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")
COMMANDS = (
    *("::error::INERT", "::set-output name=INERT::x", "::add-mask::INERT", "  ::warning::INERT"),
    "x ##[error]INERT",  # which a runner takes anywhere in a line
)
TELL = f"""
import hashlib, json, os, sys, time
secrets = {{
    **{{name: os.environ[name] for name in ("HF_TOKEN", "QUIET", "DB_PASSWORD")}},
    "api_token": api_token,
    "pin": str(pin),
}}
print("SEEN", json.dumps({{name: hashlib.sha256(value.encode()).hexdigest() for name, value in secrets.items()}}))
print("NAMES", json.dumps(sorted([*os.environ, *(
    pair.partition("=")[0] for pair in open("/proc/self/environ", errors="replace").read().split("\\0")
)])))
for value in secrets.values():
    print(value, repr(value), json.dumps(value), [value], {{value: value}})
    print("prefix" + value + value + "suffix", file=sys.stderr)
    for piece in (value[:4], value[4:], "\\n"):
        sys.stdout.write(piece)
        sys.stdout.flush()
        time.sleep(0.01)
    os.write(1, value[:3].encode())
    os.write(1, value[3:].encode() + b"\\n")
for command in {COMMANDS!r}:
    print(command)
"""
FROM_ENVIRON = 'import json, os\nlocals().update(json.loads(os.environ["MLCI_PARAMETERS"]))\n'
RAISE = "raise ValueError(f'{secrets}\\n::error::INERT in {api_token} {pin}')"
SHOW = """
from IPython.display import HTML, display
display(HTML("<b>" + secrets["HF_TOKEN"] + "</b>"), metadata={"note": api_token})
display({"application/json": {"secret": [pin, api_token]}, "text/plain": api_token}, raw=True)
display(api_token, display_id="one").update(secrets["QUIET"])
for _ in range(3_000): print(*secrets.values())
[*secrets.values()]
"""
CONFIGURATION = """
[defaults]
env = { DB_PASSWORD = "of-the-table-env-2468" }
parameters = { api_token = "none", pin = 1 }
max-cell-output = "64K"
max-output = "128K"
[runs.notebook]
notebook = "tell.ipynb"
[runs.script]
script = "tell.py"
[runs.loud]
script = "loud.py"
[runs.forked]
notebook = "tell.ipynb"
preload = ["json"]
"""


@dataclass
class Ran:
    """A `mlci run` and the steps after it, in one of two places."""

    bench: Workbench
    steps: list[str]  # what each printed
    folder: Path  # the runner's own, and what is temporary

    def text(self, run: str) -> str:
        """All that a run has printed, as it is kept."""
        outputs = self.bench.result(run)["outputs"]
        log = (self.bench.folder / ".mlci" / outputs["log"]).read_text() if outputs["log"] else ""
        if outputs["notebook"] is None:
            return log
        node = nbformat.read(self.bench.folder / ".mlci" / outputs["notebook"], as_version=4)
        nbformat.validate(node)
        return log + "".join(
            output.text for cell in node.cells for output in cell.get("outputs", ()) if output.output_type == "stream"
        )


@pytest.fixture(scope="module", params=["laptop", "runner"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("secrets")
    bench = workbench(folder)
    bench.write(
        mlci__toml=CONFIGURATION,
        tell__ipynb=notebook("api_token = ''\npin = 0", TELL, SHOW, RAISE, tags={0: "parameters"}),
        tell__py=FROM_ENVIRON + TELL + RAISE,
        loud__py=FROM_ENVIRON + TELL + "for _ in range(3_000): print(*secrets.values())\n" + RAISE,
    )
    bench.commit()
    environ = {name: SECRETS[name] for name in ("HF_TOKEN", "QUIET")} | {"TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    environ |= OF_THE_RUNNER | {name: str(folder / name) for name in FILES}
    if request.param == "runner":
        environ |= {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}
    given = [word for name in ("api_token", "pin") for word in ("-p", f"{name}={SECRETS[name]}")]
    run = ("run", "--follow", "--secret", "QUIET", "--secret", "pin", *given)
    steps = []
    for command in (run, ("record",), ("compare",), ("report",)):
        process = bench.start(*command, **environ)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == (4 if command is run else 0), said
        steps.append(said)
    assert {"run.json", "record.json", "comparison.json", "report.md"} <= {
        path.name for path in (bench.folder / ".mlci").iterdir()
    }
    return Ran(bench, steps, folder)


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as it may stand in a text, a literal or JSON."""
    for spelled in {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3]}:
        yield spelled.encode()


@pytest.mark.parametrize("name", [*SECRETS, "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN"])
def test_secret__is_stored_and_printed_nowhere(ran: Ran, name: str) -> None:
    places = {str(path): path.read_bytes() for path in (ran.bench.folder / ".mlci").rglob("*") if path.is_file()}
    places |= {name: (ran.folder / name).read_bytes() for name in FILES if (ran.folder / name).exists()}
    for number, step in enumerate(ran.steps):
        places[f"step {number}"] = step.encode()
    assert "tell" in str(places)
    for spelled in spellings((SECRETS | OF_THE_RUNNER)[name]):
        assert [place for place, content in places.items() if spelled in content] == []


@pytest.mark.parametrize("run", ["notebook", "forked", "script", "loud"])
def test_secret__is_what_the_code_has_seen(ran: Ran, run: str) -> None:
    [seen] = [line for line in ran.text(run).splitlines() if line.startswith("SEEN ")]
    expected = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in SECRETS.items()}
    assert json.loads(seen.removeprefix("SEEN ")) == expected


@pytest.mark.parametrize("run", ["notebook", "script"])
def test_secret__its_stars_stand_where_it_was(ran: Ran, run: str) -> None:
    printed = ran.text(run)
    assert "\n***\n" in printed  # what came in two pieces
    assert "prefix******suffix\n" in printed
    error: Any = ran.bench.result(run)["error"]
    assert "***" in error["traceback"]
    assert error["message"].startswith("ValueError: {'HF_TOKEN': '***'")


def test_secret__the_cell_of_parameters_and_its_metadata(ran: Ran) -> None:
    path = ran.bench.folder / ".mlci" / ran.bench.result("notebook")["outputs"]["notebook"]
    node = nbformat.read(path, as_version=4)
    [injected] = [cell for cell in node.cells if "injected-parameters" in cell.metadata.get("tags", ())]
    assert "***" in injected.source
    assert node.metadata.papermill.parameters == {"api_token": "***", "pin": "***"}
    result = ran.bench.result("notebook")
    assert result["parameters"] == {"api_token": "***", "pin": "***"}
    assert result["command"].startswith("mlci run notebook -p 'api_token=***'")


def test_secret__nothing_temporary_stays(ran: Ran) -> None:
    assert list((ran.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("run", ["notebook", "forked", "script"])
def test_environment__of_user_code_has_nothing_of_the_runner(ran: Ran, run: str) -> None:
    [said] = [line for line in ran.text(run).splitlines() if line.startswith("NAMES ")]
    names = set(json.loads(said.removeprefix("NAMES ")))
    assert {"HF_TOKEN", "MLCI_RUN", "PATH"} <= names
    assert names & {*OF_THE_RUNNER, *FILES} == set()


def obeyed(text: str) -> Iterator[str]:
    """The commands that a runner would take from a log."""
    token = None
    for line in text.splitlines():
        if token is None and line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif token is not None and line == f"::{token}::":
            token = None
        elif token is None and (line.lstrip().startswith("::") or "##[" in line):
            yield line
    assert token is None


def test_commands__of_user_code_are_inert(ran: Ran) -> None:
    log = ran.steps[0]
    assert all(f"\n{command}\n" in log for command in COMMANDS[:-1])
    assert "x ## [error]INERT" in log
    if "::stop-commands::" not in log:
        assert "::group::" not in log
        return
    for line in obeyed(log):
        assert line.startswith(("::group::", "::endgroup::", "::error file=tell."))
        assert "::error::" not in line
