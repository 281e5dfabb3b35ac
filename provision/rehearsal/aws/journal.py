"""The journal of a rehearsal: every call that came from outside, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SECRET_KEY = re.compile(r"(?i)password|secretstring|secretbinary|authtoken|securitytoken")


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
