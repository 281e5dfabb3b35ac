"""S3: conditional writes as AWS answers them, by AWS's own clock.

moto refuses with 412 and 404 as AWS does; AWS also has 409, when another write of the same object
is under way:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html.
"""

from __future__ import annotations

from typing import Any

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.permissions import allows
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World


def put_object(world: World, call: Call, proceed: Proceed) -> None:
    """Conditional or not; the object is as old as AWS's clock says."""
    _check_condition(world, call)
    proceed()
    written = _find(world, call)
    written.last_modified = world.clock.date().replace(tzinfo=None)  # as moto keeps it


def delete_object(world: World, call: Call, proceed: Proceed) -> Answer | None:
    """Conditional or not. Where the object does not exist: 404, or 412; AWS documents both."""
    _check_condition(world, call)
    wanted = call.get("IfMatch")
    if wanted and _find(world, call) is None:
        name = ("s3_missing", call.get("Key", ""))
        if wanted == "*" or world.draws.happens(0.5, *name):
            message = "At least one of the pre-conditions you specified did not hold"
            raise AwsError("PreconditionFailed", message, 412)
    if wanted == "*":  # any version, which moto takes for an ETag
        world.backend("s3").delete_object(call.get("Bucket"), call.get("Key"))
        return {}
    return None


def get_object(world: World, call: Call, proceed: Proceed) -> None:
    """Refused as denied, not as missing, to a caller that may not list the bucket."""
    bucket = call.get("Bucket", "")
    listable = allows(world, call, "s3:ListBucket", f"arn:aws:s3:::{bucket}")
    if not listable and _find(world, call) is None:
        raise AwsError("AccessDenied", "Access Denied", 403)


head_object = get_object


def _check_condition(world: World, call: Call) -> None:
    """Raises ConditionalRequestConflict (409) where another write is taken to be under way."""
    conditional = call.get("IfMatch") or call.get("IfNoneMatch")
    if not (world.behaviours.refusals and conditional):
        return
    if world.draws.happens(world.behaviours.s3_conflicts, "s3_conflict", call.get("Key", "")):
        message = (
            "The conditional request cannot succeed due to a conflicting operation against this "
            "resource."
        )
        raise AwsError("ConditionalRequestConflict", message, 409)


def _find(world: World, call: Call) -> Any:
    """moto's object that the call names; None where it, or its bucket, does not exist."""
    backend, bucket = world.backend("s3"), call.get("Bucket")
    return backend.get_object(bucket, call.get("Key")) if bucket in backend.buckets else None
