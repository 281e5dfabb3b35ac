"""Waiting, all of it: the only user of tenacity, which a run that waits for nothing does without.

Two waits exist. `until` polls a resource until it is ready, bad beyond repair, or out of time.
`until_accepted` repeats a call that AWS refuses for now (transient_errors.py has the list).
Both end at once when `stop` is set, and both report, at each look, what AWS says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar

from provision.errors import Interrupted, ProvisionError, ResourceFailed, WaitTimeout

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

BUDGET_SPEED = 100.0  # the most by which a rehearsal's budgets shrink
LEAST_GAP = 0.01  # seconds between two looks
FIRST_GAP = 0.2  # of `poll`: at first, when what AWS makes or spreads in seconds is due
DUE_FROM, DUE_TO = 0.5, 2.0  # of what AWS usually takes
DUE_GAP = 0.4  # of `poll`: when what AWS takes minutes for is due
GROWTH = 0.25  # a gap's part of what was waited: so much longer than needed a wait lasts at most


LATE = "It may still get ready: run the same command again; wait.timeout_minutes allows more."


class Verdict(Enum):
    """What a status means for the one who waits."""

    READY = "ready"
    WAIT = "wait"
    SUSPECT = "suspect"  # bad, but may pass: waited on for a grace time
    FAILED = "failed"  # does not become good by itself


@dataclass(frozen=True)
class PollResult:
    """One look at a resource: AWS's own status, AWS's reason, and what it means."""

    verdict: Verdict
    status: str
    reason: str = ""
    grace_seconds: float = 0.0  # of AWS's time; for SUSPECT
    advice: str = ""  # what to do when the wait ends with this


class StatusReport(Protocol):
    """Whoever shows what AWS says while we wait."""

    def __call__(self, status: str, reason: str = "") -> None: ...


@dataclass(frozen=True)
class PollPolicy:
    """How often to look, and for how long at most. A rehearsal runs `speed` times faster."""

    poll_seconds: float = 5.0
    timeout_seconds: float = 3600.0
    speed: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def poll(self) -> float:
        """Seconds between two looks, at most."""
        return max(LEAST_GAP, self.poll_seconds / self.speed)

    def gap(self, waited: float, usual: float = 0.0) -> float:
        """Return the seconds until the next look, after `waited` seconds.

        Dense at first, then sparser and sparser, up to `poll`; dense again from half to twice of
        what AWS usually takes (`usual`, of its seconds; 0 = unknown).
        """
        due = DUE_FROM <= waited * self.speed / usual <= DUE_TO if usual else False
        longest = self.poll * (DUE_GAP if due else 1.0)
        return max(LEAST_GAP, min(longest, max(self.poll * FIRST_GAP, waited * GROWTH)))

    def budget(self, aws_seconds: float) -> float:
        """Seconds to allow for what may take `aws_seconds` at AWS; never over the time-out.

        A rehearsal's own work takes real time, so budgets shrink less than AWS's durations do.
        """
        return min(aws_seconds, self.timeout_seconds) / min(self.speed, BUDGET_SPEED)


def interrupted() -> Interrupted:
    """The error that ends a wait when the run is asked to stop."""
    return Interrupted(
        "interrupted; what was made is recorded",
        next_step="Run the same command again to go on, or `python -m teardown` to remove it all.",
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
    """Poll `look` until it is ready. Returns nothing.

    `advice` says what to do when it fails and the poll result does not; `late` when time is up. AWS
    usually takes `usual` of its seconds (0 = unknown).

    Raises ResourceFailed with AWS's reason (at once for FAILED, after its grace time for SUSPECT),
    WaitTimeout after the poll policy's time-out, Interrupted when the poll policy's stop is set.
    """
    import tenacity

    began = time.monotonic()
    suspect_since: float | None = None

    def pending(seen: PollResult) -> bool:
        nonlocal suspect_since
        if seen.verdict is not Verdict.SUSPECT:
            suspect_since = None
            return seen.verdict is Verdict.WAIT
        if suspect_since is None:
            suspect_since = time.monotonic()
        return time.monotonic() - suspect_since < poll_policy.budget(seen.grace_seconds)

    def before_sleep(state: RetryCallState) -> None:
        assert state.outcome is not None  # noqa: S101 - tenacity sets it before it sleeps
        seen: PollResult = state.outcome.result()
        report(seen.status, seen.reason)

    out_of_time = tenacity.stop_after_delay(poll_policy.budget(poll_policy.timeout_seconds))
    polling = tenacity.Retrying(
        retry=tenacity.retry_if_result(pending),
        wait=lambda _: poll_policy.gap(time.monotonic() - began, usual),
        stop=out_of_time | tenacity.stop_when_event_set(poll_policy.stop),
        sleep=tenacity.sleep_using_event(poll_policy.stop),
        before_sleep=before_sleep,
    )
    try:
        last: PollResult = polling(look)
    except tenacity.RetryError as error:
        if poll_policy.stop.is_set():
            raise interrupted() from None
        last = error.last_attempt.result()
        minutes = poll_policy.timeout_seconds / 60
        raise WaitTimeout(
            f"{what}: still {described(last)} after {minutes:g} minutes",
            next_step=last.advice or late,
        ) from None
    if last.verdict is not Verdict.READY:
        raise ResourceFailed(f"{what}: {described(last)}", next_step=last.advice or advice)
    report(last.status, last.reason)


def described(look: PollResult) -> str:
    """Return status and reason as one phrase."""
    status = look.status or "missing"
    return f"{status} ({look.reason})" if look.reason else status


class NotYet(Protocol):
    """Why a refusal passes by itself, for how long AWS may and usually does keep refusing."""

    @property
    def because(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def usual(self) -> float: ...


def until_accepted(
    call: Callable[[], T],
    *,
    passing: Callable[[BaseException], NotYet | None],
    poll_policy: PollPolicy,
    report: StatusReport,
) -> T:
    """Return what `call` returns, repeating it while `passing` knows its refusal.

    Raises the last refusal when it has lasted longer than its own budget, with that as its next
    step, any other error at once, and Interrupted when the poll policy's stop is set.
    """
    import tenacity

    began = time.monotonic()
    refusal: tuple[BaseException, NotYet] | None = None

    def again(error: BaseException) -> bool:
        nonlocal refusal
        known = passing(error)
        refusal = (error, known) if known else None
        return known is not None and time.monotonic() - began < poll_policy.budget(known.seconds)

    def gap(_: RetryCallState) -> float:
        return poll_policy.gap(time.monotonic() - began, refusal[1].usual if refusal else 0.0)

    def before_sleep(_: RetryCallState) -> None:
        if refusal:
            error, known = refusal
            report("waiting", f"{error} - {known.because}")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(again),
        wait=gap,
        stop=tenacity.stop_when_event_set(poll_policy.stop),
        sleep=tenacity.sleep_using_event(poll_policy.stop),
        before_sleep=before_sleep,
    )
    try:
        return retrying(call)
    except tenacity.RetryError:
        raise interrupted() from None
    except ProvisionError as error:
        if known := passing(error):
            minutes = min(known.seconds, poll_policy.timeout_seconds) / 60
            error.next_step = f"{outlasted(known, minutes)} {error.next_step}".rstrip()
        raise


def outlasted(known: NotYet, minutes: float) -> str:
    """Return what to do about a refusal that should have passed within `minutes`, and did not."""
    return (
        f"Usually this passes by itself ({known.because}); AWS has refused for {minutes:g} min. "
        "Run the same command again, which goes on from here; if AWS's answer stays the same, "
        "its words above name the cause."
    )
