"""Reads IAM policy documents as far as a diagnosis needs; and what can be wrong with a role.

Neither a statement's Condition nor NotAction and NotResource are evaluated: such an Allow counts as
an Allow, so that a policy is never blamed for what it may well grant.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from provision.resources.base import Resource
from provision.resources.iam import Role
from provision.verify.diagnosis.cause import Cause, is_should
from provision.verify.diagnosis.evidence import Evidence

Document = Mapping[str, Any]


def allows(documents: Iterable[Document], action: str, resource: str) -> bool:
    """Return whether the policies allow an action on a resource, and none denies it."""
    documents = list(documents)
    return not denies(documents, action, resource) and any(
        unread(statement)
        or (about(statement, action) and matches(listed(statement, "Resource"), resource))
        for statement in statements(documents)
        if statement.get("Effect") == "Allow"
    )


def denies(documents: Iterable[Document], action: str, resource: str) -> bool:
    """Return whether a policy denies an action on a resource."""
    return any(
        about(statement, action) and matches(listed(statement, "Resource"), resource)
        for statement in statements(documents)
        if statement.get("Effect") == "Deny"
    )


def allowed_on(documents: Iterable[Document], action: str) -> list[str]:
    """Return the resources on which the policies allow an action, as they are written."""
    return [
        resource
        for statement in statements(documents)
        if statement.get("Effect") == "Allow" and about(statement, action)
        for resource in listed(statement, "Resource")
    ]


def about(statement: Mapping[str, Any], action: str) -> bool:
    """Return whether a statement names an action; their case does not count."""
    return matches(map(str.lower, listed(statement, "Action")), action.lower())


def unread(statement: Mapping[str, Any]) -> bool:
    """Return whether a statement says what it is not about, which is not evaluated here either."""
    return "NotAction" in statement or "NotResource" in statement


def trusts(document: Document, service: str) -> bool:
    """Return whether a trust policy lets a service assume the role."""
    return any(
        statement.get("Effect") == "Allow"
        and about(statement, "sts:AssumeRole")
        and service in principals(statement)
        for statement in statements([document])
    )


def trusted(document: Document) -> list[str]:
    """Return the services that a trust policy lets assume the role."""
    services = {name for statement in statements([document]) for name in principals(statement)}
    return sorted(name for name in services if trusts(document, name))


def principals(statement: Mapping[str, Any]) -> list[str]:
    """Return the services that a trust policy's statement names."""
    principal = statement.get("Principal")
    return listed(principal, "Service") if isinstance(principal, Mapping) else []


def statements(documents: Iterable[Document]) -> Iterator[Mapping[str, Any]]:
    """Yield every statement of the documents."""
    for document in documents:
        found = document.get("Statement", ())
        yield from [found] if isinstance(found, Mapping) else found


def listed(mapping: Mapping[str, Any], key: str) -> list[str]:
    """Return a value that IAM lets be a text or a list of texts, as a list."""
    found = mapping.get(key, ())
    return [found] if isinstance(found, str) else list(found)


def matches(patterns: Iterable[str], text: str) -> bool:
    """Return whether a text fits one of IAM's patterns, with their `*` and `?`."""
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text)
        for pattern in patterns
    )


# --- what can be wrong with a role, whoever uses it -----------------------------------------------


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
