"""What is not this environment's is never changed and never deleted, whatever its name."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.account import Account as Everything
from tests.support.names import REGION
from tests.sweeps.by_hand import Client, client
from tests.sweeps.world import Place

pytestmark = pytest.mark.sweep

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": ["lambda.amazonaws.com", "rds.amazonaws.com"]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def everything(place: Place) -> str:
    """All that the account holds, to the last property and tag."""
    return json.dumps(Everything.of(place.account.remote).everything(), sort_keys=True)


# --- somebody else's, under the names that we want ------------------------------------------------


def role(of: Client, name: str = f"demo-api-{REGION}") -> str:
    made = of("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    arn: str = made["Role"]["Arn"]
    return arn


def secret(of: Client) -> str:
    made = of("secretsmanager").create_secret(Name="demo/database", SecretString="theirs")
    arn: str = made["ARN"]
    return arn


def secret_being_deleted(of: Client) -> str:
    arn = secret(of)
    of("secretsmanager").delete_secret(SecretId=arn, RecoveryWindowInDays=30)
    return arn


def log_group(of: Client) -> None:
    of("logs").create_log_group(logGroupName="/aws/lambda/demo-iam", tags={"team": "theirs"})


def layer(of: Client) -> None:
    of("lambda").publish_layer_version(
        LayerName="demo-mysql-connector", Description="theirs", Content={"ZipFile": zipped()}
    )


def function(of: Client) -> None:
    arn = role(of, "theirs")
    of("lambda").create_function(
        FunctionName="demo-password",
        Runtime="python3.13",
        Role=arn,
        Handler="index.handler",
        Code={"ZipFile": zipped()},
    )


def subnet_group(of: Client) -> None:
    of("rds").create_db_subnet_group(
        DBSubnetGroupName="demo-database",
        DBSubnetGroupDescription="theirs",
        SubnetIds=their_subnets(of),
    )


def instance(of: Client) -> None:
    of("iam").create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    of("rds").create_db_instance(
        DBInstanceIdentifier="demo-database",
        DBInstanceClass="db.t4g.micro",
        Engine="mysql",
        AllocatedStorage=20,
        MasterUsername="theirs",
        MasterUserPassword="theirs-and-nobody-elses",
    )


def proxy(of: Client) -> None:
    of("rds").create_db_proxy(
        DBProxyName="demo-iam",
        EngineFamily="MYSQL",
        Auth=[{"AuthScheme": "SECRETS", "SecretArn": their_secret(of), "IAMAuth": "DISABLED"}],
        RoleArn=role(of, "theirs"),
        VpcSubnetIds=their_subnets(of),
    )


def their_secret(of: Client) -> str:
    arn: str = of("secretsmanager").create_secret(
        Name="theirs", SecretString=json.dumps({"username": "them", "password": "theirs"})
    )["ARN"]
    return arn


def their_subnets(of: Client) -> list[str]:
    """Two subnets in a VPC of theirs, with the addresses and the Name that ours would have."""
    of("iam").create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "demo-vpc"}]}]
    made = of("ec2").create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags)
    return [
        of("ec2").create_subnet(
            VpcId=made["Vpc"]["VpcId"],
            CidrBlock=f"10.0.{number}.0/24",
            AvailabilityZone=f"{REGION}{zone}",
        )["Subnet"]["SubnetId"]
        for number, zone in ((2, "a"), (3, "c"))
    ]


def zipped() -> bytes:
    """A zip with one file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return event")
    return content.getvalue()


FOREIGN = (
    role, secret, secret_being_deleted, log_group, layer, function, subnet_group, instance, proxy,
)  # fmt: skip


@pytest.mark.parametrize("make", FOREIGN, ids=lambda each: each.__name__)
def test_a_taken_name_stops_up_before_anything_is_made(
    place: Place, make: Callable[[Client], object]
) -> None:
    place.account.remote.set_manners(consistency=False)
    make(client(place))
    place.account.remote.set_manners(consistency=True)
    place.account.remote.advance(3600)
    before, calls = everything(place), len(place.account.remote.journal())
    ended = place.up()
    assert ended.code == 1, ended
    assert ended.error["type"] == "ForeignResource", ended
    assert "demo" in ended.error["message"]
    assert ended.error["next"]
    down = place.teardown()
    assert down.code == 0, down
    assert place.account.mutations(calls) == []
    assert everything(place) == before


# --- state and AWS disagree -----------------------------------------------------------------------


def vpc_tags(of: Client, value: str) -> None:
    vpcs = of("ec2").get_paginator("describe_vpcs").paginate().build_full_result()["Vpcs"]
    (vpc,) = (each["VpcId"] for each in vpcs if not each["IsDefault"])
    tags = [{"Key": "provision:environment", "Value": value}]
    of("ec2").create_tags(Resources=[vpc], Tags=tags)


def role_tags(of: Client, value: str) -> None:
    tags = [{"Key": "provision:environment", "Value": value}]
    of("iam").tag_role(RoleName=f"demo-proxy-{REGION}", Tags=tags)


def secret_tags(of: Client, value: str) -> None:
    tags = [{"Key": "provision:environment", "Value": value}]
    of("secretsmanager").tag_resource(SecretId="demo/database", Tags=tags)


