"""Changes of RDS DB instances: what waits, what RDS rounds, grows and refuses, and new names.

Follows https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html and the
guide's pages on modifying an instance and on storage. A change begins late: the status stays
`available`, with PendingModifiedValues set, for up to a minute (hashicorp/terraform-provider-aws,
internal/service/rds/instance.go).
"""

from __future__ import annotations

import math
from typing import Any

from botocore import xform_name

from provision.rehearsal.aws.behaviours import rds_catalogue
from provision.rehearsal.aws.behaviours.rds_instances import (
    Backups,
    check_password,
    described,
    find,
    key_of,
    set_status,
    wrong_state,
)
from provision.rehearsal.aws.behaviours.rds_refusals import invalid_combination
from provision.rehearsal.aws.behaviours.rds_targets import rename_target
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World

_AT_THE_WINDOW = {  # what waits for the maintenance window: parameter, and its pending name
    "AllocatedStorage": "AllocatedStorage",
    "CACertificateIdentifier": "CACertificateIdentifier",
    "DBInstanceClass": "DBInstanceClass",
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
    "EngineVersion": "EngineVersion",
    "Iops": "Iops",
    "MultiAZ": "MultiAZ",
    "NewDBInstanceIdentifier": "DBInstanceIdentifier",
    "StorageType": "StorageType",
}
_MODIFIABLE = {"available", "storage-optimization", "storage-full", "incompatible-parameters"}
_STORAGE = {"AllocatedStorage", "Iops", "StorageType"}
_STRIPED_GIB = 400
"""From this size on gp3 of MySQL is striped: its IOPS are to be named, and 12,000 at least."""
_STRIPED_IOPS = 12_000
_LEAST_GROWTH = 1.1
_HIDDEN = "****"


def modify_db_instance(world: World, call: Call, proceed: Proceed) -> Answer:
    """What ApplyImmediately leaves out waits in PendingModifiedValues for the window."""
    instance = find(world, call)
    if world.behaviours.refusals:
        _check(world, call, instance)
    if not world.behaviours.states:
        world.ask_as(call, NewDBInstanceIdentifier=None)
        if call.get("NewDBInstanceIdentifier"):
            _rename(world, call.region, instance, call.params["NewDBInstanceIdentifier"])
        return described(world, call.region, instance)
    late = {k: v for k, v in call.params.items() if _differs(instance, k, v)}
    if "AllocatedStorage" in late:
        late["AllocatedStorage"] = _rounded(instance, int(late["AllocatedStorage"]))
    password = call.get("MasterUserPassword")
    world.ask_as(call, **dict.fromkeys([*late, "MasterUserPassword", "NewDBInstanceIdentifier"]))
    _autoscale(world, call, instance)
    earlier = getattr(instance, "waiting", {})  # asking for the present value takes one back
    instance.waiting = {k: v for k, v in earlier.items() if k not in call.params} | late
    _show_pending(instance)
    if password:  # never waits for the window
        instance.waiting["MasterUserPassword"] = password
        instance.pending_modified_values["MasterUserPassword"] = _HIDDEN
    if instance.waiting and (call.get("ApplyImmediately") or password):
        now = instance.waiting if call.get("ApplyImmediately") else {"MasterUserPassword": password}
        _apply(world, call.region, instance, dict(now))
    return described(world, call.region, instance)


def _differs(instance: Any, name: str, value: Any) -> bool:
    """Whether this parameter is a change that waits for the window."""
    if name == "NewDBInstanceIdentifier":
        return bool(value.lower() != instance.db_instance_identifier)
    if name not in _AT_THE_WINDOW:
        return False
    return str(getattr(instance, xform_name(name), None)) != str(value)


def _rounded(instance: Any, wanted: int) -> int:
    """The size that RDS makes of a growth: 10 % at least."""
    now = int(instance.allocated_storage)
    return max(wanted, math.ceil(now * _LEAST_GROWTH)) if wanted > now else wanted


def _show_pending(instance: Any) -> None:
    waiting = {k: v for k, v in instance.waiting.items() if k in _AT_THE_WINDOW}
    instance.pending_modified_values = {_AT_THE_WINDOW[k]: v for k, v in waiting.items()}
    if "MasterUserPassword" in instance.waiting:
        instance.pending_modified_values["MasterUserPassword"] = _HIDDEN


