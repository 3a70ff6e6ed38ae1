"""`mlci run -j`: what runs at once, what does not, and what is left of it however it ends."""

from __future__ import annotations

import re
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import Workbench, living, workbench

# Each goes on when the others have come.
MEET = """
import os, pathlib, sys, time
here = pathlib.Path("met") / (os.environ["MLCI_RUN"] + os.environ.get("MLCI_SEED", ""))
here.parent.mkdir(exist_ok=True)
here.touch()
end = time.monotonic() + 30
while len(list(here.parent.iterdir())) < int(sys.argv[1]):
    if time.monotonic() > end:
        raise SystemExit("nobody came")
    time.sleep(0.02)
"""
# Each notices whether another is there.
APART = """
import json, os, pathlib, time
here = pathlib.Path("inside") / (os.environ["MLCI_RUN"] + os.environ.get("MLCI_SEED", ""))
here.parent.mkdir(exist_ok=True)
here.touch()
time.sleep(0.2)
others = [path.name for path in here.parent.iterdir() if path != here]
time.sleep(0.2)
here.unlink()
if others:
    raise SystemExit(f"together with {others}")
pathlib.Path("metrics.json").write_text(json.dumps({"seed": int(os.environ.get("MLCI_SEED", 0))}))
"""
SLEEP = "import pathlib, os, time\npathlib.Path(os.environ['MLCI_RUN'] + '.began').touch()\ntime.sleep(600)\n"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    made = workbench(tmp_path)
    made.write(meet__py=MEET, apart__py=APART, sleep__py=SLEEP, fine__py="", bad__py="1 / 0\n")
    return made


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def statuses(bench: Workbench) -> dict[Any, Any]:
    return {
        result["name"] if result["seed"] is None else (result["name"], result["seed"]): result["status"]
        for result in bench.document("run.json")["runs"]
    }


def runs(bench: Workbench, *names: str, lines: str = "", script: str = "meet") -> None:
    tables = (f'[runs.{name}]\nscript = "{script}.py"\nargs = ["{len(names)}"]\n{lines}\n' for name in names)
    bench.write(mlci__toml="\n".join(tables))
    bench.commit()


@pytest.mark.parametrize("asked", ["-j2", "MLCI_JOBS"])
def test_run__several_at_once_in_the_order_of_the_plan(bench: Workbench, asked: str) -> None:
    runs(bench, "b", "a")
    done = bench.mlci("run", "-j2") if asked == "-j2" else bench.mlci("run", MLCI_JOBS="2")
    assert done.code == 0, done.err
    assert list(statuses(bench).items()) == [("b", "succeeded"), ("a", "succeeded")]


def test_run__one_after_the_other_unless_asked(bench: Workbench) -> None:
    runs(bench, "a", "b", script="apart")
    assert bench.mlci("run").code == 0


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5"])
def test_run__a_number_of_jobs_that_is_none(bench: Workbench, given: str) -> None:
    runs(bench, "a")
    done = bench.mlci("run", "--jobs", given)
    assert done.code == 2
    assert "expected a whole number of at least 1, or auto" in done.err


def test_run__seeds_that_declare_no_file_run_at_once(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.a]\nscript = "meet.py"\nargs = ["3"]\nseeds = [0, 1, 2]\n')
    bench.commit()
    assert bench.mlci("run", "-j3").code == 0, bench.document("run.json")


def test_run__seeds_that_write_one_file_follow_each_other(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.a]\nscript = "apart.py"\nseeds = [2, 0, 1]\nmetrics = ["metrics.json"]\n')
    bench.commit()
    assert bench.mlci("run", "-j3").code == 0, bench.document("run.json")
    results = bench.document("run.json")["runs"]
    assert [(result["seed"], result["metrics"][0]["value"]) for result in results] == [(2, 2), (0, 0), (1, 1)]


def test_run__exclusive(bench: Workbench) -> None:
    runs(bench, "a", "b", "c", lines="resources = { exclusive = true }", script="apart")
    assert bench.mlci("run", "-j3").code == 0, bench.document("run.json")


def test_run__more_memory_than_there_is_is_had_alone(bench: Workbench) -> None:
    runs(bench, "a", "b", lines='resources = { memory = "900T" }', script="apart")
    assert bench.mlci("run", "-j2").code == 0, bench.document("run.json")


