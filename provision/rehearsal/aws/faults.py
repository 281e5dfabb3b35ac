"""Faults that the rehearsal plays on chosen calls."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.processes import Processes
from provision.rehearsal.aws.refusals import AwsError, denied, expired, throttled
from provision.rehearsal.http_server import ConnectionCut

Kind = Literal[
    "throttle", "error500", "denied", "expired", "lost", "cut", "kill-before", "kill-after"
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Fault:
    """One fault, played on the `nth` call that matches and on the `times - 1` after it.

    throttle     refused with the service's own throttling code
    error500     refused with a 500
    denied       refused as without permission
    expired      refused as with expired credentials
    lost         the call takes effect, the answer never arrives
    cut          the connection is cut before the call takes effect
    kill-before  the victim is killed (SIGKILL) before the call takes effect
    kill-after   ... after it took effect, before the answer

    `operation` is a shell pattern on the operation's name, or on `service:Operation`.
    """

    kind: Kind
    operation: str = "*"
    mutating_only: bool = False
    nth: int = 1
    times: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        if self.nth < 1 or self.times < 1:
            raise ValueError("nth and times count from 1")

    def matches(self, call: Call) -> bool:
        """Whether the fault is meant for this call."""
        return call.is_named(self.operation) and (call.mutating or not self.mutating_only)


class Armed:
    """A fault in force: how many matching calls it saw, and the process that its kill is for.

    Bound to its victim, it cannot hit a later one when a call outlives the process that made it.
    """

    def __init__(self, fault: Fault, victim: int | None, processes: Processes) -> None:
        self.fault = fault
        self._victim, self._processes = victim, processes
        self._seen = 0

    def count(self, call: Call) -> bool:
        """Counts the call, if it matches; whether the fault is due on it."""
        if not self.fault.matches(call):
            return False
        self._seen += 1
        return self.fault.nth <= self._seen < self.fault.nth + self.fault.times

    def before(self, call: Call) -> None:
        """Plays the fault before the call takes effect. Raises AwsError or ConnectionCut."""
        kind = self.fault.kind
        if kind == "throttle":
            raise throttled(call.service)
        if kind == "error500":
            raise AwsError("InternalFailure", "An internal error occurred.", 500)
        if kind == "denied":
            raise denied(call)
        if kind == "expired":
            raise expired(call.service)
        if kind == "kill-before":
            self._kill()
        if kind in ("cut", "kill-before"):
            raise ConnectionCut

    def after(self) -> None:
        """Plays the fault after the call took effect. Raises ConnectionCut."""
        if self.fault.kind == "kill-after":
            self._kill()
        if self.fault.kind in ("lost", "kill-after"):
            raise ConnectionCut

    def _kill(self) -> None:
        if self._victim is not None:
            self._processes.kill(self._victim)


class Faults:
    """The faults in force. Safe in threads."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self.processes = Processes()
        self.set(faults)

    def set(self, faults: Iterable[Fault], *, victim: int | None = None) -> None:
        """Replaces all faults, and counts afresh.

        `victim` is the process that the kills are for; None: they do nothing. Raises ValueError
        for one that is not registered with `processes`.
        """
        if victim is not None:
            self.processes.check(victim)
        with self._lock:
            self._armed = [Armed(fault, victim, self.processes) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Adds one fault, counting from now."""
        with self._lock:
            self._armed.append(Armed(fault, None, self.processes))

    def clear(self) -> None:
        """No fault any more."""
        self.set(())

    def due(self, call: Call) -> Armed | None:
        """Counts the call; the fault to play on it, if one is due (the first that is)."""
        with self._lock:
            due = [armed for armed in self._armed if armed.count(call)]
        return due[0] if due else None
