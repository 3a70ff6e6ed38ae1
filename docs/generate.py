"""Writes the reference pages from the code: `python docs/generate.py`. A test fails while a page differs."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import msgspec
import yaml

from mlci import errors
from mlci.cli import COMMANDS, cli
from mlci.config.file import json_schema
from mlci.config.tables import GateTable, RuleTable
from mlci.core import documents, release
from mlci.core.documents import Rule
from mlci.core.metric import HIGHER, LOWER, PHRASES
from mlci.core.threshold import choose, in_words, judge_change, judge_value
from mlci.process import _CI_PREFIXES, _CI_VARIABLES, _MAY_PASS

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/reference"
NOTE = "<!-- Written by docs/generate.py; change the code, then run it. -->\n"


def commands() -> str:
    """Every command's help text."""
    parts = ["# Commands\n", NOTE]
    for path, command in _walk(cli, "mlci"):
        context = click.Context(command, info_name=path, max_content_width=96, terminal_width=96)
        parts.append(f"## `{path}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def _walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        names = list(COMMANDS) if command is cli else list(command.commands)
        for name in names:
            found = command.get_command(click.Context(command), name)
            if found is not None:
                yield from _walk(found, f"{path} {name}")


def configuration() -> str:
    """Every table of mlci.toml and its keys."""
    schema = json.loads(json_schema())
    tables = schema["$defs"]
    named = {
        "ConfigFile": ("Top level", "`mlci.toml`, or `[tool.mlci]` in `pyproject.toml`; both is an error."),
        "RunTable": ("`[runs.NAME]` and `[defaults]`", "A run says one of notebook, script, command and committed."),
        "ProfileTable": ("`[profiles.NAME]`", "A run's keys, laid over every run, and the events that choose it."),
        "Only": ("`only`", "When a run is selected."),
        "Needed": ("`resources`", "What a run needs of the machine; `mlci run -j` starts no more at once than fit."),
        "MetricFile": ("A metric file with a format", "In `metrics`, in place of a path."),
        "PredictionsTable": (
            "`predictions` of a run",
            "A path, or this table; see [how to compare predictions](../how-to/predictions.md).",
        ),
        "RuleTable": ('`[metrics."PATTERN"]` and `[runs.NAME.rules."PATTERN"]`', RULES),
        "GateTable": ("`[gate]`", "What blocks."),
        "CostTable": ("`[cost]`", COST),
        "ReportTable": ("`[report]`", "What is posted on GitHub, and how patiently."),
        "BaselineTable": ("`[baseline]`", "What runs are compared with."),
        "ModelTable": ("`[models.NAME]`", "Models that are released; without any, each run with artifacts is one."),
        "VerifyTable": ("`verify` of a model", "How it is proved that production predicts what the lab did."),
        "TargetTable": (
            "`[targets.NAME]`",
            "Where models are deployed; see [targets](targets.md) for each kind's options.",
        ),
        "ArtifactsTable": ("`[artifacts]`", "Where artifacts are kept, by content, until they are released."),
        "MonitorTable": ("`[monitor.NAME]`", "Watches on deployed models; see [how to monitor](../how-to/monitor.md)."),
    }
    parts = ["# Configuration\n", NOTE, INTRODUCTION]
    shown = set(tables["RunTable"]["properties"])
    for name, (title, text) in named.items():
        rows = tables[name]["properties"]
        if name == "ProfileTable":
            rows = {key: value for key, value in rows.items() if key not in shown or key == "events"}
        parts.append(f"## {title}\n\n{text}\n\n| key | type | default | |\n|---|---|---|---|\n" + _rows(rows))
    return "\n".join(parts)


INTRODUCTION = """\
Keys are kebab-case; an unknown key is an error that names the nearest one. A flag beats an `MLCI_*` variable, that the
file, that the default. Later tables lie over earlier ones: `[defaults]`, `[runs.NAME]`, `[profiles.NAME]`, flags;
`parameters` and `env` are laid over key by key. `mlci config` shows every effective value and where it was written.
An editor that knows JSON Schema completes and checks the file with `schema/mlci.schema.json`.

Notebooks, scripts, `inputs` and `cwd` are relative to the configuration; `metrics`, `artifacts`, `plots`,
`predictions` and `checkpoint` to the run's working directory. Names of runs and profiles match
`[A-Za-z0-9][A-Za-z0-9._-]{0,63}` without `..`; of models letters, digits, `-` and `_`. Durations are such as `"90s"`
and `"1h30m"`, sizes such as `"512K"` and `"8G"`, in steps of 1024.
"""
COST = """\
Prices; without any no cost is said. An execution costs its CPU hours times `cpu-hour`, and the hours that it took times
the GPUs that it asks for (`resources`) times `gpu-hour`. The sum over seeds stands in record and report."""
RULES = """\
A pattern is matched with `fnmatch` against the metric's name. An exact pattern beats a glob, then the one with more
literal characters; rules do not merge. A run's own rules are tried before those of `[metrics]`."""


def _rows(properties: dict[str, Any]) -> str:
    lines = []
    for key, value in properties.items():
        default = value.get("default")
        shown = "" if default in (None, {}, [], ()) else f"`{json.dumps(default)}`"
        said = str(value.get("description", "")).replace("|", "\\|")
        lines.append(f"| `{key}` | {_type(value)} | {shown} | {said} |\n")
    return "".join(lines)


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return "table"
    if "enum" in value:
        return ", ".join(f"`{json.dumps(item)}`" for item in value["enum"] if item is not None)
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_type(item) for item in value["anyOf"] if item != {"type": "null"}))
    kind = value.get("type")
    words: dict[str, str] = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "table"}
    if kind == "array":
        return f"list of {_type(value.get('items', {}))}" if value.get("items") else "list"
    if isinstance(kind, list):
        return " or ".join(words.get(str(item), str(item)) for item in kind if item != "null")
    return words.get(str(kind), str(kind or "anything"))


