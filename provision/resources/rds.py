"""The database and the two proxies before it.

Follows the Amazon RDS API reference and the RDS User Guide's chapter on RDS Proxy. Names are
compared in lower case, as RDS stores them. A proxy is looked up among all proxies of the region:
there are few, and for a missing one the answer is then an empty list, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from provision.aws.account import Aws, absent, code_of, pages, tag_list, tag_map
from provision.errors import ProvisionError
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.references import Output, arn
from provision.waiting.poll import PollResult, Verdict

NO_EXTENDED_SUPPORT = "open-source-rds-extended-support-disabled"
MINUTE = 60.0


# What RDS looks up in the network with the caller's own permissions.
LOOKED_UP_BY_RDS = tuple(
    f"ec2:Describe{what}"
    for what in (
        "AccountAttributes",
        "AvailabilityZones",
        "InternetGateways",
        "SecurityGroups",
        "Subnets",
        "VpcAttribute",
        "Vpcs",
    )
)


class RdsResource(ManagedResource):
    """What RDS's resources share: tags that are set by ARN."""

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.rds.add_tags_to_resource(ResourceName=seen.outputs["arn"], Tags=tag_list(tags))


@dataclass(frozen=True)
class DBSubnetGroup(RdsResource):
    """The subnets that the DB instance may stand in (CreateDBSubnetGroup)."""

    subnet_group_name: str
    description: str
    subnet_ids: tuple[str, ...]
    service_linked_role: str

    kind = "AWS::RDS::DBSubnetGroup"
    title = "DB subnet group"
    replace_with = frozenset({"SubnetIds"})
    non_blocking = frozenset({"service_linked_role"})
    reads = ("rds:DescribeDBSubnetGroups", *LOOKED_UP_BY_RDS)
    writes = (
        "rds:AddTagsToResource",
        "rds:CreateDBSubnetGroup",
        "rds:DeleteDBSubnetGroup",
        "rds:ListTagsForResource",
        "rds:ModifyDBSubnetGroup",
    )

    arn = Output()
    group = Output()

    def arns(self) -> tuple[str, ...]:
        return (arn("rds", f"subgrp:{self.name}"),)

    @property
    def name(self) -> str:
        return self.subnet_group_name

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent("DBSubnetGroupNotFoundFault"):
            arn = aws.arn("rds", f"subgrp:{self.name}")
            answer, tags = aws.together(
                lambda: aws.rds.describe_db_subnet_groups(DBSubnetGroupName=self.name),
                lambda: tags_of(aws, arn),
            )
            group = answer["DBSubnetGroups"][0]
            return Seen(
                {"arn": group["DBSubnetGroupArn"], "group": group["DBSubnetGroupName"]},
                {
                    "SubnetIds": sorted(each["SubnetIdentifier"] for each in group["Subnets"]),
                    "DBSubnetGroupDescription": group["DBSubnetGroupDescription"],
                },
                tags=tags,
                status=group.get("SubnetGroupStatus", ""),
            )
        return None

    def properties(self) -> dict[str, Any]:
        return {
            "SubnetIds": sorted(self.subnet_ids),
            "DBSubnetGroupDescription": self.description,
        }

    def create(self, aws: Aws) -> dict[str, str]:
        answer = aws.rds.create_db_subnet_group(
            DBSubnetGroupName=self.name,
            DBSubnetGroupDescription=self.description,
            SubnetIds=list(self.subnet_ids),
            Tags=tag_list(self.tags(aws)),
        )
        return {"arn": answer["DBSubnetGroup"]["DBSubnetGroupArn"], "group": self.name}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.rds.modify_db_subnet_group(
            DBSubnetGroupName=self.name,
            DBSubnetGroupDescription=self.description,
            SubnetIds=list(self.subnet_ids),
        )

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent("DBSubnetGroupNotFoundFault"):
            aws.rds.delete_db_subnet_group(DBSubnetGroupName=self.name)


