from __future__ import annotations

import base64
import hashlib
import json
import math
import re

import pytest

from fakes.pages import HOSTILE, usual
from mlci.render.pages import page as pages
from mlci.render.pages.page import page


def made(data: object = None) -> str:
    """The report's page with this data and nothing to show."""
    context = dict.fromkeys(("intervals", "curves", "pictures", "missing", "notebooks"), ())
    return page(
        title="a </title> b",
        template="report.html.j2",
        context={
            **context,
            "built": EMPTY,
            "name": "mlci",
            "metrics": (),
            "sections": (),
            "lineage": (),
            "folded": bool,
        },
        data=data,
    )


class _Empty:
    mark, headline, points, footer = "pass", "pass: <b>", (), ()


EMPTY = _Empty()


def within(html: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)


def test_page__data_comes_back_as_it_was_and_ends_nothing() -> None:
    data = {"names": [*HOSTILE, "\u2028"], "value": 0.1}
    found = within(made(data), "script")[0]
    assert json.loads(found) == data
    assert not re.search(r"[<>&'\u2028]", found)


def test_page__a_number_that_is_none_is_null() -> None:
    assert json.loads(within(made([math.nan, math.inf, 1e308]), "script")[0]) == [None, None, 1e308]


def test_page__allows_exactly_its_own_scripts() -> None:
    html = made()
    _, *scripts = within(html, "script")
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    allowed = " ".join(f"&#39;sha256-{item}&#39;" for item in hashes)
    assert policy.startswith(f"default-src &#39;none&#39;; script-src {allowed}; style-src")
    assert "img-src data:; base-uri &#39;none&#39;; form-action &#39;none&#39;" in policy
    assert len(hashes) == 3


def test_page__names_no_address_to_load_from() -> None:
    html = usual()
    assert re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', html) == []
    assert re.findall(r"@import|url\(", html.split("</style>")[0]) == []


def test_page__a_title_is_text() -> None:
    assert within(made(), "title") == ["a &lt;/title&gt; b"]


@pytest.mark.parametrize("script", ["</SCRIPT>", "<!--"])
def test_page__a_script_that_would_end_early_is_refused(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_file", lambda _: script)
    with pytest.raises(ValueError, match="end early"):
        made()
