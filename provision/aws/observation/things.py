"""Where AWS's answers say the status of a thing: one table, by operation.

Statuses are AWS's own words. A thing that AWS gives two statuses (a function: its state, and how
its last update went) counts as two kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

READS = ("Describe", "Get", "List", "Head")


class StatusKind(NamedTuple):
    """A kind of thing, and where an answer has its id and its status.

    `identity` are members of the thing itself, `asked` parameters of the call. `detail` refines the
    status. `begun_by` names calls that begin something at it, though no answer of theirs has it.
    `only` are a member and how it begins: others are none of this kind.
    """

    name: str
    identity: tuple[str, ...]
    status: tuple[str, ...]
    detail: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    begun_by: tuple[str, ...] = ()
    only: tuple[str, str] = ("", "")


VPC = StatusKind("Vpc", ("VpcId",), ("State",))
SUBNET = StatusKind("Subnet", ("SubnetId",), ("State",))
INTERFACE = StatusKind(
    "NetworkInterface",
    ("NetworkInterfaceId",),
    ("Status",),
    begun_by=("lambda:DeleteFunction", "lambda:UpdateFunctionConfiguration"),
    only=("Description", "AWS Lambda VPC ENI"),
)
INSTANCE = StatusKind("DBInstance", ("DbiResourceId",), ("DBInstanceStatus",))
PROXY = StatusKind("DBProxy", ("DBProxyArn",), ("Status",))
TARGET = StatusKind(
    "DBProxyTarget",
    ("RdsResourceId",),
    ("TargetHealth", "State"),
    detail=("TargetHealth", "Reason"),
    asked=("DBProxyName",),
)
SNAPSHOT = StatusKind("DBSnapshot", ("DBSnapshotIdentifier",), ("Status",))
FUNCTION = StatusKind("Function", ("FunctionName",), ("State",))
UPDATE = StatusKind("FunctionUpdate", ("FunctionName",), ("LastUpdateStatus",))
KINDS = (VPC, SUBNET, INTERFACE, INSTANCE, PROXY, TARGET, SNAPSHOT, FUNCTION, UPDATE)

# Where an answer has things: the member, and what they are. "" is the answer itself.
PLACES: Mapping[str, tuple[str, tuple[StatusKind, ...]]] = {
    "ec2:CreateVpc": ("Vpc", (VPC,)),
    "ec2:DescribeVpcs": ("Vpcs", (VPC,)),
    "ec2:CreateSubnet": ("Subnet", (SUBNET,)),
    "ec2:DescribeSubnets": ("Subnets", (SUBNET,)),
    "ec2:DescribeNetworkInterfaces": ("NetworkInterfaces", (INTERFACE,)),
    "rds:CreateDBInstance": ("DBInstance", (INSTANCE,)),
    "rds:DescribeDBInstances": ("DBInstances", (INSTANCE,)),
    "rds:ModifyDBInstance": ("DBInstance", (INSTANCE,)),
    "rds:StartDBInstance": ("DBInstance", (INSTANCE,)),
    "rds:DeleteDBInstance": ("DBInstance", (INSTANCE,)),
    "rds:CreateDBProxy": ("DBProxy", (PROXY,)),
    "rds:DescribeDBProxies": ("DBProxies", (PROXY,)),
    "rds:ModifyDBProxy": ("DBProxy", (PROXY,)),
    "rds:DeleteDBProxy": ("DBProxy", (PROXY,)),
    "rds:RegisterDBProxyTargets": ("DBProxyTargets", (TARGET,)),
    "rds:DescribeDBProxyTargets": ("Targets", (TARGET,)),
    "rds:DescribeDBSnapshots": ("DBSnapshots", (SNAPSHOT,)),
    "lambda:CreateFunction": ("", (FUNCTION, UPDATE)),
    "lambda:GetFunction": ("Configuration", (FUNCTION, UPDATE)),
    "lambda:GetFunctionConfiguration": ("", (FUNCTION, UPDATE)),
    "lambda:UpdateFunctionCode": ("", (FUNCTION, UPDATE)),
    "lambda:UpdateFunctionConfiguration": ("", (FUNCTION, UPDATE)),
}
# Whose status says whether a call comes early, where no answer of the call has that thing.
RELATED: Mapping[str, str] = {
    "rds:RegisterDBProxyTargets": INSTANCE.name,
    "rds:DeleteDBSubnetGroup": INSTANCE.name,
}
BEGINS = {call: kind for kind in KINDS for call in kind.begun_by}
GONE = "(gone)"  # AWS no longer has the resource


def is_read(call: str) -> bool:
    """Return whether a call (`service:Operation`) only reads."""
    return call.partition(":")[2].startswith(READS)


def things_in(
    call: str, answer: Mapping[str, Any]
) -> Iterator[tuple[StatusKind, Mapping[str, Any]]]:
    """Yield each resource in an answer with its kind."""
    member, kinds = PLACES[call]
    found = answer.get(member) if member else answer
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, Mapping):
            for kind in kinds:
                member, begins = kind.only
                if not member or str(item.get(member)).startswith(begins):
                    yield kind, item


def status_of(kind: StatusKind, thing: Mapping[str, Any]) -> str:
    """Return a resource's status in AWS's words, with its detail; "" if it has none."""
    words = [text for path in (kind.status, kind.detail) if path and (text := _at(thing, path))]
    return "/".join(words)


def identity_of(
    kind: StatusKind, thing: Mapping[str, Any], asked: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """Return what identifies a resource among its kind, or None if the answer does not say."""
    parts = [thing.get(name) for name in kind.identity] + [asked.get(name) for name in kind.asked]
    return tuple(map(str, parts)) if all(parts) else None


def _at(thing: Any, path: tuple[str, ...]) -> str:
    for name in path:
        thing = thing.get(name) if isinstance(thing, Mapping) else None
    return thing if isinstance(thing, str) else ""
