"""Plays schedules of several runs that share one state in S3: lock and state alone, simulated time.

Everything is drawn from a seed: when a run begins, how long a request is under way, whether its
answer is lost, whether it takes effect long after its sender gave up, 409s, kills, pauses (as of a
laptop that sleeps), clocks that are off and drift. A run's check of its lease and what it sends
right after are one action: nothing comes between them.

`play(seed)` raises AssertionError where

- a write that was acknowledged to its run is missing from the state,
- a lock was deleted that its deleter had not written,
- something was changed by a run while the lock was another's.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from provision.errors import LeaseLost, Locked, ProvisionError
from provision.state.conditional_write import Overtaken, read, write
from provision.state.lease import Holder, Lease, acquire, parse, release, renew
from provision.state.requests import (
    Absent,
    Busy,
    Delete,
    Done,
    Found,
    Get,
    Logic,
    Pause,
    Put,
    Refused,
    Request,
    S3Answer,
    Unknown,
)

STATE, LOCK = "demo.json", "demo.json.lock"
TIMEOUT = 20.0  # seconds after which a sender gives up on an answer
PATIENCE = 6  # how often a run tries to take a lock that another holds
LATEST = 300.0  # seconds after which a request may still take effect
DRIFT = 2e-4  # of a clock, seconds per second: far more than a quartz has
FATES = ("cut", "lost", "late", "late", "slow", "slow", "busy")

Task = Generator[Request, Any, None]


@dataclass
class Stored:
    """An object in the simulated S3."""

    body: bytes
    modified: float

    @property
    def version(self) -> str:
        """Its ETag: that of its content, as S3's are, so that equal bodies have equal ones."""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


@dataclass
class Run:
    """One run, with its own clock."""

    name: str
    world: Simulation
    lease: Lease
    offset: float
    rate: float
    killed: bool = False
    paused_until: float = 0.0
    working: bool = True
    written: list[str] = field(default_factory=list)  # acknowledged

    def clock(self) -> float:
        """Its own elapsed clock."""
        return self.offset + self.world.now * self.rate

    def start(self, task: Task) -> None:
        """Begin a thread of its own."""
        self.world.at(self.world.now, lambda: self.go_on(task, None))

    def go_on(self, task: Task, answer: Any) -> None:
        """Hand a thread what it waits for, once it is not paused; never again once killed."""
        if self.killed:
            return
        if self.world.now < self.paused_until:
            self.world.at(self.paused_until, lambda: self.go_on(task, answer))
            return
        try:
            request = task.send(answer)
        except StopIteration:
            return
        self.world.send(self, task, request)

    # --- what it does -----------------------------------------------------------------------------

    def work(self, changes: int) -> Task:
        """Take the lock, change things, each announced in the state before, give the lock back."""
        if not (yield from self.take()):
            return
        self.world.counts["took over" if self.lease.taken_from else "took"] += 1
        self.start(self.renew())
        try:
            yield from self.change_things(changes)
            self.world.counts["ended well"] += 1
        except Overtaken:
            self.world.counts["overtaken"] += 1
        except LeaseLost:
            self.world.counts["lost"] += 1
        except ProvisionError:
            self.world.counts["no answer"] += 1
        self.working = False
        yield from release(self.lease)

    def take(self) -> Generator[Request, Any, bool]:
        """Take the lock, again and again while another run has it. Returns whether it was had."""
        for _ in range(PATIENCE):
            self.lease = self.world.new_lease(self.name)
            try:
                yield from acquire(self.lease)
                return True
            except Locked:
                self.world.counts["locked"] += 1
                yield Pause(self.world.draw.uniform(0, self.lease.seconds))
            except ProvisionError:
                self.world.counts["no answer"] += 1
                break
        return False

    def change_things(self, changes: int) -> Task:
        """Announce a change, make it; again and again."""
        found = yield from read(STATE)
        entries: list[str] = json.loads(found.body) if found else []
        version = found.version if found else None
        for number in range(changes):
            entries = [*entries, f"{self.name}.{number}"]
            version = yield from self.fenced(write(STATE, json.dumps(entries).encode(), version))
            self.written.append(entries[-1])
            yield Pause(self.world.draw.uniform(0, 20))
            self.check()
            self.world.changed(self)

    def fenced(self, logic: Logic[str]) -> Generator[Request, Any, str]:
        """`logic`, with the lease checked right before each write that it sends."""
        request = next(logic)
        while True:
            if isinstance(request, Put):
                self.check()
            answer = yield request
            try:
                request = logic.send(answer)
            except StopIteration as ended:
                return str(ended.value)

    def check(self) -> None:
        """Raise LeaseLost when the lease is over."""
        if not self.lease.holds(self.clock()):
            raise LeaseLost(self.lease.lost)

    def renew(self) -> Task:
        """Renew the lease until the work ends."""
        while self.working and self.lease.holds(self.clock()):
            due = self.lease.next_renewal - self.clock()
            if due > 0:
                yield Pause(max(due, 0.001))  # rounding must not make time stand still
            elif not (yield from renew(self.lease)):
                yield Pause(0.2)


