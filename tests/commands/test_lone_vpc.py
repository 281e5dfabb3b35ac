"""An environment of which only a VPC is left, which somebody changed, beside foreign things."""

from __future__ import annotations

import pytest

from provision.rehearsal import Override, Remote
from tests.support.account import Account, lone_vpc
from tests.support.commands import Commands
from tests.support.names import NAME

GROUP = f"/aws/lambda/{NAME}-iam"


@pytest.fixture
def vpc(account: Account, rehearsal: Remote) -> str:
    """The VPC; a log group of somebody else has one of our names."""
    rehearsal.set_manners(consistency=False)
    account.logs.create_log_group(logGroupName=GROUP, tags={"provision:environment": "other"})
    return lone_vpc(account, NAME)


def test_status_says_what_differs_is_missing_or_is_not_ours(commands: Commands, vpc: str) -> None:
    result = commands.run("provision", "status", "--output", "json")
    assert result.code == 0
    found = {each["step"]: each for each in result.of("resource")}
    assert (found["vpc"]["id"], found["vpc"]["ours"]) == (vpc, True)
    differing = {each["property"]: each for each in found["vpc"]["drift"]}
    assert differing["CidrBlock"]["is"] == "10.9.0.0/16"
    assert (found["log-group-iam"]["present"], found["log-group-iam"]["ours"]) == (True, False)
    shown = commands.run("provision", "status", "--output", "plain").stdout
    assert "differs from config.toml (is -> should):" in shown
    assert "1 of 35 resources exist; 1 differs" in shown
    assert "missing: subnet-function" in shown
    assert "found by tags and names: vpc" in shown
    assert "costs nothing now" in shown
    assert f"the log group {GROUP} exists and is not this environment's" in shown
    assert "python -m provision up" in shown


def test_a_planned_teardown_names_what_goes_and_what_stays(commands: Commands, vpc: str) -> None:
    result = commands.run("teardown", "--plan", "--explain", "--output", "json")
    assert result.code == 0
    assert [(each["step"], each["id"]) for each in result.of("to-delete")] == [("vpc", vpc)]
    (passed,) = result.of("passed-over")
    assert GROUP in passed["message"]
    (explained,) = result.of("explain")
    assert (explained["step"], vpc in str(explained["calls"])) == ("vpc", True)


def test_a_teardown_deletes_it_and_leaves_the_rest(
    commands: Commands, account: Account, vpc: str
) -> None:
    result = commands.run("teardown", "--yes", "--output", "plain")
    assert result.code == 0, result.stderr
    assert "left alone: " in result.stderr
    assert vpc not in str(account.all("ec2", "describe_vpcs", "Vpcs"))
    (group,) = account.all("logs", "describe_log_groups", "logGroups")
    assert group["logGroupName"] == GROUP
    again = commands.run("teardown", "--plan", "--output", "plain")
    assert "nothing to delete" in again.stdout


@pytest.mark.usefixtures("vpc")
def test_a_teardown_that_is_denied_says_what_an_administrator_can_do(
    commands: Commands, rehearsal: Remote
) -> None:
    denied = Override("ec2:DeleteVpc", code="UnauthorizedOperation", message="no", status=403)
    rehearsal.set_overrides(denied)
    result = commands.teardown()
    assert result.code == 1
    assert "vpc: DeleteVpc answered UnauthorizedOperation" in result.error["message"]
    assert result.error["next"]


@pytest.mark.usefixtures("vpc")
def test_up_would_replace_it_and_goes_on_with_the_rest(commands: Commands) -> None:
    plan = commands.plan()
    assert plan.to_do["vpc"] == "replace"
    assert plan.to_do["subnet-function"] == "create"
    assert plan.code in (1, 3)
