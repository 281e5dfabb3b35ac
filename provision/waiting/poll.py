"""Waiting, all of it: the only user of tenacity, which a run that waits for nothing does without.

Two waits exist. `until` polls a resource until it is ready, bad beyond repair, or out of time.
`until_accepted` repeats a call that AWS refuses for now (transient_errors.py has the list).
Both end at once when `stop` is set, and both report, at each look, what AWS says.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from provision.errors import Interrupted, ProvisionError, ResourceFailed, WaitTimeout

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

BUDGET_SPEED = 100.0  # the most by which a rehearsal's budgets shrink
LEAST_GAP = 0.01  # seconds between two looks
REHEARSED_GAP = 0.03  # the same, however much faster than AWS a rehearsal runs
FIRST_GAP = 0.2  # of `poll`: at first, when what AWS makes or spreads in seconds is due
DUE_FROM, DUE_TO = 0.5, 2.0  # of what AWS usually takes
DUE_GAP = 0.4  # of `poll`: when what AWS takes minutes for is due
EARLY_GAP = 3.0  # of `poll`, at most: before that
NEIGHBOUR_GAP = 12.0  # of `poll`, at most: while others look at what a call waits for
NEIGHBOUR_GROWTH = 2.0  # a gap's part of the time since one of those changed
GROWTH = 0.25  # a gap's part of what was waited: so much longer than needed a wait lasts at most


LATE = "It may still become ready: run the same command again. Or raise wait.timeout_minutes."


class Verdict(Enum):
    """What a status means for the wait."""

    READY = "ready"
    WAIT = "wait"
    SUSPECT = "suspect"  # bad, but may pass: waited on for a grace time
    FAILED = "failed"  # does not become good by itself


@dataclass(frozen=True)
class PollResult:
    """One poll of a resource: AWS's own status, AWS's reason, and what it means."""

    verdict: Verdict
    status: str
    reason: str = ""
    grace_seconds: float = 0.0  # of AWS's time; for SUSPECT
    advice: str = ""  # what to do when the wait ends with this


class StatusReport(Protocol):
    """Receives what AWS reports during a wait."""

    def __call__(self, status: str, reason: str = "") -> None: ...


@dataclass(frozen=True)
class PollPolicy:
    """How often to poll, and for how long at most. A rehearsal runs `speed` times faster."""

    poll_seconds: float = 5.0
    timeout_seconds: float = 3600.0
    speed: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def poll(self) -> float:
        """The most seconds between two polls, from when a change is due."""
        return max(self._least, self.poll_seconds / self.speed)

    @property
    def _least(self) -> float:
        return LEAST_GAP if self.speed == 1 else REHEARSED_GAP

    def gap(self, waited: float, usual: float = 0.0) -> float:
        """Return the seconds until the next poll, after `waited` seconds.

        Dense at first, then sparser and sparser, until half of what AWS usually takes has passed
        (`usual`, of its seconds; 0 = unknown); dense again until twice of that has.
        """
        part = waited * self.speed / usual if usual else math.inf
        longest = EARLY_GAP if part < DUE_FROM else DUE_GAP if part <= DUE_TO else 1.0
        return self._gap(waited * GROWTH, longest)

    def neighbour_gap(self, rested: float) -> float:
        """Return the seconds until a call is repeated that waits for what other threads poll.

        They changed last `rested` seconds ago; when one changes again, nobody waits any longer.
        """
        return self._gap(rested * NEIGHBOUR_GROWTH, NEIGHBOUR_GAP)

    def _gap(self, seconds: float, longest: float) -> float:
        return max(self._least, min(self.poll * longest, max(self.poll * FIRST_GAP, seconds)))

    def budget(self, aws_seconds: float) -> float:
        """Return the seconds to allow for what takes AWS `aws_seconds`; never over the time-out.

        A rehearsal's own work takes real time, so budgets shrink less than AWS's durations do.
        """
        return min(aws_seconds, self.timeout_seconds) / min(self.speed, BUDGET_SPEED)


def interrupted() -> Interrupted:
    """The error that ends a wait when the run has to stop."""
    return Interrupted(
        "interrupted; what was created is recorded",
        next_step="Run the same command again to continue, or `python -m teardown` to delete it "
        "all.",
    )


def until(
    look: Callable[[], PollResult],
    *,
    what: str,
    poll_policy: PollPolicy,
    report: StatusReport,
    usual: float = 0.0,
    advice: str = "",
    late: str = LATE,
) -> None:
    """Call `look` until its result is ready. Returns nothing.

    `advice` says what to do when it fails and the poll result does not; `late` when time is up. AWS
    usually takes `usual` of its seconds (0 = unknown). Times count to when a poll was sent: a slow
    machine or a stopped process does not end the wait. Raises ResourceFailed with AWS's reason (at
    once for FAILED, after its grace time for SUSPECT), WaitTimeout, or Interrupted on `stop`.
    """
    import tenacity

    began = asked = time.monotonic()
    suspect_since: float | None = None

    def ask() -> PollResult:
        nonlocal asked
        asked = time.monotonic()
        return look()

    def pending(seen: PollResult) -> bool:
        nonlocal suspect_since
        if seen.verdict is not Verdict.SUSPECT:
            suspect_since = None
            return seen.verdict is Verdict.WAIT
        if suspect_since is None:
            suspect_since = asked
        return asked - suspect_since < poll_policy.budget(seen.grace_seconds)

    def before_sleep(state: RetryCallState) -> None:
        assert state.outcome is not None  # noqa: S101 - tenacity sets it before it sleeps
        seen: PollResult = state.outcome.result()
        report(seen.status, seen.reason)

    longest = poll_policy.budget(poll_policy.timeout_seconds)
    polling = tenacity.Retrying(
        retry=tenacity.retry_if_result(pending),
        wait=lambda _: poll_policy.gap(time.monotonic() - began, usual),
        stop=lambda _: asked - began >= longest or poll_policy.stop.is_set(),
        sleep=tenacity.sleep_using_event(poll_policy.stop),
        before_sleep=before_sleep,
    )
    try:
        last: PollResult = polling(ask)
    except tenacity.RetryError as error:
        if poll_policy.stop.is_set():
            raise interrupted() from None
        raise timed_out(what, error.last_attempt.result(), poll_policy, late) from None
    if last.verdict is not Verdict.READY:
        raise ResourceFailed(f"{what}: {described(last)}", next_step=last.advice or advice)
    report(last.status, last.reason)


def timed_out(what: str, last: PollResult, poll_policy: PollPolicy, late: str) -> WaitTimeout:
    """The error that ends a wait when its time is up."""
    minutes = poll_policy.timeout_seconds / 60
    message = f"{what}: still {described(last)} after {minutes:g} minutes"
    return WaitTimeout(message, next_step=last.advice or late)


def described(look: PollResult) -> str:
    """Return status and reason as one phrase."""
    status = look.status or "missing"
    return f"{status} ({look.reason})" if look.reason else status


class NotYet(Protocol):
    """Why a refusal is temporary, and for how long AWS may and usually does keep refusing."""

    @property
    def because(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def usual(self) -> float: ...
    @property
    def neighbour(self) -> bool: ...


class Neighbours(Protocol):
    """The steps whose status a refused call may wait for, while other threads poll them."""

    def note(self) -> None:
        """Note how they are now."""

    def rested(self) -> float | None:
        """Return for how many seconds none has changed; None if none is polled."""

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or when one has changed, or when the run has to stop."""


