"""A result is taken again while nothing that it depends on has changed, and never otherwise."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from fakes.reuse import Scene, scene
from mlci.core.documents import RunResult, decode, encode
from mlci.errors import UsageError
from mlci.running.outputs import Collected
from mlci.running.reuse import Miss
from mlci.running.reuse.entries import Entry

TRAINS = """
import json
with open("data.csv") as file:
    rows = len(file.readlines())
with open("metrics.json", "w") as file:
    json.dump({"rows": rows}, file)
with open("out/model.txt", "w") as file:
    file.write("model")
"""
DECLARES = 'inputs = ["data.csv"]\nmetrics = ["metrics.json"]\nartifacts = ["out/*.txt"]\n'


def training(folder: Path, **more: Any) -> Scene:
    made = scene(folder, DECLARES, train__py=TRAINS, data__csv="1\n2\n", **more)
    (made.folder / "out").mkdir()
    return made


def wiped(made: Scene) -> Scene:
    """As on a fresh machine."""
    for path in [made.folder / "metrics.json", *made.folder.glob("out/*"), *made.outputs.rglob("*")]:
        if path.is_file():
            path.unlink()
    (made.folder / "out").rmdir()
    return made


def entries(made: Scene) -> list[Path]:
    return sorted((made.folder / ".mlci-reuse/entries").rglob("*.json"))


def objects(made: Scene) -> list[Path]:
    return sorted(path for path in (made.folder / ".mlci-reuse/objects").rglob("*") if path.is_file())


def test_take__nothing_is_kept_yet(tmp_path: Path) -> None:
    assert scene(tmp_path).reasons() == ("no result of it is kept",)


def test_take__restores_files_and_result(tmp_path: Path) -> None:
    made = training(tmp_path)
    assert made.execute() is None
    result = wiped(made).take()
    assert isinstance(result, RunResult)
    assert result.reused
    assert result.notes == ("reused: unchanged since abcdef0, saved 41 s",)
    assert [(metric.name, metric.value) for metric in result.metrics] == [("rows", 2)]
    assert json.loads((made.folder / "metrics.json").read_text()) == {"rows": 2}
    assert (made.folder / "out/model.txt").read_text() == "model"
    for artifact in result.artifacts:
        assert artifact.stored is not None
        content = (made.folder / ".mlci" / artifact.stored).read_bytes()
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
    assert (made.outputs / "output.log").exists()
    assert not (made.outputs / "observed.log").exists()


def test_take__a_kept_result_is_taken_any_number_of_times_and_not_kept_anew(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.execute()
    key = made.key()
    for _ in range(2):
        result = made.take()
        assert isinstance(result, RunResult)
        assert made.reuse().keep(key, result, log=made.outputs / "observed.log", collected=Collected()) is None
    assert len(entries(made)) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data__csv": "1\n"}, "input data.csv is changed"),
        ({"train__py": TRAINS + "# more\n"}, "file train.py is changed"),
    ],
)
def test_take__says_what_changed(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    made = training(tmp_path)
    made.execute()
    assert made.write(**change).reasons() == (reason,)


def test_take__back_to_what_was_is_a_hit_again(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.execute()
    made.write(data__csv="1\n").execute()
    assert made.write(data__csv="1\n2\n").hit()
    assert made.write(data__csv="1\n").hit()


@pytest.mark.parametrize("status", ["failed", "crashed", "timed-out", "cancelled", "skipped"])
def test_keep__only_what_succeeded(tmp_path: Path, status: Any) -> None:
    made = training(tmp_path)
    made.status = status
    assert made.execute() is None
    assert not made.hit()


@pytest.mark.parametrize(
    ("code", "warning"),
    [
        ("open('other.csv')", "reads other.csv; declare what it reads in `inputs`"),
        ("open('note.txt', 'w')", "writes note.txt; declare what it writes as metrics, artifacts or plots"),
        ("open('data.csv', 'a')", "writes data.csv; declare what it writes as metrics, artifacts or plots"),
        (
            "import os; os.remove('other.csv')",
            "removes other.csv; declare what it writes as metrics, artifacts or plots",
        ),
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 1))", "connects to 127.0.0.1:1"),
        ("import subprocess; subprocess.run(['true'])", "starts true"),
        ("import sys; sys.audit('open')", "what it did could not all be told"),
    ],
)
def test_keep__what_stands_against_it_is_named(tmp_path: Path, code: str, warning: str) -> None:
    made = training(tmp_path, other__csv="x")
    made.write(train__py=TRAINS + code)
    assert made.execute() == f"not kept for reuse: {warning}"
    assert not made.hit()


def test_keep__many_things_are_counted(tmp_path: Path) -> None:
    made = scene(tmp_path, train__py="for n in range(7): open(f'{n}.txt', 'w')")
    said = made.execute()
    assert said is not None
    assert "writes 0.txt, writes 1.txt, writes 2.txt, writes 3.txt, writes 4.txt and 2 more;" in said


def test_keep__a_name_that_json_cannot_spell(tmp_path: Path) -> None:
    made = scene(tmp_path, train__py="import contextlib\nwith contextlib.suppress(OSError):\n    open(b'\\xff')")
    assert made.execute() == "not kept for reuse: the name of a file is no Unicode"


@pytest.mark.parametrize(
    "code",
    [
        "open('t', 'w').close(); import os; os.replace('t', 'out/model.txt')",
        "open('t', 'w').close(); open('t').close(); import os; os.remove('t')",
        "import tempfile; tempfile.NamedTemporaryFile().close()",
        "import os; os.makedirs('out', exist_ok=True)",
        "open('out/model.txt').close()",
        "import platform; platform.processor()",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])",
        "import os; os.listdir('.')",
    ],
)
def test_keep__what_does_no_harm(tmp_path: Path, code: str) -> None:
    made = training(tmp_path)
    made.write(train__py=TRAINS + code)
    assert made.execute() is None
    assert wiped(made).hit()


def test_keep__an_output_that_was_there_and_is_added_to(tmp_path: Path) -> None:
    made = scene(tmp_path, 'inputs = []\nartifacts = ["log.txt"]', train__py="open('log.txt', 'a').write('x')")
    assert made.execute() is None
    assert made.execute() == "not kept for reuse: adds to log.txt, which was there before"


def test_keep__a_stale_output_that_is_read(tmp_path: Path) -> None:
    made = scene(tmp_path, 'inputs = []\nartifacts = ["m"]', m="old", train__py="open('m').close(); open('m', 'w')")
    assert made.execute() == "not kept for reuse: reads m; declare what it reads in `inputs`"


def test_keep__a_module_that_only_running_shows(tmp_path: Path) -> None:
    code = "import sys; sys.path.append('lib'); name = 'deep'; __import__(name)"
    made = scene(tmp_path, train__py=code, **{"lib/deep__py": "x = 1\n"})
    assert made.execute() is None
    assert made.execute() is None  # from byte code
    assert made.hit()
    made.write(**{"lib/deep__py": "x = 2\n"})
    assert made.reasons() == ("module lib/deep.py changed",)


def test_keep__a_file_that_was_not_there(tmp_path: Path) -> None:
    code = "import contextlib\nwith contextlib.suppress(OSError):\n    open('local.cfg')"
    made = scene(tmp_path, train__py=code)
    assert made.execute() is None
    assert made.hit()
    assert made.write(local__cfg="x").reasons() == ("local.cfg changed",)


def test_keep__the_names_in_a_folder(tmp_path: Path) -> None:
    made = scene(tmp_path, train__py="import glob; glob.glob('parts/*')", **{"parts/a": ""})
    made.execute()
    assert made.hit()
    made.write(**{"parts/b": ""})
    assert made.reasons() == ("the names in parts changed",)


def test_keep__an_input_that_somebody_changed_meanwhile(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.execute()
    key, log = made.key(), made.outputs / "observed.log"
    result = made.take()
    assert isinstance(result, RunResult)
    log.write_text("start python\n")
    made.write(data__csv="new\n")
    fresh = decode(encode(result).replace(b'"reused": true', b'"reused": false'), RunResult, name="it")
    said = made.reuse().keep(key, fresh, log=log, collected=Collected())
    assert said == "not kept for reuse: data.csv was changed while it ran"


def test_keep__a_command_that_is_no_python(tmp_path: Path) -> None:
    table = '[runs.train]\ncommand = ["sh", "-c", "python3 -c 1"]\nreuse = true\n'
    made = scene(tmp_path, kind=table)
    made.environ["PATH"] = f"{Path('/usr/bin')}:/bin"
    assert made.execute() == "not kept for reuse: sh is not the run's Python, and what it reads is not seen"


def test_keep__a_command_of_the_run_s_python(tmp_path: Path) -> None:
    table = '[runs.train]\ncommand = ["python", "-m", "train"]\nreuse = true\n'
    made = scene(tmp_path, kind=table, train__py="import helper", helper__py="")
    assert made.execute() is None
    assert made.hit()
    assert made.write(helper__py="1").reasons() == ("module helper.py is changed",)


def test_keep__a_python_that_was_not_watched(tmp_path: Path) -> None:
    made = scene(tmp_path, kind='[runs.train]\ncommand = ["python", "-I", "-c", "1"]\nreuse = true\n')
    assert made.execute() == "not kept for reuse: no Python of it could be watched"


def test_keep__outputs_larger_than_the_cache(tmp_path: Path) -> None:
    made = training(tmp_path)
    said = made.execute(MLCI_REUSE_MAX="10B")
    assert said is not None
    assert said.endswith("bytes are more than MLCI_REUSE_MAX")
    assert entries(made) == []


def test_keep__a_cache_that_cannot_be_written_costs_nothing_but_reuse(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.cache = tmp_path / "cache"
    made.cache.touch()
    assert made.execute() == "not kept for reuse: cache cannot be written: File exists"
    assert not made.hit()


def test_take__a_place_that_is_taken_is_a_miss(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.execute()
    (made.folder / "metrics.json").unlink()
    (made.folder / "metrics.json").mkdir()
    assert made.reasons() == ("what is kept cannot be put in its place: Is a directory",)
    assert [path for path in made.folder.rglob(".mlci-*") if path.is_file()] == []


@pytest.mark.parametrize("text", ["lots", "-1", ""])
def test_open__a_size_that_is_none(tmp_path: Path, text: str) -> None:
    made = scene(tmp_path)
    if text:
        with pytest.raises(UsageError, match='MLCI_REUSE_MAX: expected a size such as "5G"'):
            made.reuse(MLCI_REUSE_MAX=text)
    else:
        assert made.reuse(MLCI_REUSE_MAX=text).max_bytes == 5 * 1024**3


@pytest.mark.parametrize(
    ("made_by", "asked_by", "served"),
    [
        (True, True, True),
        (True, False, True),
        (False, False, True),
        (False, True, False),
    ],
)
def test_take__what_a_pull_request_made_never_serves_the_default_branch(
    tmp_path: Path, made_by: bool, asked_by: bool, served: bool
) -> None:
    made = training(tmp_path).by(trusted=made_by)
    made.execute()
    assert made.by(trusted=asked_by).hit() is served


def test_take__nor_does_what_was_moved_to_another_tier(tmp_path: Path) -> None:
    made = training(tmp_path).by(trusted=False)
    made.execute()
    tiers = made.folder / ".mlci-reuse/entries"
    (tiers / "candidate").rename(tiers / "trusted")
    assert not made.by(trusted=True).hit()


def test_take__nor_does_another_repository_s(tmp_path: Path) -> None:
    made = training(tmp_path).by(trusted=True, repository_id="1")
    made.execute()
    assert not made.by(trusted=True, repository_id="2").hit()
    assert made.by(trusted=True, repository_id="1").hit()


def test_take__a_damaged_object_is_a_miss_and_is_gone(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.execute()
    for path in objects(made):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    (made.folder / "metrics.json").write_text("mine")
    (reason,) = made.reasons()
    assert reason.startswith("what was kept is incomplete: ")
    assert (made.folder / "metrics.json").read_text() == "mine"
    assert [path for path in made.folder.rglob(".mlci-*") if path.is_file()] == []
    assert entries(made) == []
    assert made.execute() is None
    assert made.hit()


def test_take__a_missing_object_is_a_miss(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.execute()
    objects(made)[0].unlink()
    assert made.reasons()[0].endswith("is not there")


@pytest.mark.parametrize("content", [b"", b"{", b'{"key": 1}', b"[" * 100_000])
def test_take__a_garbled_entry_is_no_entry(tmp_path: Path, content: bytes) -> None:
    made = training(tmp_path)
    made.execute()
    entries(made)[0].write_bytes(content)
    assert made.reasons() == ("no result of it is kept",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"produced": {"train.py": "0" * 64}}, "what was kept is incomplete: train.py is no declared output"),
        ({"produced": {"../../x.txt": "0" * 64}}, "what was kept is incomplete: ../../x.txt is no declared output"),
        ({"outputs": {"../x": "0" * 64}}, "what was kept is incomplete: ../x leaves the run's folder"),
        ({"outputs": {"x": "../../x"}}, "no result of it is kept"),
        ({"outputs": {"\0": "0" * 64}}, "no result of it is kept"),
        ({"produced": {"out/\ud800.txt": "0" * 64}}, "no result of it is kept"),
        ({"dependencies": [{"path": "\0", "kind": "names", "sha256": "0"}]}, "no result of it is kept"),
        ({"dependencies": [{"path": "/etc/passwd", "kind": "file", "sha256": "0"}]}, "/etc/passwd changed"),
    ],
)
def test_take__an_entry_that_reaches_for_more(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    made = training(tmp_path)
    made.execute()
    (path,) = entries(made)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert made.reasons() == (said,)
    assert (made.folder / "train.py").read_text() == TRAINS


def test_keep__an_old_result_makes_room(tmp_path: Path) -> None:
    made = scene(tmp_path, 'inputs = []\nartifacts = ["m"]')
    for size in (60_000, 60_001, 60_002):
        made.write(train__py=f"open('m', 'w').write('{size} ' * 10_000)")
        made.execute(MLCI_REUSE_MAX="150K")
    assert made.hit()
    made.write(train__py="open('m', 'w').write('60000 ' * 10_000)")
    assert not made.hit()
    assert sum(path.stat().st_size for path in objects(made)) <= 150 * 1024


def test_keep__writers_and_readers_at_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    scenes = []
    for number in range(6):
        (tmp_path / str(number)).mkdir()
        made = training(tmp_path / str(number))
        made.cache = cache
        scenes.append(made)
    found: list[str | None] = []
    hits: list[RunResult | Miss] = []

    def work(made: Scene) -> None:
        found.append(made.execute())
        hits.append(made.take())

    workers = [threading.Thread(target=work, args=(made,)) for made in scenes]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [None] * 6
    assert all(isinstance(hit, RunResult) for hit in hits)
    assert len(list((cache / "entries").rglob("*.json"))) == 1
    assert list(cache.rglob(".new*")) == []


def test_keep__a_secret_is_nowhere_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(source: dict[str, object], *, named: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(value) for name, value in source.items() if name in named)

    monkeypatch.setattr("mlci.running.reuse.key.find_secrets", find)
    made = scene(tmp_path, 'inputs = []\nsecrets = ["token"]')
    made.parameters = {"token": "hunter2hunter2"}
    before = made.key()
    assert "hunter2" not in json.dumps(before.parts)
    made.parameters = {"token": "other"}
    assert made.key().digest != before.digest
    assert made.key().parts == before.parts


def test_entry__reads_back_as_it_was_written(tmp_path: Path) -> None:
    made = training(tmp_path)
    made.execute()
    data = entries(made)[0].read_bytes()
    assert encode(decode(data, Entry, name="it")) == data


UNDECLARED = """
import json, os
os.makedirs("runs/fit", exist_ok=True)
with open("metrics.json", "w") as file:
    json.dump({"accuracy": 0.9}, file)
