"""An AWS account seen through boto3 alone, by somebody who knows nothing of this project."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.parsers import ResponseParserError

from provision.rehearsal import SOMEBODY_ELSE, Remote

# What changes by itself, or says only when somebody looked.
FLEETING = {
    "ResponseMetadata",
    "LastAccessedDate",
    "LastChangedDate",
    "RoleLastUsed",
    "storedBytes",
    "LatestRestorableTime",
}


@functools.cache  # one for all tests: making a client costs more than what a test asks of it
def _client(service: str, endpoint_url: str, region: str, key: str, secret: str) -> Any:
    return boto3.Session(key, secret, region_name=region).client(  # type: ignore[call-overload]
        service,
        endpoint_url=endpoint_url,
        config=Config(retries={"total_max_attempts": 10, "mode": "standard"}, proxies={}),
    )


class Account:
    """boto3 clients of one account and region: `account.ec2`, `account.lambda_`, ..."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.endpoint_url = environ["AWS_ENDPOINT_URL"]
        self.region = environ["AWS_REGION"]
        self._keys = environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]

    @classmethod
    def of(cls, rehearsal: Remote) -> Self:
        """The account of a rehearsal."""
        return cls(rehearsal.environ(SOMEBODY_ELSE))

    def __getattr__(self, service: str) -> Any:
        client = _client(service.rstrip("_"), self.endpoint_url, self.region, *self._keys)
        setattr(self, service, client)
        return client

    # --- one thing, by its name ---

    def tagged(self, kind: str, step: str, environment: str) -> dict[str, Any]:
        """The one thing of EC2 that has these two tags; `kind` is vpcs, subnets, ..."""
        key = {"vpcs": "Vpcs", "subnets": "Subnets", "security_groups": "SecurityGroups"}[kind]
        filters = [
            {"Name": "tag:provision:environment", "Values": [environment]},
            {"Name": "tag:provision:step", "Values": [step]},
        ]
        found: list[dict[str, Any]] = self.all("ec2", f"describe_{kind}", key, Filters=filters)
        (thing,) = found
        return thing

    def api(self, name: str) -> dict[str, Any]:
        """The one HTTP API of this name."""
        apis: list[dict[str, Any]] = self.all("apigatewayv2", "get_apis", "Items")
        (api,) = (each for each in apis if each["Name"] == name)
        return api

    def proxy(self, name: str) -> dict[str, Any]:
        """The RDS Proxy of this name."""
        found: dict[str, Any] = self.rds.describe_db_proxies(DBProxyName=name)["DBProxies"][0]
        return found

    def secret(self, name: str) -> dict[str, str]:
        """The user and password in a secret."""
        text = self.secretsmanager.get_secret_value(SecretId=name)["SecretString"]
        value: dict[str, str] = json.loads(text)
        return value

    # --- everything ---

    def all(self, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        """All pages of a list call."""
        client = getattr(self, service)
        if not client.can_paginate(operation):
            return list(getattr(client, operation)(**parameters)[key])
        pages = client.get_paginator(operation).paginate(**parameters)
        return list(pages.build_full_result().get(key, []))

    def everything(self) -> dict[str, Any]:
        """All that is in the account, as far as this project could have to do with it."""
        return {
            name: sorted(_lasting(list(read(self))), key=json.dumps) for name, read in READS.items()
        }


def lone_vpc(account: Account, environment: str, expires: str = "", **tags: str) -> str:
    """Make all that there is of an environment: a VPC with its tags, another than `up` makes."""
    marks = {"provision:environment": environment, "provision:step": "vpc", **tags}
    marks |= {"provision:expires": expires} if expires else {}
    specification = {
        "ResourceType": "vpc",
        "Tags": [{"Key": key, "Value": value} for key, value in marks.items()],
    }
    made = account.ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=[specification])
    identity: str = made["Vpc"]["VpcId"]
    return identity


