"""Where numbers come from: commits, parameters, inputs, packages and documents of the records, each in a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from mlci.core.documents import Comparison, Record
from mlci.render.parts import Line, Quoted, Section, Table, said

_SHORT = 12  # characters of a digest
_NONE: Line = ("–",)


def sections(
    comparison: Comparison, records: Sequence[Record], before: Mapping[str, Record], documents: Mapping[str, str]
) -> Iterator[Section]:
    """What an auditor asks for.

    Args:
        comparison: Names the baselines.
        records: What was measured.
        before: The baselines' records by run, as far as they are at hand.
        documents: The sha256 of each document, by its name.
    """
    ran = [record for record in records if record.status != "skipped"]
    yield Section("Commits and environments", _tables(_ORIGINS, [_origin(item, comparison) for item in ran]))
    parameters = [row for item in ran for row in _parameters(item, before.get(item.name))]
    yield Section(f"Parameters ({len(parameters)})", _tables(("Run", "Parameter", "Value", "Baseline"), parameters))
    inputs = [row for item in ran for row in _inputs(item, before.get(item.name))]
    yield Section(f"Inputs ({len(inputs)})", _tables(("Run", "Input", "Digest", "Baseline"), inputs))
    packages = list(_packages(ran))
    yield Section(f"Packages ({len(packages)})", _tables(("Package", "Version", "Runs"), packages))
    digests: list[tuple[Line, ...]] = [((Quoted(name),), (Quoted(sha256),)) for name, sha256 in documents.items()]
    yield Section("Documents", _tables(("Document", "sha256"), digests))


_ORIGINS = ("Run", "Commit", "Baseline", "Event", "Started", "Profile", "Seeds", "Python", "Platform", "GPU")


def _origin(record: Record, comparison: Comparison) -> tuple[Line, ...]:
    origin, environment, ref = record.origin, record.environment, comparison.baselines.get(record.name)
    changes: Line = (", with changes that are not committed",) if origin.dirty else ()
    return (
        (Quoted(record.name),),
        (Quoted(origin.commit), *changes) if origin.commit else ("none",),
        (Quoted(ref.commit),) if ref and ref.commit else _NONE,
        (said(origin.event), *((" on ", Quoted(origin.branch)) if origin.branch else ())),
        (Quoted(origin.created_at, prose=True),),
        (Quoted(record.profile),),
        (", ".join(map(str, record.seeds)) or "–",),
        _or_none(" ".join(filter(None, (environment.implementation, environment.python)))),
        _or_none(environment.platform),
        _or_none(environment.gpu),
    )


def _parameters(record: Record, before: Record | None) -> Iterator[tuple[Line, ...]]:
    old = before.parameters if before else {}
    for name in dict.fromkeys((*record.parameters, *old)):
        yield ((Quoted(record.name),), (Quoted(name),), _value(record.parameters, name), _value(old, name))


def _value(parameters: Mapping[str, object], name: str) -> Line:
    return (Quoted(json.dumps(parameters[name], ensure_ascii=False)),) if name in parameters else _NONE


def _inputs(record: Record, before: Record | None) -> Iterator[tuple[Line, ...]]:
    old = before.inputs if before else {}
    for path in dict.fromkeys((*record.inputs, *old)):
        now, then = record.inputs.get(path), old.get(path)
        same: Line = ("the same",) if now == then else (Quoted(then[:_SHORT]),) if then else _NONE
        yield ((Quoted(record.name),), (Quoted(path),), (Quoted(now[:_SHORT]),) if now else ("gone",), same)


def _packages(records: Sequence[Record]) -> Iterator[tuple[Line, ...]]:
    users: dict[tuple[str, str], list[str]] = {}
    for record in records:
        for package in record.environment.packages.items():
            users.setdefault(package, []).append(record.name)
    for (name, version), runs in sorted(users.items()):
        whose: Line = ("all",) if len(runs) == len(records) else (Quoted(", ".join(runs)),)
        yield ((Quoted(name),), (Quoted(version),), whose)


def _tables(headers: tuple[str, ...], rows: Sequence[tuple[Line, ...]]) -> tuple[Table, ...]:
    return (Table(headers, tuple(rows)),) if rows else ()


def _or_none(text: str | None) -> Line:
    return (said(text),) if text else _NONE
