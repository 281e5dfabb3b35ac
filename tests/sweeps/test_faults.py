"""Throttling, errors on AWS's side, lost answers and cut connections, on many calls at once."""

from __future__ import annotations

import pytest

from provision.rehearsal import Fault
from provision.rehearsal.faults import Kind
from tests.sweeps.test_kill_anywhere import DOWN, UP
from tests.sweeps.world import Place

pytestmark = pytest.mark.slow


def ends_well(place: Place) -> None:
    """Assert one of everything, a second `up` that changes nothing, and a clean teardown."""
    inventory = place.account.inventory
    assert inventory.held() == inventory.expected(place.name)
    again = place.up(faults=[])
    assert again.code == 0 and again.summary["unchanged"] == 36, again
    down = place.teardown()
    assert down.code == 0, down
    assert inventory.held() == inventory.expected()


@pytest.mark.parametrize("kind", ["lost", "cut", "error500"])
def test_every_kind_of_create_meets_it_once(place: Place, kind: Kind) -> None:
    ended = place.up(faults=[Fault(kind, operation) for operation in UP])
    assert ended.code == 0, ended
    ends_well(place)


@pytest.mark.parametrize("times", [1, 5])
def test_every_call_that_changes_something_is_throttled(place: Place, times: int) -> None:
    ended = place.up(faults=[Fault("throttle", operation, times=times) for operation in UP])
    assert ended.code == 0, ended
    down = place.teardown(faults=[Fault("throttle", operation, times=times) for operation in DOWN])
    assert down.code == 0, down
    inventory = place.account.inventory
    assert inventory.held() == inventory.expected()


@pytest.mark.parametrize("pattern", ["Describe*", "Get*", "List*"])
def test_reads_that_fail_once_are_asked_again(place: Place, pattern: str) -> None:
    faults = [Fault("error500", pattern, nth=nth) for nth in range(1, 60, 4)]
    assert place.up(faults=faults).code == 0
    ends_well(place)


@pytest.mark.parametrize("kind", ["lost", "cut", "error500"])
def test_every_kind_of_delete_meets_it_once(place: Place, kind: Kind) -> None:
    assert place.up(faults=[]).code == 0
    down = place.teardown(faults=[Fault(kind, operation) for operation in DOWN])
    assert down.code == 0, down
    inventory = place.account.inventory
    assert inventory.held() == inventory.expected()
