"""What `mlci init` says of a repository: what was found, and what somebody still has to do, each in a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlci.adopting.candidates import Candidate
from mlci.adopting.choosing import Adopted
from mlci.adopting.origin import Action
from mlci.adopting.scan import Found, Part
from mlci.render.text import counted, plain

_SHOWN = 12
_NAMED = 3
_PAGES = {"CML": "cml", "dvc metrics diff": "dvc", "github-action-benchmark": "github-action-benchmark"}
_REMEDY = (
    "if the report has none, name their file in `metrics`, "
    'or add: from mlci_log import log_metric; log_metric("accuracy", value)'
)


def of_repository(found: Found) -> Iterator[str]:
    """The repository as a whole."""
    around = found.surroundings
    beside = [*around.trackers, *(["Git LFS"] if around.lfs else [])]
    yield f"{counted(found.files, 'file')}, default branch {plain(found.branch)}" + (
        f", {' and '.join(beside)}" if beside else ""
    )
    if found.left_out:
        why = "there are too many, or no configuration can have their names"
        yield f"{counted(found.left_out, 'file')} not looked at: {why}"
    for path, why in list(found.broken.items())[:5]:
        yield plain(f"{path}: left out, {why}")
    for item in around.replaced:
        page = f"docs/how-to/migrate-from-{_PAGES.get(item.tool, 'nbmake')}.md of mlci"
        yield plain(
            f"{item.path} uses {item.tool}, which {item.does}: mlci does too; remove it once both agree ({page})"
        )


def of_part(part: Part, suggested: Sequence[Candidate]) -> Iterator[str]:
    """A project's candidates, numbered, those that are suggested with a star."""
    needs = part.dependencies
    said = f"{needs.tool} ({', '.join(needs.files)})" if needs.files else "nothing says what it needs"
    yield plain(f"{part.folder or 'the repository'}: {said}, Python {needs.python}")
    for number, item in enumerate(part.candidates[:_SHOWN], start=1):
        against = f"; but {', '.join(item.against)}" if item.against else ""
        star = "* " if item in suggested else "  "
        name = f" ({item.name})" if item.name else ""
        said = plain(f"{item.path}{name}  {'; '.join(item.favour) or 'nothing of a training'}{against}")
        yield f"  {star}{number:>2}  {said}"
    rest = len(part.candidates[_SHOWN:]) + part.more
    if rest:
        yield f"     and {rest} more, of which none is likelier; `--json` lists them, `--run PATH` takes one"


def to_do(found: Found, projects: Sequence[Adopted], action: Action) -> Iterator[str]:
    """What init cannot know or do."""
    if not action.known:
        yield "the workflows name OWNER/mlci@000…: put mlci's repository and a release's commit there, or say --action"
    for project in projects:
        where = f"{project.folder}: " if project.folder else ""
        needs = project.dependencies
        if not needs.files:
            install = project.install.removeprefix("python -m pip install ")
            yield plain(
                f"{where}nothing says what the code needs; the workflow installs {install}: write a requirements.txt"
            )
        needed = {name for run in project.runs for name in run.needs}
        for run in project.runs:
            item = run.candidate
            if run.lacking:
                yield plain(f"{where}{run.name} reads {run.lacking[0]}, which git does not hold: fetch it in `install`")
            if item.language != "python":
                yield plain(
                    f"{where}{run.name} needs the kernel {item.kernel or item.language!r} and its packages in CI"
                )
            if run.name not in needed and not item.leaves_metrics:
                what = ", ".join(item.names[:_NAMED]) or "metrics"
                yield plain(f"{where}where {run.name} writes {what} cannot be seen: {_REMEDY}")
    if "Weights & Biases" in found.surroundings.trackers:
        yield "Weights & Biases is set offline in the runs that use it, and leaves nothing then that mlci reads"
