"""The control channel of a rehearsal: how a test in another process controls it.

It exists only if it was requested when the rehearsal was started, under a path with a random token.
Whatever a web page could send is refused, whatever its path.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from provision.rehearsal.aws.access_keys import CALLER
from provision.rehearsal.aws.faults import Fault
from provision.rehearsal.aws.iam_policy import Grant
from provision.rehearsal.aws.journal import Entry
from provision.rehearsal.aws.overrides import Override
from provision.rehearsal.aws.permissions import Policy
from provision.rehearsal.http_server import Request, Response

_PATH = "/_rehearsal/"
_SENT_BY_BROWSERS = ("origin", "referer", "sec-fetch-mode", "sec-fetch-site")


class ControlEndpoint:
    """Answers control requests over HTTP. `do` takes method, name and value; see `Rehearsal`."""

    def __init__(self, do: Callable[[str, str, Any], Any]) -> None:
        self._do = do
        self.path = f"{_PATH}{secrets.token_urlsafe(24)}/"
        """What its paths begin with; a secret."""

    def is_meant(self, request: Request) -> bool:
        """Whether the request is a control request, by its path."""
        begin = request.target[: len(self.path)]
        return hmac.compare_digest(begin.encode(), self.path.encode())

    def answer(self, request: Request) -> Response:
        """Carry out the control request."""
        if any(request.values(name) for name in _SENT_BY_BROWSERS):
            return _text(403, "control requests from a web page are refused")
        name = request.target[len(self.path) :]
        try:
            value = json.loads(request.body or b"null")
            answer = self._do(request.method, name, value)
        except (KeyError, TypeError, ValueError) as error:
            return _text(400, f"{name}: {error}")
        body = json.dumps(answer).encode()
        return Response(200, (("content-type", "application/json"),), body)


def _text(status: int, text: str) -> Response:
    return Response(status, (("content-type", "text/plain"),), text.encode())


class Remote:
    """The controls of a rehearsal that runs in another process.

    Every method raises OSError if the rehearsal has ended, ValueError if it refuses. `about` is
    what `python -m provision.rehearsal --control` printed.
    """

    def __init__(self, about: Mapping[str, Any]) -> None:
        self.endpoint_url: str = about["endpoint_url"]
        self._control: str = about["control_url"]
        self._environ: dict[str, str] = about["environ"]

    def environ(self, principal: str = CALLER) -> dict[str, str]:
        """Environment variables that let a process call as this principal; see Rehearsal."""
        if principal == CALLER:
            return dict(self._environ)
        answer: dict[str, str] = self._ask("POST", "environ", principal)
        return answer

    def register(self, pid: int) -> None:
        """Allow kill faults to kill this process, which was just started."""
        self._ask("POST", "register", pid)

    def journal(self) -> list[Entry]:
        """Every call so far, in order of arrival."""
        return [Entry(**entry) for entry in self._ask("GET", "journal")]

    def set_faults(self, *faults: Fault, victim: int | None = None) -> None:
        """Replaces all faults; `victim` is the registered process that the kill faults are for."""
        self._ask("POST", "faults", {"faults": as_plain(faults), "victim": victim})

    def set_policy(self, policy: Policy | None) -> None:
        """Denies from now on whatever these IAM policies do not allow; None: allows all."""
        self._ask("POST", "policy", policy)

    def used(self) -> list[Grant]:
        """What of the policies has allowed a call so far."""
        return [Grant(**each) for each in self._ask("GET", "used")]

    def set_manners(self, **changes: Any) -> None:
        """Changes some of the `Behaviours`."""
        self._ask("POST", "behaviours", changes)

    def set_overrides(self, *rules: Override) -> None:
        """Replaces the rules that change AWS's answers."""
        self._ask("POST", "overrides", as_plain(rules))

    def advance(self, aws_seconds: float) -> None:
        """Lets AWS's time pass at once."""
        self._ask("POST", "advance", aws_seconds)

    def reset(self) -> None:
        """An empty account, an empty journal, no faults, overrides and policy."""
        self._ask("POST", "reset")

    def _ask(self, method: str, name: str, value: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self._control}{name}",
            data=json.dumps(value).encode() if method == "POST" else None,
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from None


def as_plain(records: Iterable[Entry | Fault | Grant | Override]) -> list[dict[str, Any]]:
    """Records as JSON takes them."""
    return [dataclasses.asdict(record) for record in records]
