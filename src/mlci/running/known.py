"""Where frameworks leave their metrics when nobody tells them another place: `metrics = ["auto"]` looks there."""

from __future__ import annotations

AUTO = "auto"
# In the order in which they count: of two places that give one metric different values, the first one is right. What a
# framework says in the end comes before the logs of the way there.
PLACES = (
    "metrics.json",
    "dvclive/metrics.json",
    "dvclive/plots/metrics/**/*.tsv",
    "all_results.json",
    "*/all_results.json",
    "trainer_state.json",
    "*/trainer_state.json",
    "wandb/latest-run/files/wandb-summary.json",
    "lightning_logs/version_*/metrics.csv",
    "runs/**/results.csv",
    "mlflow.db",
    "mlruns/*/*/meta.yaml",
    "runs/**/events.out.tfevents.*",
)
# One folder a training, though a run may write several of them: the last one counts.
NEWEST = frozenset({"lightning_logs/version_*/metrics.csv"})
