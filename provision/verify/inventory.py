"""Which environments may be in an account and a region: the names that its things give away.

A name found here proves nothing: whoever uses it looks at the environment of that name, resource by
resource, and judges each. The services' own lists are read: AWS's list of tagged resources lags
behind them, and lacks roles, DB subnet groups and layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, calling, pages, tag_map
from provision.aws.advice import DENIED
from provision.config.checks import environment_name
from provision.errors import AwsCallError
from provision.resources.ownership import ENVIRONMENT

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

    def read(listing: Listing) -> list[str]:
        try:
            with calling("list"):
                return list(listing.names(aws))
        except AwsCallError as error:
            if error.answer.code not in DENIED:
                raise
            unseen.append(error.message)
            return []

    found = aws.together(*(lambda each=each: read(each) for each in LISTS))
    names = {name for group in found for name in group if name and not environment_name(name)}
    return Candidates(sorted(names), sorted(unseen))


def named(text: str, *forms: str) -> Iterator[str]:
    """Yield the environment's name in a text that has one of these forms (`*` stands for it)."""
    for form in forms:
        before, _, after = form.partition("*")
        pattern = f"{re.escape(before)}(.+){re.escape(after)}"
        if found := re.fullmatch(pattern, text, re.IGNORECASE):
            yield found[1]


def tagged(tags: Any) -> Iterator[str]:
    """Yield the environment's name in tags, in whichever of AWS's two shapes."""
    if name := (tags if isinstance(tags, dict) else tag_map(tags)).get(ENVIRONMENT):
        yield name


@dataclass(frozen=True)
class Listing:
    """One of AWS's lists: its items give the environment away by tags, where it has them, or name.

    `forms` are those of a name, in the member `name`: `*` stands for the environment's, `{region}`
    for AWS's. `calls` are the parameters of each call that it takes.
    """

    service: str
    operation: str
    key: str
    name: str = ""
    forms: tuple[str, ...] = ()
    calls: tuple[Mapping[str, Any], ...] = ({},)

    def names(self, aws: Aws) -> Iterator[str]:
        """Yield the names that the list gives away."""
        client = aws.client(self.service)
        forms = [form.format(region=aws.region) for form in self.forms]
        for call in self.calls:
            for each in pages(client, self.operation, self.key, **call):
                yield from tagged(each.get("Tags") or each.get("TagList"))
                if self.name:
                    yield from named(each[self.name], *forms)


BY_TAG = ({"Filters": [{"Name": "tag-key", "Values": [ENVIRONMENT]}]},)
OF_A_LOGIN = ("*-password", "*-iam")
ROLES = ("proxy", "function-password", "function-iam", "api")
LOG_GROUPS = ("/aws/lambda/", "/aws/rds/proxy/")
LISTS = (
    Listing("ec2", "describe_vpcs", "Vpcs", calls=BY_TAG),
    Listing("ec2", "describe_subnets", "Subnets", calls=BY_TAG),
    Listing("ec2", "describe_security_groups", "SecurityGroups", calls=BY_TAG),
    Listing("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier", ("*-database",)),
    Listing(
        "rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName", ("*-database",)
    ),
    Listing("rds", "describe_db_proxies", "DBProxies", "DBProxyName", OF_A_LOGIN),
    Listing(
        "secretsmanager",
        "list_secrets",
        "SecretList",
        calls=({"IncludePlannedDeletion": True},),
    ),
    Listing(
        "iam", "list_roles", "Roles", "RoleName", tuple(f"*-{role}-{{region}}" for role in ROLES)
    ),
    Listing("lambda", "list_functions", "Functions", "FunctionName", OF_A_LOGIN),
    Listing("lambda", "list_layers", "Layers", "LayerName", ("*-mysql-connector",)),
    Listing(
        "logs",
        "describe_log_groups",
        "logGroups",
        "logGroupName",
        tuple(prefix + login for prefix in LOG_GROUPS for login in OF_A_LOGIN),
        tuple({"logGroupNamePrefix": prefix} for prefix in LOG_GROUPS),
    ),
    Listing("apigatewayv2", "get_apis", "Items"),
)