def action() -> str:
    """Every action's inputs and outputs."""
    parts = ["# The actions\n", NOTE, ACTIONS]
    for path in (ROOT / "action.yml", *sorted(ROOT.glob("*/action.yml"))):
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        parts.append(f"## `{'/'.join(['OWNER/mlci', *path.relative_to(ROOT).parts[:-1]])}`\n")
        parts.append(f"{manifest['description']}\n")
        parts.append(
            "| input | default | |\n|---|---|---|\n"
            + "".join(
                f"| `{name}` | {_default(item)} | {item['description']} |\n"
                for name, item in manifest["inputs"].items()
            )
        )
        parts.append(
            "| output | |\n|---|---|\n"
            + "".join(f"| `{name}` | {item['description']} |\n" for name, item in manifest["outputs"].items())
        )
    return "\n".join(parts)


ACTIONS = """\
All of them install mlci by hash, apart from the job's Python, and become the command. The one at the top runs any
command; those in folders run the command that they are named after, and so say which inputs it has.
`examples/workflows` has workflows to copy. The variable `MLCI_EXTRAS`, such as `s3`, names extras of mlci to install.
An input that is left empty leaves whatever [variable](environment.md) the workflow has set.
"""


def _default(item: dict[str, Any]) -> str:
    return f"`{item['default']}`" if item.get("default") else ""


def error_page() -> str:
    """Every kind of error with its exit code."""
    found = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, errors.MlciError)]
    kinds = sorted(
        (item for item in found if item is not errors.MlciError), key=lambda item: (item.exit_code, item.slug)
    )
    rows = "".join(f"| {item.exit_code} | {item.slug} | {inspect.getdoc(item)} |\n" for item in kinds)
    return f"# Errors and exit codes\n\n{NOTE}\n{ERRORS}\n| exit | error | |\n|---|---|---|\n{rows}"


