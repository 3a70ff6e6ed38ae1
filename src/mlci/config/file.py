"""The whole of `mlci.toml`: its tables put together, and the JSON Schema that comes from them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, field

from mlci.config.release_tables import ArtifactsTable, ModelTable, MonitorTable, TargetTable
from mlci.config.tables import (
    BaselineTable,
    CostTable,
    GateTable,
    Name,
    ProfileTable,
    ReportTable,
    RuleTable,
    RunTable,
    Table,
)


class ConfigFile(Table, frozen=True):
    """The whole of `mlci.toml`, or `[tool.mlci]` in `pyproject.toml`."""

    id: Annotated[Name, Meta(description="One comment and one status an id.")] = "main"
    defaults: Annotated[RunTable, Meta(description="What every run says unless it says otherwise.")] = RunTable()
    profiles: Annotated[dict[str, ProfileTable], Meta(description="Variants of all runs, by name.")] = field(
        default_factory=dict
    )
    runs: Annotated[dict[str, RunTable], Meta(description="Notebooks, scripts and commands, by name.")] = field(
        default_factory=dict
    )
    metrics: Annotated[dict[str, RuleTable], Meta(description="Rules by metric pattern (fnmatch).")] = field(
        default_factory=dict
    )
    gate: Annotated[GateTable, Meta(description="What blocks.")] = GateTable()
    report: Annotated[ReportTable, Meta(description="What is posted on GitHub.")] = ReportTable()
    cost: Annotated[CostTable, Meta(description="What computing costs.")] = CostTable()
    artifacts: Annotated[ArtifactsTable, Meta(description="Where artifacts are kept until they are released.")] = (
        ArtifactsTable()
    )
    models: Annotated[dict[str, ModelTable], Meta(description="Models that are released, by name.")] = field(
        default_factory=dict
    )
    targets: Annotated[dict[str, TargetTable], Meta(description="Where models are deployed, by name.")] = field(
        default_factory=dict
    )
    monitor: Annotated[dict[str, MonitorTable], Meta(description="Watches on deployed models, by name.")] = field(
        default_factory=dict
    )
    baseline: Annotated[BaselineTable, Meta(description="What runs are compared with.")] = BaselineTable()


def json_schema() -> bytes:
    """The JSON Schema of the configuration, as committed in `schema/mlci.schema.json`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mlci configuration",
        **msgspec.json.schema(ConfigFile),
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
