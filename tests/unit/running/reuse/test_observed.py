"""What processes were seen to do is judged, be the list honest or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.reuse import NOTEBOOK, Scene, scene
from mlci.running.reuse import observe_environ
from mlci.running.reuse.observed import MAX_BYTES, Observed, now, read

TABLE = 'inputs = ["data/*.csv"]\nartifacts = ["out/*.bin"]\ncheckpoint = "checkpoints"\n'
KERNEL = """
import sys
from jupyter_client.manager import KernelManager
manager = KernelManager()
manager.start_kernel(env=eval(sys.stdin.read()), cwd=sys.argv[1])
client = manager.client()
client.start_channels()
client.wait_for_ready()
for code in sys.argv[2:]:
    assert client.execute_interactive(code)["content"]["status"] == "ok"
manager.shutdown_kernel()
"""


@pytest.fixture
def made(tmp_path: Path) -> Scene:
    found = scene(tmp_path, TABLE, **{"data/a__csv": "1", "other__txt": "x"})
    for name in ("out", "checkpoints", ".venv/bin"):
        (found.folder / name).mkdir(parents=True)
    return found


def judged(made: Scene, *lines: str) -> Observed:
    """The verdict on a log; "." in front of a path stands for the repository."""
    log = made.folder.parent / "log"
    texts = [f"{kind} {made.folder.resolve() / what if what[:2] == './' else what}" for kind, _, what in _parts(lines)]
    log.write_text("".join(f"{text}\n" for text in ["start python", *texts]), errors="surrogateescape")
    return read(log, made.reuse()._places(made.key()))


def _parts(lines: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return [line.partition(" ") for line in lines]


@pytest.mark.parametrize(
    "lines",
    [
        ["read ./data/a.csv"],
        ["read ./train.py"],
        ["list ./data", "read ./data/a.csv"],
        ["read /usr/lib/x.so", "read /etc/hosts", "list /usr/lib"],
        [f"read {sys.prefix}/lib/x.py", f"list {sys.prefix}"],
        ["read ./.mlci/outputs/train/metrics.jsonl", "write ./.mlci/outputs/train/metrics.jsonl"],
        ["write ./out/m.bin", "read ./out/m.bin", "update ./out/m.bin"],
        ["write ./out/m.bin.tmp", "replace ./out/m.bin.tmp", "replace ./out/m.bin"],
        ["replace ./out"],
        ["write ./__pycache__/train.cpython-312.pyc.1", "replace ./__pycache__/train.cpython-312.pyc"],
        ["write ./.ipynb_checkpoints/x.ipynb"],
        ["write ./checkpoints/1.pt", "read ./checkpoints/1.pt"],
        ["write /tmp/some", "read /tmp/some", "list /tmp"],
        ["write /dev/shm/x", "update /dev/null"],
        ["program /usr/bin/lscpu", "program uname"],
        ["bind 127.0.0.1:5000", "connect 127.0.0.1:5000"],
        ["read /nowhere/at/all", "list /nowhere"],
    ],
)
def test_read__nothing_against_it(made: Scene, lines: list[str]) -> None:
    assert judged(made, *lines).problems == ()


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["read ./other.txt"], "reads other.txt"),
        (["read ./checkpoints/old.pt"], "reads checkpoints/old.pt"),
        (["update ./other.txt"], "writes other.txt"),
        (["write ./other.txt"], "writes other.txt"),
        (["write ./data/a.csv"], "writes data/a.csv"),
        (["update ./out/m.bin"], "adds to out/m.bin, which was there before"),
        (["replace ./other.txt"], "writes other.txt"),
        (["replace ./gone.txt"], "removes gone.txt"),
        (["list /"], "lists /"),
        (["read ./.mlci/outputs/other.txt"], "reads .mlci/outputs/other.txt"),
        (["connect 10.0.0.1:80"], "connects to 10.0.0.1:80"),
        (["bind 0.0.0.0:80"], "listens on 0.0.0.0:80"),
        (["lookup example.com"], "looks up example.com"),
        (["program /usr/bin/git"], "starts git"),
        (["lost open"], "what it did could not all be told"),
        (["nonsense"], "what it did could not all be told"),
        ([""], "what it did could not all be told"),
        (["read other.txt"], "what it did could not all be told"),
    ],
)
def test_read__what_stands_against_it(made: Scene, lines: list[str], problem: str) -> None:
    (made.folder / "checkpoints/old.pt").touch()
    made.write(**{".mlci/outputs/other__txt": "of another run"})
    assert judged(made, *lines).problems == (problem,)


def test_read__a_file_elsewhere(made: Scene) -> None:
    outside = Path.home() / f".mlci-test-{os.getpid()}"
    outside.touch()
    try:
        assert judged(made, f"read {outside}").problems == (f"reads {outside}",)
    finally:
        outside.unlink()


@pytest.mark.parametrize("what", ["\0", "x" * 5000, "/" * 5000, "\udcff", "..", "", "%0A", "~", "./" + "y" * 300])
@pytest.mark.parametrize("kind", ["read", "list", "write", "update", "replace", "program", "connect", "bind"])
def test_read__whatever_a_log_says_is_no_error(made: Scene, kind: str, what: str) -> None:
    found = judged(made, f"{kind} {what}")
    assert [now(dependency, made.reuse()._places(made.key())) for dependency in found.dependencies] == list(
        found.dependencies
    )


def test_read__dependencies_are_modules_what_is_not_there_and_names(made: Scene) -> None:
    made.write(helper__py="x", **{"mine.egg-info/PKG-INFO": "Name: mine"})
    found = judged(
        made,
        "read ./__pycache__/helper.cpython-312.pyc",
        "read ./mine.egg-info/PKG-INFO",
        "read ./local.cfg",
        "list ./data",
        "write ./out/gen.py",
    )
    assert [(item.kind, item.path, item.sha256 is None) for item in found.dependencies] == [
        ("file", "helper.py", False),
        ("file", "local.cfg", True),
        ("file", "mine.egg-info/PKG-INFO", False),
        ("names", "data", False),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no Python of it could be watched"),
        (b"", "no Python of it could be watched"),
        (b"read x\n", "no Python of it could be watched"),
        (b"start python\nread /etc/x", "the list of what it did is cut off"),
        (b"start python\n" + b"read x\n" * (MAX_BYTES // 7 + 1), "the list of what it did is cut off"),
    ],
    ids=["none", "empty", "unstarted", "cut", "large"],
)
def test_read__a_log_that_does_not_tell_it_all(made: Scene, content: bytes | None, problem: str) -> None:
    log = made.folder.parent / "log"
    if content is not None:
        log.write_bytes(content)
    assert read(log, made.reuse()._places(made.key())).problems == (problem,)


def test_read__a_notebook_s_kernel_and_its_libraries_do_no_harm(tmp_path: Path) -> None:
    table = 'inputs = ["data.csv"]\nplots = ["p.png"]\nartifacts = ["m.joblib"]\n'
    made = scene(tmp_path, table, NOTEBOOK, data__csv="a,b\n1,2\n3,4\n", helper__py="x = 1\n")
    made.write(train__ipynb='{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}')
    made.environ["HOME"] = os.environ["HOME"]
    log = tmp_path / "log"
    cells = (
        "%matplotlib inline\nimport helper, joblib, pandas as pd, matplotlib.pyplot as plt",
        "from sklearn.cluster import KMeans\ndata = pd.read_csv('data.csv')\nmodel = KMeans(2).fit(data)",
        "joblib.dump(model, 'm.joblib'); plt.plot([1]); plt.savefig('p.png'); plt.show()",
    )
    handed = observe_environ(os.environ, log)
    subprocess.run(
        [sys.executable, "-c", KERNEL, str(made.folder), *cells],
        input=repr(handed),
        text=True,
        check=True,
        capture_output=True,
    )
    found = read(log, made.reuse()._places(made.key()))
    assert found.problems == ()
    assert [item.path for item in found.dependencies] == ["helper.py"]