@dataclass(frozen=True)
class DBInstance(RdsResource):
    """The MySQL instance (CreateDBInstance): encrypted, private, never in Extended Support."""

    instance_identifier: str
    engine_version: str
    instance_class: str
    allocated_storage: int  # GiB
    database: str
    master_username: str
    master_user_password: str = field(repr=False)
    subnet_group: str
    security_group_ids: tuple[str, ...]
    backup_retention_days: int
    deletion_protection: bool
    final_snapshot: str = (
        ""  # the name of a snapshot to take when it is deleted; none = no snapshot
    )

    kind = "AWS::RDS::DBInstance"
    title = "DB instance"
    ready = frozenset({"available", "storage-optimization"})
    failed = frozenset(
        {
            "failed",
            "incompatible-network",
            "incompatible-restore",
            "incompatible-parameters",
            "incompatible-option-group",
            "insufficient-capacity",
            "inaccessible-encryption-credentials",
            "restore-error",
            "storage-full",
        }
    )
    requires_replacement = frozenset(
        {"DBName", "MasterUsername", "StorageEncrypted", "DBSubnetGroupName", "Engine"}
    )
    replace_with = frozenset({"VpcSecurityGroupIds"})
    urgent = frozenset({"DBInstanceStatus"})  # RDS changes nothing of an instance that is stopped
    non_blocking = frozenset({"master_user_password"})
    write_only: ClassVar[Mapping[str, str]] = {"MasterUserPassword": "master_user_password"}
    holds_data = True
    costs = True
    typical_seconds = 7 * MINUTE
    typical_gone_seconds = 5 * MINUTE
    reads = ("rds:DescribeDBInstances", *LOOKED_UP_BY_RDS)
    writes = (
        "rds:AddTagsToResource",
        "rds:CreateDBInstance",
        "rds:DeleteDBInstance",
        "rds:ModifyDBInstance",
        "rds:StartDBInstance",
    )
    NOT_FOUND: ClassVar[str] = "DBInstanceNotFound"

    arn = Output()
    id = Output()
    endpoint = Output()

    @property
    def name(self) -> str:
        return self.instance_identifier

    def arns(self) -> tuple[str, ...]:
        beside = ("og:*", "pg:*", "secgrp:*", f"subgrp:{self.name}", "snapshot:*")
        return tuple(arn("rds", resource) for resource in (f"db:{self.name}", *beside))

    def permissions(self) -> Iterator[dict[str, Any]]:
        """Yield what the instance needs, and what its encrypted storage does."""
        yield from super().permissions()
        yield {"Action": ["kms:CreateGrant", "kms:DescribeKey"], "Resource": [arn("kms", "key/*")]}

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent(self.NOT_FOUND):
            answer = aws.rds.describe_db_instances(DBInstanceIdentifier=self.name)
            instance = answer["DBInstances"][0]
            outputs = {"arn": instance["DBInstanceArn"], "id": instance["DBInstanceIdentifier"]}
            if address := instance.get("Endpoint", {}).get("Address"):
                outputs["endpoint"] = address
            created = instance.get("InstanceCreateTime")
            return Seen(
                outputs,
                self.described(instance),
                tags=tag_map(instance.get("TagList")),
                status=instance["DBInstanceStatus"],
                reason="; ".join(
                    info["Message"]
                    for info in instance.get("StatusInfos", ())
                    if info.get("Message")
                ),
                created=created.isoformat() if created else "",
            )
        return None

    def described(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is compared. What AWS still has to apply counts as applied."""
        now = {**instance, **instance.get("PendingModifiedValues", {})}
        names = (
            "Engine",
            "EngineVersion",
            "DBInstanceClass",
            "AllocatedStorage",
            "DBName",
            "MasterUsername",
            "BackupRetentionPeriod",
            "DeletionProtection",
            "StorageEncrypted",
            "StorageType",
            "PubliclyAccessible",
            "MultiAZ",
            "CopyTagsToSnapshot",
        )
        described = {name: now[name] for name in names if name in now}
        if instance["DBInstanceStatus"] == "stopped":  # any other status passes by itself
            described["DBInstanceStatus"] = "stopped"
        groups = instance.get("VpcSecurityGroups", ())
        described["VpcSecurityGroupIds"] = sorted(each["VpcSecurityGroupId"] for each in groups)
        described["DBSubnetGroupName"] = instance.get("DBSubnetGroup", {}).get("DBSubnetGroupName")
        return described

    def properties(self) -> dict[str, Any]:
        return {
            "Engine": "mysql",
            "EngineVersion": self.engine_version,
            "DBInstanceClass": self.instance_class,
            "AllocatedStorage": self.allocated_storage,
            "DBName": self.database,
            "MasterUsername": self.master_username,
            "BackupRetentionPeriod": self.backup_retention_days,
            "DeletionProtection": self.deletion_protection,
            "StorageEncrypted": True,
            "StorageType": "gp3",
            "PubliclyAccessible": False,
            "MultiAZ": False,
            "CopyTagsToSnapshot": True,
            "DBInstanceStatus": "available",
            "VpcSecurityGroupIds": sorted(self.security_group_ids),
            "DBSubnetGroupName": self.subnet_group,
        }

    def differs(self, name: str, is_: Any, should: Any) -> bool:
        """Compare as RDS does: names in lower case, and `8.4` is any 8.4.x."""
        if name == "EngineVersion":
            return not f"{is_}.".startswith(f"{should}.")
        if name == "DBSubnetGroupName":
            return str(is_).lower() != str(should).lower()
        return super().differs(name, is_, should)

    def differences(self, seen: Seen, aws: Aws) -> list[Change]:
        """Storage never shrinks, and no version goes back: then only a new instance will do."""
        changes = super().differences(seen, aws)
        return [
            Change(each.property, each.is_, each.should, replaces=True)
            if each.property in ("AllocatedStorage", "EngineVersion")
            and version(each.should) < version(each.is_)
            else each
            for each in changes
        ]

    def create(self, aws: Aws) -> dict[str, str]:
        answer = aws.rds.create_db_instance(
            DBInstanceIdentifier=self.name,
            Engine="mysql",
            EngineVersion=self.engine_version,
            EngineLifecycleSupport=NO_EXTENDED_SUPPORT,
            DBInstanceClass=self.instance_class,
            AllocatedStorage=self.allocated_storage,
            StorageType="gp3",
            StorageEncrypted=True,
            DBName=self.database,
            MasterUsername=self.master_username,
            MasterUserPassword=self.master_user_password,
            DBSubnetGroupName=self.subnet_group,
            VpcSecurityGroupIds=list(self.security_group_ids),
            PubliclyAccessible=False,
            MultiAZ=False,
            BackupRetentionPeriod=self.backup_retention_days,
            CopyTagsToSnapshot=True,
            DeletionProtection=self.deletion_protection,
            Tags=tag_list(self.tags(aws)),
        )
        instance = answer["DBInstance"]
        return {"arn": instance["DBInstanceArn"], "id": instance["DBInstanceIdentifier"]}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        if "DBInstanceStatus" in changes:
            aws.rds.start_db_instance(DBInstanceIdentifier=self.name)
            return
        wanted = self.properties() | {"MasterUserPassword": self.master_user_password}
        changed = {name: wanted[name] for name in changes if name != "StorageEncrypted"}
        if "EngineVersion" in changed:
            changed["AllowMajorVersionUpgrade"] = True
        aws.rds.modify_db_instance(DBInstanceIdentifier=self.name, ApplyImmediately=True, **changed)

    def protected(self, seen: Seen) -> ProvisionError | None:
        if not seen.properties.get("DeletionProtection"):
            return None
        return ProvisionError(
            f"{self.step}: the DB instance {self.name} is protected from deletion, which "
            "is respected",
            next_step="To lift it: aws rds modify-db-instance --apply-immediately "
            f"--no-deletion-protection --db-instance-identifier {self.name}",
        )

    def delete(self, aws: Aws, seen: Seen) -> None:
        if protected := self.protected(seen):
            raise protected
        snapshot: dict[str, Any] = {"SkipFinalSnapshot": True}
        if self.final_snapshot:
            snapshot = {
                "SkipFinalSnapshot": False,
                "FinalDBSnapshotIdentifier": self.final_snapshot,
            }
        with absent(self.NOT_FOUND):
            aws.rds.delete_db_instance(
                DBInstanceIdentifier=self.name, DeleteAutomatedBackups=True, **snapshot
            )


def version(value: Any) -> tuple[int, ...]:
    """Return a version or a number as something that can be ordered."""
    return tuple(int(part) for part in str(value).split(".") if part.isdigit())


@dataclass(frozen=True)
class DBProxy(RdsResource):
    """An RDS Proxy (CreateDBProxy). The two differ in `iam_auth` and `require_tls` alone."""

    proxy_name: str
    iam_auth: str  # DISABLED or REQUIRED
    require_tls: bool
    secret_arn: str
    role_arn: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    idle_client_timeout: int  # seconds
    debug_logging: bool
    log_group: str
    service_linked_role: str

    kind = "AWS::RDS::DBProxy"
    title = "RDS Proxy"
    ready = frozenset({"available"})
    failed = frozenset({"incompatible-network", "insufficient-resource-limits"})
    requires_replacement = frozenset({"VpcSubnetIds", "EngineFamily"})
    replace_with = frozenset({"VpcSecurityGroupIds"})
    non_blocking = frozenset({"service_linked_role"})
    costs = True
    typical_seconds = 3 * MINUTE
    typical_gone_seconds = 3 * MINUTE

    reads = ("rds:DescribeDBProxies",)
    writes = (
        "rds:AddTagsToResource",
        "rds:CreateDBProxy",
        "rds:DeleteDBProxy",
        "rds:ListTagsForResource",
        "rds:ModifyDBProxy",
    )

    arn = Output()
    proxy = Output()
    endpoint = Output()
    resource_id = Output()

    def arns(self) -> tuple[str, ...]:
        return (arn("rds", "db-proxy:prx-*"),)  # the id is AWS's to choose

    @property
    def name(self) -> str:
        return self.proxy_name

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        reads = [lambda: find_proxy(aws, self.name)]
        if arn := known.get("arn"):
            reads.append(lambda: tags_of(aws, arn))
        proxy, *tags = aws.together(*reads)
        if proxy is None:
            return None
        if not tags or proxy["DBProxyArn"] != arn:
            tags = [tags_of(aws, proxy["DBProxyArn"])]
        created = proxy.get("CreatedDate")
        return Seen(
            proxy_outputs(proxy),
            self.described(proxy),
            tags=tags[0],
            status=proxy["Status"],
            created=created.isoformat() if created else "",
        )

    def described(self, proxy: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is compared."""
        auth = (proxy.get("Auth") or [{}])[0]
        return {
            "EngineFamily": proxy["EngineFamily"],
            "IAMAuth": auth.get("IAMAuth"),
            "AuthScheme": auth.get("AuthScheme"),
            "SecretArn": auth.get("SecretArn"),
            "RequireTLS": proxy.get("RequireTLS"),
            "RoleArn": proxy["RoleArn"],
            "IdleClientTimeout": proxy.get("IdleClientTimeout"),
            "DebugLogging": proxy.get("DebugLogging"),
            "VpcSubnetIds": sorted(proxy["VpcSubnetIds"]),
            "VpcSecurityGroupIds": sorted(proxy["VpcSecurityGroupIds"]),
        }

    def properties(self) -> dict[str, Any]:
        return {
            "EngineFamily": "MYSQL",
            "IAMAuth": self.iam_auth,
            "AuthScheme": "SECRETS",
            "SecretArn": self.secret_arn,
            "RequireTLS": self.require_tls,
            "RoleArn": self.role_arn,
            "IdleClientTimeout": self.idle_client_timeout,
            "DebugLogging": self.debug_logging,
            "VpcSubnetIds": sorted(self.subnet_ids),
            "VpcSecurityGroupIds": sorted(self.security_group_ids),
        }

    def auth(self) -> Any:
        """Return the Auth parameter: how clients log in, and with which secret the proxy does."""
        return [{"AuthScheme": "SECRETS", "SecretArn": self.secret_arn, "IAMAuth": self.iam_auth}]

    def create(self, aws: Aws) -> dict[str, str]:
        answer = aws.rds.create_db_proxy(
            DBProxyName=self.name,
            EngineFamily="MYSQL",
            Auth=self.auth(),
            RoleArn=self.role_arn,
            VpcSubnetIds=list(self.subnet_ids),
            VpcSecurityGroupIds=list(self.security_group_ids),
            RequireTLS=self.require_tls,
            IdleClientTimeout=self.idle_client_timeout,
            DebugLogging=self.debug_logging,
            Tags=tag_list(self.tags(aws)),
        )
        return proxy_outputs(answer["DBProxy"])

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.rds.modify_db_proxy(
            DBProxyName=self.name,
            Auth=self.auth(),
            RequireTLS=self.require_tls,
            IdleClientTimeout=self.idle_client_timeout,
            DebugLogging=self.debug_logging,
            RoleArn=self.role_arn,
            SecurityGroups=list(self.security_group_ids),
        )

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent("DBProxyNotFoundFault"):
            aws.rds.delete_db_proxy(DBProxyName=self.name)


def find_proxy(aws: Aws, name: str) -> dict[str, Any] | None:
    """Return the proxy of this name as RDS describes it, or None."""
    proxies = pages(aws.rds, "describe_db_proxies", "DBProxies")
    return next((each for each in proxies if each["DBProxyName"].lower() == name.lower()), None)


def proxy_outputs(proxy: Mapping[str, Any]) -> dict[str, str]:
    """Return what other resources use of a proxy. Its `prx-…` id is the last part of its ARN."""
    outputs = {
        "proxy": proxy["DBProxyName"],
        "arn": proxy["DBProxyArn"],
        "resource_id": proxy["DBProxyArn"].rpartition(":")[2],
    }
    return outputs | ({"endpoint": proxy["Endpoint"]} if proxy.get("Endpoint") else {})


def tags_of(aws: Aws, arn: str) -> dict[str, str]:
    """Return the tags of an RDS resource; none when it is not there."""
    with absent(
        "DBSubnetGroupNotFoundFault", "DBProxyNotFoundFault", "DBInstanceNotFound", "NotFound"
    ):
        return tag_map(aws.rds.list_tags_for_resource(ResourceName=arn)["TagList"])
    return {}


@dataclass(frozen=True)
class DBProxyTarget(ManagedResource):
    """The DB instance as a proxy's target, and the pool before it.

    (RegisterDBProxyTargets, ModifyDBProxyTargetGroup.) The target group `default` is made by AWS
    with the proxy, and the target dies with the proxy. Ready means that the proxy reached the
    database and logged in.
    """

    proxy_name: str
    instance_identifier: str
    instance_endpoint: str  # known when the instance can be registered: before, RDS refuses it
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
    within = "proxy_name"
    find_by = ("proxy_name", "instance_identifier")
    non_blocking = frozenset({"instance_identifier", "instance_endpoint"})
    writes = (
        "rds:DeregisterDBProxyTargets",
        "rds:DescribeDBProxyTargetGroups",
        "rds:DescribeDBProxyTargets",
        "rds:ModifyDBProxyTargetGroup",
        "rds:RegisterDBProxyTargets",
    )
    typical_seconds = 3 * MINUTE

    def arns(self) -> tuple[str, ...]:
        kinds = ("db-proxy:prx-*", "target-group:prx-tg-*", "db:*")
        return tuple(arn("rds", resource) for resource in kinds)

    HOPELESS: ClassVar[frozenset[str]] = frozenset({"INVALID_REPLICATION_STATE", "PROMOTED"})

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent("DBProxyNotFoundFault", "DBProxyTargetGroupNotFoundFault"):
            try:
                targets, groups = aws.together(
                    lambda: self.described(aws, "describe_db_proxy_targets", "Targets"),
                    lambda: self.described(aws, "describe_db_proxy_target_groups", "TargetGroups"),
                )
            except ClientError as error:
                if code_of(error) != "InvalidDBProxyStateFault":
                    raise
                return self.untold(known)
            wanted = self.instance_identifier.lower()
            target = next((t for t in targets if t["RdsResourceId"].lower() == wanted), None)
            return target and self.seen(target, groups[0]["ConnectionPoolConfig"])
        return None

    def untold(self, known: Mapping[str, str]) -> Seen | None:
        """Return what we know while RDS makes or changes the proxy, and tells no targets."""
        if not known.get("target"):
            return None
        return Seen({"target": known["target"]}, status="PROXY_BUSY", reason="the proxy is busy")

    def described(self, aws: Aws, operation: str, key: str) -> list[dict[str, Any]]:
        """Return all pages of one of the proxy's lists."""
        return pages(aws.rds, operation, key, DBProxyName=self.proxy_name)

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
