"""The environment as a CloudFormation template, written from the calls that make it.

The resources make their own create calls, on clients that record instead of sending (as `--explain`
does); CloudFormation's properties are the calls' parameters, but for what the tables here name. So
what is known about templates, cfn-lint above all, can be held against what `up` sends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from provision.aws.account import Aws, Identity, make_session
from provision.config import Config
from provision.engine.application import apply, portions
from provision.environment import environment
from provision.resources.base import CreatableResource, ManagedResource, Seen
from provision.resources.references import REFERENCE
from provision.views.explain import AFTER_CREATE, Recorded, RecordingAws

Template = dict[str, Any]

# What CloudFormation calls otherwise than the call does.
RENAMED = {
    "AWS::EC2::SecurityGroup": {"Description": "GroupDescription"},
    "AWS::RDS::DBInstance": {"VpcSecurityGroupIds": "VPCSecurityGroups"},
    "AWS::RDS::DBProxyTargetGroup": {"ConnectionPoolConfig": "ConnectionPoolConfigurationInfo"},
    "AWS::Logs::LogGroup": {"retentionInDays": "RetentionInDays"},
}
TARGET_GROUP = "AWS::RDS::DBProxyTargetGroup"
TAGS_AS_MAP = {"AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage"}
IN_A_BUCKET = {"S3Bucket": "code", "S3Key": "code.zip"}  # a zip is no part of a template
# What a reference to a resource's output is in CloudFormation: Ref, or an attribute.
REF = {
    *(("AWS::EC2::VPC", "id"), ("AWS::EC2::Subnet", "id"), ("AWS::Lambda::LayerVersion", "arn")),
    *(("AWS::RDS::DBInstance", "id"), ("AWS::RDS::DBSubnetGroup", "group")),
    *(("AWS::RDS::DBProxy", "proxy"), ("AWS::ApiGatewayV2::Api", "id")),
    *(("AWS::SecretsManager::Secret", "arn"), ("AWS::ApiGatewayV2::Integration", "id")),
}
ATTRIBUTES = {
    ("AWS::EC2::SecurityGroup", "id"): "GroupId",
    ("AWS::IAM::Role", "arn"): "Arn",
    ("AWS::Lambda::Function", "arn"): "Arn",
    ("AWS::RDS::DBProxy", "endpoint"): "Endpoint",
}
PSEUDO = {"account": "AWS::AccountId", "region": "AWS::Region", "partition": "AWS::Partition"}
ZONES = {"first": 0, "second": 1}
RESOURCE_ID = "ResourceId"
THE_PASSWORD = "${secret.password}"
LOOKED_UP = "{{resolve:secretsmanager:${secret.arn}:SecretString:password}}"


def template(config: Config) -> Template:
    """The environment as a CloudFormation template."""
    aws = Aws(make_session(None, config.environment.region), environment=config.environment.name)
    aws.identity = Identity("123456789012", "aws", "arn:aws:iam::123456789012:user/somebody")
    made = [each for each in environment(config) if isinstance(each, CreatableResource)]
    kinds = {each.step: each.kind for each in made}
    recording = RecordingAws(aws)
    resources: dict[str, Any] = {}
    for each in made:
        for name, kind, properties in resources_of(each, calls(recording, each)):
            resources[name] = {
                "Type": kind,
                **STAYS.get(kind, {}),
                "Properties": with_references(properties, kinds),
            }
    recording.close()
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


# What holds data goes without a trace: it is an example, and a final snapshot is a flag's matter.
DELETED = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
STAYS = dict.fromkeys(
    ("AWS::RDS::DBInstance", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup"), DELETED
)


def calls(aws: RecordingAws, resource: CreatableResource) -> list[Recorded]:
    """The calls that make a resource as it should be, with references in them."""
    with aws.recording() as recorded:
        resource.create(aws)
        before = AFTER_CREATE.get(type(resource))
        if before and isinstance(resource, ManagedResource):
            seen = Seen({}, before)
            for portion in portions(resource, resource.differences(seen, aws)):
                apply(aws, resource, seen, portion)
    assert recorded, resource.step
    return recorded


def logical_id(step: str) -> str:
    """A step's name as a template takes it."""
    return "".join(part.capitalize() for part in step.split("-"))


