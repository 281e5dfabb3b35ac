"""What the state's logic asks of S3, and what S3 answers: plain data, no I/O.

The logic (conditional_write.py, lease.py) is written as generators: each yields a request and is
sent the answer. `carry_out` runs one with whatever performs requests: S3 itself (s3.py), or a
simulation in which a test decides what is lost, refused and late.

S3's semantics are those of its User Guide, "How to prevent object overwrites with conditional
writes" and "Conditional deletes": 412 for another version than the one named, 404 for none, 409
when another write of the object is under way. A lost answer says nothing: the request may have
taken effect, or may still do so.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from provision.errors import ProvisionError

# --- requests -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Get:
    """GetObject."""

    key: str


@dataclass(frozen=True)
class Put:
    """PutObject in place of the version `replaces` (If-Match), or only where there is none (None:
    If-None-Match).
    """

    key: str
    body: bytes
    replaces: str | None


@dataclass(frozen=True)
class Delete:
    """DeleteObject of the version `version` and no other (If-Match)."""

    key: str
    version: str


@dataclass(frozen=True)
class Pause:
    """Let so many seconds pass."""

    seconds: float


Request = Get | Put | Delete | Pause

# --- answers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class S3Answer:
    """An answer. `began` is the caller's own clock just before it sent the request, in seconds."""

    began: float


@dataclass(frozen=True)
class Found(S3Answer):
    """The object. `modified` and `now` are S3's own clock, in whole seconds since 1970."""

    body: bytes
    version: str  # its ETag
    modified: float
    now: float


@dataclass(frozen=True)
class Absent(S3Answer):
    """There is no such object."""


@dataclass(frozen=True)
class Done(S3Answer):
    """The write or the delete took effect. `version` is the new ETag of a write."""

    version: str = ""


@dataclass(frozen=True)
class Refused(S3Answer):
    """Another version exists, or none: nothing was done (412 or 404)."""


@dataclass(frozen=True)
class Busy(S3Answer):
    """Another write was under way: nothing was done (409 ConditionalRequestConflict)."""


@dataclass(frozen=True)
class Unknown(S3Answer):
    """No answer, or one that says nothing: it may have taken effect. `error` says what happened."""

    error: ProvisionError


T = TypeVar("T")
Logic = Generator[Request, S3Answer, T]


def carry_out(logic: Logic[T], perform: Callable[[Request], S3Answer]) -> T:
    """Run `logic` to its end. Returns its result. Raises what it and `perform` raise."""
    try:
        request = next(logic)
        while True:
            request = logic.send(perform(request))
    except StopIteration as ended:
        result: T = ended.value
        return result
    finally:
        logic.close()
