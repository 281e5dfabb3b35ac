"""What keeps a teardown from its end: named by kind, id and owner, with AWS's own words first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.rehearsal import Override, Remote
from tests.support.account import Account
from tests.support.commands import Commands, Result
from tests.support.names import NAME, REGION
from tests.support.servers import quiet

pytestmark = pytest.mark.slow
SOON = ("--set", "wait.timeout_minutes=0.03")


def failed(result: Result) -> dict[str, dict[str, Any]]:
    """The error of each step that failed."""
    return {e["step"]: e["error"] for e in result.of("step") if e["action"] == "failed"}


def test_what_somebody_put_into_the_vpc_or_hung_on_a_role_is_named_and_the_rest_goes(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    vpc = account.tagged("vpcs", "vpc", NAME)["VpcId"]
    with quiet(rehearsal):
        named = held(account, vpc)
        account.iam.create_instance_profile(InstanceProfileName="bastion")
        account.iam.add_role_to_instance_profile(
            InstanceProfileName="bastion", RoleName=f"{NAME}-api-{REGION}"
        )
    ended = commands.teardown(*SOON)
    assert ended.code == 1
    errors = failed(ended)
    assert set(errors) == {"vpc", "role-api"}
    for identity in named:
        assert identity in errors["vpc"]["message"]
    assert errors["vpc"]["message"].index("DependencyViolation") < errors["vpc"]["message"].index(
        named[0]
    )
    assert f"detach-internet-gateway --internet-gateway-id {named[0]}" in errors["vpc"]["next"]
    assert "may still get ready" not in json.dumps(errors)
    assert "instance profile bastion" in errors["role-api"]["message"]
    assert "must remove roles from instance profile" in errors["role-api"]["message"]
    assert "remove-role-from-instance-profile" in errors["role-api"]["next"]
    assert account.all("rds", "describe_db_instances", "DBInstances") == []
    assert account.all("rds", "describe_db_proxies", "DBProxies") == []


def held(account: Account, vpc: str) -> list[str]:
    """Put things of somebody's into the VPC. Returns their ids, an internet gateway's first."""
    ec2 = account.ec2
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    peering = ec2.create_vpc_peering_connection(VpcId=other, PeerVpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    service = f"com.amazonaws.{REGION}.s3"
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service)["VpcEndpoint"]
    return [
        gateway,
        peering["VpcPeeringConnection"]["VpcPeeringConnectionId"],
        table,
        endpoint["VpcEndpointId"],
    ]


def test_a_list_that_is_denied_is_said_and_hides_nothing_else(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    vpc = account.tagged("vpcs", "vpc", NAME)["VpcId"]
    with quiet(rehearsal):
        gateway = held(account, vpc)[0]
    rehearsal.set_overrides(
        Override("ec2:DescribeVpcEndpoints", code="UnauthorizedOperation", status=403),
        Override("ec2:DescribeRouteTables", code="UnauthorizedOperation", status=403),
    )
    ended = commands.teardown(*SOON)
    rehearsal.set_overrides()
    message = failed(ended)["vpc"]["message"]
    assert gateway in message
    assert "DescribeVpcEndpoints was denied" in message


def test_a_secret_with_replicas_is_kept_by_them_and_says_what_removes_them(
    commands: Commands, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    rehearsal.set_overrides(
        Override(
            "secretsmanager:DeleteSecret",
            code="InvalidRequestException",
            message="You can't delete secret that still has replica regions.",
            status=400,
        ),
        Override(
            "secretsmanager:DescribeSecret",
            set={"ReplicationStatus": [{"Region": "eu-west-1", "Status": "InSync"}]},
        ),
    )
    ended = commands.teardown(*SOON)
    rehearsal.set_overrides()
    error = failed(ended)["secret"]
    assert "still has replica regions" in error["message"]
    assert "replica in eu-west-1" in error["message"]
    assert "--remove-replica-regions eu-west-1" in error["next"]
    assert set(failed(ended)) == {"secret"}
    assert commands.teardown().code == 0


def test_a_function_whose_role_was_deleted_by_hand_is_deleted_without_being_detached(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    name = f"{NAME}-function-iam-{REGION}"
    rehearsal.set_overrides(
        Override(
            "lambda:UpdateFunctionConfiguration",
            when=f"{NAME}-iam",
            code="InvalidParameterValueException",
            message="The role defined for the function cannot be assumed by Lambda.",
            status=400,
        )
    )
    for each in account.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        account.iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])
    account.iam.delete_role_policy(RoleName=name, PolicyName="connect-to-proxy")
    account.iam.delete_role(RoleName=name)
    ended = commands.teardown()
    rehearsal.set_overrides()
    assert ended.code == 0, ended.stdout[-1500:]
    assert account.all("lambda", "list_functions", "Functions") == []


def test_an_interface_that_a_service_owns_is_no_reason_to_log_in_again(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    for part in ("password", "iam"):
        name = f"{NAME}-function-{part}-{REGION}"
        for each in account.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            account.iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])
    message = "You do not have permission to access the specified resource."
    rehearsal.set_overrides(
        Override("ec2:DeleteNetworkInterface", code="AuthFailure", message=message, times=3)
    )
    ended = commands.teardown()
    rehearsal.set_overrides()
    assert ended.code == 0, ended.stdout[-1500:]


# --- a proxy's role that RDS cannot assume yet ----------------------------------------------------

ROLE_ANSWERS = {
    "role": ("InvalidParameterValue", 400,
             "IAM role ARN value is invalid or does not include the required permissions"),
    "token": ("InvalidClientTokenId", 403,
              "The security token included in the request is invalid"),
}  # fmt: skip


@pytest.mark.parametrize("answer", ROLE_ANSWERS)
def test_what_rds_says_of_a_new_role_is_waited_out_and_of_an_old_one_is_not(
    commands: Commands, rehearsal: Remote, answer: str
) -> None:
    code, status, message = ROLE_ANSWERS[answer]
    refusals = Override("rds:CreateDBProxy", code=code, status=status, message=message, times=4)
    rehearsal.set_overrides(refusals)
    assert commands.up().code == 0
    granted = [each.operation for each in rehearsal.journal()]
    assert granted.index("PutRolePolicy") < granted.index("CreateDBProxy")
    old = {"CreateDate": "2020-01-01T00:00:00Z"}
    rehearsal.set_overrides(refusals, Override("iam:GetRole", set=old, within="RoleId"))
    ended = commands.up("--replace", "proxy-iam")
    rehearsal.set_overrides()
    assert ended.code == 1
    assert message in ended.error["message"]
