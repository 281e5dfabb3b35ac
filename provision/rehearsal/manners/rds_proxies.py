"""RDS Proxy: the calls that moto lacks, AWS's states over time, and its refusals.

Follows https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/ and the guide's "RDS Proxy".
"""

from __future__ import annotations

from typing import Any

from provision.rehearsal.calls import AwsError, Call
from provision.rehearsal.world import Proceed, World

Answer = dict[str, Any]


def create_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """Its endpoint reads NAME.proxy-XXXX.REGION.rds.amazonaws.com, as AWS's do."""
    proceed()
    proxy = find(world, call)
    proxy.endpoint = proxy.endpoint.replace(".db-proxy-", ".proxy-").lower()
    proxy.auth = [completed(auth) for auth in call.get("Auth", [])]
    proxy.default_auth_scheme = "NONE"
    return described(world, call)


def modify_db_proxy(world: World, call: Call, proceed: Proceed) -> Answer:
    """moto has no ModifyDBProxy."""
    proxy = find(world, call)
    for name, attribute in _MODIFIABLE.items():
        if name in call.params:
            setattr(proxy, attribute, call.params[name])
    proxy.auth = [completed(auth) for auth in call.get("Auth", proxy.auth)]
    return described(world, call)


_MODIFIABLE = {
    "DebugLogging": "debug_logging",
    "IdleClientTimeout": "idle_client_timeout",
    "RequireTLS": "require_tls",
    "RoleArn": "role_arn",
    "SecurityGroups": "vpc_security_group_ids",
}


def find(world: World, call: Call) -> Any:
    """moto's proxy that the call names. Raises DBProxyNotFoundFault."""
    name = call.get("DBProxyName", "")
    proxy = world.backend("rds", call.region).db_proxies.get(name)
    if proxy is None:
        raise AwsError(
            "DBProxyNotFoundFault", f"The specified proxy name {name} does not exist.", 404
        )
    return proxy


def described(world: World, call: Call) -> Answer:
    """The answer of the calls that tell about one proxy."""
    name = call.get("DBProxyName")
    proxies = world.ask("rds", "DescribeDBProxies", call.region, DBProxyName=name)["DBProxies"]
    return {"DBProxy": proxies[0]}


def completed(auth: dict[str, Any]) -> dict[str, Any]:
    """A proxy's `Auth` with what AWS fills in for MySQL."""
    return {
        "AuthScheme": "SECRETS",
        "IAMAuth": "DISABLED",
        "ClientPasswordAuthType": "MYSQL_CACHING_SHA2_PASSWORD",
        **auth,
    }
