"""The least that the caller must be allowed: an IAM policy, made from each resource's own list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import botocore.session

from provision.config import Config
from provision.environment import environment
from provision.resources.base import Resource
from provision.resources.references import substitute

# What is looked at before anything that costs is made, and by `doctor`.
PREFLIGHT = (
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBEngineVersions",
    "rds:DescribeDBMajorEngineVersions",
)
# What `--prices live` asks.
PRICES = ("pricing:GetProducts",)
# What a teardown's proof reads beside what the resources themselves ask for.
PROOF = (
    "rds:DescribeDBInstanceAutomatedBackups",
    "rds:DescribeDBSnapshots",
    "secretsmanager:ListSecrets",
)


def policy(config: Config, account: str = "*") -> dict[str, Any]:
    """Return the policy document that `up`, `plan`, `status`, `check` and `teardown` need.

    Calls nothing: without an account's number the ARNs are of any account.
    """
    region = config.environment.region
    partition = botocore.session.get_session().get_partition_for_region(region)
    known = {"aws": {"account": account, "region": region, "partition": partition}}
    resources = environment(config, packed=False)
    statements = [
        {
            "Effect": "Allow",
            "Action": sorted(actions),
            "Resource": substitute(json.loads(where), known),
            **({"Condition": json.loads(condition)} if condition != "null" else {}),
        }
        for (where, condition), actions in merged(resources).items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def merged(resources: Sequence[Resource]) -> dict[tuple[str, str], set[str]]:
    """Return the actions by what they are allowed on and under which condition (both as JSON)."""
    by_place: dict[tuple[str, str], set[str]] = {}
    statements = [statement for each in resources for statement in each.permissions()]
    for statement in [{"Action": PREFLIGHT + PRICES + PROOF, "Resource": ["*"]}, *statements]:
        where = json.dumps(statement["Resource"])
        condition = json.dumps(statement.get("Condition"))
        by_place.setdefault((where, condition), set()).update(statement["Action"])
    return by_actions(by_place)


def by_actions(by_place: dict[tuple[str, str], set[str]]) -> dict[tuple[str, str], set[str]]:
    """Return the same with places joined that allow the same actions (the roles, the functions)."""
    joined: dict[tuple[frozenset[str], str], list[str]] = {}
    for (where, condition), actions in by_place.items():
        joined.setdefault((frozenset(actions), condition), []).extend(json.loads(where))
    return {
        (json.dumps(sorted(set(places))), condition): set(actions)
        for (actions, condition), places in joined.items()
    }
