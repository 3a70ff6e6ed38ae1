"""What there is on a machine: of memory, the least that anything allows; of GPUs, those that can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlci.running.machine import available_memory, capacity, cores, gpus

GIB = 1024**3


@pytest.fixture
def system(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {8 * 1024**2} kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/job/step\n")
    return tmp_path


def limit(system: Path, group: str, *, at: str, used: int, cached: int = 0) -> None:
    folder = system / "groups" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{at}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used}\ninactive_file {cached}\n")


def memory(system: Path) -> int | None:
    return available_memory(system / "proc", system / "groups")


def test_available_memory__of_the_machine(system: Path) -> None:
    assert memory(system) == 8 * GIB


def test_available_memory__of_a_control_group_and_those_around_it(system: Path) -> None:
    limit(system, "job/step", at="max", used=GIB)
    limit(system, "job", at=str(4 * GIB), used=3 * GIB, cached=GIB)
    assert memory(system) == 2 * GIB


def test_available_memory__more_than_is_allowed_is_in_use(system: Path) -> None:
    limit(system, "job", at="10", used=20)
    assert memory(system) == 0


def test_available_memory__where_nothing_tells(tmp_path: Path) -> None:
    assert available_memory(tmp_path, tmp_path) is None


@pytest.mark.parametrize(
    ("visible", "found"),
    [("0,2", ("0", "2")), ("GPU-1a, MIG-2b", ("GPU-1a", "MIG-2b")), ("", ()), ("-1", ())],
)
def test_gpus__those_that_the_environment_lets_be_seen(visible: str, found: tuple[str, ...]) -> None:
    assert gpus({"CUDA_VISIBLE_DEVICES": visible}) == found


def test_gpus__as_cuda_counts_the_devices(tmp_path: Path) -> None:
    for name in ("nvidia3", "nvidia5", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpus({}, tmp_path) == ("0", "1")


def test_capacity__auto_is_a_job_a_core() -> None:
    assert capacity("auto", 0).jobs == cores() == capacity(1, 0).cpus
    assert capacity(10_000, 0).cpus == 10_000
