"""RDS: what several of its calls refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import World

_RESERVED = ("aws:", "rds:")


def invalid_value(message: str) -> AwsError:
    """The refusal of a parameter that is wrong by itself."""
    return AwsError("InvalidParameterValue", message, 400)


def invalid_combination(message: str) -> AwsError:
    """The refusal of parameters that do not go together."""
    return AwsError("InvalidParameterCombination", message, 400)


def check_tags(call: Call) -> None:
    """Refuse a key or a value that begins with a reserved prefix (RDS API Reference, Tag)."""
    for tag in call.get("Tags") or []:
        for part in ("Key", "Value"):
            text = tag.get(part) or ""
            if text.lower().startswith(_RESERVED):
                raise invalid_value(
                    f"Invalid tag {part.lower()}: {text} begins with a reserved prefix."
                )


def subnets(world: World, call: Call, parameter: str) -> list[Any]:
    """moto's subnets that the call names. Raises InvalidSubnet for one that does not exist."""
    known = {each.id: each for each in world.backend("ec2", call.region).describe_subnets()}
    names = call.get(parameter, [])
    for name in names:
        if name not in known:
            message = f"Some input subnets in :[{name}] are invalid."
            raise AwsError("InvalidSubnet", message, 400)
    return [known[name] for name in names]


def security_groups(world: World, call: Call) -> Iterator[Any]:
    """moto's security groups that the call names, one after the other. Raises AwsError."""
    for name in call.get("VpcSecurityGroupIds", []):
        group = world.backend("ec2", call.region).get_security_group_from_id(name)
        if group is None:
            raise invalid_value(f"Invalid security group , groupId= {name}, groupName=.")
        yield group
