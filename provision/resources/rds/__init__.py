"""Amazon RDS: one module a resource, and here what they share.

Follows the Amazon RDS API reference and the RDS User Guide's chapter on RDS Proxy. Names are
compared in lower case, as RDS stores them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provision.aws.account import Aws, absent, tag_list, tag_map
from provision.resources.base import ManagedResource, Seen
from provision.resources.blockers import Blocker
from provision.resources.ownership import ENVIRONMENT, Tags, read_tags

# What RDS looks up in the network with the caller's own permissions.
LOOKED_UP_BY_RDS = (
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcs",
)


class RdsResource(ManagedResource):
    """What RDS's resources share: tags that are set by ARN."""

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.rds.add_tags_to_resource(ResourceName=seen.outputs["arn"], Tags=tag_list(tags))

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        aws.rds.remove_tags_from_resource(ResourceName=seen.outputs["arn"], TagKeys=list(keys))


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


def tags_of(aws: Aws, arn: str, *, lasting: bool = False) -> Tags:
    """Return the tags of an RDS resource, or why they cannot be read; none if it does not exist.

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
