"""`mlci deploy`, `promote` and `rollback`: beside, proved, served, and back, on a GitHub and on a laptop."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner, Result

from fakes.deploying import CONFIG, TOKEN, Deployers, deployers
from mlci.cli import cli
from mlci.commands.promote import promote
from mlci.commands.rollback import rollback
from mlci.core.documents import decode
from mlci.core.release import Deployment, Verification
from mlci.errors import (
    ConfigError,
    ConflictError,
    DeployError,
    PolicyError,
    UsageError,
    VerifyError,
    WorkspaceError,
)
from mlci.plugins.targets.interface import Deployed, Package, TargetStatus
from mlci.project import Project
from mlci.releasing.deploying import deploy, open_place
from mlci.releasing.fetching import fetch
from mlci.releasing.models import find_model
from mlci.releasing.verification import Request


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Deployers]:
    with deployers(tmp_path) as made:
        yield made


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Deployers]:
    with deployers(tmp_path, hosted=False) as made:
        yield made


@pytest.fixture(params=[True, False], ids=["github", "laptop"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployers]:
    with deployers(tmp_path, hosted=request.param) as made:
        yield made


def put(
    team: Deployers,
    version: str = "v1.0.0",
    target: str = "production",
    *,
    switch: str | None = None,
    override: str | None = "first",
) -> Deployment:
    """Deploy a version that lies on GitHub, or here."""
    project, place, forge = team.opened(target)
    if forge is None:
        team.lay(version)
    found = fetch(project, forge, tag=f"churn@{version}")
    return deploy(project, place, found, find_model(project, "churn"), forge=forge, switch=switch, override=override)


def serve(team: Deployers, target: str = "production") -> Deployment:
    project, place, forge = team.opened(target)
    return promote(project, place, forge=forge)


def back(team: Deployers, target: str = "production", version: str | None = None) -> Deployment:
    project, place, forge = team.opened(target)
    return rollback(project, place, find_model(project, "churn"), forge=forge, version=version)


def mlci(team: Deployers, *arguments: str, **environ: str) -> Result:
    """The command as a user types it, without waiting for GitHub."""
    given = {**team.environ, **environ}
    return CliRunner(env=dict.fromkeys(("GITHUB_TOKEN", "GITHUB_ACTIONS")) | given).invoke(
        cli, ["-C", str(team.work.folder), *arguments]
    )


def test_deploy__beside_what_is_served(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    done = put(anywhere, "v1.1.0")
    assert (done.state, done.previous, done.stage) == ("uploaded", "v1.0.0", "production")
    assert done.digest == anywhere.digest("v1.1.0")
    assert anywhere.served == "v1.0.0"
    assert [item.version for item in anywhere.status().kept] == ["v1.0.0", "v1.1.0"]
    assert anywhere.document["reason"] == "override: first"
    if anywhere.server:
        assert anywhere.states == [("churn@v1.1.0", ["in_progress"])]


def test_promote__serves_what_was_verified(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    put(anywhere, "v1.1.0", override="hotfix, see issue 12")
    anywhere.verify()
    assert serve(anywhere).state == "current"
    assert anywhere.served == "v1.1.0"
    assert anywhere.tags["churn#production#2"] == anywhere.commits["v1.1.0"]
    message = anywhere.work.git("tag", "--list", "--format=%(contents)", "churn#production#2")
    assert message == "churn v1.1.0 is served by production\n\nAgainst the order of stages: hotfix, see issue 12"
    if anywhere.server:
        [deployment] = anywhere.github.deployments.values()
        assert (deployment.environment, deployment.production) == ("production", True)
        assert deployment.sha == anywhere.commits["v1.1.0"]
        assert [status.state for status in deployment.statuses] == ["in_progress", "success"]
        assert deployment.statuses[-1].environment_url == "https://models.example.com/churn"


def test_promote__again_makes_no_second_tag(anywhere: Deployers) -> None:
    put(anywhere)
    anywhere.verify()
    serve(anywhere)
    before = anywhere.state()
    serve(anywhere)
    assert anywhere.state() == before


def test_deploy__immediately(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    assert put(anywhere, "v1.1.0", switch="immediately").state == "current"
    assert anywhere.served == "v1.1.0"
    assert "churn#production#2" not in anywhere.tags  # that comes with the proof
    anywhere.verify()
    serve(anywhere)
    assert anywhere.tags["churn#production#2"] == anywhere.commits["v1.1.0"]


def test_deploy__immediately_where_the_configuration_or_the_target_says_so(team: Deployers) -> None:
    team.serve("v1.0.0")
    project, place, forge = team.opened()

    class Replacing:
        """A target that cannot keep two."""

        name: ClassVar[str] = "replacing"
        stages: ClassVar[bool] = False

        def __init__(self) -> None:
            self.site, self.inner = place.target.site, place.target

        def status(self, model: str) -> TargetStatus:
            return self.inner.status(model)

        def upload(self, package: Package) -> None:
            self.inner.upload(package)

        def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
            self.inner.switch(model, to, expected=expected)

        def describe(self) -> str:
            return "replacing"

    found = fetch(project, forge, tag="churn@v1.1.0")
    known = find_model(project, "churn")
    place = replace(place, target=Replacing())
    assert deploy(project, place, found, known, forge=forge, override="first").state == "current"
    team.work.folder.joinpath("mlci.toml").write_text(
        CONFIG.replace('url = "https', 'switch = "immediately"\nurl = "https')
    )
    assert put(team, "v2.0.0").state == "current"


def test_promote__a_failed_verification_before_the_switch(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    put(anywhere, "v1.1.0")
    anywhere.verify(passed=False, reason="3 of 100 golden examples differ")
    with pytest.raises(VerifyError) as caught:
        serve(anywhere)
    assert caught.value.exit_code == 7
    assert "churn v1.1.0 is not promoted, production serves v1.0.0:" in str(caught.value)
    assert "3 of 100 golden examples differ" in str(caught.value)
    assert (anywhere.served, anywhere.document["state"]) == ("v1.0.0", "failed")
    assert [name for name in anywhere.tags if "#" in name] == ["churn#production#1"]
    if anywhere.server:
        assert anywhere.states == [("churn@v1.1.0", ["in_progress", "failure"])]


@pytest.mark.parametrize("what", ["failed", "missing", "of another release", "garbled"])
def test_promote__without_a_proof_the_version_before_is_served_again(anywhere: Deployers, what: str) -> None:
    anywhere.serve("v1.0.0")
    put(anywhere, "v1.1.0", switch="immediately")
    anywhere.verify(passed=what != "failed", digest="0" * 64 if "another" in what else anywhere.document["digest"])
    file = anywhere.work.folder / ".mlci/verification.json"
    if what == "missing":
        file.unlink()
    if what == "garbled":
        file.write_text("{")
    with pytest.raises(VerifyError, match=r"churn v1\.1\.0 is not promoted, production serves v1\.0\.0"):
        serve(anywhere)
    assert (anywhere.served, anywhere.document["state"]) == ("v1.0.0", "rolled-back")
    assert [name for name in anywhere.tags if "#" in name] == ["churn#production#1"]


def test_promote__without_a_proof_and_without_a_version_before(anywhere: Deployers) -> None:
    put(anywhere, switch="immediately")
    with pytest.raises(VerifyError, match=r"serves v1\.0\.0 all the same: there is no version before it"):
        serve(anywhere)
    assert anywhere.document["state"] == "failed"


def test_promote__a_served_version_that_no_longer_predicts_leaves_its_stage(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    anywhere.serve("v1.1.0")
    assert put(anywhere, "v1.1.0").previous == "v1.0.0"
    anywhere.verify(passed=False)
    with pytest.raises(VerifyError, match=r"production serves v1\.0\.0"):
        serve(anywhere)
    assert anywhere.tags["churn#production#3"] == anywhere.commits["v1.0.0"]


def test_promote__after_a_second_verification_that_passed(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    put(anywhere, "v1.1.0", switch="immediately")
    anywhere.verify(passed=False)
    with pytest.raises(VerifyError):
        serve(anywhere)
    anywhere.verify()
    assert serve(anywhere).state == "current"
    assert anywhere.served == "v1.1.0"
    assert "first" in anywhere.work.git("tag", "--list", "--format=%(contents)", "churn#production#2")


def test_promote__restores_though_neither_github_nor_tags_can_be_had(team: Deployers) -> None:
    team.serve("v1.0.0")
    put(team, "v1.1.0", switch="immediately")
    assert team.server is not None
    team.server.tokens.clear()
    team.work.git("remote", "add", "origin", str(team.folder / "nowhere"))
    with pytest.raises(VerifyError, match=r"production serves v1\.0\.0"):
        serve(team)
    assert team.served == "v1.0.0"
    assert any("neither tags nor GitHub may know" in line for line in team.said)


def test_promote__somebody_else_deployed_in_the_meantime(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    put(anywhere, "v1.1.0")
    anywhere.verify()
    anywhere.serve("v2.0.0")
    with pytest.raises(ConflictError) as caught:
        serve(anywhere)
    assert str(caught.value) == (
        "production serves v2.0.0, not v1.0.0 as when v1.1.0 was deployed: somebody else was first"
    )
    assert anywhere.served == "v2.0.0"
    if anywhere.server:
        assert anywhere.states == [("churn@v1.1.0", ["in_progress", "failure"])]


def test_promote__somebody_else_switches_at_the_same_moment(team: Deployers) -> None:
    team.serve("v1.0.0")
    put(team, "v1.1.0")
    team.verify()
    project, place, forge = team.opened()
    inner = place.target

    class Late(type(inner)):  # type: ignore[misc]
        def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
            team.serve("v2.0.0")
            super().switch(model, to, expected=expected)

    place = replace(place, target=Late(inner.inner, inner.killer))  # type: ignore[attr-defined]
    with pytest.raises(ConflictError, match=r"v2\.0\.0 is served instead of v1\.0\.0"):
        promote(project, place, forge=forge)


def test_promote__of_another_target_or_release(team: Deployers) -> None:
    with pytest.raises(WorkspaceError, match=r"deployment.json: there is none"):
        serve(team)
    put(team)
    with pytest.raises(WorkspaceError, match=r"is of the target production, not of staging"):
        serve(team, "staging")
    project, place, forge = team.opened()
    with pytest.raises(WorkspaceError, match=r"not of 000000000000"):
        promote(project, place, forge=forge, digest="0" * 64)


def test_deploy__the_order_of_stages(anywhere: Deployers) -> None:
    with pytest.raises(PolicyError, match=r"churn@v1.0.0 may not be deployed to production: production comes after"):
        put(anywhere, override=None)
    assert anywhere.document == {}
    if anywhere.server:
        assert anywhere.states == []
    put(anywhere, target="staging", override=None)
    anywhere.verify()
    serve(anywhere, "staging")
    assert put(anywhere, override=None).reason is None
    assert put(anywhere, override="not needed").reason is None


def test_deploy__a_number_that_another_deployment_took_first(team: Deployers) -> None:
    put(team, "v1.1.0")
    team.verify()
    assert team.server is not None
    taken: list[object] = []

    def first(request: object) -> None:
        if "git/refs" in str(request) and not taken:
            taken.append(request)
            team.work.git("tag", "-a", "-m", "other", "churn#production#1", team.commits["v1.0.0"])

    team.server.before = first
    serve(team)
    assert team.tags["churn#production#1"] == team.commits["v1.0.0"]
    assert team.tags["churn#production#2"] == team.commits["v1.1.0"]


def test_rollback__to_the_last_verified_version(anywhere: Deployers) -> None:
    for version in ("v1.0.0", "v1.1.0", "v2.0.0"):
        anywhere.serve(version)
    done = back(anywhere)
    assert (done.version, done.previous, done.state) == ("v1.1.0", "v2.0.0", "current")
    assert anywhere.served == "v1.1.0"
    assert anywhere.tags["churn#production#4"] == anywhere.commits["v1.1.0"]
    if anywhere.server:
        assert anywhere.states == [("churn@v1.1.0", ["in_progress", "success"])]


def test_rollback__again_in_the_same_run_goes_no_further(team: Deployers) -> None:
    for version in ("v1.0.0", "v1.1.0", "v2.0.0"):
        team.serve(version)
    back(team)
    before = team.state()
    shutil.rmtree(team.work.folder / ".mlci")
    back(team)
    assert team.state()[:2] == before[:2]
    team.run += 1
    assert back(team).version == "v1.0.0"  # not v2.0.0, which was left


def test_rollback__again_on_a_laptop_goes_further(laptop: Deployers) -> None:
    for version in ("v1.0.0", "v1.1.0", "v2.0.0"):
        laptop.serve(version)
    assert [back(laptop).version, back(laptop).version] == ["v1.1.0", "v1.0.0"]
    with pytest.raises(DeployError, match=r"production keeps no verified version before v1\.0\.0"):
        back(laptop)


def test_rollback__from_what_was_never_verified(anywhere: Deployers) -> None:
    anywhere.serve("v1.0.0")
    anywhere.serve("v1.1.0")
    put(anywhere, "v2.0.0", switch="immediately")
    assert back(anywhere).version == "v1.1.0"
    assert [name for name in anywhere.tags if "#" in name] == ["churn#production#1", "churn#production#2"]


def test_rollback__to_a_named_version(anywhere: Deployers) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        anywhere.serve(version)
    put(anywhere, "v2.0.0")
    assert back(anywhere, version="1.0.0").version == "v1.0.0"
    with pytest.raises(UsageError, match=r"production keeps no version 'v9\.9\.9'"):
        back(anywhere, version="v9.9.9")
    with pytest.raises(PolicyError, match=r"v2\.0\.0 has never been verified in production"):
        back(anywhere, version="v2.0.0")


def test_rollback__where_the_tags_say_that_the_stage_is_ahead(team: Deployers) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        team.serve(version)
    place = open_place(team.project(), "production")
    kept = {item.version: item for item in place.target.status("churn").kept}
    place.target.switch("churn", kept["v1.0.0"], expected=kept["v1.1.0"])
    with pytest.raises(UsageError, match=r"serves v1\.0\.0, and the tags say that production holds a later one"):
        back(team)
    back(team, version="v1.0.0")
    assert team.tags["churn#production#3"] == team.commits["v1.0.0"]


def test_rollback__of_nothing_or_without_a_stage(anywhere: Deployers) -> None:
    with pytest.raises(DeployError, match="production serves no version of churn"):
        back(anywhere)
    anywhere.serve("v1.0.0", target="stageless", stage=None)
    anywhere.serve("v1.1.0", target="stageless", stage=None)
    with pytest.raises(UsageError, match="stageless has no stage") as caught:
        back(anywhere, "stageless")
    assert caught.value.hint == "Say --to with one of: v1.0.0, v1.1.0."
    assert back(anywhere, "stageless", "v1.0.0").version == "v1.0.0"
    assert [name for name in anywhere.tags if "#" in name] == []


def test_open_place__what_is_wrong_in_the_configuration(laptop: Deployers) -> None:
    with pytest.raises(ConfigError, match=r"mlci\.toml: targets\.prodution: no such key"):
        open_place(laptop.project(), "prodution")
    file = laptop.work.folder / "mlci.toml"
    for options, complaint in (
        ('{ path = "x", site = 1 }', r"targets\.stageless\.options\.site: this option is mlci's own"),
        ('{ pth = "x" }', r"targets\.stageless: target 'folder' has no option 'pth' \(did you mean 'path'\?\)"),
        ("{}", r"targets\.stageless\.options: the target 'folder' needs other options"),
    ):
        file.write_text(CONFIG.replace('{ path = "../served/stageless" }', options))
        with pytest.raises(ConfigError, match=complaint):
            open_place(laptop.project(), "stageless")


def test_commands__from_deployment_to_rollback(laptop: Deployers) -> None:
    laptop.serve("v1.0.0")
    laptop.lay("v1.1.0")
    done = mlci(laptop, "deploy", "--target", "production", "--override", "--reason", "first")
    assert done.exit_code == 0, done.output
    assert "churn v1.1.0 is in production (folder ../served/production), beside v1.0.0, which is served" in done.output
    laptop.verify()
    done = mlci(laptop, "promote", MLCI_TARGET="production")
    assert done.output == "production serves churn v1.1.0\n"
    done = mlci(laptop, "rollback", "--target", "production")
    assert done.output == "production serves churn v1.0.0 again, in place of v1.1.0\n"
    shown = json.loads(mlci(laptop, "rollback", "--target", "production", "--to", "v1.0.0", "--json").output)
    assert (shown["version"], shown["state"]) == ("v1.0.0", "current")


def test_commands__outputs_and_no_token(team: Deployers) -> None:
    team.serve("v1.0.0")
    done = mlci(team, "deploy", "--target", "production", "--release", "churn@v1.1.0", "--override", "--reason", "a")
    assert done.exit_code == 0, done.output
    text = (team.folder / "output").read_text()
    assert team.digest("v1.1.0") in text
    assert "v1.1.0" in text
    assert "uploaded" in text
    assert TOKEN not in done.output
    team.verify()
    done = mlci(team, "promote", "--target", "production", "--digest", team.digest("v1.1.0"))
    assert done.output == "production serves churn v1.1.0\n"
    assert "current" in (team.folder / "output").read_text()


def test_permissions__are_enough(team: Deployers) -> None:
    assert team.server is not None
    team.server.token(TOKEN, default="none", contents="read", deployments="write")
    team.serve("v1.0.0")
    put(team, "v1.1.0", switch="immediately")
    team.verify()
    team.server.token(TOKEN, default="none", contents="write", deployments="write")
    serve(team)
    back(team)
    assert team.states == [(f"churn@{version}", ["in_progress", "success"]) for version in ("v1.1.0", "v1.0.0")]


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("then", ["verify", "promote"])
def test_commands__then(laptop: Deployers, monkeypatch: pytest.MonkeyPatch, then: str, passed: bool) -> None:
    asked = []

    def verified(project: Project, folder: Path, request: Request) -> Verification:
        asked.append((folder, request.target))
        laptop.verify(passed=passed, reason=None if passed else "3 of 100 golden examples differ")
        return decode(project.workspace.path("verification.json").read_bytes(), Verification, name="verification")

    monkeypatch.setattr("mlci.commands.verify.verified", verified)
    laptop.serve("v1.0.0")
    laptop.lay("v1.1.0")
    done = mlci(laptop, "deploy", "--target", "production", "--override", "--reason", "first", "--then", then)
    assert asked == [(laptop.work.folder / ".mlci/release", "production")]
    assert isinstance(done.exception, VerifyError) is not passed
    assert laptop.served == ("v1.1.0" if passed and then == "promote" else "v1.0.0")
    assert laptop.document["state"] == {"verify": "uploaded", "promote": "current" if passed else "failed"}[then]


@pytest.mark.parametrize("options", [("--override",), ("--reason", "because")])
def test_commands__override_and_reason_go_together(laptop: Deployers, options: tuple[str, ...]) -> None:
    assert isinstance(mlci(laptop, "deploy", "--target", "production", *options).exception, UsageError)
