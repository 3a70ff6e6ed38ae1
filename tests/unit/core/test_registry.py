from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlci.core.registry import Registry, Tag, read, stage_tag, version_tag
from mlci.core.versions import Version, parse

A, B, C = "a" * 40, "b" * 40, "c" * 40


def registry(*tags: tuple[str, str], plain: bool = False, model: str = "churn") -> Registry:
    return read([Tag(name=name, commit=commit) for name, commit in tags], model, plain=plain)


def test_read__versions_and_stages() -> None:
    found = registry(
        ("churn@v0.1.0", A),
        ("churn@v0.2.0", B),
        ("churn#staging#1", A),
        ("churn#production#2", A),
        ("churn#staging#3", B),
    )
    assert [str(item.version) for item in found.versions] == ["v0.1.0", "v0.2.0"]
    assert {stage: str(found.staged_version(stage).version) for stage in found.stages} == {  # type: ignore[union-attr]
        "staging": "v0.2.0",
        "production": "v0.1.0",
    }
    assert str(found.latest.version) == "v0.2.0"  # type: ignore[union-attr]
    assert stage_tag(found, "production") == "churn#production#4"


def test_read__other_models_and_other_tags_are_nothing() -> None:
    found = registry(("fraud@v9.0.0", A), ("v3.0.0", A), ("churn", A), ("churn@latest", A), ("fraud#production#7", A))
    assert found.versions == ()
    assert found.count == 0


def test_read__plain_tags_of_a_repository_of_one_model() -> None:
    found = registry(("v1.0.0", A), ("churn@v1.1.0", B), plain=True)
    assert [str(item.version) for item in found.versions] == ["v1.0.0", "v1.1.0"]


def test_read__what_was_undone_is_gone() -> None:
    found = registry(("churn@v0.1.0", A), ("churn@v0.1.0!", A), ("churn#production#1", A), ("churn#production!#2", A))
    assert found.versions == ()
    assert found.stages == {}
    assert found.count == 2


def test_read__the_count_of_stage_tags_decides_not_their_order() -> None:
    found = registry(("churn@v0.1.0", A), ("churn@v0.2.0", B), ("churn#production#10", A), ("churn#production#9", B))
    assert found.stages["production"].commit == A


def test_latest__a_preview_counts_only_where_there_is_nothing_else() -> None:
    assert str(registry(("churn@v1.0.0", A), ("churn@v2.0.0-rc.1", B)).latest.version) == "v1.0.0"  # type: ignore[union-attr]
    assert str(registry(("churn@v2.0.0-rc.1", B)).latest.version) == "v2.0.0-rc.1"  # type: ignore[union-attr]


def test_version_tag__with_and_without_the_model() -> None:
    assert version_tag("churn", Version(1, 2, 0), plain=False) == "churn@v1.2.0"
    assert version_tag("churn", Version(1, 2, 0), plain=True) == "v1.2.0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.2.3", Version(1, 2, 3)),
        ("v0.0.0", Version(0, 0, 0)),
        ("v1.0.0-rc.1", Version(1, 0, 0, "rc.1")),
        ("1.2.3", None),
        ("v1.2", None),
        ("v01.2.3", None),
        ("v1.2.3-", None),
        ("v1.2.3-01", None),
        ("v1.2.3+build", None),
        ("v" + "9" * 50 + ".0.0", None),
    ],
)
def test_parse__semantic_versions(text: str, expected: Version | None) -> None:
    assert parse(text) == expected


def test_order__is_that_of_semver_org() -> None:
    written = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1", None]
    ordered = [Version(1, 0, 0, pre) for pre in written]
    assert all(one < two for one, two in itertools.pairwise(ordered))


@pytest.mark.parametrize(("bump", "expected"), [("major", "v2.0.0"), ("minor", "v1.3.0"), ("patch", "v1.2.4")])
def test_bumped__each_kind(bump: Any, expected: str) -> None:
    assert str(Version(1, 2, 3).bumped(bump)) == expected
    assert str(Version(1, 2, 3, "rc.1").bumped("patch")) == "v1.2.3"


numbers = st.integers(0, 10**6)


@given(numbers, numbers, numbers, st.sampled_from(["major", "minor", "patch"]))
def test_bumped__is_always_newer_and_can_be_read_back(major: int, minor: int, patch: int, bump: Any) -> None:
    version = Version(major, minor, patch)
    assert version.bumped(bump) > version
    assert parse(str(version)) == version
