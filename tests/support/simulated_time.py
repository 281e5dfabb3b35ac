"""Time that waits move on: a whole run against a rehearsed AWS, at AWS's own speed, in seconds.

`time.monotonic` and the run's waits go by one clock. It stands still while anybody is at work, and
jumps to the next moment for which somebody waits as soon as nobody is: no call is under way, no
other thread of the process used the processor since the last look, and none wants it now. So
how long a run takes is the same on an idle machine and on a busy one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from botocore.client import BaseClient

from provision.cli import process
from provision.cli.options import Stop

LOOK_SECONDS = 0.002  # real ones, between two looks whether anybody is at work
NOTHING_SECONDS = 0.00001  # of the processor's time: what the two clocks differ by themselves
TASKS = Path("/proc/self/task")


class SimulatedTime:
    """The clock of everybody in a `with simulated_time()` block."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = time.monotonic()
        self._calls = 0
        self._wakes: list[float] = []
        self._over = False
        self._keeper = threading.Thread(target=self._keep, name="simulated time", daemon=True)
        self._keeper.start()

    def monotonic(self) -> float:
        """Seconds, as `time.monotonic` has them."""
        return self._now

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

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Return when so many seconds have passed, or `stop` is set."""
        with self._changed:
            wake = self._now + seconds
            self._wakes.append(wake)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._now >= wake or stop.is_set())
            self._wakes.remove(wake)

    def look_again(self) -> None:
        """Let those who wait see whether their `stop` is set."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread that keeps the time."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._keeper.join()

    def _keep(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wakes or self._over)
                if self._over:
                    return
            used = used_by_others()
            time.sleep(LOOK_SECONDS)
            quiet = not self._calls and used_by_others() - used < NOTHING_SECONDS
            quiet = quiet and not others_run()
            with self._changed:
                if quiet and not self._calls and self._wakes:
                    self._now = max(self._now, min(self._wakes))
                    self._changed.notify_all()


def used_by_others() -> float:
    """Return the seconds of the processor's time that the other threads of this process used."""
    return time.process_time() - time.thread_time()


def others_run() -> bool:
    """Return whether another thread of this process runs, or would if the machine let it."""
    own = str(threading.get_native_id())
    for task in TASKS.iterdir() if TASKS.exists() else ():  # elsewhere than on Linux: not known
        if task.name != own:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                state = (task / "stat").read_text().rpartition(")")[2].split()[0]
                if state in "RD":  # D: waits for the disk
                    return True
    return False


class SimulatedStop(Stop):
    """A run's `stop`, on which all its waits wait."""

    def __init__(self, clock: SimulatedTime) -> None:
        super().__init__()
        self._clock = clock

    def set(self) -> None:
        """End every wait."""
        super().set()
        self._clock.look_again()

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
        contextlib.closing(clock),
        mock.patch.object(time, "monotonic", clock.monotonic),
        mock.patch.object(process, "make_options", make_options),
        mock.patch.object(BaseClient, "_make_api_call", make_api_call),
    ):
        yield