ERRORS = """\
An expected failure is one line on stderr, and a hint where there is something to do. Exit 0 is success; exit 1 is a bug
of mlci's, with a traceback to report. `compare` exits 0 whatever the verdict: `gate` decides. `ci` exits 4 if a
selected run did not succeed, else as `gate`.
"""


def directions() -> str:
    """The words from which a metric's direction is inferred."""
    higher, lower = (", ".join(f"`{word}`" for word in sorted(words)) for words in (HIGHER, LOWER))
    phrases = ", ".join(f"`{' '.join(words)}` ({direction})" for words, direction in sorted(PHRASES.items()))
    words = f"Higher is better: {higher}.\n\nLower is better: {lower}.\n\n{PAIRS} {phrases}.\n"
    return f"# Directions\n\n{NOTE}\n{DIRECTIONS}\n{words}"


PAIRS = "Words that mean something else together, and are looked for first:"
DIRECTIONS = """\
Whether more of a metric is better is said by its rule (`direction`), else by `log_metric(..., direction=...)`, else by
the words of its name; of several words the last one decides, and `neg` turns it over. A metric whose name says nothing
is reported, and no `max-regression` passes or fails it.
"""


def rules() -> str:
    """The keys of a rule, and what rules make of values: computed by the gate's own functions."""
    keys = json.loads(json_schema())["$defs"]
    among = ", ".join(f"`{rule.pattern}`" for rule in PATTERNS)
    chosen = [rule.pattern for rule in [choose([PATTERNS], "val_accuracy")] if rule]
    return "\n".join(
        [
            "# Rules\n",
            NOTE,
            RULES_PAGE,
            "## Keys\n\n| key | type | default | |\n|---|---|---|---|\n"
            + _rows(keys[RuleTable.__name__]["properties"]),
            CHOICE,
            f"Of the rules {among} that of `val_accuracy` is `{''.join(chosen)}`.\n",
            EXAMPLES,
            "| rule | in words | direction | baseline | value | result |\n|---|---|---|---|---|---|\n"
            + "".join(_judged(*example) for example in JUDGED),
            "## What blocks: `[gate]`\n\n| key | type | default | |\n|---|---|---|---|\n"
            + _rows(keys[GateTable.__name__]["properties"]),
        ]
    )


def _judged(rule: Rule, direction: documents.Direction | None, baseline: float, value: float) -> str:
    """One row: what a rule makes of two point values."""
    given = {
        name: item
        for name, item in msgspec.structs.asdict(rule).items()
        if name != "pattern" and item not in (None, False)
    }
    written = ", ".join(f"{name.replace('_', '-')} = {json.dumps(item)}" for name, item in given.items())
    result, reason = judge_change(rule, direction, baseline, value)
    against = judge_value(rule, value)
    if against:
        result, reason = "fail", "; ".join([*against, *([reason] if result == "fail" and reason else [])])
    said = f"{result}: {reason}" if reason else result
    columns = f"`{written}`", in_words(rule, direction), direction or "not known", f"{baseline:g}", f"{value:g}", said
    return f"| {' | '.join(columns)} |\n"


