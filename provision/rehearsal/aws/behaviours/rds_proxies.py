"""RDS Proxy: the calls that moto lacks, AWS's states over time, and refusals; target groups.

Follows https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/ and the guide's "RDS Proxy".
"""

from __future__ import annotations

import re
from typing import Any

from provision.rehearsal.aws.behaviours import iam_roles, interfaces, rds_refusals
from provision.rehearsal.aws.behaviours.rds_refusals import invalid_combination, invalid_value
from provision.rehearsal.aws.behaviours.target_health import Targets
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World

_USABLE = {"available", "incompatible-network", "insufficient-resource-limits"}


# Create, modify, delete


def create_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """`creating`, then `available`; the endpoint is known at once."""
    if world.behaviours.refusals:
        rds_refusals.check_tags(call)
        _check_new(world, call)
    proceed()
    proxy = find(world, call)
    proxy.endpoint = proxy.endpoint.replace(".db-proxy-", ".proxy-").lower()
    proxy.auth = [_completed(auth) for auth in call.get("Auth", [])]
    proxy.default_auth_scheme = "NONE"
    proxy.require_tls = call.get("RequireTLS", False)  # moto has no defaults
    proxy.debug_logging = call.get("DebugLogging", False)
    proxy.idle_client_timeout = call.get("IdleClientTimeout", 1800)
    subnets = proxy.vpc_subnet_ids
    interfaces.for_service(world, call.region, proxy.arn, subnets, proxy.vpc_security_group_ids)
    wait = _busy(world, call.region, proxy, "creating", "proxy_create")
    if world.behaviours.leftovers:
        name = f"/aws/rds/proxy/{proxy.db_proxy_name}"
        key = _key(call.region, proxy)
        world.later(wait, lambda: make_log_group(world, call.region, name), key)
    return _described(world, call)


def modify_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """moto has no ModifyDBProxy."""
    proxy = find(world, call)
    check_state(world, proxy)
    new = call.get("NewDBProxyName", proxy.db_proxy_name)
    if world.behaviours.refusals and new != proxy.db_proxy_name:
        _check_name(world, call.region, new)
    if world.behaviours.refusals and "RoleArn" in call.params:
        _check_role(world, call.params["RoleArn"])
    for name, attribute in _MODIFIABLE.items():
        if name in call.params:
            setattr(proxy, attribute, call.params[name])
    proxy.auth = [_completed(auth) for auth in call.get("Auth", proxy.auth)]
    if "SecurityGroups" in call.params:
        interfaces.change_groups(world, call.region, proxy.arn, call.params["SecurityGroups"])
    wait = _busy(world, call.region, proxy, "modifying", "proxy_modify")
    answer = _described(world, call)
    if new != proxy.db_proxy_name:
        world.later(wait, lambda: _rename(world, call.region, proxy, new), _key(call.region, proxy))
    return answer


def _rename(world: World, region: str, proxy: Any, new: str) -> None:
    """Gives it another name; its ARN, with the prx-… in it, stays."""
    proxies, old = world.backend("rds", region).db_proxies, proxy.db_proxy_name
    world.memory(Targets, region).rename_proxy(old, new)
    proxy.db_proxy_name = new
    proxies[new] = proxies.pop(old)
    if world.possible("renames_proxy_endpoint"):
        proxy.endpoint = f"{new.lower()}.{proxy.endpoint.partition('.')[2]}"
    if world.behaviours.leftovers:
        make_log_group(world, region, f"/aws/rds/proxy/{new}")


_MODIFIABLE = {
    "DebugLogging": "debug_logging",
    "IdleClientTimeout": "idle_client_timeout",
    "RequireTLS": "require_tls",
    "RoleArn": "role_arn",
    "SecurityGroups": "vpc_security_group_ids",
}


def delete_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """`deleting`, then gone, its targets and interfaces with it. Its log group stays."""
    proxy = find(world, call)
    check_state(world, proxy)
    answer = _described(world, call)
    answer["DBProxy"]["Status"] = "deleting"
    key = _key(call.region, proxy)
    world.forget(key)

    def gone() -> None:
        world.backend("rds", call.region).db_proxies.pop(proxy.db_proxy_name, None)
        interfaces.release_service(world, call.region, proxy.arn)
        world.memory(Targets, call.region).forget_proxy(proxy.db_proxy_name)

    if world.behaviours.states:
        proxy.status = "deleting"
        world.later(world.takes("proxy_delete", proxy.db_proxy_name), gone, key)
    else:
        gone()
    return answer


def describe_db_proxies(world: World, call: Call, proceed: Proceed) -> None:
    """A proxy that is not there: in AWS's words."""
    if call.get("DBProxyName"):
        find(world, call)


def describe_db_proxy_endpoints(world: World, call: Call, proceed: Proceed) -> Answer:
    """None: a rehearsed proxy has its default endpoint alone, which this list leaves out."""
    if call.get("DBProxyName"):
        find(world, call)
    return {"DBProxyEndpoints": []}


