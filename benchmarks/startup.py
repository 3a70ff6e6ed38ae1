"""What `mlci --help` costs, against importing click alone: the median of interleaved runs, and their ratio."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
COMMANDS = {
    "mlci --help": [sys.executable, "-m", "mlci", "--help"],
    "import click": [sys.executable, "-c", "import click"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print both medians and the ratio."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:<14} {1000 * median:6.1f} ms")
    print(f"ratio          {medians['mlci --help'] / medians['import click']:6.2f}")


if __name__ == "__main__":
    main()
