"""`mlci history` and `mlci baseline prune` on a real repository, with a remote, from the command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.command_line import Workbench, workbench
from fakes.git_server import GitServer, git_server
from fakes.records import record
from fakes.repositories import ENVIRON
from mlci.core.documents import Metric, Record
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.plugins.stores.interface import Site

CONFIG = '[runs.churn]\nscript = "train.py"\n[runs.ranking]\nscript = "train.py"\n[profiles.full]\nevents = ["local"]\n'


@dataclass
class Bench:
    """A repository with six commits, the oldest first, of which the first five were measured, a year apart."""

    work: Workbench
    server: GitServer
    commits: list[str]

    def store(self) -> GitBranchStore:
        return GitBranchStore(site=Site(folder=self.work.folder, environ=ENVIRON))


def measured(commit: str, year: int) -> Record:
    metrics = (
        Metric(name="accuracy", value=0.5 + (year - 2020) / 100, samples=(0.5, 0.6), n=100),
        Metric(name="accuracy", value=0.25, slice="country=de"),
    )
    return msgspec.structs.replace(record(commit=commit, created_at=f"{year}-05-01T12:00:00Z"), metrics=metrics)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with git_server(tmp_path / "served") as server:
        work = workbench(tmp_path)
        work.write(mlci__toml=CONFIG, train__py="")
        commits = [work.commit(str(number)) for number in range(6)]
        work.repository.git("remote", "add", "origin", server.create())
        work.repository.git("push", "--quiet", "origin", "main")
        made = Bench(work, server, commits)
        made.store().save([measured(commit, 2020 + number) for number, commit in enumerate(commits[:5])])
        yield made


def test_history__shows_the_last_records(bench: Bench) -> None:
    done = bench.work.mlci("history", "accuracy", "-n", "3", COLUMNS="100")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "churn (full): accuracy, higher is better"
    assert sum("│" in line or "┤" in line for line in lines) == 11  # the chart
    table = lines.index(next(line for line in lines if line.startswith("  commit")))
    rows = lines[table + 2 :]
    assert [row.split()[:6] for row in rows] == [
        [bench.commits[4][:7], "2024-05-01", "0.54", "2", "100", "+0.01"],
        [bench.commits[3][:7], "2023-05-01", "0.53", "2", "100", "+0.01"],
        [bench.commits[2][:7], "2022-05-01", "0.52", "2", "100", "+0.01"],
    ]


def test_history__counts_the_commit_that_is_checked_out(bench: Bench) -> None:
    bench.work.repository.git("checkout", "--quiet", bench.commits[1])
    done = bench.work.mlci("history", "accuracy", "--json")
    [found] = json.loads(done.out)
    assert [point["commit"] for point in found["points"]] == [bench.commits[1], bench.commits[0]]
    assert found["points"][0]["change"] == pytest.approx(0.01)


def test_history__of_a_slice_where_a_terminal_has_no_blocks(bench: Bench) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlci", "history", "acc*", "--slice", "country=*", "--run", "churn"],
        cwd=bench.work.folder,
        env=bench.work.environ | {"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"churn (full): accuracy [country=de], higher is better\n")
    assert b"    +-----" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("arguments", "code", "said", "hint"),
    [
        pytest.param(["acuracy"], 2, "no metric 'acuracy'", "Did you mean 'accuracy'?", id="metric"),
        pytest.param(["auc"], 2, "no metric 'auc'", "Known here: accuracy.", id="nothing like it"),
        pytest.param(
            ["accuracy", "--slice", "country=fr"], 2, "no slice 'country=fr'", "Did you mean 'country=de'?", id="slice"
        ),
        pytest.param(["accuracy", "--run", "ranking"], 6, "no record of ranking", "churn (profile full)", id="run"),
        pytest.param(["accuracy", "--run", "../up"], 6, "run '../up'", "", id="no run"),
        pytest.param(["accuracy", "-n", "0"], 2, "'-n'", "", id="none"),
    ],
)
def test_history__says_what_there_is(bench: Bench, arguments: list[str], code: int, said: str, hint: str) -> None:
    done = bench.work.mlci("history", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert hint in done.err


def test_history__where_there_is_no_room_for_a_chart(bench: Bench) -> None:
    done = bench.work.mlci("history", "accuracy", COLUMNS="40")
    assert done.out.splitlines()[0] == "churn (full): accuracy, higher is better  ▁▃▅▆█"


def page_of(path: Path) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_history_html__is_one_page_of_all_that_the_store_holds(bench: Bench) -> None:
    git = bench.work.repository.git
    git("tag", "-a", "-m", "Released", "churn@v1.0.0", bench.commits[3])
    git("push", "--quiet", "origin", "churn@v1.0.0")
    git("tag", "-d", "churn@v1.0.0")
    bench.work.write(mlci__toml=f"{CONFIG}[models.churn]\n")
    bench.store().save([msgspec.structs.replace(measured(bench.commits[2], 2022), profile="nightly", name="ranking")])
    done = bench.work.mlci("history", "--html")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("MB): open it in a browser\n")
    found = page_of(bench.work.folder / ".mlci/history.html")
    full, nightly = found["profiles"]
    assert (full["name"], nightly["name"]) == ("full", "nightly")
    assert full["commits"] == bench.commits[:5]
    assert full["subjects"] == ["0", "1", "2", "3", "4"]
    assert full["behind"] == [0] * 5
    [churn] = full["runs"]
    assert [series["name"] for series in (*churn["series"], *churn["slices"])] == ["accuracy", "accuracy"]
    assert churn["releases"] == [[3, "v1.0.0", "churn@v1.0.0"]]
    assert [run["name"] for run in nightly["runs"]] == ["ranking"]


def test_history_html__of_what_is_asked_for(bench: Bench) -> None:
    done = bench.work.mlci(
        *("history", "acc*", "--run", "churn", "--slice", "country=*", "-n", "2", "--html", "site/index.html")
    )
    assert (done.code, done.err) == (0, "")
    [profile] = page_of(bench.work.folder / "site/index.html")["profiles"]
    assert profile["commits"] == bench.commits[3:5]
    [churn] = profile["runs"]
    assert (churn["series"], [series["slice"] for series in churn["slices"]]) == ([], ["country=de"])


def test_history_html__links_lead_to_the_repository_of_the_runner_only(bench: Bench) -> None:
    claimed = msgspec.structs.replace(
        measured(bench.commits[5], 2025),
        origin=msgspec.structs.replace(
            measured(bench.commits[5], 2025).origin, run_id="77", run_url="https://evil.example/x"
        ),
    )
    bench.store().save([claimed])
    event = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "team/models", "GITHUB_EVENT_NAME": "push"}
    assert bench.work.mlci("history", "--html", **event).code == 0
    file = bench.work.folder / ".mlci/history.html"
    assert "evil.example" not in file.read_text()
    found = page_of(file)
    assert found["home"] == "https://github.com/team/models"
    assert found["profiles"][0]["runs"][0]["workflow_runs"][-1] == 77


def test_history_html__what_was_accepted_at_its_commit(bench: Bench) -> None:
    work, entry = bench.work, '[[accepted]]\nrun = "churn"\nprofile = "full"\nmetric = "accuracy"\nbaseline = 0.9\n'
    work.write(mlci__toml=f"{CONFIG}[metrics.accuracy]\nmax-regression = 0.01\n")
    levels = [0.9] * 10 + [0.8] * 10
    commits = []
    for place, _ in enumerate(levels):
        if place == 10:
            (work.folder / "mlci-accepted.toml").write_text(
                f'{entry}value = 0.8\nreason = "smaller"\ndate = "2024-05-01"\n'
            )
        if place == 12:  # pruned, as its work is done
            (work.folder / "mlci-accepted.toml").unlink()
        commits.append(work.commit(f"Level {place}"))
    bench.store().save(
        [
            msgspec.structs.replace(
                measured(commit, 2024),
                metrics=(Metric(name="accuracy", value=level + 0.002 * (place % 3)),),
            )
            for place, (commit, level) in enumerate(zip(commits, levels, strict=True))
        ]
    )
    assert work.mlci("history", "accuracy", "--html").code == 0
    [profile] = page_of(work.folder / ".mlci/history.html")["profiles"]
    [series] = profile["runs"][0]["series"]
    assert [(profile["commits"][place], mark, why) for place, mark, why in series["marks"]] == [
        (commits[10], "accepted", "smaller")
    ]


def test_history_html__of_a_shallow_clone(bench: Bench, tmp_path: Path) -> None:
    url = bench.work.repository.git("remote", "get-url", "origin")
    shallow = workbench(tmp_path / "other")
    shutil.rmtree(shallow.folder)
    subprocess.run(["git", "clone", "--quiet", "--depth=1", url, str(shallow.folder)], check=True, env=ENVIRON)
    done = shallow.mlci("history", "--html", "-n", "300")
    assert (done.code, done.err) == (0, "")
    [profile] = page_of(shallow.folder / ".mlci/history.html")["profiles"]
    assert profile["subjects"] == ["0", "1", "2", "3", "4"]  # fetched: commits, no files
    assert "as far back as the clone reaches" in (shallow.folder / ".mlci/history.html").read_text()


def test_history_html__refusals(bench: Bench) -> None:
    for arguments, code, said in (
        ([], 2, "which metric?\n  Known here: accuracy"),
        (["--html", "accuracy"], 2, "ends in .html"),
        (["acuracy", "--html"], 2, "no metric 'acuracy'"),
        (["--html", "--json"], 2, "exclude each other"),
        (["--html", "--run", "nobody"], 6, "no record of nobody (any profile)"),
        (["--html", "mlci.toml/x.html"], 2, "cannot be written"),
    ):
        done = bench.work.mlci("history", *arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert said in done.err


def test_history_html__reads_any_number_of_records_in_few_requests(bench: Bench) -> None:
    shutil.rmtree(bench.work.folder / ".git" / "mlci")
    bench.server.requests.clear()
    assert bench.work.mlci("history", "--html").code == 0
    tip, folders, shards, records, tags = 3, 2, 2, 2, 2
    assert len(bench.server.requests) <= tip + 3 * folders + shards + records + tags


def test_history__reads_a_run_in_one_fetch_for_trees_and_one_for_records(bench: Bench) -> None:
    shutil.rmtree(bench.work.folder / ".git" / "mlci")
    bench.server.requests.clear()
    assert bench.work.mlci("history", "accuracy", "--run", "churn").code == 0
    tip, names, shards, records, tags = 3, 2, 2, 2, 2
    assert len(bench.server.requests) == tip + names + shards + records + tags


def test_prune__keeps_what_is_young_tagged_or_the_last(bench: Bench) -> None:
    bench.work.repository.git("tag", "-a", "-m", "Released", "churn@v1", bench.commits[0])
    bench.work.repository.git("push", "--quiet", "origin", "churn@v1")
    bench.work.repository.git("tag", "-d", "churn@v1")
    bench.work.repository.git("tag", "local", bench.commits[1])
    going = [f"churn (full) at {commit[:7]}" for commit in sorted(bench.commits[2:4])]
    tried = bench.work.mlci("baseline", "prune", "--keep", "30d", "--dry-run")
    assert tried.out.splitlines() == [f"would remove {line}" for line in going]
    done = bench.work.mlci("baseline", "prune", "--keep", "30d")
    assert (done.code, done.out.splitlines()) == (0, [f"removed {line}" for line in going])
    assert {entry.commit for entry in bench.store().entries()} == {bench.commits[0], bench.commits[1], bench.commits[4]}
    assert bench.work.mlci("baseline", "prune", "--keep", "30d").out.startswith("no record is old enough to go in ")


def test_prune__takes_the_age_from_the_configuration(bench: Bench) -> None:
    said = bench.work.mlci("baseline", "prune")
    assert said.code == 2
    assert "[baseline] keep" in said.err
    days = (datetime.now(UTC) - datetime(2022, 1, 1, tzinfo=UTC)).days
    bench.work.write(mlci__toml=f'{CONFIG}[baseline]\nkeep = "{days}d"\n')
    assert len(bench.work.mlci("baseline", "prune").out.splitlines()) == 2


@pytest.mark.parametrize("keep", ["a year", "365", "-1d"])
def test_prune__a_duration_that_is_none(bench: Bench, keep: str) -> None:
    done = bench.work.mlci("baseline", "prune", f"--keep={keep}")
    assert done.code == 2
    assert "expected a duration" in done.err


def test_prune__a_very_long_time_ago(bench: Bench) -> None:
    assert bench.work.mlci("baseline", "prune", "--keep", "9" * 30 + "d").code == 0


def test_prune__is_refused_outside_of_the_default_branch(bench: Bench) -> None:
    event = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/1/merge"}
    done = bench.work.mlci("baseline", "prune", "--keep", "30d", **event)
    assert done.code == 6
    assert "default branch only" in done.err
    assert len(list(bench.store().entries())) == 5


def test_prune__without_the_remote_s_tags_nothing_goes(bench: Bench) -> None:
    bench.server.tokens["ghs_other"] = "write"
    done = bench.work.mlci("baseline", "prune", "--keep", "30d")
    assert done.code == 6
    assert "tags cannot be read" in done.err
