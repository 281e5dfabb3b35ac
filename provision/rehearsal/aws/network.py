"""Reads security groups: who reaches whom on which port, and whether anything more is let in.

Pure functions over the answers of DescribeSecurityGroups; nothing is sent. Groups are stateful, so
an answer needs no rule of its own:
https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
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


def findings(
    groups: Sequence[Group], function: Party, proxy: Party, database: Party, port: int = 3306
) -> list[str]:
    """Return all that is wrong with function -> proxy -> database: closed, or open too wide.

    Nothing may come in to the function; into proxy and database only the one before, on `port`.
    """
    closed = [
        blocked(groups, function, proxy, port),
        blocked(groups, proxy, database, port),
    ]
    wide = [
        *_wider(groups, function, frozenset(), port),
        *_wider(groups, proxy, frozenset(function.group_ids), port),
        *_wider(groups, database, frozenset(proxy.group_ids), port),
    ]
    return [finding for finding in closed + wide if finding]


def _wider(
    groups: Iterable[Group], party: Party, expected: Collection[str], port: int
) -> list[str]:
    found = []
    by_id = {group["GroupId"]: group for group in groups}
    for rule in _rules(by_id, party, "IpPermissions"):
        exact = rule["IpProtocol"] in _TCP and (rule["FromPort"], rule["ToPort"]) == (port, port)
        for source in _sources(rule):
            if source not in expected or not exact:
                found.append(
                    f"{_names(party)} ({party.name}) lets in {_ports(rule)} from {source}, "
                    "which nothing here needs"
                )
    return found


def _rules(by_id: Mapping[str, Group], party: Party, direction: str) -> list[Rule]:
    return [
        rule
        for group_id in party.group_ids
        if group_id in by_id
        for rule in by_id[group_id].get(direction, [])
    ]


def _lets(rule: Rule, other: Party, port: int) -> bool:
    everything = rule["IpProtocol"] == "-1"
    in_range = rule["IpProtocol"] in _TCP and rule["FromPort"] <= port <= rule["ToPort"]
    if not everything and not in_range:
        return False
    groups = {pair["GroupId"] for pair in rule.get("UserIdGroupPairs", [])}
    if groups & set(other.group_ids):
        return True
    ranges = [IPv4Network(item["CidrIp"]) for item in rule.get("IpRanges", [])]
    inside = [any(_covers(given, ip_network(cidr)) for given in ranges) for cidr in other.cidrs]
    return any(given.prefixlen == 0 for given in ranges) or (bool(inside) and all(inside))


def _covers(given: IPv4Network, cidr: Any) -> bool:
    return isinstance(cidr, IPv4Network) and cidr.subnet_of(given)


def _sources(rule: Rule) -> list[str]:
    return [
        *(pair["GroupId"] for pair in rule.get("UserIdGroupPairs", [])),
        *(item["CidrIp"] for item in rule.get("IpRanges", [])),
        *(item["CidrIpv6"] for item in rule.get("Ipv6Ranges", [])),
        *(item["PrefixListId"] for item in rule.get("PrefixListIds", [])),
    ]


def _ports(rule: Rule) -> str:
    if rule["IpProtocol"] == "-1":
        return "everything"
    low, high = rule.get("FromPort"), rule.get("ToPort")
    return f"{rule['IpProtocol']} {low}" if low == high else f"{rule['IpProtocol']} {low}-{high}"


def _names(party: Party) -> str:
    return ", ".join(party.group_ids)