def until_accepted(
    call: Callable[[], T],
    *,
    passing: Callable[[BaseException], NotYet | None],
    poll_policy: PollPolicy,
    report: StatusReport,
    neighbours: Neighbours | None = None,
) -> T:
    """Return what `call` returns, repeating it while `passing` knows its refusal.

    Where it is refused for the state of one of its `neighbours`, it is repeated as soon as one of
    them changes, and seldom before.

    Raises the last refusal when it has lasted longer than its own budget, with that as its next
    step, any other error at once, and Interrupted when the poll policy's stop is set. As in
    `until`, time counts up to the moment of asking.
    """
    import tenacity

    repeated = _Repeated(call, passing, poll_policy, report, neighbours)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(repeated.again),
        wait=lambda _: repeated.gap(),
        stop=tenacity.stop_when_event_set(poll_policy.stop),
        sleep=repeated.sleep,
        before_sleep=lambda _: repeated.show(),
    )
    try:
        return retrying(repeated.attempt)
    except tenacity.RetryError:
        raise interrupted() from None
    except ProvisionError as error:
        if known := passing(error):
            minutes = min(known.seconds, poll_policy.timeout_seconds) / 60
            error.next_step = f"{outlasted(known, minutes)} {error.next_step}".rstrip()
        raise


@dataclass
class _Repeated(Generic[T]):
    """A call that is repeated while its refusal is temporary, and the waits in between."""

    call: Callable[[], T]
    passing: Callable[[BaseException], NotYet | None]
    poll_policy: PollPolicy
    report: StatusReport
    neighbours: Neighbours | None

    def __post_init__(self) -> None:
        self._began = self._asked = time.monotonic()
        self._refusal: tuple[BaseException, NotYet] | None = None

    def attempt(self) -> T:
        """Return what the call returns."""
        if self.neighbours:
            self.neighbours.note()
        self._asked = time.monotonic()
        return self.call()

    def again(self, error: BaseException) -> bool:
        """Return whether the call is to be repeated after this error."""
        known = self.passing(error)
        self._refusal = (error, known) if known else None
        waited = self._asked - self._began
        return known is not None and waited < self.poll_policy.budget(known.seconds)

    def gap(self) -> float:
        """Return the seconds until the next attempt."""
        rested = self._rested()
        if rested is not None:
            return self.poll_policy.neighbour_gap(rested)
        usual = self._refusal[1].usual if self._refusal else 0.0
        return self.poll_policy.gap(time.monotonic() - self._began, usual)

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds, or when there is a reason to try again at once."""
        if self.neighbours and self._rested() is not None:
            self.neighbours.wait(seconds)
        else:
            self.poll_policy.stop.wait(seconds)

    def _rested(self) -> float | None:
        """Return for how long no neighbour has changed, if that is what is waited for."""
        waits = self._refusal is not None and self._refusal[1].neighbour
        return self.neighbours.rested() if self.neighbours and waits else None

    def show(self) -> None:
        """Report the refusal, and why it is temporary."""
        if self._refusal:
            error, known = self._refusal
            self.report("waiting", f"{error} - {known.because}")


def outlasted(known: NotYet, minutes: float) -> str:
    """Return what to do about a refusal that should have passed within `minutes`, and did not."""
    return (
        f"Usually this passes by itself ({known.because}); AWS has refused for {minutes:g} min. "
        "Run the same command again, which continues from here; if AWS's answer stays the same, "
        "its message above names the cause."
    )
