"""What keeps a teardown from its end: named by kind, id and owner, with AWS's own words first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.rehearsal import Override, Remote
from provision.resources.blockers import KINDS
from tests.support.account import Account
from tests.support.commands import Commands, Result
from tests.support.names import NAME, REGION
from tests.support.servers import quiet

pytestmark = pytest.mark.sweep(part=10)
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
    before = contents(account, vpc)
    ended = commands.teardown(*SOON)
    assert ended.code == 1
    errors = failed(ended)
    assert set(errors) == {"vpc", "role-api"}
    first = next(iter(named.values()))
    assert errors["vpc"]["message"].index("DependencyViolation") < errors["vpc"]["message"].index(
        first
    )
    for kind, identity in named.items():
        assert f"{kind} {identity} (" in errors["vpc"]["message"]
        assert identity in errors["vpc"]["next"]
    assert "(Name 'bastion', owner" in errors["vpc"]["message"]
    assert f"detach-internet-gateway --internet-gateway-id {first}" in errors["vpc"]["next"]
    assert contents(account, vpc) == before
    assert "may still become ready" not in json.dumps(errors)
    assert "instance profile bastion" in errors["role-api"]["message"]
    assert "must remove roles from instance profile" in errors["role-api"]["message"]
    assert "remove-role-from-instance-profile" in errors["role-api"]["next"]
    assert account.all("rds", "describe_db_instances", "DBInstances") == []
    assert account.all("rds", "describe_db_proxies", "DBProxies") == []


def held(account: Account, vpc: str) -> dict[str, str]:
    """Put things of somebody's into the VPC. Returns their ids by kind."""
    ec2 = account.ec2
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    peering = ec2.create_vpc_peering_connection(VpcId=other, PeerVpcId=vpc)
    service = f"com.amazonaws.{REGION}.s3"
    vpn = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpcId=vpc, VpnGatewayId=vpn)
    egress = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    named = [{"ResourceType": "network-acl", "Tags": [{"Key": "Name", "Value": "bastion"}]}]
    acl = ec2.create_network_acl(VpcId=vpc, TagSpecifications=named)["NetworkAcl"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="bastion", Description="of somebody")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]
    transit = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    attachment = ec2.create_transit_gateway_vpc_attachment(
        TransitGatewayId=transit, VpcId=vpc, SubnetIds=[subnet]
    )["TransitGatewayVpcAttachment"]
    return {
        "internet gateway": gateway,
        "VPC peering connection": peering["VpcPeeringConnection"]["VpcPeeringConnectionId"],
        "route table": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "VPC endpoint": ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service)["VpcEndpoint"][
            "VpcEndpointId"
        ],
        "VPN gateway": vpn,
        "carrier gateway": ec2.create_carrier_gateway(VpcId=vpc)["CarrierGateway"][
            "CarrierGatewayId"
        ],
        "egress-only internet gateway": egress["EgressOnlyInternetGatewayId"],
        "network ACL": acl["NetworkAclId"],
        "security group": group["GroupId"],
        "subnet": subnet,
        "NAT gateway": nat["NatGatewayId"],
        "transit gateway attachment": attachment["TransitGatewayAttachmentId"],
    }


def contents(account: Account, vpc: str) -> dict[str, list[str]]:
    """The ids of what is in a VPC, and was not made by this program, by kind."""
    kinds = {kind.title: kind for kind in KINDS}
    found = {}
    for title, kind in kinds.items():
        items = account.all("ec2", kind.operation, kind.key)
        ours = [each for each in items if any(t["Value"] == NAME for t in each.get("Tags", []))]
        found[title] = sorted(
            each[kind.id_key]
            for each in items
            if each not in ours and vpc in json.dumps(each, default=str)
        )
    return found


def test_what_has_an_interface_in_a_subnet_or_names_a_group_is_named_there(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    ec2 = account.ec2
    vpc = account.tagged("vpcs", "vpc", NAME)["VpcId"]
    subnet = account.tagged("subnets", "subnet-function", NAME)["SubnetId"]
    ours = account.tagged("security_groups", "security-group-function", NAME)["GroupId"]
    with quiet(rehearsal):
        nat = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]
        group = ec2.create_security_group(VpcId=vpc, GroupName="bastion", Description="of somebody")
        pair = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": ours}]}
        ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[pair])
    errors = failed(commands.teardown(*SOON))
    assert set(errors) == {"subnet-function", "security-group-function"}
    in_subnet, in_group = errors["subnet-function"], errors["security-group-function"]
    assert f"Interface for NAT Gateway {nat['NatGatewayId']}" in in_subnet["message"]
    assert "DependencyViolation" in in_subnet["message"]
    assert f"delete-nat-gateway --nat-gateway-id {nat['NatGatewayId']}" in in_subnet["next"]
    assert f"a rule of security group {group['GroupId']}" in in_group["message"]
    assert "DependencyViolation" in in_group["message"]


def test_what_no_list_shows_is_said_in_the_words_of_aws_and_touches_nothing(
    commands: Commands, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    message = "The vpc 'vpc-0' has a VPC Lattice association and cannot be deleted."
    refused = Override("ec2:DeleteVpc", code="DependencyViolation", message=message, status=400)
    rehearsal.set_overrides(refused)
    ended = commands.teardown(*SOON)
    rehearsal.set_overrides()
    assert ended.code == 1
    (error,) = failed(ended).values()
    assert f"DependencyViolation: {message}" in error["message"]
    assert "something still uses it" in error["message"]
    assert commands.teardown().code == 0


def test_a_list_that_is_denied_is_said_and_hides_nothing_else(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    vpc = account.tagged("vpcs", "vpc", NAME)["VpcId"]
    with quiet(rehearsal):
        gateway = held(account, vpc)["internet gateway"]
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
