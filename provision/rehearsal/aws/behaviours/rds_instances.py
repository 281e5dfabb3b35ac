"""RDS DB instances: states over time, backups left behind, and AWS's refusals.

Follows https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/ and the guide's "DB instance
status"; codes as in botocore's model, where they lack the `Fault` of the class name.
"""

from __future__ import annotations

import re
import secrets
import string
from datetime import UTC, datetime
from typing import Any

from provision.config.reserved_words import MYSQL_RESERVED
from provision.rehearsal.aws.behaviours import iam_roles, interfaces, rds_catalogue, rds_refusals
from provision.rehearsal.aws.behaviours.rds_refusals import invalid_combination, invalid_value
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World

_RESERVED_USERS = {"rdsadmin", "rdsproxyadmin", "rdsrepladmin", "rdswriteforwarduser", "mysql"}


class Backups(dict[str, Answer]):
    """Automated backups by DbiResourceId, as DescribeDBInstanceAutomatedBackups shows them."""


# Create


def create_db_instance(world: World, call: Call, proceed: Proceed) -> Answer:
    """`creating`, `backing-up`, `available`; no endpoint while `creating`."""
    if world.behaviours.refusals:
        rds_refusals.check_tags(call)
        _check_new(world, call)
    names = ("DBInstanceIdentifier", "DBSubnetGroupName")  # which RDS keeps in lower case
    world.ask_as(call, **{n: call.params[n].lower() for n in names if n in call.params})
    instance = find(world, call)
    letters = string.ascii_uppercase + string.digits
    instance.dbi_resource_id = "db-" + "".join(secrets.choice(letters) for _ in range(26))
    if call.get("Engine") == "mysql":
        instance.engine_version = rds_catalogue.resolve(call.get("EngineVersion")).name
    instance.engine_lifecycle_support = call.get(
        "EngineLifecycleSupport", "open-source-rds-extended-support"
    )
    instance.pending_modified_values = {}
    group = subnet_group(instance)
    if group is not None:
        _place(world, call, instance, group)
    _start_states(world, call.region, instance)
    _start_backups(world, call.region, instance)
    return described(world, call.region, instance)


def _place(world: World, call: Call, instance: Any, group: Any) -> None:
    """Chooses a zone of the subnet group, and puts an interface there."""
    subnet = group._subnets[0]
    for each in group._subnets:
        if each.availability_zone == call.get("AvailabilityZone"):
            subnet = each
    instance.availability_zone = subnet.availability_zone
    interfaces.for_service(
        world,
        call.region,
        instance.dbi_resource_id,
        [subnet.id],
        instance.vpc_security_group_ids,
    )


def _start_states(world: World, region: str, instance: Any) -> None:
    if not world.behaviours.states:
        return
    name, key = instance.db_instance_identifier, key_of(region, instance)
    instance.status = "creating"
    takes = world.takes("instance_create", name)
    if instance.backup_retention_period:
        backup = min(takes, world.takes("instance_first_backup", name))
        world.later(takes - backup, lambda: set_status(instance, "backing-up"), key)
    world.later(takes, lambda: set_status(instance, "available"), key)
    if world.possible("upgrades_minor_version"):
        begins = takes + world.takes("minor_upgrade_begins", name)
        upgrade = _upgrade_key(region, instance)
        world.later(begins, lambda: _upgrade_minor_version(world, region, instance), upgrade)


def _upgrade_minor_version(world: World, region: str, instance: Any) -> None:
    """RDS's own upgrade in the maintenance window (AutoMinorVersionUpgrade): `upgrading`.

    Follows the RDS User Guide, "Automatically upgrading the minor engine version".
    """
    newest = rds_catalogue.newest_minor(instance.engine_version)
    if not instance.auto_minor_version_upgrade or newest == instance.engine_version:
        return
    name, key = instance.db_instance_identifier, _upgrade_key(region, instance)
    if instance.status != "available":
        again = world.takes("minor_upgrade_begins", name)
        world.later(again, lambda: _upgrade_minor_version(world, region, instance), key)
        return

    def upgraded() -> None:
        instance.engine_version = newest
        set_status(instance, "available")

    set_status(instance, "upgrading")
    world.later(world.takes("minor_upgrade", name), upgraded, key)


def _upgrade_key(region: str, instance: Any) -> tuple[str, str, str]:
    return ("minor upgrade", region, instance.dbi_resource_id)


