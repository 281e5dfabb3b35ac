"""Writes an object in place of one known version; knows what to make of 409 and of lost answers."""

from __future__ import annotations

from provision.errors import ProvisionError
from provision.state.requests import (
    Absent,
    Done,
    Found,
    Get,
    Logic,
    Pause,
    Put,
    Refused,
    S3Answer,
    Unknown,
)

ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between attempts, doubled each time


class Overtaken(Exception):
    """Another version than the one to be replaced exists; `found` is it, None when none is."""

    def __init__(self, found: Found | None) -> None:
        super().__init__("another version exists")
        self.found = found


def write(key: str, body: bytes, replaces: str | None) -> Logic[str]:
    """Write `body` in place of the version `replaces`. Returns the new version.

    An answer that was lost, and a conflict, are settled by reading: what was sent is stored (it
    took effect), or what was to be replaced still is (then it is sent again, under the same
    condition, so that it takes effect once at most).

    Raises Overtaken when another version exists, ProvisionError when S3 does not answer.
    """
    for attempt in range(ATTEMPTS):
        answer = yield Put(key, body, replaces)
        if isinstance(answer, Done):
            return answer.version
        found = yield from read(key)
        if found is not None and found.body == body:
            return found.version
        if (found.version if found else None) != replaces or isinstance(answer, Refused):
            raise Overtaken(found)
        yield Pause(pause(attempt))
    raise no_answer(answer)


def read(key: str) -> Logic[Found | None]:
    """Return the object, or None when there is none. Raises ProvisionError without an answer."""
    for attempt in range(ATTEMPTS):
        answer = yield Get(key)
        if isinstance(answer, Found):
            return answer
        if isinstance(answer, Absent):
            return None
        yield Pause(pause(attempt))
    raise no_answer(answer)


def pause(attempt: int) -> float:
    """Return the seconds to wait after the attempt of this number, counted from 0."""
    return min(FIRST_WAIT * float(2**attempt), LONGEST_WAIT)


def no_answer(answer: S3Answer) -> ProvisionError:
    """Return the error for the last of many attempts."""
    if isinstance(answer, Unknown):
        return answer.error
    return ProvisionError(
        "S3 answered every attempt with ConditionalRequestConflict: others write the same object",
        next_step="Run the same command again.",
    )
