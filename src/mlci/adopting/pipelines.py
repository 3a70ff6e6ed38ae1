"""Pipelines that a repository has written down, as runs: each stage of DVC, and MLflow's main entry point."""

from __future__ import annotations

import os.path
import posixpath
import re
import shlex
from collections.abc import Iterator

from mlci.adopting.candidates import Candidate, relative
from mlci.adopting.listing import Listing
from mlci.adopting.signs import Signs
from mlci.adopting.surroundings import read_yaml
from mlci.running import known

_RANK = 20  # what a team wrote down itself comes before what was guessed
_SHELL = re.compile(r"[|&;<>$`*?()\n\\]")
_NAME = re.compile(r"[A-Za-z0-9](?!.*\.\.)[\w.-]{0,40}")
_PICTURES = (".png", ".svg", ".jpg", ".jpeg")
_MAX_STAGES = 20
_PARAMETER = re.compile(r"\{(\w+)\}")


def pipeline(listing: Listing, path: str, project: str) -> list[Candidate]:
    """What a `dvc.yaml` or an `MLproject` says to run, in the project of a folder; nothing for other files."""
    name = posixpath.basename(path)
    if name == "dvc.yaml":
        return _dvc(listing, path, project)
    return list(_mlproject(listing, path, project)) if name == "MLproject" else []


def _dvc(listing: Listing, path: str, project: str) -> list[Candidate]:
    """A run a stage; where that cannot be, because of data or of DVC's own language, what git holds, or DVC itself."""
    folder = posixpath.dirname(path)
    stages = {
        str(name): _mapping(stage)
        for name, stage in list(_mapping(read_yaml(listing, path).get("stages")).items())[:_MAX_STAGES]
    }
    made = {
        name: {place for key in ("outs", "metrics", "plots") for place in _places(folder, stage, key)}
        for name, stage in stages.items()
    }
    everything = {place for own in made.values() for place in own}
    absent = sorted(
        place
        for stage in stages.values()
        for place in _places(folder, stage, "deps")
        if place not in listing and place not in everything
    )
    runs = [_stage(name, stage, made, path, project) for name, stage in stages.items()]
    if not absent and all(runs) and any(run and run.metrics for run in runs):
        return [run for run in runs if run]
    files = named_by_dvc(listing, path)
    name = posixpath.basename(folder) or "pipeline"
    if any(listing.is_file(item) for item in files):
        why = f"git does not hold {absent[0]}" if absent else "only DVC itself can tell what runs"
        return [
            Candidate(
                path=path,
                kind="committed",
                project=project,
                name=name,
                rank=_RANK,
                favour=("lists metrics that git holds",),
                metrics=(relative(path, project),),
                notes=(f"nothing is executed, since {why}; see docs/how-to/trained-elsewhere.md of mlci",),
            )
        ]
    if not stages:
        return []
    return [
        Candidate(
            path=path,
            kind="command",
            project=project,
            name=name,
            rank=_RANK,
            favour=("is a pipeline",),
            command=("python", "-m", "dvc", "repro", "--force"),
            cwd=_elsewhere(folder, project),
            metrics=tuple(relative(item, folder) for item in files),
            missing=tuple(absent),
            makes=tuple(sorted(everything)),
        )
    ]


def named_by_dvc(listing: Listing, path: str) -> list[str]:
    """The files of metrics that a `dvc.yaml` lists, from the repository's top."""
    files = known.metrics_of_dvc(listing.data(path, known.MAX_DVC) or b"")
    return [place for item in files if (place := _within(posixpath.dirname(path), item))]


