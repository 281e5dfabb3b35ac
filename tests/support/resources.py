"""Single resources of a template, and a fake AWS to try them on: what do they ask of AWS?"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from provision.aws.account import Aws
from provision.config import Config
from provision.environment import environment
from provision.resources.base import Change, ManagedResource, Resource, Seen
from provision.resources.references import bind
from tests.support.answers import AnsweringAws, Answers
from tests.support.names import ACCOUNT, NAME, REGION

ARN = f"arn:aws:rds:{REGION}:{ACCOUNT}"
# What AWS has answered about the others, as far as these tests look at it.
KNOWN = {
    "aws": {"account": ACCOUNT, "region": REGION, "partition": "aws"},
    "vpc": {"id": "vpc-1"},
    "availability-zones": {"first": f"{REGION}a", "second": f"{REGION}c"},
    "subnet-function": {"id": "subnet-f"},
    "subnet-database-1": {"id": "subnet-1"},
    "subnet-database-2": {"id": "subnet-2"},
    **{
        f"security-group-{tier}": {"id": f"sg-{tier}"} for tier in ("function", "proxy", "database")
    },
    "service-linked-role": {"arn": "arn:aws:iam::aws:role/rds"},
    "secret": {"arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:s", "password": "pw"},
    "db-subnet-group": {"group": f"{NAME}-database"},
    "db-instance": {"id": f"{NAME}-database"},
    "role-proxy": {
        "arn": f"arn:aws:iam::{ACCOUNT}:role/proxy",
        "granted": f"arn:aws:iam::{ACCOUNT}:role/proxy",
    },
    "proxy-iam": {"proxy": f"{NAME}-iam", "resource_id": "prx-1", "endpoint": "iam.proxy"},
    "proxy-password": {"proxy": f"{NAME}-password", "endpoint": "password.proxy"},
    "api": {"id": "api-1"},
    "role-api": {"arn": f"arn:aws:iam::{ACCOUNT}:role/api"},
    "function-iam": {"arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:iam"},
    "integration-iam": {"id": "int-1"},
}


def resource(step: str, **fields: Any) -> Any:
    """A resource of the default configuration, with its references replaced, and `fields` set."""
    (found,) = (each for each in environment(Config(), packed=False) if each.step == step)
    return dataclasses.replace(bind(found, KNOWN), **fields)


@contextlib.contextmanager
def answering(answers: Answers | None = None, environment: str = NAME) -> Iterator[AnsweringAws]:
    """An AWS that answers from a table, and keeps what it was asked."""
    with contextlib.closing(AnsweringAws(environment, answers or {})) as aws:
        yield aws


def seen_of(resource: Resource, aws: Aws, **known: str) -> Seen:
    """The resource as it is found; it has to be there."""
    found = resource.find(aws, known)
    assert found is not None
    return found


def changes_of(resource: ManagedResource, aws: Aws, seen: Seen) -> dict[str, Change]:
    """What differs, by property."""
    return {each.property: each for each in resource.differences(seen, aws)}


def ours(step: str, environment: str = NAME) -> dict[str, str]:
    """The two tags by which a resource is this environment's."""
    return {"provision:environment": environment, "provision:step": step}