def resources_of(
    resource: CreatableResource, made: list[Recorded]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What a resource is in a template: a name, a type and the properties of each."""
    name, properties = logical_id(resource.step), dict[str, Any]()
    for call in made:
        params = {key: plain(value) for key, value in call.parameters.items()}
        operation = call.model.name
        if operation.startswith("AuthorizeSecurityGroup"):
            yield from rules(name, operation.removeprefix("AuthorizeSecurityGroup"), params)
        elif operation == "PutRolePolicy":
            policy = {
                "PolicyName": params["PolicyName"],
                "PolicyDocument": json.loads(params["PolicyDocument"]),
            }
            properties.setdefault("Policies", []).append(policy)
        elif operation == "AttachRolePolicy":
            properties.setdefault("ManagedPolicyArns", []).append(params["PolicyArn"])
        elif operation.startswith(("Create", "Publish", "Register", "Put", "ModifyDBProxyTarget")):
            properties |= params
        else:
            assert operation == "RevokeSecurityGroupEgress", operation
    kind = TARGET_GROUP if made[0].model.name == "RegisterDBProxyTargets" else resource.kind
    if properties:
        yield name, kind, in_its_words(kind, properties)


def rules(
    name: str, way: str, params: Mapping[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The rules of a security group, each a resource of its own."""
    other = "DestinationSecurityGroupId" if way == "Egress" else "SourceSecurityGroupId"
    for permission in params["IpPermissions"]:
        properties = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort")}
        for number, pair in enumerate(permission["UserIdGroupPairs"]):
            properties |= {"GroupId": params["GroupId"], other: pair["GroupId"]}
            yield f"{name}{way}{number}", f"AWS::EC2::SecurityGroup{way}", properties


def plain(value: Any) -> Any:
    """A parameter, with a zip where it would lie for CloudFormation."""
    return IN_A_BUCKET if isinstance(value, Mapping) and "ZipFile" in value else value


def in_its_words(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A create call's parameters as the properties of a resource."""
    renamed = RENAMED.get(kind, {})
    properties = {renamed.get(key, key[0].upper() + key[1:]): params[key] for key in params}
    for specification in properties.pop("TagSpecifications", ()):
        properties["Tags"] = specification["Tags"]
    tags = properties.get("Tags")
    if isinstance(tags, Mapping) and kind not in TAGS_AS_MAP:
        properties["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    if kind == "AWS::RDS::DBInstance":
        properties["AllocatedStorage"] = str(properties["AllocatedStorage"])
    if kind == "AWS::SecretsManager::Secret":  # whose password no template should have
        pair = json.loads(properties.pop("SecretString"))
        properties["GenerateSecretString"] = {
            "SecretStringTemplate": json.dumps({"username": pair["username"]}),
            "GenerateStringKey": "password",
        }
    if kind == TARGET_GROUP:
        properties["TargetGroupName"] = "default"
    if "AssumeRolePolicyDocument" in properties:
        properties["AssumeRolePolicyDocument"] = json.loads(properties["AssumeRolePolicyDocument"])
    for token in ("ClientRequestToken", "CreatorRequestId"):
        properties.pop(token, None)
    return properties


def with_references(value: Any, kinds: Mapping[str, str]) -> Any:
    """A value with its references as CloudFormation writes them."""
    if isinstance(value, Mapping):
        return {key: with_references(item, kinds) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_references(item, kinds) for item in value]
    if not isinstance(value, str) or not REFERENCE.search(value):
        return value
    value = value.replace(THE_PASSWORD, LOOKED_UP)
    whole = REFERENCE.fullmatch(value)
    if whole and whole[1] == "availability-zones":
        return {"Fn::Select": [ZONES[whole[2]], {"Fn::GetAZs": ""}]}
    names = [target(found, kinds) for found in REFERENCE.finditer(value)]
    if whole:
        (name,) = names
        base, _, attribute = name.partition(".")
        return {"Fn::GetAtt": [base, attribute]} if attribute else {"Ref": name}
    text = REFERENCE.sub(lambda found: f"${{{target(found, kinds)}}}", value)
    parts = {name: resource_id(name) for name in names if name.endswith(RESOURCE_ID)}
    return {"Fn::Sub": [text, parts] if parts else text}


def resource_id(name: str) -> Any:
    """The `prx-...` of a proxy: the last part of its ARN."""
    arn = {"Fn::GetAtt": [name.removesuffix(RESOURCE_ID), "DBProxyArn"]}
    return {"Fn::Select": [6, {"Fn::Split": [":", arn]}]}


def target(found: re.Match[str], kinds: Mapping[str, str]) -> str:
    """What a reference names in a template, as in Fn::Sub."""
    step, output = found.groups()
    if step == "aws":
        return PSEUDO[output]
    name, key = logical_id(step), (kinds[step], output)
    if key == ("AWS::RDS::DBProxy", "resource_id"):
        return f"{name}{RESOURCE_ID}"
    return name if key in REF else f"{name}.{ATTRIBUTES[key]}"
