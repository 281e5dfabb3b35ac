"""Denies, as AWS would, the calls that a given IAM policy does not allow."""

from __future__ import annotations

from provision.rehearsal.aws.access_keys import SOMEBODY_ELSE
from provision.rehearsal.aws.calls import Call, iam_actions, iam_context
from provision.rehearsal.aws.iam_policy import PolicyUnknownError, decide
from provision.rehearsal.aws.refusals import AwsError, denied
from provision.rehearsal.aws.world import World


def check(world: World, call: Call) -> None:
    """Raises the service's own refusal (AwsError) unless the policy allows all that `call` needs.

    A policy that uses what the evaluator does not know is answered with a 500 that says so.
    """
    if world.policy is None:
        return
    for action, resource in iam_actions(call):
        if not allows(world, call, action, resource):
            raise denied(call, action, resource)


def allows(world: World, call: Call, action: str, resource: str) -> bool:
    """Whether the caller of `call` may also do this. Raises AwsError (500) as `check`."""
    if world.policy is None or call.principal == SOMEBODY_ELSE:
        return True
    try:
        return decide([world.policy], action, resource, iam_context(call, action)).allowed
    except PolicyUnknownError as error:
        raise AwsError("InternalFailure", f"the rehearsal's policy: {error}", 500) from None
