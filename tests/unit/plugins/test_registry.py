"""Plugins are found by the name of their entry point; a wrong name or option is one line with the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlci.errors import ConfigError
from mlci.plugins import registry


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution of somebody else that brings a reader."""
    (tmp_path / "their_reader.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Theirs:\n"
        "    suffixes = ('.their',)\n"
        "    strict: bool = False\n"
    )
    info = tmp_path / "their_reader-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-reader\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlci.readers]\ntheirs = their_reader:Theirs\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("outside")
def test_load__a_plugin_of_another_distribution() -> None:
    assert "theirs" in registry.names("readers")
    assert registry.load("readers", "theirs", {"strict": True}).strict


@pytest.mark.parametrize("kind", ["readers", "stores"])
def test_names__mlci_s_own_can_all_be_imported(kind: str) -> None:
    assert registry.names(kind)
    for name in registry.names(kind):
        assert registry.plugin_class(kind, name).__doc__


def test_load__no_such_plugin() -> None:
    with pytest.raises(ConfigError, match=r"no store is called 'git-brnch' \(did you mean 'git-branch'\?\); known: "):
        registry.load("stores", "git-brnch")


@pytest.mark.usefixtures("outside")
def test_load__no_such_option() -> None:
    with pytest.raises(ConfigError, match=r"reader 'theirs' has no option 'strct' \(did you mean 'strict'\?\)"):
        registry.load("readers", "theirs", {"strct": True})
