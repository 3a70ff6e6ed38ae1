"""Debian's Chromium, driven by Playwright, and pages that tell what they should not have done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, sync_playwright

EXECUTABLE = shutil.which("chromium")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Opened:
    """A page, and what it should not have done."""

    page: Page
    said: list[str] = field(default_factory=list)  # to the console, errors included
    asked: list[str] = field(default_factory=list)  # addresses other than the file and what lies within it
    dialogs: list[str] = field(default_factory=list)

    @property
    def trouble(self) -> list[str]:
        """All of it."""
        return [*self.said, *self.asked, *self.dialogs]

    def watch(self, own: str) -> None:
        """Note what happens from now on; `own` is the page's address."""

        def request(request: Request) -> None:
            if not request.url.startswith(("data:", own)):
                self.asked.append(request.url)

        def message(message: ConsoleMessage) -> None:
            self.said.append(message.text)

        def dialog(dialog: Dialog) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        self.page.on("request", request)
        self.page.on("console", message)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", dialog)


Open = Callable[..., Opened]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, with a profile of its own that goes with it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=_ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def windows(browser: Browser, folder: Path) -> Iterator[Open]:
    """What opens HTML as a file in `folder`, in a window of its own, with the keywords of Playwright's contexts."""
    contexts: list[BrowserContext] = []

    def opened(html: str, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True) -> Opened:
        file = folder / f"page-{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        contexts.append(
            browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                java_script_enabled=scripts,
            )
        )
        shown = Opened(contexts[-1].new_page())
        shown.watch(file.as_uri())
        shown.page.goto(file.as_uri())
        return shown

    yield opened
    for context in contexts:
        context.close()
