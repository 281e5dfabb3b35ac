"""A lock that is an object in S3, held for a lease that its holder renews. Logic only: no I/O.

Two clocks, each used where it can be trusted. The *holder* measures its lease by its own elapsed
clock, from the moment before it sent the renewal, and stops MARGIN_SECONDS before the lease ends:
it can only stop too early. *Another run* measures it by S3's clock alone (the answer's Date against
the lock's Last-Modified, both whole seconds), and waits MARGIN_SECONDS longer. Nobody compares the
clocks of two machines.

The lock says who holds it, and carries a nonce that is new in each write: equal bodies would have
one ETag, and a renewal has to be told from what it replaced. By its nonces a run also recognises
its own writes whose answers were lost.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from provision.errors import LeaseLost, Locked, StateError
from provision.state.conditional_write import ATTEMPTS, no_answer, pause
from provision.state.requests import Absent, Delete, Done, Found, Get, Logic, Pause, Put

VERSION = 1
MARGIN_SECONDS = 2.0  # the holder stops so much earlier, another takes over so much later
LONGEST_LEASE = 3600  # seconds, as config.toml allows
NOT_BEGUN = float("-inf")
RENEWALS_A_LEASE = 3  # a renewal may fail, and the next still be in time
WAIT_OR_RETRY = "Wait until that run has ended, then run the same command again."


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: a command on an environment, a process of a host, since when (UTC)."""

    command: str
    environment: str
    process: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"{self.command}, process {self.process} on {self.host}, since {self.since}"


@dataclass(frozen=True)
class LockDocument:
    """What a lock object says."""

    holder: Holder
    lease_seconds: float
    nonce: str

    def as_bytes(self) -> bytes:
        """Return the object's body."""
        document = {
            "version": VERSION,
            **vars(self.holder),
            "lease_seconds": self.lease_seconds,
            "nonce": self.nonce,
        }
        return json.dumps(document, indent=1).encode() + b"\n"


