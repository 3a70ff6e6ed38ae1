"""Turns a run and a seed into a job, and tells which parameters nothing in the run would receive."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlci import process, userlib
from mlci.config import Config, Run, seconds, size
from mlci.core.redaction import Redactor, find_secrets
from mlci.errors import UsageError
from mlci.plugins.executors.interface import Deadlines, Job, OutputLimits
from mlci.plugins.readers import mlflow_tracking

SEED = "seed"
METRICS = "metrics.jsonl"
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_SOURCE = 2 * 1024 * 1024
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def unreceived(config: Config, run: Run, names: Iterable[str]) -> dict[str, str]:
    """Of the parameters `names` (the seed is one), those that `run` would not receive, each with the reason."""
    names = list(names)
    if not names:
        return {}
    if run.kind == "notebook":
        return _unreceived_by_notebook(run, names)
    used = set(_PLACEHOLDER.findall(" ".join([*run.table.args, *(run.table.command or ()), *run.table.env.values()])))
    reads = _texts(config, run)
    everything = "MLCI_PARAMETERS" in reads
    reasons = {}
    for name in names:
        if name in used or everything or (name == SEED and "MLCI_SEED" in reads):
            continue
        where = "command" if run.kind == "command" else "args"
        variable = "MLCI_SEED" if name == SEED else "MLCI_PARAMETERS"
        reasons[name] = f"no {{{name}}} in its {where} or env, and its code does not read {variable}"
    return reasons


def receivable(config: Config, run: Run, offered: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Of the parameters `offered` those that `run` would receive; and why not the others, its seed among them."""
    refused = unreceived(config, run, [*offered, *([SEED] if run.table.seeds else [])])
    return {name: value for name, value in offered.items() if name not in refused}, refused


def make(
    run: Run,
    *,
    seed: int | None,
    parameters: Mapping[str, Any],
    python: str,
    outputs: Path,
    environ: Mapping[str, str],
    repository: Path,
    gpus: Sequence[str] = (),
    secrets: Iterable[str] = (),
    follow: bool = False,
    threads: int | None = None,
) -> Job:
    """The job for one execution of `run`.

    Args:
        run: What to run.
        seed: The seed of this execution, if the run has seeds.
        parameters: Those that the run receives, without the seed.
        python: The user's interpreter, absolute.
        outputs: The folder for what mlci keeps of it, `METRICS` of `log_metric` among it.
        environ: mlci's own environment.
        repository: The folder of the user's own code.
        gpus: Those that it has to itself, or shares, as CUDA_VISIBLE_DEVICES calls them.
        secrets: Names of variables and parameters whose values are hidden, beside those that look so.
        follow: Whether somebody reads what it prints while it runs.
        threads: Its share of the cores, where other runs want theirs; None: it may take them all.
    """
    table = run.table
    given = {**parameters, **({SEED: seed} if seed is not None else {})}
    own = {name: fill(value, given) for name, value in table.env.items()}
    path = [str(Path(userlib.__file__).parent), *filter(None, [{**environ, **own}.get("PYTHONPATH")])]
    extra = {
        **{name: value for name, value in _customary(run, threads).items() if name not in environ},
        # What a run printed before it was killed is in its log.
        "PYTHONUNBUFFERED": "1",
        **({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}),
        **own,
        "PYTHONPATH": os.pathsep.join(path),
        "MLCI_RUN": run.name,
        "MLCI_METRICS": str(outputs / METRICS),
        "MLCI_PARAMETERS": json.dumps(given),
        **({"MLCI_SEED": str(seed)} if seed is not None else {}),
        **(mlflow_tracking.tagging({**environ, **own}, uuid.uuid4().hex) if table.metric_servers else {}),
    }
    child = process.child_environ(environ, extra=extra, pass_env=table.pass_env)
    if seed is None:
        child.pop("MLCI_SEED", None)
    return Job(
        name=run.name,
        label=run.name if seed is None else f"{run.name} (seed {seed})",
        source=run.source,
        cwd=run.cwd,
        environ=child,
        outputs=outputs,
        repository=repository,
        python=python,
        argv=_argv(run, given, python),
        notebook=run.path if run.kind == "notebook" else None,
        parameters=given if run.kind == "notebook" else {},
        deadlines=Deadlines(
            run_s=run.timeout_s,
            cell_s=seconds(table.cell_timeout) if table.cell_timeout else None,
            silence_s=seconds(table.silence_timeout) if table.silence_timeout else None,
        ),
        limits=OutputLimits(cell=size(table.max_cell_output), total=size(table.max_output)),
        redactor=Redactor(find_secrets(environ, own, given, named=(*secrets, *table.secrets))),
        deterministic_seed=(seed or 0) if table.deterministic else None,
        follow=follow,
    )


