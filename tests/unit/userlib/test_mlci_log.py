from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mlci
from mlci.userlib import mlci_log
from mlci.userlib.mlci_log import log_metric

FILE = Path(mlci_log.__file__)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "metrics.jsonl"
    monkeypatch.setenv("MLCI_METRICS", str(path))
    monkeypatch.chdir(tmp_path)
    return path


def entries(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_log_metric__is_what_mlci_exports() -> None:
    assert mlci.log_metric is log_metric


def test_log_metric__appends_one_line_a_call(log: Path) -> None:
    log_metric("loss", 0.5, step=1)
    log_metric("f1", 1, direction="higher", unit="%", split="test", slice="old", n=10, standard_error=0.1)
    assert entries(log) == [
        {"name": "loss", "value": 0.5, "step": 1.0},
        {
            "name": "f1",
            "value": 1.0,
            "direction": "higher",
            "unit": "%",
            "split": "test",
            "slice": "old",
            "n": 10.0,
            "standard_error": 0.1,
        },
    ]


def test_log_metric__takes_what_frameworks_give(log: Path) -> None:
    class Tensor:
        def item(self) -> float:
            return 0.25

    log_metric("a", Tensor())
    log_metric("b", "0.5")
    log_metric("c", True)
    assert [entry["value"] for entry in entries(log)] == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("value", "attributes", "said"),
    [
        ("high", {}, "log_metric: 'a' takes a number, got str"),
        (None, {}, "log_metric: 'a' takes a number, got NoneType"),
        ([1, 2], {}, "log_metric: 'a' takes a number, got list"),
        (1, {"directon": "lower"}, "log_metric: no attribute 'directon'; there are: direction, unit"),
        (1, {"direction": "up"}, "log_metric: no direction 'up'; there are: higher, lower, maximize, minimize"),
    ],
)
def test_log_metric__what_is_refused(log: Path, value: Any, attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        log_metric("a", value, **attributes)
    assert not log.exists()


def test_log_metric__outside_of_a_run_writes_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLCI_METRICS")
    log_metric("a", 1)
    assert list(log.parent.iterdir()) == []


def test_log_metric__outside_of_a_run_a_local_file_takes_the_lines(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLCI_METRICS")
    local = log.parent / "mlci-metrics.jsonl"
    local.touch()
    log_metric("a", 1)
    assert entries(local) == [{"name": "a", "value": 1.0}]


def test_log_metric__many_processes_lose_and_mix_nothing(log: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(FILE.parent)!r})\nfrom mlci_log import log_metric\n"
    code += "for step in range(200): log_metric(sys.argv[1] * 50, step, step=step)"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8
    found = entries(log)
    assert len(found) == 8 * 200
    assert {entry["name"] for entry in found} == {str(number) * 50 for number in range(8)}


def old_pythons() -> list[str]:
    found = [shutil.which("python3.9")]
    found += [str(path) for path in Path.home().glob(".pyenv/versions/3.9.*/bin/python")]
    return [
        path
        for path in found
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
    ]


@pytest.mark.parametrize(
    "python", [sys.executable, *old_pythons()[:1]], ids=lambda path: "this" if path == sys.executable else "3.9"
)
def test_log_metric__one_file_that_a_project_may_copy(log: Path, python: str) -> None:
    shutil.copy(FILE, log.parent)
    code = (
        f"import sys; sys.path.insert(0, {str(log.parent)!r})\nfrom mlci_log import log_metric\nlog_metric('a', 1, n=2)"
    )
    subprocess.run([python, "-I", "-S", "-W", "error", "-c", code], check=True, env=dict(os.environ))
    assert entries(log) == [{"name": "a", "value": 1.0, "n": 2.0}]


def test_log_metric__shows_a_scrap_in_a_notebook(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    shell = SimpleNamespace(kernel=object(), display_pub=SimpleNamespace(publish=lambda **given: shown.append(given)))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    log_metric("loss", 0.5, step=0)
    log_metric("loss", 0.25, step=1)
    log_metric("loss", 0.1, split="test")
    assert [given["update"] for given in shown] == [False, True, False]
    assert shown[1]["data"]["application/scrapbook.scrap.json+json"]["data"] == 0.25
    assert [given["transient"]["display_id"] for given in shown] == [
        "mlci-metric-loss",
        "mlci-metric-loss",
        "mlci-metric-loss/test",
    ]
    assert len(entries(log)) == 3
