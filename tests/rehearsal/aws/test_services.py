"""EC2, IAM, Lambda, Secrets Manager, HTTP APIs and logs as the rehearsal plays them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provision.rehearsal import Behaviours
from tests.support.names import REGION

from .control_plane import (
    VPC_POLICY,
    Network,
    PlayedAccount,
    account,
    frozen,
    looks,
    permission,
    policy,
    refused,
    trust,
    zipped,
)

MINUTE = 60.0
CANNOT_BE_ASSUMED = "role defined for the function cannot be assumed by Lambda"


def interfaces(aws: PlayedAccount, network: Network) -> list[Any]:
    """The network interfaces in the VPC."""
    filters = [{"Name": "vpc-id", "Values": [network.vpc]}]
    found: list[Any] = aws.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    return found


def in_vpc(network: Network) -> dict[str, list[str]]:
    """A function's VpcConfig."""
    return {"SubnetIds": network.subnets[:1], "SecurityGroupIds": [network.function]}


# EC2


def test_groups_that_rules_of_others_name_stay() -> None:
    with account() as aws:
        network = aws.network()
        with refused("DependencyViolation"):
            aws.ec2.delete_security_group(GroupId=network.function)
        aws.ec2.revoke_security_group_ingress(
            GroupId=network.proxy, IpPermissions=[permission(network.function)]
        )
        aws.ec2.delete_security_group(GroupId=network.function)


def test_a_group_that_names_itself_can_go() -> None:
    with account() as aws:
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        group = aws.group(vpc, "own")
        aws.let_in(group, group)
        aws.ec2.delete_security_group(GroupId=group)
        default = aws.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[
            "SecurityGroups"
        ][0]["GroupId"]
        with refused("CannotDelete"):
            aws.ec2.delete_security_group(GroupId=default)


def test_a_rule_is_not_made_twice_whatever_its_description() -> None:
    with account() as aws:
        network = aws.network()
        rule = permission(network.function)
        with refused("InvalidPermission.Duplicate"):
            aws.let_in(network.proxy, network.function)
        rule["UserIdGroupPairs"][0]["Description"] = "the same"
        with refused("InvalidPermission.Duplicate"):
            aws.ec2.authorize_security_group_ingress(GroupId=network.proxy, IpPermissions=[rule])
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        with refused("InvalidPermission.Duplicate"):
            aws.ec2.authorize_security_group_egress(GroupId=network.proxy, IpPermissions=everything)
        aws.let_in(network.proxy, network.function, port=3307)
        aws.let_in(network.proxy, network.database)


def test_a_vpc_with_anything_in_it_stays() -> None:
    with account() as aws:
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = aws.group(vpc, "a")
        with refused("DependencyViolation"):
            aws.ec2.delete_vpc(VpcId=vpc)
        aws.ec2.delete_subnet(SubnetId=subnet)
        with refused("DependencyViolation"):
            aws.ec2.delete_vpc(VpcId=vpc)
        aws.ec2.delete_security_group(GroupId=group)
        aws.ec2.delete_vpc(VpcId=vpc)
        with refused("InvalidVpcID.NotFound"):
            aws.ec2.delete_vpc(VpcId=vpc)


SERVICE = f"com.amazonaws.{REGION}.s3"
HOLD_A_VPC: dict[str, Callable[[Any, str], Any]] = {
    "internet gateway": lambda ec2, vpc: ec2.attach_internet_gateway(
        VpcId=vpc,
        InternetGatewayId=ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
    ),
    "egress-only internet gateway": lambda ec2, vpc: ec2.create_egress_only_internet_gateway(
        VpcId=vpc
    ),
    "carrier gateway": lambda ec2, vpc: ec2.create_carrier_gateway(VpcId=vpc),
    "VPN gateway": lambda ec2, vpc: ec2.attach_vpn_gateway(
        VpcId=vpc, VpnGatewayId=ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ),
    "network ACL": lambda ec2, vpc: ec2.create_network_acl(VpcId=vpc),
    "route table": lambda ec2, vpc: ec2.create_route_table(VpcId=vpc),
    "gateway endpoint": lambda ec2, vpc: ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=SERVICE),
    "peering": lambda ec2, vpc: ec2.create_vpc_peering_connection(
        VpcId=vpc, PeerVpcId=ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ),
}


@pytest.mark.parametrize("kind", HOLD_A_VPC)
def test_a_vpc_that_somebody_put_something_into_stays(kind: str) -> None:
    with account() as aws:
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        HOLD_A_VPC[kind](aws.ec2, vpc)
        with refused("DependencyViolation", f"The vpc '{vpc}' has dependencies"):
            aws.ec2.delete_vpc(VpcId=vpc)


