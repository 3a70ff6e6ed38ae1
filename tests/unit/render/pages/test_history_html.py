from __future__ import annotations

import json
import re
from typing import Any

from fakes.dashboards import HOME, hostile, page, usual
from mlci.core.dashboard import dashboard
from mlci.render.pages.history import history

HOSTILE = ("</script><script>hacked=1</script>", "\u202egnp.exe", "a\nb\x1b[2J", "<!--<script>", "long" * 2500)


def data(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_history__commits_stand_once_and_columns_beside_them() -> None:
    found = data(page(usual(50)))
    [profile] = found["profiles"]
    assert len(profile["commits"]) == len(set(profile["commits"])) == 50
    for run in profile["runs"]:
        for series in (*run["series"], *run["slices"], *run["resources"]):
            assert len(series["values"]) == 50


def test_history__is_small() -> None:
    cells = 200 * 2 * (4 + 3 + 3)
    grown = len(page(usual(300))) - len(page(usual(100)))
    assert grown / cells < 25  # bytes a value, its noise and its share of the commits counted in


def test_history__other_people_s_words_are_short_harmless_lines() -> None:
    html = hostile(HOSTILE)
    assert "<script>hacked" not in html
    [profile] = data(html)["profiles"]
    said = json.dumps(profile, ensure_ascii=False)
    assert "\u202e" not in said
    assert "\\u001b" not in said
    assert max(map(len, re.findall(r'"([^"]*)"', said))) <= 300


def test_history__says_what_it_leaves_out_and_what_is_not_known() -> None:
    found = usual(20)
    html = history(dashboard([], []), name="models", branch="main", notes=["the clone is shallow"])
    assert "the clone is shallow" in html
    assert data(html)["home"] is None
    assert data(page(found))["home"] == HOME
