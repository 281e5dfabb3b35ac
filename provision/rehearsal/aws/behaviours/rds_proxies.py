"""RDS Proxy: the calls that moto lacks, AWS's states over time, target health, and refusals.

Follows https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/ and the guide's "RDS Proxy".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from provision.rehearsal.aws import network
from provision.rehearsal.aws.behaviours import iam_roles, interfaces, rds_tags
from provision.rehearsal.aws.behaviours import target_health as health
from provision.rehearsal.aws.behaviours.rds_instances import subnet_group
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Proceed, World

Answer = dict[str, Any]

PORT = 3306
_USABLE = {"available", "incompatible-network", "insufficient-resource-limits"}
_REGISTERABLE = ("AVAILABLE", "MODIFYING", "BACKING_UP")


@dataclass
class _Target:
    """A registered target: until when it is in which state, and when it last had a problem."""

    registered: float
    capacity: float
    policy_seen: float
    creating: tuple[str, str]  # state and reason for as long as the instance is `creating`
    troubled: float = 0.0
    problem: health.HealthProblem | None = None


@dataclass
class Targets:
    """Registered targets by proxy and instance."""

    by_name: dict[tuple[str, str], _Target] = field(default_factory=dict)


# Create, modify, delete


def create_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """`creating`, then `available`; the endpoint is known at once."""
    if world.behaviours.refusals:
        rds_tags.check(call)
        _check_new(world, call)
    proceed()
    proxy = _find(world, call)
    proxy.endpoint = proxy.endpoint.replace(".db-proxy-", ".proxy-").lower()
    proxy.auth = [_completed(auth) for auth in call.get("Auth", [])]
    proxy.default_auth_scheme = "NONE"
    proxy.require_tls = call.get("RequireTLS", False)  # moto has no defaults
    proxy.debug_logging = call.get("DebugLogging", False)
    proxy.idle_client_timeout = call.get("IdleClientTimeout", 1800)
    subnets = proxy.vpc_subnet_ids
    interfaces.for_service(world, call.region, proxy.arn, subnets, proxy.vpc_security_group_ids)
    takes = world.takes("proxy_create", proxy.db_proxy_name)
    _busy(world, call.region, proxy, "creating", takes)
    if world.behaviours.leftovers:
        name = f"/aws/rds/proxy/{proxy.db_proxy_name}"
        wait = takes if world.behaviours.states else 0.0
        key = _key(call.region, proxy)
        world.later(wait, lambda: make_log_group(world, call.region, name), key)
    return _described(world, call)


def modify_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """moto has no ModifyDBProxy."""
    proxy = _find(world, call)
    _check_state(world, proxy)
    new = call.get("NewDBProxyName", proxy.db_proxy_name)
    if world.behaviours.refusals:
        _check_change(world, call, proxy, new)
    for name, attribute in _MODIFIABLE.items():
        if name in call.params:
            setattr(proxy, attribute, call.params[name])
    proxy.auth = [_completed(auth) for auth in call.get("Auth", proxy.auth)]
    if "SecurityGroups" in call.params:
        interfaces.change_groups(world, call.region, proxy.arn, call.params["SecurityGroups"])
    takes = world.takes("proxy_modify", proxy.db_proxy_name)
    _busy(world, call.region, proxy, "modifying", takes)
    answer = _described(world, call)
    if new != proxy.db_proxy_name:
        wait = takes if world.behaviours.states else 0.0
        world.later(wait, lambda: _rename(world, call.region, proxy, new), _key(call.region, proxy))
    return answer


def _rename(world: World, region: str, proxy: Any, new: str) -> None:
    """Gives it another name; its ARN, with the prx-… in it, stays."""
    proxies, old = world.backend("rds", region).db_proxies, proxy.db_proxy_name
    targets = world.memory(Targets, region).by_name
    for key in [key for key in targets if key[0] == old]:
        targets[new, key[1]] = targets.pop(key)
    proxy.db_proxy_name = new
    proxies[new] = proxies.pop(old)
    if world.possible("renames_proxy_endpoint"):
        proxy.endpoint = f"{new.lower()}.{proxy.endpoint.partition('.')[2]}"
    if world.behaviours.leftovers:
        make_log_group(world, region, f"/aws/rds/proxy/{new}")


def _check_change(world: World, call: Call, proxy: Any, new: str) -> None:
    if new != proxy.db_proxy_name:
        _check_name(world, call.region, new)
    if "RoleArn" in call.params:
        _check_role(world, call.params["RoleArn"])


_MODIFIABLE = {
    "DebugLogging": "debug_logging",
    "IdleClientTimeout": "idle_client_timeout",
    "RequireTLS": "require_tls",
    "RoleArn": "role_arn",
    "SecurityGroups": "vpc_security_group_ids",
}


def delete_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """`deleting`, then gone, its targets and interfaces with it. Its log group stays."""
    proxy = _find(world, call)
    _check_state(world, proxy)
    answer = _described(world, call)
    answer["DBProxy"]["Status"] = "deleting"
    key = _key(call.region, proxy)
    world.forget(key)

    def gone() -> None:
        world.backend("rds", call.region).db_proxies.pop(proxy.db_proxy_name, None)
        interfaces.release_service(world, call.region, proxy.arn)
        targets = world.memory(Targets, call.region).by_name
        for name in [name for name in targets if name[0] == proxy.db_proxy_name]:
            del targets[name]

    if world.behaviours.states:
        proxy.status = "deleting"
        world.later(world.takes("proxy_delete", proxy.db_proxy_name), gone, key)
    else:
        gone()
    return answer


def describe_db_proxies(world: World, call: Call, proceed: Proceed) -> None:
    """A proxy that is not there: in AWS's words."""
    if call.get("DBProxyName"):
        _find(world, call)


