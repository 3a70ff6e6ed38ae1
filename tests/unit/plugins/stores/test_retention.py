from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from fakes.records import record
from mlci.core.documents import PredictionsFile, Record
from mlci.plugins.stores import blobs, layout, retention

A, B, C = "a" * 40, "b" * 40, "c" * 40
JUNE = datetime(2024, 6, 1, tzinfo=UTC)


def made(created_at: str, commit: str, *predictions: str, profile: str = "full") -> Record:
    """A record, with predictions of the digests that repeat a digit."""
    files = tuple(PredictionsFile(path="p.csv", sha256=64 * digit, size=1) for digit in predictions)
    return msgspec.structs.replace(record(commit=commit, created_at=created_at, profile=profile), predictions=files)


def outgoing(
    *records: Record, stored: str = "", unreadable: tuple[str, ...] = (), spare: tuple[str, ...] = ()
) -> tuple[list[str], list[str]]:
    """The commits whose records go, and the digits of the blobs that do."""
    shelf = [retention.kept(layout.record_path(item), item) for item in records]
    shelf += [retention.kept(layout.path("churn", "full", commit), None) for commit in unreadable]
    held = [blobs.path(64 * digit) for digit in stored]
    entries, paths = retention.outgoing(shelf, held, older_than=JUNE, spare=spare)
    assert paths[: len(entries)] == [layout.path(item.run, item.profile, item.commit) for item in entries]
    return [item.commit for item in entries], [path[-1] for path in paths[len(entries) :]]


def test_outgoing__what_is_older() -> None:
    assert outgoing(made("2024-05-31T23:59:59Z", A), made("2024-06-01T00:00:00Z", B)) == ([A], [])


def test_outgoing__compares_times_not_texts() -> None:
    assert outgoing(made("2024-06-01T01:00:00+02:00", A), made("2024-05-31T23:00:00-02:00", B)) == ([A], [])


def test_outgoing__never_the_last_of_a_run_and_profile() -> None:
    old = "2020-01-01T00:00:00Z"
    assert outgoing(made(old, A), made("2020-01-02T00:00:00Z", B), made(old, A, profile="smoke")) == ([A], [])


def test_outgoing__what_is_spared() -> None:
    records = made("2020-01-01T00:00:00Z", A), made("2020-01-01T00:00:00Z", B), made("2024-07-01T00:00:00Z", C)
    assert outgoing(*records, spare=(A,)) == ([B], [])


def test_outgoing__a_date_that_is_none_is_not_old() -> None:
    assert outgoing(made("yesterday", A), made("", B), made("2024-07-01T00:00:00Z", C)) == ([], [])


def test_outgoing__a_date_that_is_none_is_not_the_last() -> None:
    assert outgoing(made("yesterday", A), made("2020-01-01T00:00:00Z", B), made("2020-01-02T00:00:00Z", C)) == ([B], [])


def test_outgoing__blobs_that_no_other_record_names() -> None:
    records = made("2020-01-01T00:00:00Z", A, "1", "2"), made("2024-07-01T00:00:00Z", C, "2", "3")
    assert outgoing(*records, stored="1234") == ([A], ["1", "4"])


def test_outgoing__no_blob_while_a_record_cannot_be_read() -> None:
    records = made("2020-01-01T00:00:00Z", A, "1"), made("2024-07-01T00:00:00Z", C)
    assert outgoing(*records, stored="14", unreadable=(B,)) == ([A], [])


def test_outgoing__hostile_digests_name_nothing() -> None:
    escaping = PredictionsFile(path="p.csv", sha256="../../runs", size=1)
    named = msgspec.structs.replace(made("2024-07-01T00:00:00Z", A), predictions=(escaping,))
    assert outgoing(named, stored="1") == ([], ["1"])


def test_outgoing__nothing_of_nothing() -> None:
    assert retention.outgoing([], [], older_than=JUNE, spare=[]) == ([], [])
