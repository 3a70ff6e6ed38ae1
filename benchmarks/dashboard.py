"""What the dashboard of thousands of records costs: to open in Chromium beside a plain table, and to build.

    python benchmarks/dashboard.py                      a few minutes
    python benchmarks/dashboard.py --records 500 --rounds 3

Opened: from the start of the navigation until all that is seen is drawn, with the range that the page begins with, and
with all records. The peer is the first run's metrics as an HTML table, a row a record, with no script, opened in turn
with the page until its first paint. Long: the longest task while the page is scrolled through by the wheel.

Built: `mlci history --html` from git's own server over HTTP on loopback, from a clone that has never read, beside
`mlci history METRIC` from another such clone, which reads 40 records. Each record is of about 8 kB, with 20 metrics.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import psutil
from playwright.sync_api import Browser, Page

from fakes.browser import chromium
from fakes.command_line import MLCI
from fakes.dashboards import page, usual
from fakes.full_stores import fill
from fakes.git_server import git_server
from fakes.repositories import ENVIRON, Repository, repository
from mlci.core.dashboard import Dashboard

METRICS = 10
CONFIG = '[runs.churn]\nscript = "train.py"\n[profiles.full]\nevents = ["local"]\n'
WATCH = """
globalThis.long = [];
new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({type: "longtask", buffered: true});
"""


@dataclass
class Costs:
    """Medians to be, by what was measured."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Note one."""
        self.taken.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Of what was noted."""
        return statistics.median(self.taken[name])


def plain_table(found: Dashboard) -> str:
    """The peer: the same numbers as rows."""
    profile = found.profiles[0]
    series = profile.runs[0].series
    rows = "".join(
        f"<tr><td>{sha}</td><td>{escape(profile.subjects[place])}</td>"
        + "".join(f"<td>{item.values[place]}</td>" for item in series)
        + "</tr>"
        for place, sha in enumerate(profile.commits)
    )
    return f"<!doctype html><meta charset=utf-8><title>table</title><table>{rows}</table>"


def opened(browser: Browser, file: Path) -> Page:
    """A fresh window on a file."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    context.add_init_script(WATCH)
    shown = context.new_page()
    shown.goto(file.as_uri())
    return shown


def drawn(shown: Page, since: float = 0.0) -> float:
    """When the last of what is seen was drawn, in ms, once there is such a time after `since`."""
    script = (
        "since => performance.getEntriesByName('mlci-drawn').map(it => it.startTime).filter(at => at > since).at(-1)"
    )
    while (at := shown.evaluate(script, since)) is None:
        shown.wait_for_timeout(5)
    return float(at)


def look(browser: Browser, dashboard: Path, table: Path, costs: Costs) -> None:
    """Open both once."""
    shown = opened(browser, dashboard)
    costs.add("opened", drawn(shown))
    before = shown.evaluate("performance.now()")
    shown.select_option("#range", "0")
    costs.add("all records", drawn(shown, before) - before)
    shown.wait_for_timeout(200)
    shown.evaluate("long.length = 0")
    for _ in range(40):
        shown.mouse.wheel(0, 120)
        shown.wait_for_timeout(16)
    shown.wait_for_timeout(200)
    costs.add("long", shown.evaluate("Math.max(0, ...long)"))
    shown.context.close()
    shown = opened(browser, table)
    paint = "performance.getEntriesByType('paint').at(-1)?.startTime"
    while (at := shown.evaluate(paint)) is None:
        shown.wait_for_timeout(5)
    costs.add("table", max(float(at), shown.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")))
    shown.context.close()


def history_of(count: int, folder: Path, url: str) -> tuple[Repository, list[str]]:
    """A clone with so many commits, the newest first."""
    clone = repository(folder)
    (folder / "mlci.toml").write_text(CONFIG)
    (folder / "train.py").touch()
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "-m", "Begin")
    stream = "".join(
        f"commit refs/heads/main\ncommitter A <a@example.com> {1_700_000_001 + number} +0000\ndata 6\nChange\n"
        + ("from refs/heads/main^0\n" if number == 0 else "")
        for number in range(count - 1)
    )
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream.encode(), check=True, env=ENVIRON)
    clone.git("reset", "--quiet", "--hard", "main")
    clone.git("remote", "add", "origin", url)
    clone.git("push", "--quiet", "origin", "main")
    return clone, clone.git("rev-list", "main").split()


def build(count: int, scratch: Path) -> None:
    """Print what both commands cost."""
    with git_server(scratch / "served") as server:
        clone, known = history_of(count, scratch / "clone", server.create("team/models"))
        fill(server.folder("team/models"), known)
        print(f"\n| {count:,} records | moved | requests | seconds | peak memory | times that of METRIC |")
        print("|---|---|---|---|---|---|")
        usual_s = 0.0
        for name, arguments in {"METRIC": ["metric-0"], "--html": ["--html"]}.items():
            fresh = scratch / "fresh"
            shutil.copytree(clone.folder, fresh)
            server.requests.clear()
            moved, start = server.moved, time.perf_counter()
            command = psutil.Popen([*MLCI, "history", *arguments], cwd=fresh, env=ENVIRON, stdout=subprocess.DEVNULL)
            highest = 0
            while command.poll() is None:
                with contextlib.suppress(psutil.Error):
                    highest = max(highest, command.memory_info().rss)
                time.sleep(0.02)
            seconds = time.perf_counter() - start
            if command.returncode:
                raise RuntimeError(f"history {name} failed")
            usual_s = usual_s or seconds
            print(
                f"| history {name} | {(server.moved - moved) / 1e6:.2f} MB | {len(server.requests)} | {seconds:.1f} "
                f"| {highest / 1e6:.0f} MB | {seconds / usual_s:.1f} |",
                flush=True,
            )
            shutil.rmtree(fresh)


def main() -> None:
    """Print sizes, medians and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        scratch = Path(name)
        found = usual(options.records, metrics=METRICS)
        dashboard, table = scratch / "dashboard.html", scratch / "table.html"
        dashboard.write_text(page(found))
        table.write_text(plain_table(found))
        costs = Costs()
        for _ in range(options.rounds):
            look(browser, dashboard, table, costs)
        beside = costs.median("table")
        print(f"| {options.records:,} records, 2 runs of {METRICS} metrics | size | median | times the table |")
        print("|---|---|---|---|")
        for what, size in (("opened", dashboard), ("all records", dashboard), ("table", table)):
            median = costs.median(what)
            print(f"| {what} | {size.stat().st_size / 1e6:.1f} MB | {median:.0f} ms | {median / beside:.2f} |")
        print(f"| longest task while scrolling | | {costs.median('long'):.0f} ms | |", flush=True)
        build(options.records, scratch)


if __name__ == "__main__":
    main()
