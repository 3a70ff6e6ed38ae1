"""Every mistake in the configuration, not the first one only, and what of it nothing would take notice of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

from mlci.config import Run, read_toml
from mlci.config.checking import check as check_types
from mlci.config.file import ConfigFile
from mlci.core.finding import Finding
from mlci.diagnosing.patient import Patient
from mlci.errors import ConfigError, MlciError
from mlci.plugins import registry
from mlci.running import formats, jobs

_MAX_ERRORS = 100
_ABSENT = "it is absent"  # said of a key that a part of its table, looked at alone, need not have
_NO_TOML = "not TOML"
_AT_LINE = re.compile(r"\(at line (\d+),")
_PART = re.compile(r'"([^"]*)"|([\w-]+)')


def check(patient: Patient) -> Iterable[Finding]:
    """What is wrong in `mlci.toml`."""
    if patient.broken:
        for error in _every_error(patient) or [patient.broken]:
            yield _refused(patient, error)
        return
    said: set[str] = set()
    for runs in patient.resolved.values():
        if isinstance(runs, MlciError) and runs.message not in said:
            said.add(runs.message)
            yield _refused(patient, runs)
    settings = patient.project.config.settings
    if not settings.runs:
        yield Finding(
            slug="configuration/no-runs",
            level="warning",
            subject=patient.project.config.shown,
            found="it configures no run",
            remedy='Add one, such as: [runs.train] with notebook = "train.ipynb".',
            file=patient.shown(patient.config_path),
        )
    for profile in patient.profiles:
        for run in patient.runs(profile):
            for finding in (*_unreceived(patient, run), *_unread(patient, run)):
                if finding.found not in said:
                    said.add(finding.found)
                    yield finding


def _refused(patient: Patient, error: MlciError) -> Finding:
    shown = patient.project.config.shown
    there = patient.config_path.is_file()
    path, colon, rest = error.message.removeprefix(f"{shown}: ").partition(": ")
    at_line = _AT_LINE.search(error.message)
    of_key = bool(colon) and path != _NO_TOML
    keys = tuple("".join(found) for found in _PART.findall(path))
    return Finding(
        slug="configuration/refused",
        level="error",
        subject=path if of_key else shown,
        found=rest if of_key else error.message.removeprefix(f"{shown}: "),
        remedy=(error.hint or "See this key in docs/reference/configuration.md.") if there else "Run: mlci init",
        file=patient.shown(patient.config_path) if there else None,
        line=int(at_line[1]) if at_line else patient.configured(keys)[1] if of_key else None,
    )


def _every_error(patient: Patient) -> list[ConfigError]:
    """All that does not fit the types, each part of the file looked at alone."""
    config = patient.project.config
    try:
        table = read_toml(patient.config_path, config.shown)
    except ConfigError:
        return []
    if patient.config_path.name == "pyproject.toml":
        table = table.get("tool", {}).get("mlci")
    return list(_errors(table, lambda part: part, config.shown))[:_MAX_ERRORS] if isinstance(table, dict) else []


def _errors(value: object, whole: Callable[[Any], Any], shown: str) -> Iterator[ConfigError]:
    """Those of `value`; `whole` is the file with nothing else in it."""
    try:
        check_types(whole(value), ConfigFile, file=shown)
    except ConfigError as error:
        first = error
    else:
        return
    found: list[ConfigError] = []
    for key, item in value.items() if isinstance(value, dict) else ():
        found += _errors(item, lambda part, key=key: whole({key: part}), shown)  # type: ignore[misc]
    found = [error for error in found if not error.message.endswith(_ABSENT)]
    yield from found or [first]


def _unreceived(patient: Patient, run: Run) -> Iterator[Finding]:
    """Parameters of the run, and a seed, that it would not notice."""
    if run.kind == "committed":
        return
    try:
        _, refused = jobs.receivable(patient.project.config, run, run.table.parameters)
    except MlciError as error:
        yield patient.at_run(
            run,
            run.kind,
            slug="configuration/unreadable",
            level="error",
            found=error.message,
            remedy="Open it where it was made, and save it again.",
        )
        return
    for name, reason in refused.items():
        if name != jobs.SEED and name not in run.own_parameters:
            continue  # of a profile, for the runs that take it
        key = "seeds" if name == jobs.SEED else f"parameters.{name}"
        yield patient.at_run(
            run,
            key,
            slug="configuration/unreceived",
            level="error",
            found=f"its {'seeds' if name == jobs.SEED else f'parameter {name}'} would be ignored: {reason}",
            remedy=_receive(run, name),
        )


def _receive(run: Run, name: str) -> str:
    if run.kind == "notebook":
        return f"Assign {name} in a cell tagged `parameters`, and use it after that; or remove it from the run."
    place = f'"--{name}", "{{{name}}}"'
    where = "command" if run.kind == "command" else "args"
    return f"Hand it over: add {place} to the run's {where}; or remove it from the run."


def _unread(patient: Patient, run: Run) -> Iterator[Finding]:
    """Metric files that no reader is for."""
    for file in run.table.metric_files:
        try:
            if file.format:
                registry.plugin_class("readers", file.format)
            elif PurePath(file.path).suffix:
                formats.reader_of(PurePath(file.path))
        except MlciError as error:
            yield patient.at_run(
                run,
                "metrics",
                slug="configuration/no-reader",
                level="error",
                found=error.message,
                remedy=error.hint or "Name a format of docs/reference/formats.md.",
            )
