"""How long AWS takes: what the rehearsal plays, and what `report` compares AWS with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Spread(NamedTuple):
    """How long something takes, in AWS's own seconds: at the least, typically, at the most."""

    least: float
    typical: float
    most: float

    def at(self, number: float) -> float:
        """The duration at `number`, from 0 to below 1: half of all are at most the typical one.

        Below it they are even; above it they grow more and more rarely towards the longest, so
        that one in ten is over 1.1 to 2 times the typical one: long tails happen, and are rare.
        """
        if number < _HALF:
            return self.least + (self.typical - self.least) * 2 * number
        beyond: float = (2 * number - 1) ** _TAIL
        return float(self.typical * (self.most / self.typical) ** beyond)


_HALF = 0.5
_TAIL = 6
"""How rare the long ones are."""

Duration = Spread | float
"""A spread, or always the same."""


def typical(duration: Duration) -> float:
    """The typical duration, which is the only one without a seed."""
    return duration.typical if isinstance(duration, Spread) else duration


@dataclass(frozen=True)
class Durations:
    """How long AWS takes, in AWS's own seconds, in the one place where that is written.

    The comment names where each comes from: L = logs that people pasted in public, and Terraform's
    acceptance runs (19 creations of small instances, 7 deletions, 23 whole tests of a proxy),
    CDKD = a deployer tested on real AWS (github.com/go-to-k/cdkd), TF =
    hashicorp/terraform-provider-aws, D = AWS's documents, K = common knowledge, not checked against
    a source.
    """

    # RDS
    instance_create: Duration = Spread(196, 279, 1026)  # MySQL without backups 273 [L]
    instance_first_backup: Duration = Spread(30, 60, 240)  # `backing-up` before `available` [K]
    instance_modify: Duration = Spread(30, 60, 600)  # `modifying` [K]
    instance_modify_lag: Duration = Spread(0, 20, 60)  # still `available` [TF]
    storage_optimization: Duration = Spread(60, 300, 7200)  # after a growth; up to a day [D]
    storage_autoscaling: Duration = Spread(21_600, 86_400, 604_800)  # until it grows again [K]
    minor_upgrade_begins: Duration = Spread(60, 900, 7200)  # a window that comes soon [K]
    minor_upgrade: Duration = Spread(120, 300, 1200)  # `upgrading`; MySQL is down meanwhile [D]
    instance_delete: Duration = Spread(111, 266, 700)  # without a final snapshot [L]
    snapshot: Duration = Spread(60, 120, 600)  # a final snapshot of 20 GiB [K]
    proxy_create: Duration = Spread(150, 240, 600)  # with the deletion 440, 623, 835 [L]
    proxy_modify: Duration = Spread(10, 30, 180)  # `modifying` [K]
    proxy_delete: Duration = Spread(60, 210, 3600)  # an hour seen again and again [L, CDKD]
    target_registering: Duration = Spread(5, 10, 60)  # REGISTERING before UNAVAILABLE [K]
    target_capacity: Duration = Spread(60, 150, 900)  # "several minutes", "10-15 min" [L]
    target_policy_seen: Duration = Spread(5, 20, 120)  # a repaired role or secret [D-iam-ec]

    # Lambda
    function_pending: Duration = Spread(10, 40, 240)  # for a function in a VPC [D-lam-vpc]
    function_pending_plain: Duration = Spread(1, 2, 10)  # without a VPC [K]
    function_update: Duration = Spread(3, 10, 60)  # LastUpdateStatus InProgress [TF]
    interface_in_use: Duration = Spread(150, 240, 1200)  # after a delete [alchemy, serverless]
    interface_in_use_detached: Duration = Spread(200, 300, 1500)  # after a detach [CDKD]
    interface_available: Duration = Spread(60, 300, 1500)  # then, until Lambda removes it [TF-eni]
    role_assumable: Duration = Spread(3, 10, 50)  # single-digit to 20 s [TF-lam-c, CDKD]

    # EC2, IAM, Secrets Manager
    id_visible: Duration = Spread(0.5, 2, 10)  # under 5 s [D-ec2-ec]
    id_visible_at_latest: float = 60.0  # others retry for 1-2 min [D-ec2-ec]
    vpc_pending: Duration = Spread(0.5, 1, 5)  # VPC and subnet `pending` [K]
    secret_name_freed: Duration = Spread(3, 15, 120)  # after a forced delete, "seconds" [M:sm]


# --- where a run shows them -----------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """Statuses of a kind of thing that together last one of `Durations`.

    With a trigger, those right after that call. `parallel` names a kind whose creation may go on at
    the same time, and hold this up; `instead` another duration that it may be, which nothing tells.
    """

    duration: str
    kind: str
    statuses: tuple[str, ...]
    trigger: str = ""
    parallel: str = ""
    instead: str = ""


_MODIFYING = ("modifying", "renaming", "resetting-master-credentials")
_WAITING = "UNAVAILABLE/PENDING_PROXY_CAPACITY"
STRETCHES = (
    Stretch("instance_create", "DBInstance", ("creating", "backing-up"), "rds:CreateDBInstance"),
    Stretch("instance_first_backup", "DBInstance", ("backing-up",), "rds:CreateDBInstance"),
    Stretch("instance_modify_lag", "DBInstance", ("available",), "rds:ModifyDBInstance"),
    Stretch("instance_modify", "DBInstance", _MODIFYING),
    Stretch("storage_optimization", "DBInstance", ("storage-optimization",)),
    Stretch("instance_delete", "DBInstance", ("deleting",), "rds:DeleteDBInstance"),
    Stretch("snapshot", "DBSnapshot", ("creating",)),
    Stretch("proxy_create", "DBProxy", ("creating",), "rds:CreateDBProxy"),
    Stretch("proxy_modify", "DBProxy", ("modifying",)),
    Stretch("proxy_delete", "DBProxy", ("deleting",), "rds:DeleteDBProxy"),
    Stretch("target_registering", "DBProxyTarget", ("REGISTERING",), parallel="DBInstance"),
    Stretch(
        "target_capacity",
        "DBProxyTarget",
        ("REGISTERING", _WAITING),
        "rds:RegisterDBProxyTargets",
        parallel="DBInstance",
    ),
    Stretch("function_pending", "Function", ("Pending",), "lambda:CreateFunction"),
    Stretch("function_update", "FunctionUpdate", ("InProgress",)),
    Stretch(  # detached from the VPC before, or not quite
        "interface_in_use_detached",
        "NetworkInterface",
        ("in-use",),
        "lambda:DeleteFunction",
        instead="interface_in_use",
    ),
    Stretch("vpc_pending", "Vpc", ("pending",)),
    Stretch("vpc_pending", "Subnet", ("pending",)),
)


@dataclass(frozen=True)
class RefusedFor:
    """A refusal that lasts one of `Durations` at most; parts of its call, code and words."""

    duration: str
    call: str
    code: str
    words: str


REFUSED_FOR = (
    RefusedFor("role_assumable", "lambda:CreateFunction", "InvalidParameterValue", "assumed"),
    RefusedFor("id_visible", "ec2:Create", ".NotFound", ""),
    RefusedFor("id_visible", "ec2:Authorize", ".NotFound", ""),
    RefusedFor("secret_name_freed", "secretsmanager:CreateSecret", "InvalidRequest", "deletion"),
)