def test_what_has_interfaces_in_a_subnet_keeps_it_until_it_is_deleted() -> None:
    with account() as aws:
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        nat = aws.ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]
        endpoint = aws.ec2.create_vpc_endpoint(
            VpcId=vpc, ServiceName=SERVICE, VpcEndpointType="Interface", SubnetIds=[subnet]
        )["VpcEndpoint"]
        transit = aws.ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
        attachment = aws.ec2.create_transit_gateway_vpc_attachment(
            TransitGatewayId=transit, VpcId=vpc, SubnetIds=[subnet]
        )["TransitGatewayVpcAttachment"]
        found = aws.ec2.describe_network_interfaces(
            Filters=[{"Name": "subnet-id", "Values": [subnet]}]
        )["NetworkInterfaces"]
        assert {each["InterfaceType"]: each["Description"].split()[-1] for each in found} == {
            "nat_gateway": nat["NatGatewayId"],
            "vpc_endpoint": endpoint["VpcEndpointId"],
            "transit_gateway": attachment["TransitGatewayAttachmentId"],
        }
        assert all(each["RequesterManaged"] for each in found)
        deletes: list[tuple[Any, dict[str, Any]]] = [
            (aws.ec2.delete_nat_gateway, {"NatGatewayId": nat["NatGatewayId"]}),
            (aws.ec2.delete_vpc_endpoints, {"VpcEndpointIds": [endpoint["VpcEndpointId"]]}),
            (
                aws.ec2.delete_transit_gateway_vpc_attachment,
                {"TransitGatewayAttachmentId": attachment["TransitGatewayAttachmentId"]},
            ),
        ]
        for delete, parameters in deletes:
            with refused("DependencyViolation", f"The subnet '{subnet}' has dependencies"):
                aws.ec2.delete_subnet(SubnetId=subnet)
            delete(**parameters)
        aws.ec2.delete_subnet(SubnetId=subnet)
        aws.ec2.delete_vpc(VpcId=vpc)


def test_a_subnet_in_use_stays() -> None:
    with account() as aws:
        aws.rds_ready()
        network = aws.network()
        aws.instance(network)
        for subnet in network.subnets:
            with refused("DependencyViolation"):
                aws.ec2.delete_subnet(SubnetId=subnet)
        with refused("DependencyViolation"):
            aws.ec2.delete_security_group(GroupId=network.database)


def test_what_uses_a_group_is_known_even_without_interfaces() -> None:
    with account(frozen(leftovers=False)) as aws:
        network = aws.network()
        aws.function(aws.function_role(), VpcConfig=in_vpc(network))
        assert interfaces(aws, network) == []
        aws.ec2.revoke_security_group_ingress(
            GroupId=network.proxy, IpPermissions=[permission(network.function)]
        )
        with refused("DependencyViolation"):
            aws.ec2.delete_security_group(GroupId=network.function)
        with refused("DependencyViolation"):
            aws.ec2.delete_subnet(SubnetId=network.subnets[0])


@pytest.mark.parametrize("behaviours", [frozen(), Behaviours.plain()], ids=["all", "plain"])
def test_a_dry_run_does_nothing(behaviours: Behaviours) -> None:
    with account(behaviours) as aws:
        before = len(aws.ec2.describe_vpcs()["Vpcs"])
        with refused("DryRunOperation"):
            aws.ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
        assert len(aws.ec2.describe_vpcs()["Vpcs"]) == before
        assert aws.calls(operation="CreateVpc")[0].mutating is False


def test_a_dry_run_tells_what_is_not_allowed() -> None:
    with account(policy=policy("ec2:CreateVpc")) as aws:
        with refused("DryRunOperation"):
            aws.ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
        with refused("UnauthorizedOperation"):
            aws.ec2.create_subnet(VpcId="vpc-1", CidrBlock="10.0.0.0/24", DryRun=True)


def test_zones() -> None:
    with account() as aws:
        found = aws.ec2.describe_availability_zones()["AvailabilityZones"]
        assert [zone["ZoneName"] for zone in found] == [f"{REGION}{z}" for z in "acd"]
        assert {zone["OptInStatus"] for zone in found} == {"opt-in-not-required"}
        assert {zone["ZoneType"] for zone in found} == {"availability-zone"}
        assert all(zone["ZoneId"].startswith("apne1-az") for zone in found)
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        with refused("InvalidParameterValue", match="ap-northeast-1a, ap-northeast-1c"):
            aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")


def test_a_new_vpc_is_pending() -> None:
    with account() as aws:
        made = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
        assert made["State"] == "pending"
        aws.pass_time(2)
        (seen,) = aws.ec2.describe_vpcs(VpcIds=[made["VpcId"]])["Vpcs"]
        assert seen["State"] == "available"