def _lasting(value: Any) -> Any:
    """`value` as plain JSON, without what changes by itself."""
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in FLEETING}
    if isinstance(value, list):
        return [_lasting(item) for item in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _simple(service: str, operation: str, key: str) -> Callable[[Account], Iterable[Any]]:
    return lambda account: account.all(service, operation, key)


def _with_rds_tags(operation: str, key: str, arn: str) -> Callable[[Account], Iterator[Any]]:
    def read(account: Account) -> Iterator[Any]:
        for each in account.all("rds", operation, key):
            tags = account.rds.list_tags_for_resource(ResourceName=each[arn])["TagList"]
            yield each | {"tags": tags}

    return read


def _targets(account: Account) -> Iterator[Any]:
    for proxy in account.all("rds", "describe_db_proxies", "DBProxies"):
        name = proxy["DBProxyName"]
        yield name, account.rds.describe_db_proxy_targets(DBProxyName=name)["Targets"]


def _roles(account: Account) -> Iterator[Any]:
    for role in account.all("iam", "list_roles", "Roles"):
        name = role["RoleName"]
        if role["Path"].startswith("/aws-service-role/"):
            continue  # the account's, for all that uses RDS: it stays
        inline = account.all("iam", "list_role_policies", "PolicyNames", RoleName=name)
        yield {
            **account.iam.get_role(RoleName=name)["Role"],
            "inline": [
                account.iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]
                for each in inline
            ],
            "attached": account.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
        }


def _functions(account: Account) -> Iterator[Any]:
    for each in account.all("lambda", "list_functions", "Functions"):
        arn = each["FunctionArn"]
        yield each, account.lambda_.list_tags(Resource=arn).get("Tags", {})


def _layers(account: Account) -> Iterator[Any]:
    for layer in account.all("lambda", "list_layers", "Layers"):
        versions = account.all(
            "lambda", "list_layer_versions", "LayerVersions", LayerName=layer["LayerName"]
        )
        yield from versions


def _apis(account: Account) -> Iterator[Any]:
    for api in account.all("apigatewayv2", "get_apis", "Items"):
        yield api
        for operation in ("get_stages", "get_integrations", "get_routes"):
            yield from account.all("apigatewayv2", operation, "Items", ApiId=api["ApiId"])


def _log_groups(account: Account) -> Iterator[Any]:
    for group in account.all("logs", "describe_log_groups", "logGroups"):
        arn = group["arn"].removesuffix(":*")
        yield group, account.logs.list_tags_for_resource(resourceArn=arn)["tags"]


def _secrets(account: Account) -> Iterator[Any]:
    yield from account.all(
        "secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True
    )


def _backups(account: Account) -> Iterator[Any]:
    # moto's own server lacks the call, and answers it with a page for people.
    with contextlib.suppress(ResponseParserError):
        yield from account.all(
            "rds", "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"
        )


READS: dict[str, Callable[[Account], Iterable[Any]]] = {
    "VPCs": _simple("ec2", "describe_vpcs", "Vpcs"),
    "subnets": _simple("ec2", "describe_subnets", "Subnets"),
    "security groups": _simple("ec2", "describe_security_groups", "SecurityGroups"),
    "rules": _simple("ec2", "describe_security_group_rules", "SecurityGroupRules"),
    "route tables": _simple("ec2", "describe_route_tables", "RouteTables"),
    "interfaces": _simple("ec2", "describe_network_interfaces", "NetworkInterfaces"),
    "DB instances": _with_rds_tags("describe_db_instances", "DBInstances", "DBInstanceArn"),
    "DB subnet groups": _with_rds_tags(
        "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupArn"
    ),
    "snapshots": _simple("rds", "describe_db_snapshots", "DBSnapshots"),
    "automated backups": _backups,
    "proxies": _with_rds_tags("describe_db_proxies", "DBProxies", "DBProxyArn"),
    "targets": _targets,
    "secrets": _secrets,
    "roles": _roles,
    "functions": _functions,
    "layers": _layers,
    "APIs": _apis,
    "log groups": _log_groups,
}
