"""The GPUs of this machine and what a process tree uses of them, through NVML; without it nothing is known of them."""

from __future__ import annotations

import contextlib
import importlib
from collections import Counter
from collections.abc import Collection
from types import TracebackType
from typing import Any, NamedTuple, Self


class Use(NamedTuple):
    """What some processes do with the GPUs at one moment."""

    memory_bytes: int  # over all GPUs
    utilisation: float | None  # of the busiest GPU that they are on, 0 to 1; not every GPU tells


class Gpus:
    """The GPUs of this machine; within the block, outside of it none."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._devices: list[Any] = []

    def __enter__(self) -> Self:
        with contextlib.suppress(Exception):  # NVML fails in ways of its own, and nothing depends on it
            self._nvml = importlib.import_module("pynvml")
            self._nvml.nvmlInit()
            self._devices = [self._nvml.nvmlDeviceGetHandleByIndex(i) for i in range(self._nvml.nvmlDeviceGetCount())]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._devices = []
        with contextlib.suppress(Exception):
            self._nvml.nvmlShutdown()

    def __bool__(self) -> bool:
        return bool(self._devices)

    def describe(self) -> str | None:
        """Their models and the driver, such as "2 x NVIDIA H100 80GB HBM3, driver 550.54.15"; None where not known."""
        with contextlib.suppress(Exception):
            models = Counter(_text(self._nvml.nvmlDeviceGetName(device)) for device in self._devices)
            driver = _text(self._nvml.nvmlSystemGetDriverVersion())
            named = [model if count == 1 else f"{count} x {model}" for model, count in sorted(models.items())]
            return ", ".join([*named, f"driver {driver}"]) if named else None
        return None

    def used_by(self, pids: Collection[int]) -> Use | None:
        """What the processes use; None if they are on no GPU, or it cannot be known."""
        memory: int | None = None
        utilisation: list[float] = []
        for device in self._devices:
            with contextlib.suppress(Exception):
                held = {
                    process.pid: process.usedGpuMemory or 0
                    for process in (
                        *self._nvml.nvmlDeviceGetGraphicsRunningProcesses(device),
                        *self._nvml.nvmlDeviceGetComputeRunningProcesses(device),
                    )
                    if process.pid in pids
                }
                if held:
                    memory = (memory or 0) + sum(held.values())
                    utilisation.append(self._nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100)
        return None if memory is None else Use(memory, max(utilisation, default=None))


def _text(said: str | bytes) -> str:
    """Older versions of the library answer in bytes."""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
