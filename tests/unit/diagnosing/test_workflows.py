"""Workflow files with one defect each."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.command_line import Workbench
from fakes.patients import CONFIG, amiss, edit, example, healthy, only, patient, workflow
from mlci.core.finding import Finding
from mlci.diagnosing.workflows import files

PULL, MAIN, FORK = (f".github/workflows/{name}.yml" for name in ("pull-request", "main", "fork-comment"))
SAVING = "contents: write # to push the branch mlci-data; this job runs no code of the commit\n    s"
FETCHED = "name: mlci\n          path: .mlci/"
PINNED = "9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return healthy(tmp_path)


def found(bench: Workbench) -> Finding:
    return only(amiss(bench, "workflow"))


def at(bench: Workbench, finding: Finding) -> str:
    """The line that a finding points to."""
    assert finding.file is not None
    assert finding.line is not None
    return (bench.folder / finding.file).read_text().splitlines()[finding.line - 1].strip()


@pytest.mark.parametrize(
    ("file", "old", "new", "slug", "level", "line"),
    [
        (PULL, "on:\n", "On:\n", "no-trigger", "error", "On:"),
        (PULL, "on:\n", "yes:\n", "no-trigger", "error", "yes:"),
        (FORK, "workflows: [mlci]", "workflows: [CI]", "unknown-workflow", "error", "workflow_run:"),
        (MAIN, "branches: [main]", "branches: [master]", "branches", "warning", "push:"),
        (MAIN, "branches: [main]", "branches: ['release/**']", "branches", "warning", "push:"),
        (MAIN, "branches: [main]", "branches: ['**', '!main']", "branches", "warning", "push:"),
        (MAIN, "branches: [main]", "branches-ignore: ['m*']", "branches", "warning", "push:"),
        (PULL, "pull_request:\n", "pull_request:\n    branches: [dev]\n", "branches", "warning", "pull_request:"),
        (PULL, "pull_request:\n", "pull_request:\n    paths: ['**.py']\n", "paths", "warning", "pull_request:"),
        (PULL, "statuses: write", "statuses: read", "permissions", "error", "permissions:"),
        (PULL, "      pull-requests: write", "      #", "permissions", "error", "permissions:"),
        (FORK, "actions: read", "actions: none", "permissions", "error", "permissions:"),
        (MAIN, SAVING, SAVING.replace("write", "read"), "permissions", "error", "permissions:"),
        (PULL, f"acme/mlci@{PINNED}", "acme/mlci@main", "unpinned", "warning", "uses: acme/mlci@main"),
        (PULL, "acme/mlci/comment@", "OWNER/mlci/comment@", "placeholder", "error", "uses: OWNER/mlci/comment@"),
        (PULL, "include-hidden-files: true", "overwrite: true", "hidden-files", "error", "- name: Keep what was"),
        (PULL, FETCHED, FETCHED.replace("mlci\n", "ml\n"), "artifact-name", "error", "- name: Fetch what was"),
        (PULL, "timeout-minutes: 60", "timeout-minutes: 5", "deadline", "error", "timeout-minutes: 5"),
        (PULL, "timeout-minutes: 60", "timeout-minutes: 8", "deadline", "warning", "timeout-minutes: 8"),
        (PULL, "jobs:\n", "jobs: [\n", "unreadable", "error", ""),
    ],
)  # fmt: skip
def test_check__one_defect_one_finding(
    bench: Workbench, file: str, old: str, new: str, slug: str, level: str, line: str
) -> None:
    edit(bench, file, old, new)
    finding = next(item for item in amiss(bench, "workflow"))
    others = amiss(bench, "workflow")[1:]
    assert (finding.slug, finding.level, finding.file) == (f"workflow/{slug}", level, file)
    assert at(bench, finding).startswith(line)
    assert finding.remedy
    # A workflow that cannot be read or waited for is missed by another one.
    allowed = {"workflow/unknown-workflow", "workflow/none"} if slug == "unreadable" else set()
    assert {item.slug for item in others} <= allowed


@pytest.mark.parametrize("branches", ["[main]", "['**']", "['m*']", "[main, '!dev']", "'main'", "['ma[hi]n']"])
def test_branches__that_let_the_default_branch_in(bench: Workbench, branches: str) -> None:
    edit(bench, MAIN, "branches: [main]", f"branches: {branches}")
    assert amiss(bench, "workflow") == []


def test_branches__a_pattern_takes_no_time(bench: Workbench) -> None:
    edit(bench, "mlci.toml", "[metrics.", f'[baseline]\nbranch = "{"a/" * 200}b"\n[metrics.')
    edit(bench, MAIN, "branches: [main]", f"branches: ['{'*a' * 80}c']")
    assert only(amiss(bench, "workflow")).slug == "workflow/branches"


def test_absent__no_workflow_uses_mlci(bench: Workbench) -> None:
    for path in (PULL, MAIN, FORK):
        (bench.folder / path).unlink()
    workflow(bench, "on: push\njobs:\n  t:\n    runs-on: x\n    steps: [{run: pip install mlci}]\n")
    assert found(bench).slug == "workflow/none"


def test_absent__nothing_saves_baselines(bench: Workbench) -> None:
    (bench.folder / MAIN).unlink()
    assert found(bench).slug == "workflow/no-baseline"


def test_tags__a_deployment_that_waits_for_the_token_s_own_tag(bench: Workbench) -> None:
    steps = f"[{{uses: acme/mlci/deploy@{PINNED}}}]"
    rights = "{contents: read, deployments: write}"
    job = f"jobs:\n  d:\n    permissions: {rights}\n    steps: {steps}\n"
    workflow(bench, f"on:\n  push:\n    tags: ['*']\n{job}", "deploy.yml")
    assert found(bench).slug == "workflow/tag-by-token"


def test_labels__that_start_nothing(bench: Workbench) -> None:
    edit(bench, "mlci.toml", 'timeout = "5m"', 'timeout = "5m"\nonly = { labels = ["gpu"] }')
    assert found(bench).slug == "workflow/labels"
    edit(bench, PULL, "pull_request:\n", "pull_request:\n    types: [opened, synchronize, labeled]\n")
    assert amiss(bench, "workflow") == []


CHECKOUT = f"""
      - uses: actions/checkout@{PINNED}
        with:
          persist-credentials: false
          ref: REF
