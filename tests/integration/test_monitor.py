"""`mlci monitor`: a deployed model on fresh data, and the one issue that says how it is, on a GitHub that remembers."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.command_line import Done, Workbench, workbench
from fakes.comparisons import measured
from fakes.github_server import Fault, GitHubServer, Issue, Request, github_server
from fakes.github_server import Repository as Hosted
from fakes.repositories import Repository
from mlci.actions import Actions
from mlci.commands.monitor import report
from mlci.core.documents import Record, encode
from mlci.core.drift import Finding
from mlci.core.monitoring import IssueMarker, Monitoring
from mlci.errors import ForgeError, StoreError
from mlci.plugins.forges.client import Client
from mlci.plugins.forges.patience import Patience
from mlci.posting.issues import Kept
from mlci.project import Invocation, Project
from mlci.releasing.monitoring import keep, received, watch_of

TOKEN, BOT = "ghs_monitor", "github-actions[bot]"
CONFIG = """
[runs.churn]
command = ["python", "train.py"]
metrics = ["metrics.json"]

[runs.watch]
command = ["python", "watch.py"]
metrics = ["watch.json"]

[models.churn]
stages = ["production"]

[metrics.accuracy]
max-regression = 0.01

[monitor.churn]
run = "watch"
drift = ["drift.json"]

[baseline]
store = "folder"
options = { path = "baselines" }
"""
TRAIN = 'import json\njson.dump({"accuracy": 0.9, "loss": 0.2}, open("metrics.json", "w"))\n'
WATCH = """
import json, os, sys
fresh = json.load(open("fresh.json"))
if "exit" in fresh:
    sys.exit(fresh["exit"])
told = {name: os.environ.get(name) for name in ("MLCI_MODEL", "MLCI_VERSION", "MLCI_COMMIT", "MLCI_GITHUB_TOKEN")}
json.dump(told, open("told.json", "w"))
json.dump({"accuracy": fresh["accuracy"]}, open("watch.json", "w"))
if "share" in fresh:
    count = {"metric_name": "DriftedColumnsCount(drift_share=0.5)", "config": {"drift_share": 0.5},
             "value": {"count": 1, "share": fresh["share"]}}
    json.dump({"metrics": [count], "tests": []}, open("drift.json", "w"))
