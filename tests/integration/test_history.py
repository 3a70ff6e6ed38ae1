"""`mlci history` and `mlci baseline prune` on a real repository, with a remote, from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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
    done = bench.work.mlci("history", "accuracy", "-n", "3")
    assert (done.code, done.err) == (0, "")
    title, _, _, *rows = done.out.splitlines()
    assert title == "churn (full): accuracy, higher is better  ▁▅█"
    assert [row.split() for row in rows] == [
        [bench.commits[4][:7], "2024-05-01", "0.54", "2", "100", "+0.01"],
        [bench.commits[3][:7], "2023-05-01", "0.53", "2", "100", "+0.01"],
        [bench.commits[2][:7], "2022-05-01", "0.52", "2", "100"],
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
    assert done.stdout.startswith(b"churn (full): accuracy [country=de], higher is better  ~~~~~\n")
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


def test_history__reads_a_run_in_one_fetch_for_trees_and_one_for_records(bench: Bench) -> None:
    shutil.rmtree(bench.work.folder / ".git" / "mlci")
    bench.server.requests.clear()
    assert bench.work.mlci("history", "accuracy", "--run", "churn").code == 0
    tip, names, shards, records = 3, 2, 2, 2
    assert len(bench.server.requests) == tip + names + shards + records


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
