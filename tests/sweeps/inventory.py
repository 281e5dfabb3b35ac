"""What an account holds, asked of AWS itself, kind by kind, with none of the product's code.

Things are told by their names, not by their ids, so that two inventories can be compared; what
comes twice is there twice. What every account has (default VPC, default groups, service-linked
roles) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from provision.rehearsal import INSIDE, SOMEBODY_ELSE, Remote

OUTSIDE = {"rds"}  # services whose calls moto lacks in part: they are asked as anyone asks them


def everything(name: str) -> list[str]:
    """What the environment `name` holds: one of each, and of each thing all that belongs to it."""
    groups = {
        "function": ["egress tcp 3306 {}-proxy"],
        "proxy": ["ingress tcp 3306 {}-function", "egress tcp 3306 {}-database"],
        "database": ["ingress tcp 3306 {}-proxy"],
    }
    parts = ["VPC 10.0.0.0/16"]
    parts += [f"subnet 10.0.{number}.0/24" for number in (1, 2, 3)]
    for part, rules in groups.items():
        parts += [f"security group {name}-{part}"]
        parts += [f"rule of {name}-{part}: {rule.format(name)}" for rule in rules]
    parts += [
        f"DB subnet group {name}-database of 10.0.2.0/24 10.0.3.0/24",
        f"DB instance {name}-database",
        f"secret {name}/database",
        f"layer version {name}-mysql-connector",
        f"role {name}-proxy-{{region}}: decrypt-secret read-secret",
        f"role {name}-api-{{region}}: invoke-functions",
        f"role {name}-function-password-{{region}}: AWSLambdaVPCAccessExecutionRole",
        f"role {name}-function-iam-{{region}}: AWSLambdaVPCAccessExecutionRole connect-to-proxy",
        f"HTTP API {name}",
        f"stage of {name}: $default",
        f"route of {name}: GET / to {name}-password",
        f"route of {name}: GET /func1 to {name}-password",
        f"route of {name}: GET /func2 to {name}-iam",
        "interface of AWS Lambda",
    ]
    for login in ("password", "iam"):
        parts += [
            f"RDS Proxy {name}-{login}",
            f"target of {name}-{login}: {name}-database",
            f"function {name}-{login}",
            f"integration of {name}: {name}-{login}",
            f"log group /aws/lambda/{name}-{login}",
            f"log group /aws/rds/proxy/{name}-{login}",
        ]
    return parts


class Inventory:
    """Asks an account what it holds."""

    def __init__(self, remote: Remote) -> None:
        self._url = remote.endpoint_url
        self._keys = {name: remote.environ(name) for name in (SOMEBODY_ELSE, INSIDE)}
        self.region = self._keys[INSIDE]["AWS_REGION"]
        self.client = cache(self._client)

    def _client(self, service: str) -> Any:
        given = self._keys[SOMEBODY_ELSE if service in OUTSIDE else INSIDE]
        key, secret = given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]
        session = boto3.Session(key, secret, region_name=self.region)
        config = Config(retries={"total_max_attempts": 10, "mode": "standard"}, proxies={})
        return session.client(service, endpoint_url=self._url, config=config)  # type: ignore[call-overload]

    def expected(self, *names: str) -> list[str]:
        """All of the environments of these names, sorted as `held` sorts."""
        parts = [part.format(region=self.region) for name in names for part in everything(name)]
        return sorted(parts)

    def held(self) -> list[str]:
        """Everything that the account holds, sorted."""
        kinds = (self.network, self.databases, self.roles, self.functions, self.apis, self.logs)
        return sorted(thing for kind in kinds for thing in kind())

    def pages(self, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        """All items of a list call."""
        pages = self.client(service).get_paginator(operation).paginate(**params)
        items: list[Any] = pages.build_full_result()[key]
        return items

    def network(self) -> Iterator[str]:
        """VPCs, subnets, groups, rules, interfaces."""
        ec2 = "ec2"
        vpcs = self.pages(ec2, "describe_vpcs", "Vpcs")
        ours = {vpc["VpcId"] for vpc in vpcs if not vpc["IsDefault"]}
        yield from (f"VPC {vpc['CidrBlock']}" for vpc in vpcs if vpc["VpcId"] in ours)
        subnets = self.pages(ec2, "describe_subnets", "Subnets")
        yield from (f"subnet {each['CidrBlock']}" for each in subnets if each["VpcId"] in ours)
        groups = self.pages(ec2, "describe_security_groups", "SecurityGroups")
        names = {each["GroupId"]: each["GroupName"] for each in groups}
        defaults = {group for group, name in names.items() if name == "default"}
        yield from (f"security group {names[each]}" for each in names if each not in defaults)
        for rule in self.pages(ec2, "describe_security_group_rules", "SecurityGroupRules"):
            if rule["GroupId"] not in defaults:
                yield f"rule of {names[rule['GroupId']]}: {rule_text(rule, names)}"
        for each in self.pages(ec2, "describe_network_interfaces", "NetworkInterfaces"):
            if each["VpcId"] in ours and each["Description"] != "RDSNetworkInterface":
                yield f"interface of {each['Description'].partition(' VPC ENI')[0]}"

    def databases(self) -> Iterator[str]:
        """Instances, snapshots, backups, subnet groups, proxies with their targets, secrets."""
        instances = self.pages("rds", "describe_db_instances", "DBInstances")
        yield from (f"DB instance {each['DBInstanceIdentifier']}" for each in instances)
        snapshots = self.pages("rds", "describe_db_snapshots", "DBSnapshots")
        yield from (f"snapshot {each['DBSnapshotIdentifier']}" for each in snapshots)
        operation, key = "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"
        for each in self.pages("rds", operation, key):
            if each["Status"] == "retained":
                yield f"retained backup of {each['DBInstanceIdentifier']}"
        cidrs = {
            subnet["SubnetId"]: subnet["CidrBlock"]
            for subnet in self.pages("ec2", "describe_subnets", "Subnets")
        }
        for group in self.pages("rds", "describe_db_subnet_groups", "DBSubnetGroups"):
            within = sorted(cidrs.get(s["SubnetIdentifier"], "nowhere") for s in group["Subnets"])
            yield f"DB subnet group {group['DBSubnetGroupName']} of {' '.join(within)}"
        for proxy in self.pages("rds", "describe_db_proxies", "DBProxies"):
            name = proxy["DBProxyName"]
            yield f"RDS Proxy {name}"
            for target in self.pages(
                "rds", "describe_db_proxy_targets", "Targets", DBProxyName=name
            ):
                yield f"target of {name}: {target['RdsResourceId']}"
        secrets = self.pages(
            "secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True
        )
        yield from (f"secret {each['Name']}" for each in secrets)

    def roles(self) -> Iterator[str]:
        """Roles with the names of their policies."""
        for role in self.pages("iam", "list_roles", "Roles"):
            name = role["RoleName"]
            if role["Path"].startswith("/aws-service-role/"):
                continue
            policies = self.pages("iam", "list_role_policies", "PolicyNames", RoleName=name)
            operation, key = "list_attached_role_policies", "AttachedPolicies"
            policies += [p["PolicyName"] for p in self.pages("iam", operation, key, RoleName=name)]
            yield f"role {name}: {' '.join(sorted(policies))}"

    def functions(self) -> Iterator[str]:
        """Functions, and every version of every layer."""
        for function in self.pages("lambda", "list_functions", "Functions"):
            yield f"function {function['FunctionName']}"
        for layer in self.pages("lambda", "list_layers", "Layers"):
            name = layer["LayerName"]
            versions = self.pages("lambda", "list_layer_versions", "LayerVersions", LayerName=name)
            yield from (f"layer version {name}" for _ in versions)

    def apis(self) -> Iterator[str]:
        """HTTP APIs with their stages, integrations and routes."""
        api_v2 = self.client("apigatewayv2")
        for api in api_v2.get_apis()["Items"]:
            name, within = api["Name"], {"ApiId": api["ApiId"]}
            yield f"HTTP API {name}"
            for stage in api_v2.get_stages(**within)["Items"]:
                yield f"stage of {name}: {stage['StageName']}"
            functions = {
                f"integrations/{each['IntegrationId']}": each["IntegrationUri"].rpartition(":")[2]
                for each in api_v2.get_integrations(**within)["Items"]
            }
            yield from (f"integration of {name}: {each}" for each in functions.values())
            for route in api_v2.get_routes(**within)["Items"]:
                leads_to = functions.get(route.get("Target", ""), "nothing")
                yield f"route of {name}: {route['RouteKey']} to {leads_to}"

    def logs(self) -> Iterator[str]:
        """Log groups."""
        for group in self.pages("logs", "describe_log_groups", "logGroups"):
            yield f"log group {group['logGroupName']}"


def rule_text(rule: dict[str, Any], names: dict[str, str]) -> str:
    """A rule in words."""
    peer = rule.get("ReferencedGroupInfo", {}).get("GroupId", "")
    direction = "egress" if rule["IsEgress"] else "ingress"
    return f"{direction} {rule['IpProtocol']} {rule['FromPort']} {names.get(peer, 'anywhere')}"
