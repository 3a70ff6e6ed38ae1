"""The dashboard of a branch as a page: its data made harmless, and the frame that the script fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mlci.core.dashboard import Dashboard
from mlci.render.pages.page import page
from mlci.render.text import counted, plain

_SUBJECT, _NAME, _REASON = 100, 120, 300  # characters


def history(found: Dashboard, *, name: str, branch: str, home: str | None = None, notes: Sequence[str] = ()) -> str:
    """The page.

    Args:
        found: What it shows.
        name: Of the repository.
        branch: Whose history it is.
        home: Where the repository is on the web, for links; None: without any.
        notes: What is not known, a line each.
    """
    said = list(notes)
    if found.left_out:
        said.append(f"{counted(found.left_out, 'series')} left out: name a metric, a run or a profile to see them")
    return page(
        title=f"{name}: history of {branch}",
        template="history.html.j2",
        context={
            "name": plain(name, limit=_NAME),
            "branch": plain(branch, limit=_NAME),
            "profiles": [item.name for item in found.profiles],
            "notes": said,
            "records": sum(run.records for item in found.profiles for run in item.runs),
        },
        data={"home": home, "profiles": _harmless(msgspec.to_builtins(found.profiles))},
    )


def _harmless(profiles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with other people's words as short lines that cannot turn the text around them about."""
    for profile in profiles:
        profile["subjects"] = [plain(subject, limit=_SUBJECT) for subject in profile["subjects"]]
        for run in profile["runs"]:
            run["releases"] = [
                (place, plain(label, limit=_NAME), plain(tag, limit=_NAME)) for place, label, tag in run["releases"]
            ]
            run["changed"] = [
                (place, [plain(line, limit=_REASON) for line in lines]) for place, lines in run["changed"]
            ]
            for series in (*run["series"], *run["slices"], *run["resources"]):
                for key in ("name", "split", "slice", "unit"):
                    series[key] = series[key] and plain(series[key], limit=_NAME)
                series["marks"] = [
                    (place, mark, plain(reason, limit=_REASON)) for place, mark, reason in series["marks"]
                ]
    return profiles
