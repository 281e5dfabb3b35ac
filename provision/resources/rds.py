"""The database and the two proxies before it.

Follows the Amazon RDS API reference and the RDS User Guide's chapter on RDS Proxy. Names are
compared in lower case, as RDS stores them. A proxy is looked up among all proxies of the region:
there are few, and for a missing one the answer is then an empty list, not an error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from provision.aws.account import Aws, absent, code_of, pages, tag_list, tag_map
from provision.aws.advice import BAD_CREDENTIALS, aws_answer
from provision.errors import AwsCallError, ProvisionError
from provision.resources import durations
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.blockers import Blocker
from provision.resources.iam import is_new
from provision.resources.ownership import ENVIRONMENT, Tags, marked, read_tags
from provision.resources.permissions import (
    CREATES_OURS,
    IS_OURS,
    TAGS_OURS,
    Condition,
    Statement,
    tags_back,
    via_service,
)
from provision.resources.references import Output, arn, unresolved
from provision.waiting.poll import PollResult, Verdict

# What RDS says of a proxy's role that it cannot use, or cannot use yet (RDS User Guide, "RDS Proxy
# troubleshooting"; the first is what its other calls say).
ROLE_REFUSALS = ("IAM role ARN value", "security token included in the request is invalid")
NO_EXTENDED_SUPPORT = "open-source-rds-extended-support-disabled"
MINUTE = 60.0
STRIPED_GIB = 400  # from this size on RDS stripes gp3, and a change of the size has to name Iops
STRIPED_IOPS = 12_000  # the least that RDS for MySQL takes then; included in the price of storage


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

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        aws.rds.remove_tags_from_resource(ResourceName=seen.outputs["arn"], TagKeys=list(keys))


@dataclass(frozen=True)
class DBSubnetGroup(RdsResource):
    """The subnets that the DB instance may stand in (CreateDBSubnetGroup)."""

    subnet_group_name: str
    description: str
    subnet_ids: tuple[str, ...]
    service_linked_role: str

    kind = "AWS::RDS::DBSubnetGroup"
    title = "DB subnet group"
    named_by = "subnet_group_name"
    replace_with = frozenset({"SubnetIds"})
    non_blocking = frozenset({"service_linked_role"})
    reads = ("rds:DescribeDBSubnetGroups", *LOOKED_UP_BY_RDS)
    writes = (
        "rds:AddTagsToResource",
        "rds:CreateDBSubnetGroup",
        "rds:DeleteDBSubnetGroup",
        "rds:ListTagsForResource",
        "rds:RemoveTagsFromResource",
    )
    arn_pattern = ("rds", "subgrp:{name}")

    arn = Output()
    group = Output()

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent("DBSubnetGroupNotFoundFault"):
            arn = aws.arn("rds", f"subgrp:{self.name}")
            answer, tags = aws.together(
                lambda: aws.rds.describe_db_subnet_groups(DBSubnetGroupName=self.name),
                lambda: tags_of(aws, arn),
                at_once="arn" in known,
            )
            group = answer["DBSubnetGroups"][0]
            return Seen(
                {"arn": group["DBSubnetGroupArn"], "group": group["DBSubnetGroupName"]},
                {
                    "SubnetIds": sorted(each["SubnetIdentifier"] for each in group["Subnets"]),
                    "DBSubnetGroupDescription": group["DBSubnetGroupDescription"],
                },
                tags=tags.tags,
                unreadable=tags.unreadable,
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

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        """Return how to undo a change by hand, which the printed policy does not allow.

        No run of this program needs to: other subnets in config.toml mean another group.
        """
        ids = " ".join(sorted(self.subnet_ids))
        return (
            "Somebody changed it by hand, and the policy that `python -m provision policy` prints "
            "leaves undoing that to an administrator: aws rds modify-db-subnet-group --region "
            f"{aws.region} --db-subnet-group-name {self.name} --db-subnet-group-description "
            f"{shlex.quote(self.description)} --subnet-ids {ids}"
        )

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.rds.modify_db_subnet_group(
            DBSubnetGroupName=self.name,
            DBSubnetGroupDescription=self.description,
            SubnetIds=list(self.subnet_ids),
        )

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        """Return the DB instances in the group; ours went before it."""
        return [
            instance_blocker(aws, each)
            for each in pages(aws.rds, "describe_db_instances", "DBInstances")
            if each.get("DBSubnetGroup", {}).get("DBSubnetGroupName") == seen.outputs["group"]
        ]

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
    final_snapshot: str = ""  # the name of a snapshot to take when it is deleted; "" = none
    region: str = ""  # of the KMS key aws/rds, which encrypts its storage

    kind = "AWS::RDS::DBInstance"
    title = "DB instance"
    named_by = "instance_identifier"
    ready = frozenset(
        {
            "available",
            "storage-config-upgrade",  # usable meanwhile, like the next two, for hours at times
            "storage-initialization",
            "storage-optimization",
        }
    )
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
    settles = 3  # RDS says `available` for up to a minute before it begins
    settles_unseen = 20  # a minute, at the usual pace of looks
    holds_data = True
    costs = True
    creation = durations.INSTANCE_CREATION
    deletion = durations.INSTANCE_DELETION
    reads = ("rds:DescribeDBInstances", *LOOKED_UP_BY_RDS)
    writes = (
        "rds:AddTagsToResource",
        "rds:CreateDBSnapshot",  # the final snapshot
        "rds:DeleteDBInstance",
        "rds:RemoveTagsFromResource",
        "rds:StartDBInstance",
    )
    arn_pattern = ("rds", "db:{name}")
    NOT_FOUND: ClassVar[str] = "DBInstanceNotFound"
    MINIMUMS: ClassVar[Mapping[str, str]] = {  # what RDS only ever raises
        "AllocatedStorage": "grows storage and never shrinks it",
        "EngineVersion": "goes to newer versions and to no older one",
    }
    STORAGE: ClassVar[frozenset[str]] = frozenset({"AllocatedStorage", "StorageType"})

    lasting_id = "resource_id"

    arn = Output()
    id = Output()
    endpoint = Output()
    resource_id = Output()

    def permissions(self) -> Iterator[Statement]:
        """Yield what the instance needs, its final snapshot, and its encrypted storage."""
        yield from super().permissions()
        major = ".".join(self.engine_version.split(".")[:2])
        options, parameters = (
            f"og:default:mysql-{major.replace('.', '-')}",
            f"pg:default.mysql{major}",
        )
        defaults = (arn("rds", options), arn("rds", parameters))
        yield Statement(("rds:CreateDBInstance", "rds:ModifyDBInstance"), (*self.arns(), *defaults))
        yield Statement(("rds:CreateDBInstance",), (arn("rds", f"subgrp:{self.subnet_group}"),))
        # A snapshot is made of the instance above alone, and takes its tags over.
        snapshots = (arn("rds", "snapshot:*"),)
        yield Statement(("rds:CreateDBSnapshot",), snapshots)
        inherited: Condition = {"Bool": {"rds:TagsFromRequest": "false"}}
        yield Statement(("rds:AddTagsToResource",), snapshots, inherited)
        keys = (arn("kms", "key/*"),)
        through_rds = {"StringEquals": {"kms:ViaService": via_service("rds", self.region)}}
        yield Statement(("kms:DescribeKey",), keys, through_rds)
        for_rds = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
        yield Statement(("kms:CreateGrant",), keys, {**through_rds, **for_rds})

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        instance = self.instance(aws, known)
        if instance is None:
            return None
        name = instance["DBInstanceIdentifier"]
        created = instance.get("InstanceCreateTime")
        tags = instance_tags(aws, instance)
        return Seen(
            instance_outputs(instance),
            self.described(instance),
            tags=tags.tags,
            unreadable=tags.unreadable,
            name="" if name.lower() == self.name.lower() else name,
            status=instance["DBInstanceStatus"],
            reason="; ".join(
                info["Message"] for info in instance.get("StatusInfos", ()) if info.get("Message")
            ),
            created=created.isoformat() if created else "",
            pending=instance.get("PendingModifiedValues", {}),
        )

    def instance(self, aws: Aws, known: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the instance of our name, or a renamed one: by its lasting id, or by our tags."""
        by_name: dict[str, Any] | None = None
        with absent(self.NOT_FOUND):
            by_name = instance_named(aws, self.name)
        if by_name is not None and (
            by_name.get("DbiResourceId") == known.get("resource_id", by_name.get("DbiResourceId"))
            or self.carries_our_tags(aws, by_name)
        ):
            return by_name
        others = pages(aws.rds, "describe_db_instances", "DBInstances")
        renamed = [each for each in others if each["DbiResourceId"] == known.get("resource_id")]
        if by_name is None and not renamed:
            renamed = [each for each in others if self.carries_our_tags(aws, each)]
        return renamed[0] if renamed else by_name

    def carries_our_tags(self, aws: Aws, instance: Mapping[str, Any]) -> bool:
        """Return whether both of our tags are at an instance."""
        return marked(tag_map(instance.get("TagList")), aws.environment, self.step)

    def described(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is compared, as it is now; what AWS still has to apply is in `pending`."""
        names = (*self.properties(), "Iops")
        described = {name: instance[name] for name in names if name in instance}
        if instance.get("AwsBackupRecoveryPointArn"):  # AWS Backup keeps it, and RDS takes no other
            described.pop("BackupRetentionPeriod", None)
        if instance["DBInstanceStatus"] != "stopped":  # any other status passes by itself
            del described["DBInstanceStatus"]
        groups = instance.get("VpcSecurityGroups", ())
        described["ReadReplicas"] = instance.get("ReadReplicaDBInstanceIdentifiers", [])
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
        """Compare as RDS does: names in lower case; a version and a size are the least wanted.

        RDS moves both by itself, upwards (AutoMinorVersionUpgrade, storage autoscaling, growth
        rounded up to 10 %), and takes neither back.
        """
        if name in self.MINIMUMS:
            return version(is_)[: len(version(should))] < version(should)
        if name == "DBSubnetGroupName":
            return str(is_).lower() != str(should).lower()
        return super().differs(name, is_, should)

    def applying(self, seen: Seen, changes: Iterable[Change]) -> str:
        """Return what RDS is at, or what it still has to begin with, of these changes of ours.

        What somebody else has pending for the maintenance window is not waited for.
        """
        if seen.status not in {*self.ready, *self.failed, "stopped"}:
            return seen.status
        ours = [
            each.property
            for each in changes
            if each.property in seen.pending
            and (each.sensitive or str(seen.pending[each.property]) == str(each.should))
        ]
        return f"{', '.join(ours)} pending" if ours else ""

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        """Return what to do about a renamed instance: the printed policy names it by its name."""
        if not seen.name:
            return ""
        return (
            f"It was renamed from {self.name} to {seen.name}, and the policy that `python -m "
            f"provision policy` prints allows this for db:{self.name} alone. It stays, and is "
            "billed. An administrator renames it back, after which the same run can go on: "
            f"{self.rename_back(seen, aws.region)}; or deletes it, with its data: aws rds "
            f"delete-db-instance --region {aws.region} --db-instance-identifier {seen.name} "
            "--skip-final-snapshot"
        )

    def rename_back(self, seen: Seen, region: str) -> str:
        """Return the command that gives a renamed instance its name again."""
        return (
            f"aws rds modify-db-instance --region {region} --apply-immediately "
            f"--db-instance-identifier {seen.name} --new-db-instance-identifier {self.name}"
        )

    def kept(self, seen: Seen) -> list[str]:
        """Return what config.toml has less of than AWS, which goes no way back; and a new name."""
        renamed = [
            f"the DB instance {self.name} was renamed to {seen.name}: used under that name. To "
            f"rename it back: {self.rename_back(seen, self.region)}"
        ]
        return (renamed if seen.name else []) + [
            f"{key} asks for {should}, the DB instance has {name} {is_}: kept, since RDS "
            f"{self.MINIMUMS[name]}"
            for name, key, should in (
                ("AllocatedStorage", "database.allocated_storage_gib", self.allocated_storage),
                ("EngineVersion", "database.engine_version", self.engine_version),
            )
            if (is_ := seen.properties.get(name)) is not None
            and version(is_)[: len(version(should))] > version(should)
        ]

    def create(self, aws: Aws) -> dict[str, str]:
        wanted: dict[str, Any] = self.properties()
        del wanted["DBInstanceStatus"]
        if self.allocated_storage >= STRIPED_GIB:
            wanted["Iops"] = STRIPED_IOPS
        answer = aws.rds.create_db_instance(
            DBInstanceIdentifier=self.name,
            EngineLifecycleSupport=NO_EXTENDED_SUPPORT,
            MasterUserPassword=self.master_user_password,
            Tags=tag_list(self.tags(aws)),
            **wanted,
        )
        return instance_outputs(answer["DBInstance"])

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        if "DBInstanceStatus" in changes:
            aws.rds.start_db_instance(DBInstanceIdentifier=seen.outputs["id"])
            return
        wanted = self.properties() | {"MasterUserPassword": self.master_user_password}
        changed = {name: wanted[name] for name in changes if name != "StorageEncrypted"}
        # RDS applies with ours whatever else is pending; what is ours to set stays as it should be.
        late = {name for name in seen.pending if name in self.properties()} - set(changed)
        changed |= {name: self.present(seen, name) for name in late}
        if "EngineVersion" in changes:
            changed["AllowMajorVersionUpgrade"] = True
        if self.STORAGE & set(changed):
            changed |= self.storage(seen, changed)
        name = seen.outputs["id"]
        aws.rds.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **changed)

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        """Return the read replicas of the instance: RDS promotes them, or lets them keep it."""
        replicas = seen.properties.get("ReadReplicas", ())
        return [
            replace(instance_blocker(aws, each), lasts=False)
            for each in pages(aws.rds, "describe_db_instances", "DBInstances")
            if each["DBInstanceIdentifier"] in replicas
        ]

    def present(self, seen: Seen, name: str) -> Any:
        """Return the value that a property has and keeps."""
        return seen.properties.get(name, self.properties()[name])

    def storage(self, seen: Seen, changed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a change of storage: striped gp3 wants its Iops named.

        (Amazon RDS User Guide, "gp3 storage"; below 400 GiB RDS refuses Iops.)
        """
        size = int(changed.get("AllocatedStorage", seen.properties.get("AllocatedStorage", 0)))
        if size < STRIPED_GIB:
            return {}
        iops = max(STRIPED_IOPS, int(seen.properties.get("Iops") or 0))
        return {"AllocatedStorage": size, "Iops": iops}

    def protected(self, seen: Seen) -> ProvisionError | None:
        if not seen.properties.get("DeletionProtection"):
            return None
        return ProvisionError(
            f"{self.step}: the DB instance {seen.outputs['id']} is protected from deletion, which "
            "is respected",
            next_step="To lift it: aws rds modify-db-instance --apply-immediately "
            f"--no-deletion-protection --db-instance-identifier {seen.outputs['id']}",
        )

    def delete(self, aws: Aws, seen: Seen) -> None:
        if protected := self.protected(seen):
            raise protected
        snapshot: dict[str, Any] = {"SkipFinalSnapshot": not self.final_snapshot}
        if self.final_snapshot:
            snapshot["FinalDBSnapshotIdentifier"] = self.final_snapshot
        with absent(self.NOT_FOUND):
            aws.rds.delete_db_instance(
                DBInstanceIdentifier=seen.outputs["id"], DeleteAutomatedBackups=True, **snapshot
            )


def version(value: Any) -> tuple[int, ...]:
    """Return a version or a number as something that can be ordered."""
    return tuple(int(number) for number in re.findall(r"\d+", str(value)))


@dataclass(frozen=True)
class DBProxy(RdsResource):
    """An RDS Proxy (CreateDBProxy). The two differ in `iam_auth` and `require_tls` alone."""

    proxy_name: str
    iam_auth: str  # DISABLED or REQUIRED
    require_tls: bool
    secret_arn: str
    role_arn: str
    role_granted: str  # known when the role has its policies: RDS may look at them at once
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    idle_client_timeout: int  # seconds
    debug_logging: bool
    log_group: str
    service_linked_role: str

    kind = "AWS::RDS::DBProxy"
    title = "RDS Proxy"
    named_by = "proxy_name"
    ready = frozenset({"available"})
    failed = frozenset({"incompatible-network", "insufficient-resource-limits"})
    requires_replacement = frozenset({"VpcSubnetIds", "EngineFamily"})
    replace_with = frozenset({"VpcSecurityGroupIds"})
    non_blocking = frozenset({"service_linked_role"})
    costs = True
    creation = durations.PROXY_CREATION
    deletion = durations.PROXY_DELETION
    reads = ("rds:DescribeDBProxies", "rds:DescribeDBProxyEndpoints")
    arn_pattern = ("rds", "db-proxy:prx-*")  # the id is AWS's to choose

    lasting_id = "resource_id"

    arn = Output()
    proxy = Output()
    endpoint = Output()
    resource_id = Output()

    def permissions(self) -> Iterator[Statement]:
        yield from super().permissions()
        yield Statement(("rds:CreateDBProxy",), condition=CREATES_OURS)  # it takes no resource
        yield Statement(("rds:AddTagsToResource",), (arn("rds", "db-proxy:*"),), TAGS_OURS)
        yield Statement(("rds:ListTagsForResource",), self.arns())  # whose is it?
        changes = ("rds:DeleteDBProxy", "rds:ModifyDBProxy", "rds:RemoveTagsFromResource")
        yield Statement(changes, self.arns(), IS_OURS)

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        reads: list[Any] = [lambda: aws.listed("rds", "describe_db_proxies", "DBProxies")]
        if arn := known.get("arn"):
            reads.append(lambda: tags_of(aws, arn, lasting=True))
        proxies, *read = aws.together(*reads)
        known_tags = dict.fromkeys([known.get("arn")], read[0]) if read else {}
        proxy, tags = self.ours_of(aws, proxies, known, known_tags)
        if proxy is None:
            return None
        name = proxy["DBProxyName"]
        created = proxy.get("CreatedDate")
        outputs = proxy_outputs(proxy)
        if self.debug_logging and (proxy.get("DebugLogging") or known.get("debug_logging")):
            outputs["debug_logging"] = "on"  # it was: RDS switches it off by itself
        return Seen(
            outputs,
            self.described(proxy),
            tags=tags.tags,
            unreadable=tags.unreadable,
            name="" if name.lower() == self.name.lower() else name,
            status=proxy["Status"],
            created=created.isoformat() if created else "",
        )

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        return tags_back(
            aws.environment,
            seen.tags,
            f"aws rds add-tags-to-resource --region {aws.region} --resource-name "
            f"{seen.outputs['arn']} --tags Key=provision:environment,Value={aws.environment} "
            f"Key=provision:step,Value={self.step}",
        )

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        super().tag(aws, seen, {**self.tags(aws), **tags})  # see TAGS_OURS

    def ours_of(
        self,
        aws: Aws,
        proxies: list[dict[str, Any]],
        known: Mapping[str, str],
        known_tags: Mapping[Any, Tags],
    ) -> tuple[dict[str, Any] | None, Tags]:
        """Return the proxy that is ours by its name, its lasting id or its tags, with its tags."""

        def tags(proxy: Mapping[str, Any]) -> Tags:
            arn, busy = proxy["DBProxyArn"], proxy["Status"] not in self.ready
            if busy and arn in known_tags:  # nobody changes it meanwhile
                return known_tags[arn]
            return tags_of(aws, arn, lasting=busy)

        named = [each for each in proxies if each["DBProxyName"].lower() == self.name.lower()]
        recorded = [each for each in proxies if each["DBProxyArn"] == known.get("arn")]
        for proxy in named if named != recorded and recorded else ():
            if (its := tags(proxy)).carry(aws.environment, self.step):
                return proxy, its
        for proxy in recorded or named:
            return proxy, tags(proxy)
        for proxy in proxies:
            if (its := tags(proxy)).carry(aws.environment, self.step):
                return proxy, its
        return None, Tags({})

    def identity(self, outputs: Mapping[str, str]) -> str:
        return outputs.get("proxy") or self.name

    def described(self, proxy: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is compared; of the secrets that the proxy logs in with, our own."""
        auths = proxy.get("Auth") or [{}]
        auth = next((each for each in auths if each.get("SecretArn") == self.secret_arn), auths[0])
        return {
            "Auth.others": [each for each in auths if each is not auth],
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

    def differs(self, name: str, is_: Any, should: Any) -> bool:
        """RDS leaves out subnets whose zone has no RDS Proxy, without saying so."""
        if name == "VpcSubnetIds":
            return not is_ or not set(is_) <= set(should)
        return super().differs(name, is_, should)

    def differences(self, seen: Seen, aws: Aws) -> list[Change]:
        """Debug logging that RDS switched off after its 24 hours is nobody's change."""
        return [
            each
            for each in super().differences(seen, aws)
            if each.property != "DebugLogging" or not self.switched_off(seen)
        ]

    def switched_off(self, seen: Seen) -> bool:
        """Return whether debug logging was on, as it should be, and is off now."""
        return bool(seen.outputs.get("debug_logging")) and not seen.properties["DebugLogging"]

    def kept(self, seen: Seen) -> list[str]:
        """Return what RDS did by itself, and what somebody added."""
        kept = []
        if seen.name:
            kept.append(
                f"the proxy {self.name} was renamed to {seen.name}: used under that name. To "
                f"rename it back: aws rds modify-db-proxy --db-proxy-name {seen.name} "
                f"--new-db-proxy-name {self.name}"
            )
        if self.switched_off(seen):
            kept.append(
                "debug logging is off: RDS switches it off after 24 hours. To have it on again: "
                "`up --set proxy.debug_logging=false`, then `up`"
            )
        wanted = {each for each in self.subnet_ids if not unresolved(each)}
        if left_out := wanted - set(seen.properties["VpcSubnetIds"]):
            kept.append(f"RDS Proxy does not use {', '.join(sorted(left_out))}: kept")
        for each in seen.properties["Auth.others"]:
            kept.append(f"somebody added the login by {each.get('SecretArn')} to the proxy: kept")
        return kept

    def auth(self) -> Any:
        """Return the Auth parameter: how clients log in, and with which secret the proxy does."""
        return [{"AuthScheme": "SECRETS", "SecretArn": self.secret_arn, "IAMAuth": self.iam_auth}]

    def create(self, aws: Aws) -> dict[str, str]:
        with self.judged_by_role(aws):
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

    @contextmanager
    def judged_by_role(self, aws: Aws) -> Iterator[None]:
        """Tell what RDS says of a role that is too new from what it says of one that is bad.

        Raises AwsCallError for what may be the role; `final` where the role is not new.
        """
        try:
            yield
        except ClientError as error:
            answer = aws_answer(error)
            if not any(words in answer.message for words in ROLE_REFUSALS):
                raise
            new = is_new(aws, self.role_arn)
            if not new and answer.code in BAD_CREDENTIALS:
                raise  # the caller's own credentials, then
            raise AwsCallError(
                self.step,
                answer,
                next_step=f"RDS has to be able to assume {self.role_arn}: look at its trust policy "
                "and its policies (`python -m provision plan` shows what differs).",
                final=not new,
            ) from error

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        with self.judged_by_role(aws):
            aws.rds.modify_db_proxy(
                DBProxyName=seen.outputs["proxy"],
                Auth=[*self.auth(), *seen.properties["Auth.others"]],
                RequireTLS=self.require_tls,
                IdleClientTimeout=self.idle_client_timeout,
                DebugLogging=self.debug_logging,
                RoleArn=self.role_arn,
                SecurityGroups=list(self.security_group_ids),
            )

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent("DBProxyNotFoundFault"):
            aws.rds.delete_db_proxy(DBProxyName=seen.outputs["proxy"])


def instance_outputs(instance: Mapping[str, Any]) -> dict[str, str]:
    """Return what other resources use of an instance, and by what it is found again."""
    outputs = {
        "arn": instance["DBInstanceArn"],
        "id": instance["DBInstanceIdentifier"],
        "resource_id": instance.get("DbiResourceId"),
        "endpoint": instance.get("Endpoint", {}).get("Address"),
    }
    return {name: text for name, text in outputs.items() if text}


def instance_named(aws: Aws, name: str) -> dict[str, Any]:
    """Return the DB instance of this name as RDS describes it. Raises ClientError."""

    def read() -> Any:
        return aws.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]

    return aws.shared.ask("rds", f"DB instance {name}", read)


def instance_blocker(aws: Aws, instance: Mapping[str, Any]) -> Blocker:
    """Return a DB instance as what is in the way, with whose it is and what deletes it."""
    name, status = instance["DBInstanceIdentifier"], instance["DBInstanceStatus"]
    environment = tag_map(instance.get("TagList")).get(ENVIRONMENT)
    source = instance.get("ReadReplicaSourceDBInstanceIdentifier")
    what = f"read replica {name} of {source}" if source else f"DB instance {name}"
    return Blocker(
        f"{what}, {status}",
        f"of the environment {environment!r}" if environment else "no tag of this program",
        f"aws rds delete-db-instance --db-instance-identifier {name} (or move it elsewhere)",
        lasts=status != "deleting" and environment != aws.environment,
    )


def instance_tags(aws: Aws, instance: Mapping[str, Any]) -> Tags:
    """Return an instance's tags: RDS describes them, or leaves the member out."""
    if "TagList" in instance:
        return Tags(tag_map(instance["TagList"]))
    return tags_of(aws, instance["DBInstanceArn"])


def orderable_options(aws: Aws, engine_version: str, **offers: Any) -> list[dict[str, Any]]:
    """Return what RDS offers in the region of a version (DescribeOrderableDBInstanceOptions)."""
    operation, key = "describe_orderable_db_instance_options", "OrderableDBInstanceOptions"
    offers = {"Engine": "mysql", "EngineVersion": engine_version, "Vpc": True, **offers}
    return aws.listed("rds", operation, key, lasting=True, **offers)


def find_proxy(aws: Aws, name: str) -> dict[str, Any] | None:
    """Return the proxy of this name as RDS describes it, or None."""
    proxies = aws.listed("rds", "describe_db_proxies", "DBProxies")
    return next((each for each in proxies if each["DBProxyName"].lower() == name.lower()), None)


def proxy_outputs(proxy: Mapping[str, Any]) -> dict[str, str]:
    """Return what other resources use of a proxy. Its `prx-…` id is the last part of its ARN."""
    outputs = {
        "proxy": proxy["DBProxyName"],
        "arn": proxy["DBProxyArn"],
        "resource_id": proxy["DBProxyArn"].rpartition(":")[2],
    }
    return outputs | ({"endpoint": proxy["Endpoint"]} if proxy.get("Endpoint") else {})


def tags_of(aws: Aws, arn: str, *, lasting: bool = False) -> Tags:
    """Return the tags of an RDS resource, or why they cannot be read; none when it is not there.

    `lasting`: those that were read before will do, unless we have changed something since.
    """

    def read() -> Tags:
        return read_tags(
            lambda: tag_map(aws.rds.list_tags_for_resource(ResourceName=arn)["TagList"])
        )

    with absent(
        "DBSubnetGroupNotFoundFault", "DBProxyNotFoundFault", "DBInstanceNotFound", "NotFound"
    ):
        return aws.shared.ask("rds", f"tags of {arn}", read, lasting=lasting)
    return Tags({})


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

    HOPELESS: ClassVar[frozenset[str]] = frozenset({"INVALID_REPLICATION_STATE", "PROMOTED"})

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
                return self.untold(known)
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

    def untold(self, known: Mapping[str, str]) -> Seen | None:
        """Return what we know while RDS makes or changes the proxy, and tells no targets."""
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
