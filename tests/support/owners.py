"""Whose the things of an environment seem to be: their tags, set and taken off by somebody."""

from __future__ import annotations

from collections.abc import Mapping

from provision.rehearsal import Override
from tests.support.account import Account
from tests.support.names import ACCOUNT, NAME, REGION

KEYS = ("provision:environment", "provision:step")
EC2_KINDS = {
    "vpc": ("vpcs", "VpcId"),
    "subnet": ("subnets", "SubnetId"),
    "security": ("security_groups", "GroupId"),
}


def arn_of(account: Account, step: str) -> str:
    """Return by what a step's resource is tagged."""
    last = step.rpartition("-")[2]
    rds, logs = f"arn:aws:rds:{REGION}:{ACCOUNT}", f"arn:aws:logs:{REGION}:{ACCOUNT}"
    if step == "api":
        return f"arn:aws:apigateway:{REGION}::/apis/{account.api(NAME)['ApiId']}"
    if step.startswith("proxy"):
        return str(account.proxy(f"{NAME}-{last}")["DBProxyArn"])
    if step.startswith("function"):
        answer = account.lambda_.get_function(FunctionName=f"{NAME}-{last}")
        return str(answer["Configuration"]["FunctionArn"])
    return {
        "db-instance": f"{rds}:db:{NAME}-database",
        "db-subnet-group": f"{rds}:subgrp:{NAME}-database",
        "log-group-iam": f"{logs}:log-group:/aws/lambda/{NAME}-iam",
    }[step]


def ec2_id(account: Account, step: str) -> str:
    """Return the id of one of EC2's things."""
    kind, key = EC2_KINDS[step.partition("-")[0]]
    return str(account.tagged(kind, step, NAME)[key])


def identity_of(account: Account, step: str) -> str:
    """Return by what `tag` and `untag` know a step's resource, while it has its tags."""
    if step.partition("-")[0] in EC2_KINDS:
        return ec2_id(account, step)
    if step.startswith("role"):
        return f"{NAME}-{step.removeprefix('role-')}-{REGION}"
    return f"{NAME}/database" if step == "secret" else arn_of(account, step)


def tag(account: Account, step: str, identity: str, tags: Mapping[str, str]) -> None:
    """Set these tags on a step's resource."""
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    if step.partition("-")[0] in EC2_KINDS:
        account.ec2.create_tags(Resources=[identity], Tags=listed)
    elif step.startswith(("proxy", "db-")):
        account.rds.add_tags_to_resource(ResourceName=identity, Tags=listed)
    elif step.startswith("role"):
        account.iam.tag_role(RoleName=identity, Tags=listed)
    elif step == "secret":
        account.secretsmanager.tag_resource(SecretId=identity, Tags=listed)
    elif step.startswith("function"):
        account.lambda_.tag_resource(Resource=identity, Tags=dict(tags))
    elif step.startswith("log-group"):
        account.logs.tag_resource(resourceArn=identity, tags=dict(tags))
    else:
        account.apigatewayv2.tag_resource(ResourceArn=identity, Tags=dict(tags))


def untag(account: Account, step: str, identity: str) -> None:
    """Take both of our tags off a step's resource."""
    keys = list(KEYS)
    if step.partition("-")[0] in EC2_KINDS:
        account.ec2.delete_tags(Resources=[identity], Tags=[{"Key": key} for key in keys])
    elif step.startswith(("proxy", "db-")):
        account.rds.remove_tags_from_resource(ResourceName=identity, TagKeys=keys)
    elif step.startswith("role"):
        account.iam.untag_role(RoleName=identity, TagKeys=keys)
    elif step == "secret":
        account.secretsmanager.untag_resource(SecretId=identity, TagKeys=keys)
    elif step.startswith("function"):
        account.lambda_.untag_resource(Resource=identity, TagKeys=keys)
    elif step.startswith("log-group"):
        account.logs.untag_resource(resourceArn=identity, tagKeys=keys)
    else:
        account.apigatewayv2.untag_resource(ResourceArn=identity, TagKeys=keys)


def unreadable(step: str) -> list[Override]:
    """Return the answers of an AWS that lets the caller see a step's resource, not its tags."""
    denied = {"code": "AccessDenied", "message": "not authorized to list tags", "status": 403}
    lists_tags = "rds:ListTagsForResource"
    return {
        "db-instance": [
            Override("rds:DescribeDBInstances", drop=("TagList",)),
            Override(lists_tags, when=":db:", **denied),  # type: ignore[arg-type]
        ],
        "proxy-iam": [Override(lists_tags, when=":db-proxy:", **denied)],  # type: ignore[arg-type]
        "db-subnet-group": [Override(lists_tags, when=":subgrp:", **denied)],  # type: ignore[arg-type]
        "function-iam": [
            Override("lambda:GetFunction", drop=("Tags",)),
            Override("lambda:ListTags", **denied),  # type: ignore[arg-type]
        ],
        "log-group-iam": [Override("logs:ListTagsForResource", **denied)],  # type: ignore[arg-type]
    }[step]
