"""What IAM checks for a call, and how the rehearsed AWS words a denial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from provision.rehearsal.aws.authorization import Check, checks
from provision.rehearsal.aws.behaviours import iam_roles
from provision.rehearsal.aws.calls import Call
from tests.rehearsal.aws.control_plane import PlayedAccount, account, frozen, policy, refused

PREFIX = "arn:aws:{}:ap-northeast-1:123456789012:"
ROLE = "arn:aws:iam::123456789012:role/r"
TAGS = [{"Key": "a", "Value": "b"}]


@pytest.fixture(scope="module")
def aws() -> Iterator[PlayedAccount]:
    """An account, shared."""
    with account(frozen(refusals=False)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def emptied(aws: PlayedAccount) -> None:
    """Let each test have an empty account, and no policy."""
    aws.rehearsal.reset()


def asked(aws: PlayedAccount, service: str, operation: str, **params: Any) -> list[Check]:
    """What IAM is asked about a call."""
    return checks(aws.rehearsal.world, Call(service, operation, params, "ap-northeast-1", "AKIA"))


@pytest.mark.parametrize(
    ("service", "operation", "params", "actions"),
    [
        ("sts", "GetCallerIdentity", {}, []),
        ("lambda", "Invoke", {"FunctionName": "f"}, ["lambda:InvokeFunction"]),
        ("ec2", "DescribeVpcs", {}, ["ec2:DescribeVpcs"]),
        ("ec2", "CreateVpc", {"TagSpecifications": [{"Tags": TAGS}]},
         ["ec2:CreateVpc", "ec2:CreateTags"]),
        ("ec2", "CreateSubnet", {"VpcId": "vpc-1"}, ["ec2:CreateSubnet", "ec2:CreateSubnet"]),
        ("rds", "ModifyDBProxy", {"DBProxyName": "p", "RoleArn": ROLE},
         ["rds:ModifyDBProxy", "iam:PassRole"]),
        ("rds", "CreateDBProxy", {"RoleArn": ROLE, "Tags": TAGS},
         ["rds:CreateDBProxy", "iam:PassRole", *2 * ["rds:AddTagsToResource"]]),
        ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "d"}, ["rds:DeleteDBInstance"]),
        ("rds", "DeleteDBInstance",
         {"DBInstanceIdentifier": "d", "FinalDBSnapshotIdentifier": "s"},
         ["rds:DeleteDBInstance", *2 * ["rds:CreateDBSnapshot"], "rds:AddTagsToResource"]),
        ("iam", "CreateRole", {"RoleName": "r", "Tags": TAGS}, ["iam:CreateRole", "iam:TagRole"]),
        ("secretsmanager", "CreateSecret", {"Name": "s", "Tags": TAGS},
         ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]),
        ("lambda", "ListLayerVersions", {"LayerName": "l"}, 2 * ["lambda:ListLayerVersions"]),
        ("lambda", "GetFunction", {"FunctionName": "f"}, ["lambda:GetFunction", "lambda:ListTags"]),
        ("lambda", "CreateFunction",
         {"FunctionName": "f", "Role": ROLE, "Tags": {"a": "b"}, "Layers": ["arn:layer"],
          "VpcConfig": {"SubnetIds": ["subnet-1"]}},
         ["lambda:CreateFunction", "iam:PassRole", "lambda:TagResource",
          "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
          "lambda:GetLayerVersion"]),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "IfMatch": "e"},
         ["s3:PutObject", "s3:GetObject"]),
    ],
)  # fmt: skip
def test_actions(
    aws: PlayedAccount, service: str, operation: str, params: dict[str, Any], actions: list[str]
) -> None:
    assert [each.action for each in asked(aws, service, operation, **params)] == actions


@pytest.mark.parametrize(
    ("service", "operation", "params", "resources"),
    [
        ("ec2", "DeleteSubnet", {"SubnetId": "subnet-1"}, ["subnet/subnet-1"]),
        ("ec2", "AuthorizeSecurityGroupIngress",
         {"GroupId": "sg-1", "TagSpecifications": [{"Tags": TAGS}]},
         ["security-group/sg-1", *2 * ["security-group-rule/*"]]),
        ("rds", "CreateDBInstance",
         {"DBInstanceIdentifier": "d", "DBSubnetGroupName": "g", "EngineVersion": "8.4.6"},
         ["db:d", "og:default:mysql-8-4", "pg:default.mysql8.4", "subgrp:g"]),
        ("logs", "CreateLogGroup", {"logGroupName": "/a/b"},
         ["log-group:/a/b", "log-group:/a/b:*"]),
        ("secretsmanager", "CreateSecret", {"Name": "n"}, ["secret:n-AbCdEf"]),
        ("lambda", "DeleteLayerVersion", {"LayerName": "l", "VersionNumber": 3}, ["layer:l:3"]),
    ],
)  # fmt: skip
def test_resources(
    aws: PlayedAccount, service: str, operation: str, params: dict[str, Any], resources: list[str]
) -> None:
    found = [each.resource for each in asked(aws, service, operation, **params)]
    own = [each for each in found if each.startswith(PREFIX.format(service))]
    assert own == [PREFIX.format(service) + each for each in resources]


def test_a_secret_that_does_not_exist_is_known_by_its_bare_name(aws: PlayedAccount) -> None:
    (before,) = asked(aws, "secretsmanager", "DescribeSecret", SecretId="late")
    arn = aws.secretsmanager.create_secret(Name="late", SecretString="x")["ARN"]
    (after,) = asked(aws, "secretsmanager", "DescribeSecret", SecretId="late")
    assert (before.resource, after.resource) == ("late", arn)


def test_conditions_of_a_request(aws: PlayedAccount) -> None:
    vpc = aws.ec2.create_vpc(
        CidrBlock="10.0.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "k", "Value": "v"}]}],
    )["Vpc"]["VpcId"]
    existing, new, tagging = asked(
        aws, "ec2", "CreateSubnet", VpcId=vpc, TagSpecifications=[{"Tags": TAGS}]
    )
    assert existing.context["aws:ResourceTag/k"] == "v"
    assert "aws:RequestTag/a" not in existing.context
    assert new.context["aws:RequestTag/a"] == "b"
    assert "aws:ResourceTag/k" not in new.context
    assert tagging.context["ec2:CreateAction"] == "CreateSubnet"

    aws.iam.create_role(
        RoleName="bounded", AssumeRolePolicyDocument="{}", PermissionsBoundary=BOUNDARY
    )
    (put,) = asked(aws, "iam", "PutRolePolicy", RoleName="bounded", PolicyName="p")
    assert put.context["iam:PermissionsBoundary"] == BOUNDARY
    (attach,) = asked(aws, "iam", "AttachRolePolicy", RoleName="other", PolicyArn=BOUNDARY)
    assert attach.context["iam:PolicyARN"] == BOUNDARY
    assert "iam:PermissionsBoundary" not in attach.context


BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"


# --- roles ----------------------------------------------------------------------------------------

RDS = {"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": "sts:AssumeRole"}


def role(aws: PlayedAccount, *actions: str, **settings: Any) -> str:
    """A role with an inline policy, through AWS's own interface; its ARN."""
    trust = settings.pop("trust", {"Statement": [RDS]})
    made = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust), **settings)
    aws.iam.put_role_policy(
        RoleName="r", PolicyName="p", PolicyDocument=json.dumps(policy(*actions))
    )
    arn: str = made["Role"]["Arn"]
    return arn


