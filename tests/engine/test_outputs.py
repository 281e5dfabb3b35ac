"""What the steps of a run tell one another across threads: nobody waits for ever."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from provision.engine import outputs
from provision.engine.outputs import Blocked, StepNeighbours, StepOutputs
from provision.errors import Interrupted
from tests.support.clock import Clock

SECONDS = 10  # far more than a wait that ends takes; one that does not fails the test


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def step_outputs(stop: threading.Event) -> StepOutputs:
    return StepOutputs(stop, {"region": "eu-west-1"})


def waiting(
    wait: Callable[..., None], *arguments: Any, then: Callable[[], None]
) -> BaseException | None:
    """A wait in a thread of its own, ended by what happens `then`; the error that it ended with."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            wait(*arguments)
        except Exception as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    then()
    thread.join(SECONDS)
    assert ended, "it waits for ever"
    return ended[0]


def test_what_is_known_is_not_waited_for(step_outputs: StepOutputs) -> None:
    step_outputs.publish("vpc", {"id": "vpc-1"})
    step_outputs.wait_for_outputs([("vpc", "id"), ("aws", "region"), ("aws", "nothing-like-it")])
    assert step_outputs.known() == {"aws": {"region": "eu-west-1"}, "vpc": {"id": "vpc-1"}}


def test_what_everything_is_done_of_is_not_waited_for() -> None:
    step_outputs = StepOutputs(threading.Event())
    step_outputs.wait_for_steps(["aws"])
    assert step_outputs.known() == {"aws": {}}


def test_an_output_is_enough_the_step_need_not_be_done(step_outputs: StepOutputs) -> None:
    """A proxy's id is known minutes before the proxy is ready."""
    ended = waiting(
        step_outputs.wait_for_outputs,
        [("proxy-iam", "resource_id")],
        then=lambda: step_outputs.publish("proxy-iam", {"resource_id": "prx-1"}),
    )
    assert ended is None


def test_a_step_that_is_done_without_an_output_is_waited_for_no_longer(
    step_outputs: StepOutputs,
) -> None:
    ended = waiting(
        step_outputs.wait_for_outputs,
        [("function-interfaces", "ids")],
        then=lambda: step_outputs.publish("function-interfaces", {}, done=True),
    )
    assert ended is None


def test_to_be_done_takes_more_than_an_output(step_outputs: StepOutputs) -> None:
    step_outputs.publish("function-iam", {"arn": "arn"})
    step_outputs.publish("function-password", {}, done=True)
    steps = ["function-iam", "function-password"]
    ended = waiting(
        step_outputs.wait_for_steps, steps, then=lambda: step_outputs.fail("function-iam")
    )
    assert isinstance(ended, Blocked)  # it was not taken for done
    step_outputs.publish("function-password", {}, done=True)
    step_outputs.wait_for_steps(["function-password"])


@pytest.mark.parametrize("failed_first", [True, False])
def test_who_waits_for_a_step_that_failed_is_told_its_name(
    step_outputs: StepOutputs, failed_first: bool
) -> None:
    def fail() -> None:
        step_outputs.fail("db-instance")

    if failed_first:
        fail()
    ended = waiting(
        step_outputs.wait_for_outputs, [("vpc", "id"), ("db-instance", "endpoint")], then=fail
    )
    assert isinstance(ended, Blocked)
    assert str(ended) == "db-instance"


def test_who_waits_for_another_step_is_not_held_up(step_outputs: StepOutputs) -> None:
    step_outputs.fail("db-instance")
    step_outputs.publish("vpc", {"id": "vpc-1"}, done=True)
    step_outputs.wait_for_outputs([("vpc", "id")])
    step_outputs.wait_for_steps(["vpc"])


def test_a_stop_ends_every_wait(step_outputs: StepOutputs, stop: threading.Event) -> None:
    ended = waiting(step_outputs.wait_for_steps, ["db-instance"], then=stop.set)
    assert isinstance(ended, Interrupted)
    with pytest.raises(Interrupted):
        step_outputs.wait_for_outputs([("aws", "region")])  # nothing is begun any more


NEWS: dict[str, Callable[[StepOutputs], None]] = {
    "an output": lambda step_outputs: step_outputs.publish("vpc", {"id": "vpc-1"}),
    "an end": lambda step_outputs: step_outputs.publish("vpc", {}, done=True),
    "a failure": lambda step_outputs: step_outputs.fail("vpc"),
}


@pytest.mark.parametrize("news", NEWS)
def test_who_waits_is_woken_by_the_news_and_not_by_the_next_look(
    step_outputs: StepOutputs, monkeypatch: pytest.MonkeyPatch, news: str
) -> None:
    monkeypatch.setattr(outputs, "STOP_LOOK_SECONDS", 10 * SECONDS)

    def tell() -> None:
        while not step_outputs._waiters:
            pass
        NEWS[news](step_outputs)

    ended = waiting(step_outputs.wait_for_outputs, [("vpc", "id")], then=tell)
    assert isinstance(ended, Blocked) if news == "a failure" else ended is None


def test_what_is_known_is_a_copy(step_outputs: StepOutputs) -> None:
    step_outputs.known()["aws"]["region"] = "elsewhere"
    step_outputs.known().clear()
    assert step_outputs.known() == {"aws": {"region": "eu-west-1"}}


# --- neighbours -----------------------------------------------------------------------------------


@pytest.fixture
def neighbours(step_outputs: StepOutputs) -> StepNeighbours:
    """What a target's registration waits for."""
    step_outputs.saw("proxy", "creating")
    step_outputs.saw("instance", "creating")
    noted = StepNeighbours(step_outputs, ["proxy", "instance"])
    noted.note()
    return noted


