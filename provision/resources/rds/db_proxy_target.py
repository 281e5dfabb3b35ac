"""The DB instance as a target of each proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from provision.aws.account import Aws, absent, code_of
from provision.resources import durations
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.permissions import IS_OURS, Statement
from provision.resources.rds import instance_named
from provision.resources.rds.db_instance import DBInstance
from provision.resources.references import arn
from provision.waiting.poll import PollResult, Verdict

MINUTE = 60.0


@dataclass(frozen=True)
class DBProxyTarget(ManagedResource):
    """The DB instance as a proxy's target, and the pool before it.

    (RegisterDBProxyTargets, ModifyDBProxyTargetGroup.) The target group `default` is made by AWS
    with the proxy, and the target dies with the proxy. Ready means that the proxy reached the
    database and logged in.
    """

    proxy_name: str
    instance_identifier: str
    connection_borrow_timeout: int  # seconds
    max_connections_percent: int
    max_idle_connections_percent: int

    kind = "AWS::RDS::DBProxyTargetGroup"
    title = "proxy target"
    ready = frozenset({"AVAILABLE"})
    suspect: ClassVar[Mapping[str, float]] = {
        "AUTH_FAILURE": 5 * MINUTE,
        "UNREACHABLE": 5 * MINUTE,
        "CONNECTION_FAILED": 5 * MINUTE,
    }
    # Reason codes that do not pass.
    HOPELESS: ClassVar[frozenset[str]] = frozenset({"INVALID_REPLICATION_STATE", "PROMOTED"})
    within = "proxy_name"
    find_by = ("proxy_name", "instance_identifier")
    non_blocking = frozenset({"instance_identifier"})
    reads = ("rds:DescribeDBProxyTargetGroups", "rds:DescribeDBProxyTargets")
    writes = (
        "rds:DeregisterDBProxyTargets",
        "rds:ModifyDBProxyTargetGroup",
        "rds:RegisterDBProxyTargets",
    )
    arn_pattern = ("rds", "target-group:prx-tg-*")  # AWS makes it, with no tags
    creation = durations.TARGET_CREATION

    def permissions(self) -> Iterator[Statement]:
        yield from super().permissions()
        deregister = ("rds:DeregisterDBProxyTargets",)  # authorized on all three
        yield Statement(deregister, (arn("rds", f"db:{self.instance_identifier}"),))
        yield Statement(deregister, (arn("rds", "db-proxy:prx-*"),), IS_OURS)

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent("DBProxyNotFoundFault", "DBProxyTargetGroupNotFoundFault"):
            try:
                targets, groups = aws.together(
                    lambda: self.listed(aws, "describe_db_proxy_targets", "Targets"),
                    lambda: self.pools(aws, lasting=True),
                )
            except ClientError as error:
                if code_of(error) != "InvalidDBProxyStateFault":
                    raise
                return self.while_proxy_busy(known)
            wanted = self.instance_identifier.lower()
            target = next((t for t in targets if t["RdsResourceId"].lower() == wanted), None)
            if target and target.get("TargetHealth", {}).get("State") in self.ready:
                groups = self.pools(aws)
            seen = target and self.seen(target, groups[0]["ConnectionPoolConfig"])
            return seen and self.unless_database_busy(aws, seen)
        return None

    def unless_database_busy(self, aws: Aws, seen: Seen) -> Seen:
        """Return `seen`, without its reason code while the database cannot be reached yet.

        A target can be registered while its instance is still creating; what its health says of
        the way there is nothing to worry about until then.
        """
        if seen.reason_code not in self.suspect:
            return seen
        with absent(DBInstance.NOT_FOUND):
            status = instance_named(aws, self.instance_identifier)["DBInstanceStatus"]
            if status not in {*DBInstance.ready, *DBInstance.failed, "stopped", "deleting"}:
                reason = f"the DB instance is {status}; {seen.reason}"
                return replace(seen, reason_code="", reason=reason)
        return seen

    def while_proxy_busy(self, known: Mapping[str, str]) -> Seen | None:
        """Return what is known while RDS creates or changes the proxy, and lists no targets."""
        if not known.get("target"):
            return None
        return Seen({"target": known["target"]}, status="PROXY_BUSY", reason="the proxy is busy")

    def pools(self, aws: Aws, *, lasting: bool = False) -> list[dict[str, Any]]:
        """Return the proxy's target groups; there is one. `lasting`: those read before will do."""
        return self.listed(aws, "describe_db_proxy_target_groups", "TargetGroups", lasting=lasting)

    def listed(
        self, aws: Aws, operation: str, key: str, *, lasting: bool = False
    ) -> list[dict[str, Any]]:
        """Return all pages of one of the proxy's lists."""
        return aws.listed("rds", operation, key, lasting=lasting, DBProxyName=self.proxy_name)

    def seen(self, target: Mapping[str, Any], pool: Mapping[str, Any]) -> Seen:
        """Return target and pool as one."""
        health = target.get("TargetHealth", {})
        reason = ": ".join(filter(None, (health.get("Reason"), health.get("Description"))))
        return Seen(
            {"target": target["RdsResourceId"]},
            {name: pool.get(name) for name in self.properties()},
            status=health.get("State", ""),
            reason_code=health.get("Reason", ""),
            reason=reason,
        )

    def look(self, seen: Seen | None) -> PollResult:
        if seen and seen.reason_code in self.HOPELESS:
            return PollResult(Verdict.FAILED, seen.status, seen.reason)
        return super().look(seen)

    def properties(self) -> dict[str, Any]:
        return {
            "MaxConnectionsPercent": self.max_connections_percent,
            "MaxIdleConnectionsPercent": self.max_idle_connections_percent,
            "ConnectionBorrowTimeout": self.connection_borrow_timeout,
        }

    def create(self, aws: Aws) -> dict[str, str]:
        with absent("DBProxyTargetAlreadyRegisteredFault"):
            aws.rds.register_db_proxy_targets(
                DBProxyName=self.proxy_name, DBInstanceIdentifiers=[self.instance_identifier]
            )
        return {"target": self.instance_identifier}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        pool: Any = self.properties()
        aws.rds.modify_db_proxy_target_group(
            DBProxyName=self.proxy_name, TargetGroupName="default", ConnectionPoolConfig=pool
        )

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent(
            "DBProxyNotFoundFault", "DBProxyTargetNotFoundFault", "DBProxyTargetGroupNotFoundFault"
        ):
            aws.rds.deregister_db_proxy_targets(
                DBProxyName=self.proxy_name, DBInstanceIdentifiers=[self.instance_identifier]
            )
