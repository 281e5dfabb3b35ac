"""Throttling: one token bucket per service, filled in AWS's own seconds.

Rates are those of AWS's documents where they name some, else of common knowledge; they are for a
whole account and region.
"""

from __future__ import annotations

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import throttled
from provision.rehearsal.aws.world import World
from provision.rehearsal.token_bucket import TokenBucket

LIMITS = {
    ("apigatewayv2", "any"): (10, 40),  # developer guide, limits
    ("ec2", "read"): (20, 100),  # EC2 API reference, throttling: non-mutating
    ("ec2", "write"): (5, 50),  # the same, mutating
    ("iam", "any"): (15, 30),  # common knowledge
    ("lambda", "GetFunction"): (100, 100),  # developer guide, limits
    ("lambda", "any"): (15, 15),  # the same: other control plane calls together
    ("logs", "any"): (10, 10),  # CloudWatch Logs quotas
    ("rds", "any"): (10, 40),  # common knowledge
    ("secretsmanager", "any"): (50, 50),  # quotas: the slowest of its calls
}
"""Calls a second on average, and calls at once."""


class Buckets(dict[tuple[str, str], TokenBucket]):
    """The buckets in use."""


def take(world: World, call: Call) -> None:
    """Counts the call. Raises AwsError in the service's own words when there were too many."""
    if (call.service, call.operation) == ("lambda", "Invoke"):
        return
    kind = "write" if call.mutating else "read"
    names = [(call.service, name) for name in (call.operation, kind, "any")]
    key = next((name for name in names if name in LIMITS), None)
    if key is None:
        return
    buckets = world.memory(Buckets, call.region)
    if key not in buckets:
        buckets[key] = TokenBucket(*LIMITS[key], world.clock.now)
    if not buckets[key].take():
        raise throttled(call.service)
