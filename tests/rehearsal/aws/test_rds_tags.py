"""Tags that RDS refuses, of whatever it makes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.account import Account

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("create_db_instance", {
        "DBInstanceIdentifier": "d", "DBInstanceClass": "db.t4g.micro", "Engine": "mysql",
    }),
    ("create_db_proxy", {
        "DBProxyName": "p", "EngineFamily": "MYSQL", "Auth": [], "RoleArn": "arn:aws:iam::1:role/r",
        "VpcSubnetIds": ["subnet-1"],
    }),
    ("create_db_subnet_group", {
        "DBSubnetGroupName": "g", "DBSubnetGroupDescription": "g", "SubnetIds": ["subnet-1"],
    }),
    ("add_tags_to_resource", {"ResourceName": "arn:aws:rds:ap-northeast-1:1:db:d"}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "params"), CALLS)
@pytest.mark.parametrize(
    ("key", "value"), [("team", "aws:blue"), ("team", "RDS:blue"), ("rds:team", "blue")]
)
def test_a_reserved_prefix_is_refused(
    account: Account, operation: str, params: dict[str, Any], key: str, value: str
) -> None:
    tags = [{"Key": "fine", "Value": "not aws:"}, {"Key": key, "Value": value}]
    with pytest.raises(ClientError, match="reserved prefix") as refused:
        getattr(account.rds, operation)(**params, Tags=tags)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"
