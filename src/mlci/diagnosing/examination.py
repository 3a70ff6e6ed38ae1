"""All areas one after another; a check that fails by its own fault becomes one finding and hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlci.core.finding import Finding
from mlci.diagnosing import (
    code,
    configuration,
    deployment,
    files,
    github,
    interpreters,
    machine,
    repository,
    rules,
    store,
)
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.workflows import artifacts, rights, timing, triggers, trust
from mlci.errors import MlciError
from mlci.render.text import plain

Check = Callable[[Patient], Iterable[Finding]]
# In the order in which they are shown: what else depends on comes first.
AREAS: tuple[tuple[str, Check], ...] = (
    ("configuration", configuration.check),
    ("interpreter", interpreters.check),
    ("notebook", code.check),
    ("files", files.check),
    ("rules", rules.check),
    ("git", repository.check),
    ("store", store.check),
    ("github", github.check),
    ("workflow", triggers.check),
    ("workflow", rights.check),
    ("workflow", trust.check),
    ("workflow", artifacts.check),
    ("workflow", timing.check),
    ("deployment", deployment.check),
    ("machine", machine.check),
)

# Of these nothing can be said without a valid configuration.
_OF_RUNS = ("interpreter", "notebook", "files", "rules", "store", "deployment", "machine")


def examine(patient: Patient, areas: Iterable[tuple[str, Check]] = AREAS) -> list[Finding]:
    """Everything that is found, by area; one in which nothing is amiss is said to be well."""
    found: dict[str, list[Finding]] = {}
    hidden: list[str] = []
    for area, check in areas:
        if patient.broken and area in _OF_RUNS:
            hidden.append(area)
        else:
            found.setdefault(area, []).extend(_guarded(area, check, patient))
    if hidden:
        found.setdefault("configuration", []).append(_later(hidden))
    return [
        finding
        for area, findings in found.items()
        for finding in findings or [Finding(slug=f"{area}/ok", level="ok", subject=area, found="nothing amiss")]
    ]


def _later(areas: list[str]) -> Finding:
    return Finding(
        slug="configuration/hides",
        level="unknown",
        subject=", ".join(areas),
        found="looked at only once the configuration is right",
        remedy="Then run mlci doctor again.",
    )


def _guarded(area: str, check: Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from check(patient)
    except MlciError as error:
        yield Finding(
            slug=f"{area}/unchecked", level="unknown", subject=area, found=error.message, remedy=error.hint or ""
        )
    except Exception as error:
        said = plain(f"{type(error).__name__}: {error}", limit=200)
        yield Finding(
            slug=f"{area}/unchecked",
            level="unknown",
            subject=area,
            found=f"the rest of it could not be checked, by a fault of mlci's: {said}",
            remedy="Please report this line; the other findings stand.",
        )
