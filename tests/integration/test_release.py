"""`mlci release`: a measured commit becomes a version, on a laptop and on a GitHub that remembers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.releases import CONFIG, TOKEN, Hosted, Team, hosted_team, local_team
from mlci.releasing import folder as layout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """What each test has a copy of, rather than train and measure again."""
    made = local_team(tmp_path_factory.mktemp("trained"))
    made.measure(0.9)
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Team:
    return local_team(tmp_path)


@pytest.fixture
def team(tmp_path: Path, trained: Team) -> Team:
    """Its first commit is measured: an accuracy of 0.9."""
    return trained.copy(tmp_path)


def test_release__the_first_on_a_laptop(team: Team) -> None:
    commit = team.bench.repository.git("rev-parse", "HEAD")
    done = team.release()
    assert done.code == 0, done.err
    assert done.out.startswith("released churn@v0.1.0: 4 files")
    assert "left out: the release on GitHub: there is no token" in done.err
    assert team.tags() == {"churn@v0.1.0": commit}
    found = layout.read(team.folder)
    assert (found.release.version, found.release.commit, found.release.previous) == ("v0.1.0", commit, None)
    assert {file.name: file.kind for file in found.release.files} == {
        "model.bin": "artifact",
        "record.json": "record",
        "golden.jsonl": "golden",
        "MODEL_CARD.md": "card",
    }
    assert (team.folder / "model.bin").read_bytes() == b"model0.9"
    assert len((team.folder / "golden.jsonl").read_text().splitlines()) == 2
    assert (team.folder / "MODEL_CARD.md").read_text().startswith("---\n")


def test_release__the_sums_are_those_that_sha256sum_checks(team: Team) -> None:
    team.release()
    for line in (team.folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((team.folder / name).read_bytes()).hexdigest() == digest


def test_release__again_is_the_same_version_and_the_same_files(team: Team) -> None:
    team.release()
    first = (team.folder / "SHA256SUMS").read_bytes()
    assert team.release().code == 0
    assert list(team.tags()) == ["churn@v0.1.0"]
    assert (team.folder / "SHA256SUMS").read_bytes() == first


def test_release__from_the_artifact_store_when_the_workspace_is_gone(team: Team) -> None:
    team.bench.repository.git("clean", "-dfxq", "--exclude=baselines")
    assert team.release().code == 0
    assert (team.folder / "model.bin").read_bytes() == b"model0.9"


def test_release__an_artifact_that_is_to_be_had_nowhere(team: Team) -> None:
    for file in (team.bench.folder.parent / "artifacts").rglob("*"):
        if file.is_file():
            file.unlink()
    team.bench.repository.git("clean", "-dfxq", "--exclude=baselines")
    done = team.release()
    assert done.code == 2
    assert re.search(r"error: model.bin as it was recorded \(sha256 [0-9a-f]{12}\) is to be had nowhere", done.err)
    assert team.tags() == {}


def test_release__an_artifact_that_was_changed_is_not_taken(team: Team) -> None:
    for file in (team.bench.folder.parent / "artifacts").rglob("*"):
        if file.is_file():
            file.write_bytes(b"another")
    done = team.release()
    assert done.code == 6
    assert "holds something else" in done.err


@pytest.mark.parametrize(
    ("arguments", "version"),
    [
        ((), "v0.1.1"),
        (("--bump", "major"), "v1.0.0"),
        (("--bump", "minor"), "v0.2.0"),
        (("--version", "v3.1.4"), "v3.1.4"),
    ],
)
def test_release__the_next_version(team: Team, arguments: tuple[str, ...], version: str) -> None:
    team.release()
    team.bench.repository.git("commit", "--allow-empty", "--quiet", "--message", "Nothing")
    team.bench.mlci("run")
    team.bench.mlci("record")
    team.bench.mlci("baseline", "save")
    done = team.release(*arguments)
    assert done.out.startswith(f"released churn@{version}:"), done.err
    assert layout.read(team.folder).release.previous == "v0.1.0"


def test_release__automatic_versions_follow_what_changed(team: Team) -> None:
    team.release()
    team.measure(0.91)  # another train.py, which is an input
    assert team.release("--dry-run").out.startswith("would release churn@v0.2.0")


def test_release__a_version_never_moves(team: Team) -> None:
    team.release()
    team.measure(0.91)
    done = team.release("--version", "v0.1.0")
    assert (done.code, "churn@v0.1.0 is the version of" in done.err) == (2, True)


def test_release__a_commit_that_was_not_measured(team: Team) -> None:
    commit = team.bench.commit("Not measured")
    done = team.release()
    assert done.code == 5
    assert f"there is no record of {commit[:10]} itself" in done.err
    assert team.release("--override", "--reason", "please").code == 5  # there is nothing to release
    assert team.tags() == {}


def test_release__a_commit_of_another_branch(team: Team) -> None:
    team.bench.repository.git("switch", "--quiet", "--create", "feature")
    commit = team.measure(0.95)
    done = team.release()
    assert (done.code, f"{commit[:10]} is not on the branch main" in done.err) == (5, True)
    done = team.release("--override", "--reason", "hotfix, see issue 12")
    assert done.code == 0
    message = team.bench.repository.git("tag", "--list", "--format=%(contents)", "churn@v0.1.0")
    assert "Released against the policy: hotfix, see issue 12" in message
    assert layout.read(team.folder).release.override == "hotfix, see issue 12"


def test_release__a_model_worse_than_the_deployed_one(team: Team) -> None:
    deployed = team.bench.repository.git("rev-parse", "HEAD")
    team.release()
    team.bench.repository.git("tag", "-a", "-m", "deployed", "churn#production#1", deployed)
    team.measure(0.8)
    done = team.release()
    assert done.code == 5
    assert "against the deployed version: churn: accuracy: 0.1 worse, at most 0.01 allowed" in done.err
    assert list(team.tags()) == ["churn#production#1", "churn@v0.1.0"]


def test_release__dry_run_changes_nothing(team: Team) -> None:
    shown = json.loads(team.release("--dry-run", "--json").out)
    assert (shown["model"], shown["tag"], shown["objections"]) == ("churn", "churn@v0.1.0", [])
    assert team.tags() == {}
    assert not team.folder.exists()


def test_release__a_model_that_is_not_there(team: Team) -> None:
    assert team.release("--model", "chrun").code == 3
    assert "mlci.toml: models.chrun: no such key" in team.release("--model", "chrun").err


def test_release__override_without_a_reason(team: Team) -> None:
    assert team.release("--override").code == 2


@pytest.fixture
def hosted(tmp_path: Path, trained: Team) -> Iterator[Hosted]:
    with hosted_team(tmp_path, trained) as made:
        yield made


def test_release__on_github(hosted: Hosted) -> None:
    done = hosted.release()
    assert done.code == 0, done.err
    [release] = hosted.server.repositories["team/models"].releases.values()
    assert (release.tag_name, release.draft) == ("churn@v0.1.0", False)
    assert {asset.name for asset in release.assets.values()} == {
        *("model.bin", "record.json", "golden.jsonl", "MODEL_CARD.md", "release.json", "SHA256SUMS")
    }
    assert hosted.bare.git("cat-file", "-t", "churn@v0.1.0") == "tag"
    assert TOKEN not in done.out + done.err


def test_release__on_github_again_changes_nothing(hosted: Hosted) -> None:
    hosted.release()
    before = hosted.state
    assert hosted.release().code == 0
    assert hosted.state == before


def test_release__a_tag_that_somebody_moved_is_refused(hosted: Hosted) -> None:
    hosted.bare.git("tag", "churn@v0.1.0", "main")  # lightweight: no version, and in the way
    other = hosted.measure(0.95)
    url = hosted.environ["GITHUB_SERVER_URL"].replace("//", f"//x:{TOKEN}@")
    hosted.bench.repository.git("push", "--quiet", f"{url}/team/models.git", "main")
    done = hosted.release("--version", "v0.1.0")
    assert done.code == 6
    assert re.search(rf"the tag churn@v0.1.0 points at [0-9a-f]{{10}}, not at {other[:10]}", done.err)


def test_release__a_published_release_is_never_changed(hosted: Hosted) -> None:
    hosted.release()
    [release] = hosted.server.repositories["team/models"].releases.values()
    sums = next(asset for asset in release.assets.values() if asset.name == "SHA256SUMS")
    sums.data += b"0" * 64 + b"  other\n"
    done = hosted.release()
    assert done.code == 5
    assert "is published already, with other files" in done.err


def test_compare__also_shows_what_is_deployed_and_lets_it_gate_nothing(fresh: Team) -> None:
    fresh.bench.write(mlci__toml=CONFIG.replace("[baseline]", '[baseline]\nalso = "production"'))
    deployed = fresh.measure(0.95)
    fresh.release()
    fresh.bench.repository.git("tag", "-a", "-m", "deployed", "churn#production#1", deployed)
    fresh.measure(0.9)
    fresh.bench.repository.git("switch", "--quiet", "--create", "change")
    fresh.bench.commit("Change nothing")
    fresh.bench.mlci("run")
    fresh.bench.mlci("record")
    assert fresh.bench.mlci("compare").code == 0
    report = fresh.bench.mlci("report", "--markdown").out
    assert re.search(r"\| `churn` \| `accuracy` \| 0\.95 +\| 0\.9 +\| 0\.9 ", report), report
    assert "deployed is `churn@v0.1.0`" in report
    assert fresh.bench.mlci("gate").code == 0
