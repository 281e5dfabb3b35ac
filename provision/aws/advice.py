"""What to do about an AWS error: derived from its code and message, and from who called where.

The code alone says too little. `AuthFailure` may be a wrong key, a region that the account has not
enabled, or an interface that a service owns; `AccessDenied` may be helped by a policy of the
caller's, or by nothing that the caller can do. Sources: IAM User Guide, "Troubleshoot access denied
error messages"; Amazon EC2 API, "Error codes"; AWS General Reference, "Enable or disable Regions".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from provision.aws.regions import off_by_default
from provision.errors import AwsAnswer

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "SlowDown",
    "PriorRequestNotComplete",
}
DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "Client.UnauthorizedOperation",
    "NotAuthorized",
    "UnauthorizedOperation",
}
EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    "RequestExpired",  # EC2: the credentials, or the clock
}
UNKNOWN_KEYS = {
    "AuthFailure",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorizedException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}
BAD_CREDENTIALS = EXPIRED | UNKNOWN_KEYS | CLOCK  # about the caller, and mostly not about the call
NOT_SIGNED_UP = {
    "AccountProblem",
    "Blocked",
    "NotSignedUp",
    "OptInRequired",
    "PendingVerification",
    "RegionDisabledException",
    "SubscriptionRequiredException",
}
QUOTAS = (
    "LimitExceeded",
    "LimitExceededException",
    "LimitExceededFault",
    "QuotaExceeded",
    "QuotaExceededFault",
    "QuotaExceededException",
    "CodeStorageExceededException",
)
NOT_OFFERED = {
    "InvalidAction",
    "NotImplemented",
    "OperationNotSupported",
    "UnknownOperation",
    "UnknownOperationException",
    "UnrecognizedAction",
    "UnsupportedOperation",
    "UnsupportedOperationException",
}
CAPACITY = {
    "InsufficientCapacity",
    "InsufficientDBInstanceCapacity",
    "InsufficientInstanceCapacity",
}
SERVER_ERROR = 500  # HTTP status
SKEW_SECONDS = 300.0  # AWS takes a signature of up to five minutes from now
AGAIN = "then run the same command again"
LOG_IN = (
    "Log in: `aws configure sso` and then `aws sso login`, or `aws login`; or name a profile "
    "with --profile or AWS_PROFILE; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)
REACH = "Check the region (--region, environment.region) and the network."


class Trouble(Enum):
    """The kind of problem."""

    KEYS = auto()  # AWS does not know the credentials
    EXPIRED = auto()
    REGION = auto()  # not enabled by the account
    CLOCK = auto()
    ACCOUNT = auto()  # not signed up, blocked
    DENIED = auto()
    THROTTLED = auto()
    QUOTA = auto()
    CAPACITY = auto()
    NOT_OFFERED = auto()  # by AWS, in this region
    AWS = auto()  # a 5xx
    OTHER = auto()  # AWS's message says it


@dataclass(frozen=True)
class CallContext:
    """Who called where. `ahead`: by how many seconds our clock is ahead of AWS's Date header."""

    service: str = ""
    region: str = ""
    method: str = ""  # of finding credentials, as botocore names it: env, sso, login, ...
    profile: str = ""
    ahead: float | None = None


@dataclass(frozen=True)
class Advice:
    """What kind of thing is wrong, and what to do about it: "" when AWS's message says it."""

    cause: Trouble
    next_step: str = ""


def aws_answer(error: ClientError) -> AwsAnswer:
    """Return the error that AWS answered, in AWS's words."""
    given = error.response.get("Error", {})
    return AwsAnswer(
        error.operation_name,
        given.get("Code", ""),
        given.get("Message", "") or "(no message)",
        error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0,
    )


def advise(answer: AwsAnswer, caller: CallContext) -> Advice:
    """Return what to do about an error that AWS answered."""
    cause = callers_cause(answer, caller) or calls_cause(answer)
    return Advice(cause, NEXT_STEPS[cause](answer, caller))


