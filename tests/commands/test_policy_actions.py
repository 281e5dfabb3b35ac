"""Every action, resource and condition key of our policies, against AWS's own reference of them.

The Service Authorization Reference says for each action on which types of resources it is
authorized, and under which condition keys. policy_sentry carries it as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from policy_sentry.shared import iam_data

from provision.commands.policy_document import policies
from provision.config import Config
from provision.config.schema import EnvironmentSettings
from provision.environment import environment
from provision.resources.iam import Role
from provision.resources.references import bind

LONGEST = "a-name-of-28-characters-is-l"
BOUNDARY = "arn:{}:iam::123456789012:policy/boundary"
PARTITIONS = {"ap-northeast-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}

# What AWS asks for, and its reference does not know: its errors name the action on the collection
# in which something with tags is created (aws-amplify/amplify-cli 12316), and POST on the path of
# the tags (hashicorp/terraform-provider-aws 16023). The reference has PUT there, for REST APIs.
UNDOCUMENTED = re.compile(
    r"apigateway:(Tag|Untag)Resource on .*"
    r"|apigateway:(DELETE|POST|PUT) on arn:[^:]+:apigateway:.*/tags/.*"
)
# What an operator of a condition takes, by the reference's type of the key.
OPERATORS = {
    "ARN": {"ArnEquals", "ArnLike", "StringEquals"},
    "Bool": {"Bool"},
    "String": {"StringEquals", "StringEqualsIfExists", "ArnEquals"},
}

Statement = Mapping[str, Any]


def printed() -> Iterator[tuple[str, Statement]]:
    """Every statement of the printed policies, and of those of the roles that are made."""
    for region, partition in PARTITIONS.items():
        for boundary in ("", BOUNDARY.format(partition)):
            settings = EnvironmentSettings(
                name=LONGEST, region=region, permissions_boundary=boundary
            )
            for document in policies(Config(settings)):
                for statement in document["Statement"]:
                    yield f"{region} {boundary}", statement
            known = {
                "aws": {"account": "123456789012", "region": region, "partition": partition},
                "secret": {"arn": f"arn:{partition}:secretsmanager:{region}:1:secret:s-AbCdEf"},
                "proxy-iam": {"resource_id": "prx-0123456789abcdef0"},
            }
            for each in environment(Config(settings), packed=False):
                if isinstance(each, Role):
                    for policy in bind(each, known).policies.values():
                        for statement in policy["Statement"]:
                            yield each.step, statement


def listed(value: str | list[str]) -> list[str]:
    """What IAM lets be a text or a list, as a list."""
    return [value] if isinstance(value, str) else value


@cache
def service(prefix: str) -> dict[str, Any]:
    """The reference's chapter about a service."""
    found: dict[str, Any] = iam_data.get_service_prefix_data(prefix)
    return found


def action_of(name: str) -> dict[str, Any]:
    """An action of the reference; IAM takes any case, we write AWS's."""
    prefix, _, action = name.partition(":")
    found: dict[str, Any] = service(prefix)["privileges"][action]
    return found


def fits(prefix: str, kind: str, place: str) -> bool:
    """Whether an ARN pattern can match ARNs of a type of resource."""
    template = service(prefix)["resources"][kind]["arn"]
    known = "".join(
        ".+" if part.startswith("${") else re.escape(part)
        for part in re.split(r"(\$\{\w+\})", template)
    )
    return re.fullmatch(known.replace(":.+:.+:", ":[^:]*:[^:]*:", 1), place) is not None


def problems(statement: Statement) -> Iterator[str]:
    """What in a statement the reference does not know."""
    for name in listed(statement["Action"]):
        for place in listed(statement["Resource"]):
            if UNDOCUMENTED.fullmatch(f"{name} on {place}"):
                continue
            yield from problems_of(name, place, statement.get("Condition", {}))


def problems_of(name: str, place: str, condition: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What of an action on a resource under a condition the reference does not know."""
    try:
        action = action_of(name)
    except KeyError:
        yield f"{name}: no such action"
        return
    prefix, types = name.partition(":")[0], action["resource_types"]
    kinds = [kind for kind in types if kind and fits(prefix, kind, place)]
    if place == "*":
        free = not any(types) or action["access_level"] in ("List", "Read")
        if not free:
            yield f"{name}: allowed on *, and takes {', '.join(types)}"
    elif not kinds:
        yield f"{name}: {place} is none of {', '.join(types)}"
    keys = set(types.get("", {}).get("condition_keys", ()))
    for kind in kinds:
        keys |= set(types[kind]["condition_keys"])
        keys |= set(service(prefix)["resources"][kind]["condition_keys"])
    for operator, tests in condition.items():
        for key in tests:
            yield from problems_of_key(prefix, operator, key, keys)


def problems_of_key(prefix: str, operator: str, key: str, keys: set[str]) -> Iterator[str]:
    """What of a condition key the reference does not know."""
    general = re.sub(r"(Tag)/.+", r"\1/${TagKey}", key)
    if general not in keys:
        yield f"{key}: no condition key here"
        return
    kind = service(prefix)["conditions"][general]["type"]
    if operator not in OPERATORS[kind]:
        yield f"{key}: {operator} does not take a {kind}"


def test_the_reference_knows_every_action_resource_and_condition() -> None:
    found = {
        f"{where}: {problem}" for where, statement in printed() for problem in problems(statement)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("action", "place", "condition", "told"),
    [
        ("rds:CreateDBProxy", "arn:aws:rds:r:1:db-proxy:prx-*", {}, "is none of"),
        ("rds:DeleteDBProxy", "*", {}, "allowed on *"),
        ("rds:DeleteDBSecret", "*", {}, "no such action"),
        ("rds:ModifyDBProxy", "arn:aws:rds:r:1:db-proxy:p",
         {"StringEquals": {"aws:RequestTag/a": "b"}}, "no condition key"),
        ("kms:CreateGrant", "arn:aws:kms:r:1:key/*",
         {"StringEquals": {"kms:GrantIsForAWSResource": "true"}}, "does not take"),
    ],
)  # fmt: skip
def test_the_comparison_finds_what_is_wrong(
    action: str, place: str, condition: Mapping[str, Any], told: str
) -> None:
    (found,) = problems_of(action, place, condition)
    assert told in found