"""
IGNORED = "baselines/\n*.json\n"


@dataclass
class Ward:
    """A model that is in production, and what watches it."""

    bench: Workbench
    released: str

    def monitor(self, *arguments: str, fresh: Any = None, **environ: str) -> Done:
        """Run `mlci monitor` on fresh data."""
        given = {"accuracy": 0.9, "share": 0.1} if fresh is None else fresh
        self.bench.write(fresh__json=json.dumps(given))
        return self.bench.mlci("monitor", *arguments, **environ)


def ward(folder: Path) -> Ward:
    """Version 1.0.0 of churn, measured and in production; HEAD is one commit further."""
    bench = workbench(folder)
    bench.write(mlci__toml=CONFIG, train__py=TRAIN, watch__py=WATCH, __gitignore=IGNORED)
    released = bench.commit("Train")
    for command in (["run", "churn"], ["record"], ["baseline", "save"]):
        done = bench.mlci(*command)
        assert done.code == 0, done.err
    for tag in ("churn@v1.0.0", "churn#production#1"):
        bench.repository.git("tag", "--annotate", "--message", tag, tag)
    bench.commit("Later")
    return Ward(bench, released)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    return ward(tmp_path_factory.mktemp("ward"))


@pytest.fixture
def here(pattern: Ward, tmp_path: Path) -> Ward:
    """A copy, as making one takes three runs of mlci."""
    shutil.copytree(pattern.bench.folder.parent, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Ward(Workbench(Repository(tmp_path / "repository"), tmp_path / "home"), pattern.released)


def test_monitor__a_healthy_model(here: Ward) -> None:
    done = here.monitor("churn")
    assert done.code == 0, done.err
    assert "churn v1.0.0 in production is healthy: 1 metric, 0 findings of drift" in done.out
    assert "no issue: there is no token" in done.err
    document = here.bench.document("monitor.json")
    assert (document["healthy"], document["commit"], document["reference"]) == (True, here.released, "churn")
    assert document["record"]["origin"]["commit"] != here.released
    told = json.loads((here.bench.folder / "told.json").read_text())
    assert told == {
        "MLCI_MODEL": "churn",
        "MLCI_VERSION": "v1.0.0",
        "MLCI_COMMIT": here.released,
        "MLCI_GITHUB_TOKEN": None,
    }


def test_monitor__what_only_the_training_reports_is_not_missing(here: Ward) -> None:
    here.bench.write(mlci__toml=CONFIG + "[metrics.loss]\nmax-regression = 0.1\n[gate]\non-inconclusive = 'fail'\n")
    assert here.monitor().code == 0


def test_monitor__a_model_that_got_worse(here: Ward) -> None:
    done = here.monitor("churn", "--no-issue", "--json", fresh={"accuracy": 0.8, "share": 0.1})
    assert done.code == 5
    assert "error: churn v1.0.0 in production is unhealthy" in done.err
    assert "watch: accuracy: 0.1 worse, at most 0.01 allowed" in done.err
    assert json.loads(done.out)["healthy"] is False


def test_monitor__a_report_only_gate_does_not_make_a_model_healthy(here: Ward) -> None:
    here.bench.write(mlci__toml=CONFIG + '[gate]\nmode = "report"\n')
    assert here.monitor(fresh={"accuracy": 0.8, "share": 0.1}).code == 5


def test_monitor__drift(here: Ward) -> None:
    done = here.monitor(fresh={"accuracy": 0.9, "share": 0.75})
    assert done.code == 5
    assert "drift.json: drift of dataset: 0.75 of the columns drifted, it drifts from 0.5" in done.err


def test_monitor__a_run_that_fails_says_nothing_of_the_model(here: Ward) -> None:
    here.monitor()
    done = here.monitor(fresh={"exit": 1})
    assert done.code == 4
    assert "watch (failed)" in done.err
    assert not (here.bench.folder / ".mlci/monitor.json").exists()
    done = here.monitor("--report", fresh={})
    assert (done.code, "there is none: the run did not succeed" in done.err) == (2, True)


def test_monitor__a_drift_report_of_the_last_time_is_none(here: Ward) -> None:
    here.monitor()
    done = here.monitor(fresh={"accuracy": 0.9})
    assert (done.code, "'drift.json' is as it was before the run" in done.err) == (4, True)
    assert not (here.bench.folder / ".mlci/monitor.json").exists()


def test_monitor__a_run_that_selection_leaves_out(here: Ward) -> None:
    here.bench.write(
        mlci__toml=CONFIG.replace('metrics = ["watch.json"]', 'metrics = ["watch.json"]\nonly = { events = ["push"] }')
    )
    done = here.monitor()
    assert (done.code, "watch was left out: event local is not in only.events" in done.err) == (4, True)


def test_monitor__nothing_judged_is_not_healthy(here: Ward) -> None:
    here.bench.write(mlci__toml=CONFIG.replace("[metrics.accuracy]", "[metrics.f1]").replace("drift = [", "# ["))
    done = here.monitor()
    assert (done.code, "nothing was judged" in done.err) == (5, True)


def test_monitor__a_version_without_a_record_is_not_healthy(here: Ward) -> None:
    here.bench.repository.git("tag", "-a", "-m", "x", "churn@v2.0.0")
    here.bench.repository.git("tag", "-a", "-m", "x", "churn#production#2")
    here.bench.write(mlci__toml=CONFIG.replace("drift = [", "# ["))
    done = here.monitor()
    assert done.code == 5
    assert "there is no record of watch or churn at churn@v2.0.0" in done.err


def test_monitor__the_monitors_own_record_comes_first(here: Ward) -> None:
    here.bench.repository.git("checkout", "--quiet", here.released)
    here.bench.write(fresh__json='{"accuracy": 0.7, "share": 0.1}')
    for command in (["run", "watch"], ["record"], ["baseline", "save"]):
        assert here.bench.mlci(*command).code == 0
    here.bench.repository.git("checkout", "--quiet", "main")
    assert here.monitor(fresh={"accuracy": 0.7, "share": 0.1}).code == 0
    assert here.bench.document("monitor.json")["reference"] == "watch"


def test_monitor__keeps_the_newest_record_of_a_version(here: Ward) -> None:
    here.monitor("--keep")
    time.sleep(1.1)  # a measuring is dated to the second
    done = here.monitor("--keep", fresh={"accuracy": 0.895, "share": 0.1})
    assert "kept the record in folder baselines" in done.err
    [entry] = [item for item in json.loads(here.bench.mlci("baseline", "list", "--json").out) if item["run"] == "watch"]
    assert entry == {"run": "watch", "profile": "monitor.production", "commit": here.released}
    [file] = (here.bench.folder / "baselines/runs/watch").rglob("*.json")
    metric = json.loads(file.read_text())["metrics"][0]
    assert metric["value"] == 0.895
    (before, first), (now, second) = metric["series"]
    assert (before < now, second) == (True, 0.895)
    assert first != second


@pytest.mark.parametrize(
    ("change", "arguments", "code", "said"),
    [
        (("", ""), ("chrun",), 3, "monitor.chrun: no such key"),
        (
            ("drift = [", 'stage = "prodction"\ndrift = ['),
            (),
            3,
            "monitor.churn.stage.prodction: no such key",
        ),
        (("drift.json", "../../drift.json"), (), 3, "monitor.churn.drift: '../../drift.json' leaves the repository"),
        (('stages = ["production"]', 'stages = ["production", "dev"]'), (), 0, ""),
        (('run = "watch"', 'run = "watch"\nstage = "dev"'), (), 3, "monitor.churn.stage.dev: no such key"),
        (("", ""), ("--no-issue", "--report"), 2, "--no-issue excludes --report and --keep"),
        (("", ""), ("--no-issue", "--keep"), 2, "--no-issue excludes --report and --keep"),
    ],
)
def test_monitor__what_cannot_be(
    here: Ward, change: tuple[str, str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    here.bench.write(mlci__toml=CONFIG.replace(*change))
    done = here.monitor(*arguments)
    assert (done.code, said in done.err) == (code, True), done.err


def test_monitor__a_stage_that_holds_nothing(here: Ward) -> None:
    here.bench.repository.git("tag", "--delete", "churn#production#1")
    done = here.monitor()
    assert (done.code, "nothing to watch in the stage production of churn: it holds no version" in done.err) == (
        2,
        True,
    )


def test_monitor__in_ci_code_and_a_token_are_kept_apart(here: Ward) -> None:
    ci = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "schedule",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REPOSITORY": "team/models",
        "GITHUB_API_URL": "http://127.0.0.1:9",
    }
    done = here.monitor(**ci, MLCI_GITHUB_TOKEN=TOKEN)
    assert (done.code, "this job holds a token and would run code" in done.err) == (2, True)
    assert not (here.bench.folder / "told.json").exists()
    done = here.monitor(**ci | {"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REF": "refs/heads/feature"})
    assert (done.code, "monitors report from the default branch only" in done.err) == (2, True)
    done = here.monitor("--no-issue", **ci, MLCI_GITHUB_TOKEN=TOKEN)
    assert done.code == 0, done.err
    assert json.loads((here.bench.folder / "told.json").read_text())["MLCI_GITHUB_TOKEN"] is None


@dataclass
class Clinic:
    """The same with a GitHub, in this process, whose waits take no time."""

    ward: Ward
    server: GitHubServer
    github: Hosted
    said: list[str] = field(default_factory=list)

    def project(self, run: int = 41, attempt: int = 1) -> Project:
        """The project in a job of workflow run `run`, on a schedule."""
        environ = self.ward.bench.environ | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "schedule",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_REPOSITORY_ID": "5",
            "GITHUB_SHA": "c" * 40,
            "GITHUB_API_URL": self.server.url,
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_TOKEN": TOKEN,
        }
        folder, actions = self.ward.bench.folder, Actions(environ, io.StringIO())
        project = Project.open(
            Invocation(environ=environ, folder=folder, config_file=None, say=self.said.append, actions=actions)
        )
        waited = [0.0]
        patience = Patience(clock=lambda: waited[0], sleep=lambda s: waited.__setitem__(0, waited[0] + s))
        project.__dict__["client"] = (Client(self.server.url, TOKEN, patience, 1.0), "team/models")
        return project

    def left(self, accuracy: float = 0.8, run: int = 41, **changes: Any) -> None:
        """Leave the `monitor.json` of another job."""
        fresh = measured("watch", metrics={"accuracy": accuracy})
        record = changes.pop("record", None) or msgspec.structs.replace(
            fresh, origin=msgspec.structs.replace(fresh.origin, run_id=str(run))
        )
        given: dict[str, Any] = {
            "monitor": "churn",
            "model": "churn",
            "stage": "production",
            "version": "v1.0.0",
            "tag": "churn@v1.0.0",
            "commit": self.ward.released,
        }
        path = self.ward.bench.folder / ".mlci/monitor.json"
        path.write_bytes(encode(Monitoring(record=record, **given | changes)))

    def report(self, accuracy: float = 0.8, run: int = 41, **changes: Any) -> Kept:
        """Report what a job left."""
        self.left(accuracy, run, **changes)
        project = self.project(run)
        return report(project, project.issues, received(project, watch_of(project, None)))

    @property
    def issues(self) -> list[Issue]:
        """Ours and others', oldest first."""
        return list(self.github.issues.values())

    def writes(self, seen: int) -> list[str]:
        """What was changed since so many requests."""
        changes = [item for item in self.server.requests[seen:] if item.method != "GET" and item.path != "/graphql"]
        return [item.method for item in changes]


