"""This machine: room on its disk, and the cores, memory and GPUs that runs ask for."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from mlci.config import size
from mlci.core.finding import Finding
from mlci.diagnosing.patient import Patient
from mlci.render.text import size as in_words
from mlci.running import machine

_LITTLE = 1024**3


def check(patient: Patient) -> Iterable[Finding]:
    """What there is too little of, here."""
    free = shutil.disk_usage(patient.root).free
    if free < _LITTLE:
        yield Finding(
            slug="machine/disk",
            level="warning",
            subject="the disk",
            found=f"{in_words(free)} are left where the repository lies",
            remedy="Make room: results of earlier runs lie in .mlci and .mlci-reuse, packages in pip's cache.",
        )
    cores, memory = machine.cores(), machine.available_memory()
    gpus = len(machine.gpus(patient.environ))
    for run in patient.every_run:
        wants = run.table.resources
        needed = size(wants.memory) if wants.memory else 0
        for lacking, what in (
            (wants.cpus > cores, f"{wants.cpus:g} cores, and this machine has {cores}"),
            (memory is not None and needed > memory, f"{wants.memory} of memory, and {in_words(memory or 0)} are free"),
            (wants.gpu > gpus, f"{wants.gpu:g} GPUs, and this machine shows {gpus}"),
        ):
            if lacking:
                yield patient.at_run(
                    run,
                    "resources",
                    slug="machine/resources",
                    level="warning",
                    found=f"it asks for {what}",
                    remedy="Run it where there is more (`runs-on` of the run or job), or ask for less in `resources`.",
                )
