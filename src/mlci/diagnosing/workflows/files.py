"""Reads workflow files as GitHub does, with the lines of what they say; whatever they hold, in bounded time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from mlci.core.finding import Finding, Level
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.permissions import NEEDS
from mlci.diagnosing.texts import text_in
from mlci.render.text import plain

FOLDER = ".github/workflows"
_MAX_BYTES = 256 * 1024
_MAX_FILES, _MAX_JOBS, _MAX_STEPS, _MAX_TEXT = 200, 128, 128, 20_000
_ACTION = re.compile(r"(?P<owner>[\w.-]+)/mlci(?:/(?P<command>\w+))?@(?P<ref>.+)")
# The workflow that does all of `mlci ci` in jobs of its own, and how long it gives the code unless told otherwise.
_CALLED = re.compile(r"[\w.-]+/mlci/\.github/workflows/check\.yml@.+")
_CALLED_MINUTES = 360
_LOCAL = re.compile(r"\./(?P<command>\w*)/?")
# Commands that run what the repository says, or what it made.
CODE = ("ci", "run", "noise", "verify", "monitor", "baseline measure", "demo")
_OTHERS = ("ci", "run", "noise", "verify", "plan", "record", "report", "gate", "accept", "config", "baseline")
_NAMES = "|".join(sorted({name.split()[0] for name in NEEDS} | set(_OTHERS)))
_SCRIPT = re.compile(rf"(?:^|[\s;&|(])(?:python3? -m )?mlci +((?:{_NAMES})\b[^\n;&|)]*)")
_TOKENS = ("GITHUB_TOKEN", "MLCI_GITHUB_TOKEN")


class Table(dict[str, Any]):
    """A mapping of a YAML file, with the lines of its keys."""

    def __init__(self, *given: Mapping[str, Any], line: int = 1) -> None:
        super().__init__(*given)
        self.line = line
        self.lines: dict[str, int] = {}


class _Loader(yaml.SafeLoader):
    """Keys as they are written: to GitHub `on` is a word, to YAML 1.1 it is true."""


def _table(loader: _Loader, node: yaml.MappingNode) -> Table:
    table = Table(line=node.start_mark.line + 1)
    for key_node, value_node in node.value:
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
        table.lines[key] = key_node.start_mark.line + 1
        table[key] = loader.construct_object(value_node, deep=True)
    return table


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _table)


@dataclass(frozen=True)
class Call:
    """One use of mlci.

    Args:
        words: The command and its arguments.
        line: Where.
        token: Whether it is given one.
        step: The step.
    """

    words: tuple[str, ...]
    line: int
    token: bool
    step: Step

    @property
    def runs_code(self) -> bool:
        """Whether it runs code of the repository, or a model."""
        if self.words[0] == "monitor":
            return "--report" not in self.words
        return self.words[0] in CODE or " ".join(self.words[:2]) in CODE

    def option(self, *names: str) -> str | None:
        """The value of an option, given as input, argument or variable."""
        short = {f"--{name}" if len(name) > 1 else f"-{name}" for name in names}
        for position, word in enumerate(self.words):
            flag, equals, value = word.partition("=")
            if flag in short:
                return value if equals else next(iter(self.words[position + 1 : position + 2]), None)
        return next(filter(None, map(self.step.said, names)), None)


@dataclass(frozen=True)
class Step:
    """A step of a job."""

    table: Table

    @property
    def line(self) -> int:
        """Where it starts."""
        return self.table.line

    @property
    def uses(self) -> str:
        """The action, or ""."""
        return text_of(self.table.get("uses"))

    @property
    def run(self) -> str:
        """The script, or ""."""
        return text_of(self.table.get("run"))

    @property
    def inputs(self) -> Table:
        """What the action is given."""
        return _mapping(self.table.get("with"))

    @property
    def env(self) -> Table:
        """Its own variables."""
        return _mapping(self.table.get("env"))

    def line_of(self, key: str) -> int:
        """Where a key of it stands."""
        return self.table.lines.get(key, self.line)

    def is_action(self, name: str) -> bool:
        """Whether it uses an action of that name, such as "actions/checkout", of any version."""
        return self.uses.partition("@")[0].lower() == name

    def said(self, key: str) -> str:
        """An input's value as a text, or ""."""
        return text_of(self.inputs.get(key))

    def says(self, key: str, value: str) -> bool:
        """Whether an input has that value, as GitHub would read it."""
        return self.said(key).lower() == value