def test_tags_for_another_kind_of_resource_are_refused() -> None:
    tags = [{"ResourceType": "subnet", "Tags": [{"Key": "a", "Value": "b"}]}]
    with account() as aws, refused("InvalidParameterValue", match="'subnet'"):
        aws.ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags)


# IAM


@pytest.mark.parametrize("document", ["{bad", "[]", "{}", '{"Statement": [{"Effect": "Allow"}]}'])
def test_malformed_documents(document: str) -> None:
    with account() as aws:
        with refused("MalformedPolicyDocument"):
            aws.iam.create_role(RoleName="a", AssumeRolePolicyDocument=document)
        aws.role("b", "lambda.amazonaws.com")
        with refused("MalformedPolicyDocument"):
            aws.iam.put_role_policy(RoleName="b", PolicyName="p", PolicyDocument=document)
        with refused("MalformedPolicyDocument"):
            aws.iam.update_assume_role_policy(RoleName="b", PolicyDocument=document)
        with refused("NoSuchEntity"):
            aws.iam.get_role(RoleName="a")


def test_aws_own_policies_can_be_attached() -> None:
    with account() as aws:
        aws.role("a", "lambda.amazonaws.com")
        aws.iam.attach_role_policy(RoleName="a", PolicyArn=VPC_POLICY)
        (attached,) = aws.iam.list_attached_role_policies(RoleName="a")["AttachedPolicies"]
        assert attached["PolicyArn"] == VPC_POLICY
        with refused("NoSuchEntity"):
            aws.iam.attach_role_policy(RoleName="a", PolicyArn=f"{VPC_POLICY}Twice")
        with refused("DeleteConflict"):
            aws.iam.delete_role(RoleName="a")
        aws.iam.detach_role_policy(RoleName="a", PolicyArn=VPC_POLICY)
        aws.iam.delete_role(RoleName="a")


def test_the_service_linked_role_is_made_once() -> None:
    with account() as aws:
        made = aws.iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")["Role"]
        assert made["RoleName"] == "AWSServiceRoleForRDS"
        with refused("InvalidInput", match="has been taken in this account"):
            aws.iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")


def test_a_new_role_may_be_missed() -> None:
    with account(frozen(consistency=True)) as aws:
        aws.role("a", "lambda.amazonaws.com")
        with refused("NoSuchEntity"):
            aws.iam.get_role(RoleName="a")
        assert aws.iam.list_roles()["Roles"] == []
        aws.pass_time(3)
        assert aws.iam.get_role(RoleName="a")["Role"]
        assert len(aws.iam.list_roles()["Roles"]) == 1


# Lambda


def test_a_function_is_pending_and_then_active() -> None:
    with account() as aws:
        made = aws.function(aws.function_role())
        assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
        assert made["RevisionId"]
        assert made["LoggingConfig"]["LogGroup"] == "/aws/lambda/function"
        with refused("ResourceConflictException", match="following state: Pending"):
            aws.lambda_.update_function_code(FunctionName="function", ZipFile=zipped("x = 2"))
        with refused("ResourceConflictException", match="following state: Pending"):
            aws.lambda_.invoke(FunctionName="function")
        aws.pass_time(5)
        seen = aws.lambda_.get_function(FunctionName="function")["Configuration"]
        assert seen["State"] == "Active"
        assert "StateReason" not in seen
        aws.lambda_.get_waiter("function_active_v2").wait(FunctionName="function")


def test_a_function_in_a_vpc_is_pending_for_longer() -> None:
    with account() as aws:
        network = aws.network()
        made = aws.function(aws.function_role(), VpcConfig=in_vpc(network))
        assert made["VpcConfig"]["VpcId"] == network.vpc
        aws.pass_time(5)
        state = aws.lambda_.get_function_configuration(FunctionName="function")
        assert state["State"] == "Pending"
        aws.pass_time(MINUTE)
        state = aws.lambda_.get_function_configuration(FunctionName="function")
        assert (state["State"], state["VpcConfig"]["VpcId"]) == ("Active", network.vpc)