def test_run__each_its_own_gpu(bench: Workbench) -> None:
    show = "import os, subprocess, sys\nprint('device', os.environ['CUDA_VISIBLE_DEVICES'])\n"
    runs(bench, "a", "b", lines="resources = { gpu = 1 }", script="show")
    bench.write(show__py=show + MEET)
    bench.commit()
    assert bench.mlci("run", "-j2", CUDA_VISIBLE_DEVICES="GPU-x,GPU-y").code == 0
    logs = [(bench.folder / ".mlci" / bench.result(name)["outputs"]["log"]).read_text() for name in "ab"]
    assert logs == ["device GPU-x\n", "device GPU-y\n"]


def test_run__what_is_needed_comes_first_and_what_it_blocks_is_skipped(bench: Workbench) -> None:
    bench.write(
        mlci__toml='[runs.last]\nscript = "fine.py"\nneeds = ["middle"]\n[runs.middle]\nscript = "fine.py"\n'
        'needs = ["first"]\n[runs.first]\nscript = "bad.py"\n[runs.after]\nscript = "fine.py"\nneeds = ["good"]\n'
        '[runs.good]\nscript = "fine.py"\n'
    )
    bench.commit()
    assert bench.mlci("run", "-j4").code == 4
    assert statuses(bench) == {
        "first": "failed",
        "middle": "skipped",
        "last": "skipped",
        "good": "succeeded",
        "after": "succeeded",
    }
    assert bench.result("last")["reason"] == "needs middle, which did not succeed"


def test_run__fail_fast_lets_what_runs_come_to_its_end(bench: Workbench) -> None:
    wait = "import pathlib, time\nwhile 'did not' not in pathlib.Path('.mlci/run.json').read_text(): time.sleep(0.05)\n"
    bench.write(
        mlci__toml='[runs.a]\nscript = "bad.py"\n[runs.b]\nscript = "wait.py"\n[runs.c]\nscript = "fine.py"\n',
        wait__py=wait,
    )
    bench.commit()
    assert bench.mlci("run", "-j2", "--fail-fast").code == 4
    assert statuses(bench) == {"a": "failed", "b": "succeeded", "c": "skipped"}
    assert bench.result("c")["reason"] == "--fail-fast, and a did not succeed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_run__a_signal_ends_all_of_them(bench: Workbench, number: signal.Signals) -> None:
    canary = uuid.uuid4().hex
    runs(bench, "a", "b", "c", lines=f'env = {{ CANARY = "{canary}" }}', script="sleep")
    process = bench.start("run", "-j2")
    until(lambda: all((bench.folder / f"{name}.began").exists() for name in "ab"))
    asked = time.monotonic()
    process.send_signal(number)
    time.sleep(0.2)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert time.monotonic() - asked < 6
    assert process.returncode == 130
    assert statuses(bench) == dict.fromkeys("abc", "cancelled")
    assert bench.result("c")["error"]["message"] == "never started"
    assert living(CANARY=canary) == []


def test_run__mlci_is_killed_and_nothing_of_it_lives_on(bench: Workbench) -> None:
    canary = uuid.uuid4().hex
    runs(bench, "a", "b", lines=f'env = {{ CANARY = "{canary}" }}', script="sleep")
    process = bench.start("run", "-j2", OUTER=canary)
    until(lambda: all((bench.folder / f"{name}.began").exists() for name in "ab"))
    process.kill()
    process.communicate()
    until(lambda: living(CANARY=canary) == living(OUTER=canary) == [])
    assert statuses(bench) == {"a": "crashed", "b": "crashed"}
    assert bench.result("a")["error"]["kind"] == "lost"


def test_run__code_that_kills_its_worker_is_lost_alone(bench: Workbench) -> None:
    kill = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)\n"
    canary = uuid.uuid4().hex
    runs(bench, "a", "b", lines=f'env = {{ CANARY = "{canary}" }}', script="fine")
    bench.write(kill__py=kill)
    with (bench.folder / "mlci.toml").open("a") as file:
        file.write(f'[runs.c]\nscript = "kill.py"\nenv = {{ CANARY = "{canary}" }}\n')
    bench.commit()
    assert bench.mlci("run", "-j3").code == 4
    assert statuses(bench) == {"a": "succeeded", "b": "succeeded", "c": "crashed"}
    assert bench.result("c")["error"]["message"] == "its worker process was ended by SIGKILL, without a word"
    assert living(CANARY=canary) == []


