"""The model card of a release: Markdown with the front matter that Hugging Face reads, every word of others inert."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from mlci.core.documents import Metric
from mlci.core.release import Release
from mlci.render.front_matter import About, front_matter
from mlci.render.markdown import code, fence, inline
from mlci.render.parts import Line, Link, Quoted, said
from mlci.render.runs import money
from mlci.render.text import counted, duration, number, pair, plain, signed, size

_WIDTH = 400  # characters of one piece of prose: `plain` would cut what is longer than a line
_MAX_PACKAGES = 500
# Alone in a line these would turn the line above into a heading, or end a front matter.
_RULE = re.compile(r"[-=+\s]+")


def card(release: Release, about: About) -> str:
    """The model card: front matter and `body`.

    Args:
        release: What is released; its file list as far as it is known.
        about: What people say of the model.
    """
    return f"{front_matter(release, about)}\n{body(release, about)}"


def body(release: Release, about: About) -> str:
    """The model card without front matter, for places that would show it, such as a page of a release."""
    sections = (
        ("Intended use", _prose(about.intended_use)),
        ("What it is", _bullets(_identity(release, about))),
        ("Metrics", _metrics(release.record.metrics)),
        (_comparison_title(release), _comparison(release)),
        ("Data and code", _inputs(release)),
        ("Environment", _environment(release)),
        ("Lineage", _bullets(_lineage(release))),
        ("Cost", _bullets(_cost(release))),
        ("Files", _files(release)),
        ("How to check the files", _checking(release)),
    )
    parts = [f"# {_quoted(f'{release.model} {release.version}')}", _prose(about.description)]
    parts += [f"## {title}\n\n{text}" for title, text in sections if text]
    return "\n\n".join(part for part in parts if part) + "\n"


def _identity(release: Release, about: About) -> Iterator[Line]:
    yield ("Model ", Quoted(release.model), ", version ", Quoted(release.version), ", tag ", Quoted(release.tag))
    yield ("Commit ", Quoted(release.commit))
    if release.record.origin.run_url:
        yield ("Measured by ", Link("this workflow run", release.record.origin.run_url))
    if about.license:
        yield ("License ", Quoted(about.license))
    if about.owners:
        yield ("Owners: ", *_joined(about.owners))
    if release.override:
        yield ("Released against the policy: ", said(release.override))


def _metrics(metrics: Sequence[Metric]) -> str:
    rows = [
        (
            (Quoted(metric.name),),
            (Quoted(metric.split),) if metric.split else ("–",),
            (Quoted(metric.slice),) if metric.slice else ("all",),
            (number(metric.value), *((" ", Quoted(metric.unit)) if metric.unit else ())),
            (_spread(metric),),
            (_seeds(metric),),
            (str(metric.n) if metric.n is not None else "–",),
        )
        for metric in metrics
    ]
    return _table(("Metric", "Split", "Slice", "Value", "Spread", "Seeds", "Examples"), rows)


def _spread(metric: Metric) -> str:
    """The range over seeds, and the standard error where the run says it."""
    known = [sample for sample in metric.samples if math.isfinite(sample)]
    over = "{} to {}".format(*pair(min(known), max(known))) if len(known) > 1 else ""
    error = f"± {number(metric.standard_error, 2)} (standard error)" if metric.standard_error is not None else ""
    return ", ".join(filter(None, [over, error])) or "–"


def _seeds(metric: Metric) -> str:
    if metric.seeds:
        return ", ".join(map(str, metric.seeds[:10])) + (", …" if len(metric.seeds) > 10 else "")  # noqa: PLR2004
    return counted(len(metric.samples), "draw") if metric.samples else "–"


def _comparison_title(release: Release) -> str:
    return "Against the version that was deployed" if release.comparison else "Against the version before"


def _comparison(release: Release) -> str:
    if release.comparison is None:
        return "This is the first version, or none was deployed to compare it with."
    rows = []
    for delta in release.comparison.deltas:
        before, now = (number(value) if value is not None else "–" for value in (delta.baseline, delta.current))
        if delta.baseline is not None and delta.current is not None:
            before, now = pair(delta.baseline, delta.current)
        interval = f"{signed(delta.interval[0])} to {signed(delta.interval[1])}" if delta.interval else "–"
        change = signed(delta.change) if delta.change is not None else "–"
        name = f"{delta.metric} [{delta.slice}]" if delta.slice else delta.metric
        rows.append(((Quoted(name),), (before,), (now,), (change,), (interval,), (delta.verdict,), (delta.gate,)))
    compared = [ref for ref in release.comparison.baselines.values() if ref.commit]
    lines: list[Line] = [("Compared with the commit ", Quoted(ref.commit or "")) for ref in compared]
    lines += [(said(line),) for ref in compared for line in ref.changed]
    lines += [(said(reason),) for reason in release.comparison.reasons]
    table = _table(("Metric", "Before", "Now", "Change", "90% interval", "Verdict", "Gate"), rows)
    return "\n\n".join(filter(None, [_bullets(lines), table]))


def _inputs(release: Release) -> str:
    rows = [((Quoted(path),), (Quoted(found),)) for path, found in sorted(release.record.inputs.items())]
    if not rows:
        return "The run names no inputs: which data it read is not recorded."
    return _table(("Input", "Fingerprint"), rows)


def _environment(release: Release) -> str:
    found = release.record.environment
    lines: list[Line] = []
    if found.python:
        kind: Line = (", ", Quoted(found.implementation)) if found.implementation else ()
        lines.append(("Python ", Quoted(found.python), *kind))
    if found.platform:
        lines.append(("Platform ", Quoted(found.platform)))
    packages = [f"{name}=={version}" for name, version in sorted(found.packages.items())]
    more = len(packages) - _MAX_PACKAGES
    listed = [*packages[:_MAX_PACKAGES], *([f"and {more} more, see record.json"] if more > 0 else [])]
    block = _folded(counted(len(packages), "package"), fence("\n".join(map(plain, listed)))) if packages else ""
    return "\n\n".join(filter(None, [_bullets(lines), block]))


def _lineage(release: Release) -> Iterator[Line]:
    record, origin = release.record, release.record.origin
    yield ("Commit ", Quoted(release.commit), *((", of the branch ", Quoted(origin.branch)) if origin.branch else ()))
    yield ("Run ", Quoted(record.name), ", profile ", Quoted(record.profile), ", measured ", Quoted(origin.created_at))
    if origin.run_id:
        attempt = f", attempt {origin.run_attempt}" if origin.run_attempt else ""
        yield ("Workflow run ", Quoted(origin.run_id), attempt)
    if record.command:
        yield ("Made by ", Quoted(record.command))
    for name, value in sorted(record.parameters.items()):
        yield ("Parameter ", Quoted(f"{name} = {value}"))
    if record.seeds:
        yield ("Seeds ", ", ".join(map(str, record.seeds)))
    yield ("The version before: ", Quoted(release.previous) if release.previous else "none")
    yield ("Released ", Quoted(release.created_at))


def _cost(release: Release) -> Iterator[Line]:
    record = release.record
    seeds = f", all of {counted(len(record.seeds), 'seed')}" if record.seeds else ""
    yield (f"Duration {duration(record.duration_s)}{seeds}",)
    if record.resources:
        yield (f"CPU {duration(record.resources.cpu_s)}",)
        yield (f"Peak memory {size(record.resources.peak_memory_bytes)}",)
    if record.cost:
        yield ("Cost ", *money(record.cost))


def _files(release: Release) -> str:
    rows = [
        ((Quoted(file.name),), (file.kind,), (size(file.size),), (Quoted(file.sha256),), _kept(file.stored))
        for file in release.files
    ]
    far = any(file.stored for file in release.files)
    headers = ("File", "Kind", "Size", "sha256", *(("Where",) if far else ()))
    return _table(headers, [row[: len(headers)] for row in rows])


def _kept(stored: str | None) -> Line:
    return (Quoted(stored),) if stored else ("in the release",)


def _checking(release: Release) -> str:
    far = " --ignore-missing" if any(file.stored for file in release.files) else ""
    return (
        "`SHA256SUMS` has the digest of every file of the release; its own sha256 names the release.\n\n"
        f"{fence(f'sha256sum --check{far} SHA256SUMS')}"
    )


def _prose(text: str) -> str:
    """Somebody's paragraphs, each line of which is only words or else a code span."""
    pieces = [piece for line in text.splitlines() for piece in (textwrap.wrap(line, _WIDTH) or [""])]
    lines = [
        "" if not piece.strip() else code(piece) if _RULE.fullmatch(piece) else inline((said(piece),))
        for piece in pieces
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _quoted(text: str) -> str:
    return inline((said(text),))


def _joined(words: Iterable[str]) -> Line:
    parts: list[str | Quoted | Link] = []
    for word in words:
        parts += [", ", Quoted(word)] if parts else [Quoted(word)]
    return tuple(parts)


def _bullets(lines: Iterable[Line]) -> str:
    return "\n".join(f"- {inline(line)}" for line in lines)


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _table(headers: Sequence[str], rows: Sequence[Sequence[Line]]) -> str:
    if not rows:
        return ""
    # In a cell a bar ends the cell even within code, unless a backslash stands before it.
    cells = [[inline(cell).replace("|", "\\|") for cell in row] for row in rows]
    return tabulate(cells, headers=headers, tablefmt="github", disable_numparse=True)
