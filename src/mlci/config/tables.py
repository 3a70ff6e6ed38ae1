"""The tables of `mlci.toml` as types: what is accepted, its defaults, and its JSON Schema all come from here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

NAME_PATTERN = r"^[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{0,63}$"
DURATION_PATTERN = r"^(\d+(\.\d+)?[smhd] ?)+$"
SIZE_PATTERN = r"^\d+(\.\d+)? ?([KMGT]i?)?B?$"
_SERVER = re.compile(r"https?://|\$[A-Za-z_][A-Za-z0-9_]*$")

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Duration = Annotated[str, Meta(pattern=DURATION_PATTERN, description='Such as "90s", "30m" or "1h30m".')]
Size = Annotated[str, Meta(pattern=SIZE_PATTERN, description='Such as "512K", "1.5M" or "8G", in steps of 1024.')]
Policy = Literal["pass", "warn", "fail"]
Tolerance = Annotated[
    float | str, Meta(description='A number in the unit of the metric, or "2%" of the absolute baseline.')
]


class Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True, omit_defaults=True):
    """Base of every table: kebab-case keys, closed to unknown ones."""


class SliceRuleTable(Table, frozen=True):
    """What the gate demands of the slices that a pattern names, such as "country=*"."""

    direction: Annotated[
        Literal["higher", "lower", "maximize", "minimize"] | None,
        Meta(description="Which way is better; inferred from the name if absent."),
    ] = None
    max_regression: Annotated[Tolerance | None, Meta(description="Largest allowed change in the bad direction.")] = None
    max_drop: Annotated[Tolerance | None, Meta(description="Largest allowed fall, whatever the direction.")] = None
    max_increase: Annotated[Tolerance | None, Meta(description="Largest allowed rise, whatever the direction.")] = None
    min: Annotated[float | None, Meta(description="Smallest allowed value; needs no baseline.")] = None
    max: Annotated[float | None, Meta(description="Largest allowed value; needs no baseline.")] = None
    required: Annotated[bool, Meta(description="A selected run that yields no value fails the gate.")] = False
    min_n: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Fewer seeds or examples are inconclusive.")
    ] = None


class RuleTable(SliceRuleTable, frozen=True):
    """What the gate demands of the metrics that a pattern names; of the whole, not of its slices."""

    slices: Annotated[
        dict[str, SliceRuleTable], Meta(description='Rules for slices by pattern, such as "country=*".')
    ] = {}


class MetricFile(Table, frozen=True):
    """A metric file whose format is named rather than taken from its ending, or a tracking server."""

    path: Annotated[
        str,
        Meta(
            description='Relative to the working directory; with `format = "mlflow"` also the address of a tracking '
            "server, or $NAME: the variable of the run that holds it."
        ),
    ]
    format: Annotated[
        str | None, Meta(description="A name of [formats](formats.md); by default by content, name and ending.")
    ] = None
    experiment: Annotated[
        str | None, Meta(description="On a tracking server: where the run is; by default it is sought in all.")
    ] = None

    @property
    def is_server(self) -> bool:
        """Whether it is asked, rather than read."""
        return bool(_SERVER.match(self.path))

    @property
    def as_file(self) -> MetricFile:
        """An address of MLflow's that is a place on disk, as that place."""
        for scheme, inside in (("sqlite:///", ""), ("file:", "/*/*/meta.yaml")):
            if self.path.startswith(scheme):
                path = f"{self.path.removeprefix(scheme).rstrip('/')}{inside}"
                return MetricFile(path=path, format=self.format or "mlflow")
        return self


class PredictionsTable(Table, frozen=True):
    """A file of what the model predicted for each example: CSV, or Parquet with the extra `parquet`."""

    path: Annotated[str, Meta(description="Relative to the working directory.")]
    id: Annotated[str, Meta(description="The column that names the example.")] = "id"
    label: Annotated[str, Meta(description="The column of what is true.")] = "label"
    prediction: Annotated[str, Meta(description="The column of what was predicted: a class or a number.")] = (
        "prediction"
    )
    score: Annotated[str, Meta(description="The column of the positive class's probability or score, if any.")] = (
        "score"
    )
    positive: Annotated[
        str | None, Meta(description="Which of two classes is the positive one; default: the last.")
    ] = None
    metrics: Annotated[
        tuple[str, ...],
        Meta(description="What to compute, such as accuracy, f1-macro or rmse; default: accuracy, or rmse of numbers."),
    ] = ()
    slices: Annotated[
        tuple[str, ...] | None, Meta(description="Columns whose values are slices; default: every further column.")
    ] = None


class Only(Table, frozen=True):
    """When a run is selected; every condition that is given must hold."""

    paths: Annotated[
        Literal["inputs"] | None,
        Meta(
            description="Skip while `inputs` and parameters are as in the baseline, and what it needs is skipped too."
        ),
    ] = None
    labels: Annotated[
        tuple[str, ...], Meta(description="On pull requests: at least one of these labels must be set.")
    ] = ()
    events: Annotated[tuple[str, ...], Meta(description="Events of GitHub Actions, or local.")] = ()


