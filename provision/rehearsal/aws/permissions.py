"""Denies, as AWS would, the calls that given IAM policies do not allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provision.rehearsal.aws.access_keys import SOMEBODY_ELSE
from provision.rehearsal.aws.authorization import Check, checks
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.iam_policy import (
    Decision,
    Document,
    Grant,
    PolicyUnknownError,
    decide,
)
from provision.rehearsal.aws.refusals import AwsError, denied
from provision.rehearsal.aws.world import World

Policy = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One policy document, or all that a caller has."""


def check(world: World, call: Call) -> frozenset[str]:
    """Raises the service's own refusal (AwsError) unless the caller may do all that `call` needs.

    Returns the denied actions without which AWS answers less.
    """
    if world.caller is None:
        return frozenset()
    with world.lock:
        return world.caller.check(world, call)


def allows(world: World, call: Call, action: str, resource: str) -> bool:
    """Whether the caller of `call` may also do this. Raises AwsError (500) as `check`."""
    if world.caller is None or call.principal == SOMEBODY_ELSE:
        return True
    return bool(
        world.caller.may(Check(action, resource, {"aws:RequestedRegion": call.region})).allowed
    )


class Caller:
    """Whoever makes calls under policies. `used` has all grants that a call has needed so far."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.documents: list[Document] = [policy] if isinstance(policy, Mapping) else list(policy)
        self.used: set[Grant] = set()

    def check(self, world: World, call: Call) -> frozenset[str]:
        """See the function of this name."""
        missing = set()
        for each in checks(world, call):
            found = self.may(each)
            if not found.allowed and each.required:
                raise denied(call, each.action, each.resource, explicitly=found.denies)
            if not found.allowed:
                missing.add(each.action)
        return frozenset(missing)

    def may(self, check: Check) -> Decision:
        """Whether the policies allow what is asked.

        Raises AwsError (500) for a policy that uses what the evaluator does not know.
        """
        try:
            found = decide(self.documents, check.action, check.resource, check.context)
        except PolicyUnknownError as error:
            raise AwsError("InternalFailure", f"the rehearsal's policy: {error}", 500) from None
        self.used.update(found.grants)
        return found
