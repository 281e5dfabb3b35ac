"""What the steps of a run tell one another across threads: nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from provision.engine.outputs import Blocked, Board
from provision.errors import Interrupted

SECONDS = 30  # far more than a wait that ends takes; one that does not fails the test


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def board(stop: threading.Event) -> Board:
    return Board(stop, {"region": "eu-west-1"})


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


def test_what_is_known_is_not_waited_for(board: Board) -> None:
    board.publish("vpc", {"id": "vpc-1"})
    board.wait_for_outputs([("vpc", "id"), ("aws", "region"), ("aws", "nothing-like-it")])
    assert board.known() == {"aws": {"region": "eu-west-1"}, "vpc": {"id": "vpc-1"}}


def test_an_output_is_enough_the_step_need_not_be_done(board: Board) -> None:
    """A proxy's id is known minutes before the proxy is ready."""
    ended = waiting(
        board.wait_for_outputs,
        [("proxy-iam", "resource_id")],
        then=lambda: board.publish("proxy-iam", {"resource_id": "prx-1"}),
    )
    assert ended is None


def test_a_step_that_is_done_without_an_output_is_waited_for_no_longer(board: Board) -> None:
    ended = waiting(
        board.wait_for_outputs,
        [("function-interfaces", "ids")],
        then=lambda: board.publish("function-interfaces", {}, done=True),
    )
    assert ended is None


def test_to_be_done_takes_more_than_an_output(board: Board) -> None:
    board.publish("function-iam", {"arn": "arn"})
    board.publish("function-password", {}, done=True)
    steps = ["function-iam", "function-password"]
    ended = waiting(board.wait_for_steps, steps, then=lambda: board.fail("function-iam"))
    assert isinstance(ended, Blocked)  # it was not taken for done
    board.publish("function-password", {}, done=True)
    board.wait_for_steps(["function-password"])


@pytest.mark.parametrize("failed_first", [True, False])
def test_who_waits_for_a_step_that_failed_is_told_its_name(
    board: Board, failed_first: bool
) -> None:
    def fail() -> None:
        board.fail("db-instance")

    if failed_first:
        fail()
    ended = waiting(board.wait_for_outputs, [("vpc", "id"), ("db-instance", "endpoint")], then=fail)
    assert isinstance(ended, Blocked) and str(ended) == "db-instance"


def test_who_waits_for_another_step_is_not_held_up(board: Board) -> None:
    board.fail("db-instance")
    board.publish("vpc", {"id": "vpc-1"}, done=True)
    board.wait_for_outputs([("vpc", "id")])
    board.wait_for_steps(["vpc"])


def test_a_stop_ends_every_wait(board: Board, stop: threading.Event) -> None:
    ended = waiting(board.wait_for_steps, ["db-instance"], then=stop.set)
    assert isinstance(ended, Interrupted)
    with pytest.raises(Interrupted):
        board.wait_for_outputs([("aws", "region")])  # nothing is begun any more


def test_what_is_known_is_a_copy(board: Board) -> None:
    board.known()["aws"]["region"] = "elsewhere"
    board.known().clear()
    assert board.known() == {"aws": {"region": "eu-west-1"}}
