"""How long and how often a forge is asked again: which answers pass, what each wait is, one deadline for all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from mlci.errors import ForgeError

T = TypeVar("T")

DEADLINE_S = 120.0
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.5, 8.0
_UNSAID_WAIT_S = 60.0  # for a limit that names no time: GitHub asks for a minute


class StumbleError(Exception):
    """A request failed in a way that may pass.

    Args:
        message: What was seen, without secrets.
        certain: It surely had no effect, so that even a creation may be repeated.
        wait_s: How long the server asks to wait; None where it does not say.
        limited: It was a rate limit.
    """

    def __init__(
        self, message: str, *, certain: bool = False, wait_s: float | None = None, limited: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.certain = certain
        self.wait_s = wait_s
        self.limited = limited


@dataclass
class Patience:
    """Tries again with full jitter (Brooker 2015, "Exponential Backoff And Jitter") within one total deadline.

    The deadline counts the time that calls and waits take, not what the program does between them.

    Args:
        deadline_s: For all calls together, in seconds.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
        jitter: A random number in [0, 1).
    """

    deadline_s: float = DEADLINE_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    _spent_s: float = field(default=0.0, init=False)

    def call(self, what: str, attempt: Callable[[float], T], *, adopt: Callable[[], T | None] | None = None) -> T:
        """The result of `attempt`, made again while it stumbles.

        Args:
            what: How errors call it, such as "comment on pull request 7".
            attempt: Makes the request; is given the seconds that are left.
            adopt: For what creates: looks whether an earlier attempt arrived after all. Without it `attempt` must
                do no harm when it is made twice.

        Raises:
            ForgeError: It still stumbles at the deadline, or the server asks for a longer wait than is left.
        """
        tries = 0
        while True:
            try:
                with self._counting():
                    return attempt(max(0.0, self.deadline_s - self._spent_s))
            except StumbleError as stumble:
                tries += 1
                self._wait(what, stumble, tries)
                found = adopt() if adopt and not stumble.certain else None
                if found is not None:
                    return found

    def pause(self, tries: int) -> bool:
        """Wait before another look; False where no time is left."""
        pause_s = self._backoff(tries)
        if self._spent_s + pause_s > self.deadline_s:
            return False
        self.sleep(pause_s)
        self._spent_s += pause_s
        return True

    def _wait(self, what: str, stumble: StumbleError, tries: int) -> None:
        wait_s = stumble.wait_s
        if wait_s is None:
            wait_s = _UNSAID_WAIT_S if stumble.limited else self._backoff(tries)
        else:
            wait_s += self.jitter()  # many jobs are told the same second
        if self._spent_s + wait_s > self.deadline_s:
            hint = "Run the step again: it takes up where it stopped."
            if stumble.limited and stumble.wait_s:
                hint = f"The limit ends in {stumble.wait_s:.0f} s. {hint}"
            count = "1 try" if tries == 1 else f"{tries} tries"
            raise ForgeError(f"{what}: given up after {count}: {stumble.message}", hint=hint)
        self.sleep(wait_s)
        self._spent_s += wait_s

    @contextmanager
    def _counting(self) -> Iterator[None]:
        began = self.clock()
        try:
            yield
        finally:
            self._spent_s += self.clock() - began

    def _backoff(self, tries: int) -> float:
        return self.jitter() * min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(tries, 10))
