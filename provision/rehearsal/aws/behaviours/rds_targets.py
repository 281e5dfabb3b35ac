"""Targets of RDS Proxy: registering them, and their health as DescribeDBProxyTargets shows it.

Follows https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/ and the guide's "RDS Proxy".
"""

from __future__ import annotations

from typing import Any

from provision.rehearsal.aws import network
from provision.rehearsal.aws.behaviours import iam_roles
from provision.rehearsal.aws.behaviours.rds_instances import subnet_group
from provision.rehearsal.aws.behaviours.rds_proxies import check_state, find, find_group
from provision.rehearsal.aws.behaviours.target_health import (
    Target,
    Targets,
    secret_problem,
    unavailable,
)
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World

PORT = 3306
_REGISTERABLE = ("AVAILABLE", "MODIFYING", "BACKING_UP")


def register_db_proxy_targets(world: World, call: Call, proceed: Proceed) -> Answer:
    """Only an instance in a state that takes connections, and only once."""
    proxy = find(world, call)
    group = find_group(world, call)
    check_state(world, proxy)
    names = call.get("DBInstanceIdentifiers", [])
    instances = world.backend("rds", call.region).databases
    for name in names if world.behaviours.refusals else []:
        if name not in instances:
            raise AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
        if name in [target.rds_resource_id for target in group.targets]:
            message = f"DB Instance {name} is already registered with the proxy."
            raise AwsError("DBProxyTargetAlreadyRegisteredFault", message, 400)
        allowed = _registerable(world)
        state = instances[name].status.upper().replace("-", "_")
        if state not in allowed:
            message = (
                f"DB Instance {name} is in an unsupported state - {state}, needs to be in "
                f"[{', '.join(allowed)}]"
            )
            raise AwsError("InvalidDBInstanceState", message, 400)
    proceed()
    targets = world.memory(Targets, call.region)
    for name in names:
        targets[proxy.db_proxy_name, name] = _new_target(world, proxy.db_proxy_name, name)
    return {"DBProxyTargets": [t for t in _targets(world, call) if t["RdsResourceId"] in names]}


def deregister_db_proxy_targets(world: World, call: Call, proceed: Proceed) -> None:
    """Refuses what is not registered."""
    proxy = find(world, call)
    group = find_group(world, call)
    check_state(world, proxy)
    registered = [target.rds_resource_id for target in group.targets]
    for name in call.get("DBInstanceIdentifiers", []) if world.behaviours.refusals else []:
        if name not in registered:
            message = f"The target {name} is not registered with the proxy."
            raise AwsError("DBProxyTargetNotFoundFault", message, 404)
        world.memory(Targets, call.region).pop((proxy.db_proxy_name, name), None)


def describe_db_proxy_targets(world: World, call: Call, proceed: Proceed) -> Answer:
    """Each target with its health."""
    proxy = find(world, call)
    find_group(world, call)
    check_state(world, proxy)
    return {"Targets": _targets(world, call)}


def _registerable(world: World) -> tuple[str, ...]:
    """States of an instance that a proxy takes: one more in a message of 2024 than before."""
    creating = ("CREATING",) if world.possible("registers_while_creating") else ()
    return (*_REGISTERABLE, *creating)


def _new_target(world: World, proxy: str, instance: str) -> Target:
    now = world.clock.now()
    registered = now + world.takes("target_registering", proxy, instance)
    capacity = max(registered, now + world.takes("target_capacity", proxy, instance))
    policy_seen = world.takes("target_policy_seen", proxy, instance)
    creating = _WHILE_CREATING[int(world.draws.number("while_creating", proxy, instance) * 3)]
    return Target(registered, capacity, policy_seen, creating)


_CREATING = "DBProxy Target is waiting for the database to be created"
_WHILE_CREATING = (
    {"State": "REGISTERING"},
    unavailable("PENDING_PROXY_CAPACITY", _CREATING),
    unavailable("CONNECTION_FAILED", _CREATING),
)
"""What a target's health may be until its instance is there; nobody has shown one."""


