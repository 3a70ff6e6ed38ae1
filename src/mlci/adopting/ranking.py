"""Which of a repository's notebooks and scripts are trainings: signs for and against, in words and as a rank."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mlci.adopting import python_code, signs
from mlci.adopting.listing import Listing
from mlci.adopting.signs import Signs
from mlci.adopting.sources import Source, read
from mlci.core.metric import listed

MAX_SOURCES = 3_000  # that are looked into
MAX_BYTES = 1024 * 1024 * 1024  # of all of them, most of which notebooks fill with pictures
MAX_CODE = 8 * 1024 * 1024  # of all of them: the syntax tree is what takes time
CHOSEN_FROM = 5  # what is likely to be a training
WEAK_FROM = 1  # a notebook that does something, where there is nothing better

_TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.(py|ipynb)$")
_TOOLS = re.compile(
    r"(^|/)(setup|noxfile|fabfile|manage|versioneer|tasks|__init__|__main__)\.py$|(^|/)(\.[^/]+|dags|migrations)/"
)
_TEACHING = re.compile(r"(^|/)(docs?|examples?|tutorials?|demos?|lessons?|course)/|tutorial|walkthrough", re.IGNORECASE)
_SET_ASIDE = re.compile(
    r"(^|/)(archive|old|deprecated|legacy|scratch|sandbox|playground|attic|backup)/"
    r"|-Copy\d|Untitled|[ _-](old|backup|copy)\.",
    re.IGNORECASE,
)
_PATTERN = re.compile(r"[*?\[\]{}:]")
# Without any of these a script neither trains nor writes what a training reads.
_PROMISING = re.compile(r"\.fit|train|backward|metric|accuracy|score|\.dump\(|\.to_\w|savefig|write_|open\(.{1,200}w")
_NAMED = re.compile(r"train|fit|model|experiment|benchmark|classif|regress|finetun", re.IGNORECASE)
_FRAMEWORKS = listed(
    "sklearn torch tensorflow keras xgboost lightgbm catboost transformers lightning pytorch_lightning statsmodels",
    "prophet jax flax ultralytics fastai sentence_transformers spacy surprise implicit river",
)


@dataclass(frozen=True)
class Ranked:
    """A source with what speaks for it and against it."""

    source: Source
    signs: Signs
    rank: int
    favour: tuple[str, ...]
    against: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its file."""
        return self.source.path


def ranked(listing: Listing) -> tuple[list[Ranked], int]:
    """Every notebook and every script that does something, the likeliest training first; and how many were not read."""
    found: list[Ranked] = []
    paths = sorted((path for path in listing.files if path.endswith((".ipynb", ".py"))), key=_promise)
    looked = size = code = 0
    for path in paths[:MAX_SOURCES]:
        size += listing.size(path)
        if size > MAX_BYTES or code > MAX_CODE:
            break
        looked += 1
        source = read(listing, path)
        if source.kind == "script" and not source.problem and not _PROMISING.search(source.code):
            continue
        code += len(source.code)
        item = rank(source)
        if source.kind == "notebook" or item.signs.entered or item.signs.acts:
            found.append(item)
    imported = {name for item in found for name in item.signs.modules}
    kept = [item for item in found if item.signs.entered or PurePosixPath(item.path).stem not in imported]
    return sorted(kept, key=lambda item: (-item.rank, item.path.count("/"), item.path)), len(paths) - looked


def rank(source: Source) -> Ranked:
    """One source with its rank."""
    seen = (
        python_code.of_python(source.cells, source.tagged, source.path)
        if source.language == "python"
        else signs.of_other_language(source.cells, source.tagged)
    )
    problem = source.problem or (None if seen or not source.cells else "its code is not Python that can be read")
    found = seen or Signs()
    favour, against = list(_favour(source, found)), list(_against(source, found, problem))
    points = sum(weight for weight, _ in favour) - sum(weight for weight, _ in against)
    if source.kind == "notebook" and found.acts and not problem:
        points += 1
    return Ranked(source, found, points, tuple(word for _, word in favour), tuple(word for _, word in against))


def _favour(source: Source, found: Signs) -> Iterator[tuple[int, str]]:
    if found.fits:
        yield 4, "fits a model"
    if found.metrics:
        yield 4, f"writes {' and '.join(found.metrics[:2])}"
    elif found.logs:
        yield 4, f"logs metrics ({', '.join(sorted(found.logs))})"
    elif found.judges:
        yield 1, "computes a score"
    if found.artifacts:
        yield 2, f"saves {found.artifacts[0]}"
    if source.tagged is not None:
        yield 2, "has a parameters cell"
    if _FRAMEWORKS & found.modules:
        yield 1, f"uses {' and '.join(sorted(_FRAMEWORKS & found.modules)[:2])}"
    if _NAMED.search(PurePosixPath(source.path).stem):
        yield 1, "is named like a training"


def _against(source: Source, found: Signs, problem: str | None) -> Iterator[tuple[int, str]]:
    path = source.path
    if problem:
        yield 20, problem
    if _PATTERN.search(path):
        yield 20, "has a name that mlci.toml would take for a pattern"
    if _TESTS.search(path):
        yield 10, "a test"
    if _TOOLS.search(path):
        yield 10, "a tool"
    if _TEACHING.search(path):
        yield 6, "documentation or an example"
    if _SET_ASIDE.search(path):
        yield 6, "set aside"
    if found.required:
        yield 4, f"does not start without {', '.join(found.required)}"


def _promise(path: str) -> tuple[bool, bool, int, str]:
    """Of thousands of files, those first that are likelier to be one."""
    return bool(_TESTS.search(path) or _TOOLS.search(path)), not path.endswith(".ipynb"), path.count("/"), path
