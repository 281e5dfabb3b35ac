"""How far a run is: what is under way, its state, and how long it may still take.

Bookkeeping only: no terminal, no thread, and the clock comes from outside. Plain and live output
report what happens to it, and take a `View` to show.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provision.engine.graph import created_before, deleted_before
from provision.engine.plan import Action
from provision.resources.base import DataSource, Resource
from provision.resources.durations import Duration
from provision.views.condition import status_in_words
from provision.views.visible import one_line

if TYPE_CHECKING:
    from provision.engine.plan import Plan

FASTEST, SLOWEST = 0.7, 1.5  # of what was measured here once: how far the next time may be off
LEAST_SECONDS = 2.0  # what any step takes: its calls, at whatever speed AWS is rehearsed
LONG_SECONDS = 30.0  # usual time from which on "longer than usual" is worth saying
UNKNOWN = (0.0, 0.0)


@dataclass(frozen=True)
class Wait:
    """One step that is under way."""

    step: str
    doing: str  # creating, updating, deleting, or checking: exists, not ready yet
    status: str  # AWS's own word, or ours before AWS has said one
    reason: str  # AWS's
    seconds: float  # since it began
    counted: float  # those of them to be held against what is usual
    usual: float  # seconds; 0 where nobody knows
    slow: float  # seconds that few of its kind exceed

    @property
    def overdue(self) -> bool:
        """Whether it takes longer than even a slow one does."""
        return self.usual >= LONG_SECONDS and self.counted > self.slow


@dataclass(frozen=True)
class View:
    """A run at one moment."""

    seconds: float  # since the command began
    activity: str  # what the command itself is at, e.g. looking up what exists; or ""
    active_seconds: float  # since that began
    done: int
    total: int
    waits: tuple[Wait, ...]  # what takes longest comes first
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    left: tuple[float, float]  # seconds: at least, at most
    chain: tuple[str, ...]  # what its end waits for: a step under way, then its dependents


@dataclass
class _Row:
    resource: Resource
    doing: str
    since: float
    status: str = ""
    reason: str = ""


@dataclass
class Progress:
    """Keeps the books of one command. Every method may be called from any thread."""

    clock: Callable[[], float] = time.monotonic
    speed: float = 1.0  # AWS seconds that pass in one real second
    earlier: Mapping[str, float] = field(default_factory=dict)  # seconds by step, as measured here

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self.start(())

    # --- what happens -----------------------------------------------------------------------------

    def start(self, resources: Sequence[Resource], *, activity: str = "") -> None:
        """A command begins: everything before it is forgotten."""
        with self._lock:
            self._began = self.clock()
            self._activity, self._active_since = activity, self._began
            self._resources = {each.step: each for each in resources}
            self._needs: dict[str, set[str]] = {}
            self._doing: dict[str, str] = {}  # what every step is to go through, once it begins
            self._rows: dict[str, _Row] = {}
            self._done: dict[str, float] = {}  # when
            self._failed: list[str] = []
            self._skipped: list[str] = []

    def planned(self, plan: Plan) -> None:
        """What is going to be made or changed."""
        words = {Action.CREATE: "creating", Action.REPLACE: "creating"}
        with self._lock:
            self._activity = ""
            self._resources |= {each.step: each.resource for each in plan.steps}
            self._doing = {each.step: words.get(each.action, "updating") for each in plan.to_do}
            self._needs = {each.step: created_before(each.resource) for each in plan.steps}

    def removing(self, resources: Sequence[Resource]) -> None:
        """What is going to be deleted."""
        with self._lock:
            self._activity = ""
            self._resources |= {each.step: each for each in resources}
            self._doing = {each.step: "deleting" for each in resources}
            self._needs = {each.step: deleted_before(each, resources) for each in resources}

    def active(self, activity: str) -> None:
        """The command itself is at something; or at nothing any more, with ""."""
        with self._lock:
            self._activity, self._active_since = activity, self.clock()

    def began(self, resource: Resource, doing: str) -> bool:
        """A step begins. Returns whether that counts: nothing is made by a data source."""
        if isinstance(resource, DataSource):
            return False
        with self._lock:
            self._activity = ""
            self._resources.setdefault(resource.step, resource)
            self._doing.setdefault(resource.step, doing)
            self._done.pop(resource.step, None)
            self._rows[resource.step] = _Row(resource, doing, self.clock())
            return True

    def status(self, resource: Resource, status: str, reason: str = "") -> bool:
        """AWS says something of a step. Returns whether that is news."""
        if isinstance(resource, DataSource):
            return False
        with self._lock:
            if resource.step not in self._rows:
                self.began(resource, "checking")
            row = self._rows[resource.step]
            status, reason = one_line(status), one_line(reason)
            before = (status_in_words(row.status or row.doing), row.reason)
            news = before != (status_in_words(status), reason)
            row.status, row.reason = status, reason
            return news

    def finished(self, resource: Resource, action: str) -> None:
        """A step ended well."""
        with self._lock:
            self._rows.pop(resource.step, None)
            replaced = action == "deleted" and self._doing.get(resource.step) == "creating"
            if not replaced:  # what is replaced is done when it exists again
                self._done[resource.step] = self.clock()

    def failed(self, resource: Resource) -> None:
        """A step failed."""
        with self._lock:
            self._rows.pop(resource.step, None)
            self._failed.append(resource.step)

    def skipped(self, resource: Resource) -> None:
        """A step was not begun, since one that it needs has failed."""
        with self._lock:
            self._rows.pop(resource.step, None)
            self._skipped.append(resource.step)

    # --- what is shown ----------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return self.clock() - self._began

    def view(self) -> View:
        """Return the run as it is now."""
        with self._lock:
            now = self.clock()
            spans, chain = self._longest(now)
            waits = [self._wait(row, now) for row in self._rows.values()]
            waits.sort(key=lambda wait: (-spans.get(wait.step, UNKNOWN)[1], wait.step))
            counted = set(self._doing)
            return View(
                seconds=now - self._began,
                activity=self._activity,
                active_seconds=now - self._active_since,
                done=len(counted & set(self._done)),
                total=len(counted),
                waits=tuple(waits),
                failed=tuple(self._failed),
                skipped=tuple(self._skipped),
                left=(max(least for least, _ in spans.values()), spans[chain[-1]][1])
                if chain
                else UNKNOWN,
                chain=tuple(step for step in chain if step in self._doing),
            )

    def _wait(self, row: _Row, now: float) -> Wait:
        step = row.resource.step
        known = row.doing in ("creating", "deleting") and not self._held_up(step)
        takes = self._takes(step, row.doing)
        return Wait(
            step,
            row.doing,
            row.status or row.doing,
            row.reason,
            seconds=now - row.since,
            counted=self._counted(row, now),
            usual=takes.typical if known else 0.0,
            slow=takes.slow,
        )

    def _held_up(self, step: str) -> bool:
        """Return whether a step's own time has not begun: what it needs is still under way.

        What was measured here counts from when the step began, and has that wait in it.
        """
        return step not in self.earlier and any(map(self._open, self._needs.get(step, ())))

    def _counted(self, row: _Row, now: float) -> float:
        """Return the seconds of a step that count against what is usual."""
        step = row.resource.step
        if step in self.earlier:
            return now - row.since
        needed = [self._done[need] for need in self._needs.get(step, ()) if need in self._done]
        return now - max([row.since, *needed])

    def _takes(self, step: str, doing: str) -> Duration:
        """Return how many real seconds a step takes: here, where that was measured."""
        resource = self._resources[step]
        if doing == "deleting":
            return resource.deletion.scaled(1 / self.speed, LEAST_SECONDS)
        if step in self.earlier:
            measured = max(LEAST_SECONDS, self.earlier[step])
            return Duration(measured * FASTEST, measured, measured * SLOWEST)
        return resource.creation.scaled(1 / self.speed, LEAST_SECONDS)

    def _longest(self, now: float) -> tuple[dict[str, tuple[float, float]], list[str]]:
        """Return how long until each step is done (seconds, at least and at most), and the chain of
        steps, each needing the one before it, that ends last.
        """
        spans: dict[str, tuple[float, float]] = {}
        before: dict[str, str] = {}

        def until(step: str) -> tuple[float, float]:
            if step in spans:
                return spans[step]
            needs = [need for need in self._needs.get(step, ()) if self._open(need)]
            last = max(needs, key=lambda need: (until(need)[1], need), default=None)
            least = max((until(need)[0] for need in needs), default=0.0)
            most = until(last)[1] if last else 0.0
            own = self._own(step, now)
            if step in self._rows and step in self.earlier:  # runs beside what it needs
                spans[step] = (max(least, own[0]), max(most, own[1]))
            else:
                spans[step] = (least + own[0], most + own[1])
            if last:
                before[step] = last
            return spans[step]

        steps = [step for step in self._doing if self._open(step)]
        if not steps:
            return {}, []
        chain = [max(steps, key=lambda step: (until(step)[1], step))]
        while chain[0] in before:
            chain.insert(0, before[chain[0]])
        return spans, chain

    def _open(self, step: str) -> bool:
        return step in self._doing and step not in (*self._done, *self._failed, *self._skipped)

    def _own(self, step: str, now: float) -> tuple[float, float]:
        """Return the seconds that a step itself may still take, at least and at most."""
        row = self._rows.get(step)
        doing = row.doing if row else self._doing[step]
        least, usual, most = self._takes(step, doing)
        if doing in ("updating", "checking"):
            least = 0.0  # it may be a matter of one call, or of as long as making it takes
        if row is None or self._held_up(step):
            return least, most
        passed = self._counted(row, now)
        if passed < most:
            return max(0.0, least - passed), most - passed
        return 0.0, math.inf if usual >= LONG_SECONDS else usual
