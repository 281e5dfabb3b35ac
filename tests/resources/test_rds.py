"""RDS's resources by themselves: what they make of what AWS says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provision.aws.account import Aws, make_session
from provision.rehearsal import Override
from provision.resources.rds.db_proxy_target import DBProxyTarget
from provision.waiting.poll import PollResult, Verdict
from tests.rehearsal.aws.control_plane import PlayedAccount, frozen
from tests.rehearsal.aws.control_plane import account as rehearsed
from tests.rehearsal.aws.databases import ready
from tests.support.names import REGION

MINUTE = 60.0
TARGET = DBProxyTarget(
    step="target-iam",
    proxy_name="proxy",
    instance_identifier="database",
    connection_borrow_timeout=120,
    max_connections_percent=100,
    max_idle_connections_percent=50,
)


@contextmanager
def early(reason: str) -> Iterator[PlayedAccount]:
    """A target registered while its instance is `creating`, which RDS reports so."""
    with rehearsed(frozen(registers_while_creating=True)) as aws:
        network = ready(aws)
        aws.proxy(network, aws.secret(), aws.role("proxy", "rds.amazonaws.com"))
        aws.pass_time(5 * MINUTE)
        aws.instance(network)
        aws.rds.register_db_proxy_targets(DBProxyName="proxy", DBInstanceIdentifiers=["database"])
        health = {"State": "UNAVAILABLE", "Reason": reason, "Description": "as AWS says"}
        describe, told = "rds:DescribeDBProxyTargets", {"TargetHealth": health}
        aws.rehearsal.overrides.set([Override(describe, within="RdsResourceId", set=told)])
        yield aws


def look(aws: PlayedAccount) -> PollResult:
    """What a wait makes of the target now."""
    with (
        aws.rehearsal.applied(),
        contextlib.closing(Aws(make_session(None, REGION), environment="demo")) as product,
    ):
        return TARGET.look(TARGET.find(product, {}))


@pytest.mark.parametrize("reason", sorted(DBProxyTarget.suspect))
def test_a_target_is_no_suspect_until_its_instance_is_there(reason: str) -> None:
    with early(reason) as aws:
        found = look(aws)
        assert found.verdict is Verdict.WAIT
        assert found.reason.startswith("the DB instance is creating; ")
        assert "as AWS says" in found.reason
        aws.pass_time(20 * MINUTE)
        assert look(aws).verdict is Verdict.SUSPECT


def test_nor_while_its_instance_is_changed() -> None:
    with early("CONNECTION_FAILED") as aws:
        aws.pass_time(20 * MINUTE)
        aws.rds.modify_db_instance(
            DBInstanceIdentifier="database",
            DBInstanceClass="db.t4g.small",
            ApplyImmediately=True,
        )
        aws.pass_time(30)
        assert look(aws).reason.startswith("the DB instance is modifying; ")


def test_a_target_whose_instance_is_deleted_stays_a_suspect() -> None:
    with early("CONNECTION_FAILED") as aws:
        aws.pass_time(20 * MINUTE)
        aws.rds.delete_db_instance(DBInstanceIdentifier="database", SkipFinalSnapshot=True)
        assert look(aws).verdict is Verdict.SUSPECT
        aws.pass_time(20 * MINUTE)
        assert look(aws).verdict is Verdict.SUSPECT
