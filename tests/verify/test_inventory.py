"""Which environments may be in an account: what each of AWS's lists gives away."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from provision.errors import ProvisionError
from provision.verify.inventory import LISTS, candidates
from tests.support.answers import AnsweringAws, Answers, refusal, to
from tests.support.names import REGION

BY_KEY = [{"Name": "tag-key", "Values": ["provision:environment"]}]
TAGS = [{"Key": "team", "Value": "blue"}, {"Key": "provision:environment", "Value": "demo"}]


def found(answers: Answers) -> tuple[list[str], list[str]]:
    """The names, and what could not be looked at."""
    with contextlib.closing(AnsweringAws("", answers)) as aws:
        result = candidates(aws)
    return result.names, result.unseen


def log_groups(logGroupNamePrefix: str) -> Any:  # noqa: N803 - as CloudWatch Logs names it
    names = ("demo-iam", "other-iam-2", "-iam")
    return {"logGroups": [{"logGroupName": logGroupNamePrefix + name} for name in names]}


GIVEN_AWAY: dict[str, Answers] = {
    "a VPC": {"ec2.describe_vpcs": to({"Vpcs": [{"Tags": TAGS}, {}]}, Filters=BY_KEY)},
    "a subnet": {"ec2.describe_subnets": to({"Subnets": [{"Tags": TAGS}]}, Filters=BY_KEY)},
    "a security group": {
        "ec2.describe_security_groups": to({"SecurityGroups": [{"Tags": TAGS}]}, Filters=BY_KEY)
    },
    "a DB instance": {
        "rds.describe_db_instances": {
            "DBInstances": [{"DBInstanceIdentifier": n} for n in ("demo-database", "database")]
        }
    },
    "a renamed DB instance": {
        "rds.describe_db_instances": {
            "DBInstances": [{"DBInstanceIdentifier": "renamed", "TagList": TAGS}]
        }
    },
    "a DB subnet group": {
        "rds.describe_db_subnet_groups": {
            "DBSubnetGroups": [{"DBSubnetGroupName": n} for n in ("demo-database", "default")]
        }
    },
    "a proxy": {
        "rds.describe_db_proxies": {
            "DBProxies": [{"DBProxyName": n} for n in ("demo-iam", "demo-password", "iam-x")]
        }
    },
    "a secret": {
        "secretsmanager.list_secrets": to(
            {"SecretList": [{"Tags": TAGS}, {}]}, IncludePlannedDeletion=True
        )
    },
    "a role": {
        "iam.list_roles": {
            "Roles": [
                {"RoleName": n}
                for n in (f"demo-api-{REGION}", f"demo-function-iam-{REGION}", "demo-api-mars-1")
            ]
        }
    },
    "a function": {
        "lambda.list_functions": {
            "Functions": [{"FunctionName": n} for n in ("demo-password", "thumbnails")]
        }
    },
    "a layer": {"lambda.list_layers": {"Layers": [{"LayerName": "demo-mysql-connector"}]}},
    "a log group": {"logs.describe_log_groups": log_groups},
    "an API": {
        "apigatewayv2.get_apis": {
            "Items": [{"Tags": {"provision:environment": "demo"}}, {"Tags": {}}, {}]
        }
    },
}


@pytest.mark.parametrize("what", GIVEN_AWAY)
def test_each_kind_gives_its_environment_away(what: str) -> None:
    names, unseen = found(GIVEN_AWAY[what])
    assert names == ["demo"]
    assert unseen == []


def test_what_can_be_no_environments_name_is_none() -> None:
    tags = [[{"Key": "provision:environment", "Value": v}] for v in ("Not One!", "", "demo")]
    answers = {"ec2.describe_vpcs": {"Vpcs": [{"Tags": each} for each in tags]}}
    assert found(answers) == (["demo"], [])
    assert found({}) == ([], [])


def test_a_denied_list_is_said_and_the_others_are_read() -> None:
    denied = {
        "iam.list_roles": refusal("AccessDenied", "ListRoles"),
        "rds.describe_db_instances": refusal("AccessDenied", "DescribeDBInstances"),
    }
    names, unseen = found({**GIVEN_AWAY["a VPC"], **denied})
    assert names == ["demo"]
    assert len(unseen) == 2
    assert "DescribeDBInstances" in unseen[0]
    assert "ListRoles" in unseen[1]


def test_any_other_refusal_is_an_error() -> None:
    with pytest.raises(ProvisionError, match="ListLayers"):
        found({"lambda.list_layers": refusal("ServiceException", "ListLayers")})
    assert len(LISTS) == 12