"""


@pytest.mark.parametrize(
    "ref",
    [
        "${{ github.event.pull_request.head.sha }}",
        "${{ github.event.workflow_run.head_sha }}",
        "${{github.head_ref}}",
        "refs/pull/${{ github.event.number }}/merge",
    ],
)
@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run"])
def test_trust__a_privileged_workflow_takes_no_stranger_s_code(bench: Workbench, event: str, ref: str) -> None:
    text = example("fork-comment").replace("    steps:\n", f"    steps:{CHECKOUT.replace('REF', ref)}")
    if event == "pull_request_target":
        text = text.replace("workflow_run:", "pull_request_target:").replace("    workflows: [mlci]\n", "")
    workflow(bench, text, "fork-comment.yml")
    finding = found(bench)
    assert (finding.slug, finding.level) == ("workflow/untrusted-checkout", "error")
    assert at(bench, finding).startswith("- uses: actions/checkout")


def test_trust__neither_by_a_script(bench: Workbench) -> None:
    edit(bench, FORK, "    steps:\n", "    steps:\n      - run: gh pr checkout 7\n")
    assert found(bench).slug == "workflow/untrusted-checkout"


def test_trust__under_pull_request_target_the_base_is_measured(bench: Workbench) -> None:
    edit(bench, PULL, "  pull_request:\n", "  pull_request_target:\n")
    finding = found(bench)
    assert (finding.slug, at(bench, finding)) == ("workflow/base-code", "pull_request_target:")


def test_trust__the_token_does_not_stay_on_the_code_s_disk(bench: Workbench) -> None:
    edit(bench, PULL, "persist-credentials: false", "fetch-depth: 1")
    finding = found(bench)
    assert (finding.slug, finding.subject) == ("workflow/credentials", f"{PULL}, job run")


def test_trust__secrets_in_the_job_of_the_code(bench: Workbench) -> None:
    edit(bench, PULL, "permissions: {}\n", "permissions: {}\nenv:\n  HF_TOKEN: ${{ secrets.HF }}\n")
    finding = found(bench)
    assert (finding.slug, "can read HF" in finding.found) == ("workflow/secrets", True)


def test_rights__a_job_that_says_no_permissions(bench: Workbench) -> None:
    edit(bench, MAIN, "permissions: {}\n", "")
    edit(bench, MAIN, "    permissions:\n      contents: read # to check the commit out\n", "")
    assert amiss(bench, "workflow") == []  # the job that runs asks GitHub for nothing
    edit(bench, PULL, "permissions: {}\n", "")
    edit(
        bench, PULL, "    permissions:\n      contents: read # to check the commit out and to read the baselines\n", ""
    )
    finding = found(bench)
    assert (finding.slug, finding.level) == ("workflow/default-permissions", "unknown")
    assert "permissions: { contents: read }" in finding.remedy


@pytest.mark.parametrize(("given", "enough"), [("write-all", True), ("read-all", False), ("{}", False)])
def test_rights__permissions_in_a_word(bench: Workbench, given: str, enough: bool) -> None:
    job = f"jobs:\n  c:\n    permissions: {given}\n    steps: [{{uses: acme/mlci/comment@{PINNED}}}]\n"
    workflow(bench, f"on: pull_request\n{job}")
    assert [item.slug for item in amiss(bench, "workflow")] == ([] if enough else ["workflow/permissions"])


def test_rights__what_the_configuration_does_not_want_is_not_asked_for(bench: Workbench) -> None:
    edit(bench, PULL, "      statuses: write # to set the status mlci/ID\n", "")
    edit(bench, FORK, "      statuses: write # to set the status mlci/ID\n", "")
    bench.write(mlci__toml=f"{CONFIG}\n[report]\nstatus = false\n")
    assert amiss(bench, "workflow") == []
    bench.write(mlci__toml=f"{CONFIG}\n[report]\nstatus = false\ncheck-run = true\n")
    assert {item.found.partition("needs ")[2] for item in amiss(bench, "workflow")} == {"checks: write"}


CALLED = """
on: pull_request
jobs:
  p:
    permissions: {contents: read, pull-requests: write}
    uses: ./.github/workflows/pull-request.yml
