"""What a run did and when, step by step; the state file keeps the last runs.

`RunRecorder` watches the engine. Its record is what `timeline` draws and what the
live view takes a step's usual time from.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.engine.events import Watcher
from provision.errors import ProvisionError
from provision.resources.base import Resource
from provision.state.document import now


@dataclass(frozen=True)
class LoginRecord:
    """The result of a check for one login; times in milliseconds, None if there was none."""

    works: bool
    tls: str
    login_ms: float | None
    ms: float | None


class RunRecorder(Watcher):
    """Records when each step began and ended, and AWS's statuses in between.

    All times are seconds since the run began.
    """

    def __init__(self) -> None:
        self.expires = ""  # when the environment ends, as its tag says it
        self._zero = time.monotonic()
        self._began_at = now()
        self._lock = threading.Lock()
        self._steps: dict[str, dict[str, Any]] = {}
        self._check: dict[str, Any] = {}

    def checked(self, check: dict[str, Any]) -> None:
        """Record the result of a check of the logins (`check_record`) beside the steps."""
        with self._lock:
            self._check = {"check": check}

    def began(self, resource: Resource, doing: str) -> None:
        with self._lock:
            self._step(resource)["doing"] = doing

    def status(self, resource: Resource, status: str, reason: str = "") -> None:
        with self._lock:
            step = self._step(resource)
            step.setdefault("doing", "checking")  # there already, not ready yet
            statuses = step["statuses"]
            if not statuses or statuses[-1][1:] != [status, reason]:
                statuses.append([self._at(), status, reason])

    def finished(self, resource: Resource, action: str, *_: Any) -> None:
        with self._lock:
            if action != "unchanged" or resource.step in self._steps:
                self._step(resource).update(action=action, ended=self._at())

    def failed(self, resource: Resource, error: ProvisionError) -> None:
        with self._lock:
            step = self._step(resource)
            step.setdefault("doing", "checking")
            step.update(action="failed", ended=self._at(), error=error.message)

    def _step(self, resource: Resource) -> dict[str, Any]:
        fresh: dict[str, Any] = {"began": self._at(), "statuses": []}
        return self._steps.setdefault(resource.step, fresh)

    def _at(self) -> float:
        return round(time.monotonic() - self._zero, 3)

    def run(self, command: str, *, ok: bool | None) -> dict[str, Any] | None:
        """Return the record of the run, or None when nothing happened that is worth keeping.

        `ok` is None for a run that has not ended.
        """
        with self._lock:
            steps = {
                name: step | {"statuses": list(step["statuses"])}
                for name, step in self._steps.items()
                if "doing" in step
            }
            check = dict(self._check)
        if not steps:
            return None
        return {
            "command": command,
            "began": self._began_at,
            "seconds": self._at(),
            "ok": ok,
            "steps": steps,
            **check,
            **({"expires": self.expires} if self.expires else {}),
        }


def check_record(logins: Mapping[str, LoginRecord]) -> dict[str, Any]:
    """Return how a check found each login, for the record of a run; nothing of it is secret."""
    return {"at": now(), "logins": {login: vars(record) for login, record in logins.items()}}


def last_check(runs: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, LoginRecord]] | None:
    """Return when a check last found what of the logins; None when there is no sound record.

    What was found before a teardown is nothing any more.
    """
    for run in reversed(runs):
        match run.get("check"):
            case {"at": str(at), "logins": dict() as logins}:
                return at, {name: found for name, each in logins.items() if (found := sound(each))}
        if run["command"] == "teardown":
            return None
    return None


def sound(record: Any) -> LoginRecord | None:
    """Return the record of a login, or None for what has not its form."""
    match record:
        case {"works": bool(works), "tls": str(tls), "login_ms": login_ms, "ms": ms}:
            times = [each if isinstance(each, int | float) else None for each in (login_ms, ms)]
            return LoginRecord(works, tls, *times)
    return None


def usual_seconds(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return how many seconds each step usually took (the median) to be created."""
    took: dict[str, list[float]] = {}
    for run in runs:
        for name, step in run["steps"].items():
            if (step.get("doing"), step.get("action")) == ("creating", "created"):
                took.setdefault(name, []).append(step["ended"] - step["began"])
    return {name: sorted(times)[len(times) // 2] for name, times in took.items()}


def ended_at(step: Mapping[str, Any]) -> float | None:
    """Return when a step ended, or None for one that was under way when its run ended.

    Records of version 1.0 have no end for what AWS made by itself; its last status says it.
    """
    statuses = step["statuses"]
    if "ended" not in step and statuses and statuses[-1][1] == "gone":
        return float(statuses[-1][0])
    return step.get("ended")
