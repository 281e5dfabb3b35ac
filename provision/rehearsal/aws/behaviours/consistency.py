"""Eventual consistency: what was just made is not seen everywhere at once.

A new VPC, subnet, security group or role is missed by at least the first call that names it or
looks for it, and for `Durations.id_visible`; after `id_visible_at_latest` it is always seen.
AWS's promise is no better: EC2's and IAM's guides tell callers to look again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import World

_MADE = {
    ("ec2", "CreateVpc"): ("Vpc", "VpcId"),
    ("ec2", "CreateSubnet"): ("Subnet", "SubnetId"),
    ("ec2", "CreateSecurityGroup"): (None, "GroupId"),
    ("iam", "CreateRole"): ("Role", "RoleName"),
}
_LISTED = {
    ("ec2", "DescribeVpcs"): ("Vpcs", "VpcId"),
    ("ec2", "DescribeSubnets"): ("Subnets", "SubnetId"),
    ("ec2", "DescribeSecurityGroups"): ("SecurityGroups", "GroupId"),
    ("iam", "ListRoles"): ("Roles", "RoleName"),
}
_MISSED = {
    "vpc": ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "subnet": ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "sg": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
}


@dataclass
class New:
    """What was made lately: from when on it is seen, in AWS seconds, and how often it was not."""

    made: float
    visible: float
    misses: int = 0

    def missed(self, world: World) -> bool:
        """Whether this look misses it; counts the miss. The first does, if it is not late."""
        now = world.clock.now()
        latest = self.made + world.durations.id_visible_at_latest
        if now >= latest or (now >= self.visible and self.misses):
            return False
        self.misses += 1
        return True


class News(dict[str, New]):
    """What was made lately, by id."""


def watches(call: Call) -> bool:
    """Whether `note` has to see the answer to this call."""
    key = (call.service, call.operation)
    return key in _MADE or key in _LISTED


def check(world: World, call: Call) -> None:
    """Refuses a call that names something too new. Raises AwsError."""
    if call.service == "ec2":
        named = {k: v for k, v in call.params.items() if k != "Filters"}  # those find nothing
        for name in _strings(named):
            kind = name.partition("-")[0]
            if kind in _MISSED and _unseen(world, name):
                code, message = _MISSED[kind]
                raise AwsError(code, message.format(name))
    if call.service == "iam" and call.operation == "GetRole":
        name = call.get("RoleName", "")
        if _unseen(world, name):
            message = f"The role with name {name} cannot be found."
            raise AwsError("NoSuchEntity", message, 404)


def note(world: World, call: Call, answer: dict[str, Any]) -> None:
    """Remembers what was made; takes out of a list what is too new to be seen."""
    key = (call.service, call.operation)
    if key in _MADE:
        within, field_name = _MADE[key]
        made = answer[within] if within else answer
        now, about = world.clock.now(), _said_of(call)
        visible = now + world.takes("id_visible", call.operation, about)
        world.memory(News)[made[field_name]] = New(now, visible)
    else:
        listed, field_name = _LISTED[key]
        items = answer.get(listed, [])
        answer[listed] = [item for item in items if not _unseen(world, item[field_name])]


def _said_of(call: Call) -> str:
    """What a creation says of the thing, the same in each run: its name or its addresses."""
    return str(call.get("RoleName") or call.get("GroupName") or call.get("CidrBlock"))


def _unseen(world: World, name: str) -> bool:
    """Whether this look at `name` misses it; counts the miss."""
    new = world.memory(News).get(name)
    return new is not None and new.missed(world)


def _strings(value: Any) -> Iterator[str]:
    """Every string within `value`, however deep; not the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