PATTERNS = [Rule(pattern="*"), Rule(pattern="*accuracy"), Rule(pattern="val_*")]
JUDGED: list[tuple[Rule, documents.Direction | None, float, float]] = [
    (Rule(pattern="*", max_regression=0.01), "higher", 0.9, 0.895),
    (Rule(pattern="*", max_regression=0.01), "higher", 0.9, 0.88),
    (Rule(pattern="*", max_regression="10%"), "lower", 0.5, 0.56),
    (Rule(pattern="*", max_regression="2%"), "lower", 0.0, 0.1),
    (Rule(pattern="*", max_regression=0.01), None, 0.9, 0.8),
    (Rule(pattern="*", max_drop=5), None, 100, 94),
    (Rule(pattern="*", max_increase=5), None, 100, 94),
    (Rule(pattern="*", min=0.85), "higher", 0.8, 0.84),
    (Rule(pattern="*", max_regression=0.05, min=0.85), "higher", 0.9, 0.84),
]
RULES_PAGE = """\
A rule is a table `[metrics."PATTERN"]`, or `[runs.NAME.rules."PATTERN"]` for one run.
[How to set them](../how-to/rules.md), [how a change is judged](../explanation/statistics.md).
"""
CHOICE = """\
Tolerances are numbers of at least 0 in the metric's unit, or percentages of the baseline's magnitude. `maximize` and
`minimize` are other words for `higher` and `lower`. Where no `direction` is given it is that of `log_metric` or of the
[name](directions.md).

## Which rule

A metric has one rule or none. A run's own rules are tried before those of `[metrics]`; of those that match, with
`fnmatch`, an exact pattern beats a glob, then the one with more literal characters. Rules do not merge. A rule is of
the whole; a slice has those under `slices` only.
"""
EXAMPLES = """\
## What a rule makes of two values

Where nothing is known of a metric's noise values are compared as they are:
"""


ROOTS: dict[str, tuple[type[documents.Document], str]] = {
    "run.json": (documents.RunsDocument, "`mlci run`"),
    "record.json": (documents.RecordsDocument, "`mlci record`"),
    "comparison.json": (documents.Comparison, "`mlci compare`"),
    "release.json": (release.Release, "`mlci release`"),
    "deployment.json": (release.Deployment, "`mlci deploy`, `promote`, `rollback`"),
    "verification.json": (release.Verification, "`mlci verify`"),
}


def document_page() -> str:
    """Every type of the documents, its fields, and what the code says of them."""
    rows = "".join(
        f"| `{file}` | [{kind.__name__}](#{kind.__name__.lower()}) | {maker} "
        f"| [{_schema_path(file).name}](../../{_schema_path(file).relative_to(ROOT).as_posix()}) |\n"
        for file, (kind, maker) in ROOTS.items()
    )
    words = "".join(
        f"| {name} | {', '.join(f'`{word}`' for word in get_args(item))} |\n"
        for module in (documents, release)
        for name, item in vars(module).items()
        if get_origin(item) is Literal
    )
    types = list(dict.fromkeys(found for kind, _ in ROOTS.values() for found in _types_of(kind)))
    return "\n".join(
        [
            "# Documents in `.mlci`\n",
            NOTE,
            DOCUMENTS.replace("FORMAT", str(documents.FORMAT)),
            f"| file | type | written by | JSON Schema |\n|---|---|---|---|\n{rows}",
            f"Words that some fields are one of:\n\n| type | words |\n|---|---|\n{words}",
            *(
                f"## {kind.__name__}\n\n{_said_of(kind)}\n\n| field | type | default | |\n|---|---|---|---|\n"
                + "".join(_fields(kind, {found.__name__ for found in types}))
                for kind in types
            ),
        ]
    )


DOCUMENTS = """\
JSON, written whole or not at all. `format` is FORMAT; a newer one is refused by name, and so is a field that is not
listed here. Numbers that are not finite are written `"NaN"`, `"Infinity"` and `"-Infinity"`. `made_from` and `current`
hold the sha256 of what a document was made from; the next step refuses another.
"""


def _types_of(kind: type[documents.Document]) -> Iterator[type[documents.Document]]:
    """A type and those that its fields name."""
    yield kind
    for field in msgspec.structs.fields(kind):
        for found in _documents_in(field.type):
            yield from _types_of(found)


def _documents_in(annotation: Any) -> Iterator[type[documents.Document]]:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, documents.Document):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _documents_in(argument)


def _said_of(kind: type[documents.Document]) -> str:
    return (inspect.getdoc(kind) or "").replace("\n", " ").replace("  ", "\n\n")


