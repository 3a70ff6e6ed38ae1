"""One browser a file, and one file at a time: tests of this folder belong to the xdist group "chromium"."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from fakes import browser
from fakes.browser import Open


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser; it goes before other tests come, for as long as it is there nothing else may use asyncio."""
    if browser.EXECUTABLE is None:
        pytest.skip("chromium is not installed")
    with browser.chromium() as started:
        yield started


@pytest.fixture
def browse(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens HTML as a file."""
    with browser.windows(chromium, tmp_path) as opened:
        yield opened
