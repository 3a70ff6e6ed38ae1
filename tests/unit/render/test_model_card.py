from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import yaml
from markdown_it import MarkdownIt

from fakes.comparisons import BEFORE, COMMIT, compared, measured
from mlci.core.documents import Cost, Environment, Metric
from mlci.core.release import Release, ReleaseFile
from mlci.render.model_card import body, card

HOSTILE = (
    "</details><script>alert(1)</script> @team #1 [x](http://evil) ![y](http://evil)\n---\nkey: value\n# big\n```\n|`|"
)


@dataclass(frozen=True)
class Words:
    description: str = "Predicts who leaves."
    intended_use: str = "For offers.\n\nNot for prices."
    license: str | None = "apache-2.0"
    tags: tuple[str, ...] = ("tabular", "churn")
    owners: tuple[str, ...] = ("@team/models",)


METRICS = (
    Metric(name="accuracy", value=0.9, split="test", samples=(0.89, 0.91), seeds=(0, 1), n=500, standard_error=0.013),
    Metric(name="accuracy", value=0.8, slice="plan=free"),
    Metric(name="loss", value=float("nan")),
)


def release(**fields: Any) -> Release:
    record = measured(
        "churn",
        metrics=None,
        environment=Environment(python="3.11.7", implementation="CPython", packages={"numpy": "2.1.0"}),
        inputs={"data/train.csv": "d" * 64},
        parameters={"trees": 200},
        command="mlci run churn",
        seeds=(0, 1),
    )
    origin = msgspec.structs.replace(
        record.origin, run_id="41", run_attempt=2, run_url="https://github.com/team/models/actions/runs/41"
    )
    given: dict[str, Any] = {
        "model": "churn",
        "version": "v1.2.0",
        "tag": "churn@v1.2.0",
        "commit": COMMIT,
        "created_at": "2026-01-02T03:04:05+00:00",
        "record": msgspec.structs.replace(record, metrics=METRICS, origin=origin),
        "files": (ReleaseFile(name="model.bin", size=1_500_000, sha256="e" * 64, kind="artifact"),),
        "previous": "v1.1.0",
    }
    return Release(**given | fields)


def front_matter(text: str) -> Any:
    # As Hugging Face finds it.
    match = re.match(r"^(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\r|\n|$))", text)
    assert match
    return yaml.safe_load(match[2])


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n\n")[2].partition("\n## ")[0]


def test_card__front_matter() -> None:
    assert front_matter(card(release(), Words())) == {
        "license": "apache-2.0",
        "tags": ["mlci", "tabular", "churn"],
        "model-index": [
            {
                "name": "churn",
                "results": [
                    {
                        "task": {"type": "other"},
                        "dataset": {"type": "recorded", "name": "run churn, profile default"},
                        "metrics": [
                            {"type": "accuracy", "name": "accuracy [test]", "value": 0.9},
                            {"type": "accuracy", "name": "accuracy [plan=free]", "value": 0.8},
                        ],
                    }
                ],
            }
        ],
    }


def test_card__front_matter_is_one_that_hugging_face_reads() -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card(release(), Words())).data
    assert data.license == "apache-2.0"
    assert [(result.metric_type, result.metric_value) for result in data.eval_results] == [
        ("accuracy", 0.9),
        ("accuracy", 0.8),
    ]


def test_card__without_anything_to_say() -> None:
    bare = Words(description="", intended_use="", license=None, tags=(), owners=())
    record = measured("churn", metrics={}, resources=None, outputs=())
    text = card(release(record=record, previous=None, files=()), bare)
    assert front_matter(text) == {"tags": ["mlci"]}
    assert "## Intended use" not in text
    assert "## Metrics" not in text
    assert "The version before: none" in text


def test_body__metrics_with_seeds_slices_and_errors() -> None:
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in section(body(release(), Words()), "Metrics").splitlines()
    ]
    assert rows[0] == ["Metric", "Split", "Slice", "Value", "Spread", "Seeds", "Examples"]
    assert rows[2] == [
        "`accuracy`",
        "`test`",
        "all",
        "0.9",
        "0.89 to 0.91, ± 0.013 (standard error)",
        "0, 1",
        "500",
    ]
    assert rows[3] == ["`accuracy`", "–", "`plan=free`", "0.8", "–", "–", "–"]
    assert rows[4][3] == "NaN"


