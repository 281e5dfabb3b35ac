"""A clock that only waits move on: for tests of long waits that take no time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from unittest import mock

from provision.waiting.poll import PollPolicy


class Clock(threading.Event):
    """A run's `stop`, on which all waits wait; `at` says what happens at a time (seconds)."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.at: dict[float, Callable[[], None]] = {}

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass at once, up to when it is set."""
        assert timeout is not None, "nobody would ever wake up"
        assert timeout > 0, "nobody would ever wake up"
        end = self.now + timeout
        for moment in sorted(each for each in self.at if each <= end):
            self.now = max(self.now, moment)
            self.at.pop(moment)()
            if self.is_set():
                return True
        self.now = end
        return self.is_set()

    def poll_policy(
        self, *, poll: float = 5.0, timeout: float = 3600.0, speed: float = 1.0
    ) -> PollPolicy:
        """A poll policy that goes by this clock, in seconds."""
        return PollPolicy(poll_seconds=poll, timeout_seconds=timeout, speed=speed, stop=self)

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        """Be the time of everybody in the block, in which nobody sleeps in earnest."""
        asleep = AssertionError("time.sleep: a run's waits are on its `stop`")
        with (
            mock.patch("time.monotonic", side_effect=lambda: self.now),
            mock.patch("time.sleep", side_effect=asleep),
        ):
            yield
