"""AWS's refusals, and how each service words those that any call may meet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
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


def denied(
    call: Call, action: str | None = None, resource: str = "*", *, explicitly: bool = False
) -> AwsError:
    """The service's own refusal of a call that no policy allows, or that one denies explicitly."""
    code = _DENIED.get(call.service, "AccessDeniedException")
    action = action or f"{call.service}:{call.operation}"
    why = (
        " with an explicit deny in an identity-based policy"
        if explicitly
        else f" because no identity-based policy allows the {action} action"
    )
    message = (
        f"User: {caller(call.region)} is not authorized to perform: {action} on resource: "
        f"{resource}{why}"
    )
    if call.service == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
    return AwsError(code, message, 403)


def caller(region: str) -> str:
    """The ARN of whoever calls a rehearsed AWS (moto's own user)."""
    from moto.utilities.utils import get_partition

    return f"arn:{get_partition(region)}:iam::{ACCOUNT}:user/moto"


def expired(service: str) -> AwsError:
    """The service's own refusal of credentials whose time is over."""
    code = _EXPIRED.get(service, "ExpiredTokenException")
    return AwsError(code, "The security token included in the request is expired", 403)


# Signatures: EC2, S3, the other services that speak XML, and all others have words of their own

_XML = ("iam", "rds", "s3", "sts")


def unsigned() -> AwsError:
    """The refusal of a request without a signature."""
    return AwsError("MissingAuthenticationToken", "Missing Authentication Token", 403)


def malformed_signature(what: str) -> AwsError:
    """The refusal of a signature that cannot be read."""
    return AwsError("IncompleteSignature", f"The request's signature is not complete: {what}", 400)


def unknown_key(service: str) -> AwsError:
    """The service's own refusal of an access key, or of a session token, that does not exist."""
    if service == "ec2":
        return _not_validated()
    if service == "s3":
        text = "The AWS Access Key Id you provided does not exist in our records."
        return AwsError("InvalidAccessKeyId", text, 403)
    code = "InvalidClientTokenId" if service in _XML else "UnrecognizedClientException"
    return AwsError(code, "The security token included in the request is invalid.", 403)


def bad_signature(service: str) -> AwsError:
    """The service's own refusal of a request that another secret key signed, or another request."""
    if service == "ec2":
        return _not_validated()
    text = (
        "The request signature we calculated does not match the signature you provided. Check your "
        "AWS Secret Access Key and signing method. Consult the service documentation for details."
    )
    return AwsError(_mismatch(service), text, 403)


def out_of_time(service: str, signed: datetime, now: datetime, *, early: bool) -> AwsError:
    """The service's own refusal of a signature from another time; `early`: from the future."""
    if service == "ec2":
        return AwsError("RequestExpired", "Request has expired.", 400)
    if service == "s3":
        text = "The difference between the request time and the current time is too large."
        return AwsError("RequestTimeTooSkewed", text, 403)
    words, sign = ("not yet current", "+") if early else ("expired", "-")
    compared = "still later" if early else "now earlier"
    limit = now + timedelta(minutes=5 if early else -5)
    text = (
        f"Signature {words}: {_stamp(signed)} is {compared} than {_stamp(limit)} "
        f"({_stamp(now)} {sign} 5 min.)"
    )
    return AwsError(_mismatch(service), text, 403)


def _mismatch(service: str) -> str:
    return "SignatureDoesNotMatch" if service in _XML else "InvalidSignatureException"


def _not_validated() -> AwsError:
    text = "AWS was not able to validate the provided access credentials"
    return AwsError("AuthFailure", text, 401)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"
