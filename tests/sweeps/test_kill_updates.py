"""An `up` that changes and replaces what is there, and kill -9 at each of its mutating calls."""

from __future__ import annotations

import itertools

import pytest

from provision.rehearsal import Fault
from provision.rehearsal.aws.faults import Kind
from tests.sweeps.by_hand import client
from tests.sweeps.calls import WHEN
from tests.sweeps.world import KILLED, UNHURRIED, Place

pytestmark = pytest.mark.sweep

# Two configurations: each run goes from one to the other.
SETTINGS = {
    "function.memory_mib": (512, 128),
    "function.log_retention_days": (14, 30),
    "api.throttle_burst": (40, 30),
    "proxy.idle_client_timeout_seconds": (300, 600),
    "proxy.max_idle_connections_percent": (20, 30),
}
REPLACED = ("--replace", "db-instance", "--replace", "function-iam")
STRIDE = 8


def configured(number: int) -> list[str]:
    """Return the flags of a configuration."""
    pairs = [f"{key}={values[number % 2]}" for key, values in SETTINGS.items()]
    return [flag for pair in pairs for flag in ("--set", pair)]


@pytest.mark.parametrize("first", range(1, STRIDE + 1))
@pytest.mark.parametrize("when", WHEN)
def test_an_update_killed_at_any_call_goes_on(place: Place, when: Kind, first: int) -> None:
    assert place.up(faults=[]).code == 0
    for number, nth in enumerate(itertools.count(first, STRIDE)):
        flags = configured(number)
        fault = Fault(when, mutating_only=True, nth=nth)
        killed = place.up(*flags, *REPLACED, faults=[fault])
        went_on = place.up(*flags, faults=[])
        assert went_on.code == 0, went_on
        place.holds_one_of_everything()
        assert place.plan(*flags).code == 0
        if killed.code != KILLED:  # there were fewer calls than that: all are swept
            assert killed.code == 0, killed
            assert nth > 12, killed
            break
    assert place.teardown().code == 0
    place.holds_nothing()


def test_a_new_password_killed_at_any_call_reaches_everybody(place: Place) -> None:
    """AWS shows nobody the database's password: only the state file tells that it is not done."""
    assert place.up(faults=[]).code == 0
    for nth in itertools.count(1):
        fault = Fault("kill-after", mutating_only=True, nth=nth)
        killed = place.up("--reset-password", faults=[fault])
        went_on = place.up(faults=[])
        assert went_on.code == 0, went_on
        place.account.remote.advance(600)  # the proxies log in again
        for login in ("password", "iam"):
            found = client(place)("rds").describe_db_proxy_targets(DBProxyName=f"demo-{login}")
            assert found["Targets"][0]["TargetHealth"] == {"State": "AVAILABLE"}
        if killed.code != KILLED:
            assert killed.code == 0, killed
            assert nth == 4, killed
            break


def test_everything_is_changed_while_aws_takes_its_time(place: Place) -> None:
    """A proxy that is being changed refuses much: what hangs on it waits."""
    assert place.up(faults=[]).code == 0
    place.account.passes(3 * UNHURRIED)
    for number in range(4):
        changed = place.up(*configured(number))
        assert changed.code == 0, changed
        assert place.plan(*configured(number)).code == 0
    place.holds_one_of_everything()
