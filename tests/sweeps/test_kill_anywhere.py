"""kill -9 at every mutating call of `up` and of `teardown`, before and after it took effect.

The run after the kill goes on from there: one of everything, and nothing left in the end.
"""

from __future__ import annotations

import collections

import pytest

from provision.rehearsal import Fault
from provision.rehearsal.faults import Kind
from tests.sweeps.world import KILLED, Place

pytestmark = pytest.mark.slow

# Each mutating call of an `up`, with how many there are of it. Registering a target is asked for
# again and again while the database is being made: the first and the second are enough.
UP = {
    "AttachRolePolicy": 2,
    "AuthorizeSecurityGroupEgress": 2,
    "AuthorizeSecurityGroupIngress": 2,
    "CreateApi": 1,
    "CreateDBInstance": 1,
    "CreateDBProxy": 2,
    "CreateDBSubnetGroup": 1,
    "CreateFunction": 2,
    "CreateIntegration": 2,
    "CreateLogGroup": 4,
    "CreateRole": 4,
    "CreateRoute": 3,
    "CreateSecret": 1,
    "CreateSecurityGroup": 3,
    "CreateServiceLinkedRole": 1,
    "CreateStage": 1,
    "CreateSubnet": 3,
    "CreateVpc": 1,
    "PublishLayerVersion": 1,
    "PutRetentionPolicy": 4,
    "PutRolePolicy": 4,
    "RegisterDBProxyTargets": 2,
    "RevokeSecurityGroupEgress": 3,
}
DOWN = {
    "DeleteApi": 1,
    "DeleteDBInstance": 1,
    "DeleteDBProxy": 2,
    "DeleteDBSubnetGroup": 1,
    "DeleteFunction": 2,
    "DeleteLayerVersion": 1,
    "DeleteLogGroup": 4,
    "DeleteRole": 4,
    "DeleteRolePolicy": 4,
    "DeleteSecret": 1,
    "DeleteSecurityGroup": 3,
    "DeleteSubnet": 3,
    "DeleteVpc": 1,
    "DetachRolePolicy": 2,
    "RevokeSecurityGroupEgress": 2,
    "RevokeSecurityGroupIngress": 2,
    "UpdateFunctionConfiguration": 2,
}
WHEN: tuple[Kind, ...] = ("kill-before", "kill-after")


def points(calls: dict[str, int]) -> list[tuple[str, int]]:
    """Return each call of a run: its operation, and the how manieth of its kind it is."""
    return [(operation, nth + 1) for operation, count in calls.items() for nth in range(count)]


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(("operation", "nth"), points(UP))
def test_up_killed_at_any_call_goes_on(place: Place, when: Kind, operation: str, nth: int) -> None:
    # More than once: a call that AWS refuses for now takes no effect, so the next one is meant.
    killed = place.up(faults=[Fault(when, operation, nth=nth, times=20)])
    assert killed.code == KILLED, killed
    went_on = place.up(faults=[])
    assert went_on.code == 0, went_on
    assert place.account.inventory.held() == place.account.inventory.expected(place.name)
    down = place.teardown()
    assert down.code == 0, down
    assert place.account.inventory.held() == place.account.inventory.expected()


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(("operation", "nth"), points(DOWN))
def test_teardown_killed_at_any_call_goes_on(
    place: Place, when: Kind, operation: str, nth: int
) -> None:
    assert place.up(faults=[]).code == 0
    killed = place.teardown(faults=[Fault(when, operation, nth=nth, times=20)])
    assert killed.code == KILLED, killed
    went_on = place.teardown(faults=[])
    assert went_on.code == 0, went_on
    assert place.account.inventory.held() == place.account.inventory.expected()


def test_the_swept_calls_are_all_that_there_are(place: Place) -> None:
    place.up(faults=[])
    made = collections.Counter(each.operation for each in place.account.mutations())
    before = len(place.account.remote.journal())
    place.teardown()
    deleted = collections.Counter(each.operation for each in place.account.mutations(before))
    assert set(made) == set(UP) and set(deleted) == set(DOWN)
    repeated = {"CreateDBSubnetGroup", "CreateDBProxy", "CreateFunction", "RegisterDBProxyTargets"}
    assert {op: n for op, n in made.items() if op not in repeated} == {
        op: n for op, n in UP.items() if op not in repeated
    }
