"""Evaluates IAM policy documents: the part of the language that this environment uses.

Follows https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html:
an explicit Deny wins, then an Allow, which a permissions boundary has to allow as well, else it is
denied. Whatever it does not know makes it raise: a rehearsal that guesses would prove nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, str | Sequence[str]]
"""Condition keys (as AWS writes them) and their values in this request."""


class PolicyUnknownError(Exception):
    """A policy uses a part of the language that is not evaluated here."""


@dataclass(frozen=True, order=True)
class Grant:
    """What of the documents allows a request: indexes, and the patterns that matched."""

    document: int
    statement: int
    action: str
    resource: str


@dataclass(frozen=True)
class Decision:
    """Whether a request is allowed, and why. `denies`: a policy denies it explicitly."""

    allowed: bool
    reason: str
    denies: bool = False
    grants: tuple[Grant, ...] = ()


_KNOWN = {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
_STRINGS = ("StringEquals", "StringEqualsIgnoreCase", "StringLike")
_ARNS = ("ArnEquals", "ArnLike")
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
_OPERATOR = re.compile(r"(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?")
# Condition keys that a request may lack here as at AWS. Any other key that a request does not
# carry is one that the rehearsal does not know.
_MODELLED = re.compile(
    r"aws:(RequestTag|ResourceTag)/.+|aws:(TagKeys|RequestedRegion|SourceAccount|SourceArn)"
    r"|ec2:(CreateAction|ResourceTag/.+)|iam:(AWSServiceName|PassedToService|PermissionsBoundary"
    r"|PolicyARN|ResourceTag/.+)|kms:(GrantIsForAWSResource|ViaService)|rds:TagsFromRequest",
    re.IGNORECASE,
)


def decide(
    documents: Iterable[Document],
    action: str,
    resource: str,
    context: Context | None = None,
    boundary: Document | None = None,
) -> Decision:
    """Whether identity policies, within a permissions boundary, allow an action on a resource.

    Raises PolicyUnknownError when it depends on what is not evaluated here.
    """
    found = _decide(list(documents), action, resource, context or {})
    if boundary is None or found.denies:
        return found
    within = _decide([boundary], action, resource, context or {})
    if within.denies:
        return Decision(False, f"the permissions boundary denies {action} on {resource}", True)
    if found.allowed and not within.allowed:
        return Decision(False, f"no permissions boundary allows {action} on {resource}")
    return found


def _decide(documents: list[Document], action: str, resource: str, context: Context) -> Decision:
    about = [
        (number, index, statement, pattern)
        for number, document in enumerate(documents)
        for index, statement in enumerate(_statements(document))
        for pattern in _list(statement, "Action")
        if _like(pattern, action, ignore_case=True)
    ]
    hits = [
        (statement, Grant(number, index, pattern, place))
        for number, index, statement, pattern in about
        for place in _list(statement, "Resource")
        if _like(place, resource) and _condition(statement, context)
    ]
    if any(not _allows(statement) for statement, _ in hits):
        return Decision(False, f"a policy denies {action} on {resource}", True)
    if hits:
        grants = tuple(grant for _, grant in hits)
        return Decision(True, f"a policy allows {action} on {resource}", grants=grants)
    elsewhere = sorted(
        {item for _, _, s, _ in about for item in _list(s, "Resource") if _allows(s)}
    )
    if elsewhere:
        given = ", ".join(elsewhere)
        if any(_like(place, resource) for place in elsewhere):
            return Decision(False, f"{action} is allowed on {given}, under conditions that fail")
        return Decision(False, f"{action} is allowed on {given}, but not on {resource}")
    return Decision(False, f"no policy allows {action}")


def decide_for_service(
    document: Document,
    service: str,
    action: str,
    resource: str | None = None,
    context: Context | None = None,
) -> Decision:
    """Whether a resource's own policy lets an AWS service in.

    A role's trust policy has no Resource; a function's policy has one. Raises PolicyUnknownError.
    """
    hits = [
        s
        for s in _statements(document)
        if any(_like(pattern, action, ignore_case=True) for pattern in _list(s, "Action"))
        and service in _services(s)
        and (resource is None or any(_like(place, resource) for place in _list(s, "Resource")))
        and _condition(s, context or {})
    ]
    if any(not _allows(statement) for statement in hits):
        return Decision(False, f"the policy denies {action} to {service}", True)
    if hits:
        return Decision(True, f"the policy allows {action} to {service}")
    return Decision(False, f"the policy does not allow {action} to {service}")


def decide_assumption(document: Document, service: str, account: str) -> Decision:
    """Whether a trust policy lets an AWS service that acts for an account assume the role.

    AWS does not document which services send `aws:SourceAccount`, so it has to be right both ways:
    with the account, and without it. Raises PolicyUnknownError.
    """
    for context in ({"aws:SourceAccount": account}, {}):
        found = decide_for_service(document, service, "sts:AssumeRole", context=context)
        if not found.allowed:
            return Decision(False, f"its trust policy does not let {service} assume it")
    return found


def _statements(document: Document) -> Iterator[Mapping[str, Any]]:
    given = document.get("Statement", [])
    for statement in [given] if isinstance(given, Mapping) else given:
        unknown = set(statement) - _KNOWN
        if unknown:
            names = ", ".join(sorted(unknown))
            raise PolicyUnknownError(f"a policy uses {names}, which is not evaluated here")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise PolicyUnknownError(f"a policy's Effect is {statement.get('Effect')!r}")
        yield statement


def _allows(statement: Document) -> bool:
    return bool(statement["Effect"] == "Allow")


def _list(statement: Document, key: str) -> list[str]:
    given = statement.get(key, [])
    values = [given] if isinstance(given, str) else list(given)
    if any("${" in value for value in values):
        raise PolicyUnknownError("a policy uses a variable, which is not evaluated here")
    return values


def _like(pattern: str, value: str, ignore_case: bool = False) -> bool:
    return _compiled(pattern, ignore_case).fullmatch(value) is not None


@cache
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    # Not fnmatch: brackets mean nothing special in a policy.
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _services(statement: Document) -> list[str]:
    principal = statement.get("Principal", {})
    if not isinstance(principal, Mapping):
        raise PolicyUnknownError("a policy's Principal is not a list of services")
    return _list(principal, "Service")


def _condition(statement: Document, context: Context) -> bool:
    """Whether all conditions of a statement are met."""
    known = {name.lower(): value for name, value in context.items()}
    return all(
        _test(operator, name, _values(tests[name]), known)
        for operator, tests in statement.get("Condition", {}).items()
        for name in tests
    )


def _values(given: Any) -> list[str]:
    """A condition's values; JSON's true and false as IAM reads them."""
    values = given if isinstance(given, list | tuple) else [given]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]


def _test(
    operator: str, name: str, wanted: list[str], known: Mapping[str, str | Sequence[str]]
) -> bool:
    if any("${" in value for value in wanted):
        raise PolicyUnknownError("a policy uses a variable, which is not evaluated here")
    match = _OPERATOR.fullmatch(operator)
    qualifier, plain, if_exists = match.groups() if match else ("", operator, "")
    negated = plain in _NEGATED
    plain = _NEGATED.get(plain, plain)
    if plain not in (*_STRINGS, *_ARNS, "Bool", "Null"):
        raise PolicyUnknownError(f"the condition {operator} is not evaluated here")
    given = known.get(name.lower())
    if given is None and not _MODELLED.fullmatch(name):
        raise PolicyUnknownError(f"the condition key {name} is not evaluated here")
    if plain == "Null":
        return str(given is None).lower() in [value.lower() for value in wanted]
    if given is None:
        return bool(if_exists) or negated or qualifier == "ForAllValues"
    values = [given] if isinstance(given, str) else list(given)
    found = [any(_same(plain, value, each) for each in wanted) is not negated for value in values]
    return all(found) if qualifier == "ForAllValues" or negated else any(found)


def _same(operator: str, value: str, wanted: str) -> bool:
    if operator in _ARNS:
        parts, patterns = value.split(":", 5), wanted.split(":", 5)
        return len(parts) == len(patterns) and all(map(_like, patterns, parts))
    if operator == "StringLike":
        return _like(wanted, value)
    if operator in ("Bool", "StringEqualsIgnoreCase"):
        return value.lower() == wanted.lower()
    return value == wanted


def parse_document(given: str | Document) -> Document:
    """A policy document as a mapping; botocore decodes those of IAM itself, others are text."""
    document = json.loads(given) if isinstance(given, str) else given
    if not isinstance(document, Mapping):
        raise PolicyUnknownError("a policy is not a JSON object")
    return document
