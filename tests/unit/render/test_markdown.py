from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fakes.comparisons import BEFORE, compared, delta, failed, judged, measured, skipped
from mlci.core.documents import Failure, Record
from mlci.render import markdown
from mlci.render.report import Meta, Quoted, said

HOSTILE = [
    pytest.param("a | b", id="bar"),
    pytest.param("\\| b", id="escaped bar"),
    pytest.param("` `` ``` ````", id="back-ticks"),
    pytest.param("`", id="one back-tick"),
    pytest.param("```\n</details>\n<img src=x onerror=alert(1)>", id="fence and tags"),
    pytest.param("@team #1 https://example.com www.example.com", id="mention and link"),
    pytest.param("[x](javascript:alert(1)) ![y](z)", id="link and picture"),
    pytest.param("**bold** _it_ ~~no~~ <b>", id="emphasis"),
    pytest.param("line\n\n# heading\n- item", id="lines"),
    pytest.param("\x00\x1b[2J\u202e\ud800", id="control characters"),
    pytest.param("::error::x\n##[error]x", id="workflow commands"),
    pytest.param("", id="nothing"),
    pytest.param("\\", id="a backslash"),
]


def html(text: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(text))


def outside_code(text: str) -> str:
    return re.sub(r"<(code|pre)[^>]*>.*?</\1>", "", html(text), flags=re.DOTALL)


def hostile_report(text: str) -> str:
    error = Failure(kind="exception", message=text, file=text, cell=1, line=1, traceback=text)
    records: list[Record] = [
        measured(metrics={text: 0.5, "accuracy": 0.1}, parameters={text: text}, inputs={text: "1"}),
        failed("bad", error=error, command=text),
        skipped(reason=text),
    ]
    before = measured(commit=BEFORE, metrics={text: 0.6, "accuracy": 0.9})
    meta = Meta(commit=text, profile=text, command=text, run_url=text, workspace=text)
    return markdown.report(compared(*records, before=before), records, meta=meta)


def hostile_judgement(text: str) -> str:
    words: dict[str, Any] = {"noise": text, "tolerance": text, "unit": text}
    deltas = [
        delta(text, reason=text, **words),
        delta(text, reason=text, slice=text, **words),
        delta(text, reason=text, slice=f"{text}2", gate="fail", **words),
        delta(text, gate="pass", accepted=text, slice=f"{text}3", **words),
        delta(text, gate="none", **words),
    ]
    comparison = judged(
        *deltas, notes=(text,), changed=(text,), doubts=(text,), reason=text, run_url=text, created_at=text
    )
    return markdown.report(comparison, [measured(elsewhere=text)], meta=Meta())


@pytest.mark.parametrize("made", [hostile_report, hostile_judgement])
@pytest.mark.parametrize("text", HOSTILE)
def test_report__is_inert(text: str, made: Callable[[str], str]) -> None:
    shown = made(text)
    bare = outside_code(shown)
    assert not re.search(r"<(?!/?(details|summary|h3|ul|li|p|table|thead|tbody|tr|th|td|br)\b)", bare)
    for word in ("@team", "#1", "example.com", "javascript:", "onerror", "::error", "##[", "**", "~~"):
        assert word not in bare
    assert (
        html(shown).count("<details>")
        == html(shown).count("</details>")
        == len(re.findall("^<details>", shown, re.MULTILINE))
    )
    for table in re.findall(r"<table>.*?</table>", html(shown), flags=re.DOTALL):
        assert {row.count("<td>") for row in table.split("<tr>")[2:]} == {table.count("<th>")}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_code__is_one_code_span_whatever_the_text(text: str) -> None:
    rendered = html(f"x {markdown.code(text)} y")
    assert re.fullmatch(r"<p>x <code>[^<]*</code> y</p>\n", rendered)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_fence__is_one_block_whatever_the_text(text: str) -> None:
    assert re.fullmatch(r'<pre><code class="language-text">[^<]*</code></pre>\n', html(markdown.fence(text)))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="a @#|`*_<>[]()!:/.wW\\-~1\n", max_size=30))
def test_inline__a_sentence_never_becomes_mark_up(text: str) -> None:
    bare = outside_code(f"x {markdown.inline((said(text),))} y")
    assert bare.startswith("<p>x ")
    assert not re.search(r"[@#<|`*_\[\]]", bare.removeprefix("<p>").removesuffix("</p>\n"))


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (Quoted("f1_score"), "`f1_score`"),
        (Quoted("two words"), "`two words`"),
        (said("0.1 worse, at most 0.01 allowed"), "0.1 worse, at most 0.01 allowed"),
        (said("no column 'x' | y"), "`no column 'x' | y`"),
        (said("mail me@example"), "`mail me@example`"),
    ],
)
def test_inline__names_are_code_and_sentences_are_not(part: Quoted, shown: str) -> None:
    assert markdown.inline((part,)) == shown


def test_report__a_pass_is_two_lines_above_the_fold() -> None:
    records = [measured()]
    text = markdown.report(compared(*records, before=measured(commit=BEFORE)), records, meta=Meta(commit="c" * 40))
    assert text.split("<details>")[0].strip().splitlines() == [
        "### ✅ mlci: pass: 1 of 1 metric gated",
        "Commit `ccccccc`, baseline `bbbbbbb` (the merge base), profile `default` · took 42 s, CPU 40 s, peak 123 MB",
    ]


def test_report__a_failure_is_at_most_eight_lines_above_the_fold() -> None:
    records = [failed(f"run{number}") for number in range(9)]
    text = markdown.report(compared(*records), records, meta=Meta())
    assert len([line for line in text.split("<details>")[0].splitlines() if line.strip()]) <= 8


def test_report__says_only_what_the_records_say() -> None:
    """Rendering again from the same documents gives the same text."""
    records = [measured(), failed("bad"), skipped()]
    comparison = compared(*records)
    again = msgspec.json.decode(msgspec.json.encode(comparison), type=type(comparison))
    assert markdown.report(comparison, records, meta=Meta()) == markdown.report(again, records, meta=Meta())
