"""Evaluates IAM policy documents: the part of the language that this environment uses.

Follows https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html:
an explicit Deny wins, then an Allow, else it is denied. Whatever it does not know makes it raise:
a rehearsal that guesses would prove nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, str]
"""Condition keys (as AWS writes them) and their values in this request."""


class PolicyUnknownError(Exception):
    """A policy uses a part of the language that is not evaluated here."""


@dataclass(frozen=True)
class Decision:
    """Whether a request is allowed, and why."""

    allowed: bool
    reason: str


_KNOWN = {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
_OPERATORS = {
    "StringEquals": False,
    "ArnEquals": True,
    "StringLike": True,
    "ArnLike": True,
}
"""Condition operators, and whether their values may have wildcards."""


def decide(
    documents: Iterable[Document], action: str, resource: str, context: Context | None = None
) -> Decision:
    """Whether identity policies allow an action on a resource.

    Raises PolicyUnknownError when it depends on what is not evaluated here.
    """
    statements = [statement for document in documents for statement in _statements(document)]
    about = [s for s in statements if _any_match(s, "Action", action, ignore_case=True)]
    hits = [
        s for s in about if _any_match(s, "Resource", resource) and _condition(s, context or {})
    ]
    if any(statement["Effect"] == "Deny" for statement in hits):
        return Decision(False, f"a policy denies {action} on {resource}")
    if hits:
        return Decision(True, f"a policy allows {action} on {resource}")
    elsewhere = sorted({item for s in about for item in _list(s, "Resource") if _allows(s)})
    if elsewhere:
        given = ", ".join(elsewhere)
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
        if _any_match(s, "Action", action, ignore_case=True)
        and service in _services(s)
        and (resource is None or _any_match(s, "Resource", resource))
        and _condition(s, context or {})
    ]
    if any(statement["Effect"] == "Deny" for statement in hits):
        return Decision(False, f"the policy denies {action} to {service}")
    if hits:
        return Decision(True, f"the policy allows {action} to {service}")
    return Decision(False, f"the policy does not allow {action} to {service}")


def _statements(document: Document) -> list[dict[str, Any]]:
    given = document.get("Statement", [])
    statements = [given] if isinstance(given, Mapping) else list(given)
    for statement in statements:
        unknown = set(statement) - _KNOWN
        if unknown:
            names = ", ".join(sorted(unknown))
            raise PolicyUnknownError(f"a policy uses {names}, which is not evaluated here")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise PolicyUnknownError(f"a policy's Effect is {statement.get('Effect')!r}")
    return [dict(statement) for statement in statements]


def _allows(statement: Document) -> bool:
    return bool(statement["Effect"] == "Allow")


def _list(statement: Document, key: str) -> list[str]:
    given = statement.get(key, [])
    values = [given] if isinstance(given, str) else list(given)
    if any("${" in value for value in values):
        raise PolicyUnknownError("a policy uses a variable, which is not evaluated here")
    return values


def _any_match(statement: Document, key: str, value: str, *, ignore_case: bool = False) -> bool:
    return any(_like(pattern, value, ignore_case) for pattern in _list(statement, key))


def _like(pattern: str, value: str, ignore_case: bool = False) -> bool:
    # Not fnmatch: brackets mean nothing special in a policy.
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.fullmatch("".join(parts), value, flags) is not None


def _services(statement: Document) -> list[str]:
    principal = statement.get("Principal", {})
    if not isinstance(principal, Mapping):
        raise PolicyUnknownError("a policy's Principal is not a list of services")
    return _list(principal, "Service")


def _condition(statement: Document, context: Context) -> bool:
    known = {name.lower(): value for name, value in context.items()}
    for operator, tests in statement.get("Condition", {}).items():
        if operator not in _OPERATORS:
            raise PolicyUnknownError(f"the condition {operator} is not evaluated here")
        for name in tests:
            if name.lower() not in known:
                raise PolicyUnknownError(f"the condition key {name} is not known here")
            value, wanted = known[name.lower()], _list(tests, name)
            wild = _OPERATORS[operator]
            if not any(_like(w, value) if wild else w == value for w in wanted):
                return False
    return True


def parse_document(given: str | Document) -> Document:
    """A policy document as a mapping; botocore decodes those of IAM itself, others are text."""
    document = json.loads(given) if isinstance(given, str) else given
    if not isinstance(document, Mapping):
        raise PolicyUnknownError("a policy is not a JSON object")
    return document
