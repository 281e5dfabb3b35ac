"""DB subnet groups, and tags of anything in RDS: AWS's refusals."""

from __future__ import annotations

from typing import Any

from provision.rehearsal.aws.behaviours import iam_roles, rds_refusals
from provision.rehearsal.aws.behaviours.rds_instances import subnet_group
from provision.rehearsal.aws.behaviours.rds_refusals import invalid_value
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World, refusing


@refusing
def create_db_subnet_group(world: World, call: Call) -> None:
    """Needs RDS's service-linked role, and subnets of one VPC in two zones."""
    rds_refusals.check_tags(call)
    name = call.get("DBSubnetGroupName", "").lower()
    if name in world.backend("rds", call.region).subnet_groups:
        message = f"The DB subnet group '{name}' already exists."
        raise AwsError("DBSubnetGroupAlreadyExists", message, 400)
    if not iam_roles.has_service_linked_role(world):
        raise invalid_value(
            "Missing necessary credentials. The service-linked role AWSServiceRoleForRDS is "
            "missing and could not be created."
        )
    _check_subnets(world, call)


def modify_db_subnet_group(world: World, call: Call, proceed: Proceed) -> Answer:
    """moto forgets a group that is changed, and one that it does not find."""
    group = _find(world, call)
    if world.behaviours.refusals:
        _check_subnets(world, call)
    answer = proceed()
    world.backend("rds", call.region).subnet_groups[group.name] = group
    return answer


@refusing
def delete_db_subnet_group(world: World, call: Call) -> None:
    """Refused while an instance is in it, also one that is being deleted."""
    name = _find(world, call).name
    for instance in world.backend("rds", call.region).databases.values():
        group = subnet_group(instance)
        if group is not None and group.name == name:
            message = (
                f"Cannot delete the subnet group '{name}' because at least one database instance: "
                f"{instance.db_instance_identifier} is still using it."
            )
            raise AwsError("InvalidDBSubnetGroupStateFault", message, 400)


_NOT_FOUND = {
    "db": "DBInstanceNotFound",
    "db-proxy": "DBProxyNotFoundFault",
    "snapshot": "DBSnapshotNotFound",
    "subgrp": "DBSubnetGroupNotFoundFault",
}


def _check_tagged(world: World, call: Call) -> None:
    """moto knows no tags of what is not there; AWS says that it is not there."""
    parts = call.get("ResourceName", "").split(":", 6)
    if len(parts) < 7 or parts[5] not in _NOT_FOUND:
        return
    backend = world.backend("rds", call.region)
    if backend._find_resource(parts[5], parts[6]) is None:
        raise AwsError(_NOT_FOUND[parts[5]], f"{parts[6]} not found.", 404)


list_tags_for_resource = refusing(_check_tagged)
remove_tags_from_resource = list_tags_for_resource


@refusing
def add_tags_to_resource(world: World, call: Call) -> None:
    """As the other two; some tags are refused, too."""
    rds_refusals.check_tags(call)
    _check_tagged(world, call)


def _check_subnets(world: World, call: Call) -> None:
    found = rds_refusals.subnets(world, call, "SubnetIds")
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise AwsError("InvalidSubnet", "Subnets are in different VPCs.", 400)
    zones = {subnet.availability_zone for subnet in found}
    if len(zones) < 2:
        message = (
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. "
            f"Current AZ coverage: {', '.join(zones)}. Add subnets to cover at least 2 AZs."
        )
        raise AwsError("DBSubnetGroupDoesNotCoverEnoughAZs", message, 400)


def _find(world: World, call: Call) -> Any:
    name = call.get("DBSubnetGroupName", "").lower()
    found = world.backend("rds", call.region).subnet_groups.get(name)
    if found is None:
        message = f"DB subnet group '{name}' does not exist."
        raise AwsError("DBSubnetGroupNotFoundFault", message, 404)
    return found