def instance_tags(of: Client, value: str) -> None:
    found = of("rds").describe_db_instances(DBInstanceIdentifier="demo-database")
    of("rds").add_tags_to_resource(
        ResourceName=found["DBInstances"][0]["DBInstanceArn"],
        Tags=[{"Key": "provision:environment", "Value": value}],
    )


def proxy_tags(of: Client, value: str) -> None:
    found = of("rds").describe_db_proxies(DBProxyName="demo-iam")
    of("rds").add_tags_to_resource(
        ResourceName=found["DBProxies"][0]["DBProxyArn"],
        Tags=[{"Key": "provision:environment", "Value": value}],
    )


def function_tags(of: Client, value: str) -> None:
    found = of("lambda").get_function(FunctionName="demo-iam")["Configuration"]
    of("lambda").tag_resource(Resource=found["FunctionArn"], Tags={"provision:environment": value})


def log_group_tags(of: Client, value: str) -> None:
    arn = f"arn:aws:logs:{REGION}:123456789012:log-group:/aws/lambda/demo-iam"
    of("logs").tag_resource(resourceArn=arn, tags={"provision:environment": value})


RETAGGED = (
    vpc_tags, role_tags, secret_tags, instance_tags, proxy_tags, function_tags, log_group_tags,
)  # fmt: skip


@pytest.mark.parametrize("retag", RETAGGED, ids=lambda each: each.__name__)
def test_what_is_ours_by_state_and_theirs_by_tags_is_not_touched(
    place: Place, retag: Callable[[Client, str], None]
) -> None:
    assert place.up(faults=[]).code == 0
    retag(client(place), "theirs")
    before, calls = everything(place), len(place.account.remote.journal())
    ended = place.up("--set", "function.memory_mib=512")
    assert ended.code == 1, ended
    assert ended.error["type"] == "ForeignResource", ended
    for value in ("'theirs'", "'demo'", "state file"):
        assert value in ended.error["message"]
    assert place.account.mutations(calls) == []
    assert everything(place) == before
    down = place.teardown()
    assert down.code == 1, down
    assert down.error["type"] == "ForeignResource", down
    assert "'theirs'" in down.error["message"]
    assert "'demo'" in down.error["message"]
    retag(client(place), "demo")  # it is still there, or this fails
    assert place.teardown().code == 0
    place.holds_nothing()


# --- two environments in one account --------------------------------------------------------------


def test_two_environments_live_and_die_side_by_side(place: Place) -> None:
    """Their names begin alike, and each is made and taken away while the other is at work."""
    other = replace(place, name="demo-iam")
    first = place.start("provision", "up", "--no-check", faults=[])
    second = other.start("provision", "up", "--no-check")
    first.go(), second.go()
    assert first.end().code == 0
    assert second.end().code == 0
    place.holds_one_of_everything(*place.account.inventory.expected(other.name))
    down, again = place.start("teardown", "--yes"), other.start("provision", "up", "--no-check")
    down.go(), again.go()
    assert down.end().code == 0
    unchanged = again.end()
    assert unchanged.code == 0, unchanged
    assert unchanged.summary["unchanged"] == 36, unchanged
    other.holds_one_of_everything()
    remade, down = place.start("provision", "up", "--no-check"), other.start("teardown", "--yes")
    remade.go(), down.go()
    assert remade.end().code == 0
    assert down.end().code == 0
    place.holds_one_of_everything()
    assert place.teardown().code == 0
    place.holds_nothing()


def test_a_lost_state_finds_no_more_than_its_own(place: Place) -> None:
    other = replace(place, name="demo-iam")
    assert place.up(faults=[]).code == 0
    assert other.up().code == 0
    place.state.unlink()
    other.state.unlink()
    assert place.teardown().code == 0
    other.holds_one_of_everything()
    assert other.plan().code == 3  # to adopt, and nothing else
    assert other.up().summary["adopted"] == 35


def test_what_somebody_puts_into_our_network_is_left_and_named(place: Place) -> None:
    assert place.up(faults=[]).code == 0
    of = client(place)
    vpcs = of("ec2").get_paginator("describe_vpcs").paginate().build_full_result()["Vpcs"]
    (vpc,) = (each["VpcId"] for each in vpcs if not each["IsDefault"])
    subnet = of("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
    group = of("ec2").create_security_group(VpcId=vpc, GroupName="theirs", Description="theirs")
    groups = of("ec2").get_paginator("describe_security_groups").paginate().build_full_result()
    (ours,) = (each for each in groups["SecurityGroups"] if each["GroupName"] == "demo-function")
    of("ec2").authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": ours["GroupId"]}]},
        ],
    )
    ended = place.teardown("--set", "wait.timeout_minutes=2")
    assert ended.code == 1, ended
    because = f"a rule of security group {group['GroupId']}"
    assert because in json.dumps(ended.events), "nobody is told what keeps the group"
    of("ec2").delete_security_group(GroupId=group["GroupId"])
    ended = place.teardown("--set", "wait.timeout_minutes=2")
    assert ended.code == 1, ended
    assert subnet in json.dumps(ended.events), "nobody is told what keeps the VPC"
    of("ec2").delete_subnet(SubnetId=subnet)
    assert place.teardown().code == 0
    place.holds_nothing()
