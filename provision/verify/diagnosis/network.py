"""Causes in the network: the groups' rules from function to proxy to database, on MySQL's port.

Both sides need a rule; security groups are stateful, so answers need none.
https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network, ip_network

from provision.resources.ec2 import MYSQL_PORT
from provision.resources.template import Tier
from provision.verify.diagnosis.cause import Cause, is_should
from provision.verify.diagnosis.evidence import Evidence


def function_outside_its_network(evidence: Evidence) -> Iterator[Cause]:
    """The function is in another subnet or security group, or in no VPC at all."""
    for name in ("VpcConfig.SubnetIds", "VpcConfig.SecurityGroupIds"):
        if change := evidence.change(evidence.function, name):
            sentence = "the function is not in its subnet and security group"
            yield Cause(sentence, is_should(name, change.is_, change.should))


def function_cannot_reach_proxy(evidence: Evidence) -> Iterator[Cause]:
    """No rule lets the function out to the proxy, or in at the proxy."""
    return closed(evidence, "function", "proxy")


def proxy_cannot_reach_database(evidence: Evidence) -> Iterator[Cause]:
    """No rule lets the proxy out to the database, or in at the database; or their groups differ."""
    database = evidence.template.db_instance
    for resource, what in ((evidence.proxy, "the proxy"), (database, "the database")):
        change = evidence.change(resource, "VpcSecurityGroupIds")
        if change and not set(change.should) <= set(change.is_):
            sentence = f"{what} is not in its security group"
            yield Cause(sentence, is_should("VpcSecurityGroupIds", change.is_, change.should))
    yield from closed(evidence, "proxy", "database")


def closed(evidence: Evidence, source: Tier, target: Tier) -> Iterator[Cause]:
    """Yield which of the two rules between source and target is missing."""
    template = evidence.template
    for direction, here, peer in (("Egress", source, target), ("Ingress", target, source)):
        rules = evidence.is_(template.rules[here], direction)
        group = evidence.seen(template.security_groups[peer])
        if rules is None or group is None:
            continue
        if any(lets(rule, group.outputs["id"], cidrs(evidence, peer)) for rule in rules):
            continue
        way = f"out to the {peer}" if direction == "Egress" else f"in from the {peer}"
        name = evidence.name(template.security_groups[here])
        yield Cause(
            f"the security group of the {here} lets nothing {way} on port {MYSQL_PORT}",
            is_should(f"{direction} of {name}", rules, f"tcp {MYSQL_PORT} {group.outputs['id']}"),
        )


def cidrs(evidence: Evidence, tier: Tier) -> list[str]:
    """Return the address ranges of a tier's subnets: the proxies are in the database's."""
    template = evidence.template
    subnets = [template.function_subnet] if tier == "function" else template.database_subnets
    found = [evidence.is_(subnet, "CidrBlock") for subnet in subnets]
    return [cidr for cidr in found if cidr]


def lets(rule: str, group_id: str, ranges: Collection[str]) -> bool:
    """Return whether a rule (`PROTOCOL PORT PEER`) lets MySQL through to or from a peer."""
    protocol, ports, peer = rule.split()
    low, _, high = ports.partition("-")
    if protocol not in ("-1", "tcp", "6"):
        return False
    if ports != "all" and not int(low) <= MYSQL_PORT <= int(high or low):
        return False
    return peer == group_id or ("/" in peer and covers(peer, ranges))


def covers(cidr: str, ranges: Iterable[str]) -> bool:
    """Return whether an address range holds all of the others."""
    whole = ip_network(cidr, strict=False)
    inner = [ip_network(each) for each in ranges]
    if whole.prefixlen == 0:
        return isinstance(whole, IPv4Network)
    return bool(inner) and all(
        whole.version == each.version and each.subnet_of(whole)  # type: ignore[arg-type]
        for each in inner
    )
