"""Credentials that expire or are denied midway: the cause is told, and the next run goes on."""

from __future__ import annotations

import pytest

from provision.rehearsal import Fault
from provision.rehearsal.aws.faults import Kind
from tests.sweeps.world import Ended, Place

pytestmark = pytest.mark.sweep

FOR_GOOD = 10_000  # calls: more than any run makes
REFUSED: tuple[Kind, ...] = ("expired", "denied")


def refused_with_its_cause(ended: Ended, kind: Kind) -> None:
    """Assert that the run failed, and says why and what to do."""
    error = "CredentialsError" if kind == "expired" else "AwsCallError"
    assert ended.code == 1, ended
    assert ended.error["type"] == error, ended
    assert ended.error["next"]


@pytest.mark.parametrize("operation", ["CreateSubnet", "CreateDBInstance", "CreateRoute"])
@pytest.mark.parametrize("kind", REFUSED)
def test_up_stops_and_the_next_one_goes_on(place: Place, kind: Kind, operation: str) -> None:
    stopped = place.up(faults=[Fault(kind, operation, times=FOR_GOOD)])
    refused_with_its_cause(stopped, kind)
    went_on = place.up(faults=[])
    assert went_on.code == 0, went_on
    place.holds_one_of_everything()
    assert place.teardown().code == 0
    place.holds_nothing()


@pytest.mark.parametrize("operation", ["DeleteDBProxy", "DeleteFunction", "DeleteVpc"])
@pytest.mark.parametrize("kind", REFUSED)
def test_teardown_stops_and_the_next_one_goes_on(place: Place, kind: Kind, operation: str) -> None:
    assert place.up(faults=[]).code == 0
    stopped = place.teardown(faults=[Fault(kind, operation, times=FOR_GOOD)])
    refused_with_its_cause(stopped, kind)
    went_on = place.teardown(faults=[])
    assert went_on.code == 0, went_on
    place.holds_nothing()


@pytest.mark.parametrize("command", ["up", "teardown"])
def test_credentials_that_expire_for_all_calls_end_every_wait(place: Place, command: str) -> None:
    """From the nth call on, nothing is answered any more: reads that wait for AWS included."""
    if command == "up":
        stopped = place.up(faults=[Fault("expired", nth=120, times=FOR_GOOD)])
    else:
        assert place.up(faults=[]).code == 0
        stopped = place.teardown(faults=[Fault("expired", nth=120, times=FOR_GOOD)])
    refused_with_its_cause(stopped, "expired")
    assert place.up(faults=[]).code == 0
    place.holds_one_of_everything()
    assert place.teardown().code == 0
    place.holds_nothing()