class Simulation:
    """Simulated time, S3, and who is at work."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self.now = 1_000_000.0
        self.objects: dict[str, Stored] = {}
        self.counts: Counter[str] = Counter()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self.trouble = self.draw.choice((0.0, 0.05, 0.25, 0.6))  # how often a request meets any
        self.lease_seconds = self.draw.choice((5, 10, 60))
        self.runs = [self._run(name) for name in ("a", "b", "c")[: self.draw.choice((2, 3))]]

    def _run(self, name: str) -> Run:
        offset, rate = self.draw.uniform(-1e6, 1e6), 1 + self.draw.uniform(-DRIFT, DRIFT)
        return Run(name, self, self.new_lease(name), offset, rate)

    def new_lease(self, name: str) -> Lease:
        """Return a lease that a run of this name may take."""
        holder = Holder("up", "demo", 1, name, "2026-11-26T08:00:00Z")
        return Lease(LOCK, holder, self.lease_seconds, nonce=lambda: f"{self.draw.random()}")

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Let something happen at a moment."""
        self._number += 1
        heapq.heappush(self._events, (moment, self._number, action))

    def play(self) -> None:
        """Let everything happen that is to happen."""
        for run in self.runs:
            changes = self.draw.randint(1, 6)
            begins = self.now + self.draw.choice((0.0, self.draw.uniform(0, 5 * TIMEOUT + 90)))
            self.at(begins, lambda run=run, changes=changes: run.start(run.work(changes)))  # type: ignore[misc]
            if self.draw.random() < 0.3:
                self.at(begins + self.draw.uniform(0, 60), lambda run=run: self._kill(run))  # type: ignore[misc]
            for _ in range(self.draw.choice((0, 0, 1, 2))):
                self.at(begins + self.draw.uniform(0, 60), lambda run=run: self._pause(run))  # type: ignore[misc]
        while self._events:
            self.now, _, action = heapq.heappop(self._events)
            action()

    def _kill(self, run: Run) -> None:
        run.killed = True
        self.counts["killed"] += 1

    def _pause(self, run: Run) -> None:
        run.paused_until = self.now + self.draw.choice((1, 4, 8, 30, 70, 400)) * self.draw.random()
        self.counts["paused"] += 1

    # --- S3 ---------------------------------------------------------------------------------------

    def send(self, run: Run, task: Task, request: Request) -> None:
        """Send a request: when it takes effect and what comes back is drawn."""
        if isinstance(request, Pause):
            self.at(self.now + request.seconds / run.rate, lambda: run.go_on(task, None))
            return
        began, there, back = run.clock(), self._way(), self._way()
        fate = self.draw.choice(FATES) if self._unlucky() else "ok"
        if fate == "busy" and isinstance(request, Get):
            fate = "cut"
        self.counts[fate] += 1
        if fate in ("ok", "slow"):
            there += self.draw.uniform(0, TIMEOUT) if fate == "slow" else 0
            self.at(self.now + there, lambda: self._answer(run, task, request, began, back))
            return
        if fate in ("lost", "late"):
            later = there if fate == "lost" else self.draw.uniform(0, LATEST)
            self.at(self.now + later, lambda: void(self._effect(run, request, began)))
        error = ProvisionError("timed out")
        answer = Busy(began) if fate == "busy" else Unknown(began, error)
        waited = there + back if fate == "busy" else self.draw.uniform(0, TIMEOUT)
        self.at(self.now + waited, lambda: run.go_on(task, answer))

    def _unlucky(self) -> bool:
        return self.draw.random() < self.trouble

    def _way(self) -> float:
        return self.draw.choice((0.001, 0.05, 0.5)) * self.draw.random()

    def _answer(self, run: Run, task: Task, request: Request, began: float, back: float) -> None:
        answer = self._effect(run, request, began)
        self.at(self.now + back, lambda: run.go_on(task, answer))

    def _effect(self, run: Run, request: Request, began: float) -> S3Answer:
        """Do what S3 does, all at once."""
        assert not isinstance(request, Pause)
        there = self.objects.get(request.key)
        version = there.version if there else None
        if isinstance(request, Get):
            if there is None:
                return Absent(began)
            return Found(began, there.body, there.version, int(there.modified), int(self.now))
        wanted = request.replaces if isinstance(request, Put) else request.version
        if version != wanted:
            return Refused(began)
        if isinstance(request, Delete):
            self._deleted(run, request)
            return Done(began)
        self.objects[request.key] = made = Stored(request.body, self.now)
        return Done(began, made.version)

    # --- what has to hold -------------------------------------------------------------------------

    def _deleted(self, run: Run, request: Delete) -> None:
        gone = self.objects.pop(request.key)
        assert self._holder(gone) is run, f"{run.name} deleted the lock of another"

    def changed(self, run: Run) -> None:
        """A run has changed something at AWS: the lock has to be its own at this moment."""
        lock = self.objects.get(LOCK)
        assert lock is not None, f"{run.name} changed something without a lock"
        assert self._holder(lock) is run, f"{run.name} changed something under another's lock"
        self.counts["changed"] += 1

    def _holder(self, lock: Stored) -> Run:
        document = parse(lock.body)
        assert document is not None
        return next(run for run in self.runs if run.name == document.holder.host)

    def check_end(self) -> None:
        """Nothing that was acknowledged is missing, and the next run gets the lock."""
        state = self.objects.get(STATE)
        entries = json.loads(state.body) if state else []
        for run in self.runs:
            missing = set(run.written) - set(entries)
            assert not missing, f"{run.name}'s acknowledged writes are lost: {missing}"
        assert len(entries) == len(set(entries))
        self.now += self.lease_seconds + 3
        self.trouble = 0.0
        self.runs.append(last := self._run("z"))
        last.start(last.work(1))
        while self._events:
            self.now, _, action = heapq.heappop(self._events)
            action()
        assert last.written, "the lock cannot be taken any more"
        assert LOCK not in self.objects, "the last run left its lock"


def void(answer: S3Answer) -> None:
    """Lose an answer."""


def play(seed: int) -> Counter[str]:
    """Play the schedule of a seed. Returns what happened in it, counted. Raises AssertionError."""
    world = Simulation(seed)
    world.play()
    world.check_end()
    return world.counts


SAMPLE = 150  # schedules that every run of the tests plays
EVERYTHING = {
    "took", "took over", "locked", "lost", "killed", "paused", "changed", "ended well",
    "cut", "late", "slow", "busy",
}  # fmt: skip


def played(seeds: range) -> Counter[str]:
    """Play schedules; the seed of one that fails is in the error."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        try:
            counts += play(seed)
        except AssertionError as error:
            pytest.fail(f"schedule {seed}: {error}")
    return counts