def _check_new(world: World, call: Call) -> None:
    """Raises AwsError for a proxy that RDS would not make."""
    _check_name(world, call.region, call.get("DBProxyName", ""))
    if not iam_roles.has_service_linked_role(world):
        raise invalid_value(
            "RDS is not authorized to assume service-linked role "
            "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/"
            "AWSServiceRoleForRDS. Check your RDS service-linked role and try again."
        )
    if call.get("DefaultAuthScheme", "NONE") != "NONE" or not call.get("Auth"):
        raise invalid_combination("Auth is required when DefaultAuthScheme is NONE.")
    _check_role(world, call.get("RoleArn", ""))
    _check_network(world, call)


def _check_name(world: World, region: str, name: str) -> None:
    if name.lower() in [each.lower() for each in world.backend("rds", region).db_proxies]:
        message = f"A proxy named {name} already exists."
        raise AwsError("DBProxyAlreadyExistsFault", message, 400)
    if not re.fullmatch(r"[a-zA-Z](?:-?[a-zA-Z0-9]+)*", name) or len(name) > 63:
        raise invalid_value(f"The proxy name {name} is not valid.")


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
    raise invalid_value(message)


def _check_network(world: World, call: Call) -> None:
    subnets = rds_refusals.subnets(world, call, "VpcSubnetIds")
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        message = "The proxy needs subnets in at least two Availability Zones."
        raise AwsError("InvalidSubnet", message, 400)
    list(rds_refusals.security_groups(world, call))


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
    find_group(world, call)


def modify_db_proxy_target_group(world: World, call: Call, proceed: Proceed) -> Answer:
    """What the pool's settings leave out goes back to AWS's default."""
    proxy = find(world, call)
    group = find_group(world, call)
    check_state(world, proxy)
    config = call.get("ConnectionPoolConfig", {})
    connections = config.get("MaxConnectionsPercent", 100)
    idle = config.get("MaxIdleConnectionsPercent", connections // 2)
    if world.behaviours.refusals and idle > connections:
        raise invalid_value("MaxIdleConnectionsPercent must not be above MaxConnectionsPercent.")
    group.max_connections, group.max_idle_connections = connections, idle
    group.borrow_timeout = config.get("ConnectionBorrowTimeout", 120)
    group.session_pinning_filters = config.get("SessionPinningFilters", [])
    name = proxy.db_proxy_name
    answer = world.ask("rds", "DescribeDBProxyTargetGroups", call.region, DBProxyName=name)
    return {"DBProxyTargetGroup": answer["TargetGroups"][0]}


# What they share


def make_log_group(world: World, region: str, name: str) -> None:
    """Makes a log group, as AWS's services do where it is missing."""
    try:
        world.ask("logs", "CreateLogGroup", region, logGroupName=name)
    except AwsError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise


def find(world: World, call: Call) -> Any:
    """moto's proxy that the call names. Raises DBProxyNotFoundFault."""
    name = call.get("DBProxyName", "")
    proxy = world.backend("rds", call.region).db_proxies.get(name)
    if proxy is None:
        message = f"The specified proxy name {name} does not exist."
        raise AwsError("DBProxyNotFoundFault", message, 404)
    return proxy


def find_group(world: World, call: Call) -> Any:
    """moto's target group that the call names. Raises DBProxyTargetGroupNotFoundFault."""
    name = call.get("TargetGroupName", "default")
    group = find(world, call).proxy_target_groups.get(name)
    if group is None:
        message = f"The target group {name} does not exist."
        raise AwsError("DBProxyTargetGroupNotFoundFault", message, 404)
    return group


def _described(world: World, call: Call) -> Answer:
    """The answer of the calls that tell about one proxy."""
    name = call.get("DBProxyName")
    proxies = world.ask("rds", "DescribeDBProxies", call.region, DBProxyName=name)["DBProxies"]
    return {"DBProxy": proxies[0]}


def check_state(world: World, proxy: Any) -> None:
    """Raises InvalidDBProxyStateFault while the proxy is busy."""
    if world.behaviours.refusals and proxy.status not in _USABLE:
        state = proxy.status.upper()
        message = (
            f"DB Proxy {proxy.db_proxy_name} is in an unsupported state - {state}, needs to be in "
            "[AVAILABLE]"
        )
        raise AwsError("InvalidDBProxyStateFault", message, 400)


def _busy(world: World, region: str, proxy: Any, status: str, what: str) -> float:
    """Lets the proxy be in this state for as long as `what` takes; how long, in AWS seconds."""
    takes = world.takes(what, proxy.db_proxy_name)
    if not world.behaviours.states:
        return 0.0
    proxy.status = status
    world.later(takes, lambda: setattr(proxy, "status", "available"), _key(region, proxy))
    return takes


def _key(region: str, proxy: Any) -> tuple[str, str, str]:
    return ("proxy", region, proxy.db_proxy_name)