"""


def test_rights__a_called_workflow_asks_for_more_than_the_caller_grants(bench: Workbench) -> None:
    edit(bench, PULL, "on:\n", "on:\n  workflow_call:\n")
    workflow(bench, CALLED)
    finding = found(bench)
    assert (finding.slug, "needs statuses: write" in finding.found) == ("workflow/called-permissions", True)
    workflow(bench, CALLED.replace("write}", "write, statuses: write}"))
    assert amiss(bench, "workflow") == []


@pytest.mark.parametrize(
    ("old", "new", "slug"),
    [
        (f"check.yml@{PINNED}", "check.yml@v1", "unpinned"),
        ("acme/mlci", "OWNER/mlci", "placeholder"),
        ("contents: write", "contents: read", "permissions"),
        ("statuses: write", "issues: write", "permissions"),
        ("branches: [main]", "branches: [x]", "branches"),
        ("    with:\n", "    with:\n      timeout-minutes: 8\n", "deadline"),
    ],
)
def test_check__the_workflow_of_mlci_s_own_repository(bench: Workbench, old: str, new: str, slug: str) -> None:
    for path in (PULL, MAIN, FORK):
        (bench.folder / path).unlink()
    workflow(bench, example("call-reusable"))
    assert amiss(bench, "workflow") == []
    edit(bench, ".github/workflows/mlci.yml", old, new)
    assert found(bench).slug == f"workflow/{slug}"


SCRIPT = f"""
on: [push, pull_request]
jobs:
  ci:
    permissions: {{contents: write, pull-requests: write, statuses: write}}
    steps:
      - uses: actions/checkout@{PINNED}
        with: {{persist-credentials: false}}
      - run: |
          python -m pip install mlci
          mlci run && python -m mlci compare
      - run: mlci comment
