"""The object store beside the contract: libraries that are missing, URLs, pointers that somebody else wrote."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fsspec.registry import known_implementations

from fakes.packages import deployed, package
from mlci.errors import ConflictError, DeployError
from mlci.plugins.targets import object_store
from mlci.plugins.targets.interface import TargetSite
from mlci.plugins.targets.object_store import ObjectStoreTarget


def target(tmp_path: Path, url: str, options: Mapping[str, Any] | None = None) -> ObjectStoreTarget:
    return ObjectStoreTarget(url=url, options=options or {}, site=TargetSite(folder=tmp_path, environ={}))


def test_opened__says_which_extra_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known_implementations, "gs", {"class": "no_such.Class", "err": "Install it"})
    with pytest.raises(DeployError, match="Install it") as caught:
        target(tmp_path, "gs://bucket").status("churn")
    assert caught.value.hint == 'Run: pip install "mlci[gcs]"'


def test_opened__no_chains(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="several file systems"):
        target(tmp_path, "simplecache::s3://bucket").status("churn")


def test_describe__without_what_may_be_secret(tmp_path: Path) -> None:
    made = target(tmp_path, "s3://key:pass@bucket/models?x=1", {"secret": "hidden"})
    assert made.describe() == "object store s3://bucket/models"
    assert "hidden" not in repr(made)
    assert "pass" not in repr(made)
    assert target(tmp_path, "models").describe() == "object store file://models"


def test_files__are_seen_from_the_checkout(tmp_path: Path) -> None:
    made = package(tmp_path / "packages")
    target(tmp_path, "models").upload(made)
    target(tmp_path, "models").switch("churn", deployed(made), expected=None)
    assert sorted(path.name for path in (tmp_path / "models/churn").iterdir()) == ["current.json", "v1.0.0"]


def test_switch__notices_who_wrote_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = package(tmp_path / "p"), package(tmp_path / "p", "v2.0.0")
    store = target(tmp_path, f"memory://{uuid.uuid4().hex}")
    store.upload(one)
    store.upload(two)
    write = object_store._Store.write

    def write_and_be_overwritten(self: object_store._Store, path: str, content: bytes) -> None:
        write(self, path, content.replace(b"v1.0.0", b"v2.0.0").replace(one.digest.encode(), two.digest.encode()))

    monkeypatch.setattr(object_store._Store, "write", write_and_be_overwritten)
    with pytest.raises(ConflictError, match=r"v2\.0\.0 is served"):
        store.switch("churn", deployed(one), expected=None)


def test_status__a_pointer_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "models/churn").mkdir(parents=True)
    (tmp_path / "models/churn/current.json").write_text("{")
    with pytest.raises(DeployError, match=r"current\.json cannot be read"):
        target(tmp_path, "models").status("churn")
