"""Every format is read by itself from what its framework wrote, and the page of formats says what comes of it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from mlci.core.documents import Metric
from mlci.plugins import registry
from mlci.plugins.readers.interface import HEAD
from mlci.running import known
from mlci.running.formats import reader_of

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/reference/formats.md").read_text(encoding="utf-8")
FIXTURES = ROOT / "tests/fixtures/readers"
# Folders of frameworks that write plain tables.
TABLES = dict.fromkeys(("lightning", "keras", "ultralytics"), "csv")
FILES = [
    path
    for folder in sorted(FIXTURES.iterdir())
    if folder.is_dir()
    for path in sorted(folder.rglob("*"))
    # Beside MLflow's meta.yaml its metrics lie one a file.
    if path.is_file() and not ("mlruns" in path.parts and path.name != "meta.yaml")
]
CARRIED = {
    "direction": "direction",
    "unit": "unit",
    "split": "split",
    "slice": "slices",
    "n": "n",
    "standard_error": "standard error",
    "samples": "samples",
    "series": "series",
    "definition": "definition",
}


def format_of(path: Path) -> str:
    folder = path.relative_to(FIXTURES).parts[0]
    return TABLES.get(folder, folder)


def read(path: Path) -> list[Metric]:
    found: list[Metric] = registry.load("readers", format_of(path)).read(path, name=path.name)
    return found


def example(metric: Metric) -> str:
    name = metric.name if metric.slice is None else f"{metric.name}, {metric.slice}"
    return f"`{name}` = {metric.value:.4g}"


def richest(metrics: list[Metric]) -> Metric:
    """The one that carries most; a number rather than NaN."""

    def carries(metric: Metric) -> tuple[bool, int]:
        return math.isfinite(metric.value), sum(getattr(metric, field) not in (None, ()) for field in CARRIED)

    return max(metrics, key=carries)


def rows() -> dict[str, list[str]]:
    """Name of a format -> its columns after that."""
    found = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FIXTURES).as_posix())
def test_fixture__is_read_by_its_own_reader(path: Path) -> None:
    if format_of(path) != "mlci-log":  # which is never a file that a user names
        assert reader_of(path, path.read_bytes()[:HEAD]) == format_of(path)
    assert read(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FIXTURES).as_posix())
def test_fixture__tells_nothing_of_the_machine(path: Path) -> None:
    assert not re.search(rb"/(root|home|tmp|work|Users|var/folders)/", path.read_bytes())


def test_page__has_every_format() -> None:
    assert set(rows()) == set(registry.names("readers"))


@pytest.mark.parametrize("name", registry.names("readers"))
def test_page__says_what_a_format_carries(name: str) -> None:
    metrics = [metric for path in FILES if format_of(path) == name for metric in read(path)]
    carried = [
        word for field, word in CARRIED.items() if any(getattr(metric, field) not in (None, ()) for metric in metrics)
    ]
    assert rows()[name][-2:] == [", ".join(carried), example(richest(metrics))]


def test_page__lists_the_places_of_auto() -> None:
    [listed] = re.findall(r"^```text\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert listed.split() == list(known.PLACES)


def test_page__says_which_samples_frameworks_wrote_at_which_version() -> None:
    section = PAGE.partition("## Where the samples come from")[2]
    pinned = re.compile(r"([A-Za-z][\w-]*)(?:==|@)(\d[\d.]*\d)")
    versions = [pinned.findall(path.read_text(encoding="utf-8")) for path in FIXTURES.glob("generate_*.py")]
    assert all(versions)
    listed = re.findall(r"([A-Za-z][\w-]*)\s(\d[\d.]*\d)[,.]", section)
    assert set(listed) == {version for found in versions for version in found}


def test_page__says_which_samples_are_made_by_hand() -> None:
    written = "".join(path.read_text(encoding="utf-8").partition("\n")[0] for path in FIXTURES.glob("generate_*.py"))
    scripts = {path.stem.removeprefix("generate_").replace("_", "-") for path in FIXTURES.glob("generate_*.py")}
    folders = {path.name for path in FIXTURES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    section = PAGE.partition("Written by hand")[2]
    by_hand = {name for name in folders if f"`{name}`" in section}
    assert by_hand == {name for name in folders if name not in scripts and f"{name}/" not in written}
