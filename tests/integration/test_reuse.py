"""`reuse`: a result is taken again while nothing that it depends on has changed, and only then."""

from __future__ import annotations

import contextlib
import json
import shutil
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import Done, Workbench, notebook, workbench

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("reuse")]

# Every execution leaves another nonce, so a result that was taken again is known by it.
WORK = """
import csv, json, pathlib, uuid
import helper
rows = list(csv.reader(open("data.csv")))
pathlib.Path("{name}.model").write_text(uuid.uuid4().hex)
pathlib.Path("{name}.json").write_text(json.dumps({{"rows": len(rows), "help": helper.HELP, "trees": trees}}))
"""
SCRIPT = 'import json, os\ntrees = json.loads(os.environ["MLCI_PARAMETERS"])["trees"]\n' + WORK.format(name="code")
CELLS = ("trees = 0", WORK.format(name="note"), "print('done')")
NOTEBOOK = notebook(*CELLS, tags={0: "parameters"})
CONFIGURATION = """
[defaults]
reuse = true
inputs = ["data.csv"]
parameters = { trees = 5 }
[runs.note]
notebook = "note.ipynb"
metrics = ["note.json"]
artifacts = ["note.model"]
[runs.code]
script = "code.py"
metrics = ["code.json"]
artifacts = ["code.model"]
"""
RUNS = ("note", "code")


@dataclass
class Ran:
    """A workbench on which everything has run once."""

    bench: Workbench
    nonces: dict[str, str]

    def run(self, *arguments: str) -> Done:
        done = self.bench.mlci("run", *arguments)
        assert done.code == 0, done.err
        return done

    def nonce(self, run: str) -> str:
        return (self.bench.folder / f"{run}.model").read_text()

    def taken(self, run: str) -> bool:
        """Whether the last result is that of the first time, which it must say."""
        reused: bool = self.bench.result(run)["reused"]
        assert (self.nonce(run) == self.nonces[run]) is reused
        return reused

    def why(self, run: str) -> str:
        """Why it ran."""
        [note] = self.bench.result(run)["notes"]
        return str(note)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("reuse")
    bench = workbench(folder)
    bench.write(
        mlci__toml=CONFIGURATION,
        note__ipynb=NOTEBOOK,
        code__py=SCRIPT,
        helper__py="import deeper\nHELP = deeper.HELP\n",
        deeper__py="HELP = 1\n",
        data__csv="1,2\n3,4\n",
        __gitignore="*.json\n*.model\n",
    )
    bench.commit()
    made = Ran(bench, {})
    made.run()
    assert [bench.result(run)["reused"] for run in RUNS] == [False, False]
    assert [bench.result(run)["notes"] for run in RUNS] == [["not reused: no result of it is kept"]] * 2
    made.nonces |= {run: made.nonce(run) for run in RUNS}
    return made


