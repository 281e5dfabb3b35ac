"""Time as the rehearsed AWS has it: AWS's own seconds, passing `speed` times faster than ours."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class Clock:
    """AWS seconds since the start of the rehearsal.

    `speed` is how many AWS seconds pass in one real second (1.0 = as slow as AWS).
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self._lock = threading.Lock()
        self._speed = speed
        self._since = time.monotonic()
        self._passed = 0.0
        self._skipped = timedelta()

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.advance(0.0)
        self._speed = speed

    def now(self) -> float:
        """AWS seconds passed since the start."""
        with self._lock:
            return self._passed + (time.monotonic() - self._since) * self._speed

    def advance(self, aws_seconds: float) -> None:
        """Lets `aws_seconds` pass at once."""
        with self._lock:
            now = time.monotonic()
            self._passed += (now - self._since) * self._speed + aws_seconds
            self._since = now
            self._skipped += timedelta(seconds=aws_seconds)

    def date(self) -> datetime:
        """AWS's date and time: ours (however fast AWS's seconds pass), and what was skipped."""
        with self._lock:
            return datetime.now(UTC) + self._skipped


@dataclass(frozen=True)
class Durations:
    """How long AWS takes, in AWS's own seconds, in the one place where that is written.

    Typical values. The comment names where each comes from: CDKD = a deployer tested on real AWS
    (github.com/go-to-k/cdkd), TF = hashicorp/terraform-provider-aws, CFN = CloudFormation's own
    handlers, D = AWS's documents, K = common knowledge, not checked against a source.
    """

    # RDS
    instance_create: float = 420.0  # 5-10 min for a MySQL micro [CDKD]
    instance_first_backup: float = 60.0  # `backing-up` before `available` [K]
    instance_modify: float = 60.0  # `modifying` [K]
    instance_delete: float = 300.0  # 3-8 min without a final snapshot [K]
    snapshot: float = 120.0  # a final snapshot of 20 GiB [K]
    proxy_create: float = 180.0  # 2-5 min [CDKD, turbot/steampipe-plugin-aws 1414]
    proxy_modify: float = 30.0  # `modifying` [K]
    proxy_delete: float = 120.0  # 0.5-5 min, an hour seen [CDKD]
    target_registering: float = 10.0  # REGISTERING before UNAVAILABLE [K]
    target_capacity: float = 120.0  # PENDING_PROXY_CAPACITY, 1-5 min [K]
    target_policy_seen: float = 20.0  # a repaired role or secret seen by the proxy [D-iam-ec]

    # Lambda
    function_pending: float = 40.0  # 10-90 s for a function in a VPC [D-lam-vpc]
    function_pending_plain: float = 2.0  # without a VPC [K]
    function_update: float = 10.0  # LastUpdateStatus InProgress [TF]
    interface_release: float = 600.0  # 5-20 min after delete or detach [TF-eni]
    interface_release_detached: float = 120.0  # seconds to minutes after a detach [CDKD]
    role_assumable: float = 10.0  # single-digit to 20 s [TF-lam-c, CDKD]

    # EC2, IAM, Secrets Manager
    id_visible: float = 2.0  # under 5 s [D-ec2-ec]
    id_visible_at_latest: float = 60.0  # others retry for 1-2 min [D-ec2-ec]
    vpc_pending: float = 1.0  # VPC and subnet `pending` [K]
    secret_name_freed: float = 15.0  # after a forced delete, "seconds" [M:sm]