def test_body__compares_with_the_version_before() -> None:
    now, before = measured("churn", metrics={"accuracy": 0.95}), measured("churn", commit=BEFORE)
    text = section(
        body(release(comparison=compared(now, before=before)), Words()), "Against the version that was deployed"
    )
    assert f"Compared with the commit `{BEFORE}`" in text
    assert re.search(r"\| `accuracy` +\| 0.9 +\| 0.95 +\| \+0.05 ", text)


def test_body__says_where_it_comes_from() -> None:
    text = body(release(override="hotfix"), Words())
    assert text.startswith(
        "# churn v1.2.0\n\nPredicts who leaves.\n\n## Intended use\n\nFor offers.\n\nNot for prices."
    )
    assert "[this workflow run](https://github.com/team/models/actions/runs/41)" in text
    assert "Released against the policy: hotfix" in text
    assert "Owners: `@team/models`" in text
    assert f"`data/train.csv` | `{'d' * 64}`" in text
    assert "numpy==2.1.0" in text
    assert "Workflow run `41`, attempt 2" in text
    assert "Parameter `trees = 200`" in text
    assert "The version before: `v1.1.0`" in text
    assert "Duration 42 s, all of 2 seeds\n- CPU 40 s\n- Peak memory 123 MB" in text
    assert re.search(rf"`model.bin` +\| artifact +\| 1.5 MB +\| `{'e' * 64}`", text)
    assert "sha256sum --check SHA256SUMS" in text


def test_body__says_what_it_cost() -> None:
    made = release()
    priced = msgspec.structs.replace(made.record, cost=Cost(amount=1.5, currency="USD"))
    assert "- Cost 1.50 USD" in body(release(record=priced), Words())
    assert "- Cost" not in body(made, Words())


def test_body__a_file_in_the_artifact_store() -> None:
    far = ReleaseFile(name="big.bin", size=3 * 10**9, sha256="f" * 64, kind="artifact", stored="s3://models/ff/f")
    text = body(release(files=(far,)), Words())
    assert "`s3://models/ff/f`" in text
    assert "sha256sum --check --ignore-missing SHA256SUMS" in text


def test_card__other_peoples_words_are_inert() -> None:
    hostile = Metric(name=HOSTILE, value=1.0, slice=HOSTILE, unit=HOSTILE, split=HOSTILE)
    origin = msgspec.structs.replace(
        release().record.origin, branch=HOSTILE, run_id=HOSTILE, run_url="https://a/) [x](http://evil"
    )
    record = msgspec.structs.replace(
        release().record,
        name=HOSTILE,
        profile=HOSTILE,
        metrics=(hostile,),
        inputs={HOSTILE: HOSTILE},
        parameters={HOSTILE: HOSTILE},
        command=HOSTILE,
        origin=origin,
        environment=Environment(python=HOSTILE, implementation=HOSTILE, platform=HOSTILE, packages={HOSTILE: HOSTILE}),
    )
    file = ReleaseFile(name=HOSTILE, size=1, sha256=HOSTILE, kind="artifact", stored=HOSTILE)
    words = Words(HOSTILE, f"Fine.\n===\n{HOSTILE}", HOSTILE, (HOSTILE,), (HOSTILE,))
    text = card(
        release(
            record=record,
            files=(file,),
            version=HOSTILE,
            tag=HOSTILE,
            model=HOSTILE,
            override=HOSTILE,
            previous=HOSTILE,
        ),
        words,
    )
    assert set(front_matter(text)) == {"license", "tags", "model-index"}
    matter, _, rest = text.removeprefix("---\n").partition("\n---\n")
    assert "\nkey:" not in matter
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(rest)
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1:] == [
        "Intended use",
        "What it is",
        "Metrics",
        "Against the version before",
        "Data and code",
        "Environment",
        "Lineage",
        "Cost",
        "Files",
        "How to check the files",
    ]
    inner = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inner} <= {"text", "code_inline", "softbreak"}
    assert [token.content.strip() for token in tokens if token.type == "html_block"] == [
        "<details><summary>1 package</summary>",
        "</details>",
    ]
    assert not any(
        mark in child.content for child in inner if child.type == "text" for mark in ("@", "#1", "http", "<")
    )
    assert all(
        row.count("<td") in (2, 5, 7)
        for row in MarkdownIt("gfm-like", {"linkify": False}).render(rest).split("<tr>")[1:]
        if "<td" in row
    )
