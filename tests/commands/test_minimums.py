"""What AWS moves by itself, upwards, is no drift: it is kept, said, and in nobody's way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.built import Built
from tests.support.commands import Result
from tests.support.names import NAME

pytestmark = pytest.mark.sweep(part=10)
MODIFY = 600.0  # AWS's seconds after which RDS has applied a change


def instance(built: Built) -> dict[str, Any]:
    found = built.account.rds.describe_db_instances(DBInstanceIdentifier=f"{NAME}-database")
    described: dict[str, Any] = found["DBInstances"][0]
    return described


def modify(built: Built, **changes: Any) -> None:
    built.account.rds.modify_db_instance(
        DBInstanceIdentifier=f"{NAME}-database", ApplyImmediately=True, **changes
    )
    built.remote.advance(MODIFY)


def kept(result: Result, step: str = "db-instance") -> str:
    (planned,) = (each for each in result.of("planned") if each["step"] == step)
    return "\n".join(planned["kept"])


def calls(built: Built, operation: str, since: int) -> list[dict[str, Any]]:
    journal = built.remote.journal()[since:]
    return [each.params for each in journal if each.operation == operation]


@pytest.mark.spoils
def test_storage_and_version_that_aws_moved_are_kept_and_block_nothing(built: Built) -> None:
    modify(built, AllocatedStorage=26, EngineVersion="8.4.10")
    plan = built.commands.plan()
    assert plan.code == 0, plan.stdout[-800:]
    assert plan.to_do == {}
    for text in ("AllocatedStorage 26", "database.allocated_storage_gib asks for 20"):
        assert text in kept(plan)
    assert "EngineVersion" not in kept(plan)  # 8.4 is any 8.4
    older = ("--set", "database.engine_version=8.4.9")
    assert "EngineVersion 8.4.10" in kept(built.commands.plan(*older))
    since = len(built.remote.journal())
    changed = built.commands.up(*older, "--set", "database.backup_retention_days=2")
    assert changed.code == 0
    assert changed.changed == {"db-instance": "updated"}
    (call,) = calls(built, "ModifyDBInstance", since)
    assert set(call) == {"ApplyImmediately", "BackupRetentionPeriod", "DBInstanceIdentifier"}
    status = built.commands.run("provision", "status", "--output", "plain")
    assert "kept" in status.stdout
    assert "not up to date" not in status.stdout.split("kept")[1]
    assert built.commands.up().code == 0


@pytest.mark.spoils
def test_what_config_wants_more_of_is_added(built: Built) -> None:
    size = int(instance(built)["AllocatedStorage"])
    more = ("--set", f"database.allocated_storage_gib={size + 4}")
    assert built.commands.up(*more).changed == {"db-instance": "updated"}
    assert int(instance(built)["AllocatedStorage"]) == size + 4
    newer = built.commands.plan("--set", "database.engine_version=8.4.11")
    assert newer.changes("db-instance")["EngineVersion"]["replaces"] is False


@pytest.mark.spoils
def test_growth_to_400_gib_names_iops_and_keeps_those_that_were_bought(built: Built) -> None:
    for size, iops in ((400, 12000), (440, 20000)):
        if iops > 12000:
            modify(built, Iops=iops, AllocatedStorage=400)
        since = len(built.remote.journal())
        grown = built.commands.up("--set", f"database.allocated_storage_gib={size}")
        assert grown.code == 0, grown.stdout[-800:]
        (call,) = calls(built, "ModifyDBInstance", since)
        assert call["AllocatedStorage"] == size
        assert call["Iops"] == iops


def test_a_change_of_somebody_elses_that_waits_for_the_window_is_not_waited_for(
    built: Built,
) -> None:
    built.account.rds.modify_db_instance(
        DBInstanceIdentifier=f"{NAME}-database", DBInstanceClass="db.t4g.small"
    )
    assert instance(built)["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.small"}
    plan = built.commands.plan()
    assert plan.code == 0
    assert plan.to_do == {}
    changed = built.commands.up("--set", "database.backup_retention_days=5")
    assert changed.code == 0
    assert changed.changed == {"db-instance": "updated"}
    built.remote.advance(MODIFY)
    assert instance(built)["DBInstanceClass"] == "db.t4g.micro"  # not applied with ours
    assert built.commands.up().changed == {"db-instance": "updated"}


def test_debug_logging_that_rds_switched_off_is_nobodys_change(built: Built) -> None:
    wanted = ("--set", "proxy.debug_logging=true")
    assert built.commands.up(*wanted).summary["updated"] == 2
    built.account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", DebugLogging=False)
    built.remote.advance(MODIFY)
    plan = built.commands.plan(*wanted)
    assert plan.code == 0
    assert "24 hours" in kept(plan, "proxy-iam")
    assert built.commands.up().changed == {"proxy-password": "updated"}
    assert set(built.commands.up(*wanted).changed) == {"proxy-iam", "proxy-password"}
    built.commands.up()


def test_a_policy_that_an_organisation_attached_is_kept_and_said(built: Built) -> None:
    name, audit = f"{NAME}-api-ap-northeast-1", "arn:aws:iam::aws:policy/SecurityAudit"
    built.account.iam.attach_role_policy(RoleName=name, PolicyArn=audit)
    plan = built.commands.plan()
    assert plan.code == 0
    assert plan.to_do == {}
    assert f"--role-name {name} --policy-arn {audit}" in kept(plan, "role-api")
    assert built.commands.up().counts()
    built.account.iam.detach_role_policy(RoleName=name, PolicyArn=audit)
