"""What else differs between two records than their metrics: what a change of a metric may come from."""

from __future__ import annotations

from collections.abc import Iterator

from mlci.core.documents import Record

_MAX_PACKAGES = 5


def changes(record: Record, baseline: Record) -> tuple[str, ...]:
    """What else differs between two records, one line each: environment, inputs, parameters."""
    return (*_environment(record, baseline), *_inputs(record, baseline), *_parameters(record, baseline))


def _environment(record: Record, baseline: Record) -> Iterator[str]:
    now, before = record.environment, baseline.environment
    for name in ("python", "implementation", "platform"):
        one, other = getattr(before, name), getattr(now, name)
        if one != other and one and other:
            yield f"{name} {one} → {other}"
    differing = [
        f"{name} {before.packages.get(name, 'absent')} → {now.packages.get(name, 'absent')}"
        for name in sorted({*before.packages, *now.packages})
        if before.packages.get(name) != now.packages.get(name)
    ]
    if before.packages and now.packages:
        yield from differing[:_MAX_PACKAGES]
        if len(differing) > _MAX_PACKAGES:
            yield f"{len(differing) - _MAX_PACKAGES} more packages"


def _inputs(record: Record, baseline: Record) -> Iterator[str]:
    for path in sorted({*record.inputs, *baseline.inputs}):
        one, other = baseline.inputs.get(path), record.inputs.get(path)
        if one != other:
            yield f"input {path} {'added' if one is None else 'removed' if other is None else 'changed'}"


def _parameters(record: Record, baseline: Record) -> Iterator[str]:
    for name in sorted({*record.parameters, *baseline.parameters}):
        one, other = baseline.parameters.get(name), record.parameters.get(name)
        if one != other:
            yield f"parameter {name} {one} → {other}"
    if record.seeds != baseline.seeds:
        yield f"seeds {len(baseline.seeds) or 1} → {len(record.seeds) or 1}"
