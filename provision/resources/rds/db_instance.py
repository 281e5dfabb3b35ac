"""The MySQL database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from provision.aws.account import Aws, absent, pages, tag_list, tag_map
from provision.errors import ProvisionError
from provision.resources import durations
from provision.resources.base import Change, Seen
from provision.resources.blockers import Blocker
from provision.resources.ownership import marked
from provision.resources.permissions import Condition, Statement, via_service
from provision.resources.rds import (
    LOOKED_UP_BY_RDS,
    RdsResource,
    instance_blocker,
    instance_named,
    instance_tags,
)
from provision.resources.references import Output, arn

NO_EXTENDED_SUPPORT = "open-source-rds-extended-support-disabled"
STRIPED_GIB = 400  # from this size on RDS stripes gp3, and a change of the size has to name Iops
STRIPED_IOPS = 12_000  # the least that RDS for MySQL takes then; included in the price of storage


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
        "EngineVersion": "upgrades versions and never downgrades them",
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
            f"It was renamed from {self.name} to {seen.name}, and the policies that `python -m "
            f"provision policy` prints allow this for db:{self.name} alone. It still exists, and "
            "is billed. An administrator renames it back, and then the same command can continue: "
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
        changed |= {name: seen.properties.get(name, wanted[name]) for name in late}
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
            f"{self.step}: the DB instance {seen.outputs['id']} has deletion protection",
            next_step="To turn it off: aws rds modify-db-instance --apply-immediately "
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


def instance_outputs(instance: Mapping[str, Any]) -> dict[str, str]:
    """Return what other resources use of an instance, and by what it is found again."""
    outputs = {
        "arn": instance["DBInstanceArn"],
        "id": instance["DBInstanceIdentifier"],
        "resource_id": instance.get("DbiResourceId"),
        "endpoint": instance.get("Endpoint", {}).get("Address"),
    }
    return {name: text for name, text in outputs.items() if text}
