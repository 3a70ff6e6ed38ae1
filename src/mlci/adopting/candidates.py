"""Candidates for runs: a ranked source, a stage of DVC, an entry point of MLflow, as `mlci.toml` would have them."""

from __future__ import annotations

import os.path
import posixpath
import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from mlci.adopting.listing import Listing
from mlci.adopting.ranking import Ranked
from mlci.adopting.signs import Signs
from mlci.core import strict_json
from mlci.errors import DocumentError
from mlci.plugins.executors.notebook import sources

_SEED = "seed"
_WANDB = "wandb"
_GLOB = re.compile(r"[*?\[\]{}]")
_MAX_INPUTS = 12
_MAX_TEXT = 80  # of a parameter's default


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What could be a run.

    Args:
        path: The file that says so, from the repository's top.
        kind: What kind of run.
        project: The folder of its project, to which the following paths are relative.
        source: The notebook or the script.
        rank: The higher, the likelier to be a training.
        favour: What speaks for it.
        against: What speaks against it.
        language: Of the notebook's kernel.
        kernel: The notebook's kernel.
        cwd: Where it runs, where that is not the default.
        command: Of a command.
        args: Of a script.
        env: Variables that it is given.
        parameters: Of which it has defaults.
        given: Those that the configuration gives.
        seeded: Whether a seed reaches it.
        metrics: Files, relative to the folder that it runs in, as `artifacts` and `plots`.
        names: Of metrics.
        artifacts: Models that it saves.
        plots: Pictures that it saves.
        inputs: What git holds and it reads.
        missing: What it reads and git does not hold, from the repository's top.
        makes: All that it writes, likewise.
        name: What to call the run, where something calls it already.
        needs: Names of those that come before it.
        notes: What to say beside it.
    """

    path: str
    kind: Literal["notebook", "script", "command", "committed"]
    project: str = ""
    source: str | None = None
    rank: int = 0
    favour: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    language: str = "python"
    kernel: str | None = None
    cwd: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    given: dict[str, Any] = {}
    seeded: bool = False
    metrics: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    name: str | None = None
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def leaves_metrics(self) -> bool:
        """Whether mlci will find some; Weights & Biases keeps those of an offline run in a log of its own."""
        return bool(self.metrics) or any("logs" in word and word != f"logs metrics ({_WANDB})" for word in self.favour)


def candidate(listing: Listing, item: Ranked, project: str) -> Candidate:
    """What a ranked source would be as a run of the project in a folder."""
    source, signs = item.source, item.signs
    folder = posixpath.dirname(source.path)
    usual = folder if source.kind == "notebook" else project
    cwd = _folder(listing, signs, usual, [usual, project, folder])
    inside = _Inside(listing, cwd)
    reads = [inside.place(path) for path in signs.reads]
    own = [path for path in map(inside.place, signs.writes) if path]
    held = [path for path in reads if path and (path in listing or listing.is_file(f"{path}.dvc"))]
    places = [folder, cwd, project, posixpath.join(project, "src")]
    modules = [path for name in sorted(signs.modules) for path in _module(listing, name, places)]
    args, env, seeded, notes = _seeding(item)
    # The folder of a script, or the working directory of a kernel, is where Python looks for modules by itself.
    beyond = {posixpath.dirname(path) for path in modules} - {folder if source.kind == "script" else cwd}
    if beyond:
        env |= {"PYTHONPATH": ":".join(relative(place, cwd) for place in sorted(beyond))}
    if _WANDB in signs.logs:
        env |= {"WANDB_MODE": "offline"}
    if "hydra" in signs.modules:
        notes.append('Hydra makes a folder an execution: metrics = ["outputs/*/*/metrics.json"] finds the new one;')
        notes.append('args = ["seed={seed}"] hands a seed on, if the configuration has one of that name.')
    if signs.remote:
        notes.append("it logs to a tracking server; see docs/how-to/trained-elsewhere.md of mlci")
    return Candidate(
        path=source.path,
        kind=source.kind,
        project=project,
        source=relative(source.path, project),
        rank=item.rank,
        favour=item.favour,
        against=item.against,
        language=source.language,
        kernel=source.kernel,
        cwd=None if cwd == usual else relative(cwd, project),
        args=args,
        env=env,
        parameters={name: value for name, value in signs.parameters.items() if _is_plain(value) and name != _SEED},
        seeded=seeded,
        metrics=inside.several(signs.metrics),
        names=tuple(signs.names),
        artifacts=inside.several(signs.artifacts),
        plots=inside.several(signs.plots),
        inputs=_inputs(listing, project, [*held, *modules], source.path),
        missing=tuple(sorted({path for path in reads if path and path not in listing and path not in own})),
        makes=tuple(own),
        notes=tuple(notes),
    )


class _Inside:
    """Paths as code has them, seen from the folder that it runs in."""

    def __init__(self, listing: Listing, cwd: str) -> None:
        self.listing, self.cwd = listing, cwd

    def place(self, path: str) -> str | None:
        """From the repository's top; None: it lies outside, or is no plain path."""
        if "://" in path or "\\" in path or ":" in path[:2] or path.startswith("~") or _GLOB.search(path):
            return None
        whole = os.path.normpath(posixpath.join("/", self.cwd, path))
        if path.startswith("/") and posixpath.dirname(whole).strip("/") not in self.listing:
            return None  # absolute, and not below a file of ours
        up = os.path.normpath(posixpath.join(self.cwd, path)) if not path.startswith("/") else ""
        return None if up.startswith("..") else whole.strip("/") or None

    def several(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Relative to the folder that it runs in."""
        return tuple(relative(place, self.cwd) for place in map(self.place, paths) if place)


def _folder(listing: Listing, signs: Signs, usual: str, tried: list[str]) -> str:
    """Where it must run to find what it reads; where nothing tells, the usual folder."""

    def finds(folder: str) -> int:
        places = [_Inside(listing, folder).place(path) for path in signs.reads if not path.startswith("/")]
        return sum(path is not None and (path in listing or f"{path}.dvc" in listing) for path in places)

    best = max(tried, key=finds)
    return best if finds(best) > finds(usual) else usual


def _module(listing: Listing, name: str, folders: list[str]) -> list[str]:
    """The file or the package that an import means, if it lies where such code would find it."""
    for folder in dict.fromkeys(folders):
        for path in (f"{name}.py", name):
            place = posixpath.join(folder, path)
            package = not path.endswith(".py")
            if listing.is_file(place) or (package and f"{place}/__init__.py" in listing):
                return [place]
    return []


def _inputs(listing: Listing, project: str, paths: list[str], own: str) -> tuple[str, ...]:
    """Files, packages as patterns, and what DVC tracks."""
    found = {
        f"{path}/**/*.py" if listing.is_file(f"{path}/__init__.py") else path: None
        for path in paths
        if path != own and (listing.is_file(path) or listing.is_file(f"{path}.dvc") or f"{path}/__init__.py" in listing)
    }
    below = [relative(path, project) for path in found]
    return tuple(path for path in below if not path.startswith(".."))[:_MAX_INPUTS]


def _seeding(item: Ranked) -> tuple[tuple[str, ...], dict[str, str], bool, list[str]]:
    """How a seed reaches the code: arguments, variables, whether it does, and what to say where it nearly does."""
    source, signs = item.source, item.signs
    if source.kind == "notebook":
        if _SEED in signs.parameters and _arrives(item):
            return (), {}, True, []
        near = [name for name in signs.parameters if "seed" in name.lower() or name == "random_state"]
        return (), {}, False, [f"call the parameter {near[0]!r} `seed`, and mlci runs it once a seed"] if near else []
    flag = next((flag for flag in signs.options if flag.lstrip("-").replace("-", "_") in (_SEED, "random_seed")), None)
    if flag is not None and flag.startswith("--"):
        return (flag, "{seed}"), {}, True, []
    if "MLCI_SEED" in signs.variables:
        return (), {}, True, []
    variable = next((name for name in signs.variables if name.upper() in ("SEED", "RANDOM_SEED")), None)
    return (), {variable: "{seed}"} if variable else {}, variable is not None, []


def _arrives(item: Ranked) -> bool:
    """Whether the notebook's code reads the seed that it is given; of another language that is not known."""
    if item.source.language != "python":
        return True
    cells = [
        {
            "cell_type": "code",
            "source": text,
            "metadata": {"tags": ["parameters"] if place == item.source.tagged else []},
        }
        for place, text in enumerate(item.source.cells)
    ]
    return not sources.refused(cells, [_SEED])


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float) or (
        isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable()
    )


def names_in(listing: Listing, paths: Iterable[str]) -> tuple[str, ...]:
    """The names of metrics in files of them that git holds, without what they are nested in."""
    found = Signs()
    for path in paths:
        try:
            tree = strict_json.loads(listing.data(path) or b"", name=path, allow_nan=True)
        except DocumentError:
            continue
        level = [tree]
        while level:
            item = level.pop()
            if isinstance(item, dict):
                level += item.values()
                for name, value in item.items():
                    if isinstance(value, int | float):
                        found.add_name(name)
    return tuple(found.names)


def relative(path: str, folder: str) -> str:
    """A path from the repository's top as seen from a folder of it."""
    return posixpath.relpath(f"/{path}", f"/{folder}")