@dataclass(frozen=True)
class Job:
    """A job of a workflow."""

    name: str
    table: Table
    workflow: Workflow

    @property
    def line(self) -> int:
        """Where it starts."""
        return self.workflow.jobs_table.lines.get(self.name, self.table.line)

    @cached_property
    def steps(self) -> list[Step]:
        """Its steps."""
        given = self.table.get("steps")
        return [Step(item) for item in given[:_MAX_STEPS] if isinstance(item, Table)] if isinstance(given, list) else []

    @cached_property
    def env(self) -> Table:
        """Its variables, the workflow's among them."""
        return Table({**self.workflow.env, **_mapping(self.table.get("env"))})

    @property
    def calls_workflow(self) -> str | None:
        """The file in this repository that it calls in place of steps, such as ".github/workflows/x.yml"."""
        used = text_of(self.table.get("uses"))
        return used.removeprefix("./") if used.startswith("./") else None

    @cached_property
    def calls(self) -> list[Call]:
        """What of mlci its steps use, or the workflow of mlci that it calls in their place."""
        if _CALLED.fullmatch(text_of(self.table.get("uses"))):
            step = Step(self.table)
            return [Call(("ci",), step.line_of("uses"), True, step)]
        return [call for step in self.steps for call in self._calls(step)]

    @property
    def uses(self) -> list[tuple[str, int]]:
        """Actions and workflows of others, and where they are named."""
        named = [step for step in (Step(self.table), *self.steps) if "@" in step.uses]
        return [(step.uses, step.line_of("uses")) for step in named]

    @property
    def minutes(self) -> object:
        """Its `timeout-minutes`, which may be anything; None where it says nothing."""
        if self.table.get("uses"):
            return Step(self.table).inputs.get("timeout-minutes", _CALLED_MINUTES)
        return self.table.get("timeout-minutes")

    @property
    def runs_code(self) -> bool:
        """Whether a step runs code of the repository through mlci."""
        return any(call.runs_code for call in self.calls)

    @property
    def permissions(self) -> tuple[Any, int] | None:
        """What `permissions:` say for it, and where; None where nothing does."""
        for table, line in ((self.table, self.line), (self.workflow.table, 1)):
            if "permissions" in table:
                return table["permissions"], table.lines.get("permissions", line)
        return None

    def _calls(self, step: Step) -> Iterator[Call]:
        found = _ACTION.fullmatch(step.uses) or (_LOCAL.fullmatch(step.uses) if self.workflow.ours else None)
        if found:
            given = step.inputs
            command = found["command"] or text_of(given.get("command")) or "ci"
            words = [command, *text_of(given.get("args")).split()]
            words += ["--from-run"] if text_of(given.get("from-run")) else []
            refused = "github-token" in given and not text_of(given["github-token"])
            yield Call(tuple(words), step.line_of("uses"), not refused, step)
        for words_of in _commands(step.run):
            held = any(name in variables for name in _TOKENS for variables in (step.env, self.env))
            yield Call(words_of, step.line_of("run"), held, step)


@cache
def _commands(script: str) -> tuple[tuple[str, ...], ...]:
    """What a script calls of mlci; of one that many steps share by an anchor, looked for once."""
    return tuple(tuple(words.split()) for words in _SCRIPT.findall(script))