def _customary(run: Run, threads: int | None) -> dict[str, str]:
    """Variables that a run gets where its user has not set them."""
    found = {"PYTHONFAULTHANDLER": "1"}
    if threads is not None:
        # Numerical libraries start a thread a core each, and then wait for each other more than they compute.
        found |= dict.fromkeys(_THREADS, str(max(threads, math.ceil(run.table.resources.cpus))))
    if run.table.deterministic:
        found |= {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8", **dict.fromkeys(_THREADS, "1")}
        if run.kind != "notebook":  # where the kernel's own choice is what puts pictures into cells
            found["MPLBACKEND"] = "Agg"
    return found


def fill(text: str, parameters: Mapping[str, Any]) -> str:
    """`text` with each {name} of a known parameter replaced; other braces are left alone."""
    return _PLACEHOLDER.sub(lambda match: _spelled(parameters[match[1]]) if match[1] in parameters else match[0], text)


def reproduction(run: Run, *, profile: str, default_profile: str, given: Mapping[str, Any]) -> str:
    """The command that does this again on a laptop."""
    words = ["mlci", "run", run.name]
    if profile != default_profile:
        words += ["--profile", profile]
    for name, value in given.items():
        words += ["-p", f"{name}={_spelled(value)}"]
    return shlex.join(words)


def typed(text: str) -> Any:  # noqa: ANN401 - as papermill types a parameter of its command line
    """The value that papermill's `-p` gives to `text`: None, a boolean, an integer, a float, else the text itself."""
    if text in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _argv(run: Run, given: Mapping[str, Any], python: str) -> tuple[str, ...]:
    if run.kind == "script":
        return (python, str(run.path), *(fill(word, given) for word in run.table.args))
    if run.kind == "command":
        words = tuple(fill(word, given) for word in run.table.command or ())
        # "python" means the run's interpreter, as everywhere else in the configuration.
        return (python, *words[1:]) if words[0] in ("python", "python3") else words
    return ()


def _unreceived_by_notebook(run: Run, names: list[str]) -> dict[str, str]:
    from mlci.plugins.executors.notebook import sources  # noqa: PLC0415 - heavy

    if run.path is None:
        return {}
    notebook = sources.load(run.path)
    language = str(notebook.metadata.get("kernelspec", {}).get("language", "python")).lower()
    if language not in ("python", "ipython"):
        return {}
    return sources.refused(notebook.cells, names)


def _texts(config: Config, run: Run) -> str:
    """The source that mlci can see of a script or command: the file itself, files named in argv, Python inputs."""
    files = [run.path] if run.path else []
    files += [run.cwd / word for word in run.table.command or () if (run.cwd / word).is_file()]
    files += [path for pattern in run.table.inputs if pattern.endswith(".py") for path in config.root.glob(pattern)]
    texts = []
    for file in files:
        try:
            if file.stat().st_size <= _MAX_SOURCE:
                texts.append(file.read_text(encoding="utf-8", errors="ignore"))
        except OSError as error:
            raise UsageError(f"{file.name}: cannot be read: {error.strerror}") from None
    return "\n".join([*texts, *(run.table.command or ())])
