"""The subnets that RDS may place the DB instance in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, absent, pages, tag_list
from provision.resources.base import Change, Seen
from provision.resources.blockers import Blocker
from provision.resources.rds import LOOKED_UP_BY_RDS, RdsResource, instance_blocker, tags_of
from provision.resources.references import Output


@dataclass(frozen=True)
class DBSubnetGroup(RdsResource):
    """The subnets that RDS may place the DB instance in (CreateDBSubnetGroup)."""

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
            "Somebody changed it by hand, and the policies that `python -m provision policy` "
            "prints leave undoing that to an administrator: aws rds modify-db-subnet-group "
            f"--region {aws.region} --db-subnet-group-name {self.name} "
            f"--db-subnet-group-description {shlex.quote(self.description)} --subnet-ids {ids}"
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
