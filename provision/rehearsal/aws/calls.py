"""One AWS call as the rehearsal sees it: whether it changes anything, what permissions it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from provision.rehearsal.aws.access_keys import CALLER

ACCOUNT = "123456789012"
"""The account that every rehearsal plays in (moto's own)."""

_READS = re.compile(
    r"(Describe|Filter|Get|List|Head|Lookup|Search|Simulate|Assume|Decode|BatchGet|Invoke)"
)


@dataclass(frozen=True)
class Call:
    """A call on its way to AWS, read from the HTTP request by botocore's own model.

    `service` is boto3's name of the service; `params` are the call's parameters as a boto3 user
    would write them. `principal` is who signed it, one of the rehearsal's own or, for a key that
    the rehearsed AWS gave out, CALLER.
    """

    service: str
    operation: str
    params: dict[str, Any]
    region: str
    access_key: str
    method: str = "POST"
    path: str = "/"
    principal: str = CALLER

    @property
    def mutating(self) -> bool:
        """Whether the call may change something at AWS."""
        return is_mutating(self.operation) and not self.params.get("DryRun")

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter `name`, or `default`."""
        return self.params.get(name, default)


def is_mutating(operation: str) -> bool:
    """Whether `operation` may change a resource: all but those named as reads, and Invoke.

    An unnamed operation (one that no model knows) counts as mutating.
    """
    return _READS.match(operation) is None


# The IAM actions behind a call

_RENAMED = {
    ("lambda", "Invoke"): "lambda:InvokeFunction",
    ("s3", "GetBucketEncryption"): "s3:GetEncryptionConfiguration",
    ("s3", "GetPublicAccessBlock"): "s3:GetBucketPublicAccessBlock",
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListBuckets"): "s3:ListAllMyBuckets",
    ("s3", "ListObjects"): "s3:ListBucket",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "ListObjectVersions"): "s3:ListBucketVersions",
}
_MADE_IN_EC2 = {
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CreateNetworkInterface": "network-interface",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
}
_EC2_KINDS = {
    "eni": "network-interface",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vpc": "vpc",
}
_PASSED = {
    "CreateDBProxy": ("RoleArn", "rds.amazonaws.com"),
    "CreateFunction": ("Role", "lambda.amazonaws.com"),
    "CreateIntegration": ("CredentialsArn", "apigateway.amazonaws.com"),
    "ModifyDBProxy": ("RoleArn", "rds.amazonaws.com"),
    "UpdateFunctionConfiguration": ("Role", "lambda.amazonaws.com"),
    "UpdateIntegration": ("CredentialsArn", "apigateway.amazonaws.com"),
}
"""Calls that hand a role to a service: the parameter, and to whom."""

_TAGGING = {
    "iam": ("Tags", "iam:TagRole"),
    "lambda": ("Tags", "lambda:TagResource"),
    "logs": ("tags", "logs:TagResource"),
    "rds": ("Tags", "rds:AddTagsToResource"),
    "secretsmanager": ("Tags", "secretsmanager:TagResource"),
    "apigatewayv2": ("Tags", "apigateway:TagResource"),
}
_LOOKED_UP_BY_RDS = (
    "DescribeAccountAttributes",
    "DescribeAvailabilityZones",
    "DescribeInternetGateways",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeVpcAttribute",
    "DescribeVpcs",
)
_LOOKED_UP_BY_LAMBDA = ("DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs")
_NAMES = {  # the first of these that a call has tells its resource
    "iam": (("RoleName", "role/{}"), ("AWSServiceName", "role/aws-service-role/{}/*")),
    "lambda": (("FunctionName", "function:{}"), ("LayerName", "layer:{}")),
    "logs": (("logGroupName", "log-group:{}"), ("resourceArn", "{}")),
    "rds": (
        ("DBInstanceIdentifier", "db:{}"),
        ("DBSubnetGroupName", "subgrp:{}"),
        ("DBProxyName", "db-proxy:prx-{}"),
        ("ResourceName", "{}"),
    ),
    "secretsmanager": (("SecretId", "secret:{}-AbCdEf"), ("Name", "secret:{}-AbCdEf")),
}


def iam_actions(call: Call) -> list[tuple[str, str]]:
    """The IAM actions that AWS checks for `call`, each with the resource it checks it on.

    Beside the call's own action: passing a role, tagging on creation, and what a service looks up
    or does elsewhere in the caller's name. See AWS's "Service Authorization Reference", and for
    RDS the permissions of CloudFormation's own handlers. GetCallerIdentity needs none.
    """
    if call.operation == "GetCallerIdentity":
        return []
    if call.service == "apigatewayv2":
        own = [(f"apigateway:{call.method}", _api_resource(call))]
    elif call.service == "ec2":
        own = [(f"ec2:{call.operation}", resource) for resource in _ec2_resources(call)]
    else:
        action = _RENAMED.get((call.service, call.operation), f"{call.service}:{call.operation}")
        own = [(action, _resource(call))]
    return own + _passed(call) + _tagging(call, own[0][1]) + _looked_up(call) + _compared(call)


def iam_context(call: Call, action: str) -> dict[str, str]:
    """The condition keys that AWS knows when it checks `action` for `call`, and their values."""
    context = {"aws:RequestedRegion": call.region}
    if action == "iam:PassRole":
        context["iam:PassedToService"] = _PASSED[call.operation][1]
    if action == "iam:CreateServiceLinkedRole":
        context["iam:AWSServiceName"] = call.get("AWSServiceName", "")
    if action == "ec2:CreateTags" and call.operation != "CreateTags":
        context["ec2:CreateAction"] = call.operation
    for key, value in _tags(call).items():
        context[f"aws:RequestTag/{key}"] = value
    return context


def _passed(call: Call) -> list[tuple[str, str]]:
    parameter, _ = _PASSED.get(call.operation, ("", ""))
    return [("iam:PassRole", call.params[parameter])] if call.get(parameter) else []


def _tagging(call: Call, resource: str) -> list[tuple[str, str]]:
    """Tagging on creation is checked as tagging."""
    if call.service == "ec2":
        kind = _MADE_IN_EC2.get(call.operation)
        tagged = [("ec2:CreateTags", _arn(call, f"{kind}/*"))]
        return tagged if kind and call.get("TagSpecifications") else []
    parameter, action = _TAGGING.get(call.service, ("", ""))
    creates = call.operation.startswith("Create")
    return [(action, resource)] if creates and call.get(parameter) else []


def _looked_up(call: Call) -> list[tuple[str, str]]:
    """What a service looks up or does elsewhere, with the caller's own permissions."""
    found: list[tuple[str, str]] = []
    if call.operation in ("CreateDBInstance", "CreateDBSubnetGroup"):
        found += [(f"ec2:{name}", "*") for name in _LOOKED_UP_BY_RDS]
    if call.service == "lambda" and (call.get("VpcConfig") or {}).get("SubnetIds"):
        found += [(f"ec2:{name}", "*") for name in _LOOKED_UP_BY_LAMBDA]
    if call.service == "lambda":
        found += [("lambda:GetLayerVersion", layer) for layer in call.get("Layers") or []]
    if call.operation == "CreateDBInstance" and call.get("StorageEncrypted"):
        key = f"arn:aws:kms:{call.region}:{ACCOUNT}:key/aws-rds"
        found += [("kms:CreateGrant", key), ("kms:DescribeKey", key)]
    return found


def _compared(call: Call) -> list[tuple[str, str]]:
    """S3 compares an ETag only for callers that may read the object."""
    conditional = call.service == "s3" and is_mutating(call.operation) and call.get("IfMatch")
    return [("s3:GetObject", _resource(call))] if conditional else []


def _resource(call: Call) -> str:
    """The ARN of what the call is about, "*" where it is about none in particular."""
    if call.service == "s3":
        bucket, key = call.get("Bucket"), call.get("Key")
        return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket or '*'}"
    for parameter, template in _NAMES.get(call.service, ()):
        name = call.get(parameter)
        if not name:
            continue
        if name.startswith("arn:"):
            return str(name)
        version = call.get("VersionNumber")
        last = template.format(name) + (f":{version}" if version else "")
        return _arn(call, last)
    return "*"


