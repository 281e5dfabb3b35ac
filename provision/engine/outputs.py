"""What the steps of a run exchange: outputs as they become known, and which of them are done.

Each step runs in a thread of its own and waits here for what it refers to. The references form no
cycle, so somebody can always go on; `stop` ends every wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from provision.waiting.poll import interrupted

STOP_LOOK_SECONDS = 0.2  # how often waiting threads check whether the run should stop


class Blocked(Exception):
    """A step that was waited for has failed."""

    def __init__(self, steps: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(steps)))


@dataclass
class StepNeighbours:
    """The steps that one step refers to, until they are done (waiting/poll.py)."""

    outputs: StepOutputs
    steps: Collection[str]
    _noted: dict[str, str | None] = field(default_factory=dict)

    def note(self) -> None:
        """Note how they are now."""
        self._noted = self.outputs.statuses(self.steps)

    def rested(self) -> float | None:
        """Return for how many seconds none has changed; None if none is polled."""
        return self.outputs.rested(self._noted) if self._noted else None

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or when one has changed, or when the run has to stop."""
        self.outputs.wait_for_change(self._noted, seconds)


class StepOutputs:
    """Outputs by step, shared by the threads of one run. Nothing on it is ever written to disk."""

    def __init__(self, stop: threading.Event, pseudo: Mapping[str, str] | None = None) -> None:
        self._stop = stop
        self._lock = threading.RLock()
        self._waiters: list[tuple[Collection[str], threading.Event]] = []
        self._outputs: dict[str, dict[str, str]] = {"aws": dict(pseudo or {})}
        self._done: set[str] = {"aws"}
        self._statuses: dict[str, str] = {}
        self._changed_at: dict[str, float] = {}
        self._failed: set[str] = set()

    def publish(self, step: str, outputs: Mapping[str, str], *, done: bool = False) -> None:
        """Publish a step's outputs; with `done`, no more will come."""
        with self._lock:
            self._outputs.setdefault(step, {}).update(outputs)
            if done:
                self._done.add(step)
            self._wake(step)

    def saw(self, step: str, status: str) -> None:
        """Publish which status AWS showed of a step."""
        with self._lock:
            if self._statuses.get(step) != status:
                self._statuses[step] = status
                self._changed_at[step] = time.monotonic()
                self._wake(step)

    def fail(self, step: str) -> None:
        """Publish that a step failed: those that wait for it cannot continue."""
        with self._lock:
            self._failed.add(step)
            self._wake(step)

    def known(self) -> dict[str, dict[str, str]]:
        """Return a copy of all outputs."""
        with self._lock:
            return {step: dict(outputs) for step, outputs in self._outputs.items()}

    def wait_for_outputs(self, references: Iterable[tuple[str, str]]) -> None:
        """Return when each (step, output) is known or its step is done.

        Raises Interrupted, or Blocked when one of the steps has failed.
        """
        pairs = list(references)
        self._wait(
            {step for step, _ in pairs},
            lambda: all(
                step in self._done or output in self._outputs.get(step, ())
                for step, output in pairs
            ),
        )

    def wait_for_steps(self, steps: Iterable[str]) -> None:
        """Return when each of the steps is done. Raises Interrupted or Blocked."""
        wanted = set(steps)
        self._wait(wanted, lambda: wanted <= self._done)

    def statuses(self, steps: Iterable[str]) -> dict[str, str | None]:
        """Return which status AWS showed last of each of these steps that is not done."""
        with self._lock:
            return {each: self._statuses.get(each) for each in steps if each not in self._done}

    def rested(self, steps: Iterable[str]) -> float:
        """Return for how many seconds none of the steps has changed its status."""
        with self._lock:
            since = max((self._changed_at.get(each, 0.0) for each in steps), default=0.0)
        return time.monotonic() - since

    def wait_for_change(self, before: Mapping[str, str | None], seconds: float) -> None:
        """Return when `statuses` are no longer these, after so many seconds, or on `stop`."""
        until = time.monotonic() + seconds
        with self._awaiting(before) as woken:
            while not self._stop.is_set() and before == self.statuses(before):
                left = until - time.monotonic()
                if left <= 0:
                    return
                woken.wait(min(left, STOP_LOOK_SECONDS))
                woken.clear()

    def _wait(self, steps: Collection[str], good: Callable[[], bool]) -> None:
        with self._awaiting(steps) as woken:
            while not self._stop.is_set():
                woken.clear()
                with self._lock:
                    if failed := self._failed & set(steps):
                        raise Blocked(failed)
                    if good():
                        return
                woken.wait(STOP_LOOK_SECONDS)
        raise interrupted()

    @contextmanager
    def _awaiting(self, steps: Collection[str]) -> Iterator[threading.Event]:
        """Yield what is set when something of these steps changes: nobody wakes for others."""
        waiter = steps, threading.Event()
        with self._lock:
            self._waiters.append(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._waiters.remove(waiter)

    def _wake(self, step: str) -> None:
        for steps, woken in self._waiters:
            if step in steps:
                woken.set()