def callers_cause(answer: AwsAnswer, caller: CallContext) -> Trouble | None:
    """Return what is wrong with the caller, whatever it calls; None where it is nothing."""
    code = answer.code
    if (
        code in CLOCK
        or clock_ahead(answer, caller)
        or (code in UNKNOWN_KEYS and about_time(answer))
    ):
        return Trouble.CLOCK
    if code in EXPIRED:
        return Trouble.EXPIRED
    if code in UNKNOWN_KEYS and not about_another_thing(answer):
        return Trouble.REGION if off_by_default(caller.region) else Trouble.KEYS
    return Trouble.ACCOUNT if code in NOT_SIGNED_UP else None


def calls_cause(answer: AwsAnswer) -> Trouble:
    """Return why AWS refused this call of a caller whom it knows."""
    code = answer.code
    if code in DENIED or about_another_thing(answer):
        return Trouble.DENIED
    if code in THROTTLED:
        return Trouble.THROTTLED
    if answer.status >= SERVER_ERROR:
        return Trouble.AWS
    if code in CAPACITY:
        return Trouble.CAPACITY
    if not_offered(answer):
        return Trouble.NOT_OFFERED
    return Trouble.QUOTA if code.endswith(QUOTAS) else Trouble.OTHER


def not_offered(answer: AwsAnswer) -> bool:
    """Return whether AWS refused a call because the region does not have what it is about."""
    words = r"(not|n't) (yet )?(supported|available|offered) in (this|the|your|\S+) region"
    return answer.code in NOT_OFFERED or bool(re.search(words, answer.message, re.IGNORECASE))


# --- the clock ------------------------------------------------------------------------------------


def about_time(answer: AwsAnswer) -> bool:
    """Return whether AWS refused a signature for its date."""
    return bool(re.search(r"signature (expired|not yet current)", answer.message, re.IGNORECASE))


def about_another_thing(answer: AwsAnswer) -> bool:
    """Return whether EC2's AuthFailure is about the thing that was named, not about the caller."""
    return answer.code == "AuthFailure" and "credential" not in answer.message.lower()


def clock_ahead(answer: AwsAnswer, caller: CallContext) -> float | None:
    """Return by how many seconds this clock is ahead of AWS's, where that explains the error.

    By AWS's Date header; by the two times in its message, where that is no other.
    """
    if answer.code not in CLOCK | EXPIRED | UNKNOWN_KEYS:
        return None
    if caller.ahead is not None and abs(caller.ahead) > SKEW_SECONDS:
        return caller.ahead
    found = re.findall(r"\d{8}T\d{6}Z", answer.message)
    if about_time(answer) and len(found) > 1:
        signed, now = (datetime.strptime(text, "%Y%m%dT%H%M%S%z") for text in (found[0], found[-1]))
        ahead = (signed - now).total_seconds()
        return ahead if abs(ahead) > SKEW_SECONDS else None
    return None


def set_clock(answer: AwsAnswer, caller: CallContext) -> str:
    """Return what to do about a clock that is wrong, and by how much it is."""
    ahead = clock_ahead(answer, caller)
    if ahead is None:
        return f"Set this machine's clock by NTP, {AGAIN}."
    off = f"{in_words(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} AWS's"
    real = datetime.fromtimestamp(datetime.now(UTC).timestamp() - ahead, UTC)
    return (
        f"This machine's clock is {off}, where it is {real:%Y-%m-%d %H:%M} UTC: set it by NTP "
        f"(for example `timedatectl set-ntp true`), {AGAIN}."
    )


