"""The environment's whole life through the two commands: up, left alone, repaired, taken away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision.config import load
from provision.policy import policy
from provision.rehearsal import Fault, Remote
from provision.rehearsal.calls import is_mutating
from provision.rehearsal.faults import Kind
from tests.account import Account
from tests.commands import Commands
from tests.conftest import Built, commands_at
from tests.test_drift import extra_policy, less_tls, no_route

pytestmark = pytest.mark.slow
NAME = "rds-proxy-auth"
MADE = 36


def mutating(remote: Remote, since: int) -> list[str]:
    """Return the calls since then that may have changed something."""
    return [each.operation for each in remote.journal()[since:] if each.mutating]


# --- up, again, and down --------------------------------------------------------------------------


def test_second_up_only_reads(built: Built) -> None:
    before = len(built.remote.journal())
    result = built.commands.up()
    assert result.code == 0 and result.counts() and result.summary["unchanged"] == MADE
    assert mutating(built.remote, before) == []


def test_up_and_down_leave_the_account_as_it_was(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    neighbours(account)
    before, calls = account.everything(), len(rehearsal.journal())
    first = commands.up()
    assert first.code == 0 and first.counts(created=MADE), first.stdout[-1500:]
    assert not [each for each in mutating(rehearsal, calls) if "Tag" in each]  # with the create
    down = commands.teardown()
    assert down.code == 0 and down.summary["deleted"] == MADE - 1, down.stdout[-1500:]
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


def test_two_environments_never_meet(rehearsal: Remote, tmp_path: Path) -> None:
    one = commands_at(rehearsal.endpoint_url, tmp_path / "one", name="demo")
    two = commands_at(rehearsal.endpoint_url, tmp_path / "two", name="demo-iam")
    assert one.up().code == 0 and two.up().code == 0
    assert one.teardown().code == 0
    again = two.up()
    assert again.code == 0 and again.counts()


# --- settings ------------------------------------------------------------------------------------


def test_changed_settings_are_updated_in_place_and_back(built: Built) -> None:
    flags = ("--set", "function.memory_mib=512", "--set", "proxy.idle_client_timeout_seconds=60")
    changed = built.commands.up(*flags)
    steps = {"function-password", "function-iam", "proxy-password", "proxy-iam"}
    assert changed.code == 0 and changed.changed == dict.fromkeys(steps, "updated")
    assert built.commands.up().changed == dict.fromkeys(steps, "updated")


def test_a_database_is_never_replaced_unasked(built: Built) -> None:
    before = len(built.remote.journal())
    refused = built.commands.up("--set", "database.username=other")
    assert refused.code == 1 and refused.error["type"] == "ReplacementRefused"
    assert "--replace db-instance" in refused.error["next"]
    assert mutating(built.remote, before) == []


# --- what is lost, foreign or forbidden -----------------------------------------------------------


def test_lost_state_file_is_no_loss(built: Built) -> None:
    built.commands.state_path().unlink()
    before = len(built.remote.journal())
    result = built.commands.up()
    adopted = {step for step, action in result.steps.items() if action == "adopted"}
    assert result.code == 0 and result.counts(adopted=MADE - 1), set(result.steps) - adopted
    assert mutating(built.remote, before) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"version": 1, "ser', "cut off"),
        ('{"version": 99}', "version 99"),
        ("[]", "not a state file"),
        ('{"version": 1, "serial": 1, "environment": "x", "account": "1", "region": "r"}', "steps"),
    ],
)
def test_bad_state_file_is_left_as_it_is(commands: Commands, content: str, words: str) -> None:
    path = commands.state_path()
    path.parent.mkdir()
    path.write_text(content)
    result = commands.up()
    assert result.code == 1 and words in result.error["message"]
    assert path.read_text() == content


def test_foreign_role_stops_up_before_anything_is_made(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    name = f"{NAME}-proxy-ap-northeast-1"
    account.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    before = len(rehearsal.journal())
    result = commands.up()
    assert result.code == 1 and result.error["type"] == "ForeignResource"
    assert name in result.error["message"]
    assert mutating(rehearsal, before) == []
    assert commands.teardown().code == 0
    assert account.iam.get_role(RoleName=name)["Role"]["RoleName"] == name


def test_taken_tag_is_a_disagreement_that_nothing_touches(built: Built) -> None:
    vpc = built.account.tagged("vpcs", "vpc", NAME)["VpcId"]
    tags = [{"Key": "provision:environment", "Value": "somebody"}]
    built.account.ec2.create_tags(Resources=[vpc], Tags=tags)
    before = len(built.remote.journal())
    result = built.commands.up()
    assert result.code == 1 and result.error["type"] == "ForeignResource"
    assert "somebody" in result.error["message"] and NAME in result.error["message"]
    assert mutating(built.remote, before) == []
    ours = [{"Key": "provision:environment", "Value": NAME}]
    built.account.ec2.create_tags(Resources=[vpc], Tags=ours)


def test_printed_policy_is_all_that_up_repair_and_teardown_need(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    rehearsal.set_policy(policy(load(commands.folder / "config.toml")))
    assert commands.up().code == 0
    less_tls(account)
    no_route(account)
    extra_policy(account)
    repaired = commands.up("--set", "function.memory_mib=512")
    assert repaired.code == 0, repaired.stdout[-1500:]
    assert commands.teardown().code == 0


@pytest.mark.parametrize(
    ("kind", "error"), [("denied", "AwsCallError"), ("expired", "Credentials")]
)
def test_up_goes_on_after_a_refusal_midway(
    commands: Commands, rehearsal: Remote, kind: Kind, error: str
) -> None:
    rehearsal.set_faults(Fault(kind, "CreateDBInstance"))
    failed = commands.up()
    assert failed.code == 1 and failed.error["type"].startswith(error)
    rehearsal.set_faults()
    assert commands.up().code == 0
    assert commands.teardown().code == 0


@pytest.mark.parametrize("kind", ["lost", "cut", "error500"])
@pytest.mark.parametrize(
    "operation",
    ["CreateVpc", "CreateApi", "CreateIntegration", "PublishLayerVersion", "CreateSecret"],
)
def test_an_unsure_create_makes_no_second_copy(
    commands: Commands, account: Account, rehearsal: Remote, kind: Kind, operation: str
) -> None:
    rehearsal.set_faults(Fault(kind, operation))
    result = commands.up()
    assert result.code == 0, result.stdout[-1500:]
    assert commands.up().counts()
    assert commands.teardown().code == 0
    assert not [v for v in account.ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]]


# --- secrets --------------------------------------------------------------------------------------


def test_no_password_is_told_or_kept(commands: Commands, account: Account) -> None:
    result = commands.spawn("provision", "up", "--no-check", "-v", "--output", "plain")
    assert result.code == 0, result.stderr[-1500:]
    password = account.secret(f"{NAME}/database")["password"]
    kept = "".join(
        path.read_text(errors="replace") for path in commands.folder.rglob("*") if path.is_file()
    )
    assert password not in kept + result.stdout + result.stderr
    assert "CreateSecret" in result.stderr  # -v did tell the calls


def test_reads_are_not_taken_for_changes() -> None:
    assert not is_mutating("DescribeVpcs") and is_mutating("CreateVpc")
