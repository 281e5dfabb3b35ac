"""Throttling, errors on AWS's side, lost answers and cut connections, on many calls at once."""

from __future__ import annotations

import pytest

from provision.rehearsal import Fault
from provision.rehearsal.aws.faults import Kind
from tests.sweeps.calls import DOWN, UP
from tests.sweeps.world import Place

pytestmark = pytest.mark.sweep

UNSURE: tuple[Kind, ...] = ("lost", "cut", "error500")
READS = ("Describe*", "Get*", "List*")


def each_nth(kind: Kind, calls: dict[str, int], nth: int) -> list[Fault]:
    """The fault on the nth call of every operation that is called so often."""
    return [Fault(kind, operation, nth=nth) for operation, n in calls.items() if n >= nth]


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", UNSURE)
def test_every_call_that_changes_something_meets_it_once(
    place: Place, kind: Kind, nth: int
) -> None:
    ended = place.up(faults=each_nth(kind, UP, nth))
    assert ended.code == 0, ended
    place.holds_one_of_everything()
    again = place.up(faults=[])
    assert again.code == 0, again
    assert again.summary["unchanged"] == 36, again
    down = place.teardown(faults=each_nth(kind, DOWN, nth))
    assert down.code == 0, down
    place.holds_nothing()


@pytest.mark.parametrize("times", [1, 5])
def test_every_call_that_changes_something_is_throttled(place: Place, times: int) -> None:
    ended = place.up(faults=[Fault("throttle", operation, times=times) for operation in UP])
    assert ended.code == 0, ended
    place.holds_one_of_everything()
    down = place.teardown(faults=[Fault("throttle", operation, times=times) for operation in DOWN])
    assert down.code == 0, down
    place.holds_nothing()


@pytest.mark.parametrize("kind", ["throttle", "error500", "lost", "cut"])
def test_reads_that_fail_are_asked_again(place: Place, kind: Kind) -> None:
    faults = [Fault(kind, pattern, nth=nth) for pattern in READS for nth in range(1, 120, 3)]
    ended = place.up(faults=faults)
    assert ended.code == 0, ended
    place.holds_one_of_everything()
    down = place.teardown(faults=faults)
    assert down.code == 0, down
    place.holds_nothing()
