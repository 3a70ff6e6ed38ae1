"""Starts ipykernel in the user's interpreter: `python mlci_kernel.py -f CONNECTION_FILE [ipykernel's options]`.

Runs with Python 3.9 and later, standard library and ipykernel only.
"""

from __future__ import annotations

import faulthandler
import functools
import importlib.abc
import importlib.util
import os
import random
import re
import sys
from typing import Any, Callable

_SNDHWM = 23  # of zmq, which comes with ipykernel
_KERNEL_SEED = "MLCI_KERNEL_SEED"  # for mlci alone: gone before the user's code runs


def run_kernel(arguments: list[str]) -> None:
    """Be a kernel until it is told to end."""
    # ipykernel captures descriptor 2; a stack dump of a dying kernel must reach the log past it.
    faulthandler.enable(file=os.fdopen(os.dup(2), "w"))
    seed = os.environ.pop(_KERNEL_SEED, None)
    if seed is not None:
        _seed_on_import(int(seed))
    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [launcher.origin if launcher and launcher.origin else "ipykernel_launcher", *arguments]
    kernel_class().launch_instance()


@functools.lru_cache(maxsize=None)
def kernel_class() -> Any:
    """What ipykernel starts, with less that is lost and less to wait for."""
    from ipykernel import ipkernel, kernelapp  # noqa: PLC0415 - the path and the seeds come first

    class Kernel(ipkernel.IPythonKernel):
        def _process_children(self) -> Any:
            # At its end ipykernel waits for its children; one that has ended long ago will not go for that.
            children: list[Any] = super()._process_children()  # type: ignore[no-untyped-call]
            return [child for child in children if child.status() != "zombie"]

    class App(kernelapp.IPKernelApp):
        def init_iopub(self, context: Any) -> None:
            if self.kernel_class is ipkernel.IPythonKernel:
                self.kernel_class = Kernel
            # With more than a thousand messages under way to a slow reader zmq would drop the next ones.
            context.setsockopt(_SNDHWM, 0)
            super().init_iopub(context)  # type: ignore[no-untyped-call]

        def parse_command_line(self, argv: Any = None) -> None:
            # The parser for all of ipykernel's options takes a third of the start of a forked kernel.
            config = _as_config(argv or sys.argv[1:])
            if config is None:
                super().parse_command_line(argv)
            else:
                self.update_config(self.config.__class__(config))

    return App


def _as_config(arguments: list[str]) -> dict[str, dict[str, Any]] | None:
    """What `-f FILE` and `--Class.option=value` say; None where there is anything else."""
    config: dict[str, dict[str, Any]] = {"IPKernelApp": {}}
    rest = list(arguments)
    if rest[:1] == ["-f"]:
        config["IPKernelApp"]["connection_file"] = rest[1]
        del rest[:2]
    for argument in rest:
        found = re.match(r"--(\w+)\.(\w+)=(.*)$", argument)
        if found is None:
            return None
        owner, option, value = found.groups()
        config.setdefault(owner, {})[option] = int(value) if value.isdigit() else value
    return config


def _seed_on_import(seed: int) -> None:
    """Seed `random` now, numpy and torch now or when they are imported."""
    seeders: dict[str, Callable[[Any], None]] = {
        "numpy": lambda numpy: numpy.random.seed(seed % 2**32),
        "torch": lambda torch: _seed_torch(torch, seed),
    }
    random.seed(seed)
    for name in [name for name in seeders if name in sys.modules]:
        seeders.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _SeedingFinder(seeders))


def _seed_torch(torch: Any, seed: int) -> None:
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


class _SeedingFinder(importlib.abc.MetaPathFinder):
    """Finds nothing itself; has what others find seeded once it is loaded."""

    def __init__(self, seeders: dict[str, Callable[[Any], None]]) -> None:
        self._seeders = seeders

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002 - importlib's
        seeder = self._seeders.pop(name, None)
        if seeder is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            seeder(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if __name__ == "__main__":
    # As `python -m ipykernel_launcher`: the folder of this file is on the path by PYTHONPATH if at all.
    del sys.path[0]
    run_kernel(sys.argv[1:])