def describe_db_proxy_endpoints(world: World, call: Call, proceed: Proceed) -> Answer:
    """None: a rehearsed proxy has its default endpoint alone, which this list leaves out."""
    if call.get("DBProxyName"):
        _find(world, call)
    return {"DBProxyEndpoints": []}


def _check_new(world: World, call: Call) -> None:
    """Raises AwsError for a proxy that RDS would not make."""
    _check_name(world, call.region, call.get("DBProxyName", ""))
    if not iam_roles.has_service_linked_role(world):
        message = (
            "RDS is not authorized to assume service-linked role "
            "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/"
            "AWSServiceRoleForRDS. Check your RDS service-linked role and try again."
        )
        raise AwsError("InvalidParameterValue", message, 400)
    if call.get("DefaultAuthScheme", "NONE") != "NONE" or not call.get("Auth"):
        message = "Auth is required when DefaultAuthScheme is NONE."
        raise AwsError("InvalidParameterCombination", message, 400)
    _check_role(world, call.get("RoleArn", ""))
    _check_network(world, call)


def _check_name(world: World, region: str, name: str) -> None:
    if name.lower() in [each.lower() for each in world.backend("rds", region).db_proxies]:
        message = f"A proxy named {name} already exists."
        raise AwsError("DBProxyAlreadyExistsFault", message, 400)
    if not re.fullmatch(r"[a-zA-Z](?:-?[a-zA-Z0-9]+)*", name) or len(name) > 63:
        raise AwsError("InvalidParameterValue", f"The proxy name {name} is not valid.", 400)


def _check_role(world: World, role: str) -> None:
    """Raises AwsError for a role that does not exist, or that RDS is found not to get at yet.

    What RDS says of a fresh role, if it looks at it at all, is not known; two refusals are.
    """
    exists = iam_roles.find(world, role) is not None
    checks = exists and world.possible("checks_proxy_role")
    if exists and not (checks and not iam_roles.assumable(world, role, "rds.amazonaws.com")):
        return
    if exists and world.draws.happens(0.5, "proxy_role_refusal", role):
        message = "The security token included in the request is invalid"
        raise AwsError("InvalidClientTokenId", message, 403)
    message = f"IAM role ARN value {role} is invalid or does not include the required permissions"
    raise AwsError("InvalidParameterValue", message, 400)


def _check_network(world: World, call: Call) -> None:
    ec2 = world.backend("ec2", call.region)
    known = {s.id: s for each in ec2.subnets.values() for s in each.values()}
    zones = set()
    for name in call.get("VpcSubnetIds", []):
        if name not in known:
            message = f"Some input subnets in :[{name}] are invalid."
            raise AwsError("InvalidSubnet", message, 400)
        zones.add(known[name].availability_zone)
    if len(zones) < 2:
        message = "The proxy needs subnets in at least two Availability Zones."
        raise AwsError("InvalidSubnet", message, 400)
    for name in call.get("VpcSecurityGroupIds", []):
        if ec2.get_security_group_from_id(name) is None:
            message = f"Invalid security group , groupId= {name}, groupName=."
            raise AwsError("InvalidParameterValue", message, 400)


def _completed(auth: dict[str, Any]) -> dict[str, Any]:
    """A proxy's `Auth` with what AWS fills in for MySQL."""
    return {
        "AuthScheme": "SECRETS",
        "IAMAuth": "DISABLED",
        "ClientPasswordAuthType": "MYSQL_CACHING_SHA2_PASSWORD",
        **auth,
    }


# Target groups


def describe_db_proxy_target_groups(world: World, call: Call, proceed: Proceed) -> None:
    """Refuses a proxy or a group that is not there."""
    _find_group(world, call)


