"""Checks an IAM authentication token as RDS does, and says exactly why when it does not pass.

A token is a presigned `connect` request, signed with Signature Version 4 for the service `rds-db`
and sent without its `https://`. Whether RDS repairs what no signer writes (`%2f`, a stray `&`, a
field of one's own) is documented nowhere; here it is refused. Not checked with botocore's
signer, which made it, on purpose: two independent readings of the rules must agree.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, unquote

LIFETIME = timedelta(minutes=15)
"""The longest that AWS lets a token live."""
SKEW = timedelta(minutes=5)
"""How far the signer's clock may be ahead of ours."""
ALGORITHM = "AWS4-HMAC-SHA256"
FIELDS = (
    "Action",
    "DBUser",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
)


_STAMP, _SECONDS = re.compile("[0-9]{8}T[0-9]{6}Z"), re.compile("[1-9][0-9]{0,5}|0")


class TokenRefusedError(Exception):
    """The token does not pass; the message is the reason, and holds no part of a signature."""


@dataclass(frozen=True)
class SessionKey:
    """Temporary credentials as STS gave them out, and the role they stand for."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    role_arn: str
    role_id: str = ""  # of the role that it was given for: one made later has another
    expires: datetime | None = None

    def lasts(self, until: datetime) -> bool:
        """Whether they are still good then."""
        return self.expires is None or until < self.expires

    def __repr__(self) -> str:
        """Leaves out what is secret."""
        return f"SessionKey({self.access_key_id}, {self.role_arn})"


@dataclass(frozen=True)
class Audience:
    """What a token must be made for: this endpoint, port, user and region."""

    endpoint: str
    port: int
    user: str
    region: str


def check_token(
    token: str,
    audience: Audience,
    now: datetime,
    find_key: Callable[[str], SessionKey | None],
) -> SessionKey:
    """Return the key that signed the token. `find_key` looks one up by its access key id, and
    raises TokenRefusedError for one that is no longer good.

    Raises TokenRefusedError with the first thing that is wrong.
    """
    if not token:
        raise TokenRefusedError("the token is empty")
    if "X-Amz-" not in token:
        raise TokenRefusedError("this is a password, not a token")
    address, _, query = token.partition("/?")
    fields = _fields(query)
    _check_target(address, fields, audience)
    signed_at = _check_time(fields, now)
    access_key_id, scope = _check_scope(fields, signed_at, audience.region)
    key = find_key(access_key_id)
    if key is None:
        raise TokenRefusedError(f"the access key {access_key_id[:128]} is unknown to STS")
    _check_session(fields, key)
    _check_signature(address, fields, scope, key)
    return key


def _fields(query: str) -> dict[str, str]:
    """The token's fields, each written in the one way in which it is signed."""
    fields: dict[str, str] = {}
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if name in fields:
            raise TokenRefusedError("a field is in the token twice")
        if not equals or name not in FIELDS:
            raise TokenRefusedError(f"{name[:64]!r} is no field of a token")
        fields[name] = unquote(value, errors="replace")
        if _encode(fields[name]) != value:
            raise TokenRefusedError(f"{name} is not encoded as Signature Version 4 wants it")
    return fields


def _need(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise TokenRefusedError(f"{name} is missing")
    return fields[name]


def _check_target(address: str, fields: Mapping[str, str], audience: Audience) -> None:
    wanted = f"{audience.endpoint}:{audience.port}"
    if address.lower() != wanted.lower():
        raise TokenRefusedError(f"the token is for {address[:255]!r}, this is {wanted}")
    exact = {
        "Action": "connect",
        "DBUser": audience.user,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-SignedHeaders": "host",
    }
    for name, value in exact.items():
        if _need(fields, name) != value:
            raise TokenRefusedError(f"{name} is {fields[name][:64]!r}, not {value!r}")


def _check_time(fields: Mapping[str, str], now: datetime) -> datetime:
    stamp, seconds = _need(fields, "X-Amz-Date"), _need(fields, "X-Amz-Expires")
    try:
        # By pattern first: strptime() and int() also take spaces, signs and other digits.
        if not (_STAMP.fullmatch(stamp) and _SECONDS.fullmatch(seconds)):
            raise ValueError
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise TokenRefusedError("X-Amz-Date or X-Amz-Expires cannot be read") from None
    lifetime = timedelta(seconds=int(seconds))
    if not timedelta(0) < lifetime <= LIFETIME:
        raise TokenRefusedError(f"X-Amz-Expires is {lifetime}, and at most {LIFETIME} are allowed")
    if signed_at > now + SKEW:
        raise TokenRefusedError(f"the token is signed {signed_at - now} in the future")
    if now > signed_at + lifetime:
        raise TokenRefusedError(f"the token expired {now - signed_at - lifetime} ago")
    return signed_at


def _check_scope(
    fields: Mapping[str, str], signed_at: datetime, region: str
) -> tuple[str, list[str]]:
    access_key_id, *scope = _need(fields, "X-Amz-Credential").split("/")
    wanted = [f"{signed_at:%Y%m%d}", region, "rds-db", "aws4_request"]
    if scope != wanted:
        given = "/".join(scope)[:128]
        raise TokenRefusedError(f"the token's scope is {given}, not {'/'.join(wanted)}")
    return access_key_id, scope


def _check_session(fields: Mapping[str, str], key: SessionKey) -> None:
    given = _need(fields, "X-Amz-Security-Token")
    if not hmac.compare_digest(given.encode(), key.session_token.encode()):
        raise TokenRefusedError("the security token does not belong to the access key")


def _check_signature(
    address: str, fields: Mapping[str, str], scope: list[str], key: SessionKey
) -> None:
    given = _need(fields, "X-Amz-Signature")
    signed = sorted((_encode(k), _encode(v)) for k, v in fields.items() if k != "X-Amz-Signature")
    query = "&".join(f"{name}={value}" for name, value in signed)
    empty = sha256(b"").hexdigest()
    request = "\n".join(["GET", "/", query, f"host:{address.lower()}", "", "host", empty])
    hashed = sha256(request.encode()).hexdigest()
    text = "\n".join([ALGORITHM, fields["X-Amz-Date"], "/".join(scope), hashed])
    signing_key = ("AWS4" + key.secret_access_key).encode()
    for part in scope:
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    wanted = hmac.new(signing_key, text.encode(), "sha256").hexdigest()
    if not hmac.compare_digest(wanted.encode(), given.encode()):
        raise TokenRefusedError("the signature does not match: another secret key, or other fields")


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
