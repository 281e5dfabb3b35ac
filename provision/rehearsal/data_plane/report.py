"""What the rehearsal's data plane knows and its clients must not: why something was refused.

RDS Proxy tells a refused client only "Access denied", API Gateway only "Internal Server Error".
The reasons collect here. No password, token or key is ever in them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import overload


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


class Report(Sequence[Refusal]):
    """All refusals, oldest first; and every login, accepted or not, in `logins`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusals: list[Refusal] = []
        self._logins: list[LoginReport] = []

    def refused(self, where: str, code: int | str, reason: str) -> None:
        """Record a refusal, now."""
        with self._lock:
            self._refusals.append(Refusal(datetime.now(UTC), where, code, reason))

    def login(self, login: LoginReport) -> None:
        """Record a login; one that was refused is a refusal too."""
        with self._lock:
            self._logins.append(login)
            if not login.accepted:
                where = f"proxy {login.proxy}"
                self._refusals.append(Refusal(login.at, where, login.code, login.reason))

    @property
    def logins(self) -> list[LoginReport]:
        """Every login so far, oldest first."""
        with self._lock:
            return list(self._logins)

    @overload
    def __getitem__(self, index: int) -> Refusal: ...
    @overload
    def __getitem__(self, index: slice) -> list[Refusal]: ...
    def __getitem__(self, index: int | slice) -> Refusal | list[Refusal]:
        with self._lock:
            return self._refusals[index]

    def __len__(self) -> int:
        with self._lock:
            return len(self._refusals)

    def __iter__(self) -> Iterator[Refusal]:
        with self._lock:
            return iter(list(self._refusals))
