"""Throttling: one token bucket per service, filled in AWS's own seconds.

Rates are those of AWS's documents where they name some, else of common knowledge; they are for a
whole account and region.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import throttled
from provision.rehearsal.aws.world import World


@dataclass(frozen=True)
class Limit:
    """`rate` calls a second on average, `burst` at once."""

    rate: float
    burst: float


LIMITS = {
    ("apigatewayv2", "any"): Limit(10, 40),  # developer guide, limits
    ("ec2", "read"): Limit(20, 100),  # EC2 API reference, throttling: non-mutating
    ("ec2", "write"): Limit(5, 50),  # the same, mutating
    ("iam", "any"): Limit(15, 30),  # common knowledge
    ("lambda", "GetFunction"): Limit(100, 100),  # developer guide, limits
    ("lambda", "any"): Limit(15, 15),  # the same: other control plane calls together
    ("logs", "any"): Limit(10, 10),  # CloudWatch Logs quotas
    ("rds", "any"): Limit(10, 40),  # common knowledge
    ("secretsmanager", "any"): Limit(50, 50),  # quotas: the slowest of its calls
}


@dataclass
class Bucket:
    """A token bucket; `take` tells whether a token was left at `now` (AWS seconds)."""

    limit: Limit
    tokens: float
    filled: float

    def take(self, now: float) -> bool:
        """Takes one token, if there is one."""
        grown = self.tokens + (now - self.filled) * self.limit.rate
        self.tokens, self.filled = min(self.limit.burst, grown), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Buckets:
    """The buckets in use."""

    by_key: dict[tuple[str, str], Bucket] = field(default_factory=dict)


def take(world: World, call: Call) -> None:
    """Counts the call. Raises AwsError in the service's own words when there were too many."""
    if (call.service, call.operation) == ("lambda", "Invoke"):
        return
    kind = "write" if call.mutating else "read"
    names = [(call.service, name) for name in (call.operation, kind, "any")]
    key = next((name for name in names if name in LIMITS), None)
    if key is None:
        return
    buckets = world.memory(Buckets, call.region).by_key
    now = world.clock.now()
    bucket = buckets.setdefault(key, Bucket(LIMITS[key], LIMITS[key].burst, now))
    if not bucket.take(now):
        raise throttled(call.service)
