"""kill -9 at every mutating call of `up` and of `teardown`, before and after it took effect.

The run after the kill goes on from there: one of everything, and nothing left in the end.
"""

from __future__ import annotations

import collections
import itertools
import signal

import pytest

from provision.rehearsal import Fault
from provision.rehearsal.aws.faults import Kind
from tests.sweeps.calls import DOWN, UP, WHEN
from tests.sweeps.world import KILLED, UNHURRIED, Place

pytestmark = pytest.mark.sweep


def points(calls: dict[str, int]) -> list[tuple[str, int]]:
    """Return each call of a run: its operation, and the how manieth of its kind it is."""
    return [(operation, nth + 1) for operation, count in calls.items() for nth in range(count)]


def kill(when: Kind, point: tuple[str, int]) -> Fault:
    """The fault that kills at this call, or, where AWS refuses it for now, at a later try."""
    return Fault(when, point[0], nth=point[1], times=20)


SELDOM = "DeleteNetworkInterface"  # where a look comes between Lambda's two steps of leaving one
# Each life is killed at one call of `up` and, while there are any left, at one of `teardown`.
LIVES = list(itertools.zip_longest(points(UP), points(DOWN)))


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    ("up", "down"), LIVES, ids=lambda point: point and "-".join(map(str, point))
)
def test_killed_at_any_call_the_next_run_goes_on(
    place: Place, when: Kind, up: tuple[str, int], down: tuple[str, int] | None
) -> None:
    killed = place.up(faults=[kill(when, up)])
    assert killed.code == KILLED, killed
    went_on = place.up(faults=[])
    assert went_on.code == 0, went_on
    place.holds_one_of_everything()
    if when == "kill-after":
        again = place.up()
        assert again.code == 0, again
        assert again.summary["unchanged"] == 36, again
    if down:
        killed = place.teardown(faults=[kill(when, down)])
        assert killed.code == KILLED, killed
    last = place.teardown(faults=[])
    assert last.code == 0, last
    place.holds_nothing()


@pytest.mark.parametrize("command", ["up", "teardown"])
def test_killed_while_proxies_are_made_the_next_run_goes_on(place: Place, command: str) -> None:
    """RDS tells less of what it is still making: the sweep above meets it ready."""
    place.account.passes(UNHURRIED)
    run = place.start("provision", "up", "--no-check", faults=[]).go()
    assert run.wait(lambda _: {"proxy-iam", "proxy-password"} <= made(place))
    run.send(signal.SIGKILL)
    assert run.end().code == KILLED
    went_on = getattr(place, command)()
    assert went_on.code == 0, went_on
    if command == "up":
        place.holds_one_of_everything()
    else:
        place.holds_nothing()


@pytest.mark.parametrize("when", WHEN)
def test_killed_while_it_deletes_what_lambda_left_the_next_run_goes_on(
    place: Place, when: Kind
) -> None:
    assert place.up(faults=[]).code == 0
    place.account.passes(UNHURRIED)
    killed = place.teardown(faults=[kill(when, (SELDOM, 1))])
    assert killed.code == KILLED, killed
    last = place.teardown(faults=[])
    assert last.code == 0, last
    place.holds_nothing()


def made(place: Place) -> set[str]:
    """Return the steps that AWS has answered, and is not done with."""
    return {step for step, entry in place.steps().items() if entry["phase"] == "made"}


@pytest.mark.parametrize("operation", ["DeleteDBInstance", "DeleteDBProxy", "DeleteFunction"])
def test_up_makes_again_what_a_killed_teardown_is_deleting(place: Place, operation: str) -> None:
    assert place.up(faults=[]).code == 0
    place.account.passes(UNHURRIED)
    assert place.teardown(faults=[Fault("kill-after", operation)]).code == KILLED
    made_again = place.up(faults=[])
    assert made_again.code == 0, made_again
    place.holds_one_of_everything()
    assert place.teardown().code == 0
    place.holds_nothing()


def test_the_swept_calls_are_all_that_there_are(place: Place) -> None:
    place.up(faults=[])
    made = collections.Counter(each.operation for each in place.account.mutations())
    before = len(place.account.remote.journal())
    place.teardown()
    deleted = collections.Counter(each.operation for each in place.account.mutations(before))
    assert set(made) == set(UP)
    assert set(deleted) - {SELDOM} == set(DOWN)
    repeated = {"CreateDBSubnetGroup", "CreateDBProxy", "CreateFunction", "RegisterDBProxyTargets"}
    assert {op: n for op, n in made.items() if op not in repeated} == {
        op: n for op, n in UP.items() if op not in repeated
    }