@dataclass(frozen=True)
class Workflow:
    """A workflow file.

    Args:
        path: From the repository's top.
        table: What it says.
        ours: It lies in mlci's own repository, where `./` is the action.
    """

    path: str
    table: Table
    ours: bool = False

    @property
    def name(self) -> str:
        """By which `workflow_run` knows it."""
        return text_of(self.table.get("name")) or self.path

    @property
    def env(self) -> Table:
        """The variables of all its jobs."""
        return _mapping(self.table.get("env"))

    @cached_property
    def triggers(self) -> dict[str, Table]:
        """Event -> what it is narrowed to."""
        given = self.table.get("on")
        if isinstance(given, str):
            given = [given]
        if isinstance(given, list):
            given = {item: None for item in given if isinstance(item, str)}
        return {str(event): _mapping(of) for event, of in given.items()} if isinstance(given, dict) else {}

    def trigger_line(self, event: str) -> int:
        """Where an event stands."""
        return _mapping(self.table.get("on")).lines.get(event, self.table.lines.get("on", 1))

    @property
    def jobs_table(self) -> Table:
        """The jobs, by name."""
        return _mapping(self.table.get("jobs"))

    @cached_property
    def jobs(self) -> list[Job]:
        """Its jobs."""
        named = list(self.jobs_table.items())[:_MAX_JOBS]
        return [Job(name, table, self) for name, table in named if isinstance(table, Table)]


@dataclass(frozen=True)
class Unreadable:
    """A workflow file that mentions mlci and cannot be read."""

    path: str
    reason: str
    line: int | None = None


def amiss(place: Workflow | Job, what: str, level: Level, found: str, remedy: str, line: int | None) -> Finding:
    """A finding about a workflow, or one of its jobs."""
    workflow = place if isinstance(place, Workflow) else place.workflow
    job = "" if isinstance(place, Workflow) else f", job {plain(place.name, limit=80)}"
    return Finding(
        slug=f"workflow/{what}",
        level=level,
        subject=f"{workflow.path}{job}",
        found=found,
        remedy=remedy,
        file=workflow.path,
        line=line,
    )


def workflows(patient: Patient) -> list[Workflow | Unreadable]:
    """Every workflow file, read once."""
    known: list[Workflow | Unreadable] = patient.told.setdefault("workflows", [])
    if not known and patient.top is not None:
        folder = patient.top / FOLDER
        paths = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])[:_MAX_FILES]
        ours = (patient.top / "src/mlci/__init__.py").is_file() and (patient.top / "action.yml").is_file()
        known += [found for path in paths for found in [_read(path, ours=ours)] if found]
    return known


def of_mlci(patient: Patient) -> list[Workflow]:
    """Those that use mlci, themselves or by a workflow that they call."""
    readable = [item for item in workflows(patient) if isinstance(item, Workflow)]
    used = {item.path for item in readable if any(job.calls for job in item.jobs)}
    return [item for item in readable if item.path in used or any(job.calls_workflow in used for job in item.jobs)]


def _read(path: Path, *, ours: bool) -> Workflow | Unreadable | None:
    shown = f"{FOLDER}/{path.name}"
    text = text_in(path, _MAX_BYTES)
    if text is None:
        return Unreadable(shown, f"it is no text of at most {_MAX_BYTES:,} bytes")
    try:
        table = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        problem = Unreadable(shown, f"it is no YAML: {error.problem}", mark.line + 1 if mark else None)
        return problem if "mlci" in text else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return Unreadable(shown, "it is no YAML") if "mlci" in text else None
    if not isinstance(table, Table):
        return Unreadable(shown, "it is no mapping") if "mlci" in text else None
    return Workflow(shown, table, ours)


def _mapping(value: object) -> Table:
    return value if isinstance(value, Table) else Table()


def text_of(value: object) -> str:
    """What GitHub would make a text of; "" for lists and tables, which aliases can make larger than any memory."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:_MAX_TEXT] if isinstance(value, str | int | float) else ""