@contextlib.contextmanager
def changed(path: Path, old: str, new: str) -> Iterator[None]:
    """While `old` is `new` in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        path.write_text(text)


def test_hit__says_so_and_everything_is_back_in_its_place(ran: Ran) -> None:
    bench = ran.bench
    before = {run: bench.result(run) for run in RUNS}
    shutil.rmtree(bench.folder / ".mlci")
    for path in (*bench.folder.glob("*.model"), *bench.folder.glob("*.json")):
        path.unlink()
    done = ran.run()
    for run in RUNS:
        assert ran.taken(run)
        result = bench.result(run)
        assert (result["status"], result["metrics"]) == ("succeeded", before[run]["metrics"])
        assert {metric["name"]: metric["value"] for metric in result["metrics"]} == {"rows": 2, "help": 1, "trees": 5}
        assert result["artifacts"] == before[run]["artifacts"]
        [stored] = [artifact["stored"] for artifact in result["artifacts"]]
        assert (bench.folder / ".mlci" / stored).read_text() == ran.nonces[run]
        assert result["notes"][0].startswith("reused: unchanged since ")
        assert f"{run}: {result['notes'][0]}" in done.err
    assert (bench.folder / ".mlci" / bench.result("note")["outputs"]["notebook"]).exists()
    for command in ("record", "compare", "report"):
        assert bench.mlci(command).code == 0
    assert all(record["reused"] for record in bench.document("record.json")["records"])
    assert "reused" in (bench.folder / ".mlci" / "report.md").read_text()


def test_hit__what_matters_to_no_result_may_change(ran: Ran) -> None:
    node = json.loads(NOTEBOOK)
    words = {"id": "words", "cell_type": "markdown", "metadata": {}, "source": "# Words"}
    shown = {"output_type": "stream", "name": "stdout", "text": "of an earlier time"}
    node["cells"][1] |= {"id": "another", "outputs": [shown], "execution_count": 9, "metadata": {"collapsed": True}}
    node["cells"].insert(1, words)
    with changed(ran.bench.folder / "note.ipynb", NOTEBOOK, json.dumps(node)):
        ran.bench.write(new__txt="nobody reads it")
        ran.run("note")
        assert ran.taken("note")
        (ran.bench.folder / "new.txt").unlink()


CHANGES = [
    # run, file, old, new, what is said
    ("note", "note.ipynb", "print('done')", "print('all done')", "code cell 3 is changed"),
    ("note", "helper.py", "deeper.HELP", "deeper.HELP + 1", "module helper.py is changed"),
    ("code", "code.py", "len(rows)", "len(rows) + 0", "file code.py is changed"),
    ("code", "deeper.py", "HELP = 1", "HELP = 2", "module deeper.py is changed"),
    ("code", "data.csv", "3,4", "3,5", "input data.csv is changed"),
    ("code", "mlci.toml", "trees = 5", "trees = 6", "parameter trees: 5 -> 6"),
    ("code", "mlci.toml", "reuse = true", 'reuse = true\nenv = { TZ = "UTC" }', "variable TZ: none -> UTC"),
]


@pytest.mark.parametrize(("run", "file", "old", "new", "said"), CHANGES, ids=[change[4] for change in CHANGES])
def test_miss__says_what_has_changed(ran: Ran, run: str, file: str, old: str, new: str, said: str) -> None:
    with changed(ran.bench.folder / file, old, new):
        ran.run(run)
        assert not ran.taken(run)
        assert said in ran.why(run)
    ran.run(run)
    assert ran.taken(run)


def test_miss__another_parameter_of_the_command_line(ran: Ran) -> None:
    ran.run("code", "-p", "trees=7")
    assert not ran.taken("code")
    assert "parameter trees: 5 -> 7" in ran.why("code")


def test_hit__two_at_once(ran: Ran) -> None:
    # Beside another each has its share of the cores, which may well change its numbers.
    ran.run("-j2")
    first = {run: ran.nonce(run) for run in RUNS}
    ran.run("-j2")
    assert [ran.bench.result(run)["reused"] for run in RUNS] == [True, True]
    assert {run: ran.nonce(run) for run in RUNS} == first


def test_hit__of_a_kernel_that_was_forked_with_modules(ran: Ran) -> None:
    with changed(ran.bench.folder / "mlci.toml", "[runs.note]", '[runs.note]\npreload = ["json", "csv"]'):
        ran.run("note", "-p", "trees=8")
        assert ran.why("note").startswith("not reused: ")
        first = ran.nonce("note")
        (ran.bench.folder / "note.model").unlink()
        ran.run("note", "-p", "trees=8", "-j2")
        assert ran.bench.result("note")["reused"]
        assert ran.nonce("note") == first


# -- what is not kept -------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    made = workbench(tmp_path)
    made.write(data__csv="1\n", __gitignore="*.json\n*.model\n")
    return made


def configured(bench: Workbench, code: str, table: str = "", kind: str = "script") -> None:
    source = "a.py" if kind == "script" else "a.ipynb"
    bench.write(mlci__toml=f'[runs.a]\n{kind} = "{source}"\nreuse = true\ninputs = ["data.csv"]\n{table}')
    (bench.folder / source).write_text(code if kind == "script" else notebook(code))
    bench.commit()


def twice(bench: Workbench, code: int = 0) -> list[Any]:
    """The results of two runs, one after the other."""
    results = []
    for _ in range(2):
        done = bench.mlci("run")
        assert done.code == code, done.err
        results.append(bench.result("a"))
    return results


@pytest.mark.parametrize("kind", ["script", "notebook"])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('other.csv').close()", "not kept for reuse: reads other.csv; declare what it reads in `inputs`"),
        (
            "open('left.txt', 'w').close()",
            "not kept for reuse: writes left.txt; declare what it writes as metrics, artifacts or plots",
        ),
        (
            "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
            "not kept for reuse: connects to 127.0.0.1:9",
        ),
    ],
    ids=["reads", "writes", "connects"],
)
def test_undeclared__disables_reuse_and_is_named(bench: Workbench, kind: str, code: str, said: str) -> None:
    bench.write(other__csv="2\n")
    configured(bench, code, kind=kind)
    for result in twice(bench):
        assert not result["reused"]
        assert result["notes"] == ["not reused: no result of it is kept", said]


def test_failure__is_never_kept(bench: Workbench) -> None:
    configured(bench, "raise SystemExit(3)")
    for result in twice(bench, code=4):
        assert (result["status"], result["reused"]) == ("failed", False)
        assert not (bench.folder / ".mlci-reuse").exists()
        assert result["notes"] == ["not reused: no result of it is kept"]


def test_miss__another_version_of_a_package(bench: Workbench, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    about = packages / "dependence-1.0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Name: dependence\nVersion: 1.0\n")
    configured(bench, "print(1)")
    for version, expected in (("1.0", False), ("1.0", True), ("1.1", False), ("1.0", True)):
        with changed(about, "1.0", version):
            done = bench.mlci("run", "--python", str(python))
        assert done.code == 0, done.err
        assert bench.result("a")["reused"] is expected
        if version == "1.1":
            assert bench.result("a")["notes"] == ["not reused: package dependence: 1.0 -> 1.1"]


# -- whose results serve whom -----------------------------------------------------------------------------------------


def event(bench: Workbench, name: str, folder: Path) -> dict[str, str]:
    """What the runner says of an event of the repository 7."""
    head = bench.repository.git("rev-parse", "HEAD")
    about: dict[str, Any] = {"repository": {"id": 7, "default_branch": "main"}}
    if name == "pull_request":
        side = {"sha": head, "ref": "topic", "repo": {"id": 7, "owner": {"login": "o"}}}
        about["pull_request"] = {"number": 1, "base": {**side, "ref": "main"}, "head": side}
    payload = folder / f"{name}.json"
    payload.write_text(json.dumps(about))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(payload),
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_REPOSITORY_ID": "7",
        "GITHUB_SHA": head,
        "GITHUB_REF": "refs/pull/1/merge" if name == "pull_request" else "refs/heads/main",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
    }


def reused(bench: Workbench, name: str, folder: Path) -> bool:
    """Whether an event takes an earlier result."""
    done = bench.mlci("run", **event(bench, name, folder))
    assert done.code == 0, done.out + done.err
    taken: bool = bench.result("a")["reused"]
    return taken


def test_trust__a_pull_request_serves_itself_and_never_the_default_branch(bench: Workbench, tmp_path: Path) -> None:
    configured(bench, "print(1)")
    assert not reused(bench, "pull_request", tmp_path)
    assert reused(bench, "pull_request", tmp_path)
    # Whatever a cache does with the folders: an entry knows who made it.
    entries = bench.folder / ".mlci-reuse" / "entries"
    shutil.copytree(entries / "candidate", entries / "trusted")
    assert not reused(bench, "push", tmp_path)
    assert reused(bench, "push", tmp_path)


def test_trust__the_default_branch_serves_pull_requests(bench: Workbench, tmp_path: Path) -> None:
    configured(bench, "print(1)")
    assert not reused(bench, "push", tmp_path)
    assert reused(bench, "pull_request", tmp_path)


def test_trust__a_cache_of_another_place(bench: Workbench, tmp_path: Path) -> None:
    configured(bench, "print(1)")
    assert bench.mlci("run", MLCI_REUSE_DIR=str(tmp_path / "cache")).code == 0
    assert not (bench.folder / ".mlci-reuse").exists()
    shutil.move(tmp_path / "cache", tmp_path / "carried")
    assert bench.mlci("run", MLCI_REUSE_DIR=str(tmp_path / "carried")).code == 0
    assert bench.result("a")["reused"]
