"""`mlci comment` against a GitHub that remembers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.comparisons import failed, measured
from fakes.scenes import CONFIG, TOKEN, Scene, scene
from mlci.commands.comment import comment
from mlci.core import marker
from mlci.errors import ForbiddenError


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def post(team: Scene, **environ: object) -> dict[str, str]:
    return comment(team.project(team.environ(**environ)), team.forge())  # type: ignore[arg-type]


def test_comment__says_the_verdict_and_sets_the_status(team: Scene) -> None:
    team.measure(accuracy=0.8)
    outputs = post(team)
    [body] = team.comments
    assert body.startswith("### ❌ mlci: fail, blocking: 1 metric worse than allowed")
    assert "`train` `accuracy` 0.9 → 0.8 (−11.1%, noise not known): 0.1 worse, at most 0.01 allowed" in body
    assert f"baseline `{team.main[:7]}` (the merge base)" in body
    assert "[the workflow run's artifact](https://github.com/team/models/actions/runs/41#artifacts)" in body
    assert "took 42 s, CPU 40 s, peak 123 MB" in body
    assert marker.find(body) == marker.Marker(id="main", run_id=41, attempt=1, head=team.head)
    state, description = team.statuses["mlci/main"]
    assert (state, description) == ("failure", "fail, blocking: 1 metric worse than allowed, 1 of 1 metric gated")
    assert outputs["pull-request"] == "7"
    assert re.fullmatch(r"https?://\S+/team/models/pull/7#issuecomment-\d+", outputs["comment-url"])


def test_comment__a_second_push_updates_it_in_place(team: Scene) -> None:
    team.measure(accuracy=0.8)
    post(team)
    [first] = team.github.comments
    team.measure(accuracy=0.95)
    post(team, run=42)
    assert list(team.github.comments) == [first]
    assert team.comments[0].startswith("### ✅ mlci: pass")
    assert team.statuses["mlci/main"][0] == "success"


def test_comment__the_same_report_again_writes_nothing(team: Scene) -> None:
    team.measure()
    post(team)
    seen = len(team.server.requests)
    post(team)
    assert {request.method for request in team.server.requests[seen:] if request.path != "/graphql"} == {"GET"}


def test_comment__is_found_among_many_on_all_pages(team: Scene) -> None:
    team.measure(accuracy=0.8)
    post(team)
    for number in range(250):
        team.github.comment(7, f"Comment {number}", "ada")
    team.measure(accuracy=0.9)
    post(team, run=42)
    assert len(team.comments) == 251
    assert team.comments[0].startswith("### ✅")


def test_comment__an_older_run_never_overwrites_a_newer_one(team: Scene) -> None:
    team.measure(accuracy=0.9)
    post(team, run=50)
    team.measure(accuracy=0.8)
    post(team, run=49)
    assert team.comments[0].startswith("### ✅")
    assert team.statuses["mlci/main"][0] == "success"


def test_comment__an_older_attempt_leaves_comment_and_status(team: Scene) -> None:
    team.measure(accuracy=0.9)
    post(team, attempt=2)
    team.measure(accuracy=0.8)
    post(team, attempt=1)
    assert team.comments[0].startswith("### ✅")
    assert team.statuses["mlci/main"][0] == "success"
    assert "no comment: a newer run has reported already" in team.said


def test_comment__a_marker_in_somebody_else_s_comment_is_nothing(team: Scene) -> None:
    forged = marker.Marker(id="main", run_id=99, attempt=1, head=team.head)
    team.github.comment(7, f"All is well\n\n{forged}", "mallory")
    team.measure(accuracy=0.8)
    post(team)
    assert len(team.comments) == 2
    assert team.comments[0].startswith("All is well")


def test_comment__a_marker_that_is_quoted_is_nothing(team: Scene) -> None:
    quoted = marker.Marker(id="main", run_id=99, attempt=1, head=team.head)
    team.github.comment(7, f"> {quoted}\n\nSee above.", "github-actions[bot]")
    team.measure(accuracy=0.8)
    post(team)
    assert len(team.comments) == 2


def test_comment__each_id_has_its_own(team: Scene) -> None:
    team.measure()
    post(team)
    team.configure(f'id = "vision"\n{CONFIG}')
    post(team)
    assert [found.id for body in team.comments if (found := marker.find(body))] == ["main", "vision"]
    assert team.statuses.keys() == {"mlci/main", "mlci/vision"}


def test_comment__a_head_that_moved_is_not_commented_on(team: Scene) -> None:
    team.measure()
    team.pull.head_sha = "d" * 40
    post(team)
    assert team.comments == []
    assert f"no comment: the head of pull request 7 has moved to {'d' * 10}" in team.said
    assert team.statuses["mlci/main"][0] == "failure"  # whoever looks at the old commit finds it


def test_comment__a_head_that_moves_just_before_writing(team: Scene) -> None:
    team.measure()
    team.server.before = lambda request: (
        setattr(team.pull, "head_sha", "d" * 40) if request.path == "/graphql" else None
    )
    post(team)
    assert team.comments == []


def test_comment__a_closed_pull_request_gets_nothing(team: Scene) -> None:
    team.measure()
    team.pull.state = "closed"
    post(team)
    assert team.comments == []
    assert team.statuses == {}


def test_comment__two_at_once_converge_to_one(team: Scene) -> None:
    team.measure()
    other = [True]

    def interleave(request: object) -> None:
        if getattr(request, "method", "") == "POST" and "comments" in getattr(request, "path", "") and other:
            other.clear()
            post(team)  # a second job creates its comment while the first is about to

    team.server.before = interleave
    post(team)
    assert len(team.comments) == 1


def test_comment__a_body_that_is_not_there_yet_is_waited_for(team: Scene) -> None:
    from fakes.github_server import Fault  # noqa: PLC0415 - only here

    team.measure(accuracy=0.8)
    team.server.arm(Fault("empty-body", method="POST", path="issues/7/comments", times=3))
    post(team)
    team.measure(accuracy=0.9)
    post(team, run=42)
    assert len(team.comments) == 1
    assert team.comments[0].startswith("### ✅")


@pytest.mark.parametrize(
    ("mode", "accuracy", "expected"),
    [
        ("always", 0.9, 1),
        ("on-change", 0.9, 0),
        ("on-change", 0.905, 1),
        ("on-failure", 0.905, 0),
        ("on-failure", 0.8, 1),
        ("never", 0.8, 0),
    ],
)
def test_comment__modes(team: Scene, mode: str, accuracy: float, expected: int) -> None:
    team.configure(f'{CONFIG}\n[report]\ncomment = "{mode}"\n')
    team.measure(accuracy=accuracy)
    post(team)
    assert len(team.comments) == expected
    assert "mlci/main" in team.statuses


def test_comment__one_that_is_there_is_kept_up_to_date_in_every_mode_but_never(team: Scene) -> None:
    team.configure(f'{CONFIG}\n[report]\ncomment = "on-failure"\n')
    team.measure(accuracy=0.8)
    post(team)
    team.measure(accuracy=0.9)
    post(team, run=42)
    assert team.comments[0].startswith("### ✅")


def test_comment__without_permission_warns_and_keeps_the_summary(team: Scene) -> None:
    team.server.token(TOKEN, pull_requests="read", issues="read", statuses="read")
    team.measure(accuracy=0.8)
    post(team)
    assert team.comments == []
    assert team.summary.startswith("### ❌ mlci: fail, blocking")
    assert any("the comment could not be posted" in line for line in team.said)
    assert any("add `pull-requests: write` to the job's `permissions:`" in line for line in team.said)
    assert any("add `statuses: write`" in line for line in team.said)
    assert "::warning title=mlci::the comment could not be posted" in team.stream.getvalue()


def test_comment__without_any_permission_the_summary_still_tells(team: Scene) -> None:
    team.server.token(TOKEN, default="none")
    team.measure(accuracy=0.8)
    post(team)
    assert team.summary.startswith("### ❌ mlci: fail, blocking")


def test_comment__on_forbidden_fail(team: Scene) -> None:
    team.configure(f'{CONFIG}\n[report]\non-forbidden = "fail"\n')
    team.server.token(TOKEN, pull_requests="read", issues="read")
    team.measure()
    with pytest.raises(ForbiddenError, match="Resource not accessible by integration") as caught:
        post(team)
    assert "pull-requests: write" in str(caught.value.hint)


def test_comment__inconclusive_is_success_in_words(team: Scene) -> None:
    team.measure(measured(commit=team.merge, metrics={"loss": 0.1}))
    team.configure('[runs.train]\ncommand = ["true"]\n[metrics.loss]\nmax-regression = 0.01\n')
    post(team)
    state, description = team.statuses["mlci/main"]
    assert state == "success"
    assert description.startswith("no baseline, not blocking")


def test_comment__a_run_that_did_not_succeed_fails_the_status_even_in_report_mode(team: Scene) -> None:
    team.configure(f'{CONFIG}\n[gate]\nmode = "report"\n')
    team.measure(failed(commit=team.merge))
    post(team)
    assert team.statuses["mlci/main"][0] == "failure"


def test_comment__nothing_measured_is_said_aloud(team: Scene) -> None:
    post(team)
    assert team.comments[0].startswith("### ❌ mlci: nothing was measured")
    state, description = team.statuses["mlci/main"]
    assert state == "error"
    assert description == "nothing was measured: the job that runs the code ended before mlci had a record"


def test_comment__nothing_selected_still_sets_the_status(team: Scene) -> None:
    from fakes.comparisons import skipped  # noqa: PLC0415 - only here

    team.measure(skipped("train"))
    post(team)
    assert team.statuses["mlci/main"][0] == "success"


def test_comment__the_merge_queue_gets_a_status_only(team: Scene) -> None:
    team.measure(accuracy=0.9)
    group = {"head_sha": team.merge, "base_sha": team.main, "base_ref": "refs/heads/main"}
    post(team, event="merge_group", merge_group=group)
    assert team.comments == []
    assert [(item.sha, item.state) for item in team.github.statuses] == [(team.merge, "success")]


def test_comment__a_push_finds_its_open_pull_request(team: Scene) -> None:
    team.measure(accuracy=0.8)
    environ = team.environ(event="push", ref="refs/heads/deeper-trees")
    environ |= {"GITHUB_REF": "refs/heads/deeper-trees", "GITHUB_SHA": team.head}
    comment(team.project(environ), team.forge())
    assert len(team.comments) == 1


def test_comment__a_check_run_is_neutral_where_the_gate_is_undecided(team: Scene) -> None:
    team.configure(f"{CONFIG}\n[report]\ncheck-run = true\n".replace("accuracy]", "loss]"))
    team.measure(loss=0.1)
    post(team)
    post(team)
    [check] = team.github.check_runs.values()
    assert (check.name, check.conclusion, check.head_sha) == ("mlci/main", "neutral", team.head)


def test_comment__a_check_run_annotates_the_line_that_raised(team: Scene) -> None:
    team.configure(f"{CONFIG}\n[report]\ncheck-run = true\n")
    team.measure(failed(commit=team.merge))
    post(team)
    [check] = team.github.check_runs.values()
    assert check.conclusion == "failure"
    assert [(item["path"], item["message"]) for item in check.annotations] == [
        ("notebooks/train.ipynb", "ValueError: no such column")
    ]


def test_comment__the_token_is_nowhere(team: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    team.measure()
    project = team.project()
    forge = team.forge()
    comment(project, forge)
    for text in (repr(project), repr(forge), repr(forge.client), str(vars(forge.client.patience)), *team.said):
        assert TOKEN not in text
    assert TOKEN not in capsys.readouterr().out + team.stream.getvalue()
    for file in team.folder.rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes(), file
