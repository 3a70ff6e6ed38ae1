"""The text of `mlci.toml`: what was found as tables, with the words that a reader needs to change them."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from mlci.adopting.choosing import Adopted, Chosen
from mlci.core.metric import infer_direction

_MAX_RULES = 8
_SEEDS = [0, 1, 2]
_WIDTH = 100
_TOLERANCE = 'max-regression = "2%"'
_RULES = """\
# What the metrics must satisfy. "*" stands for anything, so that test.{example} counts too. `mlci noise` measures how
# much each varies by itself, and which tolerance fits; `min`, `max` and `required` are rules as well.
"""
_GATE = """\
[gate]
mode = "report"             # for a start nothing blocks; "enforce" once you trust the numbers
"""


def configuration(project: Adopted, *, branch: str, releases: bool = False) -> str:
    """The file of one project.

    Args:
        project: What to run.
        branch: Whose records are baselines.
        releases: Whether its models are to be released.
    """
    pieces = [
        "# What runs in CI, and what its metrics must satisfy. Try it: `mlci plan`, then `mlci ci`.\n"
        "# Everything that can stand here: docs/reference/configuration.md of mlci.\n"
    ]
    if project.id != "main":
        pieces.append(f"id = {_value(project.id)}  # of this project's comment and status, mlci/{project.id}\n")
    interpreter = project.dependencies.interpreter(project.folder)
    pieces.append(
        '[defaults]\ntimeout = "30m"             # of one run with one seed; GitHub ends a job after 6 hours\n'
        + (f"python = {_value(interpreter)}\n" if interpreter else "")
    )
    pieces += [run_table(run) for run in project.runs]
    pieces.append("\n".join(_rules(project)).rstrip() + "\n")
    pieces.append(_GATE)
    pieces.append(f"[baseline]\nbranch = {_value(branch)}\n")
    if releases:
        pieces.append("\n".join(_models(project)) + "\n")
    return "\n".join(pieces)


def run_table(run: Chosen) -> str:
    """The table of one run, with what was seen in it."""
    return "\n".join(_run(run)) + "\n"


def _run(run: Chosen) -> Iterator[str]:
    item = run.candidate
    if item.favour:
        yield f"# {posixpath.basename(item.source or item.path)}: {'; '.join(item.favour)}."
    yield from (f"# {note}" for note in _notes(run))
    yield f"[runs.{run.name}]"
    what = {"committed": True, "command": list(item.command)}.get(item.kind, item.source)
    yield f"{item.kind} = {_value(what)}"
    yield from _lines(args=item.args, cwd=item.cwd, env=item.env, parameters=item.given)
    if item.parameters:
        yield f"# parameters = {_value(item.parameters)}"
    if item.seeded:
        yield f"{_padded(f'seeds = {_value(_SEEDS)}')}# once a seed: three of them tell noise from change"
    if not item.metrics:
        yield '# metrics = ["metrics.json"]  # left out: what frameworks write in their usual places is read'
    yield from _lines(
        metrics=item.metrics, artifacts=item.artifacts, plots=item.plots, inputs=item.inputs, needs=run.needs
    )


def _lines(**keys: Any) -> Iterator[str]:  # noqa: ANN401 - whatever a table holds
    """The keys that say something."""
    yield from (f"{key} = {_value(value)}" for key, value in keys.items() if value)


def _notes(run: Chosen) -> Iterator[str]:
    item = run.candidate
    yield from item.notes
    if item.language != "python":
        yield f"It runs in the kernel {item.kernel or item.language!r}, which must be installed in CI as well."
    if run.lacking:
        yield f"It reads {', '.join(run.lacking[:3])}, which git does not hold: fetch it in the workflow's `install`."
    for word in item.against:
        if word.startswith("does not start"):
            yield f"It {word}: say them in args."


def _rules(project: Adopted) -> Iterator[str]:
    seen = dict.fromkeys(name for run in project.runs for name in run.candidate.names)
    # The rule of "*loss" is that of train_loss as well.
    names = [name for name in seen if not any(name != end and name.endswith(end) for end in seen)][:_MAX_RULES]
    yield _RULES.format(example=names[0] if names else "accuracy").rstrip()
    for name in names:
        yield f"[metrics.{_value('*' + name)}]"
        yield f"{_padded(_TOLERANCE)}# {infer_direction(name)} is better: at most 2% worse than the baseline"
        yield ""
    if not names:
        yield '# [metrics."*accuracy"]\n# max-regression = 0.01      # may fall by at most 0.01\n# min = 0.85'


def _models(project: Adopted) -> Iterator[str]:
    """A model a run that saves one; none stands for how to say it."""
    saving = [run for run in project.runs if run.candidate.artifacts]
    yield "# What `mlci release` makes versions of, and where `mlci deploy` puts them: docs/how-to/release.md of mlci."
    for run in saving:
        yield f"[models.{run.name}]"
        yield f"run = {_value(run.name)}\n"
    if not saving:
        yield '# [models.NAME]\n# run = "..."                # one that has artifacts'
    yield '# [targets.production]\n# kind = "folder"\n# stage = "production"'


def _padded(text: str) -> str:
    return f"{text:<28}"


def _value(value: Any) -> str:  # noqa: ANN401 - whatever a table holds
    """A value as TOML spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        items = [_value(item) for item in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) <= _WIDTH else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    if isinstance(value, int | float):
        return repr(value)
    # JSON's escapes are TOML's, but for DEL, which no path or name of ours has.
    return json.dumps(str(value), ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else _value(name)