def test_one_change_at_a_time() -> None:
    with account() as aws:
        aws.function(aws.function_role())
        aws.pass_time(5)
        name = {"FunctionName": "function"}
        before = aws.lambda_.get_function_configuration(**name)
        changed = aws.lambda_.update_function_configuration(**name, Timeout=10)
        assert changed["LastUpdateStatus"] == "InProgress"
        assert changed["RevisionId"] != before["RevisionId"]
        with refused("ResourceConflictException", match="update is in progress"):
            aws.lambda_.update_function_code(**name, ZipFile=zipped("x = 2"))
        aws.pass_time(MINUTE)
        with refused("PreconditionFailedException"):
            aws.lambda_.update_function_configuration(**name, RevisionId=before["RevisionId"])
        aws.lambda_.update_function_code(**name, ZipFile=zipped("x = 2"))
        aws.pass_time(MINUTE)
        seen = aws.lambda_.get_function_configuration(**name)
        assert (seen["LastUpdateStatus"], seen["Timeout"]) == ("Successful", 10)
        assert seen["CodeSha256"] != before["CodeSha256"]


def test_a_fresh_role_cannot_be_assumed_yet() -> None:
    with account(frozen(consistency=True)) as aws:
        role = aws.function_role()
        aws.pass_time(5)
        with refused("InvalidParameterValueException", match=CANNOT_BE_ASSUMED):
            aws.function(role)
        with refused("InvalidParameterValueException", match=CANNOT_BE_ASSUMED):
            aws.function(role)
        aws.pass_time(6)
        aws.function(role)


def test_a_role_that_lambda_may_never_assume() -> None:
    with account() as aws:
        with refused("InvalidParameterValueException", match=CANNOT_BE_ASSUMED):
            aws.function(aws.role("a", "rds.amazonaws.com"))
        with refused("InvalidParameterValueException", match=CANNOT_BE_ASSUMED):
            aws.function("arn:aws:iam::123456789012:role/missing")
        aws.iam.update_assume_role_policy(
            RoleName="a", PolicyDocument=trust("lambda.amazonaws.com")
        )
        aws.function("arn:aws:iam::123456789012:role/a")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"Runtime": "python2.7"}, "no longer supported"),
        ({"Runtime": "cobol"}, "enum value set"),
        ({"Code": {"ZipFile": b"no zip"}}, "unzip"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys"),
        ({"Environment": {"Variables": {"LONG": "x" * 5000}}}, "exceeded the 4096 bytes"),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}},
            "InvalidSubnetID.NotFound",
        ),
    ],
    ids=["old runtime", "no runtime", "no zip", "reserved", "too long", "no subnet"],
)
def test_a_function_that_lambda_would_not_make(changes: dict[str, Any], match: str) -> None:
    with account() as aws:
        role = aws.function_role()
        with refused("InvalidParameterValueException", match=match):
            aws.function(role, **changes)
        assert aws.lambda_.list_functions()["Functions"] == []


def test_a_function_in_a_vpc_needs_a_role_for_it() -> None:
    with account() as aws:
        network = aws.network()
        role = aws.role("a", "lambda.amazonaws.com")
        with refused("InvalidParameterValueException", match="CreateNetworkInterface on EC2"):
            aws.function(role, VpcConfig=in_vpc(network))
        aws.iam.attach_role_policy(RoleName="a", PolicyArn=VPC_POLICY)
        with refused("InvalidParameterValueException", match=r"InvalidGroup\.NotFound"):
            config = {"SubnetIds": network.subnets, "SecurityGroupIds": ["sg-1"]}
            aws.function(role, VpcConfig=config)
        aws.function(role, VpcConfig=in_vpc(network))


def test_functions_not_there_and_there_already() -> None:
    with account() as aws:
        role = aws.function_role()
        aws.function(role)
        with refused("ResourceConflictException", match="already exist"):
            aws.function(role)
        for call in (
            aws.lambda_.get_function,
            aws.lambda_.delete_function,
            aws.lambda_.invoke,
            aws.lambda_.update_function_code,
        ):
            with refused("ResourceNotFoundException"):
                call(FunctionName="other")
        aws.lambda_.delete_function(FunctionName="function")
        with refused("ResourceNotFoundException"):
            aws.lambda_.delete_function(FunctionName="function")


def test_a_layer_must_be_a_zip() -> None:
    with account() as aws:
        with refused("InvalidParameterValueException", match="unzip"):
            aws.lambda_.publish_layer_version(LayerName="a", Content={"ZipFile": b"no zip"})
        aws.lambda_.publish_layer_version(LayerName="a", Content={"ZipFile": zipped()})


class FakePlane:
    """A data plane that answers with what it was asked."""

    def invoke(self, function_name: str, payload: bytes) -> dict[str, Any]:
        return {"StatusCode": 200, "Payload": payload + function_name.encode()}

    def api_endpoint(self, region: str, api_id: str) -> str:
        return f"http://127.0.0.1:9/{region}/{api_id}"

    def close(self) -> None:
        """Nothing to close."""


