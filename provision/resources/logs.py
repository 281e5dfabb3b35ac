"""The log groups of functions and proxies: ours, so that they are tagged, kept short and deleted.

Follows the Amazon CloudWatch Logs API reference. Lambda and RDS Proxy make a missing group by
themselves, without tags or retention, and nobody deletes it.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, absent, tag_map
from provision.aws.advice import DENIED
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.ownership import ENVIRONMENT, Owner, Ownership, Tags, read_tags
from provision.resources.references import Output, arn

WRITER = "Writer"  # what is looked up beside the group; not compared
DELETING_SINCE = "deleting_since"
LATE_SECONDS = 10 * 60.0
CLOCKS_APART = 5.0


@dataclass(frozen=True)
class LogGroup(ManagedResource):
    """A log group with retention (CreateLogGroup, PutRetentionPolicy)."""

    log_group_name: str
    retention_in_days: int

    kind = "AWS::Logs::LogGroup"
    title = "log group"
    named_by = "log_group_name"

    reads = ("logs:DescribeLogGroups",)
    writes = (
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:FilterLogEvents",  # `check` reads what a function said
        "logs:ListTagsForResource",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
        "logs:UntagResource",
    )

    lasting_id = "created"

    log_group = Output()

    def arns(self) -> tuple[str, ...]:
        # IAM knows a group with and without a `:*` behind its name, by the action. `NAME*` would
        # match another group, NAME-other.
        group = arn("logs", f"log-group:{self.log_group_name}")
        return (group, f"{group}:*")

    @property
    def listed_with(self) -> tuple[str, str]:
        folder = self.log_group_name.rpartition("/")[0]
        return f"log groups {folder}", self.log_group_name

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        groups, tags = aws.together(
            lambda: self.described(aws),
            lambda: self.tags_at_aws(aws),
            at_once="log_group" in known,
        )
        if not groups:
            return None
        writer = "" if tags.carry(aws.environment, self.step) else self.writer(aws)
        return Seen(
            {
                "log_group": self.log_group_name,
                "created": str(groups[0].get("creationTime", "")),
            },
            {"RetentionInDays": groups[0].get("retentionInDays"), WRITER: writer},
            tags=tags.tags,
            unreadable=tags.unreadable,
        )

    def described(self, aws: Aws) -> list[dict[str, Any]]:
        """Return the description of this very group, in a list, or an empty list."""
        names = aws.shared.listed_with(*self.listed_with)
        prefix = os.path.commonprefix(names)  # noqa: RUF071 - letter by letter is right here
        groups = aws.listed("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
        return [group for group in groups if group["logGroupName"] == self.log_group_name]

    def tags_at_aws(self, aws: Aws) -> Tags:
        """Return the group's tags, or why they cannot be read; none if it does not exist."""
        arn = aws.arn("logs", f"log-group:{self.log_group_name}")
        with absent("ResourceNotFoundException"):
            return read_tags(lambda: aws.logs.list_tags_for_resource(resourceArn=arn)["tags"])
        return Tags({})

    def writer(self, aws: Aws) -> str:
        """Return whose the function or proxy is that logs to a group of this name, or "none"."""
        with absent(*DENIED):
            tags = self.tags_of_writer(aws)
            if tags is None:
                return "none"
            return "ours" if tags.get(ENVIRONMENT) == aws.environment else "foreign"
        return "unreadable"

    def tags_of_writer(self, aws: Aws) -> Mapping[str, str] | None:
        """Return the tags of the function or proxy of this name; None where there is none."""
        name = self.log_group_name.rpartition("/")[2]
        with absent("ResourceNotFoundException", "DBProxyNotFoundFault"):
            if self.log_group_name.startswith("/aws/lambda/"):
                return aws.lambda_.get_function(FunctionName=name).get("Tags") or {}
            for proxy in aws.rds.describe_db_proxies(DBProxyName=name)["DBProxies"]:
                arn = proxy["DBProxyArn"]
                return tag_map(aws.rds.list_tags_for_resource(ResourceName=arn)["TagList"])
        return None

    def ownership(self, aws: Aws, seen: Seen, known: Mapping[str, str]) -> Ownership:
        """Return whose it is; AWS makes a missing group again, without tags, for late words.

        Such a group is ours while our own function or proxy writes to it, and when AWS made it
        within ten minutes of our own delete and nobody else writes there.
        """
        whose = super().ownership(aws, seen, known)
        if whose.owner is not Owner.FOREIGN or ENVIRONMENT in (seen.tags or {}):
            return whose
        writer = seen.properties[WRITER]
        if writer == "ours" or (writer == "none" and not seen.tags and made_again(seen, known)):
            return Ownership(Owner.OURS)
        if writer == "foreign":
            because = f"{whose.because}, and another function or proxy writes to it"
            return Ownership(Owner.FOREIGN, because)
        return whose

    def has_writer(self, seen: Seen) -> bool:
        """Return whether a function or proxy of somebody else logs to what was seen."""
        return bool(seen.properties[WRITER] == "foreign")

    def remedy(self) -> str:
        """Return what to do about a group that may be ours."""
        return (
            "AWS may have created it for a late log line of this environment. To delete it: aws "
            f"logs delete-log-group --log-group-name {self.log_group_name}"
        )

    def properties(self) -> dict[str, Any]:
        return {"RetentionInDays": self.retention_in_days}

    def create(self, aws: Aws) -> dict[str, str]:
        aws.logs.create_log_group(logGroupName=self.log_group_name, tags=self.tags(aws))
        return {"log_group": self.log_group_name}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.logs.put_retention_policy(
            logGroupName=self.log_group_name, retentionInDays=self.retention_in_days
        )

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        arn = aws.arn("logs", f"log-group:{self.log_group_name}")
        aws.logs.tag_resource(resourceArn=arn, tags=dict(tags))

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        arn = aws.arn("logs", f"log-group:{self.log_group_name}")
        aws.logs.untag_resource(resourceArn=arn, tagKeys=list(keys))

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent("ResourceNotFoundException"):
            aws.logs.delete_log_group(logGroupName=self.log_group_name)


def made_again(seen: Seen, known: Mapping[str, str]) -> bool:
    """Return whether AWS made a group within ten minutes of our own delete, by its creation time.

    `known` has the moment of the delete, where there was one (`deleting_since`).
    """
    since, created = known.get(DELETING_SINCE), seen.outputs.get("created")
    if not since or not created:
        return False
    moment = datetime.datetime.fromisoformat(since).timestamp()
    return -CLOCKS_APART < int(created) / 1000 - moment < LATE_SECONDS
