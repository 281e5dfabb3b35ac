"""IAM: malformed documents refused, AWS's own policies and service-linked roles as AWS has them."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from provision.rehearsal.aws.behaviours.consistency import New
from provision.rehearsal.aws.behaviours.iam_roles import Young
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.iam_policy import PolicyUnknownError, parse_document
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World, refusing


def create_role(world: World, call: Call, proceed: Proceed) -> Answer:
    """A service cannot assume it for some seconds; see `iam_roles.assumable`."""
    if world.behaviours.refusals:
        _well_formed(call.get("AssumeRolePolicyDocument", ""), "Principal")
    _check_boundary(world, call)
    answer = proceed()
    name, now = call.get("RoleName", ""), world.clock.now()
    world.memory(Young)[name] = New(now, now + world.takes("role_assumable", name))
    return answer


@refusing
def update_assume_role_policy(world: World, call: Call) -> None:
    """Refuses a malformed trust policy."""
    _well_formed(call.get("PolicyDocument", ""), "Principal")


def put_role_permissions_boundary(world: World, call: Call, proceed: Proceed) -> None:
    """Refuses a boundary that does not exist."""
    _check_boundary(world, call)


def _check_boundary(world: World, call: Call) -> None:
    arn = call.get("PermissionsBoundary")
    if not arn:
        return
    _make_known(world, arn)
    if world.behaviours.refusals and arn not in world.backend("iam").managed_policies:
        message = f"Policy {arn} does not exist or is not attachable."
        raise AwsError("NoSuchEntity", message, 404)


@refusing
def put_role_policy(world: World, call: Call) -> None:
    """Refuses a malformed policy."""
    _well_formed(call.get("PolicyDocument", ""), "Resource")


def attach_role_policy(world: World, call: Call, proceed: Proceed) -> None:
    """AWS's own policies are there to be attached."""
    _make_known(world, call.get("PolicyArn", ""))


detach_role_policy = attach_role_policy
get_policy = attach_role_policy
get_policy_version = attach_role_policy


def create_service_linked_role(world: World, call: Call, proceed: Proceed) -> Answer:
    """RDS's is AWSServiceRoleForRDS; a second one is InvalidInput, not EntityAlreadyExists."""
    from moto.iam import models

    models.SERVICE_NAME_CONVERSION.setdefault("rds", "RDS")
    try:
        return proceed()
    except AwsError as error:
        if error.code != "EntityAlreadyExists":
            raise
        name = error.message.split("name ")[-1].split(" ")[0]
        message = (
            f"Service role name {name} has been taken in this account, please try a different "
            "suffix."
        )
        raise AwsError("InvalidInput", message, 400) from None


def _well_formed(text: str, needs: str) -> None:
    """Raises MalformedPolicyDocument for what IAM cannot read as a policy."""
    try:
        document = parse_document(text)
        found = document["Statement"]
        for statement in found if isinstance(found, list) else [found]:
            # NotAction stands for Action, and so on.
            if not {"Effect", "Action", needs} <= {name.removeprefix("Not") for name in statement}:
                raise KeyError(needs)
    except (KeyError, TypeError, ValueError, PolicyUnknownError) as error:
        invalid = isinstance(error, json.JSONDecodeError)
        message = "This policy contains invalid Json" if invalid else "Syntax errors in policy."
        raise AwsError("MalformedPolicyDocument", message, 400) from None


@cache
def _aws_policy(name: str) -> dict[str, Any] | None:
    """Return one of AWS's own policies: reading all of moto's five million letters takes long."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data as policies

    found = re.search(rf"^\s*{re.escape(json.dumps(name))}:\s*", policies, re.MULTILINE)
    policy: dict[str, Any] | None = None
    if found:
        policy, _ = json.JSONDecoder().raw_decode(policies, found.end())
    return policy


def _make_known(world: World, arn: str) -> None:
    """Lets moto have one of AWS's own policies: all of them would take most of a second."""
    from moto.iam.models import AWSManagedPolicy

    backend = world.backend("iam")
    owner, _, name = arn.partition(":policy/")
    name = name.rpartition("/")[2]
    if not owner.endswith(":iam::aws") or arn in backend.managed_policies:
        return
    data = _aws_policy(name)
    if data is None:
        return
    policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
    backend.managed_policies[policy.arn] = policy