"""


def test_rights__a_script_without_a_token(bench: Workbench) -> None:
    for path in (PULL, MAIN, FORK):
        (bench.folder / path).unlink()
    workflow(bench, SCRIPT)
    found = amiss(bench, "workflow")
    assert [item.slug for item in found] == ["workflow/no-baseline", "workflow/no-token", "workflow/history"]
    workflow(
        bench, SCRIPT.replace("jobs:", "env: {GITHUB_TOKEN: '${{ github.token }}'}\njobs:").replace("comment", "ci")
    )
    assert amiss(bench, "workflow") == []


def test_rights__a_run_that_wants_an_identity(bench: Workbench) -> None:
    edit(bench, "mlci.toml", '"5m"', '"4m"\npass-env = ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]')
    assert {item.slug for item in amiss(bench, "workflow")} == {"workflow/id-token"}
    for path in (PULL, MAIN):
        edit(bench, path, "contents: read # to check the commit out", "id-token: write\n      contents: read #")
    assert amiss(bench, "workflow") == []
    edit(bench, "mlci.toml", '"4m"', '"6m"')
    assert {item.slug for item in amiss(bench, "workflow")} == {"workflow/oidc"}


def test_timing__credentials_end_before_the_runs(bench: Workbench) -> None:
    login = f"      - uses: aws-actions/configure-aws-credentials@{PINNED}\n"
    edit(bench, "mlci.toml", '"5m"', '"40m"')
    edit(bench, PULL, "timeout-minutes: 60", "timeout-minutes: 90")
    edit(bench, MAIN, "timeout-minutes: 60", "timeout-minutes: 90")
    edit(bench, PULL, "      - name: Run, compare and gate\n", f"{login}      - name: Run, compare and gate\n")
    finding = found(bench)
    assert (finding.slug, "last 1 h 00 min, its runs up to 1 h 20 min" in finding.found) == ("workflow/oidc", True)
    edit(bench, PULL, login, f"{login}        with: {{role-duration-seconds: 7200}}\n")
    assert amiss(bench, "workflow") == []


@pytest.mark.parametrize(("jobs", "amount"), [("1", 1), ("2", 0), ("auto", 0), ("", 1)])
def test_timing__runs_at_once_take_less_long(bench: Workbench, jobs: str, amount: int) -> None:
    edit(bench, PULL, "timeout-minutes: 60", "timeout-minutes: 8")
    edit(bench, PULL, "args: --no-post # this", f"args: --no-post\n          jobs: '{jobs}' # this")
    assert len(amiss(bench, "workflow")) == amount


def test_timing__a_run_that_this_event_does_not_select(bench: Workbench) -> None:
    edit(bench, PULL, "timeout-minutes: 60", "timeout-minutes: 5")
    edit(bench, "mlci.toml", '"5m"', '"5m"\nonly = { events = ["push"] }')
    assert amiss(bench, "workflow") == []


def test_lfs__checkouts_leave_pointers(bench: Workbench) -> None:
    bench.write(__gitattributes="*.csv filter=lfs diff=lfs merge=lfs -text\n")
    bench.repository.git("add", ".gitattributes")
    found = amiss(bench, "workflow")
    assert {(item.slug, item.subject) for item in found} == {
        ("workflow/lfs", f"{PULL}, job run"),
        ("workflow/lfs", f"{MAIN}, job run"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list\n",
        "on: push\njobs: 7\n",
        "on: push\njobs: {a: {steps: 7}}\n",
        "on: push\njobs: {a: {steps: [7, {uses: [], run: {}, with: 3, env: x}]}}\n",
        "on: {push: 3, workflow_run: {workflows: {}}}\njobs: {a: {permissions: 4, timeout-minutes: x}}\n",
        "on: [[push]]\n? [a]\n: b\n",
        "a: &a [*a]\n",
        f"{'[' * 1000}",
        "mlci: \x00",
        "when: 2024-13-45\non: push\n",
    ],
    ids=lambda text: text[:20],
)
def test_files__whatever_they_hold(bench: Workbench, text: str) -> None:
    workflow(bench, text)
    assert [item for item in amiss(bench, "workflow") if "unchecked" in item.slug] == []


def test_files__anchors_that_multiply_are_looked_at_once(bench: Workbench) -> None:
    script = "mlci run " * 2_000
    steps = ", ".join(["*s"] * 300)
    jobs = "\n".join(f"  j{number}: {{steps: *steps}}" for number in range(300))
    step = f"{{run: '{script}', uses: 'actions/upload-artifact@main'}}"
    text = f"on: push\nx: &s {step}\ny: &steps [{steps}]\njobs:\n{jobs}\n"
    assert len(text) < files._MAX_BYTES
    workflow(bench, text)
    assert {item.slug for item in amiss(bench, "workflow")} == {"workflow/unpinned"}


@pytest.mark.parametrize(
    "step",
    [
        "uses: actions/upload-artifact@main, with: {path: *x, name: *x, include-hidden-files: *x}",
        "uses: actions/checkout@main, with: {ref: *x, repository: *x}",
        "uses: aws-actions/configure-aws-credentials@main, with: {role-duration-seconds: *x}",
        "uses: o/mlci@main, with: {profile: *x, jobs: *x, args: *x}, env: {MLCI_EXTRAS: *x}",
    ],
)
def test_files__aliases_of_aliases_are_never_written_out(bench: Workbench, step: str) -> None:
    """Ten of ten of ten, a hundred times: no memory holds that as a text."""
    anchors = "".join(f"x{number + 1}: &x{number + 1} [{', '.join([f'*x{number}'] * 10)}]\n" for number in range(99))
    jobs = f"jobs:\n  run:\n    permissions: {{contents: *x}}\n    steps: [{{uses: o/mlci@main}}, {{{step}}}]\n"
    bomb = f"x0: &x0 [a]\n{anchors}x: &x [*x99]\n"
    workflow(bench, f"{bomb}on: {{pull_request_target: {{branches: [*x]}}}}\n{jobs}")
    bench.write(mlci__toml=CONFIG + '[targets.prod]\nkind = "object-store"\noptions = { url = "s3://b/m" }\n')
    found = amiss(bench, "workflow", "deployment")
    assert found
    assert not [item for item in found if "unchecked" in item.slug]


def test_files__a_link_to_what_never_ends(bench: Workbench) -> None:
    (bench.folder / ".github/workflows/zero.yml").symlink_to("/dev/zero")
    broken = [item.path for item in files.workflows(patient(bench)) if isinstance(item, files.Unreadable)]
    assert broken == [".github/workflows/zero.yml"]


def test_files__too_large_to_be_one(bench: Workbench) -> None:
    workflow(bench, f"# mlci {'x' * 300_000}\n")
    assert found(bench).slug == "workflow/unreadable"