def modify_db_proxy_target_group(world: World, call: Call, proceed: Proceed) -> Answer:
    """What the pool's settings leave out goes back to AWS's default."""
    proxy = _find(world, call)
    group = _find_group(world, call)
    _check_state(world, proxy)
    config = call.get("ConnectionPoolConfig", {})
    connections = config.get("MaxConnectionsPercent", 100)
    idle = config.get("MaxIdleConnectionsPercent", connections // 2)
    if world.behaviours.refusals and idle > connections:
        message = "MaxIdleConnectionsPercent must not be above MaxConnectionsPercent."
        raise AwsError("InvalidParameterValue", message, 400)
    group.max_connections, group.max_idle_connections = connections, idle
    group.borrow_timeout = config.get("ConnectionBorrowTimeout", 120)
    group.session_pinning_filters = config.get("SessionPinningFilters", [])
    name = proxy.db_proxy_name
    answer = world.ask("rds", "DescribeDBProxyTargetGroups", call.region, DBProxyName=name)
    return {"DBProxyTargetGroup": answer["TargetGroups"][0]}


# Targets


def register_db_proxy_targets(world: World, call: Call, proceed: Proceed) -> Answer:
    """Only an instance in a state that takes connections, and only once."""
    proxy = _find(world, call)
    group = _find_group(world, call)
    _check_state(world, proxy)
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
    targets = world.memory(Targets, call.region).by_name
    for name in names:
        targets[proxy.db_proxy_name, name] = _new_target(world, proxy.db_proxy_name, name)
    return {"DBProxyTargets": [t for t in _targets(world, call) if t["RdsResourceId"] in names]}


def deregister_db_proxy_targets(world: World, call: Call, proceed: Proceed) -> None:
    """Refuses what is not registered."""
    proxy = _find(world, call)
    group = _find_group(world, call)
    _check_state(world, proxy)
    registered = [target.rds_resource_id for target in group.targets]
    for name in call.get("DBInstanceIdentifiers", []) if world.behaviours.refusals else []:
        if name not in registered:
            message = f"The target {name} is not registered with the proxy."
            raise AwsError("DBProxyTargetNotFoundFault", message, 404)
        world.memory(Targets, call.region).by_name.pop((proxy.db_proxy_name, name), None)


def describe_db_proxy_targets(world: World, call: Call, proceed: Proceed) -> Answer:
    """Each target with its health."""
    proxy = _find(world, call)
    _find_group(world, call)
    _check_state(world, proxy)
    return {"Targets": _targets(world, call)}


def _registerable(world: World) -> tuple[str, ...]:
    """States of an instance that a proxy takes: one more in a message of 2024 than before."""
    creating = ("CREATING",) if world.possible("registers_while_creating") else ()
    return (*_REGISTERABLE, *creating)


def _new_target(world: World, proxy: str, instance: str) -> _Target:
    now = world.clock.now()
    registered = now + world.takes("target_registering", proxy, instance)
    capacity = max(registered, now + world.takes("target_capacity", proxy, instance))
    policy_seen = world.takes("target_policy_seen", proxy, instance)
    creating = _WHILE_CREATING[int(world.draws.number("while_creating", proxy, instance) * 3)]
    return _Target(registered, capacity, policy_seen, creating)


_WHILE_CREATING = (
    ("REGISTERING", ""),
    ("UNAVAILABLE", "PENDING_PROXY_CAPACITY"),
    ("UNAVAILABLE", "CONNECTION_FAILED"),
)
"""What a target's health may be until its instance is there; nobody has shown one."""


def rename_target(world: World, region: str, old: str, new: str) -> None:
    """Lets the targets that are the instance `old` be the same instance under its new name."""
    known = world.memory(Targets, region).by_name
    for proxy in world.backend("rds", region).db_proxies.values():
        for group in proxy.proxy_target_groups.values():
            for target in group.targets:
                if target.rds_resource_id == old:
                    target.rds_resource_id = new
        if (proxy.db_proxy_name, old) in known:
            known[proxy.db_proxy_name, new] = known.pop((proxy.db_proxy_name, old))


def _targets(world: World, call: Call) -> list[Answer]:
    proxy = _find(world, call)
    instances = world.backend("rds", call.region).databases
    found = []
    for target in _find_group(world, call).targets:
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
        return _unavailable(health.HealthProblem("CONNECTION_FAILED", text))
    key = (proxy.db_proxy_name, target.rds_resource_id)
    by_name = world.memory(Targets, region).by_name
    known = by_name[key] = by_name.get(key) or _new_target(world, *key)
    now = world.clock.now()
    if world.behaviours.states:
        if instance.status == "creating":
            return _while_creating(*known.creating)
        if now < known.registered:
            return {"State": "REGISTERING"}
        if now < known.capacity:
            text = "DBProxy Target is waiting for proxy to scale to desired capacity"
            return _unavailable(health.HealthProblem("PENDING_PROXY_CAPACITY", text))
    found = _problem(world, region, proxy, instance) if world.behaviours.refusals else None
    if found is not None:
        known.troubled, known.problem = now, found
    elif not world.behaviours.consistency or now - known.troubled >= known.policy_seen:
        known.problem = None  # until then, what was repaired is not yet seen to be
    if known.problem is not None:
        return _unavailable(known.problem)
    return {"State": "AVAILABLE"}


def _while_creating(state: str, reason: str) -> Answer:
    if not reason:
        return {"State": state}
    text = "DBProxy Target is waiting for the database to be created"
    return {"State": state, "Reason": reason, "Description": text}


def _problem(world: World, region: str, proxy: Any, instance: Any) -> health.HealthProblem | None:
    """What keeps this proxy from this database, as AWS would find it."""
    if instance.status in ("creating", "deleting", "upgrading"):
        text = "DBProxy Target unavailable: the database does not answer"
        return health.HealthProblem("CONNECTION_FAILED", text)
    answer = world.ask("ec2", "DescribeSecurityGroups", region)
    source = _party(world, region, "proxy", proxy.vpc_security_group_ids, proxy.vpc_subnet_ids)
    group = subnet_group(instance)
    subnets = [subnet.id for subnet in group._subnets] if group else []
    target = _party(world, region, "database", instance.vpc_security_group_ids, subnets)
    blocked = network.blocked(answer["SecurityGroups"], source, target, PORT)
    found = health.path_problem(blocked)
    for auth in proxy.auth if found is None else []:
        found = found or _login_problem(world, region, proxy, instance, auth.get("SecretArn", ""))
    return found


def _login_problem(
    world: World, region: str, proxy: Any, instance: Any, secret: str
) -> health.HealthProblem | None:
    role = proxy.role_arn
    readable = iam_roles.trusts(world, role, "rds.amazonaws.com") and iam_roles.may(
        world, role, "secretsmanager:GetSecretValue", secret
    )
    return health.role_problem(readable) or health.secret_problem(
        _secret(world, region, secret), instance.master_username, instance._master_user_password
    )


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
    known = {s.id: s.cidr_block for each in ec2.subnets.values() for s in each.values()}
    cidrs = tuple(known[subnet] for subnet in subnets if subnet in known)
    return network.Party(name, tuple(groups), cidrs)


def _unavailable(problem: health.HealthProblem) -> Answer:
    return {
        "State": "UNAVAILABLE",
        "Reason": problem.reason,
        "Description": problem.description,
    }


# What they share


def make_log_group(world: World, region: str, name: str) -> None:
    """Makes a log group, as AWS's services do where it is missing."""
    try:
        world.ask("logs", "CreateLogGroup", region, logGroupName=name)
    except AwsError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise


def _find(world: World, call: Call) -> Any:
    """moto's proxy that the call names. Raises DBProxyNotFoundFault."""
    name = call.get("DBProxyName", "")
    proxy = world.backend("rds", call.region).db_proxies.get(name)
    if proxy is None:
        message = f"The specified proxy name {name} does not exist."
        raise AwsError("DBProxyNotFoundFault", message, 404)
    return proxy


def _find_group(world: World, call: Call) -> Any:
    """moto's target group that the call names. Raises DBProxyTargetGroupNotFoundFault."""
    name = call.get("TargetGroupName", "default")
    group = _find(world, call).proxy_target_groups.get(name)
    if group is None:
        message = f"The target group {name} does not exist."
        raise AwsError("DBProxyTargetGroupNotFoundFault", message, 404)
    return group


def _described(world: World, call: Call) -> Answer:
    """The answer of the calls that tell about one proxy."""
    name = call.get("DBProxyName")
    proxies = world.ask("rds", "DescribeDBProxies", call.region, DBProxyName=name)["DBProxies"]
    return {"DBProxy": proxies[0]}


def _check_state(world: World, proxy: Any) -> None:
    """Raises InvalidDBProxyStateFault while the proxy is busy."""
    if world.behaviours.refusals and proxy.status not in _USABLE:
        state = proxy.status.upper()
        message = (
            f"DB Proxy {proxy.db_proxy_name} is in an unsupported state - {state}, needs to be in "
            "[AVAILABLE]"
        )
        raise AwsError("InvalidDBProxyStateFault", message, 400)


def _busy(world: World, region: str, proxy: Any, status: str, aws_seconds: float) -> None:
    if world.behaviours.states:
        proxy.status = status
        key = _key(region, proxy)
        world.later(aws_seconds, lambda: setattr(proxy, "status", "available"), key)


def _key(region: str, proxy: Any) -> tuple[str, str, str]:
    return ("proxy", region, proxy.db_proxy_name)
