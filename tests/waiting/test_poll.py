"""Waiting: until it is ready, bad beyond repair, out of time, or interrupted. Nobody sleeps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest

from provision.errors import (
    AwsAnswer,
    AwsCallError,
    Interrupted,
    ProvisionError,
    ResourceFailed,
    WaitTimeout,
)
from provision.waiting.poll import (
    BUDGET_SPEED,
    PollPolicy,
    PollResult,
    Verdict,
    until,
    until_accepted,
)
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The time, for everybody."""
    ticking = Clock()
    with ticking.ticking():
        yield ticking


class Told(list[tuple[str, str]]):
    """Keeps what is told while waiting."""

    def __call__(self, status: str, reason: str = "") -> None:
        self.append((status, reason))


def looks(*those: PollResult) -> Callable[[], PollResult]:
    """Look after look, the last one for ever."""
    rest = list(those)
    return lambda: rest.pop(0) if len(rest) > 1 else rest[0]


READY = PollResult(Verdict.READY, "available")
CREATING = PollResult(Verdict.WAIT, "creating")


def suspect(grace: float, reason: str = "AUTH_FAILURE") -> PollResult:
    return PollResult(Verdict.SUSPECT, "UNAVAILABLE", reason, grace)


# --- until ----------------------------------------------------------------------------------------


def test_what_is_ready_is_not_waited_for(clock: Clock) -> None:
    told = Told()
    until(looks(READY), what="db-instance", poll_policy=clock.poll_policy(), report=told)
    assert clock.now == 0
    assert told == [("available", "")]


def test_every_look_is_told_and_an_unknown_status_is_waited_on(clock: Clock) -> None:
    told = Told()
    unheard = PollResult(Verdict.WAIT, "polishing", "a status of next year's")
    until(
        looks(CREATING, unheard, unheard, READY),
        what="x",
        poll_policy=clock.poll_policy(),
        report=told,
    )
    assert told == [
        ("creating", ""),
        ("polishing", "a status of next year's"),
        ("polishing", "a status of next year's"),
        ("available", ""),
    ]
    assert clock.now == 3


def test_a_failed_state_ends_it_at_once_with_awss_reason(clock: Clock) -> None:
    failed = PollResult(Verdict.FAILED, "incompatible-network", "no free address in subnet-1")
    with pytest.raises(ResourceFailed) as caught:
        until(
            looks(CREATING, failed, READY),
            what="db-instance",
            poll_policy=clock.poll_policy(),
            report=Told(),
            advice="Look there.",
        )
    words = "db-instance: incompatible-network (no free address in subnet-1)"
    assert (caught.value.message, caught.value.next_step) == (words, "Look there.")
    assert clock.now == 1


def test_what_may_pass_has_its_grace_time(clock: Clock) -> None:
    with pytest.raises(ResourceFailed, match=r"target: UNAVAILABLE \(AUTH_FAILURE\)"):
        until(looks(suspect(300)), what="target", poll_policy=clock.poll_policy(), report=Told())
    assert 300 <= clock.now <= 305


def test_what_passed_within_its_grace_is_ready(clock: Clock) -> None:
    until(
        looks(suspect(300), suspect(300), READY),
        what="x",
        poll_policy=clock.poll_policy(),
        report=Told(),
    )
    assert clock.now == 2


