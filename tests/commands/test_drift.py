"""What people change by hand: `plan` and `status` tell it, `up` puts it right in place.

Many changes at once, each to another step: they cost one `plan` and two `up`s together.
"""

from __future__ import annotations

import pytest

from tests.support.built import Built
from tests.support.drifts import FIRST, SECOND, THIRD, Drift

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("drifts", [FIRST, SECOND, THIRD], ids=["first", "second", "third"])
def test_drift_is_told_property_by_property_and_repaired_in_place(
    built: Built, drifts: tuple[Drift, ...]
) -> None:
    for drift in drifts:
        drift.make(built.account)
    expected = {drift.step: drift.changes for drift in drifts}

    plan = built.commands.plan()
    assert plan.code == 3
    told = {
        step: {name: (each["is"], each["should"]) for name, each in plan.changes(step).items()}
        for step in plan.to_do
    }
    assert told == expected
    assert not any(each["replaces"] for step in told for each in plan.changes(step).values())

    status = built.commands.run("provision", "status", "--output", "json")
    drifted = {
        each["step"]: [change["property"] for change in each["drift"]]
        for each in status.of("resource")
        if each["drift"] or not each["present"]
    }
    assert drifted == {step: list(changes) for step, changes in told.items()}

    repaired = built.commands.up()
    assert repaired.code == 0, repaired.stdout[-1500:]
    assert repaired.changed == {drift.step: drift.word for drift in drifts}
    again = built.commands.up()
    assert again.code == 0
    assert again.counts()