def test_a_neighbours_new_status_ends_the_wait(
    step_outputs: StepOutputs, neighbours: StepNeighbours
) -> None:
    change = functools.partial(step_outputs.saw, "instance", "backing-up")
    assert waiting(neighbours.wait, 2 * SECONDS, then=change) is None


def test_a_neighbour_that_is_done_ends_the_wait(
    step_outputs: StepOutputs, neighbours: StepNeighbours
) -> None:
    done = functools.partial(step_outputs.publish, "proxy", {}, done=True)
    assert waiting(neighbours.wait, 2 * SECONDS, then=done) is None


def test_a_change_before_the_wait_is_not_missed(
    step_outputs: StepOutputs, neighbours: StepNeighbours
) -> None:
    step_outputs.saw("instance", "backing-up")
    assert waiting(neighbours.wait, 2 * SECONDS, then=lambda: None) is None


def test_a_run_that_is_to_stop_ends_the_wait(
    stop: threading.Event, neighbours: StepNeighbours
) -> None:
    assert waiting(neighbours.wait, 2 * SECONDS, then=stop.set) is None


def test_neighbours_that_stay_as_they_are_are_waited_for_so_long(
    neighbours: StepNeighbours,
) -> None:
    neighbours.outputs.saw("instance", "creating")  # the same again is no change
    neighbours.outputs.saw("role", "created")  # somebody else's
    assert waiting(neighbours.wait, 0.01, then=lambda: None) is None


def test_how_long_neighbours_rest_counts_from_the_last_change(
    stop: threading.Event, clock: Clock
) -> None:
    with clock.ticking():
        step_outputs = StepOutputs(stop)
        neighbours = StepNeighbours(step_outputs, ["proxy", "instance"])
        clock.now = 100.0
        step_outputs.saw("proxy", "creating")
        clock.now = 130.0
        step_outputs.saw("proxy", "creating")
        neighbours.note()
        assert neighbours.rested() == 30
        step_outputs.publish("proxy", {}, done=True)
        step_outputs.publish("instance", {}, done=True)
        neighbours.note()
        assert neighbours.rested() is None  # nobody looks at them any more


# --- one thread, and a clock that only waits move -------------------------------------------------


class Woken:
    """Stands for the event of one wait: to wait moves the clock on, and then something happens."""

    def __init__(self, clock: Clock, happens: Callable[[], None] | None = None) -> None:
        self.clock, self.happens = clock, happens
        self.waits: list[float] = []
        self._set = False

    def wait(self, seconds: float) -> None:
        """As threading.Event: at once when it is set."""
        if self._set:
            return
        self.waits.append(seconds)
        self.clock.now += seconds
        happens, self.happens = self.happens, None
        if happens:
            happens()

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set


@pytest.fixture
def waits(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[[], None] | None], Woken]]:
    """Let the next wait have such an event."""

    def next_wait(happens: Callable[[], None] | None = None) -> Woken:
        woken = Woken(clock, happens)
        monkeypatch.setattr(outputs, "threading", SimpleNamespace(Event=lambda: woken))
        return woken

    with clock.ticking():
        yield next_wait


LOOK = outputs.STOP_LOOK_SECONDS
Waits = Callable[..., Woken]


def test_a_wait_for_a_change_takes_its_time_and_looks_for_a_stop(
    waits: Waits, step_outputs: StepOutputs
) -> None:
    woken = waits()
    neighbours = StepNeighbours(step_outputs, ["db"])
    neighbours.note()
    neighbours.wait(2 * LOOK)
    assert woken.waits == [LOOK, LOOK]
    woken = waits()
    neighbours.wait(LOOK / 2)
    assert woken.waits == [pytest.approx(LOOK / 2)]


def test_news_without_a_change_do_not_end_the_wait_for_one(
    waits: Waits, step_outputs: StepOutputs
) -> None:
    woken = waits(lambda: step_outputs.publish("db", {"id": "db-1"}))
    step_outputs.wait_for_change(step_outputs.statuses(["db"]), 2 * LOOK)
    assert woken.waits == [LOOK, LOOK]


def test_a_new_status_wakes_those_that_wait_for_its_step(
    waits: Waits, step_outputs: StepOutputs
) -> None:
    woken = waits(lambda: step_outputs.saw("db", "available"))
    before = step_outputs.statuses(["db"])
    with step_outputs._awaiting(["db"]) as event:
        event.wait(LOOK)
        assert woken.is_set()
    woken = waits(lambda: step_outputs.saw("db", "modifying"))
    step_outputs.wait_for_change(before, 60)
    assert woken.waits == []  # it had changed before


def test_nobody_wakes_for_another_step_or_after_the_wait(
    waits: Waits, step_outputs: StepOutputs
) -> None:
    woken = waits()
    with step_outputs._awaiting(["db"]):
        step_outputs.saw("other", "available")
        assert not woken.is_set()
    step_outputs.saw("db", "available")
    assert not woken.is_set()


def test_a_wait_for_a_step_sleeps_between_news(waits: Waits, step_outputs: StepOutputs) -> None:
    def first() -> None:
        step_outputs.publish("db", {"id": "db-1"})
        woken.happens = lambda: step_outputs.publish("db", {}, done=True)

    woken = waits(first)
    step_outputs.wait_for_steps(["db"])
    assert woken.waits == [LOOK, LOOK]


def test_what_was_never_seen_has_rested_since_the_clock_began(
    clock: Clock, step_outputs: StepOutputs
) -> None:
    clock.now = 100.0
    with clock.ticking():
        assert step_outputs.rested([]) == 100
        assert step_outputs.rested(["db"]) == 100
