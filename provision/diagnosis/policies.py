"""Reads IAM policy documents, as far as a diagnosis needs: what is allowed, on what, to whom.

A statement's Condition is not evaluated: such an Allow counts as an Allow, so that a policy is
never blamed for what it may well grant.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]


def allows(documents: Iterable[Document], action: str, resource: str) -> bool:
    """Return whether the policies allow an action on a resource, and none denies it."""
    effects = {
        statement.get("Effect")
        for statement in statements(documents)
        if matches(listed(statement, "Action"), action.lower(), lower=True)
        and matches(listed(statement, "Resource"), resource)
    }
    return "Allow" in effects and "Deny" not in effects


def denies(documents: Iterable[Document], action: str, resource: str) -> bool:
    """Return whether a policy denies an action on a resource."""
    return any(
        statement.get("Effect") == "Deny"
        and matches(listed(statement, "Action"), action.lower(), lower=True)
        and matches(listed(statement, "Resource"), resource)
        for statement in statements(documents)
    )


def allowed_on(documents: Iterable[Document], action: str) -> list[str]:
    """Return the resources on which the policies allow an action, as they are written."""
    return [
        resource
        for statement in statements(documents)
        if statement.get("Effect") == "Allow"
        and matches(listed(statement, "Action"), action.lower(), lower=True)
        for resource in listed(statement, "Resource")
    ]


def trusts(document: Document, service: str) -> bool:
    """Return whether a trust policy lets a service assume the role."""
    return any(
        statement.get("Effect") == "Allow"
        and matches(listed(statement, "Action"), "sts:assumerole", lower=True)
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


def matches(patterns: Iterable[str], text: str, *, lower: bool = False) -> bool:
    """Return whether a text fits one of IAM's patterns, with their `*` and `?`."""
    for pattern in patterns:
        wanted = re.escape(pattern.lower() if lower else pattern)
        if re.fullmatch(wanted.replace(r"\*", ".*").replace(r"\?", "."), text):
            return True
    return False
