"""What the HTML report shows beside the numbers: plots, notebooks and baselines, from the workspace and the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlci.core.documents import Comparison, Record, RecordsDocument, digest, encode
from mlci.core.redaction import Redactor, find_secrets
from mlci.errors import DocumentError, StoreError
from mlci.plots import pictures
from mlci.project import Project
from mlci.render.pages.notebooks import MAX_BYTES, Notebook, notebook
from mlci.render.pages.report import NOTEBOOKS, PICTURE, PICTURES, Executed, Shown
from mlci.workspace import COMPARISON, RECORDS, RUNS

_MOST_NOTEBOOKS = 20  # that are rendered; the others are named


def shown(project: Project, comparison: Comparison, records: RecordsDocument) -> Shown:
    """All that there is to show of `records`; what cannot be had is said in the page."""
    ran = [record for record in records.records if record.status != "skipped"]
    try:
        found = {record.name: project.baseline(record.name, record.profile).record for record in ran}
    except StoreError as error:
        project.invocation.say(f"the page is without baselines: {error.message}")
        found = {}
    return Shown(
        before={name: record for name, record in found.items() if record},
        pictures=tuple(pictures(project, records.records, limit_each=PICTURE, limit_all=PICTURES)),
        notebooks=tuple(_notebooks(project, comparison, records.records)),
        documents={
            **{f"{RUNS} ({place})": made for place, made in enumerate(records.made_from, 1)},
            RECORDS: comparison.current,
            COMPARISON: digest(encode(comparison)),
        },
    )


def _notebooks(project: Project, comparison: Comparison, records: Sequence[Record]) -> Iterator[Executed]:
    """Those of runs that failed or got worse first: they get what they need of the space before the others."""
    worse = {delta.run for delta in comparison.deltas if delta.gate == "fail"}
    urgent = sorted(records, key=lambda record: (record.error is None, record.name not in worse))
    places = [(record, outputs.notebook) for record in urgent for outputs in record.outputs if outputs.notebook]
    left = NOTEBOOKS
    for index, (record, place) in enumerate(places):
        if index >= _MOST_NOTEBOOKS:
            yield Executed(record.name, place, missing="there are too many to show all")
            continue
        try:
            made = _rendered(project, record, place, left // (len(places[:_MOST_NOTEBOOKS]) - index))
        except DocumentError as error:
            yield Executed(record.name, place, missing=error.message)
        else:
            left -= made.size if made else 0
            missing = None if made else "not in the workspace, or too large"
            yield Executed(record.name, place, made, missing)


def _rendered(project: Project, record: Record, place: str, budget: int) -> Notebook | None:
    content = project.workspace.kept(place, limit=MAX_BYTES)
    if content is None:
        return None
    return notebook(content, name=place, budget=budget, redactor=_redactor(project, record))


def _redactor(project: Project, record: Record) -> Redactor:
    """Knows what the run's table and this process know to be secret; its own secrets the run has hidden itself."""
    run = project.runs(record.profile).get(record.name)
    environ = project.invocation.environ
    if run is None:
        return Redactor(find_secrets(environ))
    return Redactor(find_secrets(environ, run.table.env, run.table.parameters, named=run.table.secrets))
