"""Whatever a run prints, raises or calls its metrics: in Markdown, logs, annotations and outputs it is only text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest
from markdown_it import MarkdownIt

from fakes.command_line import Done, notebook, workbench

HOSTILE = (
    "a | b ` c ``` d <img src=x onerror=alert(1)> </details> @team #1 [x](javascript:y)\n"
    "::error::pwned\n::set-output name=verdict::pass\n##[error]pwned\n\x00\x1b[2J\u202eend"
)
SCRIPT = f"""
import json, os
hostile = {HOSTILE!r}
print(hostile)
print(os.environ["MLCI_PARAMETERS"])
json.dump({{hostile: 1.0, "loss": 2.0}}, open("metrics.json", "w"))
"""
RAISES = f"hostile = {HOSTILE!r}\nprint(hostile)\nraise ValueError(hostile)"
CONFIG = f"""
[runs.script]
script = "train.py"
metrics = ["metrics.json"]
parameters = {{ text = {json.dumps(HOSTILE)} }}
[runs.note]
notebook = "note.ipynb"
[metrics."a*"]
max-regression = 0.1
"""


@dataclass
class Seen:
    """What people and machines get to see."""

    done: Done
    markdown: str
    outputs: str
    summary: str


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("hostile")
    bench = workbench(folder)
    bench.write(mlci__toml=CONFIG, train__py=SCRIPT, note__ipynb=notebook(RAISES), __gitignore="metrics.json\n")
    bench.commit()
    event, outputs, summary = (folder / name for name in ("event.json", "outputs", "summary"))
    event.write_text(json.dumps({"pull_request": {"number": 1, "labels": [{"name": HOSTILE}]}}))
    done = bench.mlci(
        "ci",
        GITHUB_ACTIONS="true",
        GITHUB_EVENT_NAME="pull_request",
        GITHUB_EVENT_PATH=str(event),
        GITHUB_OUTPUT=str(outputs),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert done.code == 4
    return Seen(done, (bench.folder / ".mlci/report.md").read_text(), outputs.read_text(), summary.read_text())


def commands(log: str) -> list[str]:
    """The workflow commands that a runner would obey."""
    obeyed: list[str] = []
    stopped: str | None = None
    for line in log.splitlines():
        text = line.strip()
        if stopped:
            stopped = None if text == f"::{stopped}::" else stopped
        elif text.startswith("::stop-commands::"):
            stopped = text.removeprefix("::stop-commands::")
        elif text.startswith("::") or "##[" in text:
            obeyed.append(text)
    return obeyed


def test_log__no_command_but_mlci_s_own(seen: Seen) -> None:
    obeyed = commands(seen.done.out + "\n" + seen.done.err)
    assert obeyed
    for line in obeyed:
        assert re.match(r"::(group::|endgroup::|error (file=note\.ipynb,)?(line=\d+,)?title=)", line), line


def test_log__no_control_character(seen: Seen) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", seen.done.out + seen.done.err)


def test_markdown__is_only_text(seen: Seen) -> None:
    html = MarkdownIt("commonmark").enable("table").render(seen.markdown)
    bare = re.sub(r"<(code|pre)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    for word in ("<img", "onerror", "@team", "javascript:", "pwned"):
        assert word not in bare
    assert html.count("<details>") == html.count("</details>") == seen.markdown.count("\n<details>")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", seen.markdown)


def test_markdown__rows_keep_their_columns(seen: Seen) -> None:
    html = MarkdownIt("commonmark").enable("table").render(seen.markdown)
    for table in re.findall(r"<table>.*?</table>", html, flags=re.DOTALL):
        columns = table.count("<th>")
        assert all(row.count("<td>") in (0, columns) for row in table.split("<tr>"))


def test_summary__is_the_report(seen: Seen) -> None:
    assert seen.summary == seen.markdown


def test_outputs__hold_what_they_say(seen: Seen) -> None:
    names = re.findall(r"^([a-z]+)<<(mlci-[0-9a-f]{32})\n.*\n\2$", seen.outputs, flags=re.MULTILINE)
    assert [name for name, _ in names] == ["verdict", "summary", "regressions", "record", "report"]
    assert "pwned" not in seen.outputs
