"""Registered targets, and what keeps an RDS Proxy from its database: target health's reasons.

See the guide's "Troubleshooting for RDS Proxy" for the reasons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class HealthProblem:
    """`Reason` and `Description` of a target that is UNAVAILABLE."""

    reason: str
    description: str


@dataclass
class Target:
    """A registered target: until when it is in which state, and when it last had a problem."""

    registered: float
    capacity: float
    policy_seen: float
    creating: tuple[str, str]  # state and reason for as long as the instance is `creating`
    troubled: float = 0.0
    problem: HealthProblem | None = None


class Targets(dict[tuple[str, str], Target]):
    """Registered targets by proxy and instance."""

    def rename_proxy(self, old: str, new: str) -> None:
        """Let the targets of the proxy `old` be those of `new`."""
        for proxy, instance in [key for key in self if key[0] == old]:
            self[new, instance] = self.pop((proxy, instance))

    def forget_proxy(self, name: str) -> None:
        """Forget the targets of a proxy."""
        for key in [key for key in self if key[0] == name]:
            del self[key]


NO_CREDENTIALS = "Proxy does not have any registered credentials"


def secret_problem(
    secret: str | None, user: str | None, password: str | None
) -> HealthProblem | None:
    """Whether the secret's text (None: no such secret) logs in as the instance's master user."""
    if secret is None:
        return HealthProblem("AUTH_FAILURE", NO_CREDENTIALS)
    try:
        login = json.loads(secret)
        given = login["username"], login["password"]
    except (KeyError, TypeError, ValueError):
        return HealthProblem("AUTH_FAILURE", NO_CREDENTIALS)
    if given != (user, password):
        return HealthProblem(
            "AUTH_FAILURE",
            "DBProxy Target unavailable: the database refuses the credentials in the secret of "
            f"user {given[0]}",
        )
    return None


def role_problem(readable: bool) -> HealthProblem | None:
    """Whether the proxy can assume its role, and read the secret with it."""
    return None if readable else HealthProblem("AUTH_FAILURE", NO_CREDENTIALS)


def path_problem(blocked: str) -> HealthProblem | None:
    """`blocked` says why no connection gets through; "" when one does."""
    if not blocked:
        return None
    return HealthProblem("UNREACHABLE", "DBProxy Target unavailable due to an internal error")
