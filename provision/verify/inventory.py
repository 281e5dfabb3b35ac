"""Which environments may be in an account and a region: the names that its things give away.

A name found here proves nothing: whoever uses it looks at the environment of that name, resource by
resource, and judges each. The services' own lists are read: AWS's list of tagged resources lags
behind them, and lacks roles, DB subnet groups and layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, calling, pages, tag_map
from provision.aws.advice import DENIED
from provision.config.checks import environment_name
from provision.errors import AwsCallError
from provision.resources.ownership import ENVIRONMENT

Names = Iterator[str]
# What a caller has to be allowed for this beside what the environments themselves take.
PERMISSIONS = (
    "ec2:DescribeRegions",
    "iam:ListRoles",
    "lambda:ListFunctions",
    "lambda:ListLayers",
)


@dataclass(frozen=True)
class Candidates:
    """Names of environments, and in words what of the account could not be looked at."""

    names: list[str]
    unseen: list[str]


def candidates(aws: Aws) -> Candidates:
    """Return every name of an environment that may be here. Raises what is no denial."""
    unseen: list[str] = []

    def read(names: Callable[[Aws], Names]) -> list[str]:
        try:
            with calling("list"):
                return list(names(aws))
        except AwsCallError as error:
            if error.answer.code not in DENIED:
                raise
            unseen.append(error.message)
            return []

    found = aws.together(*(lambda each=each: read(each) for each in LISTS))
    names = {name for group in found for name in group if name and not environment_name(name)}
    return Candidates(sorted(names), sorted(unseen))


def named(text: str, *forms: str) -> Names:
    """Yield the environment's name in a text that has one of these forms (`*` stands for it)."""
    for form in forms:
        before, _, after = form.partition("*")
        pattern = f"{re.escape(before)}(.+){re.escape(after)}"
        if found := re.fullmatch(pattern, text, re.IGNORECASE):
            yield found[1]


def tagged(tags: Any) -> Names:
    """Yield the environment's name in tags, in whichever of AWS's two shapes."""
    if name := (tags if isinstance(tags, dict) else tag_map(tags)).get(ENVIRONMENT):
        yield name


def network(operation: str, key: str) -> Callable[[Aws], Names]:
    """Return what reads names from one of EC2's lists."""

    def names(aws: Aws) -> Names:
        filters = [{"Name": "tag-key", "Values": [ENVIRONMENT]}]
        for each in pages(aws.ec2, operation, key, Filters=filters):
            yield from tagged(each.get("Tags"))

    return names


def instances(aws: Aws) -> Names:
    """Names of DB instances' environments."""
    for each in pages(aws.rds, "describe_db_instances", "DBInstances"):
        yield from tagged(each.get("TagList"))
        yield from named(each["DBInstanceIdentifier"], "*-database")


def subnet_groups(aws: Aws) -> Names:
    """Names of DB subnet groups' environments; the list has no tags."""
    for each in pages(aws.rds, "describe_db_subnet_groups", "DBSubnetGroups"):
        yield from named(each["DBSubnetGroupName"], "*-database")


def proxies(aws: Aws) -> Names:
    """Names of proxies' environments; the list has no tags."""
    for each in pages(aws.rds, "describe_db_proxies", "DBProxies"):
        yield from named(each["DBProxyName"], "*-password", "*-iam")


def secrets(aws: Aws) -> Names:
    """Names of secrets' environments, those that wait for their deletion included."""
    client = aws.secretsmanager
    for each in pages(client, "list_secrets", "SecretList", IncludePlannedDeletion=True):
        yield from tagged(each.get("Tags"))


def roles(aws: Aws) -> Names:
    """Names of roles' environments; the list has no tags."""
    for each in pages(aws.iam, "list_roles", "Roles"):
        ends = ("proxy", "function-password", "function-iam", "api")
        yield from named(each["RoleName"], *(f"*-{end}-{aws.region}" for end in ends))


def functions(aws: Aws) -> Names:
    """Names of functions' environments; the list has no tags."""
    for each in pages(aws.lambda_, "list_functions", "Functions"):
        yield from named(each["FunctionName"], "*-password", "*-iam")


def layers(aws: Aws) -> Names:
    """Names of layers' environments; layers have no tags."""
    for each in pages(aws.lambda_, "list_layers", "Layers"):
        yield from named(each["LayerName"], "*-mysql-connector")


def log_groups(aws: Aws) -> Names:
    """Names of log groups' environments; the list has no tags."""
    for prefix in ("/aws/lambda/", "/aws/rds/proxy/"):
        found = pages(aws.logs, "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
        for each in found:
            yield from named(each["logGroupName"], f"{prefix}*-password", f"{prefix}*-iam")


def apis(aws: Aws) -> Names:
    """Names of HTTP APIs' environments."""
    for each in pages(aws.apigateway, "get_apis", "Items"):
        yield from tagged(each.get("Tags"))


LISTS = (
    network("describe_vpcs", "Vpcs"),
    network("describe_subnets", "Subnets"),
    network("describe_security_groups", "SecurityGroups"),
    instances,
    subnet_groups,
    proxies,
    secrets,
    roles,
    functions,
    layers,
    log_groups,
    apis,
)
