"""What the services of AWS find out about a role: whether they may assume it, and its policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from provision.rehearsal.aws.behaviours.consistency import New
from provision.rehearsal.aws.calls import ACCOUNT
from provision.rehearsal.aws.iam_policy import (
    Decision,
    Document,
    PolicyUnknownError,
    decide,
    decide_assumption,
    parse_document,
)
from provision.rehearsal.aws.world import World

RDS_ROLE = "AWSServiceRoleForRDS"


class Young(dict[str, New]):
    """Roles that were made lately, by name: from when on they can be assumed."""


def find(world: World, role_arn: str) -> Any:
    """moto's role of that ARN, or None."""
    roles = world.backend("iam").roles.values()
    return next((role for role in roles if role.arn == role_arn), None)


def trusts(world: World, role_arn: str, service: str) -> Decision:
    """Whether the role exists and lets `service` (as rds.amazonaws.com) assume it."""

    def judge(role: Any) -> Decision:
        trust = parse_document(role.assume_role_policy_document)
        return decide_assumption(trust, service, ACCOUNT)

    return _judged(world, role_arn, judge)


def may(world: World, role_arn: str, action: str, resource: str = "*") -> Decision:
    """Whether the role's policies, inline and attached, allow this within its boundary."""

    def judge(role: Any) -> Decision:
        inline = [parse_document(text) for text in role.policies.values()]
        attached = [_default_version(policy) for policy in role.managed_policies.values()]
        return decide(inline + attached, action, resource, boundary=_boundary(world, role))

    return _judged(world, role_arn, judge)


def may_as(world: World, service: str, role_arn: str, action: str, resource: str) -> Decision:
    """Whether `service` may assume the role, and the role do this then."""
    trusted = trusts(world, role_arn, service)
    return may(world, role_arn, action, resource) if trusted.allowed else trusted


def _judged(world: World, role_arn: str, judge: Callable[[Any], Decision]) -> Decision:
    """What `judge` finds; not allowed where that is unknown, or the role does not exist."""
    role = find(world, role_arn)
    if role is None:
        return Decision(False, f"role {role_arn} does not exist")
    try:
        found = judge(role)
    except (PolicyUnknownError, ValueError) as error:
        found = Decision(False, str(error))
    return replace(found, reason=f"role {role.name}: {found.reason}")


def _boundary(world: World, role: Any) -> Document | None:
    """The role's permissions boundary, if it has one; one that is not there allows nothing."""
    if not role.permissions_boundary_arn:
        return None
    policy = world.backend("iam").managed_policies.get(role.permissions_boundary_arn)
    return {"Statement": []} if policy is None else _default_version(policy)


def _default_version(policy: Any) -> Document:
    (text,) = [version.document for version in policy.versions if version.is_default]
    return parse_document(text)


def assumable(world: World, role_arn: str, service: str) -> bool:
    """Whether `service` can assume the role by now; a fresh role fails once at least."""
    if not trusts(world, role_arn, service).allowed:
        return False
    young = world.memory(Young).get(role_arn.rpartition("/")[2])
    return not (world.behaviours.consistency and young is not None and young.missed(world))


def has_service_linked_role(world: World) -> bool:
    """Whether the account has RDS's own role; a new account has not."""
    return RDS_ROLE in [role.name for role in world.backend("iam").roles.values()]