def _ec2_resources(call: Call) -> list[str]:
    """What an EC2 call makes, changes or deletes; its reads are about everything."""
    if not is_mutating(call.operation):
        return ["*"]
    kind = _MADE_IN_EC2.get(call.operation)
    made = [_arn(call, f"{kind}/*")] if kind and call.operation.startswith("Create") else []
    ids = [call.get(name) for name in ("VpcId", "SubnetId", "GroupId", "NetworkInterfaceId")]
    named = [*filter(None, ids), *call.get("Resources", [])]
    kinds = ((_EC2_KINDS.get(name.partition("-")[0], "*"), name) for name in named)
    return [*made, *(_arn(call, f"{kind}/{name}") for kind, name in kinds)] or ["*"]


def _api_resource(call: Call) -> str:
    path = call.path.removeprefix("/v2")
    return f"arn:aws:apigateway:{call.region}::{path}"


def _arn(call: Call, last: str) -> str:
    region = "" if call.service == "iam" else call.region
    return f"arn:aws:{call.service}:{region}:{ACCOUNT}:{last}"


def _tags(call: Call) -> dict[str, str]:
    """The tags that the call sets, whatever its service calls them."""
    given = call.get("Tags") or call.get("tags") or []
    for specification in call.get("TagSpecifications", []):
        given = specification.get("Tags", [])
    if isinstance(given, dict):
        return {str(k): str(v) for k, v in given.items()}
    return {tag["Key"]: tag.get("Value", "") for tag in given}
