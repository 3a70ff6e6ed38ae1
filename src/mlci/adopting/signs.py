"""What a source does, as far as its text tells: fits a model, writes files, asks for arguments, takes a seed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from mlci.core.metric import infer_direction, listed

_MAX = 12  # of anything that ends in a configuration
_METRICISH = re.compile(r"metric|score|result|eval|summary|performance|accuracy|report", re.IGNORECASE)
_NO_METRICS = re.compile(
    r"config|param|vocab|label|pred|data|feature|column|split|meta|map|submission|index", re.IGNORECASE
)
_TABLES, _TREES = (".csv", ".tsv"), (".json", ".yaml", ".yml", ".toml")
_PLOTS = (".png", ".svg", ".jpg", ".jpeg", ".webp", ".gif")
_MODELS = listed(
    ".bson .bst .cbm .ckpt .h5 .hdf5 .jld2 .joblib .keras .model .npz .onnx .pickle .pkl .pt .pth .rdata .rds",
    ".safetensors .ubj",
)
_NAME = re.compile(r"[A-Za-z][\w@.-]{0,63}")


@dataclass(kw_only=True)
class Signs:
    """What was seen; paths are as the code has them, from the top of the repository where they begin with a slash."""

    fits: bool = False
    judges: bool = False  # computes a score
    logs: set[str] = field(default_factory=set)  # what it tells metrics: mlci_log, mlflow, wandb, ...
    writes: dict[str, None] = field(default_factory=dict)  # a set in order; what only some runs write is not in it
    reads: dict[str, None] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)  # of metrics
    modules: set[str] = field(default_factory=set)  # the first words of what it imports
    parameters: dict[str, Any] = field(default_factory=dict)  # of the parameters cell
    options: dict[str, Any] = field(default_factory=dict)  # of the command line, by flag, with their defaults
    required: dict[str, None] = field(default_factory=dict)  # those without which it does not start
    variables: dict[str, None] = field(default_factory=dict)  # of the environment
    remote: str | None = None  # a tracking server that the code names
    entered: bool = False  # has `if __name__ == "__main__"`
    acts: bool = False  # does something when it is run, rather than only define

    def add_name(self, name: object) -> None:
        """A metric's name, if it sounds like one."""
        if isinstance(name, str) and _NAME.fullmatch(name) and infer_direction(name) and len(self.names) < _MAX:
            self.names[name] = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The files of metrics that it writes, those that say so by their name first."""
        trees = [path for path in self.writes if _suffix(path) in _TREES]
        tables = [path for path in self.writes if _suffix(path) in _TABLES]
        said = [path for path in (*trees, *tables) if _METRICISH.search(_stem(path))]
        others = [path for path in trees if self.names and not _NO_METRICS.search(_stem(path))]
        return tuple(dict.fromkeys([*(path for path in said if not _NO_METRICS.search(_stem(path))), *others]))[:_MAX]

    @property
    def artifacts(self) -> tuple[str, ...]:
        """The models that it saves."""
        return tuple(path for path in self.writes if _suffix(path) in _MODELS)[:_MAX]

    @property
    def plots(self) -> tuple[str, ...]:
        """The pictures that it saves."""
        return tuple(path for path in self.writes if _suffix(path) in _PLOTS)[:_MAX]


_WRITTEN = re.compile(r"""["']([\w./-]{1,120}\.(?:json|csv|tsv|ya?ml|png|svg|rds|RData|jld2|bson|onnx))["']""")
_READING = re.compile(r"\b(?:read|load|readRDS|fromJSON|source|include|CSV\.File)[\w.]*\s*\(\s*$")
_FITTING = re.compile(r"\b(?:lm|glm|glmnet|gam|lmer|train|randomForest|ranger|xgboost|fit|fit_xy|rpart|svm)!?\s*\(")
_SET = re.compile(r"^[ \t]*(\w{1,64})[ \t]*(?:<-|=)(.*)$", re.MULTILINE)
_KEYS = re.compile(r"""\b(\w{1,64})["']?[ \t]{0,20}(?:=>|=)[^=]""")


def of_other_language(cells: tuple[str, ...], tagged: int | None) -> Signs:
    """Signs in R, Julia and the like, by what is written between quotes."""
    code = "\n".join(cells)
    found = Signs(acts=True, fits=bool(_FITTING.search(code)))
    for match in _WRITTEN.finditer(code):
        before = code[max(0, match.start() - 80) : match.start()]
        (found.reads if _READING.search(before) else found.writes)[match[1]] = None
    for match in _KEYS.finditer(code):
        found.add_name(match[1])
    if tagged is not None:
        found.parameters = {name: plain_value(text.strip()) for name, text in _SET.findall(cells[tagged])[:_MAX]}
    return found


def plain_value(text: str) -> Any:  # noqa: ANN401 - a parameter is any value
    """A number, a truth value or a text, as R and Julia write them."""
    for kind in (int, float):
        try:
            return kind(text.removesuffix("L"))
        except ValueError:
            continue
    truths: Mapping[str, bool] = {"TRUE": True, "FALSE": False, "true": True, "false": False}
    return truths.get(text, text.strip("\"'"))


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _stem(path: str) -> str:
    return PurePosixPath(path).stem
