"""CloudWatch Logs: AWS's refusals."""

from __future__ import annotations

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World, refusing

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827),
    *(2192, 2557, 2922, 3288, 3653),
)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""


@refusing
def put_retention_policy(world: World, call: Call) -> None:
    """Only certain numbers of days."""
    days = call.get("retentionInDays")
    if days not in RETENTION_DAYS:
        message = (
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy "
            f"constraint: Member must satisfy enum value set: {list(RETENTION_DAYS)}"
        )
        raise AwsError("InvalidParameterException", message, 400)


def delete_log_group(world: World, call: Call, proceed: Proceed) -> Answer:
    """Its tags go with it: a new group of the name has none."""
    logs = world.backend("logs", call.region)
    group = logs.groups.get(call.get("logGroupName", ""))
    answer = proceed()
    if group is not None:
        logs.tagger.delete_all_tags_for_resource(group.arn)
    return answer
