"""The log groups of functions and proxies: ours, so that they are tagged, kept short and deleted.

Follows the Amazon CloudWatch Logs API reference. Lambda and RDS Proxy make a missing group by
themselves, without tags or retention, and nobody deletes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, absent, pages
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.references import Output, arn


@dataclass(frozen=True)
class LogGroup(ManagedResource):
    """A log group with retention (CreateLogGroup, PutRetentionPolicy)."""

    log_group_name: str
    retention_in_days: int

    kind = "AWS::Logs::LogGroup"
    title = "log group"

    reads = ("logs:DescribeLogGroups",)
    writes = (
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:FilterLogEvents",  # `check` reads what a function said
        "logs:ListTagsForResource",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
    )

    log_group = Output()

    def arns(self) -> tuple[str, ...]:
        # IAM knows a group with and without a `:*` behind its name, by the action. `NAME*` would
        # match another group, NAME-other.
        group = arn("logs", f"log-group:{self.log_group_name}")
        return (group, f"{group}:*")

    @property
    def name(self) -> str:
        return self.log_group_name

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        groups, tags = aws.together(lambda: self.described(aws), lambda: self.tags_at_aws(aws))
        if not groups:
            return None
        return Seen(
            {"log_group": self.log_group_name},
            {"RetentionInDays": groups[0].get("retentionInDays")},
            tags=tags,
        )

    def described(self, aws: Aws) -> list[dict[str, Any]]:
        """Return the description of this very group, in a list, or an empty list."""
        prefix = self.log_group_name
        groups = pages(aws.logs, "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
        return [group for group in groups if group["logGroupName"] == self.log_group_name]

    def tags_at_aws(self, aws: Aws) -> dict[str, str]:
        """Return the group's tags; none when it is not there."""
        arn = aws.arn("logs", f"log-group:{self.log_group_name}")
        with absent("ResourceNotFoundException"):
            return dict(aws.logs.list_tags_for_resource(resourceArn=arn)["tags"])
        return {}

    def owned(self, aws: Aws, seen: Seen, known: Mapping[str, str]) -> bool:
        """Return whether it is ours: tagged, or made again by AWS after we had deleted ours."""
        made_again = not seen.tags and bool(known.get("log_group"))
        return made_again or super().owned(aws, seen, known)

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

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent("ResourceNotFoundException"):
            aws.logs.delete_log_group(logGroupName=self.log_group_name)