with open("runs/fit/results.csv", "w") as file:
    file.write("epoch,loss\\n1,0.5\\n")
"""


def test_take__known_places_that_nothing_declares_are_back_too(tmp_path: Path) -> None:
    made = scene(tmp_path, train__py=UNDECLARED)
    assert made.execute() is None
    (made.folder / "metrics.json").unlink()
    shutil.rmtree(made.folder / "runs")
    taken = made.take()
    assert isinstance(taken, RunResult)
    assert {metric.name: metric.value for metric in taken.metrics} == {"accuracy": 0.9, "loss": 0.5}
    assert json.loads((made.folder / "metrics.json").read_text()) == {"accuracy": 0.9}
    assert (made.folder / "runs/fit/results.csv").exists()


def test_keep__what_no_metrics_may_be_read_from_is_no_output(tmp_path: Path) -> None:
    said = scene(tmp_path, "inputs = []\nmetrics = []\n", train__py=UNDECLARED).execute()
    assert said is not None
    assert said.startswith("not kept for reuse: writes metrics.json, ")


def test_keep__not_where_another_run_may_have_written(tmp_path: Path) -> None:
    made = scene(tmp_path, train__py=UNDECLARED)
    assert made.execute() is None
    log = made.outputs / "observed.log"
    result = RunResult(name="train", profile="default", status="succeeded")
    said = made.reuse().keep(made.key(), result, log=log, collected=Collected(doubtful=True))
    assert said == "not kept for reuse: what it wrote is not all known; name it in `metrics`"


def test_take__not_where_dvc_names_other_metrics(tmp_path: Path) -> None:
    made = scene(tmp_path, train__py=UNDECLARED)
    assert made.execute() is None
    made.write(dvc__yaml="metrics: [scores.json]\n")
    assert made.reasons() == ("metrics of dvc.yaml is new",)
    made.table += "metrics = []\n"
    assert "metrics of dvc.yaml is new" not in made.reasons()


def test_take__a_folder_that_was_listed_though_it_may_hold_metrics(tmp_path: Path) -> None:
    made = scene(tmp_path, train__py=f"import os\nos.listdir('.')\n{UNDECLARED}")
    assert made.execute() is None
    assert made.hit()
    (made.folder / "more").mkdir()
    assert made.reasons() == ("the names in . changed",)