class Needed(Table, frozen=True):
    """What a run needs of the machine while it runs; `mlci run -j` starts no more than fit."""

    cpus: Annotated[
        float,
        Meta(
            gt=0,
            description="Cores that it keeps busy. Beside other runs its numerical libraries start so many threads, or "
            "its share of the cores if that is more, unless OMP_NUM_THREADS and its like are set.",
        ),
    ] = 1
    memory: Annotated[
        Size | None, Meta(description="What it takes at its peak; default: the peak of its last record.")
    ] = None
    gpu: Annotated[float, Meta(ge=0, description="GPUs; a fraction shares one.")] = 0
    exclusive: Annotated[bool, Meta(description="Nothing else runs meanwhile.")] = False


class RunTable(Table, frozen=True):
    """One run, or what all runs share in `[defaults]` and `[profiles.NAME]`."""

    notebook: Annotated[
        str | None,
        Meta(description="An .ipynb or percent .py, through papermill; a glob makes one run a file."),
    ] = None
    script: Annotated[str | None, Meta(description="A Python file, run as a process by the run's interpreter.")] = None
    command: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1)] | None, Meta(description="Any process: program and arguments.")
    ] = None
    committed: Annotated[
        bool,
        Meta(description="Nothing is run: its `metrics` are files that git holds, or the `dvc.yaml` that lists them."),
    ] = False
    args: Annotated[tuple[str, ...], Meta(description="Arguments of `script`; {name} stands for a parameter.")] = ()
    python: Annotated[str | None, Meta(description="The user's interpreter, or an environment's folder.")] = None
    timeout: Annotated[Duration | None, Meta(description="Wall-clock limit of one execution.")] = None
    cell_timeout: Annotated[Duration | None, Meta(description="Wall-clock limit of one cell of a notebook.")] = None
    silence_timeout: Annotated[
        Duration | None, Meta(description="Limit of neither output nor CPU time: a hang that the others find late.")
    ] = None
    max_cell_output: Annotated[
        Size, Meta(description="Of one cell's output the notebook keeps head and tail; all of it lies beside it.")
    ] = "1M"
    max_output: Annotated[Size, Meta(description="The same for all outputs of a notebook, or for a log.")] = "64M"
    deterministic: Annotated[
        bool,
        Meta(
            description="Fix PYTHONHASHSEED, one thread for numerical libraries, MPLBACKEND=Agg; in a notebook, in "
            "place of the last, the seeds of random, numpy and torch when it imports them."
        ),
    ] = False
    preload: Annotated[
        tuple[str, ...],
        Meta(description="Modules that the processes of notebooks are forked with, already imported (Linux)."),
    ] = ()
    resources: Annotated[Needed, Meta(description="What it needs of the machine while it runs.")] = Needed()
    reuse: Annotated[
        bool,
        Meta(description="Take the last result while code, parameters, environment and `inputs` are the same."),
    ] = False
    checkpoint: Annotated[
        str | None,
        Meta(
            description="A folder that is kept when the run does not succeed; the next attempt finds it again, and "
            "MLCI_RESUME=1. Relative to the working directory."
        ),
    ] = None
    secrets: Annotated[
        tuple[str, ...],
        Meta(description="Variables and parameters whose values are never stored or printed, beside those so named."),
    ] = ()
    cwd: Annotated[
        str | None,
        Meta(description="Working directory; default: the notebook's folder, else the configuration's."),
    ] = None
    parameters: Annotated[
        dict[str, Any],
        Meta(description="Given to the notebook's parameters cell, {name} placeholders and MLCI_PARAMETERS."),
    ] = {}
    seeds: Annotated[tuple[int, ...], Meta(description="Run once a seed, given as the parameter `seed`.")] = ()
    metrics: Annotated[
        tuple[str | MetricFile, ...] | None,
        Meta(
            description="Metric files, relative to the working directory; `auto` reads those of known frameworks "
            "that lie where these write them. Default: `auto`, as far as no other run can have written them."
        ),
    ] = None
    artifacts: Annotated[
        tuple[str, ...],
        Meta(description="Files that the run must write anew, relative to the working directory."),
    ] = ()
    plots: Annotated[
        tuple[str, ...], Meta(description="Pictures that the run writes, relative to the working directory.")
    ] = ()
    predictions: Annotated[
        str | PredictionsTable | None,
        Meta(
            description="A CSV or Parquet file of id, label, prediction or score, and slices: metrics are computed "
            "from it, and compared example by example."
        ),
    ] = None
    inputs: Annotated[
        tuple[str, ...], Meta(description="Code and data that the run reads, relative to the configuration.")
    ] = ()
    needs: Annotated[tuple[str, ...], Meta(description="Runs that must succeed first.")] = ()
    only: Annotated[Only, Meta(description="When the run is selected; by default always.")] = Only()
    env: Annotated[dict[str, str], Meta(description="Environment variables; {name} stands for a parameter.")] = {}
    runs_on: Annotated[
        str | tuple[str, ...] | None,
        Meta(description="The runner for a matrix of `mlci plan --json`: a label or several; default ubuntu-latest."),
    ] = None
    pass_env: Annotated[
        tuple[str, ...],
        Meta(description="Withheld variables that this run may see (OIDC request variables)."),
    ] = ()
    rules: Annotated[
        dict[str, RuleTable],
        Meta(description="Rules by metric pattern; tried before those of [metrics]."),
    ] = {}

    @property
    def metric_sources(self) -> tuple[MetricFile, ...]:
        """`metrics` with plain paths spelled out; none where it says nothing."""
        return tuple(MetricFile(path=item) if isinstance(item, str) else item for item in self.metrics or ())

    @property
    def metric_files(self) -> tuple[MetricFile, ...]:
        """Those that lie on disk."""
        return tuple(item.as_file for item in self.metric_sources if not item.is_server)

    @property
    def metric_servers(self) -> tuple[MetricFile, ...]:
        """Those that a tracking server is asked for."""
        return tuple(item for item in self.metric_sources if item.is_server)

    @property
    def predictions_file(self) -> PredictionsTable | None:
        """`predictions` with a plain path spelled out."""
        return PredictionsTable(path=self.predictions) if isinstance(self.predictions, str) else self.predictions