def _apply(world: World, region: str, instance: Any, changes: Answer) -> None:
    """Changes these: first nothing is to be seen but that they are pending."""
    name, key = instance.db_instance_identifier, key_of(region, instance)
    world.forget(key)
    status = "modifying"
    if set(changes) == {"MasterUserPassword"}:
        status = "resetting-master-credentials"
    if "NewDBInstanceIdentifier" in changes:
        status = "renaming"

    def begin() -> None:
        set_status(instance, status)
        world.later(world.takes("instance_modify", name), apply, key)

    def apply() -> None:
        plain = {k: v for k, v in changes.items() if k != "NewDBInstanceIdentifier"}
        if plain:
            world.ask("rds", "ModifyDBInstance", region, DBInstanceIdentifier=name, **plain)
        instance.waiting = {k: v for k, v in instance.waiting.items() if k not in changes}
        _show_pending(instance)
        if "NewDBInstanceIdentifier" in changes:
            _rename(world, region, instance, changes["NewDBInstanceIdentifier"])
        if _STORAGE & set(changes):
            set_status(instance, "storage-optimization")
            takes = world.takes("storage_optimization", name)
            world.later(takes, lambda: set_status(instance, "available"), key_of(region, instance))
        else:
            set_status(instance, "available")

    world.later(world.takes("instance_modify_lag", name), begin, key)


def _rename(world: World, region: str, instance: Any, name: str) -> None:
    """Gives it another name: its ARN and its endpoint change, its DbiResourceId and tags stay."""
    rds, old = world.backend("rds", region), instance.db_instance_identifier
    del rds.databases[old]
    instance.db_instance_identifier = name
    rds.databases[name.lower()] = instance
    rename_target(world, region, old, name.lower())
    backup = world.memory(Backups, region).get(instance.dbi_resource_id)
    if backup is not None:
        backup.update(DBInstanceIdentifier=name.lower(), DBInstanceArn=instance.arn)


def _autoscale(world: World, call: Call, instance: Any) -> None:
    """Lets RDS grow the storage by itself, up to MaxAllocatedStorage, where that was set."""
    most = call.get("MaxAllocatedStorage")
    if most is None:
        return
    name = instance.db_instance_identifier
    key = ("autoscaling", call.region, instance.dbi_resource_id)
    world.forget(key)

    def grow() -> None:
        now = int(instance.allocated_storage)
        grown = min(int(most), max(now + 5, math.ceil(now * _LEAST_GROWTH)))
        if grown <= now or instance.status == "deleting":
            return
        instance.allocated_storage = grown
        world.later(world.takes("storage_autoscaling", name), grow, key)

    world.later(world.takes("storage_autoscaling", name), grow, key)


# Refusals


def _check(world: World, call: Call, instance: Any) -> None:
    """Raises AwsError for a change that RDS would not make."""
    if instance.status not in _MODIFIABLE:
        raise wrong_state("Database instance is not in available state.")
    if "MasterUserPassword" in call.params:
        check_password(call.get("MasterUserPassword"))
    if "EngineVersion" in call.params:
        _check_version(call, instance)
    if _STORAGE & set(call.params):
        _check_storage(call, instance)
    name = call.get("NewDBInstanceIdentifier", "").lower()
    taken = world.backend("rds", call.region).databases.get(name)
    if taken is not None and taken is not instance:
        raise AwsError("DBInstanceAlreadyExists", "DB instance already exists", 400)


def _check_version(call: Call, instance: Any) -> None:
    """No version goes back, and a major one goes on only where that is allowed."""
    now, wanted = instance.engine_version, rds_catalogue.resolve(call.get("EngineVersion")).name
    parts = [[int(part) for part in version.split(".")] for version in (now, wanted)]
    if parts[1] < parts[0]:
        raise invalid_combination(f"Cannot upgrade mysql from {now} to {wanted}")
    if parts[1][:2] != parts[0][:2] and not call.get("AllowMajorVersionUpgrade"):
        raise invalid_combination(
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major "
            "version."
        )


def _check_storage(call: Call, instance: Any) -> None:
    now = int(instance.allocated_storage)
    size = int(call.get("AllocatedStorage", now))
    if size < now:
        raise invalid_combination(
            f"Invalid storage size for engine name mysql and storage type gp3: {size}. The "
            f"allocated storage cannot be decreased from {now}."
        )
    if call.get("StorageType", instance.storage_type) != "gp3":
        return
    iops = call.get("Iops")
    if size < _STRIPED_GIB and iops is not None:
        raise invalid_combination(
            "You can't specify IOPS or storage throughput for engine mysql and a storage size "
            "less than 400."
        )
    if size >= _STRIPED_GIB and size > now and int(iops or 0) < _STRIPED_IOPS:
        raise invalid_combination(
            "You must specify IOPS of at least 12000 for engine mysql, storage type gp3 and a "
            "storage size of 400 or more."
        )
