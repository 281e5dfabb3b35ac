"""What keeps a VPC or a security group from being deleted, kind by kind and in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from provision.resources.blockers import KINDS, Blocker, Kind, of_group, of_vpc
from tests.support.answers import AnsweringAws, Answers, refusal

VPC = "vpc-1"
THERE: dict[str, Any] = {  # a thing of any kind that is in the VPC, with what its kind is told by
    "VpcId": VPC,
    "State": "available",
    "Associations": [{"Main": False}],
    "Attachments": [{"VpcId": VPC}],
    "GroupName": "theirs",
    "NetworkAclId": "acl-1",
    "IsDefault": False,
    "Tags": [{"Key": "Name", "Value": "theirs"}],
}


@contextlib.contextmanager
def answering(answers: Answers) -> Iterator[AnsweringAws]:
    with contextlib.closing(AnsweringAws("demo", answers)) as aws:
        yield aws


def in_vpc(answers: Answers) -> list[Blocker]:
    with answering(answers) as aws:
        return of_vpc(aws, VPC)


def lists(kind: Kind, **more: Any) -> Answers:
    return {f"ec2.{kind.operation}": {kind.key: [THERE | {kind.id_key: "id-1"} | more]}}


def by_operation(kind: Kind) -> str:
    return f"{kind.title}, {kind.operation}"


@pytest.mark.parametrize("kind", KINDS, ids=by_operation)
def test_each_kind_is_named_with_its_owner_and_what_removes_it(kind: Kind) -> None:
    found = in_vpc(lists(kind))
    named = [each for each in found if each.what == f"{kind.title} id-1"]
    assert named, found
    assert all(each.lasts for each in named)
    assert str(named[0]) == f"{kind.title} id-1 (Name 'theirs')"
    assert "id-1" in named[0].command
    assert "{" not in named[0].command


@pytest.mark.parametrize("kind", KINDS, ids=by_operation)
def test_a_list_that_is_denied_is_said_and_hides_no_other(kind: Kind) -> None:
    other = next(each for each in KINDS if each.operation != kind.operation)
    denied = refusal("UnauthorizedOperation", "TheList")
    found = in_vpc({**lists(other), f"ec2.{kind.operation}": denied})
    words = [each.what for each in found]
    assert f"perhaps a {kind.title}: TheList was denied" in words
    assert f"{other.title} id-1" in words
    assert not any(each.lasts for each in found if each.what.startswith("perhaps"))
    with pytest.raises(ClientError, match="InternalError"):
        in_vpc({f"ec2.{kind.operation}": refusal("InternalError")})


GOES_BY_ITSELF: dict[str, dict[str, Any]] = {  # with the VPC, or is deleted already
    "describe_route_tables": {"Associations": [{"Main": True}]},
    "describe_network_acls": {"IsDefault": True},
    "describe_security_groups": {"GroupName": "default"},
    "describe_egress_only_internet_gateways": {"Attachments": [{"VpcId": "vpc-2"}]},
    "describe_nat_gateways": {"State": "deleted"},
    "describe_vpc_endpoints": {"State": "deleting"},
    "describe_vpc_peering_connections": {"State": None, "Status": {"Code": "rejected"}},
    "describe_carrier_gateways": {"State": "deleted"},
}


@pytest.mark.parametrize("operation", GOES_BY_ITSELF)
def test_what_goes_by_itself_is_in_nobodys_way(operation: str) -> None:
    (kind,) = (each for each in KINDS if each.operation == operation)
    assert in_vpc(lists(kind, **GOES_BY_ITSELF[operation])) == []


def test_an_empty_vpc_is_held_by_nothing() -> None:
    assert in_vpc({}) == []


@pytest.mark.parametrize(
    ("item", "owner"),
    [
        ({"Tags": [{"Key": "provision:environment", "Value": "b"}]}, "of the environment 'b'"),
        ({"Tags": [{"Key": "Name", "Value": "x"}], "OwnerId": "1"}, "Name 'x', owner 1"),
        ({"Tags": [], "RequesterId": "amazon-elb"}, "no tag of this program, owner amazon-elb"),
        ({"Tags": []}, "no tag of this program"),
    ],
)
def test_whose_a_thing_seems_to_be(item: dict[str, Any], owner: str) -> None:
    (kind,) = (each for each in KINDS if each.operation == "describe_internet_gateways")
    (found,) = in_vpc(lists(kind, **item))
    assert found.owner == owner


def interface(**more: Any) -> Answers:
    about = {"NetworkInterfaceId": "eni-1", "Status": "in-use", **more}
    return {"ec2.describe_network_interfaces": {"NetworkInterfaces": [about]}}


@pytest.mark.parametrize(
    ("about", "what", "lasts"),
    [
        ({}, "network interface eni-1 is in-use", True),
        ({"RequesterManaged": True}, "network interface eni-1 is in-use", False),
        (
            {"Description": "RDSNetworkInterface", "RequesterManaged": True},
            "network interface eni-1 is in-use: RDSNetworkInterface",
            False,
        ),
        (
            {"Description": "Network interface for DBProxy prx-0a1", "RequesterManaged": True},
            "network interface eni-1 is in-use: Network interface for DBProxy prx-0a1",
            False,
        ),
        (
            {"Description": "RDSNetworkInterface"},  # somebody wrote that on his own
            "network interface eni-1 is in-use: RDSNetworkInterface",
            True,
        ),
        (
            {"Description": "EFS mount target for fs-1 (fsmt-1)", "RequesterManaged": True},
            "network interface eni-1 is in-use: EFS mount target for fs-1 (fsmt-1)",
            True,
        ),
        (
            {"Description": "AWS Lambda VPC ENI-x", "RequesterManaged": True},
            "network interface eni-1 is in-use: AWS Lambda VPC ENI-x",
            True,
        ),
        (
            {"Attachment": {"InstanceId": "i-1"}},
            "network interface eni-1 is in-use, attached to i-1",
            True,
        ),
    ],
)
def test_an_interface_says_what_it_is_for(about: dict[str, Any], what: str, lasts: bool) -> None:
    (found,) = in_vpc(interface(**about))
    assert (found.what, found.lasts) == (what, lasts)
    assert found.command.endswith("--network-interface-ids eni-1")


def test_a_group_is_held_by_interfaces_and_by_the_rules_of_other_groups() -> None:
    groups = [{"GroupId": "sg-2"}, {"GroupId": "sg-1"}]
    answers = {**interface(), "ec2.describe_security_groups": {"SecurityGroups": groups}}
    with answering(answers) as aws:
        found = of_group(aws, "sg-1")
    assert [each.what for each in found] == [
        "network interface eni-1 is in-use",
        "a rule of security group sg-2",
    ]
    assert "Name=group-id,Values=sg-2" in found[1].command
    assert "Name=referenced-group-id,Values=sg-1" in found[1].command
    assert found[1].lasts
