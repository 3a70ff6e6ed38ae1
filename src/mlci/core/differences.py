"""What else differs between two records than their metrics: what a change of a metric may come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlci.core.documents import Metric, Record
from mlci.core.metric import listed

_MAX_PACKAGES = 5
_MAX_DEFINITION = 24


# Another version of these may give other numbers of the same code: what computes, trains, draws at random, or decides
# what a metric is. By the name of the distribution, normalised.
NUMERICAL = listed(
    "bitsandbytes catboost cudf cuml cupy datasets deepspeed diffusers evaluate fairlearn fastai flash-attn flax",
    "gensim huggingface-hub imbalanced-learn jax jaxlib joblib keras lifelines lightgbm lightning lm-eval mkl",
    "nltk numba numpy onnx onnxruntime opencv-python opencv-python-headless optax pandas peft pillow polars",
    "prophet pyarrow pymc pytorch-lightning rouge-score sacrebleu scikit-image scikit-learn scipy",
    "sentence-transformers sentencepiece sktime spacy statsforecast statsmodels tensorflow tensorflow-cpu",
    "tensorflow-probability tiktoken timm tokenizers torch torchaudio torchmetrics torchvision transformers",
    "triton trl ultralytics unsloth vllm xformers xgboost",
)
# A change of these is what is being judged, not what makes the judgement doubtful.
_CODE = listed(".c .cc .cpp .cu .cuh .h .hpp .ipynb .jl .py .pyi .pyx .r .rmd .rs .scala .sh .sql .toml")


def changes(record: Record, baseline: Record) -> tuple[str, ...]:
    """What else differs between two records, one line each: environment, inputs, parameters, seeds."""
    differing = _packages(record, baseline)
    shown = differing[:_MAX_PACKAGES]
    if len(differing) > _MAX_PACKAGES:
        shown.append(f"{len(differing) - _MAX_PACKAGES} more packages")
    seeds = len(baseline.seeds) or 1, len(record.seeds) or 1
    return (
        *_machine(record, baseline, "python", "implementation", "platform", "gpu"),
        *shown,
        *_inputs(record, baseline),
        *_parameters(record, baseline),
        *([f"seeds {seeds[0]} → {seeds[1]}"] if record.seeds != baseline.seeds else []),
    )


def incomparable(record: Record, baseline: Record) -> tuple[str, ...]:
    """What makes a comparison of two records doubtful, one line each.

    Of the lines of `changes`: interpreter and GPU, the packages of `NUMERICAL`, data and parameters. Inputs that are
    code do not count, for their change is what is judged; nor do seeds, for they are told apart from noise.
    """
    return (
        *_machine(record, baseline, "python", "implementation", "gpu"),
        *_packages(record, baseline, NUMERICAL),
        *_inputs(record, baseline, code=False),
        *_parameters(record, baseline),
    )


def redefined(metric: Metric, before: Metric) -> str | None:
    """That a metric is measured in another way than before; None where it is not, or one side does not say."""
    if metric.definition is None or before.definition is None or metric.definition == before.definition:
        return None
    return f"its definition is another one: {_short(before.definition)} → {_short(metric.definition)}"


def _machine(record: Record, baseline: Record, *names: str) -> Iterator[str]:
    """What both sides know of their machines, and does not agree."""
    for name in names:
        one, other = getattr(baseline.environment, name), getattr(record.environment, name)
        if one != other and one and other:
            yield f"{name} {one} → {other}"


def _packages(record: Record, baseline: Record, only: frozenset[str] | None = None) -> list[str]:
    """The packages that differ, those that matter first; none where one side lists none at all."""
    before, now = baseline.environment.packages, record.environment.packages
    if not before or not now:
        return []
    names = sorted({*before, *now}, key=lambda name: (name not in NUMERICAL, name))
    return [
        f"{name} {before.get(name, 'absent')} → {now.get(name, 'absent')}"
        for name in names
        if before.get(name) != now.get(name) and (only is None or name in only)
    ]


def _inputs(record: Record, baseline: Record, *, code: bool = True) -> Iterator[str]:
    for path, one, other in _differing(baseline.inputs, record.inputs):
        if code or not _is_code(path):
            yield f"input {path} {'added' if one is None else 'removed' if other is None else 'changed'}"


def _is_code(path: str) -> bool:
    # What stands in brackets is the table of the configuration that says how the run runs.
    _, dot, ending = path.rpartition("/")[2].rpartition(".")
    return path.startswith("[") or f"{dot}{ending.lower()}" in _CODE


def _parameters(record: Record, baseline: Record) -> Iterator[str]:
    for name, one, other in _differing(baseline.parameters, record.parameters):
        before, now = ("absent" if side is None else side for side in (one, other))
        yield f"parameter {name} {before} → {now}"


def _differing(before: Mapping[str, object], now: Mapping[str, object]) -> Iterator[tuple[str, object, object]]:
    for name in sorted({*before, *now}):
        one, other = before.get(name), now.get(name)
        if one != other:
            yield name, one, other


def _short(definition: str) -> str:
    return definition if len(definition) <= _MAX_DEFINITION else f"{definition[: _MAX_DEFINITION - 1]}…"