def test_an_invocation_goes_to_the_data_plane() -> None:
    with account() as aws:
        aws.function(aws.function_role())
        aws.pass_time(5)
        with refused("InvalidAction", match="without a data plane"):
            aws.lambda_.invoke(FunctionName="function")
        aws.rehearsal.world.data_plane = FakePlane()
        answer = aws.lambda_.invoke(FunctionName="function", Payload=b"1")
        assert (answer["StatusCode"], answer["Payload"].read()) == (200, b"1function")
        arn = f"arn:aws:lambda:{REGION}:123456789012:function:function"
        assert aws.lambda_.invoke(FunctionName=arn)["StatusCode"] == 200
        assert aws.lambda_.invoke(FunctionName=arn, InvocationType="DryRun")["StatusCode"] == 204
        assert not any(entry.mutating for entry in aws.calls(operation="Invoke"))


def test_a_functions_reserved_concurrency_is_told_also_when_it_is_none_at_all() -> None:
    with account() as aws:
        aws.function(aws.role("function", "lambda.amazonaws.com"))
        name = {"FunctionName": "function"}
        assert "Concurrency" not in aws.lambda_.get_function(**name)
        for reserved in (0, 5):
            aws.lambda_.put_function_concurrency(**name, ReservedConcurrentExecutions=reserved)
            told = aws.lambda_.get_function(**name)["Concurrency"]
            assert told == {"ReservedConcurrentExecutions": reserved}


# Lambda's network interfaces


def test_functions_with_the_same_place_share_an_interface_that_outlives_them() -> None:
    with account() as aws:
        network = aws.network()
        role = aws.function_role()
        for name in ("one", "two"):
            aws.function(role, name=name, VpcConfig=in_vpc(network))
        (interface,) = interfaces(aws, network)
        assert interface["Description"].startswith("AWS Lambda VPC ENI-")
        assert (interface["InterfaceType"], interface["Status"]) == ("lambda", "in-use")
        assert interface["RequesterManaged"] is True
        aws.lambda_.delete_function(FunctionName="one")
        aws.pass_time(60 * MINUTE)
        assert interfaces(aws, network)
        aws.lambda_.delete_function(FunctionName="two")
        with refused("DependencyViolation"):
            aws.ec2.delete_subnet(SubnetId=network.subnets[0])
        aws.pass_time(3 * MINUTE)
        (interface,) = interfaces(aws, network)
        assert interface["Status"] == "in-use"
        aws.pass_time(2 * MINUTE)
        (interface,) = interfaces(aws, network)
        assert interface["Status"] == "available"
        with refused("DependencyViolation"):
            aws.ec2.delete_subnet(SubnetId=network.subnets[0])
        aws.pass_time(5 * MINUTE)  # nobody deleted it: Lambda does
        assert interfaces(aws, network) == []
        aws.ec2.delete_subnet(SubnetId=network.subnets[0])


def test_an_interface_that_lambda_holds_no_more_is_anybodys_to_delete() -> None:
    with account() as aws:
        network = aws.network()
        aws.function(aws.function_role(), VpcConfig=in_vpc(network))
        (interface,) = interfaces(aws, network)
        aws.lambda_.delete_function(FunctionName="function")
        aws.pass_time(5 * MINUTE)
        aws.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
        assert interfaces(aws, network) == []
        aws.ec2.delete_subnet(SubnetId=network.subnets[0])
        aws.pass_time(60 * MINUTE)


def test_a_detachment_releases_the_interface_while_the_function_stays() -> None:
    with account() as aws:
        network = aws.network()
        aws.function(aws.function_role(), VpcConfig=in_vpc(network))
        aws.pass_time(MINUTE)
        nowhere: dict[str, list[str]] = {"SubnetIds": [], "SecurityGroupIds": []}
        aws.lambda_.update_function_configuration(FunctionName="function", VpcConfig=nowhere)
        aws.pass_time(6 * MINUTE)
        (interface,) = interfaces(aws, network)
        assert interface["Status"] == "available"
        aws.pass_time(5 * MINUTE)
        assert interfaces(aws, network) == []


def test_a_deletion_in_the_middle_of_a_detachment_keeps_the_interface() -> None:
    with account() as aws:
        network = aws.network()
        aws.function(aws.function_role(), VpcConfig=in_vpc(network))
        aws.pass_time(MINUTE)
        nowhere: dict[str, list[str]] = {"SubnetIds": [], "SecurityGroupIds": []}
        aws.lambda_.update_function_configuration(FunctionName="function", VpcConfig=nowhere)
        aws.lambda_.delete_function(FunctionName="function")
        aws.pass_time(5 * MINUTE)
        assert interfaces(aws, network)
        aws.pass_time(6 * MINUTE)
        assert interfaces(aws, network) == []