def in_words(seconds: float) -> str:
    """Return a time in its two largest units."""
    minutes = round(seconds / 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


# --- credentials ----------------------------------------------------------------------------------


def with_profile(command: str, caller: CallContext) -> str:
    """Return a command of the AWS CLI for the caller's profile."""
    return f"`{command} --profile {caller.profile}`" if caller.profile else f"`{command}`"


def of_profile(caller: CallContext) -> str:
    """Return words that name the caller's profile."""
    return f"of the profile {caller.profile}" if caller.profile else "of the default profile"


RENEWALS: dict[str, Callable[[CallContext], str]] = {
    "sso": lambda caller: f"Log in again: {with_profile('aws sso login', caller)}",
    "login": lambda caller: f"Log in again: {with_profile('aws login', caller)}",
    "env": lambda _: (
        "Set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or unset them to "
        "use a profile"
    ),
    "shared-credentials-file": lambda caller: (
        f"Put new keys {of_profile(caller)} into ~/.aws/credentials"
    ),
    "config-file": lambda caller: f"Put new keys {of_profile(caller)} into ~/.aws/config",
    "assume-role": lambda caller: (
        f"Renew the credentials that {of_profile(caller).removeprefix('of ')} assumes its role with"
    ),
    "assume-role-with-web-identity": lambda _: (
        "Have a new token written to the file that AWS_WEB_IDENTITY_TOKEN_FILE (or the profile's "
        "web_identity_token_file) names"
    ),
    "custom-process": lambda caller: f"See what the credential_process {of_profile(caller)} prints",
    "container-role": lambda _: "The container's role renews them by itself: wait a minute",
    "iam-role": lambda _: "The instance's role renews them by itself: wait a minute",
}


def renew(caller: CallContext) -> str:
    """Return how to renew credentials that have expired, by where they came from."""
    how = RENEWALS.get(caller.method)
    words = how(caller) if how else "Log in again (for example `aws sso login` or `aws login`)"
    return f"{words}, {AGAIN}."


def other_keys(answer: AwsAnswer, caller: CallContext) -> str:
    """Return what to do about keys that AWS does not know, or that do not belong together."""
    if answer.code in ("SignatureDoesNotMatch", "InvalidSignatureException"):
        if caller.method == "env":
            return "AWS_SECRET_ACCESS_KEY does not match AWS_ACCESS_KEY_ID: set both again."
        if caller.method.endswith("-file"):
            return f"The secret key {of_profile(caller)} does not match its access key: correct it."
    if caller.method in ("env", "shared-credentials-file", "config-file"):
        where = "in the environment" if caller.method == "env" else of_profile(caller)
        return (
            f"AWS does not know the keys {where}: they were deleted or deactivated, belong to "
            f"another partition, or AWS_SESSION_TOKEN does not match them. {renew(caller)}"
        )
    return renew(caller)


# --- region and account ---------------------------------------------------------------------------


def enable_region(caller: CallContext) -> str:
    """Return what to do about a region that the account may not have enabled."""
    region = caller.region
    return (
        f"The region {region} is off by default, and the account may not have enabled it. An "
        f"administrator enables it (`aws account enable-region --region-name {region}`, which "
        "takes minutes to hours); or choose another with --region."
    )


def sign_up(answer: AwsAnswer, caller: CallContext) -> str:
    """Return what to do about an account, or a part of AWS, that is not open to the caller."""
    support = "https://console.aws.amazon.com/support"
    if answer.code == "RegionDisabledException":
        return (
            f"An administrator activates AWS STS for {caller.region} in the IAM console (Account "
            "settings), and enables the region if it is off by default."
        )
    if answer.code in ("Blocked", "AccountProblem"):
        return f"AWS has blocked the account: see AWS's e-mails, or ask AWS Support ({support})."
    if answer.code == "PendingVerification":
        return f"AWS is still verifying the account: wait for its e-mail, {AGAIN}."
    service = f" {caller.service}" if caller.service else ""
    finish = (
        f"The account is not signed up for the service{service}: finish its sign-up (payment "
        "method, phone, support plan) at https://portal.aws.amazon.com/billing/signup"
    )
    if off_by_default(caller.region):
        return f"{enable_region(caller)} Otherwise: {finish[0].lower()}{finish[1:]}."
    return f"{finish}, {AGAIN}."


# --- denials --------------------------------------------------------------------------------------

# What a denial's message says denied it, and what helps; the first that fits. The caller's own
# policy helps only where nothing else is named.
DENIALS = (
    (
        r"service control policy|service control policies",
        "A service control policy of the organisation denies it; the caller's policies cannot "
        "allow it. Ask whoever manages the organisation, or use another account or region.",
    ),
    (
        r"resource control policy|resource control policies",
        "A resource control policy of the organisation denies it; the caller's policies cannot "
        "allow it. Ask whoever manages the organisation, or use another account.",
    ),
    (
        r"permissions boundary|permissions boundaries",
        "The caller's permissions boundary does not allow it, whatever its policies say: an "
        "administrator has to widen the boundary. `python -m provision policy` prints all that is "
        "needed.",
    ),
    (
        r"session policy|session policies",
        "The session's own policy does not allow it, whatever the role's policies say: assume the "
        "role without that session policy, or with one that has what `python -m provision policy` "
        "prints.",
    ),
    (
        r"vpc endpoint polic",
        "The policy of the VPC endpoint that the call went through does not allow it: whoever "
        "manages the network has to widen it, or call from elsewhere.",
    ),
    (
        r"explicit deny in an? identity-based polic|explicit deny in the identity-based polic",
        "One of the caller's policies denies it explicitly (often: without MFA, or in this "
        "region). No other policy can allow it: an administrator has to change that one.",
    ),
    (
        r"resource-based polic",
        "The resource's own policy does not allow it: whoever owns the resource has to change it.",
    ),
    (
        r"explicit deny|explicitly denied",
        "It is denied explicitly, and no other policy can allow it. An administrator has to find "
        "the deny (in the caller's policies, its boundary or the organisation's policies).",
    ),
    (
        r"you do not have permission to access the specified resource",
        "The resource belongs to an AWS service or to another account: its owner has to change it.",
    ),
    (
        r"account (is|has been) (suspended|closed)|contact (aws|customer) (support|service)",
        "AWS has restricted the account: see AWS's e-mails, or ask AWS Support.",
    ),
)
OWN_POLICY = "The caller may not do this. `python -m provision policy` prints what it needs."


def allow(answer: AwsAnswer) -> str:
    """Return what helps against a denial, by who AWS says has denied it."""
    for pattern, words in DENIALS:
        if re.search(pattern, answer.message, re.IGNORECASE):
            return words
    if encoded := re.search(r"[Ee]ncoded authorization failure message: (\S+)", answer.message):
        return (
            f"{OWN_POLICY} Why AWS denied it: aws sts decode-authorization-message "
            f"--encoded-message {encoded[1]}"
        )
    return OWN_POLICY


# --- one for each cause ---------------------------------------------------------------------------

NEXT_STEPS: dict[Trouble, Callable[[AwsAnswer, CallContext], str]] = {
    Trouble.KEYS: other_keys,
    Trouble.EXPIRED: lambda _, caller: renew(caller),
    Trouble.REGION: lambda answer, caller: (
        f"{enable_region(caller)} If it is enabled: {other_keys(answer, caller)}"
    ),
    Trouble.CLOCK: set_clock,
    Trouble.ACCOUNT: sign_up,
    Trouble.DENIED: lambda answer, _: allow(answer),
    Trouble.THROTTLED: lambda *_: f"AWS throttles this account: wait a minute, {AGAIN}.",
    Trouble.QUOTA: lambda *_: (
        "A quota of the account is used up: delete something, or request an increase in Service "
        f"Quotas, {AGAIN}."
    ),
    Trouble.CAPACITY: lambda *_: (
        "AWS has none free in these zones now. Choose another database.instance_class or other "
        "network.availability_zones, or run the same command again later."
    ),
    Trouble.NOT_OFFERED: lambda _, caller: (
        f"AWS does not offer this in {caller.region or 'this region'}: choose another region with "
        "--region or environment.region."
    ),
    Trouble.AWS: lambda *_: f"An error on AWS's side: wait a minute, {AGAIN}.",
    Trouble.OTHER: lambda *_: "",
}
