"""What the steps of a run exchange: outputs as they become known, and which of them are done.

Each step runs in a thread of its own and waits here for what it refers to. The references form no
cycle, so somebody can always go on; `stop` ends every wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from provision.waiting.poll import interrupted

STOP_LOOK_SECONDS = 0.2  # how often those who wait look whether the run is asked to stop


class Blocked(Exception):
    """A step that was waited for has failed."""

    def __init__(self, steps: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(steps)))


class StepOutputs:
    """Outputs by step, shared by the threads of one run. Nothing on it is ever written to disk."""

    def __init__(self, stop: threading.Event, pseudo: Mapping[str, str] | None = None) -> None:
        self._stop = stop
        self._changed = threading.Condition()
        self._outputs: dict[str, dict[str, str]] = {"aws": dict(pseudo or {})}
        self._done: set[str] = {"aws"}
        self._failed: set[str] = set()

    def publish(self, step: str, outputs: Mapping[str, str], *, done: bool = False) -> None:
        """Publish a step's outputs; with `done`, no more will come."""
        with self._changed:
            self._outputs.setdefault(step, {}).update(outputs)
            if done:
                self._done.add(step)
            self._changed.notify_all()

    def fail(self, step: str) -> None:
        """Publish that a step failed: those that wait for it cannot go on."""
        with self._changed:
            self._failed.add(step)
            self._changed.notify_all()

    def known(self) -> dict[str, dict[str, str]]:
        """Return a copy of all outputs."""
        with self._changed:
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

    def _wait(self, steps: set[str], good: Callable[[], bool]) -> None:
        with self._changed:
            while not (self._stop.is_set() or steps & self._failed or good()):
                self._changed.wait(STOP_LOOK_SECONDS)
            if self._stop.is_set():
                raise interrupted()
            if failed := steps & self._failed:
                raise Blocked(failed)
