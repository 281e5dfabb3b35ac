"""Registered targets, and what keeps an RDS Proxy from its database: target health's reasons.

See the guide's "Troubleshooting for RDS Proxy" for the reasons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from provision.rehearsal.aws.world import Answer


@dataclass
class Target:
    """A registered target: until when it is in which state, and when it last had a problem."""

    registered: float
    capacity: float
    policy_seen: float
    creating: Answer  # its health for as long as the instance is `creating`
    troubled: float = 0.0
    problem: Answer | None = None


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


def unavailable(reason: str, description: str) -> Answer:
    """The health of a target that no connection gets to."""
    return {"State": "UNAVAILABLE", "Reason": reason, "Description": description}


def secret_problem(secret: str | None, user: str | None, password: str | None) -> Answer | None:
    """Whether the secret's text logs in as the instance's master user.

    None: there is no such secret, or the proxy cannot read it with its role.
    """
    try:
        login = json.loads(secret or "")
        given = login["username"], login["password"]
    except (KeyError, TypeError, ValueError):
        return unavailable("AUTH_FAILURE", "Proxy does not have any registered credentials")
    if given == (user, password):
        return None
    return unavailable(
        "AUTH_FAILURE",
        "DBProxy Target unavailable: the database refuses the credentials in the secret of "
        f"user {given[0]}",
    )
