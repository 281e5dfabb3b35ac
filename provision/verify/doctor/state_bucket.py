"""Whether the bucket that keeps the state is the account's own, private and versioned. Reads only.

Follows the Amazon S3 User Guide, "Blocking public access" and "Retaining multiple versions of
objects with S3 Versioning".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from provision.aws.account import absent, calling
from provision.context import Run
from provision.errors import AwsCallError
from provision.state.location import S3Location
from provision.state.s3_errors import BLOCKED, making
from provision.verify.doctor.finding import Finding, bad, good, warning

TITLE = "state bucket"
EVERYBODY = "http://acs.amazonaws.com/groups/global/"


def state_bucket_findings(run: Run, at: S3Location) -> list[Finding]:
    """Return the findings about the bucket of a state, good or bad.

    Raises CredentialsError, UnreachableError or Interrupted.
    """
    if not is_ours(run, at.bucket):
        reason = f"{at.bucket} belongs to another account, or cannot be read"
        next_step = "Keep the state in a bucket of the environment's account."
        return [bad(TITLE, reason, next_step)]
    checks = (versioned, private)
    reads = [lambda check=check: told(check, run, at) for check in checks]
    return [each for found in run.aws.together(*reads) for each in found]


def is_ours(run: Run, bucket: str) -> bool:
    """Return whether the bucket is the caller's account's (HeadBucket, ExpectedBucketOwner)."""
    try:
        with calling(""):
            run.aws.client("s3").head_bucket(
                Bucket=bucket, ExpectedBucketOwner=run.aws.identity.account
            )
    except AwsCallError:
        return False
    return True


def told(check: Callable[[Run, S3Location], Iterator[Finding]], run: Run, at: S3Location) -> Any:
    """Return what a check finds; a warning where S3 does not say."""
    try:
        with calling(""):
            return list(check(run, at))
    except AwsCallError as error:
        reason = f"{at.bucket}: {error.answer.operation} answered {error.answer.code}"
        return [warning(TITLE, f"{reason}, so this is not known", error.next_step)]


def versioned(run: Run, at: S3Location) -> Iterator[Finding]:
    """Whether earlier versions of the state are kept (GetBucketVersioning)."""
    status = run.aws.client("s3").get_bucket_versioning(Bucket=at.bucket).get("Status")
    if status == "Enabled":
        yield good(TITLE, f"{at.bucket} keeps earlier versions of the state")
        return
    _, _, versioning, *_ = making(at.bucket, run.aws.region)
    reason = f"{at.bucket} is not versioned: a state that is damaged cannot be restored"
    yield warning(TITLE, reason, versioning)


def private(run: Run, at: S3Location) -> Iterator[Finding]:
    """Whether the public is kept out, by a block, the bucket's policy and its ACL."""
    s3, of = run.aws.client("s3"), {"Bucket": at.bucket}
    block: dict[str, bool] = {}
    with absent("NoSuchPublicAccessBlockConfiguration"):
        block = s3.get_public_access_block(**of)["PublicAccessBlockConfiguration"]
    if all(block.get(each) for each in BLOCKED):
        yield good(TITLE, f"{at.bucket} is private: all public access is blocked")
        return
    public = []
    if not block.get("RestrictPublicBuckets"):
        with absent("NoSuchBucketPolicy"):
            if s3.get_bucket_policy_status(**of)["PolicyStatus"]["IsPublic"]:
                public.append("its bucket policy")
    if not block.get("IgnorePublicAcls"):
        grants = s3.get_bucket_acl(**of)["Grants"]
        if any(str(each["Grantee"].get("URI", "")).startswith(EVERYBODY) for each in grants):
            public.append("its access control list")
    _, blocking, *_ = making(at.bucket, run.aws.region)
    if public:
        reason = (
            f"{at.bucket} is public by {' and '.join(public)}: whoever can write the state decides "
        )
        reason += "what is deleted here"
    else:
        reason = f"{at.bucket} is private now, but nothing keeps it from being made public"
    yield warning(TITLE, reason, blocking)
