"""What else a repository works with: data outside of git, trackers of experiments, and the CI that is there already."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
import yaml

from mlci.adopting.listing import Listing

_WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.yml")
_MAX_WORKFLOWS = 100
EXECUTES = "executes notebooks"
# What to look for in a workflow, what it is, and what does the same in mlci.
_REPLACED = (
    (r"\bcml[ -](?:comment|send-comment|publish)|setup-cml|iterative/cml", "CML", "comments a report"),
    (r"\bnbmake\b|--nbmake", "nbmake", EXECUTES),
    (r"\bpapermill\s", "papermill", EXECUTES),
    (r"nbconvert\b[^\n]{0,500}--execute", "nbconvert --execute", EXECUTES),
    (r"\bdvc (?:metrics|params|plots) diff", "dvc metrics diff", "compares metrics"),
    (r"github-action-benchmark", "github-action-benchmark", "keeps results of the main branch and compares"),
)


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a workflow that mlci does as well."""

    path: str
    tool: str
    does: str


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository works with beside its own code."""

    trackers: tuple[str, ...] = ()  # DVC, MLflow, Weights & Biases
    pointers: tuple[str, ...] = ()  # files whose content DVC keeps elsewhere
    remote: bool = False  # DVC has a place to fetch them from
    lfs: bool = False
    replaced: tuple[Replaced, ...] = ()


def look_around(listing: Listing, modules: Iterable[str]) -> Surroundings:
    """What the repository works with; `modules` is what its code imports."""
    used = set(modules)
    tracked = [
        path.removesuffix(".dvc") for path in listing.files if path.endswith(".dvc") and not path.startswith(".")
    ]
    dvc = bool(tracked) or any(path.rpartition("/")[2] == "dvc.yaml" for path in listing.files)
    mlflow = "mlflow" in used or any(path.rpartition("/")[2] == "MLproject" for path in listing.files)
    present = {"DVC": dvc, "MLflow": mlflow, "Weights & Biases": "wandb" in used}
    return Surroundings(
        trackers=tuple(name for name, there in present.items() if there),
        pointers=tuple(tracked[:200]),
        remote="remote" in (listing.text(".dvc/config") or ""),
        lfs="filter=lfs" in (listing.text(".gitattributes") or ""),
        replaced=tuple(_replaced(listing)),
    )


def _replaced(listing: Listing) -> Iterable[Replaced]:
    for path in [path for path in listing.files if _WORKFLOW.fullmatch(path)][:_MAX_WORKFLOWS]:
        text = "\n".join(line for line in (listing.text(path) or "").splitlines() if not line.lstrip().startswith("#"))
        for pattern, tool, does in _REPLACED:
            if re.search(pattern, text):
                yield Replaced(path=path, tool=tool, does=does)


def read_yaml(listing: Listing, path: str) -> dict[str, object]:
    """A YAML file's mapping; empty where it is none, or cannot be read."""
    text = listing.text(path, 128 * 1024) or ""
    try:
        # Aliases can make little text stand for very much.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            return {}
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