def test_a_function_that_moves_leaves_its_old_interface_behind_for_a_while() -> None:
    with account() as aws:
        network = aws.network()
        aws.function(aws.function_role(), VpcConfig=in_vpc(network))
        (old,) = interfaces(aws, network)
        aws.pass_time(MINUTE)
        elsewhere = in_vpc(network) | {"SecurityGroupIds": [network.proxy]}
        aws.lambda_.update_function_configuration(FunctionName="function", VpcConfig=elsewhere)
        assert len(interfaces(aws, network)) == 2
        aws.pass_time(11 * MINUTE)
        (new,) = interfaces(aws, network)
        assert new["NetworkInterfaceId"] != old["NetworkInterfaceId"]
        assert [group["GroupId"] for group in new["Groups"]] == [network.proxy]


def test_without_the_role_the_interface_is_orphaned() -> None:
    with account() as aws:
        network = aws.network()
        aws.function(aws.function_role(), VpcConfig=in_vpc(network))
        (interface,) = interfaces(aws, network)
        one = {"NetworkInterfaceId": interface["NetworkInterfaceId"]}
        with refused("InvalidParameterValue", match="currently in use"):
            aws.ec2.delete_network_interface(**one)
        with refused("OperationNotPermitted"):
            aws.ec2.modify_network_interface_attribute(**one, Groups=[network.proxy])
        with refused("OperationNotPermitted"):
            aws.ec2.detach_network_interface(AttachmentId=interface["Attachment"]["AttachmentId"])
        aws.lambda_.delete_function(FunctionName="function")
        aws.iam.detach_role_policy(RoleName="function", PolicyArn=VPC_POLICY)
        aws.iam.delete_role(RoleName="function")
        aws.pass_time(11 * MINUTE)
        (interface,) = interfaces(aws, network)
        assert interface["Status"] == "available"
        aws.ec2.delete_network_interface(**one)
        with refused("InvalidNetworkInterfaceID.NotFound"):
            aws.ec2.delete_network_interface(**one)


def test_a_new_function_in_the_same_place_keeps_the_interface() -> None:
    with account() as aws:
        network = aws.network()
        role = aws.function_role()
        aws.function(role, VpcConfig=in_vpc(network))
        (first,) = interfaces(aws, network)
        aws.lambda_.delete_function(FunctionName="function")
        aws.function(role, VpcConfig=in_vpc(network))
        aws.pass_time(60 * MINUTE)
        (second,) = interfaces(aws, network)
        assert first["NetworkInterfaceId"] == second["NetworkInterfaceId"]


def test_rds_makes_interfaces_too_and_they_go_with_it() -> None:
    with account() as aws:
        aws.rds_ready()
        network = aws.network()
        aws.instance(network)
        aws.proxy(network, aws.secret(), aws.role("proxy", "rds.amazonaws.com"))
        found = interfaces(aws, network)
        assert {each["Description"] for each in found} == {"RDSNetworkInterface"}
        assert len(found) == 3
        aws.pass_time(8 * MINUTE)
        aws.rds.delete_db_instance(DBInstanceIdentifier="database", SkipFinalSnapshot=True)
        aws.rds.delete_db_proxy(DBProxyName="proxy")
        aws.pass_time(6 * MINUTE)
        assert interfaces(aws, network) == []


def test_interfaces_can_be_filtered_as_on_aws() -> None:
    with account() as aws:
        network = aws.network()
        aws.function(aws.function_role(), VpcConfig=in_vpc(network))

        def count(name: str, value: str) -> int:
            filters = [
                {"Name": "subnet-id", "Values": network.subnets},
                {"Name": name, "Values": [value]},
            ]
            found = aws.ec2.describe_network_interfaces(Filters=filters)
            return len(found["NetworkInterfaces"])

        assert count("description", "AWS Lambda VPC ENI-*") == 1
        assert count("status", "in-use") == 1
        assert count("status", "available") == 0
        assert count("interface-type", "lambda") == 1
        assert count("requester-managed", "true") == 1
        assert count("group-id", network.function) == 1
        assert count("group-id", network.proxy) == 0


# Secrets Manager


