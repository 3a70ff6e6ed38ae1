"""The MLflow target beside the contract: what others put into the registry."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlci.errors import DeployError
from mlci.plugins.targets import mlflow
from mlci.plugins.targets.interface import Deployed, TargetSite
from mlci.plugins.targets.mlflow import MlflowTarget


def ours(number: int, version: str = "v1.0.0", digest: str = "aa") -> SimpleNamespace:
    tags = {"mlci.model": "churn", "mlci.version": version, "mlci.digest": digest}
    return SimpleNamespace(version=str(number), tags=tags, run_id="r")


def target(monkeypatch: pytest.MonkeyPatch, versions: list[SimpleNamespace], **aliases: str) -> MlflowTarget:
    client: Any = SimpleNamespace(
        search_model_versions=lambda _: versions,
        get_registered_model=lambda _: SimpleNamespace(aliases=aliases),
    )
    monkeypatch.setattr(mlflow, "_client", lambda _: client)
    return MlflowTarget(tracking_uri="http://me:pass@there/?x=1", site=TargetSite(folder=Path(), environ={}))


def test_status__of_an_alias_that_somebody_else_set(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = SimpleNamespace(version="7", tags={}, run_id="r")
    made = target(monkeypatch, [theirs, ours(8)], production="7")
    with pytest.raises(DeployError, match="the alias production is on version 7, which mlci did not deploy"):
        made.status("churn")


def test_status__of_two_that_were_registered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = target(monkeypatch, [ours(10), ours(9), ours(11, "v1.1.0", "bb")], production="10")
    assert made.status("churn").current == Deployed(version="v1.0.0", digest="aa")
    assert [item.version for item in made.status("churn").kept] == ["v1.0.0", "v1.1.0"]


def test_registered_name__is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeployError, match="cannot be a name"):
        MlflowTarget(tracking_uri="http://there", registered_name="x' or '1", site=target(monkeypatch, []).site).status(
            "churn"
        )


def test_describe__without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    assert target(monkeypatch, []).describe() == "MLflow http://there/"
    assert "pass" not in repr(target(monkeypatch, []))


def test_library__that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(DeployError) as caught:
        MlflowTarget(tracking_uri="http://there", site=TargetSite(folder=tmp_path, environ={})).status("churn")
    assert caught.value.hint == 'Run: pip install "mlci[mlflow]"'
