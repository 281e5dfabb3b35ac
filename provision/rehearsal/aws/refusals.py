"""AWS's refusals, and how each service words those that any call may meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provision.rehearsal.aws.calls import ACCOUNT, Call


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


_THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503),
    "iam": ("Throttling", 400),
    "sts": ("Throttling", 400),
    "rds": ("Throttling", 400),
    "lambda": ("TooManyRequestsException", 429),
    "s3": ("SlowDown", 503),
    "apigatewayv2": ("TooManyRequestsException", 429),
}
_DENIED = {
    "ec2": "UnauthorizedOperation",
    "iam": "AccessDenied",
    "rds": "AccessDenied",
    "s3": "AccessDenied",
    "sts": "AccessDenied",
}
_EXPIRED = {"ec2": "RequestExpired", **dict.fromkeys(("iam", "rds", "s3", "sts"), "ExpiredToken")}


def throttled(service: str) -> AwsError:
    """The service's own refusal of too many calls."""
    code, status = _THROTTLED.get(service, ("ThrottlingException", 400))
    extra = {"Reason": "CallerRateLimitExceeded"} if service == "lambda" else {}
    return AwsError(code, "Rate exceeded", status, extra)


def denied(call: Call, action: str | None = None, resource: str = "*") -> AwsError:
    """The service's own refusal of a call that no policy allows."""
    code = _DENIED.get(call.service, "AccessDeniedException")
    action = action or f"{call.service}:{call.operation}"
    message = (
        f"User: arn:aws:iam::{ACCOUNT}:user/moto is not authorized to perform: {action} on "
        f"resource: {resource} because no identity-based policy allows the {action} action"
    )
    return AwsError(code, message, 403)


def expired(service: str) -> AwsError:
    """The service's own refusal of credentials whose time is over."""
    code = _EXPIRED.get(service, "ExpiredTokenException")
    return AwsError(code, "The security token included in the request is expired", 403)