def test_run__the_groups_of_a_runner_do_not_mix_and_are_inert(bench: Workbench, tmp_path: Path) -> None:
    said = "\nfor number in range(5): print('::error::' + here.name, number, flush=True); time.sleep(0.02)\n"
    runs(bench, "a", "b", script="talk")
    bench.write(talk__py=MEET + said)
    bench.commit()
    done = bench.mlci("run", "-j2", GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(tmp_path / "out"))
    groups = re.findall(
        r"^::group::(\w)\n::stop-commands::(\w+)\n(.*?)^::(\w+)::\n::endgroup::$", done.out, re.DOTALL | re.MULTILINE
    )
    assert sorted(name for name, *_ in groups) == ["a", "b"]
    for name, token, text, end in groups:
        assert token == end
        assert text.startswith("".join(f"::error::{name} {number}\n" for number in range(5)))


def test_run__follow(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.a]\nscript = "say.py"\n', say__py="print('hello')\n")
    bench.commit()
    assert "hello" not in bench.mlci("run").err
    assert "hello\na: succeeded" in bench.mlci("run", "--follow").err


def test_run__secrets_are_stored_and_shown_nowhere(bench: Workbench) -> None:
    code = "import os, sys\nprint(os.environ['QUIET'])\nraise SystemExit(sys.argv[1] + os.environ['API_TOKEN'])\n"
    bench.write(
        mlci__toml='[runs.a]\nscript = "tell.py"\nargs = ["{word}"]\nsecrets = ["word"]\n',
        tell__py=code,
    )
    bench.commit()
    secrets = {"QUIET": f"quiet-{uuid.uuid4()}", "API_TOKEN": f"token-{uuid.uuid4()}"}
    word = f"word-{uuid.uuid4()}"
    done = bench.mlci("run", "--secret", "QUIET", "--follow", "-p", f"word={word}", **secrets)
    assert done.code == 4
    kept = [path.read_text() for path in (bench.folder / ".mlci").rglob("*") if path.is_file()]
    for secret in (*secrets.values(), word):
        assert secret not in done.out + done.err
        assert not any(secret in text for text in kept)
    assert bench.result("a")["parameters"] == {"word": "***"}
    assert bench.result("a")["command"] == "mlci run a -p 'word=***'"


def test_run__longest_first_as_the_baseline_tells(bench: Workbench, tmp_path: Path) -> None:
    tables = "".join(f'[runs.{name}]\nscript = "{name}.py"\n' for name in ("short", "long", "short2"))
    bench.write(
        mlci__toml=f'[baseline]\nstore = "folder"\noptions = {{ path = "{tmp_path}/baselines" }}\n{tables}',
        short__py="",
        short2__py="",
        long__py="import time; time.sleep(1)",
    )
    bench.commit()
    for command in (("run",), ("record",), ("baseline", "save")):
        done = bench.mlci(*command)
        assert done.code == 0, done.err
    bench.commit("Another")
    begun = [line for line in bench.mlci("run", "-j2").err.splitlines() if line.endswith(": running")]
    assert begun[0] == "long: running"


def test_run__as_many_as_the_machine_has_cores(bench: Workbench) -> None:
    runs(bench, "a", script="fine")
    assert bench.mlci("run", "-j", "auto").code == 0


WRITES = MEET + 'import json\npathlib.Path("metrics.json").write_text(json.dumps({os.environ["MLCI_RUN"]: 1}))\n'


def test_run__what_no_metrics_name_is_read_only_of_runs_that_were_alone(bench: Workbench) -> None:
    bench.write(writes__py=WRITES)
    runs(bench, "a", "b", script="writes")
    done = bench.mlci("run", "-j2")
    assert done.code == 0, done.err  # each waited for the other: both ran at once
    results = bench.document("run.json")["runs"]
    assert [result["metrics"] for result in results] == [[], []]
    notes = [note for result in results for note in result["notes"]]
    assert any(note.startswith("not read: metrics.json: ") and "name it in `metrics`" in note for note in notes)
    assert bench.mlci("run", "-j1").code == 0
    names = [[metric["name"] for metric in result["metrics"]] for result in bench.document("run.json")["runs"]]
    assert names == [["a"], ["b"]]
