"""Every request of a whole life, held against the constraints of botocore's service models."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from provision.rehearsal import Remote
from tests.support.account import Account
from tests.support.commands import Commands, Result
from tests.support.constraints import Request, recorded
from tests.support.drifts import FIRST, THIRD

SESSION = botocore.session.Session()
VALUES = 1500  # texts and numbers, at the least: with fewer, something was not recorded
CHANGED = (
    "database.allocated_storage_gib=30",
    "database.instance_class=db.t4g.small",
    "database.backup_retention_days=3",
    "proxy.idle_client_timeout_seconds=60",
    "proxy.max_connections_percent=90",
    "function.memory_mib=512",
    "function.log_retention_days=14",
    "api.throttle_burst=7",
    'environment.tags={ team = "red", "Cost Center" = "a+b=c/d@e" }',
)


def flags(*changes: str) -> list[str]:
    """The flags that change these keys."""
    return [text for each in changes for text in ("--set", each)]


@pytest.mark.slow
def test_every_request_of_a_whole_life_is_as_the_models_say(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    requests: list[Request] = []

    def all_well(*results: Result) -> None:
        for done in results:
            assert done.code == 0, done.stdout[-1500:] + done.stderr[-500:]

    with recorded(requests):
        all_well(commands.up())
    for drift in FIRST:
        drift.make(account)
    with recorded(requests):
        assert commands.plan(*flags(*CHANGED)).code == 3
        all_well(commands.up("--reset-password", *flags(*CHANGED)))
    for drift in THIRD:
        drift.make(account)
    with recorded(requests):
        all_well(commands.up(*flags(*CHANGED)))
        for command in ("status", "doctor", "logs"):
            commands.run("provision", command, "--output", "json", *flags(*CHANGED))
        all_well(commands.teardown("--final-snapshot", "the-last", *flags(*CHANGED)))

    assert sorted({problem for each in requests for problem in each.problems()}) == []
    ours = rehearsal.environ()["AWS_ACCESS_KEY_ID"]
    served = {each.operation for each in rehearsal.journal() if each.access_key == ours}
    assert {each.model.name for each in requests} == served
    assert {"ModifyDBInstance", "PutSecretValue", "UpdateStage", "DeleteDBInstance"} <= served
    assert sum(each.values() for each in requests) > VALUES


TRUST = "{}"
BROKEN: list[tuple[str, str, dict[str, Any], str]] = [
    ("iam", "CreateRole", {"RoleName": "a b", "AssumeRolePolicyDocument": TRUST},
     "RoleName: pattern"),
    ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": TRUST,
                           "Tags": [{"Key": "a", "Value": "b"}, {"Key": "a!", "Value": "b"}]},
     "Tags[1].Key: pattern"),
    ("iam", "CreateRole", {"RoleName": "r" * 65, "AssumeRolePolicyDocument": TRUST},
     "RoleName: length: 65 is over 64"),
    ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": TRUST,
                           "Tags": [{"Key": "a", "Value": "b"}] * 51},
     "Tags: length: 51 is over 50"),
    ("secretsmanager", "CreateSecret", {"Name": ""}, "Name: length: 0 is under 1"),
    ("apigatewayv2", "UpdateIntegration",
     {"ApiId": "a", "IntegrationId": "i", "TimeoutInMillis": 30_001},
     "TimeoutInMillis: range: 30001 is over 30000"),
    ("lambda", "UpdateFunctionConfiguration", {"FunctionName": "f", "MemorySize": 127},
     "MemorySize: range: 127 is under 128"),
    ("lambda", "UpdateFunctionConfiguration", {"FunctionName": "f", "Runtime": "python3.99"},
     "Runtime: enum: 'python3.99' is none of"),
    ("lambda", "PublishLayerVersion",
     {"LayerName": "l", "Content": {}, "CompatibleArchitectures": ["arm64", "z80"]},
     "CompatibleArchitectures[1]: enum"),
    ("lambda", "UpdateFunctionConfiguration",
     {"FunctionName": "f", "Environment": {"Variables": {"1A": "x"}}},
     "Environment.Variables.1A (key): pattern"),
    ("rds", "CreateDBProxy", {"DBProxyName": "p"}, "Missing required parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "params", "told"), BROKEN)
def test_a_broken_record_is_found(
    service: str, operation: str, params: dict[str, Any], told: str
) -> None:
    model = SESSION.get_service_model(service).operation_model(operation)
    found = list(Request(model, params).problems())
    assert any(told in each for each in found), found


def test_a_good_record_has_no_problem() -> None:
    model = SESSION.get_service_model("iam").operation_model("CreateRole")
    tags = [{"Key": "équipe", "Value": ""}]
    params = {"RoleName": "r" * 64, "AssumeRolePolicyDocument": TRUST, "Tags": tags}
    assert list(Request(model, params).problems()) == []
