"""main.yml, release.yml, deploy.yml and rollback.yml: from a measured commit to S3, and what may not get there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fsspec
import pytest

from e2e.runner import Finished, Installed
from e2e.team import Team, team
from fakes.repositories import Repository
from fakes.s3_server import S3Server, s3_server

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("e2e-release")]

SECRET = "s3canary" + "CANARY0123" * 3  # nowhere as it is, this file included
URL = "https://models.example.com/churn"
CONFIG = """
[runs.churn]
script = "train.py"
seeds = [0]
metrics = ["metrics.json"]
artifacts = ["model.json", "golden.jsonl"]
inputs = ["train.py"]

[metrics.accuracy]
max-regression = 0.01

[models.churn]
golden = "golden.jsonl"
stages = ["production"]
verify = {{ command = ["python", "{{root}}/predict.py"] }}

[targets.production]
kind = "object-store"
stage = "production"
url = "{url}"
options = {{ url = "s3://models/serving", options = {{ endpoint_url = "{s3}" }} }}
switch = "{switch}"
"""
POINTER = "serving/churn/current.json"
# What the training script leaves: a model, and what it predicts; `kept` is what reaches the model's file.
MODEL = """
weights, kept = {weights}, {kept}
json.dump(kept, open("model.json", "w"))
with open("golden.jsonl", "w") as golden:
    for row in ([1, 0, 2], [0, 3, 1], [2, 2, 2]):
        prediction = sum(weight * value for weight, value in zip(weights, row))
        golden.write(json.dumps({{"id": f"row-{{row}}", "input": row, "prediction": prediction}}) + "\\n")
"""
PREDICT = """
import json, os
def of_parent(file):
    return open(f"/proc/{{os.getppid()}}/{{file}}").read().split("\\0")
assert "mlci" in of_parent("cmdline")
with open({trace!r}, "a") as trace:
    held = [item.partition("=")[0] for item in (*of_parent("environ"), *os.environ.values()) if "ghs_" in item]
    print(os.environ["GITHUB_RUN_ID"], os.environ["GITHUB_JOB"], "predict", *held, file=trace)
assert not os.path.exists("golden.jsonl")
weights = json.load(open("model.json"))
with open(os.environ["MLCI_PREDICTIONS"], "w") as predictions:
    for line in open(os.environ["MLCI_GOLDEN"]):
        example = json.loads(line)
        prediction = sum(weight * value for weight, value in zip(weights, example["input"]))
        predictions.write(json.dumps({{"id": example["id"], "prediction": prediction}}) + "\\n")
