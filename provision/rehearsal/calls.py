"""One AWS call as the rehearsal sees it, and what is known about calls by their names alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "123456789012"
"""The account that every rehearsal plays in (moto's own)."""

_READS = re.compile(r"(Describe|Get|List|Head|Lookup|Search|Simulate|Assume|Decode|BatchGet)")
_SECRET_KEY = re.compile(r"(?i)password|secretstring|secretbinary|authtoken|securitytoken")


class AwsError(Exception):
    """A refusal by AWS: `code` as the caller finds it in `e.response["Error"]["Code"]`.

    `status` is the HTTP status; None means that of botocore's model, or 400. `extra` holds further
    members of the error's body, such as Lambda's `Reason`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = dict(extra or {})


@dataclass(frozen=True)
class Call:
    """A call on its way to AWS, read from the HTTP request by botocore's own model.

    `service` is boto3's name of the service; `params` are the call's parameters as a boto3 user
    would write them.
    """

    service: str
    operation: str
    params: dict[str, Any]
    region: str
    access_key: str
    method: str = "POST"
    path: str = "/"

    @property
    def mutating(self) -> bool:
        """Whether the call may change something at AWS."""
        return is_mutating(self.operation)

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter `name`, or `default`."""
        return self.params.get(name, default)


@dataclass
class Entry:
    """A line of the journal: one call, and how it ended.

    `code` is AWS's error code, None when the call was answered; `fault` names the fault that the
    rehearsal played on it. Secrets in `params` are blotted out.
    """

    n: int
    service: str
    operation: str
    mutating: bool
    access_key: str
    params: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    fault: str | None = None


def is_mutating(operation: str) -> bool:
    """Whether `operation` may change something: all but those named as reads.

    An unnamed operation (one that no model knows) counts as mutating.
    """
    return _READS.match(operation) is None


def redacted(value: Any, key: str = "") -> Any:
    """`value` as it may be shown: secrets blotted out, bytes only by their number."""
    if isinstance(value, Mapping):
        return {str(k): redacted(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(v, key) for v in value]
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, str) and _SECRET_KEY.search(key):
        return "<secret>"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def iam_actions(call: Call) -> list[tuple[str, str]]:
    """The IAM actions that AWS checks for `call`, each with the resource it checks it on."""
    return [(f"{call.service}:{call.operation}", "*")]


def iam_context(call: Call, action: str) -> dict[str, str]:
    """The condition keys that AWS knows when it checks `action` for `call`."""
    return {}
