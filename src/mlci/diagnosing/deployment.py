"""Targets and stores of models: whether their options are right, their libraries here and their credentials named."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlci.core.finding import Finding, Level
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.workflows.files import of_mlci, text_of
from mlci.errors import MlciError
from mlci.releasing.deploying import open_place
from mlci.render.text import plain

# Extra of mlci -> the module that it brings.
_EXTRAS = {"s3": "s3fs", "gcs": "gcsfs", "azure": "adlfs", "mlflow": "mlflow", "huggingface": "huggingface_hub"}
_PROTOCOLS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
_CREDENTIALS = {"oci": ("MLCI_OCI_USERNAME", "MLCI_OCI_PASSWORD"), "huggingface": ("HF_TOKEN",)}


def check(patient: Patient) -> Iterable[Finding]:
    """What a deployment would stumble over."""
    settings = patient.project.config.settings
    for name, target in settings.targets.items():
        key = ("targets", name)
        try:
            place = open_place(patient.project, name)
        except MlciError as error:
            remedy = error.hint or "See docs/reference/targets.md for the kinds and their options."
            yield _finding(patient, key, "target", "error", error.message, remedy)
            continue
        yield from _extra(patient, key, _extra_of(target.kind, target.options))
        for variable in _variables(target.kind, place.target):
            yield from _variable(patient, key, variable)
    if settings.artifacts.store:
        yield from _extra(patient, ("artifacts",), _PROTOCOLS.get(settings.artifacts.store.partition("://")[0]))
    for run in patient.every_run:
        for source in run.table.metric_servers:
            if source.path.startswith("$"):
                yield from _variable(patient, ("runs", run.group, "metrics"), source.path[1:])
    if any(model.sign == "key" for model in settings.models.values()):
        yield from _variable(patient, ("models",), "MLCI_SIGNING_KEY")


def _extra_of(kind: str, options: Mapping[str, Any]) -> str | None:
    if kind == "object-store":
        return _PROTOCOLS.get(str(options.get("url", "")).partition("://")[0])
    return kind if kind in _EXTRAS else None


def _extra(patient: Patient, keys: tuple[str, ...], extra: str | None) -> Iterator[Finding]:
    if extra is None or importlib.util.find_spec(_EXTRAS[extra]) or extra in _named(patient, "MLCI_EXTRAS"):
        return
    yield _finding(
        patient,
        keys,
        "extra",
        "warning",
        f"it needs mlci's extra {extra}, which is not installed here and named in no workflow",
        f'Run: pip install "mlci[{extra}]"; in the workflow: MLCI_EXTRAS: {extra}',
    )


def _variables(kind: str, target: Any) -> tuple[str, ...]:  # noqa: ANN401 - any target
    return (str(target.secret_env),) if kind == "webhook" else _CREDENTIALS.get(kind, ())


def _variable(patient: Patient, keys: tuple[str, ...], name: str) -> Iterator[Finding]:
    if name in patient.environ or _sets(patient, name):
        return
    shown = plain(name, limit=80)
    yield _finding(
        patient,
        keys,
        "variable",
        "warning",
        f"the variable {shown} is not set here, and no workflow of mlci sets it",
        f"Say in the step of the workflow:  env: {{ {shown}: ${{{{ secrets.{shown} }}}} }}",
    )


def _sets(patient: Patient, name: str) -> bool:
    tables = [
        table
        for workflow in of_mlci(patient)
        for job in workflow.jobs
        for table in (job.env, *(step.env for step in job.steps))
    ]
    return any(name in table for table in tables)


def _named(patient: Patient, variable: str) -> set[str]:
    """The words of a variable of any workflow of mlci."""
    values = [
        text_of(table.get(variable))
        for workflow in of_mlci(patient)
        for job in workflow.jobs
        for table in (job.env, *(step.env for step in job.steps))
    ]
    return {word for value in values for word in value[:1000].split()}


def _finding(patient: Patient, keys: tuple[str, ...], what: str, level: Level, found: str, remedy: str) -> Finding:
    file, line = patient.configured(keys)
    return Finding(
        slug=f"deployment/{what}",
        level=level,
        subject=".".join(keys),
        found=found,
        remedy=remedy,
        file=file,
        line=line,
    )
