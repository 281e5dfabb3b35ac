"""What S3's errors mean for a state that is kept there, and what to do about each.

Codes: Amazon S3 API Reference, "Error responses".
"""

from __future__ import annotations

import json
from dataclasses import replace

from provision.errors import AwsCallError, ProvisionError, StateError, UnreachableError
from provision.state.location import S3Location

WRONG_REGION = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "PermanentRedirect",
    "301",
    "Redirect",
    "TemporaryRedirect",
}
NOT_SUPPORTED = {"NotImplemented", "MethodNotAllowed", "UnsupportedArgument"}
DENIED = {"AccessDenied", "AllAccessDisabled", "Forbidden", "403"}
DENIED_OWNED = (
    "The caller may not do this, or the bucket belongs to another account: the state has to be in "
    "a bucket of the environment's account. `python -m provision policy` prints what the caller "
    "needs."
)
DENIED_ANY = (
    "The caller may not read it, or the bucket belongs to another account. `python -m provision "
    "policy` prints what the caller needs; without s3:ListBucket, S3 also answers this when no "
    "state exists yet."
)
LIFECYCLE = {
    "Rules": [
        {
            "ID": "old-versions",
            "Status": "Enabled",
            "Filter": {},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        }
    ]
}
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
BLOCKED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
PRIVATE = ",".join(f"{each}=true" for each in BLOCKED)


def explained(
    error: ProvisionError, at: S3Location, region: str, *, owned: bool = False
) -> ProvisionError:
    """Return the error with the state's place in its message and what to do about it.

    `owned` says whether the bucket was required to be the caller's own account's.
    """
    if isinstance(error, UnreachableError):
        return UnreachableError(f"state {at}: {error.message}", next_step=error.next_step)
    if not isinstance(error, AwsCallError):
        return error
    code = error.answer.code
    if code == "NoSuchBucket":
        return StateError(
            f"state {at}: there is no bucket {at.bucket}",
            next_step="Create it: private, versioned, encrypted, with old versions deleted after "
            "30 days:\n" + "\n".join(f"  {each}" for each in making(at.bucket, region)),
        )
    answer = replace(error.answer, message=error.answer.message.rstrip(".") + f" (state {at})")
    return type(error)("state", answer, next_step=advice(error, at, owned) or error.next_step)


def advice(error: AwsCallError, at: S3Location, owned: bool) -> str:
    """Return what to do about an error, or "" when AWS's message says it."""
    code = error.answer.code
    if code.startswith("KMS") or "kms:" in error.answer.message.lower():
        return (
            f"The bucket {at.bucket} encrypts with a KMS key: the caller needs kms:GenerateDataKey "
            "and kms:Decrypt on it, the key has to be enabled and in the bucket's region."
        )
    if code in DENIED:
        return DENIED_OWNED if owned else DENIED_ANY
    if code in WRONG_REGION:
        return (
            f"The bucket {at.bucket} is in another region, and S3's answer does not say in which: "
            f"`aws s3api get-bucket-location --bucket {at.bucket}`. Check whether "
            "AWS_ENDPOINT_URL_S3 or the profile sets the endpoint of one region."
        )
    if code in NOT_SUPPORTED:
        return "A state needs S3's conditional writes and deletes: use a general purpose bucket."
    if code == "InvalidObjectState":
        return f"The object was archived: restore it, and exclude {at.key} from the lifecycle rule."
    return ""


def making(bucket: str, region: str) -> list[str]:
    """Return the commands that make a private, versioned, encrypted bucket for states."""
    where = f" --create-bucket-configuration LocationConstraint={region}"
    if region == "us-east-1":
        where = ""  # S3's default, which it does not take as a constraint
    of = f"--bucket {bucket} --region {region}"
    return [
        f"aws s3api create-bucket {of}{where}",
        f"aws s3api put-public-access-block {of} --public-access-block-configuration {PRIVATE}",
        f"aws s3api put-bucket-versioning {of} --versioning-configuration Status=Enabled",
        f"aws s3api put-bucket-encryption {of} --server-side-encryption-configuration "
        f"'{json.dumps(ENCRYPTION)}'",
        f"aws s3api put-bucket-lifecycle-configuration {of} --lifecycle-configuration "
        f"'{json.dumps(LIFECYCLE)}'",
    ]