def _stage(name: str, stage: dict[str, object], made: dict[str, set[str]], path: str, project: str) -> Candidate | None:
    """One stage; None where only DVC can tell what it runs."""
    said, folder = stage.get("cmd"), posixpath.dirname(path)
    cwd = _within(folder, str(stage.get("wdir", "")))
    words = _words(said)
    if cwd is None or not words or "${" in str(stage) or not _NAME.fullmatch(name):
        return None
    reads = _places(folder, stage, "deps")
    script = words[1] if words[0] in ("python", "python3") and len(words) > 1 and words[1].endswith(".py") else None
    place = _within(cwd, script) if script else None
    others = {item for own in made.values() for item in own}
    saved = Signs(writes=dict.fromkeys(relative(item, cwd) for item in sorted(made[name])))
    return Candidate(
        path=path,
        kind="script" if place else "command",
        project=project,
        source=relative(place, project) if place else None,
        args=tuple(words[2:]) if place else (),
        command=() if place else tuple(words),
        cwd=_elsewhere(cwd, project),
        name=name,
        rank=_RANK,
        favour=(f"is the stage {name} of {path}",),
        metrics=tuple(relative(item, cwd) for item in _places(folder, stage, "metrics")),
        artifacts=saved.artifacts,
        plots=saved.plots,
        inputs=tuple(relative(item, project) for item in reads if item != place and item not in others),
        needs=tuple(other for other, own in made.items() if other != name and own & set(reads)),
        makes=tuple(sorted(made[name])),
    )


def _mlproject(listing: Listing, path: str, project: str) -> Iterator[Candidate]:
    """The main entry point, with the defaults of its parameters."""
    folder = posixpath.dirname(path)
    entry = _mapping(_mapping(read_yaml(listing, path).get("entry_points")).get("main"))
    words = _words(entry.get("command"))
    script = _within(folder, words[1]) if len(words) > 1 and words[0] in ("python", "python3") else None
    if script is None or not script.endswith(".py") or not listing.is_file(script):
        return
    defaults = {
        name: _mapping(value).get("default", value) for name, value in _mapping(entry.get("parameters")).items()
    }
    used = [name for word in words[2:] for name in _PARAMETER.findall(word)]
    given = {name: value for name, value in defaults.items() if name in used and isinstance(value, int | float)}
    lacking = [name for name in used if name not in given and name != "seed"]
    yield Candidate(
        path=path,
        kind="script",
        project=project,
        source=relative(script, project),
        cwd=_elsewhere(folder, project),
        args=tuple(words[2:]),
        given={name: value for name, value in given.items() if name != "seed"},
        seeded="seed" in used,
        name=posixpath.splitext(posixpath.basename(script))[0],
        rank=0 if lacking else _RANK,
        favour=("is the main entry point of MLproject", "logs metrics (mlflow)"),
        against=(f"does not start without {', '.join(lacking)}",) if lacking else (),
    )


def _words(said: object) -> list[str]:
    """The words of a command that needs no shell."""
    try:
        return shlex.split(said) if isinstance(said, str) and not _SHELL.search(said) else []
    except ValueError:
        return []


def _elsewhere(folder: str, project: str) -> str | None:
    """The working directory, where it is not the configuration's own."""
    return None if folder == project else relative(folder, project)


def _within(folder: str, path: str) -> str | None:
    """A path of a pipeline from the repository's top; None where it leaves it, or is no path."""
    whole = os.path.normpath(posixpath.join(folder, path)) if "://" not in path and "${" not in path else ".."
    return None if whole.startswith(("..", "/")) else "" if whole == "." else whole


def _places(folder: str, stage: dict[str, object], key: str) -> list[str]:
    """The paths of a stage's list, whose items may be mappings of a path to its options, from the repository's top."""
    given = stage.get(key)
    items = [
        next(iter(item), None) if isinstance(item, dict) else item
        for item in (given if isinstance(given, list) else ())
    ]
    base = _within(folder, str(stage.get("wdir", ""))) or ""
    named = [item for item in items if isinstance(item, str) and item.isprintable() and "\\" not in item]
    return [place for item in named if (place := _within(base, item))]


def _mapping(value: object) -> dict[str, object]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}
