"""Faults that the rehearsal plays on chosen calls."""

from __future__ import annotations

import fnmatch
import os
import signal
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from provision.rehearsal.calls import Call
from provision.rehearsal.refusals import AwsError, denied, expired, throttled

Kind = Literal[
    "throttle", "error500", "denied", "expired", "lost", "cut", "kill-before", "kill-after"
]
KINDS: tuple[Kind, ...] = (
    "throttle",
    "error500",
    "denied",
    "expired",
    "lost",
    "cut",
    "kill-before",
    "kill-after",
)


class ConnectionCut(Exception):
    """The connection ends here, without an answer."""


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
        if self.mutating_only and not call.mutating:
            return False
        names = (call.operation, f"{call.service}:{call.operation}")
        return any(fnmatch.fnmatchcase(name, self.operation) for name in names)

    def as_dict(self) -> dict[str, Any]:
        """The fault as plain data."""
        return asdict(self)


class Faults:
    """The faults in force, each with its count of calls seen. Safe in threads."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self.victim: int | None = None
        """Process id that the kill faults are for; None: they do nothing."""
        self.set(faults)

    def set(self, faults: Iterable[Fault]) -> None:
        """Replaces all faults, and counts afresh."""
        with self._lock:
            self._faults = [(fault, [0]) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Adds one fault, counting from now."""
        with self._lock:
            self._faults.append((fault, [0]))

    def clear(self) -> None:
        """No fault any more."""
        self.set(())

    def due(self, call: Call) -> Fault | None:
        """Counts the call; the fault to play on it, if one is due (the first that is)."""
        chosen = None
        with self._lock:
            for fault, seen in self._faults:
                if fault.matches(call):
                    seen[0] += 1
                    if fault.nth <= seen[0] < fault.nth + fault.times:
                        chosen = chosen or fault
        return chosen

    def before(self, fault: Fault, call: Call) -> None:
        """Plays `fault` before the call takes effect. Raises AwsError or ConnectionCut."""
        if fault.kind == "throttle":
            raise throttled(call.service)
        if fault.kind == "error500":
            raise AwsError("InternalFailure", "An internal error occurred.", 500)
        if fault.kind == "denied":
            raise denied(call)
        if fault.kind == "expired":
            raise expired(call.service)
        if fault.kind == "kill-before":
            self._kill()
        if fault.kind in ("cut", "kill-before"):
            raise ConnectionCut

    def after(self, fault: Fault) -> None:
        """Plays `fault` after the call took effect. Raises ConnectionCut."""
        if fault.kind == "kill-after":
            self._kill()
        if fault.kind in ("lost", "kill-after"):
            raise ConnectionCut

    def _kill(self) -> None:
        if self.victim is not None:
            os.kill(self.victim, signal.SIGKILL)