def _start_backups(world: World, region: str, instance: Any) -> None:
    """AWS keeps an automated backup of each instance with a retention period."""
    rds = world.backend("rds", region)
    if not instance.backup_retention_period:
        _forget_automated_snapshots(rds, instance.db_instance_identifier)
    elif world.behaviours.leftovers:
        world.memory(Backups, region)[instance.dbi_resource_id] = {
            "DBInstanceArn": instance.arn,
            "DbiResourceId": instance.dbi_resource_id,
            "Region": region,
            "DBInstanceIdentifier": instance.db_instance_identifier,
            "Status": "active",
            "Engine": instance.engine,
            "EngineVersion": instance.engine_version,
            "MasterUsername": instance.master_username,
            "AllocatedStorage": int(instance.allocated_storage),
            "Encrypted": bool(instance.storage_encrypted),
            "BackupRetentionPeriod": int(instance.backup_retention_period),
            "InstanceCreateTime": datetime.now(UTC),
            "TagList": list(instance.tags),
            "DBInstanceAutomatedBackupsArn": instance.arn.replace(":db:", ":auto-backup:ab-"),
        }


def _forget_automated_snapshots(rds: Any, instance: str) -> None:
    for name, each in list(rds.database_snapshots.items()):
        if (each.db_instance_identifier, each.snapshot_type) == (instance, "automated"):
            del rds.database_snapshots[name]


def _check_new(world: World, call: Call) -> None:
    """Raises AwsError for an instance that RDS would not make."""
    name = call.get("DBInstanceIdentifier", "").lower()
    rds = world.backend("rds", call.region)
    if name in [each.lower() for each in rds.databases]:
        raise AwsError("DBInstanceAlreadyExists", "DB instance already exists", 400)
    if not iam_roles.has_service_linked_role(world):
        raise invalid_value(
            "Unable to create the resource. Verify that you have permission to create service "
            "linked role. Otherwise wait and try again later"
        )
    if call.get("Engine") == "mysql":
        _check_version(call)
        if call.get("DBInstanceClass") not in rds_catalogue.CLASSES:
            raise invalid_value(f"Invalid DB Instance class: {call.get('DBInstanceClass')}")
    _check_login(call)
    _check_storage(call)
    _check_network(world, call)


def _check_version(call: Call) -> None:
    version = rds_catalogue.resolve(call.get("EngineVersion"))
    disabled = call.get("EngineLifecycleSupport") == "open-source-rds-extended-support-disabled"
    if disabled and not rds_catalogue.in_standard_support(version):
        raise invalid_combination(
            f"You can't create a DB instance with engine version {version.name}, which is past "
            "its RDS end of standard support date, without RDS Extended Support."
        )


def _check_login(call: Call) -> None:
    user, password = call.get("MasterUsername", ""), call.get("MasterUserPassword")
    if user.lower() in _RESERVED_USERS | MYSQL_RESERVED:
        raise invalid_value(
            f"MasterUsername {user} cannot be used as it is a reserved word used by the engine"
        )
    if call.get("DBName", "").lower() in MYSQL_RESERVED:
        raise invalid_value(
            f"DBName {call.get('DBName')} cannot be used. It is a reserved word for this engine"
        )
    if not re.fullmatch(r"[A-Za-z]\w{0,15}", user, re.ASCII):
        raise invalid_value(f"The parameter MasterUsername is not a valid identifier: {user!r}")
    if call.get("ManageMasterUserPassword"):
        if password:
            raise invalid_combination(
                "You can't specify MasterUserPassword when ManageMasterUserPassword is enabled."
            )
        return
    check_password(password)


def check_password(password: str | None) -> None:
    if not password:
        message = "The parameter MasterUserPassword must be provided and must not be blank."
        raise invalid_value(message)
    if not 8 <= len(password) <= 41:
        raise invalid_value(
            "The parameter MasterUserPassword is not a valid password because it is not between "
            "8 and 41 characters."
        )
    if re.search(r"[^!-~]|[/@\"]", password):
        raise invalid_value(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII "
            "characters besides '/', '@', '\"', ' ' may be used."
        )


