"""What people do in the console: a resource is deleted, and `up` and `teardown` cope."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sweeps.by_hand import (
    DELETED,
    Client,
    client,
    function,
    instance,
    proxy,
    secret,
)
from tests.sweeps.world import UNHURRIED, Place

pytestmark = pytest.mark.sweep

TAKE_THEIR_TIME = (instance, proxy, function, secret)  # the others are gone at once
MET = [(each, "gone") for each in DELETED] + [(each, "going") for each in TAKE_THEIR_TIME]


@pytest.mark.parametrize(
    ("delete", "met"), MET, ids=lambda each: each if isinstance(each, str) else each.__name__
)
def test_what_was_deleted_by_hand_is_made_again(
    place: Place, delete: Callable[[Client], None], met: str
) -> None:
    assert place.up(faults=[]).code == 0
    if met == "gone":
        delete(client(place))
        place.account.remote.advance(24 * 3600)
    else:
        place.account.passes(UNHURRIED)
        delete(client(place))
    again = place.up()
    assert again.code == 0, again
    place.holds_one_of_everything()
    assert place.up().summary["unchanged"] == 36
    assert place.teardown().code == 0
    place.holds_nothing()


@pytest.mark.parametrize("delete", DELETED, ids=lambda each: each.__name__)
def test_teardown_does_not_stumble_over_what_is_being_deleted(
    place: Place, delete: Callable[[Client], None]
) -> None:
    assert place.up(faults=[]).code == 0
    place.account.passes(UNHURRIED)
    delete(client(place))
    down = place.teardown()
    assert down.code == 0, down
    place.holds_nothing()


def test_protection_set_by_a_person_is_respected(place: Place) -> None:
    assert place.up(faults=[]).code == 0
    rds = client(place)("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier="demo-database", DeletionProtection=True, ApplyImmediately=True
    )
    down = place.teardown()
    assert down.code == 1, down
    assert "--no-deletion-protection" in down.error["next"], down
    rds.describe_db_instances(DBInstanceIdentifier="demo-database")
    place.account.remote.advance(600)
    rds.modify_db_instance(
        DBInstanceIdentifier="demo-database", DeletionProtection=False, ApplyImmediately=True
    )
    assert place.teardown().code == 0


def test_a_final_snapshot_is_kept_and_named(place: Place) -> None:
    assert place.up(faults=[]).code == 0
    down = place.teardown("--final-snapshot", "Before-we-Left")
    assert down.code == 0, down
    snapshots = client(place)("rds").describe_db_snapshots()["DBSnapshots"]
    assert [each["DBSnapshotIdentifier"] for each in snapshots] == ["before-we-left"]
