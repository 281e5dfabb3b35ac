"""RDS: tags that it refuses."""

from __future__ import annotations

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError

_RESERVED = ("aws:", "rds:")


def check(call: Call) -> None:
    """Refuse a key or a value that begins with a reserved prefix (RDS API Reference, Tag)."""
    for tag in call.get("Tags") or []:
        for part in ("Key", "Value"):
            text = tag.get(part) or ""
            if text.lower().startswith(_RESERVED):
                message = f"Invalid tag {part.lower()}: {text} begins with a reserved prefix."
                raise AwsError("InvalidParameterValue", message, 400)
