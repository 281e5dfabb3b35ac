"""What the services of AWS find out about a role: whether they may assume it, and its policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from provision.rehearsal.aws.iam_policy import (
    Document,
    PolicyUnknownError,
    decide_for_service,
    parse_document,
)
from provision.rehearsal.aws.world import World

RDS_ROLE = "AWSServiceRoleForRDS"


@dataclass
class Young:
    """From when on roles can be assumed, and how often a service could not yet, by name."""

    made: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


def find(world: World, role_arn: str) -> Any:
    """moto's role of that ARN, or None."""
    roles = world.backend("iam").roles.values()
    return next((role for role in roles if role.arn == role_arn), None)


def policies(world: World, role_arn: str) -> list[Document]:
    """The role's policy documents, inline and attached; none when there is no such role."""
    role = find(world, role_arn)
    if role is None:
        return []
    texts = list(role.policies.values())
    for policy in role.managed_policies.values():
        texts += [version.document for version in policy.versions if version.is_default]
    return [parse_document(text) for text in texts]


def trusts(world: World, role_arn: str, service: str) -> bool:
    """Whether the role exists and lets `service` (as rds.amazonaws.com) assume it."""
    role = find(world, role_arn)
    if role is None:
        return False
    try:
        trust = parse_document(role.assume_role_policy_document)
        return decide_for_service(trust, service, "sts:AssumeRole").allowed
    except (PolicyUnknownError, ValueError):
        return False


def assumable(world: World, role_arn: str, service: str) -> bool:
    """Whether `service` can assume the role by now; a fresh role fails once at least."""
    if not trusts(world, role_arn, service):
        return False
    name = role_arn.rpartition("/")[2]
    young = world.memory(Young)
    if not world.behaviours.consistency or name not in young.made:
        return True
    now, refused = world.clock.now(), young.refused.get(name, 0)
    latest = young.made[name] + world.durations.id_visible_at_latest
    if now >= latest or (now >= young.ready[name] and refused):
        return True
    young.refused[name] = refused + 1
    return False


def has_service_linked_role(world: World) -> bool:
    """Whether the account has RDS's own role; a new account has not."""
    return RDS_ROLE in [role.name for role in world.backend("iam").roles.values()]