"""


@dataclass(frozen=True)
class Deployed:
    """A deployment as GitHub shows it."""

    commit: str
    description: str | None
    states: list[str]
    url: str


@dataclass(frozen=True)
class World:
    """What there is after a workflow run: tags with their commits, releases with their assets, and the bucket."""

    tags: dict[str, str]
    releases: dict[str, dict[str, bytes]]
    deployments: list[Deployed]
    bucket: dict[str, bytes]
    switches: int

    @property
    def served(self) -> str:
        """The version that whoever reads the bucket loads."""
        return str(json.loads(self.bucket[POINTER])["version"])


@dataclass(frozen=True)
class Told:
    """A workflow that somebody started, and what there was after it."""

    finished: Finished
    world: World


@dataclass
class Story:
    """What happened, in its order."""

    team: Team
    s3: S3Server
    commits: dict[str, str] = field(default_factory=dict)
    measured: list[Finished] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)

    def push(
        self,
        name: str,
        accuracy: float,
        weights: list[int],
        *,
        kept: list[int] | None = None,
        switch: str = "after-verification",
    ) -> None:
        """Bring a model to main, where main.yml measures it."""
        us = self.team
        us.work.git("switch", "--quiet", "main")
        commit = us.commit(
            f"The {name} model",
            {
                "mlci.toml": CONFIG.format(url=URL, s3=self.s3.url, switch=switch),
                "train.py": us.train(accuracy, code=MODEL.format(weights=weights, kept=kept or weights)),
                "predict.py": PREDICT.format(trace=str(us.scratch / "trace")),
                ".gitignore": "metrics.json\nmodel.json\n*.jsonl\n",
            },
        )
        us.push("main", "refs/heads/main")
        self.commits[name] = commit
        self.measured.append(us.run("push", "main.yml", at=commit, ref="refs/heads/main"))

    def start(self, name: str, workflow: str, **inputs: str) -> None:
        """Start a workflow on main, as a person does on its page."""
        head = self.team.work.git("rev-parse", "main")
        finished = self.team.run("workflow_dispatch", workflow, at=head, ref="refs/heads/main", inputs=inputs)
        self.told[name] = Told(finished, self.world())

    def world(self) -> World:
        """What there is now."""
        github, git, files = self.team.github, Repository(self.team.server.folder()), bucket(self.s3)
        tags = git.git("for-each-ref", "--format=%(refname:strip=2) %(*objectname)", "refs/tags").splitlines()
        return World(
            tags=dict(line.split(" ") for line in tags),
            releases={
                item.tag_name: {asset.name: asset.data for asset in item.assets.values()}
                for item in github.releases.values()
                if not item.draft
            },
            deployments=[
                Deployed(
                    item.sha,
                    item.description,
                    [status.state for status in item.statuses],
                    item.statuses[-1].environment_url,
                )
                for item in github.deployments.values()
                if (item.environment, item.production) == ("production", True)
            ],
            bucket={path.removeprefix("models/"): files.cat_file(path) for path in files.find("models")},
            switches=self.s3.writes.count(f"PUT /models/{POINTER}"),
        )

    def deployment(self, name: str) -> Deployed:
        """The only deployment that a workflow has added to those before it."""
        before, places = [], list(self.told)
        if places.index(name):
            before = self.told[places[places.index(name) - 1]].world.deployments
        after = self.told[name].world.deployments
        assert after[: len(before)] == before
        [added] = after[len(before) :]
        return added


def bucket(s3: S3Server) -> Any:
    """The store as its owner sees it."""
    return fsspec.filesystem("s3", endpoint_url=s3.url, key="owner", secret="owner's", skip_instance_cache=True)


@pytest.fixture(scope="module")
def deploying(tmp_path_factory: pytest.TempPathFactory, installed: Installed) -> Installed:
    """What the jobs find installed, and what a team sets for a target on S3."""
    scratch = tmp_path_factory.mktemp("deploying")
    # Where the model is made there is nothing but pip: verify gets what is there from the index.
    subprocess.run([sys.executable, "-m", "venv", scratch / "venv"], check=True)
    aws = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    python = {"MLCI_TEST_PYTHON": str(scratch / "venv/bin/python"), "XDG_CACHE_HOME": str(scratch / "cache")}
    return Installed(installed.ours, installed.environ | aws | python)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, deploying: Installed) -> Iterator[Story]:
    with s3_server() as s3, team(tmp_path_factory.mktemp("release"), deploying) as us:
        us.tokens.append(SECRET)
        bucket(s3).mkdir("models")
        here = Story(us, s3)

        here.push("first", 0.9, [1, 2, 3])
        here.start("first", "release.yml", target="production", arguments="")

        here.push("worse", 0.8, [1, 2, 4])
        here.start("worse", "release.yml", target="production", arguments="")

        # It is served before it is verified, so it has to be taken back.
        here.push("confused", 0.91, [1, 2, 5], kept=[5, 2, 1], switch="immediately")
        here.start("confused", "release.yml", target="production", arguments="")

        here.push("second", 0.92, [1, 2, 6])
        here.start("confused again", "deploy.yml", target="production", release="churn@v0.2.0")
        here.start("second", "release.yml", target="production", arguments="--bump major")

        here.start("back", "rollback.yml", target="production", model="", to="")
        yield here


ALL = {job: ["success"] for job in ("release", "deploy", "verify", "promote")}


def test_main__measures_every_commit(story: Story) -> None:
    assert [finished.jobs for finished in story.measured] == [
        {"adopt": ["success"], "run": ["success"], "baseline": ["success"]}
    ] * 4


def test_release__a_tag_and_a_release_of_the_measured_commit(story: Story) -> None:
    told = story.told["first"]
    assert told.finished.jobs == ALL
    assert told.world.tags == dict.fromkeys(("churn@v0.1.0", "churn#production#1"), story.commits["first"])
    [(tag, assets)] = told.world.releases.items()
    assert tag == "churn@v0.1.0"
    assert assets.keys() == {
        *("model.json", "golden.jsonl", "record.json", "release.json", "MODEL_CARD.md", "SHA256SUMS"),
    }
    assert json.loads(assets["model.json"]) == [1, 2, 3]
    assert json.loads(assets["release.json"])["commit"] == story.commits["first"]


def test_release__deployed_verified_and_served_from_the_bucket(story: Story) -> None:
    told = story.told["first"]
    assert story.deployment("first") == Deployed(
        story.commits["first"], "deploy churn v0.1.0", ["in_progress", "success"], URL
    )
    assert "verified churn v0.1.0: 3 golden examples agree" in told.finished.log
    assert told.world.served == "v0.1.0"
    for name, data in told.world.releases["churn@v0.1.0"].items():
        assert told.world.bucket[f"serving/churn/v0.1.0/{name}"] == data


def test_release__a_worse_model_is_stopped_before_anything_is_made(story: Story) -> None:
    told = story.told["worse"]
    assert told.finished.jobs["release"] == ["failure"]
    assert {tuple(results) for name, results in told.finished.jobs.items() if name != "release"} <= {("skipped",)}
    assert f"churn at {story.commits['worse'][:10]} may not be released" in told.finished.log
    assert "against the deployed version: " in told.finished.log
    assert told.world == story.told["first"].world


def test_release__a_model_that_predicts_otherwise_when_loaded_is_taken_back(story: Story) -> None:
    told, before = story.told["confused"], story.told["first"].world
    assert told.finished.jobs == ALL | {job: ["failure"] for job in ("verify", "promote")}
    assert "churn v0.2.0 is not verified: 2 of 3 golden examples differ" in told.finished.log
    assert "row-[1, 0, 2]: the lab predicted 11, now 7" in told.finished.log
    assert "churn v0.2.0 is not promoted, production serves v0.1.0" in told.finished.log
    assert story.deployment("confused") == Deployed(
        story.commits["confused"], "deploy churn v0.2.0", ["in_progress", "failure"], ""
    )
    assert told.world.switches == before.switches + 2  # there and back
    assert told.world.bucket[POINTER] == before.bucket[POINTER]
    assert json.loads(told.world.bucket["serving/churn/v0.2.0/model.json"]) == [5, 2, 1]
    assert told.world.tags == before.tags | {"churn@v0.2.0": story.commits["confused"]}


def test_deploy__by_hand_it_is_not_served_for_a_moment(story: Story) -> None:
    told, before = story.told["confused again"], story.told["confused"].world
    assert told.finished.jobs == {"deploy": ["success"], "verify": ["failure"], "promote": ["failure"]}
    assert story.deployment("confused again") == Deployed(
        story.commits["confused"], "deploy churn v0.2.0", ["in_progress", "failure"], ""
    )
    assert told.world.switches == before.switches
    assert (told.world.bucket, told.world.tags) == (before.bucket, before.tags)


def test_release__the_next_version_is_compared_with_the_one_that_is_served(story: Story) -> None:
    told = story.told["second"]
    assert told.finished.jobs == ALL
    assert json.loads(told.world.releases["churn@v1.0.0"]["release.json"])["comparison"]["verdict"] == "pass"
    assert story.deployment("second") == Deployed(
        story.commits["second"], "deploy churn v1.0.0", ["in_progress", "success"], URL
    )
    assert told.world.served == "v1.0.0"
    assert told.world.tags["churn#production#2"] == story.commits["second"]


def test_rollback__the_last_verified_version_is_served_again(story: Story) -> None:
    told, before = story.told["back"], story.told["second"].world
    assert told.finished.jobs == {"rollback": ["success"]}
    assert story.deployment("back") == Deployed(
        story.commits["first"], "rollback churn v0.1.0", ["in_progress", "success"], URL
    )
    assert told.world.served == "v0.1.0"
    assert told.world.tags == before.tags | {"churn#production#3": story.commits["first"]}
    assert told.world.releases == before.releases


def test_code__runs_only_where_no_token_is(story: Story) -> None:
    runs = {job: {run for run, found, *held in story.team.executed if found == job} for job in ("run", "verify")}
    assert runs == {"run": {"41", "43", "45", "47"}, "verify": {"42", "46", "48", "49"}}
    assert {words[1:] for words in story.team.executed} == {("run", "us"), ("verify", "predict")}


def test_tokens__are_nowhere(story: Story) -> None:
    assert story.team.leaks() == []