def test_the_grace_begins_anew_after_it_was_better(clock: Clock) -> None:
    """Of 1.6 seconds' grace, 1 is used, then it is better for a while, then all 1.6 are there."""
    seen = looks(suspect(1.6), CREATING, suspect(1.6), suspect(1.6), CREATING, READY)
    until(seen, what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now == 5


def test_the_grace_is_of_the_present_trouble(clock: Clock) -> None:
    seen = looks(suspect(300, "PENDING"), suspect(0, "PROMOTED"))
    with pytest.raises(ResourceFailed, match="PROMOTED"):
        until(seen, what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now == 1


def test_out_of_time_names_what_how_long_and_what_then(clock: Clock) -> None:
    waiting = PollResult(Verdict.WAIT, "modifying", "resizing the storage")
    with pytest.raises(WaitTimeout) as caught:
        until(
            looks(waiting),
            what="db-instance",
            poll_policy=clock.poll_policy(timeout=1800),
            report=Told(),
        )
    words = "db-instance: still modifying (resizing the storage) after 30 minutes"
    assert caught.value.message == words
    assert "wait.timeout_minutes" in caught.value.next_step
    assert 1800 <= clock.now <= 1800 + 5


def test_what_does_not_exist_is_missing(clock: Clock) -> None:
    with pytest.raises(WaitTimeout, match=r"proxy: still missing after 0\.5 minutes"):
        until(
            looks(PollResult(Verdict.WAIT, "")),
            what="proxy",
            poll_policy=clock.poll_policy(timeout=30),
            report=Told(),
        )


def test_ctrl_c_ends_a_wait_at_once(clock: Clock) -> None:
    clock.at[60] = clock.set
    asked: list[float] = []

    def look() -> PollResult:
        asked.append(clock.now)
        return CREATING

    with pytest.raises(Interrupted) as caught:
        until(look, what="db-instance", poll_policy=clock.poll_policy(), report=Told())
    assert caught.value.exit_code == 130
    assert "teardown" in caught.value.next_step
    assert clock.now == 60
    assert max(asked) <= 60


def test_an_error_of_a_look_is_no_wait(clock: Clock) -> None:
    def look() -> PollResult:
        raise ProvisionError("denied")

    with pytest.raises(ProvisionError, match="denied"):
        until(look, what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now == 0


def test_the_grace_ends_on_the_second(clock: Clock) -> None:
    with pytest.raises(ResourceFailed):
        until(looks(suspect(3)), what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now == 3


def test_the_time_ends_on_the_second(clock: Clock) -> None:
    with pytest.raises(WaitTimeout):
        until(looks(CREATING), what="x", poll_policy=clock.poll_policy(timeout=3), report=Told())
    assert clock.now == 3


def test_without_a_grace_a_suspect_state_ends_it_at_once(clock: Clock) -> None:
    seen = looks(PollResult(Verdict.SUSPECT, "UNAVAILABLE"), READY)
    with pytest.raises(ResourceFailed):
        until(seen, what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now == 0


def test_the_advice_of_the_last_look_comes_first(clock: Clock) -> None:
    own = "Ask for more capacity."
    failed = PollResult(Verdict.FAILED, "failed", advice=own)
    policy = clock.poll_policy(timeout=30)
    with pytest.raises(ResourceFailed) as caught:
        until(looks(failed), what="x", poll_policy=policy, report=Told(), advice="Look there.")
    assert caught.value.next_step == own
    waits = PollResult(Verdict.WAIT, "creating", advice=own)
    for late, seen, said in (("Later.", waits, own), ("Later.", CREATING, "Later.")):
        with pytest.raises(WaitTimeout) as out_of_time:
            until(looks(seen), what="x", poll_policy=policy, report=Told(), late=late)
        assert out_of_time.value.next_step == said


def test_a_wait_counts_from_its_own_beginning(clock: Clock) -> None:
    """Not from when the machine was started: gaps grow with what was waited."""
    clock.now = 10_000.0
    seen = looks(*[CREATING] * 9, READY)
    until(seen, what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now - 10_000 == pytest.approx(
        1 + 1 + 1 + 1 + 1 + 1.25 + 1.5625 + 1.953 + 2.441, rel=1e-3
    )


@pytest.mark.parametrize("old", [CREATING, suspect(300)], ids=["time-out", "grace"])
def test_an_answer_that_waited_for_a_stopped_process_ends_no_wait(
    clock: Clock, old: PollResult
) -> None:
    """A machine that slept, a SIGSTOP: AWS had all that time, and is asked once more."""
    answers = iter([old, old, READY])

    def look() -> PollResult:
        seen = next(answers)
        if seen is not READY and clock.now:  # the second time
            clock.now += 4000
        return seen

    until(look, what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now == pytest.approx(4000, abs=10)


def test_what_is_asked_after_the_process_was_stopped_may_end_a_wait(clock: Clock) -> None:
    def look() -> PollResult:
        clock.now += 4000
        return CREATING

    with pytest.raises(WaitTimeout):
        until(look, what="x", poll_policy=clock.poll_policy(), report=Told())
    assert clock.now == pytest.approx(8000, abs=10)  # asked at 0, and once more


# --- until_accepted -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Soon:
    """A refusal that passes."""

    because: str = "the new role is not known yet"
    seconds: float = 60.0
    usual: float = 0.0
    neighbour: bool = False


def refusal(code: str = "NoSuchEntity") -> AwsCallError:
    return AwsCallError("role", AwsAnswer("PutRolePolicy", code, "no such role"))


def soon(error: BaseException) -> Soon | None:
    """The one that knows which refusals pass."""
    known = isinstance(error, AwsCallError) and error.answer.code == "NoSuchEntity"
    return Soon() if known else None


def calls(answers: Iterable[Exception | str]) -> Callable[[], str]:
    rest = iter(answers)

    def call() -> str:
        answer = next(rest)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def test_a_call_is_repeated_until_aws_takes_it(clock: Clock) -> None:
    told = Told()
    call = calls([refusal(), refusal(), "done"])
    assert (
        until_accepted(call, passing=soon, poll_policy=clock.poll_policy(), report=told) == "done"
    )
    assert clock.now == 2
    ((status, reason), again) = told
    assert status == "waiting"
    assert again == (status, reason)
    assert reason.startswith("role: PutRolePolicy answered NoSuchEntity: no such role")
    assert reason.endswith("the new role is not known yet")


def test_a_refusal_that_outlasts_its_budget_is_raised_as_it_is(clock: Clock) -> None:
    last = refusal()

    def call() -> str:
        raise last

    with pytest.raises(AwsCallError) as caught:
        until_accepted(call, passing=soon, poll_policy=clock.poll_policy(), report=Told())
    assert caught.value is last
    assert 60 <= clock.now <= 65
    assert "the new role is not known yet" not in caught.value.message  # AWS's own words alone
    assert "(the new role is not known yet); AWS has refused for 1 min." in last.next_step
    assert "Run the same command again" in last.next_step


def test_any_other_error_is_raised_at_once(clock: Clock) -> None:
    with pytest.raises(AwsCallError, match="LimitExceeded"):
        until_accepted(
            calls([refusal(), refusal("LimitExceeded")]),
            passing=soon,
            poll_policy=clock.poll_policy(),
            report=Told(),
        )
    assert clock.now == 1


def test_ctrl_c_ends_the_repeating_too(clock: Clock) -> None:
    clock.at[20] = clock.set
    with pytest.raises(Interrupted):
        until_accepted(
            calls([refusal()] * 99), passing=soon, poll_policy=clock.poll_policy(), report=Told()
        )
    assert clock.now == 20


def test_a_call_is_repeated_as_sparsely_as_one_looks(clock: Clock) -> None:
    """Dense at first, then sparser; dense again when what is usual for the refusal is due."""
    clock.now = 10_000.0
    asked: list[float] = []

    def call() -> str:
        asked.append(clock.now - 10_000)
        if asked[-1] >= 420:
            return "done"
        raise refusal()

    def known(error: BaseException) -> Soon:
        assert isinstance(error, AwsCallError)
        return Soon(seconds=3600, usual=420)

    until_accepted(call, passing=known, poll_policy=clock.poll_policy(), report=Told())
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert gaps[:3] == [1, 1, 1]
    assert {gap for at, gap in zip(asked, gaps, strict=False) if 60 <= at < 190} == {15.0}
    assert {gap for at, gap in zip(asked, gaps, strict=False) if at >= 210} == {2.0}


@dataclass
class Watched:
    """Neighbours of a call: one changes at each of these times; nobody sleeps."""

    clock: Clock
    changes: list[float]
    rests: bool = True

    def note(self) -> None:
        self.changes = [each for each in self.changes if each > self.clock.now]

    def rested(self) -> float | None:
        return self.clock.now - 10_000 if self.rests else None

    def wait(self, seconds: float) -> None:
        self.clock.now = min([self.clock.now + seconds, *self.changes])


def attempts(
    clock: Clock, watched: Watched | None, *, neighbour: bool = True, until: float
) -> list[float]:
    """When a call was made that is refused until then, in seconds."""
    clock.now = 10_000.0
    asked: list[float] = []

    def call() -> str:
        asked.append(clock.now - 10_000)
        if asked[-1] >= until:
            return "done"
        raise refusal()

    until_accepted(
        call,
        passing=lambda _: Soon(seconds=3600, neighbour=neighbour),
        poll_policy=clock.poll_policy(),
        report=Told(),
        neighbours=watched,
    )
    return asked


def test_a_call_that_waits_for_a_neighbour_is_repeated_when_it_changes(clock: Clock) -> None:
    watched = Watched(clock, [10_050.0, 10_290.0])
    assert attempts(clock, watched, until=290) == [0, 1, 3, 9, 27, 50, 110, 170, 230, 290]


def test_neighbours_count_for_no_other_refusal(clock: Clock) -> None:
    asked = attempts(clock, Watched(clock, [10_001.5]), neighbour=False, until=60)
    assert 1.5 not in asked
    assert max(after - before for before, after in itertools.pairwise(asked)) == 5.0


@pytest.mark.parametrize("known", [True, False])
def test_where_nobody_looks_at_the_neighbours_the_call_looks_itself(
    clock: Clock, known: bool
) -> None:
    asked = attempts(clock, Watched(clock, [], rests=False) if known else None, until=60)
    assert max(after - before for before, after in itertools.pairwise(asked)) == 5.0


def test_without_a_usual_time_nothing_is_due(clock: Clock) -> None:
    asked: list[float] = []

    def call() -> str:
        asked.append(clock.now)
        raise refusal()

    with pytest.raises(AwsCallError):
        until_accepted(call, passing=soon, poll_policy=clock.poll_policy(), report=Told())
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert max(gaps) == gaps[-1] == 5.0


def test_a_refusals_budget_ends_on_the_second_and_counts_from_the_first_call(clock: Clock) -> None:
    clock.now = 10_000.0
    with pytest.raises(AwsCallError):
        until_accepted(
            calls([refusal()] * 99),
            passing=lambda _: Soon(seconds=3),
            poll_policy=clock.poll_policy(),
            report=Told(),
        )
    assert clock.now == 10_003


def test_a_refusal_that_waited_for_a_stopped_process_is_asked_about_once_more(clock: Clock) -> None:
    answers = calls([refusal(), refusal(), "done"])

    def call() -> str:
        try:
            return answers()
        finally:
            clock.now += 600  # seconds, ten times what AWS may keep refusing for

    with pytest.raises(AwsCallError):  # asked twice: the second time after the process was stopped
        until_accepted(call, passing=soon, poll_policy=clock.poll_policy(), report=Told())
    assert answers() == "done"
    answers = calls([refusal(), "done"])
    assert until_accepted(call, passing=soon, poll_policy=clock.poll_policy(), report=Told())


def test_a_call_that_is_refused_for_good_while_the_run_stops_says_why(clock: Clock) -> None:
    clock.set()
    with pytest.raises(AwsCallError, match="LimitExceeded"):
        until_accepted(
            calls([refusal("LimitExceeded")]),
            passing=soon,
            poll_policy=clock.poll_policy(),
            report=Told(),
        )


# --- the poll policy ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("poll_policy", "poll", "budget"),
    [
        (PollPolicy(), 5.0, 600.0),
        (PollPolicy(timeout_seconds=60), 5.0, 60.0),  # never longer than a person allows
        (PollPolicy(speed=100), 0.05, 6.0),  # a rehearsal: AWS is quicker, our own work is not
        (PollPolicy(speed=5000), 0.03, 6.0),
        (PollPolicy(poll_seconds=0.001), 0.01, 600.0),
        (PollPolicy(timeout_seconds=900), 5.0, 600.0),
    ],
)
def test_a_pace_in_seconds(poll_policy: PollPolicy, poll: float, budget: float) -> None:
    assert poll_policy.poll == pytest.approx(poll)
    assert poll_policy.budget(600.0) == pytest.approx(budget)


def test_an_hour_is_the_most_by_default() -> None:
    assert PollPolicy().budget(1e9) == 3600


def test_budgets_shrink_a_hundredfold_at_most() -> None:
    assert PollPolicy(speed=BUDGET_SPEED).budget(600) == PollPolicy(speed=10 * BUDGET_SPEED).budget(
        600
    )


@pytest.mark.parametrize(
    ("waited", "usual", "gap"),
    [
        (0, 0, 1.0),  # dense at first
        (4, 0, 1.0),
        (10, 0, 2.5),  # then a quarter of what was waited
        (20, 0, 5.0),
        (1000, 0, 5.0),  # never sparser than a person allows, where nothing is known
        (4, 400, 1.0),
        (40, 400, 10.0),  # not due yet
        (100, 400, 15.0),
        (199, 400, 15.0),
        (200, 400, 2.0),  # from half to twice of what AWS usually takes
        (800, 400, 2.0),
        (801, 400, 5.0),  # overdue: nobody knows when
        (1, 2, 1.0),
    ],
)
def test_looks_are_dense_while_something_is_due(waited: float, usual: float, gap: float) -> None:
    assert PollPolicy().gap(waited, usual) == pytest.approx(gap)


def test_a_rehearsals_gaps_are_scaled() -> None:
    assert PollPolicy(speed=10).gap(40, 400) == pytest.approx(0.2)
    assert PollPolicy(speed=10).gap(100, 0) == pytest.approx(0.5)
    assert PollPolicy(speed=5000).gap(0, 400) == 0.03


def test_what_is_due_is_seen_sooner(clock: Clock) -> None:
    """An instance that takes seven minutes is seen at most 2 seconds after it is there."""

    def look() -> PollResult:
        return READY if clock.now >= 420 else CREATING

    until(look, what="db-instance", poll_policy=clock.poll_policy(), report=Told(), usual=420)
    assert 420 <= clock.now <= 422
