"""Checks the Signature Version 4 of a request to the rehearsed AWS, in a header or in the query.

botocore's own signer signs what came in once more; the two signatures must be the same.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from provision.rehearsal.aws import refusals
from provision.rehearsal.aws.access_keys import AccessKey
from provision.rehearsal.http_server import Request

SKEW = timedelta(minutes=5)
"""How far the signer's clock may be from ours."""
_ALGORITHM = "AWS4-HMAC-SHA256"
_LONGEST = 7 * 24 * 3600  # seconds that a presigned request may be good for
_HEADER = re.compile(
    rf"{_ALGORITHM} +Credential=([^, ]+),? *SignedHeaders=([^, ]+),? *Signature=([0-9a-f]{{64}})"
)
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_NOT_HASHED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")  # S3 takes these


@dataclass(frozen=True)
class Signed:
    """What a request says of its own signature."""

    access_key_id: str
    day: str
    region: str
    service: str
    stamp: str
    headers: tuple[str, ...]
    signature: str
    token: str = ""
    seconds: int | None = None
    """How long it is good for, where it is presigned."""


def read_signature(request: Request) -> Signed:
    """What the request says of its signature, not yet checked.

    Raises AwsError where there is none, or where it cannot be read.
    """
    given = request.values("authorization")
    query = _fields(request.query) if "X-Amz-" in request.query else {}
    if "X-Amz-Signature" in query or "X-Amz-Algorithm" in query:
        if given:
            raise refusals.malformed_signature("more than one signature")
        return _presigned(query)
    if not given:
        raise refusals.unsigned()
    found = _HEADER.fullmatch(given[0])
    if len(given) > 1 or found is None:
        raise refusals.malformed_signature("the Authorization header cannot be read")
    stamp, token = request.values("x-amz-date"), request.values("x-amz-security-token")
    if len(stamp) != 1 or len(token) > 1:
        raise refusals.malformed_signature("it needs one X-Amz-Date header")
    return _signed(found[1], stamp[0], found[2], found[3], "".join(token))


def check_signature(
    request: Request, signed: Signed, find: Callable[[str], AccessKey | None]
) -> None:
    """Raise the service's own refusal (AwsError) unless a known key signed just this request."""
    service = signed.service
    key = find(signed.access_key_id)
    if key is None or not hmac.compare_digest(key.session_token.encode(), signed.token.encode()):
        raise refusals.unknown_key(service)
    _check_time(signed)
    headers = {name.lower() for name, _ in request.headers}
    unsigned = {n for n in headers if n.startswith("x-amz-")} - set(signed.headers)
    if "host" not in signed.headers or unsigned or not _body_is_signed(request, service):
        raise refusals.bad_signature(service)
    if not hmac.compare_digest(_signature(request, signed, key), signed.signature):
        raise refusals.bad_signature(service)
    if key.expired:
        raise refusals.expired(service)


def _fields(query: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in fields and name.startswith("X-Amz-"):
            raise refusals.malformed_signature(f"{name} comes twice")
        fields[name] = unquote(value)
    return fields


def _presigned(fields: dict[str, str]) -> Signed:
    names = "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"
    seconds = fields.get("X-Amz-Expires", "")
    if fields.get("X-Amz-Algorithm") != _ALGORITHM or not all(map(fields.get, names)):
        raise refusals.malformed_signature("a field of the presigned request is missing")
    if not re.fullmatch("[0-9]{1,6}", seconds) or not 0 < int(seconds) <= _LONGEST:
        raise refusals.malformed_signature(f"X-Amz-Expires must be 1 to {_LONGEST} seconds")
    token = fields.get("X-Amz-Security-Token", "")
    credential, stamp, headers, signature = (fields[name] for name in names)
    return _signed(credential, stamp, headers, signature, token, int(seconds))


def _signed(
    credential: str,
    stamp: str,
    headers: str,
    signature: str,
    token: str,
    seconds: int | None = None,
) -> Signed:
    key, *scope = credential.split("/")
    if len(scope) != 4 or scope[3] != "aws4_request" or not _STAMP.fullmatch(stamp):
        raise refusals.malformed_signature("its credential or its date cannot be read")
    day, region, service, _ = scope
    if day != stamp[:8]:
        raise refusals.malformed_signature("its credential is of another day than its date")
    names = tuple(headers.split(";"))
    return Signed(key, day, region, service, stamp, names, signature, token, seconds)


def _check_time(signed: Signed) -> None:
    try:
        at = datetime.strptime(signed.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise refusals.malformed_signature("its date is none") from None
    now = datetime.now(UTC)
    lifetime = SKEW if signed.seconds is None else timedelta(seconds=signed.seconds)
    if at > now + SKEW:
        raise refusals.out_of_time(signed.service, at, now, early=True)
    if now > at + lifetime:
        raise refusals.out_of_time(signed.service, at, now, early=False)


def _body_is_signed(request: Request, service: str) -> bool:
    """Whether a header that gives the body's digest tells the truth."""
    given = request.values("x-amz-content-sha256")
    if service == "s3" and given and given[0] in _NOT_HASHED:
        return True
    return all(value == sha256(request.body).hexdigest() for value in given)


def _signature(request: Request, signed: Signed, key: AccessKey) -> str:
    headers: dict[str, str] = {}
    for name in map(str.lower, signed.headers):
        headers[name] = ",".join(request.values(name))
    path, mark, query = request.target.partition("?")
    if signed.seconds is not None:
        pairs = query.split("&")
        query = "&".join(pair for pair in pairs if not pair.startswith("X-Amz-Signature="))
    signer = S3SigV4Auth if signed.service == "s3" else SigV4Auth
    auth = signer(ReadOnlyCredentials(key.id, key.secret, None), signed.service, signed.region)
    url = f"http://{headers['host']}{path}{mark}{query}"
    again = AWSRequest(request.method, url, headers, data=request.body)
    again.context["timestamp"] = signed.stamp
    if signed.service == "s3" and signed.seconds is not None:
        again.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    text: str = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    return text
