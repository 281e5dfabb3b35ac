"""Access keys of a rehearsed account: which ids are known, and with which secret they sign.

A rehearsal makes its own at random, one for each principal, so that what was not started for this
rehearsal cannot speak to it. What the rehearsed STS and IAM give out is good, too, as it is at AWS.
"""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

CALLER = "caller"
"""The principal whose keys `Rehearsal.environ` has: who runs the commands."""
SOMEBODY_ELSE = "somebody-else"
"""The principal who may do everything, and hears what AWS really answers."""
INSIDE = "inside"
"""The rehearsal itself: its calls go straight to moto, without behaviours, faults and journal."""

_LETTERS = string.ascii_uppercase + "234567"  # of which AWS makes its access key ids


@dataclass(frozen=True)
class AccessKey:
    """An access key; `session_token` and `expires` only where STS gave it out."""

    id: str
    secret: str
    session_token: str = ""
    expires: datetime | None = None

    @classmethod
    def random(cls) -> AccessKey:
        """A new one, as IAM makes them for a user."""
        letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
        return cls(f"AKIA{letters}", secrets.token_urlsafe(30))

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and datetime.now(UTC) >= self.expires

    def __repr__(self) -> str:
        """Leaves out what is secret."""
        return f"AccessKey({self.id})"


class AccessKeys:
    """The keys that a rehearsal takes. Safe in threads.

    `backend` is moto's own object for a service: where the keys of users and sessions are.
    """

    def __init__(self, backend: Callable[[str], Any]) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._keys: dict[str, AccessKey] = {}  # by principal
        self._principals: dict[str, str] = {}  # by the key's id

    def of(self, principal: str) -> AccessKey:
        """The access key of a principal, made at first use."""
        with self._lock:
            if principal not in self._keys:
                key = self._keys[principal] = AccessKey.random()
                self._principals[key.id] = principal
            return self._keys[principal]

    def principal(self, access_key_id: str) -> str:
        """Whose key this is; CALLER for one that the rehearsed AWS gave out."""
        return self._principals.get(access_key_id, CALLER)

    def find(self, access_key_id: str) -> AccessKey | None:
        """The key with this id, if this account has it."""
        known = self._keys.get(self._principals.get(access_key_id, ""))
        return known or self._of_session(access_key_id) or self._of_user(access_key_id)

    def _of_session(self, access_key_id: str) -> AccessKey | None:
        role = self._backend("sts").get_assumed_role_from_access_key(access_key_id)
        if role is None:
            return None
        expires = role.expiration
        expires = expires.replace(tzinfo=UTC) if expires.tzinfo is None else expires
        return AccessKey(access_key_id, role.secret_access_key, role.session_token, expires)

    def _of_user(self, access_key_id: str) -> AccessKey | None:
        key = self._backend("iam").access_keys.get(access_key_id)
        # Sessions are among them; without their token they are good for nothing.
        if key is None or key.user_name is None or key.status != "Active":
            return None
        return AccessKey(access_key_id, key.secret_access_key)
