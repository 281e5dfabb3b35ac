"""What the rehearsal's data plane knows and its clients must not: why something was refused.

RDS Proxy tells a refused client only "Access denied", API Gateway only "Internal Server Error".
The reasons collect here. No password, token or key is ever in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Refusal:
    """Something was refused or failed. `code`: what the client was told, such as 1045 or 500."""

    at: datetime
    where: str
    code: int | str
    reason: str


@dataclass(frozen=True)
class LoginReport:
    """A login at a stand-in proxy. `method`: password or iam; `tls`: its version, or `none`."""

    at: datetime
    proxy: str
    user: str
    method: str
    tls: str
    accepted: bool
    code: int
    reason: str


class Report(list[Refusal]):
    """All refusals, oldest first; and every login, accepted or not, in `logins`.

    Threads append to both, which Python does to a list in one step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logins: list[LoginReport] = []

    def refused(self, where: str, code: int | str, reason: str) -> None:
        """Record a refusal, now."""
        self.append(Refusal(datetime.now(UTC), where, code, reason))

    def login(self, login: LoginReport) -> None:
        """Record a login; one that was refused is a refusal too."""
        self.logins.append(login)
        if not login.accepted:
            self.append(Refusal(login.at, f"proxy {login.proxy}", login.code, login.reason))
