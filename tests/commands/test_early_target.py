"""A target is registered as soon as RDS takes it: while the instance is made, or afterwards."""

from __future__ import annotations

import pytest

from provision.rehearsal import Override, Remote
from tests.support.commands import Commands

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("taken", [True, False])
def test_a_registration_is_tried_while_the_instance_is_being_created(
    commands: Commands, rehearsal: Remote, taken: bool
) -> None:
    rehearsal.set_manners(registers_while_creating=taken)
    state = "DB Instance is in an unsupported state - CONFIGURING_ENHANCED_MONITORING"
    rehearsal.set_overrides(
        Override("RegisterDBProxyTargets", code="InvalidDBInstanceState", message=state, times=1)
    )
    assert commands.up().code == 0
    rehearsal.set_overrides()
    calls = [each for each in rehearsal.journal() if each.operation == "RegisterDBProxyTargets"]
    refused = [each for each in calls if each.code == "InvalidDBInstanceState"]
    assert len(calls) - len([each for each in calls if each.code]) == 2
    assert refused
    created = [each.operation for each in rehearsal.journal()].index("CreateDBInstance")
    assert min(each.n for each in calls) > created
    assert commands.up().counts()