def test_a_secret_waiting_for_its_deletion() -> None:
    with account() as aws:
        arn = aws.secret()
        aws.secretsmanager.delete_secret(SecretId="login")
        assert aws.secretsmanager.describe_secret(SecretId="login")["DeletedDate"]
        with refused("InvalidRequestException", match="already scheduled for deletion"):
            aws.secret()
        for name in ("login", arn):
            with refused("InvalidRequestException"):
                aws.secretsmanager.get_secret_value(SecretId=name)
        with refused("InvalidRequestException"):
            aws.secretsmanager.put_secret_value(SecretId="login", SecretString="x")
        with refused("InvalidRequestException"):
            aws.secretsmanager.update_secret(SecretId="login", SecretString="x")
        with refused("InvalidRequestException"):
            aws.secretsmanager.tag_resource(SecretId="login", Tags=[{"Key": "a", "Value": "b"}])
        aws.secretsmanager.restore_secret(SecretId="login")
        assert aws.secretsmanager.get_secret_value(SecretId="login")["SecretString"]


def test_a_name_is_free_a_while_after_a_forced_deletion() -> None:
    with account(frozen(consistency=True)) as aws:
        aws.secret()
        aws.secretsmanager.delete_secret(SecretId="login", ForceDeleteWithoutRecovery=True)
        with refused("ResourceNotFoundException"):
            aws.secretsmanager.get_secret_value(SecretId="login")
        with refused("InvalidRequestException", match="already scheduled for deletion"):
            aws.secret()
        aws.secret(name="other")
        aws.pass_time(20)
        aws.secret()


def test_secrets_there_already_and_not_there() -> None:
    with account() as aws:
        aws.secret()
        with refused("ResourceExistsException"):
            aws.secret(password="another")
        with refused("ResourceNotFoundException"):
            aws.secretsmanager.get_secret_value(SecretId="other")
        aws.secretsmanager.delete_secret(SecretId="other", ForceDeleteWithoutRecovery=True)
        with refused("ResourceNotFoundException"):
            aws.secretsmanager.delete_secret(SecretId="other")


def test_a_scheduled_deletion_can_be_forced() -> None:
    with account() as aws:
        aws.secret()
        aws.secretsmanager.delete_secret(SecretId="login")
        aws.secretsmanager.delete_secret(SecretId="login", ForceDeleteWithoutRecovery=True)
        aws.secret()


# HTTP APIs


def api(aws: PlayedAccount) -> dict[str, str]:
    """An API, as the parameter that names it."""
    return {"ApiId": aws.apigatewayv2.create_api(Name="a", ProtocolType="HTTP")["ApiId"]}


def integration(aws: PlayedAccount, one: dict[str, str]) -> str:
    """An integration; its id."""
    made = aws.apigatewayv2.create_integration(
        **one,
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"arn:aws:lambda:{REGION}:123456789012:function:f",
        PayloadFormatVersion="2.0",
    )
    return str(made["IntegrationId"])