def _fields(kind: type[documents.Document], linked: set[str]) -> Iterator[str]:
    """One row a field; what is said of it is the comment beside or above it."""
    lines = inspect.getsource(kind).splitlines()
    tree = ast.parse("\n".join(lines))
    for node in (item for item in ast.walk(tree) if isinstance(item, ast.AnnAssign)):
        beside = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")[2]
        above: list[str] = []
        for line in reversed(lines[: node.lineno - 1]):
            if not line.strip().startswith("# "):
                break
            above.insert(0, line.strip()[2:])
        annotation = re.sub(r"\w+", _linked(linked), ast.unparse(node.annotation).replace("|", "or"))
        default = f"`{ast.unparse(node.value)}`" if node.value and ast.unparse(node.value) != "None" else ""
        said = (beside or " ".join(above)).replace("|", "\\|")
        yield f"| `{ast.unparse(node.target)}` | {annotation} | {default} | {said} |\n"


def _linked(linked: set[str]) -> Any:  # noqa: ANN401 - what `re.sub` takes
    return lambda match: f"[{match[0]}](#{match[0].lower()})" if match[0] in linked else match[0]


def _schema_path(file: str) -> Path:
    return ROOT / "schema" / file.replace(".json", ".schema.json")


def document_schemas() -> dict[Path, str]:
    """The JSON Schema of every document, with the spelling of numbers that are not finite."""
    return {
        _schema_path(file): json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": f".mlci/{file}",
                **_with_non_finite(msgspec.json.schema(kind)),
            },
            indent=2,
        )
        + "\n"
        for file, (kind, _) in ROOTS.items()
    }