class ProfileTable(RunTable, frozen=True):
    """A named variant of all runs, such as a quick one for pull requests."""

    events: Annotated[tuple[str, ...], Meta(description="Events that choose this profile.")] = ()


class GateTable(Table, frozen=True):
    """What blocks."""

    mode: Annotated[Literal["enforce", "report"], Meta(description='"report" never blocks.')] = "enforce"
    on_inconclusive: Annotated[Policy, Meta(description="What a rule is that cannot be decided.")] = "warn"
    on_no_baseline: Annotated[Policy, Meta(description="What a rule is that has nothing to compare with.")] = "warn"
    on_skipped: Annotated[Policy, Meta(description="What a run is that selection left out.")] = "pass"


class BaselineTable(Table, frozen=True):
    """What runs are compared with, and where that is kept."""

    branch: Annotated[str, Meta(description="The branch whose records are baselines.")] = "main"
    store: Annotated[str, Meta(description="git-branch, folder, or a store of your own.")] = "git-branch"
    missing: Annotated[
        Literal["report", "run", "fail"],
        Meta(description="`run`: measure the merge base in the same job; `fail`: a run without a baseline blocks."),
    ] = "report"
    limit: Annotated[Duration, Meta(description='How long `missing = "run"` may take in all.')] = "30m"
    carry: Annotated[
        tuple[str, ...],
        Meta(description="What git does not hold and the merge base needs too, such as data: linked, not copied."),
    ] = ()
    comparable: Annotated[
        Literal["report", "strict"],
        Meta(description="`strict`: where interpreter, libraries, GPU, data or parameters differ, no rule is decided."),
    ] = "report"
    history: Annotated[
        int, Meta(ge=0, le=200, description="Earlier records that tell noise where nothing else does; 0: none.")
    ] = 20
    keep: Annotated[Duration | None, Meta(description="Records older than this go with `mlci baseline prune`.")] = None
    keep_predictions: Annotated[
        Size, Meta(description="Predictions above this size, compressed, are kept as a digest only.")
    ] = "16M"
    keep_plots: Annotated[
        Size,
        Meta(
            description='Plots above this size are kept as a digest only, so that reports cannot show them; "0": all.'
        ),
    ] = "2MB"
    also: Annotated[
        str | None, Meta(description="A stage whose deployed version is shown beside the baseline; it gates nothing.")
    ] = None
    also_gates: Annotated[bool, Meta(description="What is worse than that version fails, too.")] = False
    options: Annotated[dict[str, Any], Meta(description="Options of the store, such as `path` of a folder.")] = {}


class CostTable(Table, frozen=True):
    """What computing costs, so that record and report can say it."""

    cpu_hour: Annotated[float, Meta(ge=0, description="Price of an hour of CPU time.")] = 0.0
    gpu_hour: Annotated[float, Meta(ge=0, description="Price of an hour of one GPU that a run has asked for.")] = 0.0
    currency: Annotated[str, Meta(max_length=8, description="How amounts are labelled.")] = "USD"


class ReportTable(Table, frozen=True):
    """What is posted on GitHub."""

    comment: Annotated[
        Literal["always", "on-change", "on-failure", "never"],
        Meta(description="When a pull request gets its comment; one that is there is kept up to date."),
    ] = "always"
    pictures: Annotated[
        Literal["auto", "text"],
        Meta(
            description="`auto`: the comment shows charts and plots from the data branch, where the token may write "
            "there and matplotlib is installed; `text`: never."
        ),
    ] = "auto"
    status: Annotated[bool, Meta(description="Set the commit status `mlci/ID`, for branch rules to require.")] = True
    check_run: Annotated[
        bool, Meta(description="Add a check run too: neutral where the gate is undecided; needs checks: write.")
    ] = False
    on_forbidden: Annotated[
        Literal["warn", "fail"],
        Meta(description="What a missing permission is: a warning, with the report in the job summary, or exit 6."),
    ] = "warn"
    deadline: Annotated[Duration, Meta(description="For all requests to GitHub together, waits included.")] = "2m"