def rename_target(world: World, region: str, old: str, new: str) -> None:
    """Lets the targets that are the instance `old` be the same instance under its new name."""
    known = world.memory(Targets, region)
    for proxy in world.backend("rds", region).db_proxies.values():
        for group in proxy.proxy_target_groups.values():
            for target in group.targets:
                if target.rds_resource_id == old:
                    target.rds_resource_id = new
        if (proxy.db_proxy_name, old) in known:
            known[proxy.db_proxy_name, new] = known.pop((proxy.db_proxy_name, old))


def _targets(world: World, call: Call) -> list[Answer]:
    proxy = find(world, call)
    instances = world.backend("rds", call.region).databases
    found = []
    for target in find_group(world, call).targets:
        instance = instances.get(target.rds_resource_id)
        about = {
            "RdsResourceId": target.rds_resource_id,
            "Port": PORT,
            "Type": "RDS_INSTANCE",
            "Role": "READ_WRITE",
            "TargetHealth": _health(world, call.region, proxy, instance, target),
        }
        if instance is not None and instance.status != "creating":
            about["Endpoint"] = instance.address
        found.append(about)
    return found


def _health(world: World, region: str, proxy: Any, instance: Any, target: Any) -> Answer:
    """REGISTERING, UNAVAILABLE for want of capacity, then what is really the matter, or nothing."""
    if instance is None:
        text = f"The database {target.rds_resource_id} does not exist any more"
        return unavailable("CONNECTION_FAILED", text)
    key = (proxy.db_proxy_name, target.rds_resource_id)
    by_name = world.memory(Targets, region)
    known = by_name[key] = by_name.get(key) or _new_target(world, *key)
    now = world.clock.now()
    if world.behaviours.states:
        if instance.status == "creating":
            return known.creating
        if now < known.registered:
            return {"State": "REGISTERING"}
        if now < known.capacity:
            text = "DBProxy Target is waiting for proxy to scale to desired capacity"
            return unavailable("PENDING_PROXY_CAPACITY", text)
    found = _problem(world, region, proxy, instance) if world.behaviours.refusals else None
    if found is not None:
        known.troubled, known.problem = now, found
    elif not world.behaviours.consistency or now - known.troubled >= known.policy_seen:
        known.problem = None  # until then, what was repaired is not yet seen to be
    return known.problem or {"State": "AVAILABLE"}


def _problem(world: World, region: str, proxy: Any, instance: Any) -> Answer | None:
    """What keeps this proxy from this database, as AWS would find it."""
    if instance.status in ("creating", "deleting", "upgrading"):
        text = "DBProxy Target unavailable: the database does not answer"
        return unavailable("CONNECTION_FAILED", text)
    answer = world.ask("ec2", "DescribeSecurityGroups", region)
    source = _party(world, region, "proxy", proxy.vpc_security_group_ids, proxy.vpc_subnet_ids)
    group = subnet_group(instance)
    subnets = [subnet.id for subnet in group._subnets] if group else []
    target = _party(world, region, "database", instance.vpc_security_group_ids, subnets)
    if network.blocked(answer["SecurityGroups"], source, target, PORT):
        text = "DBProxy Target unavailable due to an internal error"
        return unavailable("UNREACHABLE", text)
    secrets = [auth.get("SecretArn", "") for auth in proxy.auth]
    problems = (_login_problem(world, region, proxy, instance, secret) for secret in secrets)
    return next(filter(None, problems), None)


def _login_problem(
    world: World, region: str, proxy: Any, instance: Any, secret: str
) -> Answer | None:
    readable = iam_roles.may_as(
        world, "rds.amazonaws.com", proxy.role_arn, "secretsmanager:GetSecretValue", secret
    )
    text = _secret(world, region, secret) if readable.allowed else None
    return secret_problem(text, instance.master_username, instance._master_user_password)


def _secret(world: World, region: str, arn: str) -> str | None:
    """The secret's text; None when there is none, or it waits for its deletion."""
    try:
        value = world.ask("secretsmanager", "GetSecretValue", region, SecretId=arn)
    except AwsError:
        return None
    return str(value.get("SecretString"))


def _party(
    world: World, region: str, name: str, groups: list[str], subnets: list[str]
) -> network.Party:
    ec2 = world.backend("ec2", region)
    known = {subnet.id: subnet.cidr_block for subnet in ec2.describe_subnets()}
    cidrs = tuple(known[subnet] for subnet in subnets if subnet in known)
    return network.Party(name, tuple(groups), cidrs)
