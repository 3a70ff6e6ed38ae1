"""What the GPUs of a machine are called, so that another machine is told from noise."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from mlci.gpu import Gpus
from mlci.running.interpreter import probe

NVML = """
MODELS = {models}
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlDeviceGetCount(): return len(MODELS)
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetName(device): return MODELS[device]
def nvmlSystemGetDriverVersion(): return {driver}
"""


def install(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pynvml.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(folder)
    # Set first, so that what a test imports is taken away after it.
    monkeypatch.setitem(sys.modules, "pynvml", None)
    del sys.modules["pynvml"]


@pytest.mark.parametrize(
    ("models", "driver", "said"),
    [
        (["H100"], "'550.54'", "H100, driver 550.54"),
        (["H100", "A10", "H100"], "'550.54'", "A10, 2 x H100, driver 550.54"),
        ([b"Tesla T4"], "b'470.1'", "Tesla T4, driver 470.1"),
        ([], "'550.54'", None),
        (["H100"], "1 / 0", None),
    ],
)
def test_describe__models_and_driver(
    models: list[str | bytes], driver: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(NVML.format(models=models, driver=driver), tmp_path, monkeypatch)
    with Gpus() as found:
        assert found.describe() == said


def test_describe__no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("raise ImportError('no')", tmp_path, monkeypatch)
    with Gpus() as found:
        assert found.describe() is None


@pytest.mark.parametrize(("visible", "said"), [("0", "H100, driver 550.54"), ("", None), ("-1", None)])
def test_probe__names_the_gpus_that_runs_may_see(
    visible: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(NVML.format(models=["H100"], driver="'550.54'"), tmp_path, monkeypatch)
    found = probe(sys.executable, environ={"PATH": "", "CUDA_VISIBLE_DEVICES": visible})()
    assert found.environment.gpu == said