@pytest.mark.parametrize("behaviours", [frozen(), Behaviours.plain()], ids=["all", "plain"])
def test_a_stage_can_be_updated(behaviours: Behaviours) -> None:
    with account(behaviours) as aws:
        one = api(aws)
        stage = {**one, "StageName": "$default"}
        throttle = {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 2.0}
        aws.apigatewayv2.create_stage(**stage, AutoDeploy=True, DefaultRouteSettings=throttle)
        changed = aws.apigatewayv2.update_stage(
            **stage, DefaultRouteSettings={"ThrottlingBurstLimit": 5}
        )
        assert changed["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 5
        seen = aws.apigatewayv2.get_stage(**stage)
        assert seen["DefaultRouteSettings"] == {**throttle, "ThrottlingBurstLimit": 5}
        assert seen["AutoDeploy"] is True
        with refused("NotFoundException"):
            aws.apigatewayv2.update_stage(**one, StageName="other")


def test_a_stages_tags() -> None:
    with account() as aws:
        one = api(aws)
        aws.apigatewayv2.create_stage(**one, StageName="$default", Tags={"a": "b"})
        arn = f"arn:aws:apigateway:{REGION}::/apis/{one['ApiId']}/stages/$default"
        assert aws.apigatewayv2.get_tags(ResourceArn=arn)["Tags"] == {"a": "b"}
        aws.apigatewayv2.tag_resource(ResourceArn=arn, Tags={"c": "d"})
        aws.apigatewayv2.untag_resource(ResourceArn=arn, TagKeys=["a"])
        assert aws.apigatewayv2.get_tags(ResourceArn=arn)["Tags"] == {"c": "d"}
        with refused("NotFoundException"):
            aws.apigatewayv2.get_tags(ResourceArn=f"{arn}2")


def test_stages_and_routes_are_not_made_twice() -> None:
    with account() as aws:
        one = api(aws)
        aws.apigatewayv2.create_stage(**one, StageName="$default")
        with refused("ConflictException"):
            aws.apigatewayv2.create_stage(**one, StageName="$default")
        target = f"integrations/{integration(aws, one)}"
        aws.apigatewayv2.create_route(**one, RouteKey="GET /", Target=target)
        with refused("ConflictException"):
            aws.apigatewayv2.create_route(**one, RouteKey="GET /", Target=target)
        with refused("BadRequestException"):
            aws.apigatewayv2.create_route(**one, RouteKey="GET /x", Target="integrations/none")


def test_an_integration_in_use_stays() -> None:
    with account() as aws:
        one = api(aws)
        name = integration(aws, one)
        route = aws.apigatewayv2.create_route(
            **one, RouteKey="GET /", Target=f"integrations/{name}"
        )
        with refused("ConflictException"):
            aws.apigatewayv2.delete_integration(**one, IntegrationId=name)
        aws.apigatewayv2.delete_route(**one, RouteId=route["RouteId"])
        aws.apigatewayv2.delete_integration(**one, IntegrationId=name)


def test_parts_of_an_api_that_are_not_there() -> None:
    with account() as aws:
        one = api(aws)
        for call, part in (
            (aws.apigatewayv2.delete_stage, {"StageName": "x"}),
            (aws.apigatewayv2.delete_route, {"RouteId": "x"}),
            (aws.apigatewayv2.delete_integration, {"IntegrationId": "x"}),
            (aws.apigatewayv2.get_integration, {"IntegrationId": "x"}),
        ):
            with refused("NotFoundException"):
                call(**one, **part)
        aws.apigatewayv2.delete_api(**one)
        with refused("NotFoundException"):
            aws.apigatewayv2.delete_api(**one)
        with refused("NotFoundException"):
            aws.apigatewayv2.create_stage(**one, StageName="x")


def test_a_timeout_over_the_limit() -> None:
    with account() as aws:
        one = api(aws)
        with refused("BadRequestException", match="30000"):
            aws.apigatewayv2.create_integration(
                **one, IntegrationType="AWS_PROXY", TimeoutInMillis=30001
            )


def test_an_apis_endpoint_is_the_data_planes() -> None:
    with account() as aws:
        one = api(aws)
        assert "amazonaws.com" in aws.apigatewayv2.get_api(**one)["ApiEndpoint"]
        aws.rehearsal.world.data_plane = FakePlane()
        expected = f"http://127.0.0.1:9/{REGION}/{one['ApiId']}"
        assert aws.apigatewayv2.get_api(**one)["ApiEndpoint"] == expected
        assert aws.apigatewayv2.get_apis()["Items"][0]["ApiEndpoint"] == expected
        made = aws.apigatewayv2.create_api(Name="b", ProtocolType="HTTP")
        assert made["ApiEndpoint"].startswith("http://127.0.0.1:9/")


# Logs


def test_retention_takes_certain_numbers_only() -> None:
    with account() as aws:
        aws.logs.create_log_group(logGroupName="a")
        with refused("InvalidParameterException"):
            aws.logs.put_retention_policy(logGroupName="a", retentionInDays=8)
        aws.logs.put_retention_policy(logGroupName="a", retentionInDays=7)
        with refused("ResourceNotFoundException"):
            aws.logs.put_retention_policy(logGroupName="b", retentionInDays=7)


# Plain moto


def test_plain_manners_refuse_and_leave_nothing() -> None:
    with account(Behaviours.plain()) as aws:
        aws.rds_ready()
        network = aws.network()
        role = aws.function_role()
        assert looks(lambda: aws.function(role, VpcConfig=in_vpc(network))) == []
        seen = aws.lambda_.get_function(FunctionName="function")["Configuration"]
        assert (seen["State"], seen["LastUpdateStatus"]) == ("Active", "Successful")
        aws.instance(network)
        aws.proxy(network, aws.secret(), aws.role("proxy", "rds.amazonaws.com"))
        aws.rds.register_db_proxy_targets(DBProxyName="proxy", DBInstanceIdentifiers=["database"])
        (target,) = aws.rds.describe_db_proxy_targets(DBProxyName="proxy")["Targets"]
        assert target["TargetHealth"] == {"State": "AVAILABLE"}
        assert interfaces(aws, network) == []
        assert aws.logs.describe_log_groups()["logGroups"] == []
        assert aws.rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
        aws.ec2.delete_security_group(GroupId=network.function)


@pytest.mark.parametrize(
    ("region", "other"), [("us-gov-west-1", "us-east-1"), ("eu-west-1", "cn-north-1")]
)
def test_regions_are_those_of_the_callers_partition(region: str, other: str) -> None:
    with account(region=region) as aws:
        found = {each["RegionName"] for each in aws.ec2.describe_regions()["Regions"]}
    assert region in found
    assert other not in found
