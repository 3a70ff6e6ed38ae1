from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mlci.errors import ForgeError
from mlci.plugins.forges.patience import Patience, StumbleError


@dataclass
class Clock:
    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def patience(clock: Clock, **options: float) -> Patience:
    return Patience(clock=lambda: clock.now, sleep=clock.sleep, jitter=lambda: 0.5, **options)


def stumbling(*stumbles: StumbleError) -> Callable[[float], str]:
    left = list(stumbles)

    def attempt(_left_s: float) -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def test_call__tries_again_with_growing_pauses(clock: Clock) -> None:
    assert patience(clock).call("it", stumbling(*[StumbleError("HTTP 502")] * 6)) == "done"
    assert clock.waits == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_call__waits_as_long_as_the_server_asks_and_a_little_more(clock: Clock) -> None:
    patience(clock).call("it", stumbling(StumbleError("rate limit", wait_s=7, limited=True)))
    assert clock.waits == [7.5]


def test_call__a_limit_that_names_no_time_takes_a_minute(clock: Clock) -> None:
    patience(clock).call("it", stumbling(StumbleError("rate limit", limited=True)))
    assert clock.waits == [60.0]


def test_call__a_wait_beyond_the_deadline_is_not_begun(clock: Clock) -> None:
    with pytest.raises(ForgeError, match="it: given up after 1 try: rate limit") as caught:
        patience(clock).call("it", stumbling(StumbleError("rate limit", wait_s=3_000, limited=True)))
    assert clock.waits == []
    assert "3000 s" in str(caught.value.hint)


def test_call__one_deadline_for_all_calls(clock: Clock) -> None:
    patient = patience(clock, deadline_s=20.0)
    with pytest.raises(ForgeError, match="given up after 8 tries"):
        patient.call("it", stumbling(*[StumbleError("HTTP 502")] * 99))
    with pytest.raises(ForgeError, match="another: given up after 2 tries"):
        patient.call("another", stumbling(*[StumbleError("HTTP 502")] * 99))
    assert clock.now <= 20.0


def test_call__the_deadline_counts_what_calls_take_and_nothing_between_them(clock: Clock) -> None:
    patient = patience(clock, deadline_s=10.0)
    clock.now += 1_000
    seen = []

    def slow(left_s: float) -> None:
        seen.append(left_s)
        clock.now += 4

    patient.call("it", slow)
    patient.call("it", slow)
    assert seen == [10.0, 6.0]


def test_call__after_an_ambiguous_failure_looks_before_it_creates_again(clock: Clock) -> None:
    found = patience(clock).call("it", stumbling(StumbleError("cut")), adopt=lambda: "the first one")
    assert found == "the first one"


def test_call__what_surely_had_no_effect_is_repeated_without_a_look(clock: Clock) -> None:
    def look() -> str:
        raise AssertionError

    stumble = StumbleError("refused", certain=True)
    assert patience(clock).call("it", stumbling(stumble), adopt=look) == "done"


def test_call__creates_again_where_a_look_finds_nothing(clock: Clock) -> None:
    assert patience(clock).call("it", stumbling(StumbleError("cut")), adopt=lambda: None) == "done"


def test_call__other_errors_pass(clock: Clock) -> None:
    def attempt(_left_s: float) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        patience(clock).call("it", attempt)


def test_pause__says_no_where_no_time_is_left(clock: Clock) -> None:
    patient = patience(clock, deadline_s=1.0)
    assert patient.pause(1)
    assert patient.pause(1)
    assert not patient.pause(1)
