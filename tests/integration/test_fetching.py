"""Getting a release: from GitHub, from the workspace, from the artifact store; and everything that is refused."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fakes.deploying import CONFIG, TOKEN, Deployers, deployers
from fakes.github.state import Asset, Release
from mlci.core.documents import decode, encode
from mlci.core.release import Release as Document
from mlci.errors import DeployError, DocumentError, ForgeError, UsageError
from mlci.releasing import folder as layout
from mlci.releasing.fetching import fetch
from mlci.releasing.folder import ReleaseFolder

TAG = "churn@v1.0.0"


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Deployers]:
    with deployers(tmp_path) as made:
        yield made


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Deployers]:
    with deployers(tmp_path, hosted=False) as made:
        yield made


def get(team: Deployers, tag: str | None = TAG, model: str | None = None) -> ReleaseFolder:
    project, _, forge = team.opened()
    return fetch(project, forge, tag=tag, model=model)


def published(team: Deployers, tag: str = TAG) -> Release:
    return next(item for item in team.github.releases.values() if item.tag_name == tag)


def asset(team: Deployers, name: str) -> Asset:
    return next(item for item in published(team).assets.values() if item.name == name)


def downloads(team: Deployers) -> list[str]:
    assert team.server is not None
    return [request.path for request in team.server.requests if request.path.startswith("/_blobs/")]


def summed(team: Deployers) -> None:
    """Have SHA256SUMS say what the other assets are."""
    lines = [
        f"{hashlib.sha256(item.data).hexdigest()}  {item.name}\n"
        for item in published(team).assets.values()
        if item.name != layout.SUMS
    ]
    asset(team, layout.SUMS).data = "".join(lines).encode()


def rewrite(team: Deployers, **changes: object) -> None:
    """Change release.json and sum it again, as somebody with write access could."""
    file = asset(team, layout.RELEASE)
    file.data = encode(msgspec.structs.replace(decode(file.data, Document, name=""), **changes))
    summed(team)


def test_fetch__from_github(team: Deployers) -> None:
    found = get(team)
    assert (found.release.tag, found.release.commit) == (TAG, team.commits["v1.0.0"])
    assert found.folder == team.work.folder / ".mlci/release"
    assert (found.folder / "model.bin").read_bytes() == b"model v1.0.0"
    assert found.digest == team.digest("v1.0.0")
    assert len(downloads(team)) == 3
    assert sorted(path.name for path in found.folder.parent.iterdir()) == [".gitignore", "release"]


def test_fetch__the_token_stays_with_github(team: Deployers) -> None:
    get(team)
    assert team.server is not None
    for request in team.server.requests:
        assert (TOKEN in str(request.headers)) is not request.path.startswith("/_blobs/")


def test_fetch__again_takes_what_lies_here_if_it_is_whole(team: Deployers) -> None:
    get(team)
    get(team)
    assert len(downloads(team)) == 3
    (team.work.folder / ".mlci/release/model.bin").write_bytes(b"damaged")
    get(team)
    assert len(downloads(team)) == 6


def test_fetch__what_lies_here_or_the_latest_version(team: Deployers) -> None:
    assert get(team, tag=None).release.version == "v2.0.0"
    get(team)
    assert get(team, tag=None).release.version == "v1.0.0"
    assert get(team, tag=None, model="churn").release.version == "v1.0.0"


def test_fetch__on_a_laptop_it_is_what_lies_here(laptop: Deployers) -> None:
    with pytest.raises(DeployError, match="release/SHA256SUMS: there is none"):
        get(laptop, tag=None)
    laptop.lay("v1.0.0")
    assert get(laptop, tag=None).release.version == "v1.0.0"
    assert get(laptop).release.version == "v1.0.0"
    with pytest.raises(UsageError, match=r"holds churn@v1\.0\.0, not churn@v1\.1\.0, and there is no token"):
        get(laptop, tag="churn@v1.1.0")
    with pytest.raises(UsageError, match=r"churn@v1\.0\.0 is a release of churn, not of other"):
        get(laptop, tag=None, model="other")


def test_fetch__there_is_none_or_a_draft(team: Deployers) -> None:
    with pytest.raises(DeployError, match=r"there is no release churn@v9\.9\.9"):
        get(team, tag="churn@v9.9.9")
    published(team).draft = True
    with pytest.raises(DeployError, match=r"the release churn@v1\.0\.0 is a draft"):
        get(team)
    assert not (team.work.folder / ".mlci").exists()


def test_fetch__a_file_that_is_another(team: Deployers) -> None:
    asset(team, "model.bin").data = b"model evil.0"
    with pytest.raises(DeployError, match=r"model\.bin: not what SHA256SUMS says"):
        get(team)
    assert not (team.work.folder / ".mlci/release").exists()


def test_fetch__a_file_that_is_missing_or_no_release_of_ours(team: Deployers) -> None:
    release = published(team)
    [number] = [item.id for item in release.assets.values() if item.name == "model.bin"]
    del release.assets[number]
    with pytest.raises(DeployError, match=r"model\.bin: it is in SHA256SUMS, and not among the release's files"):
        get(team)
    release.assets.clear()
    with pytest.raises(DeployError, match=r"has no SHA256SUMS"):
        get(team)


def test_fetch__a_file_that_the_sums_do_not_name_is_left_where_it_is(team: Deployers) -> None:
    stranger = asset(team, "model.bin")
    added = Asset(1, "notes.txt", None, "text/plain", b"hello", stranger.user, stranger.created_at)
    published(team).assets[1] = added
    assert not (get(team).folder / "notes.txt").exists()
    assert team.said == ["not fetched: 'notes.txt' is not in SHA256SUMS"]


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "a\\b"])
def test_fetch__a_name_that_is_not_flat(team: Deployers, name: str) -> None:
    asset(team, "model.bin").name = name
    summed(team)
    with pytest.raises(DeployError, match="SHA256SUMS: not a list of digests"):
        get(team)
    assert not (team.work.folder / "evil").exists()


def test_fetch__more_than_was_said(team: Deployers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlci.releasing.fetching.MAX_ASSET", 5)
    with pytest.raises(ForgeError, match="is larger than 5 bytes"):
        get(team)
    monkeypatch.setattr("mlci.releasing.fetching._MAX_TOTAL", 5)
    with pytest.raises(DeployError, match="have more than 5 bytes"):
        get(team)


def test_fetch__a_tag_that_moved_or_is_gone(team: Deployers) -> None:
    team.work.git("tag", "--force", "-a", "-m", "moved", TAG, team.commits["v2.0.0"])
    with pytest.raises(DeployError, match=rf"the tag {TAG} points at {team.commits['v2.0.0'][:10]}, and the release"):
        get(team)
    team.work.git("tag", "--delete", TAG)
    with pytest.raises(DeployError, match=f"the tag {TAG} is gone"):
        get(team)


def test_fetch__a_tag_that_moved_on_a_laptop(laptop: Deployers) -> None:
    laptop.lay("v1.0.0")
    laptop.work.git("tag", "--force", "-a", "-m", "moved", TAG, laptop.commits["v2.0.0"])
    with pytest.raises(DeployError, match="points at"):
        get(laptop, tag=None)


def test_fetch__a_release_that_says_it_is_another(team: Deployers) -> None:
    rewrite(team, tag="churn@v2.0.0")
    with pytest.raises(DeployError, match=r"the release churn@v1\.0\.0 says that it is churn@v2\.0\.0"):
        get(team)
    rewrite(team, tag=TAG, version="v3.0.0")
    with pytest.raises(DeployError, match=r"churn@v1\.0\.0 is not the tag of churn v3\.0\.0"):
        get(team)
    asset(team, layout.RELEASE).data = b"{"
    summed(team)
    with pytest.raises(DocumentError):
        get(team)


def far(team: Deployers, *, configured: bool = True) -> bytes:
    """Have model.bin lie in an artifact store; its content."""
    release = published(team)
    [number] = [item.id for item in release.assets.values() if item.name == "model.bin"]
    data = release.assets.pop(number).data
    sha256 = hashlib.sha256(data).hexdigest()
    file = decode(asset(team, layout.RELEASE).data, Document, name="").files[0]
    rewrite(team, files=(msgspec.structs.replace(file, stored="s3://elsewhere/evil"),))
    asset(team, layout.SUMS).data += f"{sha256}  model.bin\n".encode()
    if configured:
        (team.work.folder / "mlci.toml").write_text(f'{CONFIG}\n[artifacts]\nstore = "../store"\n')
        place = team.folder / "store" / sha256[:2] / sha256
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
    return data


def test_fetch__from_the_artifact_store(team: Deployers) -> None:
    data = far(team)
    assert (get(team).folder / "model.bin").read_bytes() == data


def test_fetch__an_artifact_store_that_is_not_configured_or_has_it_no_more(team: Deployers) -> None:
    far(team, configured=False)
    with pytest.raises(DeployError, match=r"model\.bin: it is too large for the release and lies in an artifact store"):
        get(team)
    (team.work.folder / "mlci.toml").write_text(f'{CONFIG}\n[artifacts]\nstore = "../store"\n')
    with pytest.raises(DeployError, match=r"model\.bin: it is no longer in the artifact store"):
        get(team)


def test_fetch__what_a_killed_try_left_is_in_nobody_s_way(team: Deployers) -> None:
    left = team.work.folder / ".mlci/.release.part"
    left.mkdir(parents=True)
    (left / "model.bin").write_bytes(b"half")
    (left / "stranger").write_bytes(b"")
    assert not (get(team).folder / "stranger").exists()
    shutil.rmtree(team.work.folder / ".mlci")