def bound(aws: PlayedAccount, *actions: str) -> dict[str, str]:
    """A customer managed policy as a boundary: CreateRole's parameter."""
    found = aws.iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(policy(*actions))
    )
    return {"PermissionsBoundary": found["Policy"]["Arn"]}


def test_a_role_may_what_its_policies_and_its_boundary_allow(aws: PlayedAccount) -> None:
    arn = role(aws, "ec2:*", "rds:*", **bound(aws, "ec2:*", "s3:*"))
    world = aws.rehearsal.world
    assert iam_roles.may(world, arn, "ec2:DescribeVpcs").allowed
    assert not iam_roles.may(world, arn, "rds:DescribeDBInstances").allowed  # outside of it
    assert not iam_roles.may(world, arn, "s3:GetObject").allowed  # a boundary gives nothing
    aws.iam.delete_role_permissions_boundary(RoleName="r")
    assert iam_roles.may(world, arn, "rds:DescribeDBInstances").allowed


def test_a_boundary_that_does_not_exist_is_refused(aws: PlayedAccount) -> None:
    aws.rehearsal.set_manners(refusals=True)
    try:
        with refused("NoSuchEntity", match="boundary does not exist or is not attachable"):
            role(aws, "ec2:*", PermissionsBoundary=BOUNDARY)
    finally:
        aws.rehearsal.set_manners(refusals=False)