@contextmanager
def clinic(folder: Path) -> Iterator[Clinic]:
    with github_server() as server:
        server.token(TOKEN, issues="write", contents="read", default="none")
        yield Clinic(ward(folder), server, server.repository("team/models"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic")) as made:
        yield made


@pytest.fixture
def team(built: Clinic) -> Clinic:
    """A GitHub without issues."""
    built.github.issues.clear()
    built.github.pulls.clear()
    built.said.clear()
    built.server.before = None
    built.server.arm()
    return built


def test_report__opens_one_issue(team: Clinic) -> None:
    kept = team.report()
    [issue] = team.issues
    assert (kept.done, issue.state, issue.user.login, issue.labels) == ("opened", "open", BOT, ("mlci",))
    assert issue.title == "churn in production is unhealthy (churn)"
    assert issue.body is not None
    assert issue.body.startswith("### ❌ churn v1.0.0 in production is unhealthy\n")
    assert "`watch: accuracy: 0.1 worse, at most 0.01 allowed`" in issue.body
    assert any(line.startswith("issue opened: http") for line in team.said)


def test_report__the_same_again_writes_nothing(team: Clinic) -> None:
    team.report()
    seen = len(team.server.requests)
    assert team.report().done is None
    assert team.writes(seen) == []


def test_report__the_next_run_updates_it_in_place(team: Clinic) -> None:
    team.report(0.8)
    seen = len(team.server.requests)
    assert team.report(0.7, run=42).done == "updated"
    [issue] = team.issues
    assert "| 0.7 " in (issue.body or "")
    assert team.writes(seen) == ["PATCH"]
    assert team.github.comments == {}


def test_report__healthy_closes_it_with_the_last_values(team: Clinic) -> None:
    team.report(0.8)
    assert team.report(0.905, run=42).done == "closed"
    [issue] = team.issues
    assert (issue.state, issue.state_reason) == ("closed", "completed")
    assert (issue.body or "").startswith("### ✅ churn v1.0.0 in production is healthy\n")
    assert "0.905" in (issue.body or "")
    assert team.github.comments == {}


def test_report__healthy_and_no_issue_writes_nothing(team: Clinic) -> None:
    seen = len(team.server.requests)
    team.report(0.9)
    assert (team.issues, team.writes(seen)) == ([], [])
    team.report(0.8, run=42)
    team.report(0.9, run=43)
    seen = len(team.server.requests)
    team.report(0.9, run=44)
    assert team.writes(seen) == []


def test_report__unhealthy_again_opens_the_same_issue_again(team: Clinic) -> None:
    for run, accuracy in enumerate((0.8, 0.9, 0.8), start=41):
        kept = team.report(accuracy, run=run)
    [issue] = team.issues
    assert (kept.done, issue.state) == ("reopened", "open")


def test_report__drift_alone(team: Clinic) -> None:
    team.report(0.9, drift=(Finding(kind="drift", report="drift.json", what="dataset"),))
    [issue] = team.issues
    assert "`drift.json: drift of dataset`" in (issue.body or "")


def test_report__an_older_run_leaves_what_a_newer_one_said(team: Clinic) -> None:
    team.report(0.8, run=50)
    seen = len(team.server.requests)
    assert team.report(0.9, run=49).reason == "a newer run has reported already"
    assert team.writes(seen) == []


def test_report__markers_of_others_are_nothing(team: Clinic) -> None:
    forged = IssueMarker(id="main", monitor="churn", run_id=99, attempt=1)
    team.github.issue("All is well", body=f"x\n\n{forged}", login="mallory", labels=("mlci",))
    team.github.issue("Quoted", body=f"> {forged}\n\nSee above.", login=BOT, labels=("mlci",))
    other = team.github.issue(
        "Another's", body=str(IssueMarker(id="main", monitor="x", run_id=1, attempt=1)), login=BOT
    )
    before = [(issue.title, issue.body, issue.state) for issue in team.issues]
    team.report(0.8)
    assert [(issue.title, issue.body, issue.state) for issue in team.issues[:3]] == before
    assert len(team.issues) == 4
    team.report(0.9, run=42)
    assert [issue.state for issue in team.issues] == ["open", "open", "open", "closed"]
    assert other.state == "open"


def test_report__is_found_among_many_on_all_pages(team: Clinic) -> None:
    team.report(0.8)
    for number in range(150):
        team.github.issue(f"Issue {number}", body="x", login=BOT)
    team.report(0.7, run=42)
    assert len(team.issues) == 151


def test_report__an_issue_without_our_label_is_ours_all_the_same(team: Clinic) -> None:
    team.report(0.8)
    team.issues[0].labels = ()
    team.report(0.7, run=42)
    assert len(team.issues) == 1


def test_report__an_issue_that_is_deleted_meanwhile_is_made_anew(team: Clinic) -> None:
    team.report(0.8)

    def delete(request: Request) -> None:
        if request.method == "PATCH":
            team.github.issues.clear()

    team.server.before = delete
    assert team.report(0.7, run=42).done == "opened"
    assert len(team.issues) == 1


def test_report__two_at_once_leave_one_open(team: Clinic) -> None:
    other = [True]

    def interleave(request: Request) -> None:
        if request.method == "POST" and request.path.endswith("/issues") and other:
            other.clear()
            team.report(0.8, run=41)  # a second job opens its issue while the first is about to

    team.server.before = interleave
    project = team.project(42)
    team.left(0.7, run=42)
    report(project, project.issues, received(project, watch_of(project, None)))
    assert [(issue.state, issue.state_reason) for issue in team.issues] == [("open", None), ("closed", "not_planned")]
    assert "| 0.7 " in (team.issues[0].body or "")


KINDS = ("committed-502", "cut", "dropped", "dropped-committed", "502", "429", "empty-body", "stale-list", "read-only")
REQUESTS = 4


@pytest.mark.fault
@pytest.mark.parametrize("nth", range(REQUESTS))
@pytest.mark.parametrize("kind", KINDS)
def test_report__whatever_happens_to_a_request_there_is_one_issue(team: Clinic, kind: str, nth: int) -> None:
    team.server.arm(Fault(kind, nth=nth))
    try:
        team.report(0.8)
    except ForgeError:
        assert kind == "read-only"
        team.server.arm()
        team.report(0.8)
    [issue] = team.issues
    assert issue.state == "open"
    team.server.arm(Fault(kind, nth=nth))
    try:
        team.report(0.9, run=42)
    except ForgeError:
        assert kind == "read-only"
        team.report(0.9, run=42)
    assert [issue.state for issue in team.issues] == ["closed"]


def test_report__makes_so_many_requests(team: Clinic) -> None:
    seen = len(team.server.requests)
    team.report(0.8)
    assert len(team.server.requests) - seen == REQUESTS, "say the new count above"


def test_report__a_token_that_may_not(team: Clinic) -> None:
    team.server.arm(Fault("read-only", method="POST", path="issues$"))
    with pytest.raises(ForgeError) as caught:
        team.report()
    assert "add `issues: write`" in (caught.value.hint or "")


def test_report__a_claim_to_be_healthy_is_judged_again(team: Clinic) -> None:
    team.report(0.8, healthy=True, reasons=())
    assert [issue.state for issue in team.issues] == ["open"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"monitor": "vision"}, "it is not what the monitor 'churn' leaves"),
        ({"stage": "dev"}, "it is not what the monitor 'churn' leaves"),
        ({"record": measured("churn")}, "it is not what the monitor 'churn' leaves"),
        ({"commit": "f" * 40}, "it measured 'ffffffffff', and production now holds v1.0.0 ("),
        ({"record": measured("watch")}, "it was not measured by this workflow run"),
        ({"format": 99}, "format 99, this mlci reads up to 1"),
        ({"record": "failed"}, "a run that did not succeed"),
        ({"record": "profile"}, "is not the name of a profile"),
        ({"drift": (Finding(kind="drift", report="r", what="x"),) * 1_001}, "too many findings"),
    ],
)
def test_report__what_no_honest_job_leaves(team: Clinic, changes: dict[str, Any], said: str) -> None:
    if isinstance(changes.get("record"), str):
        changes = {"record": _bad(changes["record"])}
    team.left(**changes)
    project = team.project()
    with pytest.raises(Exception, match=r"(monitor|record)\.json") as caught:
        received(project, watch_of(project, None))
    assert said in str(caught.value)
    assert team.issues == []


def test_keep__in_ci_only_what_this_very_event_measured(team: Clinic) -> None:
    team.left(0.9)
    project = team.project()
    found = received(project, watch_of(project, None))
    with pytest.raises(StoreError, match="it comes from the event 'local', this is 'schedule'"):
        keep(project, found)
    measuring = msgspec.structs.replace(found.record.origin, event="schedule", repository_id="5")
    record = msgspec.structs.replace(found.record, origin=measuring)
    kept = keep(project, msgspec.structs.replace(found, record=record))
    assert kept is not None
    assert (kept.profile, kept.origin.commit, kept.command) == ("monitor.production", team.ward.released, None)
    assert keep(project, msgspec.structs.replace(found, record=record)) is None


def _bad(what: str) -> Record:
    fresh = measured("watch")
    fresh = msgspec.structs.replace(fresh, origin=msgspec.structs.replace(fresh.origin, run_id="41"))
    return msgspec.structs.replace(fresh, **({"status": "failed"} if what == "failed" else {"profile": "../x"}))