def _check_storage(call: Call) -> None:
    storage = int(call.get("AllocatedStorage", 20))
    kind = call.get("StorageType", "gp2")
    if kind not in ("gp2", "gp3", "io1", "io2"):
        raise AwsError("StorageTypeNotSupported", f"Invalid storage type: {kind}", 400)
    if not 20 <= storage <= 65_536:
        message = f"Invalid storage size for engine name mysql and storage type {kind}: {storage}"
        raise invalid_combination(message)
    if kind == "gp3" and call.get("Iops") and storage < 400:
        raise invalid_combination(
            "You can't specify IOPS or storage throughput for engine mysql and a storage size "
            "less than 400."
        )


def _check_network(world: World, call: Call) -> None:
    """The subnet group, the security groups and the zone must be there and fit together."""
    name = call.get("DBSubnetGroupName")
    if name is None:
        return
    group = world.backend("rds", call.region).subnet_groups.get(name.lower())
    if group is None:
        message = f"DB subnet group '{name}' does not exist."
        raise AwsError("DBSubnetGroupNotFoundFault", message, 404)
    for found in rds_refusals.security_groups(world, call):
        if found.vpc_id != group.vpc_id:
            message = (
                "The DB instance and EC2 security group are in different VPCs. The DB instance "
                f"is in {group.vpc_id} and the EC2 security group is in {found.vpc_id}"
            )
            raise AwsError("InvalidVPCNetworkStateFault", message, 400)
    zone = call.get("AvailabilityZone")
    if zone and zone not in [subnet.availability_zone for subnet in group._subnets]:
        message = f"DB subnet group {name} does not cover the Availability Zone {zone}."
        raise AwsError("InvalidVPCNetworkStateFault", message, 400)
    if call.get("PubliclyAccessible"):
        message = (
            "Cannot create a publicly accessible DBInstance. The specified VPC has no internet "
            "gateway attached."
        )
        ec2, attached = world.backend("ec2", call.region), {"attachment.vpc-id": [group.vpc_id]}
        if not ec2.describe_internet_gateways(filters=attached):
            raise AwsError("InvalidVPCNetworkStateFault", message, 400)


# Describe


def describe_db_instances(world: World, call: Call, proceed: Proceed) -> Answer:
    """Without the endpoint that moto knows too early."""
    answer = proceed()
    for each in answer.get("DBInstances", []):
        _hide_endpoint(each)
    return answer


def _hide_endpoint(instance: Answer) -> None:
    if instance.get("DBInstanceStatus") == "creating":
        instance.pop("Endpoint", None)


# Delete


def delete_db_instance(world: World, call: Call, proceed: Proceed) -> Answer:
    """`deleting` for minutes; a final snapshot is made, backups are kept where asked for."""
    instance = find(world, call)
    if world.behaviours.refusals:
        _check_delete(world, call, instance)
    answer = described(world, call.region, instance)
    snapshot = call.get("FinalDBSnapshotIdentifier")
    if snapshot and not call.get("SkipFinalSnapshot"):
        _snapshot(world, call.region, instance, snapshot)
    key = key_of(call.region, instance)
    world.forget(key)
    world.forget(_upgrade_key(call.region, instance))
    if world.behaviours.states:
        instance.status = "deleting"
        takes = world.takes("instance_delete", instance.db_instance_identifier)
        world.later(takes, lambda: _gone(world, call, instance), key)
    else:
        _gone(world, call, instance)
    answer["DBInstance"]["DBInstanceStatus"] = "deleting"
    return answer


def _check_delete(world: World, call: Call, instance: Any) -> None:
    name = instance.db_instance_identifier
    skip, snapshot = call.get("SkipFinalSnapshot"), call.get("FinalDBSnapshotIdentifier")
    if instance.status == "deleting":
        raise wrong_state(f"Instance {name} is already being deleted.")
    if instance.status == "creating" and world.possible("refuses_delete_while_creating"):
        message = f"Instance {name} is currently being created and cannot be deleted."
        raise wrong_state(message)
    if instance.deletion_protection:
        raise invalid_combination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again."
        )
    if not skip and not snapshot:
        message = "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        raise invalid_combination(message)
    if skip and snapshot:
        message = "FinalDBSnapshotIdentifier can not be specified with SkipFinalSnapshot."
        raise invalid_combination(message)
    if snapshot:
        if instance.status == "creating":
            message = f"Instance {name} is currently creating - a final snapshot cannot be taken."
            raise wrong_state(message)
        if snapshot in world.backend("rds", call.region).database_snapshots:
            message = f"Cannot create the snapshot because a snapshot named {snapshot} exists."
            raise AwsError("DBSnapshotAlreadyExists", message, 400)


