"""Network interfaces that services make in a VPC by themselves, and how long they stay.

A Lambda function in a VPC gets one interface for each pair of subnet and groups, shared by all
functions with that pair. It outlives them, in two steps: minutes after the last of them is deleted
or detached it is `available`, and anybody may delete it; later Lambda removes it, with the
function's own role. Without that role's permission it stays, as an orphan (https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from provision.rehearsal.aws.behaviours import iam_roles
from provision.rehearsal.aws.world import World

_Place = tuple[str, tuple[str, ...]]


@dataclass
class _Shared:
    """An interface of Lambda's, and the functions that use it.

    `name`: what its durations are drawn by, the same whichever function leaves it last.
    """

    interface: str
    name: str
    users: set[str] = field(default_factory=set)


@dataclass
class Interfaces:
    """Lambda's interfaces by subnet and groups, RDS's by what they are for."""

    shared: dict[_Place, _Shared] = field(default_factory=dict)
    owned: dict[str, list[str]] = field(default_factory=dict)


def for_function(
    world: World,
    region: str,
    name: str,
    role_arn: str,
    subnets: Iterable[str],
    groups: Iterable[str],
) -> None:
    """Puts the function's traffic on interfaces in these subnets, making those that lack.

    Those that it was on until now it leaves, as a deleted function does.
    """
    if not world.behaviours.leftovers:
        return
    memory = world.memory(Interfaces, region)
    places = [(subnet, tuple(sorted(groups))) for subnet in subnets]
    for place, left in list(memory.shared.items()):
        if name in left.users and place not in places:
            _leave(world, region, name, role_arn, place, "interface_in_use")
    for place in places:
        subnet = place[0]
        shared = memory.shared.get(place)
        if shared is None or shared.interface not in world.backend("ec2", region).enis:
            text = f"AWS Lambda VPC ENI-{name}-{len(memory.shared):08x}"
            made = _make(world, region, subnet, place[1], text, "lambda")
            cidr = world.backend("ec2", region).get_subnet(subnet).cidr_block
            shared = memory.shared[place] = _Shared(made, cidr)
        world.forget(("interface", region, shared.interface))
        _set_status(world, region, shared.interface, "in-use")
        shared.users.add(name)


def release_function(
    world: World, region: str, name: str, role_arn: str, *, detached: bool
) -> None:
    """Takes the function off its interfaces; those without a function go after a while.

    `detached`: by an update that emptied its VpcConfig, not by a deletion.
    """
    wait = "interface_in_use_detached" if detached else "interface_in_use"
    for place in list(world.memory(Interfaces, region).shared):
        _leave(world, region, name, role_arn, place, wait)


def _leave(world: World, region: str, name: str, role_arn: str, place: _Place, wait: str) -> None:
    """Takes the function off one interface, which is released if nobody else uses it.

    `wait` names the duration of its first step.
    """
    shared = world.memory(Interfaces, region).shared[place]
    shared.users.discard(name)
    if shared.users:
        return
    key = ("interface", region, shared.interface)
    world.forget(key)

    def release() -> None:
        _set_status(world, region, shared.interface, "available")
        world.later(world.takes("interface_available", shared.name), let_go, key)

    def let_go() -> None:  # Lambda's own removal, with the function's role
        world.memory(Interfaces, region).shared.pop(place, None)
        if iam_roles.may(world, role_arn, "ec2:DeleteNetworkInterface").allowed:
            world.backend("ec2", region).enis.pop(shared.interface, None)

    world.later(world.takes(wait, shared.name), release, key)


def for_service(
    world: World,
    region: str,
    owner: str,
    subnets: Iterable[str],
    groups: Iterable[str],
    description: str = "RDSNetworkInterface",
    kind: str = "interface",
) -> None:
    """Makes an interface of a service's (RDS's) in each subnet, for `owner` (an ARN or id)."""
    if world.behaviours.leftovers:
        world.memory(Interfaces, region).owned[owner] = [
            _make(world, region, subnet, groups, description, kind) for subnet in subnets
        ]


def change_groups(world: World, region: str, owner: str, groups: Iterable[str]) -> None:
    """Gives the interfaces of `owner` these groups instead."""
    ec2 = world.backend("ec2", region)
    wanted = [ec2.get_security_group_from_id(group) for group in groups]
    for interface in world.memory(Interfaces, region).owned.get(owner, []):
        if interface in ec2.enis:
            ec2.enis[interface]._group_set = wanted


def release_service(world: World, region: str, owner: str) -> None:
    """Removes the interfaces of `owner`: they go with what they are for."""
    for interface in world.memory(Interfaces, region).owned.pop(owner, []):
        world.backend("ec2", region).enis.pop(interface, None)


def _make(
    world: World,
    region: str,
    subnet: str,
    groups: Iterable[str],
    description: str,
    kind: str,
) -> str:
    made: Any = world.backend("ec2", region).create_network_interface(
        subnet, "", group_ids=list(groups), description=description
    )
    belongs_to_aws(made, description, kind)
    return str(made.id)


def belongs_to_aws(interface: Any, description: str, kind: str) -> None:
    """Makes moto's interface one that a service of AWS made and uses."""
    interface.status = "in-use"
    interface.description = description
    interface.requester_managed = True
    requesters = {"lambda": "123456789012:aws-lambda", "interface": "amazon-rds"}
    interface.requester_id = requesters.get(kind, "amazon-aws")
    interface.interface_type = kind


def _set_status(world: World, region: str, interface: str, status: str) -> None:
    enis = world.backend("ec2", region).enis
    if interface in enis:
        enis[interface].status = status