def parse(body: bytes) -> LockDocument | None:
    """Return what a lock object says, or None if it is not this program's."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    match document:
        case {
            "version": int(),
            "command": str(command),
            "environment": str(environment),
            "process": int(process),
            "host": str(host),
            "since": str(since),
            "lease_seconds": int() | float() as lease,
            "nonce": str(nonce),
        } if 0 < lease <= LONGEST_LEASE:
            return LockDocument(Holder(command, environment, process, host, since), lease, nonce)
    return None


@dataclass
class Lease:
    """A lock that a run holds, or has lost. Times are of the run's own elapsed clock, in seconds.

    `nonces` has what the run wrote into the lock, each with the moment before it was sent.
    """

    key: str  # of the lock object
    holder: Holder
    seconds: float
    where: str = ""  # the state that it locks, as people name it
    nonce: Callable[[], str] = field(default=lambda: secrets.token_hex(8))
    version: str = ""
    began: float = NOT_BEGUN  # when the last good renewal was begun
    nonces: dict[str, float] = field(default_factory=dict)
    taken_from: Holder | None = None  # whose lease had run out
    lost: str = ""  # why, in words; once lost it stays lost

    @property
    def deadline(self) -> float:
        """The time from which nothing may be changed."""
        return self.began + self.seconds - MARGIN_SECONDS

    @property
    def next_renewal(self) -> float:
        """The time to renew the lease."""
        return self.began + self.seconds / RENEWALS_A_LEASE

    def holds(self, now: float) -> bool:
        """Return whether the lease may still be acted upon. Once it may not, it never may again."""
        if now >= self.deadline:
            late = now - self.began
            self.lose(f"it was not renewed for {late:.0f} s; the lease is {self.seconds:g} s")
        return not self.lost

    def lose(self, why: str) -> None:
        """Mark it as lost; the first reason is kept."""
        self.lost = self.lost or why

    def confirm(self, version: str, nonce: str) -> None:
        """Record that the write with this nonce is now the lock."""
        self.version = version
        self.began = max(self.began, self.nonces[nonce])

    def next_document(self) -> LockDocument:
        """Return what to write into the lock now: no two are equal."""
        document = LockDocument(self.holder, self.seconds, self.nonce())
        self.nonces[document.nonce] = NOT_BEGUN  # ours from now on, whether or not it is answered
        return document


def acquire(lease: Lease) -> Logic[None]:
    """Take the lock. Raises Locked when another run holds it, StateError for a foreign object.

    A lock whose lease has expired by S3's clock is taken over, by replacing exactly that version.
    """
    replaces: str | None = None
    for attempt in range(ATTEMPTS):
        document = lease.next_document()
        answer = yield Put(lease.key, document.as_bytes(), replaces)
        lease.nonces[document.nonce] = answer.began
        if isinstance(answer, Done):
            lease.confirm(answer.version, document.nonce)
            return
        replaces, lease.taken_from = None, None
        look = yield Get(lease.key)
        if isinstance(look, Found):
            theirs = ours_or_expired(lease, look)
            if theirs is None:
                return
            replaces, lease.taken_from = look.version, theirs
        else:
            yield Pause(pause(attempt))
    raise no_answer(answer)


def ours_or_expired(lease: Lease, found: Found) -> Holder | None:
    """Return None when the lock that was found is our own, else its holder, whose lease is over.

    Raises Locked when it is not over, StateError for what is not a lock.
    """
    theirs = parse(found.body)
    if theirs is None:
        raise StateError(
            f"{lease.where}: its lock object {lease.key} is not a lock of this program",
            next_step="It was left as it is. Check it; when no run is active, delete it.",
        )
    if theirs.nonce in lease.nonces:
        lease.confirm(found.version, theirs.nonce)
        return None
    left = theirs.lease_seconds + MARGIN_SECONDS - (found.now - found.modified)
    if left > 0:
        raise Locked(
            f"{lease.where}: in use by {theirs.holder}",
            next_step=f"{WAIT_OR_RETRY} If it was killed, its lease expires in {left:.0f} s.",
        )
    return theirs.holder


def renew(lease: Lease) -> Logic[bool]:
    """Renew a lease that is held. Returns whether that is certain; else it is to be tried again.

    Marks the lease as lost when the lock is another run's, or deleted.
    """
    document = lease.next_document()
    answer = yield Put(lease.key, document.as_bytes(), lease.version)
    lease.nonces[document.nonce] = answer.began
    if isinstance(answer, Done):
        lease.confirm(answer.version, document.nonce)
        return True
    look = yield Get(lease.key)
    if isinstance(look, Absent):
        lease.lose("the lock was deleted; nobody holds it now")
    elif isinstance(look, Found):
        there = parse(look.body)
        if there is None or there.nonce not in lease.nonces:
            lease.lose(held_by(look))
        else:
            lease.confirm(look.version, there.nonce)
            return there.nonce == document.nonce
    return False


def release(lease: Lease) -> Logic[None]:
    """Delete the lock if it is still the one that this run wrote; any other is left alone."""
    for attempt in range(ATTEMPTS):
        answer = yield Delete(lease.key, lease.version)
        if isinstance(answer, Done):
            return
        look = yield Get(lease.key)
        if isinstance(look, Found):
            there = parse(look.body)
            if there is None or there.nonce not in lease.nonces:
                return
            lease.confirm(look.version, there.nonce)
        elif isinstance(look, Absent):
            return
        yield Pause(pause(attempt))


def who_holds(lease: Lease) -> Logic[str]:
    """Return in words who holds the lock now."""
    look = yield Get(lease.key)
    if isinstance(look, Found):
        there = parse(look.body)
        if there is not None and there.nonce in lease.nonces:
            return "nobody has taken it over yet"
        return held_by(look)
    if isinstance(look, Absent):
        return "nobody holds it now"
    return f"its current holder cannot be read ({no_answer(look).message})"


def held_by(found: Found) -> str:
    """Return in words who holds the lock that was found."""
    there = parse(found.body)
    return f"it is held now by {there.holder}" if there else "its object is not this program's"


def lease_lost(where: str, why: str, who: str = "") -> LeaseLost:
    """Return the error of a run that lost its lease. `why` and `who` are in words."""
    now = f"; {who}" if who not in why else ""  # nobody ("") is in everything
    return LeaseLost(
        f"{where}: this run lost its lock and changes nothing more: {why}{now}. The state is left "
        "to whoever holds the lock.",
        next_step="Wait until nobody holds the lock, then run the same command again: it reads "
        "what exists, and continues from there.",
    )
