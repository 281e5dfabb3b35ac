"""The environment's whole life through the two commands: up, left alone, repaired, taken away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.commands.policy_document import policies
from provision.config import load
from provision.rehearsal import Remote
from provision.rehearsal.aws.calls import is_mutating
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import Commands
from tests.support.drifts import extra_policy, less_tls, no_route
from tests.support.names import MADE, NAME
from tests.support.servers import mutating

pytestmark = pytest.mark.slow


# --- up, again, and down --------------------------------------------------------------------------


def test_second_up_only_reads(built: Built) -> None:
    before = len(built.remote.journal())
    result = built.commands.up()
    assert result.code == 0
    assert result.counts()
    assert result.summary["unchanged"] == MADE
    assert mutating(built.remote, before) == []


def test_up_and_down_leave_the_account_as_it_was(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    neighbours(account)
    rehearsal.advance(60)  # their VPC is available
    before, calls = account.everything(), len(rehearsal.journal())
    first = commands.up()
    assert first.code == 0, first.stdout[-1500:]
    assert first.counts(created=MADE), first.stdout[-1500:]
    assert not [each for each in mutating(rehearsal, calls) if "Tag" in each]  # with the create
    down = commands.teardown()
    assert down.code == 0, down.stdout[-1500:]
    assert down.summary["deleted"] == MADE - 1, down.stdout[-1500:]
    assert not any(each["left"] for each in down.of("left"))
    after = account.everything()
    assert without_rds_role(after) == without_rds_role(before)


def without_rds_role(everything: dict[str, Any]) -> dict[str, Any]:
    """Return the inventory without the account's own role for RDS, which stays."""
    return {
        kind: [
            each for each in things if "AWSServiceRoleForRDS" not in json.dumps(each, default=str)
        ]
        for kind, things in everything.items()
    }


def neighbours(account: Account) -> None:
    """Make what others have in the account, under names that look like ours."""
    account.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    account.logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-password-2")
    account.secretsmanager.create_secret(Name=f"{NAME}/database-2", SecretString="x")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    account.iam.create_role(RoleName=f"{NAME}-api", AssumeRolePolicyDocument=trust)


# --- settings ------------------------------------------------------------------------------------


# Every key that can be changed in place and back, and the steps that each changes.
FUNCTIONS, PROXIES = ("function-password", "function-iam"), ("proxy-password", "proxy-iam")
TARGETS = ("target-password", "target-iam")
LOGS = tuple(f"log-group-{part}{login}" for part in ("", "proxy-") for login in ("password", "iam"))
SETTINGS: dict[str, tuple[object, tuple[str, ...]]] = {
    "database.instance_class": ("db.t4g.small", ("db-instance",)),
    "database.backup_retention_days": (3, ("db-instance",)),
    "database.deletion_protection": ("true", ("db-instance",)),
    "database.table": ("times", FUNCTIONS),
    "proxy.idle_client_timeout_seconds": (60, PROXIES),
    "proxy.debug_logging": ("true", PROXIES),
    "proxy.connection_borrow_timeout_seconds": (30, TARGETS),
    "proxy.max_connections_percent": (90, TARGETS),
    "proxy.max_idle_connections_percent": (10, TARGETS),
    "function.runtime": ("python3.12", FUNCTIONS),
    "function.architecture": ("x86_64", FUNCTIONS),
    "function.memory_mib": (512, FUNCTIONS),
    "function.timeout_seconds": (20, (*FUNCTIONS, "integration-password", "integration-iam")),
    "function.log_retention_days": (14, LOGS),
    "api.throttle_rate_per_second": (5.5, ("stage",)),
    "api.throttle_burst": (7, ("stage",)),
}


def test_every_setting_is_changed_in_place_and_back(built: Built) -> None:
    flags = [text for key, (value, _) in SETTINGS.items() for text in ("--set", f"{key}={value}")]
    expected = dict.fromkeys({step for _, steps in SETTINGS.values() for step in steps}, "updated")
    changed = built.commands.up(*flags)
    assert changed.code == 0, changed.stdout[-1500:]
    assert changed.changed == expected
    assert built.commands.up(*flags).counts()
    assert built.commands.up().changed == expected


def test_a_new_tag_is_put_on_everything(built: Built) -> None:
    tags = ("--set", 'environment.tags={ team = "red" }')
    changed = built.commands.up(*tags)
    untagged = {"service-linked-role", "layer"} | {
        step for step in changed.steps if step.startswith(("rules", "target", "integ", "route"))
    }
    assert changed.code == 0
    assert set(changed.changed) == set(changed.steps) - untagged
    assert built.commands.up(*tags).counts()
    assert built.commands.up().summary["updated"] == len(changed.changed)


# --- what is lost, foreign or forbidden -----------------------------------------------------------


def test_lost_state_file_is_no_loss(built: Built) -> None:
    built.commands.state_path().unlink()
    before = len(built.remote.journal())
    result = built.commands.up()
    adopted = {step for step, action in result.steps.items() if action == "adopted"}
    assert result.code == 0, set(result.steps) - adopted
    assert result.counts(adopted=MADE - 1), set(result.steps) - adopted
    assert mutating(built.remote, before) == []


def test_printed_policy_is_all_that_up_repair_and_teardown_need(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    rehearsal.set_policy(policies(load(commands.folder / "config.toml")))
    assert commands.up().code == 0
    less_tls(account)
    no_route(account)
    extra_policy(account)
    repaired = commands.up("--set", "function.memory_mib=512")
    assert repaired.code == 0, repaired.stdout[-1500:]
    assert commands.teardown().code == 0


def test_reads_are_not_taken_for_changes() -> None:
    assert not is_mutating("DescribeVpcs")
    assert is_mutating("CreateVpc")