def _snapshot(world: World, region: str, instance: Any, name: str) -> None:
    world.ask(
        "rds",
        "CreateDBSnapshot",
        region,
        DBInstanceIdentifier=instance.db_instance_identifier,
        DBSnapshotIdentifier=name,
    )
    snapshot = world.backend("rds", region).database_snapshots[name]
    if world.behaviours.states:
        snapshot.status = "creating"
        world.later(world.takes("snapshot", name), lambda: set_status(snapshot, "available"))


def _gone(world: World, call: Call, instance: Any) -> None:
    """The end of a deletion."""
    keep = call.get("DeleteAutomatedBackups") is False
    instance.deletion_protection = False
    world.ask(
        "rds",
        "DeleteDBInstance",
        call.region,
        DBInstanceIdentifier=call.get("DBInstanceIdentifier"),
        SkipFinalSnapshot=True,
        DeleteAutomatedBackups=not keep,
    )
    interfaces.release_service(world, call.region, instance.dbi_resource_id)
    backups = world.memory(Backups, call.region)
    if keep and instance.dbi_resource_id in backups:
        backups[instance.dbi_resource_id]["Status"] = "retained"
    else:
        backups.pop(instance.dbi_resource_id, None)


# Automated backups


def describe_db_instance_automated_backups(world: World, call: Call, proceed: Proceed) -> Answer:
    """Those of instances that are there, and those kept of instances that are gone."""
    found = list(world.memory(Backups, call.region).values())
    for name in ("DBInstanceIdentifier", "DbiResourceId", "DBInstanceAutomatedBackupsArn"):
        wanted = call.get(name)
        if wanted:
            found = [each for each in found if each[name] == wanted]
            if not found and name != "DBInstanceIdentifier":
                raise _no_backup(wanted)
    for each in call.get("Filters", []):
        member = {"status": "Status", "db-instance-id": "DBInstanceIdentifier"}.get(
            each["Name"], "DbiResourceId"
        )
        found = [backup for backup in found if backup[member] in each["Values"]]
    return {"DBInstanceAutomatedBackups": found}


def delete_db_instance_automated_backup(world: World, call: Call, proceed: Proceed) -> Answer:
    """Only a retained one can be deleted."""
    backups = world.memory(Backups, call.region)
    wanted = call.get("DbiResourceId", "")
    if wanted not in backups:
        raise _no_backup(wanted)
    if backups[wanted]["Status"] != "retained":
        message = f"The automated backup {wanted} is in use by a DB instance."
        raise AwsError("InvalidDBInstanceAutomatedBackupState", message, 400)
    rds = world.backend("rds", call.region)
    _forget_automated_snapshots(rds, backups[wanted]["DBInstanceIdentifier"])
    return {"DBInstanceAutomatedBackup": {**backups.pop(wanted), "Status": "deleting"}}


def _no_backup(name: str) -> AwsError:
    message = f"No automated backup found for {name}."
    return AwsError("DBInstanceAutomatedBackupNotFound", message, 404)


# What they share


def find(world: World, call: Call) -> Any:
    """moto's instance that the call names. Raises DBInstanceNotFound."""
    name = call.get("DBInstanceIdentifier", "")
    databases = world.backend("rds", call.region).databases
    found = databases.get(name) or databases.get(name.lower())
    if found is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    return found


def described(world: World, region: str, instance: Any) -> Answer:
    """The answer of the calls that tell about one instance, under the name that it has by now."""
    name = instance.db_instance_identifier
    answer = world.ask("rds", "DescribeDBInstances", region, DBInstanceIdentifier=name)
    _hide_endpoint(answer["DBInstances"][0])
    return {"DBInstance": answer["DBInstances"][0]}


def subnet_group(instance: Any) -> Any:
    """moto's DB subnet group of an instance, or None."""
    return getattr(instance, "db_subnet_group", None)


def key_of(region: str, instance: Any) -> tuple[str, str, str]:
    return ("instance", region, instance.db_instance_identifier)


def set_status(thing: Any, status: str) -> None:
    thing.status = status


def wrong_state(message: str) -> AwsError:
    return AwsError("InvalidDBInstanceState", message, 400)
