"""What becomes of code that ends in every way that code can end, as a notebook, as a script and as a command."""

from __future__ import annotations

import json
import signal
import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from fakes.command_line import Done, Workbench, living, notebook, workbench

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("statuses")]

CANARY = uuid.uuid4().hex
PYTHON3: dict[str, Any] = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
CODE = {
    "fine": "print('fine')",
    "raises": "raise ValueError('no such thing')",
    "exits": "import os; os._exit(9)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "sleeps": "import time; time.sleep(120)",
    "child": "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)",
}
TABLE = [
    # code, kind, status, error's kind
    ("fine", "notebook", "succeeded", None),
    ("fine", "script", "succeeded", None),
    ("fine", "command", "succeeded", None),
    ("raises", "notebook", "failed", "exception"),
    ("raises", "script", "failed", "exit-code"),
    ("raises", "command", "failed", "exit-code"),
    ("exits", "notebook", "crashed", "dead-kernel"),
    ("exits", "script", "failed", "exit-code"),
    ("exits", "command", "failed", "exit-code"),
    ("killed", "notebook", "crashed", "dead-kernel"),
    ("killed", "script", "crashed", "signal"),
    ("killed", "command", "crashed", "signal"),
    ("sleeps", "notebook", "timed-out", "timeout"),
    ("sleeps", "script", "timed-out", "timeout"),
    ("sleeps", "command", "timed-out", "timeout"),
    ("child", "notebook", "succeeded", None),
    ("child", "script", "succeeded", None),
    ("child", "command", "succeeded", None),
    ("expected", "notebook", "succeeded", None),
    ("bare", "notebook", "succeeded", None),
]
FIRST, LAST = "print('first')", "print('last')"
NOTEBOOKS = {
    **{name: notebook(FIRST, code, LAST, **PYTHON3) for name, code in CODE.items()},
    "expected": notebook(FIRST, "1 / 0", LAST, tags={1: "raises-exception"}, **PYTHON3),
    "bare": notebook(FIRST, "print('no kernelspec')", LAST),
}


@dataclass
class Ran:
    """What one `mlci run` of everything left."""

    bench: Workbench
    done: Done
    left: list[str]

    def result(self, code: str, kind: str) -> Any:
        return self.bench.result(f"{code}-{kind}")


def configuration() -> str:
    lines = ["[defaults]", f'env = {{ CANARY = "{CANARY}" }}']
    for code, kind, *_ in TABLE:
        lines += [
            f"[runs.{code}-{kind}]",
            {
                "notebook": f'notebook = "{code}.ipynb"',
                "script": f'script = "{code}.py"',
                "command": f'command = ["sh", "-c", "exec python {code}.py"]',
            }[kind],
        ]
        if code == "sleeps":
            lines.append('timeout = "6s"' if kind == "notebook" else 'timeout = "1s"')
    return "\n".join(lines)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    bench = workbench(tmp_path_factory.mktemp("statuses"))
    bench.write(mlci__toml=configuration())
    bench.write(**{f"{name}__ipynb": text for name, text in NOTEBOOKS.items()})
    bench.write(**{f"{name}__py": f"{FIRST}\n{code}\n{LAST}\n" for name, code in CODE.items()})
    bench.commit()
    done = bench.mlci("run")
    return Ran(bench, done, living(CANARY=CANARY))


@pytest.mark.parametrize(("code", "kind", "status", "error"), TABLE)
def test_run__status(ran: Ran, code: str, kind: str, status: str, error: str | None) -> None:
    result = ran.result(code, kind)
    assert result["status"] == status
    assert (result["error"] or {}).get("kind") == error


@pytest.mark.parametrize(("code", "kind", "status", "error"), TABLE)
def test_run__notebook_or_log_is_on_disk(ran: Ran, code: str, kind: str, status: str, error: str | None) -> None:
    outputs = ran.result(code, kind)["outputs"]
    workspace = ran.bench.folder / ".mlci"
    if kind != "notebook":
        assert "first" in (workspace / outputs["log"]).read_text()
        return
    executed = json.loads((workspace / outputs["notebook"]).read_text())
    assert "first" in str(executed["cells"])
    about = executed["metadata"]["papermill"]
    assert about["status"] == status
    assert about["exception"] is (None if error is None else True)


@pytest.mark.parametrize("code", ["raises", "exits", "killed", "sleeps"])
def test_run__a_cell_that_never_ran_is_pending(ran: Ran, code: str) -> None:
    result = ran.result(code, "notebook")
    assert [cell["status"] for cell in result["cells"]] == ["completed", "failed", "pending"]
    assert result["error"]["cell"] == 2
    assert result["error"]["file"] == f"{code}.ipynb"


@pytest.mark.parametrize("kind", ["notebook", "script"])
def test_run__the_error_says_what_and_where(ran: Ran, kind: str) -> None:
    error = ran.result("raises", kind)["error"]
    assert error["message"] == "ValueError: no such thing"
    assert error["line"] == (1 if kind == "notebook" else 2)
    assert "ValueError" in error["traceback"]


def test_run__one_failure_does_not_stop_the_others(ran: Ran) -> None:
    assert len(ran.bench.document("run.json")["runs"]) == len(TABLE)
    assert ran.done.code == 4
    assert f"of {len(TABLE)} did not succeed" in ran.done.err


def test_run__nothing_of_any_tree_is_left(ran: Ran) -> None:
    assert ran.left == []


@pytest.mark.parametrize("kind", ["script", "command"])
def test_run__a_child_that_was_left_behind_is_said(ran: Ran, kind: str) -> None:
    assert "child-" + kind + ": 1 process(es) outlived the run and were ended" in ran.done.err


@pytest.mark.parametrize("kind", ["notebook", "script", "command"])
def test_run__duration_cpu_and_memory(ran: Ran, kind: str) -> None:
    result = ran.result("fine", kind)
    assert 0 < result["resources"]["cpu_s"] < result["duration_s"] + 5
    assert 1e6 < result["resources"]["peak_memory_bytes"] < 1e9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("kind", ["notebook", "script", "command"])
def test_run__a_signal_to_mlci(ran: Ran, kind: str, number: signal.Signals) -> None:
    bench = ran.bench
    canary = uuid.uuid4().hex
    text = configuration().replace(CANARY, canary).replace('timeout = "', 'timeout = "100')
    bench.write(mlci__toml=text)
    process = bench.start("run", f"sleeps-{kind}", f"fine-{kind}")
    source = "ipykernel_launcher" if kind == "notebook" else "sleeps.py"
    deadline = time.monotonic() + 30
    while not any(source in line for line in living(CANARY=canary)) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2.0 if kind == "notebook" else 0.3)
    asked = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - asked < 7
    statuses = {result["name"]: result["status"] for result in bench.document("run.json")["runs"]}
    assert statuses[f"sleeps-{kind}"] == "cancelled"
    assert living(CANARY=canary) == []
