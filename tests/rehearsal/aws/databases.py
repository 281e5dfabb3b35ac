"""What the tests of RDS begin with: a network, a database and a proxy, and how these are."""

from __future__ import annotations

from typing import Any

from .control_plane import Network, PlayedAccount, policy

MINUTE = 60.0


def ready(aws: PlayedAccount) -> Network:
    """A network, and RDS's own role."""
    aws.rds_ready()
    return aws.network()


def status(aws: PlayedAccount) -> str:
    """The database's status."""
    return str(aws.rds.describe_db_instances()["DBInstances"][0]["DBInstanceStatus"])


def health(aws: PlayedAccount) -> dict[str, Any]:
    """The health of the proxy's target."""
    (target,) = aws.rds.describe_db_proxy_targets(DBProxyName="proxy")["Targets"]
    found: dict[str, Any] = target["TargetHealth"]
    return found


def proven(aws: PlayedAccount, **changes: Any) -> Network:
    """A database and a proxy, both available."""
    network = ready(aws)
    secret = aws.secret()
    role = aws.role(
        "proxy",
        "rds.amazonaws.com",
        policy("secretsmanager:GetSecretValue", resource=secret),
    )
    aws.instance(network, **changes)
    aws.proxy(network, secret, role)
    aws.pass_time(8 * MINUTE)
    return network


def registered(aws: PlayedAccount, **changes: Any) -> Network:
    """`proven`, with the database registered, and the proxy's capacity grown."""
    network = proven(aws, **changes)
    aws.rds.register_db_proxy_targets(DBProxyName="proxy", DBInstanceIdentifiers=["database"])
    aws.pass_time(3 * MINUTE)
    return network
