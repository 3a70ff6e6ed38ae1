"""`mlci doctor` as people and runners call it."""

from __future__ import annotations

import json
from pathlib import Path

from fakes.patients import edit, healthy, published


def test_doctor__a_healthy_repository_in_a_few_lines(tmp_path: Path) -> None:
    done = published(tmp_path).mlci("doctor")
    assert done.code == 0
    assert done.out.splitlines() == [
        "github",
        "  ? rights and rules: it is not known which repository on GitHub this is",
        '    → Add the remote: git remote add origin URL; or set GITHUB_REPOSITORY to "owner/name".',
        "",
        "✓ configuration, interpreter, notebook, files, rules, git, store, workflow, deployment, machine",
        "mlci doctor: 1 not known",
    ]
    assert done.err == ""


def test_doctor__an_error_is_exit_3_and_an_object(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    edit(bench, "mlci.toml", "timeout", "timout")
    done = bench.mlci("doctor", "--json", "--offline")
    assert done.code == 3
    found = json.loads(done.out)
    assert found[0] == {
        "slug": "configuration/refused",
        "level": "error",
        "subject": "runs.train.timout",
        "found": "no such key",
        "remedy": "Did you mean 'timeout'?",
        "file": "mlci.toml",
        "line": 8,
    }
    assert {item["level"] for item in found} <= {"ok", "warning", "error", "unknown"}


def test_doctor__warnings_exit_0_and_are_annotations_on_a_runner(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    edit(bench, ".github/workflows/main.yml", "branches: [main]", "branches: [x::error::y]")
    token = "ghs_canaryCANARYcanary0123456789"
    done = bench.mlci("doctor", "--offline", GITHUB_ACTIONS="true", GITHUB_TOKEN=token)
    assert done.code == 0
    annotations = [line for line in done.out.splitlines() if line.startswith("::warning")]
    assert len(annotations) == 1
    assert "file=.github/workflows/main.yml,line=11,title=mlci doctor%3A workflow/branches::" in annotations[0]
    assert token not in done.out + done.err


def test_doctor__without_git_it_says_what_to_install(tmp_path: Path) -> None:
    done = healthy(tmp_path).mlci("doctor", PATH=str(tmp_path))
    assert (done.code, "Install git" in done.err) == (6, True)