def _with_non_finite(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(schema, dict):
        if schema == {"type": "number"}:
            return {"anyOf": [schema, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
        return {key: item if key == "default" else _with_non_finite(item) for key, item in schema.items()}
    return [_with_non_finite(item) for item in schema] if isinstance(schema, list) else schema


def environment() -> str:
    """Every variable that mlci reads, sets or withholds."""
    options: dict[tuple[str, str], list[str]] = {}
    for path, command in _walk(cli, "mlci"):
        for option in command.params:
            if isinstance(option, click.Option) and isinstance(option.envvar, str):
                options.setdefault((option.envvar, max(option.opts, key=len)), []).append(f"`{path}`")
    rows = "".join(
        f"| `{variable}` | `{option}` | {', '.join(commands)} |\n"
        for (variable, option), commands in sorted(options.items())
    )
    withheld = ", ".join(f"`{name}`" for name in (*_CI_VARIABLES, *(f"{prefix}*" for prefix in _CI_PREFIXES)))
    passed = " and ".join(f"`{name}`" for name in _MAY_PASS)
    return (
        f"# Environment variables\n\n{NOTE}\n{ENVIRONMENT}\n"
        f"## In place of an option\n\n| variable | option | of |\n|---|---|---|\n{rows}\n"
        f"{VARIABLES}\n"
        f"## Withheld\n\nNo run sees {withheld}. With `pass-env` a run gets {passed}, and no other of them.\n"
    )


ENVIRONMENT = """\
A flag beats a variable, that the configuration, that the default. Beside those below mlci reads what a runner of GitHub
Actions sets (`GITHUB_*`, `RUNNER_*`, `CI`).
"""
VARIABLES = """\
## Read

| variable | what for |
|---|---|
| `MLCI_WORKSPACE` | The folder in place of `.mlci`, relative to the working directory. |
| `MLCI_REUSE_DIR` | Where [results to reuse](../how-to/reuse.md) lie, relative to the configuration. |
| `MLCI_REUSE_MAX` | How large that folder may become, such as `20G`. |
| `MLCI_EXTRAS` | The actions only: extras of mlci to install, separated by blanks, such as `s3 gpu`. |
| `MLCI_GITHUB_TOKEN`, `GITHUB_TOKEN` | The token for GitHub; the first that is set. |
| `MLCI_SIGNING_KEY`, `MLCI_SIGNING_KEY_PASSWORD` | The file of the private key that signs releases, and its password. |
| `MLCI_OCI_USERNAME`, `MLCI_OCI_PASSWORD` | The account at a registry, for targets of the kind `oci`. |
| `MLCI_WEBHOOK_SECRET` | The secret that signs requests, for targets of the kind `webhook`. |
| `MLFLOW_TRACKING_USERNAME`, `MLFLOW_TRACKING_PASSWORD`, `MLFLOW_TRACKING_TOKEN` | The account at a \
[tracking server](../how-to/trained-elsewhere.md), sent to that server only. |
| `HF_TOKEN` | The token for targets of the kind `huggingface`. |
| `VIRTUAL_ENV`, `PATH` | Where the interpreter of runs is looked for, unless it is named. |
| `CUDA_VISIBLE_DEVICES` | The GPUs that runs may be given; default: all. |

## Set for runs

| variable | for | value |
|---|---|---|
| `MLCI_RUN` | every run | Its name. |
| `MLCI_PARAMETERS` | every run | Its parameters as JSON, the seed among them. |
| `MLCI_SEED` | runs with seeds | The seed; else not set. |
| `MLCI_METRICS` | every run | The file that `log_metric` appends to. |
| `MLCI_RESUME` | runs with `checkpoint` | `1` where there is a [checkpoint](../how-to/long-runs.md); else not set. |
| `MLCI_EXECUTION` | runs with metrics on a [tracking server](../how-to/trained-elsewhere.md) | A name of this \
execution that no other has. |
| `MLFLOW_RUN_CONTEXT` | likewise | By which MLflow tags its runs with that name, beside the tags that it held. |
| `PYTHONPATH` | every run | The folder of `mlci_log`, then what it was. |
| `PYTHONUNBUFFERED` | every run | `1`, unless the run's `env` says otherwise. |
| `CUDA_VISIBLE_DEVICES` | runs with `resources.gpu` | The GPUs that it was given, unless its `env` says otherwise. |
| `MLCI_OBSERVE` | runs with `reuse` | mlci's own: where it is written down what the run reads and writes. |

The following are set only where they are set neither by you nor by the run's `env`:

| variable | for | value |
|---|---|---|
| `PYTHONFAULTHANDLER` | every run | `1`: a crash, and a deadline, show where every thread was. |
| `OMP_NUM_THREADS`, `OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS`, `NUMEXPR_NUM_THREADS` | runs beside others | \
Its [share of the cores](../how-to/run-faster.md#several-at-once). |
| the same | `deterministic` | `1` |
| `PYTHONHASHSEED` | `deterministic` | `0` |
| `CUBLAS_WORKSPACE_CONFIG` | `deterministic` | `:4096:8` |
| `MPLBACKEND` | `deterministic` scripts and commands | `Agg` |

What a model's `predict`, a monitor's run and a target's command are told:

| variable | for | value |
|---|---|---|
| `MLCI_GOLDEN`, `MLCI_PREDICTIONS` | `predict` | The file to read, and the file to write. |
| `MLCI_MODEL`, `MLCI_VERSION` | `predict`, monitors, commands of targets | Which model, and which version of it. |
| `MLCI_COMMIT` | monitors | The commit of that version. |
| `MLCI_DIGEST`, `MLCI_FILES`, `MLCI_TARGET_ACTION`, `MLCI_TARGET_STATUS`, `MLCI_EXPECTED_VERSION`, \
`MLCI_EXPECTED_DIGEST` | commands of targets | [What to do, and with what](targets.md). |
"""


def pages() -> dict[Path, str]:
    """Every generated page."""
    return {
        PAGES / "commands.md": commands(),
        PAGES / "configuration.md": configuration(),
        PAGES / "action.md": action(),
        PAGES / "environment.md": environment(),
        PAGES / "errors.md": error_page(),
        PAGES / "directions.md": directions(),
        PAGES / "rules.md": rules(),
        PAGES / "documents.md": document_page(),
        ROOT / "schema/mlci.schema.json": json_schema().decode(),
        **document_schemas(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
