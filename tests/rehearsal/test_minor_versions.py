"""RDS moves an instance to a newer minor version by itself: no run takes that for a difference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from provision.rehearsal import Behaviours, Durations, Rehearsal, Remote
from tests.support.built import commands_at
from tests.support.commands import Commands
from tests.support.simulated_time import simulated_time

pytestmark = pytest.mark.sweep(part=10)
STARTED_AT = ("--set", "database.engine_version=8.4.8")
PACE = ("--set", "wait.poll_seconds=10", "--set", "wait.timeout_minutes=120", *STARTED_AT)
DURATIONS = Durations(minor_upgrade_begins=3600.0, minor_upgrade=600.0)


@pytest.fixture
def aws() -> Iterator[Rehearsal]:
    """An account in simulated time, whose instances are upgraded an hour after they were made."""
    behaviours = Behaviours(speed=1.0, throttling=False, upgrades_minor_version=True)
    with (
        simulated_time(),
        Rehearsal(behaviours, data_plane=False, durations=DURATIONS) as rehearsal,
    ):
        yield rehearsal


@pytest.fixture
def commands(aws: Rehearsal, tmp_path: Path) -> Commands:
    """The commands, at work in an environment that is up."""
    commands = commands_at(cast(Remote, aws), tmp_path, name="demo")
    assert commands.up(*PACE).code == 0
    return commands


def instance(aws: Rehearsal) -> dict[str, Any]:
    """The DB instance as AWS has it."""
    (found,) = aws.somebody_else("rds").describe_db_instances()["DBInstances"]
    return dict(found)


def test_a_newer_minor_version_is_accepted_and_goes_with_the_rest(
    aws: Rehearsal, commands: Commands
) -> None:
    assert instance(aws)["EngineVersion"] == "8.4.8"
    aws.advance(3600.0 + 600.0)
    instance(aws)  # a call lets what is due happen
    aws.advance(600.0)
    assert instance(aws)["EngineVersion"] == "8.4.10"
    plan = commands.plan(*PACE)
    assert (plan.code, plan.to_do) == (0, {})
    again = commands.up(*PACE)
    assert again.code == 0
    assert again.counts()
    kept = "asks for 8.4.8, the DB instance has EngineVersion 8.4.10"
    assert kept in again.stdout
    assert commands.up("--set", "database.engine_version=8.4.9").counts()
    assert commands.teardown(*PACE).code == 0
    assert aws.somebody_else("rds").describe_db_instances()["DBInstances"] == []


def test_a_run_in_the_middle_of_the_upgrade_waits_for_it(
    aws: Rehearsal, commands: Commands
) -> None:
    aws.advance(3600.0)
    assert instance(aws)["DBInstanceStatus"] == "upgrading"
    changed = commands.up(*PACE, "--set", "database.allocated_storage_gib=30")
    assert changed.code == 0
    assert changed.changed == {"db-instance": "updated"}
    assert (instance(aws)["EngineVersion"], instance(aws)["AllocatedStorage"]) == ("8.4.10", 30)


def test_a_teardown_in_the_middle_of_the_upgrade_works(aws: Rehearsal, commands: Commands) -> None:
    aws.advance(3600.0)
    assert instance(aws)["DBInstanceStatus"] == "upgrading"
    assert commands.teardown(*PACE).code == 0
    assert aws.somebody_else("rds").describe_db_instances()["DBInstances"] == []