@pytest.mark.parametrize(
    ("condition", "assumed"),
    [
        ({}, True),
        ({"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceAccount": "999999999999"}}, False),
        # Whether a service sends them is not documented: a role that demands them may fail.
        ({"StringEquals": {"aws:SourceAccount": "123456789012"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:rds:*:123456789012:*"}}, False),
    ],
)  # fmt: skip
def test_a_service_assumes_a_role_for_its_account(
    aws: PlayedAccount, condition: dict[str, Any], assumed: bool
) -> None:
    arn = role(aws, "ec2:*", trust={"Statement": [RDS | {"Condition": condition}]})
    assert iam_roles.trusts(aws.rehearsal.world, arn, "rds.amazonaws.com").allowed is assumed


# --- denials --------------------------------------------------------------------------------------


def test_a_denial_is_worded_as_aws_words_it(aws: PlayedAccount) -> None:
    documents = [
        policy("logs:DescribeLogGroups", "rds:*"),
        policy("lambda:*"),
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": "rds:CreateDBProxy", "Resource": "*"},
        ]},
    ]  # fmt: skip
    user = "User: arn:aws:iam::123456789012:user/moto is not authorized to perform: "
    aws.rehearsal.policy = documents
    aws.logs.describe_log_groups()
    aws.lambda_.list_functions()
    implicit = r"iam:ListRoles on resource: \* because no identity-based policy allows the iam"
    with refused("AccessDenied", match=user + implicit):
        aws.iam.list_roles()
    explicit = r"rds:CreateDBProxy on resource: \* with an explicit deny in an identity-based"
    with refused("AccessDenied", match=user + explicit):
        aws.rds.create_db_proxy(
            DBProxyName="p", EngineFamily="MYSQL", RoleArn=ROLE, VpcSubnetIds=["subnet-1"],
            Auth=[{"AuthScheme": "SECRETS"}],
        )  # fmt: skip
    with refused("UnauthorizedOperation", match=f"You are not authorized .* {user}ec2:Desc"):
        aws.ec2.describe_vpcs()


def test_get_function_leaves_the_tags_out_that_the_caller_may_not_list(aws: PlayedAccount) -> None:
    aws.rehearsal.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    aws.rehearsal.client("lambda").create_function(
        FunctionName="f", Role=ROLE, Runtime="python3.13", Handler="index.handler",
        Code={"ZipFile": b"zip"}, Tags={"a": "b"},
    )  # fmt: skip
    assert aws.lambda_.get_function(FunctionName="f")["Tags"] == {"a": "b"}
    aws.rehearsal.policy = policy("lambda:GetFunction")
    answer = aws.lambda_.get_function(FunctionName="f")
    assert "Tags" not in answer
    assert answer["TagsError"]["ErrorCode"] == "AccessDeniedException"
    assert "lambda:ListTags" in answer["TagsError"]["Message"]


def test_what_has_allowed_a_call_is_known(aws: PlayedAccount) -> None:
    documents = [policy("logs:*"), policy("ec2:*", "lambda:*")]
    aws.rehearsal.policy = documents
    aws.ec2.describe_vpcs()
    (used,) = aws.rehearsal.used
    assert (used.document, used.statement, used.action, used.resource) == (1, 0, "ec2:*", "*")
