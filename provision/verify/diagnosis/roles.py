"""What can be wrong with a role, whoever uses it: missing, not trusted, or not allowed enough."""

from __future__ import annotations

from collections.abc import Iterator

from provision.resources.base import Resource
from provision.resources.iam import Role
from provision.verify.diagnosis.cause import Cause, is_should
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import allowed_on, allows, trusted, trusts


def missing_role(evidence: Evidence, role: Role, what: str) -> Iterator[Cause]:
    """Yield that a role does not exist."""
    if evidence.missing(role):
        yield Cause(f"{what} is missing", f"GetRole: no {evidence.name(role)}")


def not_assumed(evidence: Evidence, role: Role, service: str, sentence: str) -> Iterator[Cause]:
    """Yield that a service may not assume a role."""
    trust = evidence.is_(role, "AssumeRolePolicyDocument")
    if trust is not None and not trusts(trust, service):
        who = f"who may assume {evidence.name(role)}"
        yield Cause(sentence, is_should(who, trusted(trust), service))


def not_allowed(
    evidence: Evidence, role: Role, action: str, on: Resource, sentence: str
) -> Iterator[Cause]:
    """Yield that a role's policies do not allow an action on a resource that exists."""
    policies, target = evidence.is_(role, "Policies"), evidence.seen(on)
    if policies is None or target is None:
        return
    documents, arn = policies.values(), target.outputs["arn"]
    if not allows(documents, action, arn):
        what = f"{action} of {evidence.name(role)}"
        yield Cause(sentence, is_should(what, allowed_on(documents, action), arn))
