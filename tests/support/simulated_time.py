"""Time that waits move on: a whole run against a rehearsed AWS, at AWS's own speed, in seconds.

`time.monotonic` and the run's waits go by one clock, which jumps to the next moment for which
somebody waits as soon as nobody is at work: no call is under way, and no thread has begun a wait
for a moment. A thread that a busy machine keeps from its work for longer than that comes late by
one of its waits; how long a run takes is exact but for that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from botocore.client import BaseClient

from provision.cli import process
from provision.cli.options import Stop

QUIET_SECONDS = 0.01  # real ones, after which nobody is at work


class SimulatedTime:
    """The clock of everybody in a `with simulated_time()` block."""

    def __init__(self) -> None:
        self._real = time.monotonic
        self._changed = threading.Condition()
        self._skipped = 0.0
        self._busy_at = self._real()
        self._calls = 0
        self._wakes: list[float] = []

    def monotonic(self) -> float:
        """Seconds, as `time.monotonic` has them."""
        return self._real() + self._skipped

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Keep the time from jumping while a call is under way."""
        self._at_work(1)
        try:
            yield
        finally:
            self._at_work(-1)

    def _at_work(self, more: int) -> None:
        with self._changed:
            self._calls += more
            self._busy_at = self._real()

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Return when so many seconds have passed, or `stop` is set."""
        with self._changed:
            wake = self.monotonic() + seconds
            self._wakes.append(wake)
            self._busy_at = self._real()
            while self.monotonic() < wake and not stop.is_set():
                self._changed.wait(QUIET_SECONDS)
                self._jump()
            self._wakes.remove(wake)
            self._busy_at = self._real()

    def _jump(self) -> None:
        quiet = self._real() - self._busy_at >= QUIET_SECONDS
        if quiet and not self._calls:
            self._skipped += max(0.0, min(self._wakes) - self.monotonic())
            self._busy_at = self._real()
            self._changed.notify_all()


class SimulatedStop(Stop):
    """A run's `stop`, on which all its waits wait."""

    def __init__(self, clock: SimulatedTime) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Wait in simulated time."""
        assert timeout is not None, "nobody would ever wake up"
        self._clock.sleep(timeout, self)
        return self.is_set()


@contextlib.contextmanager
def simulated_time() -> Iterator[None]:
    """Let everything in this process go by a clock that waits move on."""
    clock = SimulatedTime()
    options, send = process.make_options, BaseClient._make_api_call  # type: ignore[attr-defined]

    def make_options(*given: Any) -> Any:
        return dataclasses.replace(options(*given), stop=SimulatedStop(clock))

    def make_api_call(*given: Any) -> Any:
        with clock.call():
            return send(*given)

    with (
        mock.patch.object(time, "monotonic", clock.monotonic),
        mock.patch.object(process, "make_options", make_options),
        mock.patch.object(BaseClient, "_make_api_call", make_api_call),
    ):
        yield
