"""Reads security groups: who reaches whom on which port.

Pure functions over the answers of DescribeSecurityGroups; nothing is sent. Groups are stateful, so
an answer needs no rule of its own:
https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

Group = Mapping[str, Any]
Rule = Mapping[str, Any]
_TCP = ("tcp", "6")


@dataclass(frozen=True)
class Party:
    """One end of a connection: what it is called, its security groups, its subnets' CIDRs."""

    name: str
    group_ids: tuple[str, ...]
    cidrs: tuple[str, ...] = ()


def blocked(groups: Iterable[Group], source: Party, target: Party, port: int) -> str:
    """Return why a TCP connection from source to target does not get through, or "" if it does."""
    by_id = {group["GroupId"]: group for group in groups}
    for party in (source, target):
        missing = [group_id for group_id in party.group_ids if group_id not in by_id]
        if missing or not party.group_ids:
            return f"the {party.name} has no security group {' '.join(missing)}".rstrip()
    out = _rules(by_id, source, "IpPermissionsEgress")
    if not any(_lets(rule, target, port) for rule in out):
        return (
            f"no outbound rule of {_names(source)} ({source.name}) lets tcp {port} out "
            f"to {_names(target)} ({target.name})"
        )
    into = _rules(by_id, target, "IpPermissions")
    if not any(_lets(rule, source, port) for rule in into):
        return (
            f"no inbound rule of {_names(target)} ({target.name}) lets tcp {port} in "
            f"from {_names(source)} ({source.name})"
        )
    return ""


def _rules(by_id: Mapping[str, Group], party: Party, direction: str) -> list[Rule]:
    return [rule for name in party.group_ids for rule in by_id[name].get(direction, [])]


def _lets(rule: Rule, other: Party, port: int) -> bool:
    everything = rule["IpProtocol"] == "-1"
    in_range = rule["IpProtocol"] in _TCP and rule["FromPort"] <= port <= rule["ToPort"]
    if not everything and not in_range:
        return False
    groups = {pair["GroupId"] for pair in rule.get("UserIdGroupPairs", [])}
    if groups & set(other.group_ids):
        return True
    ranges = [IPv4Network(item["CidrIp"]) for item in rule.get("IpRanges", [])]
    inside = [any(IPv4Network(cidr).subnet_of(given) for given in ranges) for cidr in other.cidrs]
    return any(given.prefixlen == 0 for given in ranges) or (bool(inside) and all(inside))


def _names(party: Party) -> str:
    return ", ".join(party.group_ids)
