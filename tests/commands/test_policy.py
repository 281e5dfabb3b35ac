"""The printed policy against the calls of a full rehearsal: all in it, and nothing unused."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import botocore.session
import pytest

from provision.commands.policy_document import policy
from provision.config import load
from provision.rehearsal import Entry, Remote
from provision.rehearsal.aws.calls import Call, iam_actions
from tests.commands.test_drift import FIRST, NAME, SECOND, scheduled_secret
from tests.support.account import Account
from tests.support.commands import ROOT, Commands

pytestmark = pytest.mark.slow

# In the policy, and asked for where a rehearsal of the control plane does not come by.
ELSEWHERE = {
    "apigateway:PUT",  # how IAM may know the tagging of an API
    "ec2:DeleteNetworkInterface",  # an interface that Lambda has left behind
    "lambda:ListTags",  # GetFunction leaves a function's tags out without it
    "logs:FilterLogEvents",  # `check`, when a login fails
    "pricing:GetProducts",  # `--prices live`
    "rds:DeregisterDBProxyTargets",  # `--replace target-iam`
    "rds:ModifyDBSubnetGroup",  # other subnets
}


@cache
def model(service: str) -> Any:
    """Return botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def actions_of(entry: Entry) -> set[str]:
    """Return the IAM actions behind a call of the journal."""
    http = model(entry.service).operation_model(entry.operation).http
    uri = http.get("requestUri", "/")
    call = Call(
        entry.service, entry.operation, entry.params, "ap-northeast-1", "", http["method"], uri
    )
    return {action for action, _ in iam_actions(call)}


def changed_by_hand(account: Account) -> None:
    """Change what there is in every way that `up` puts right."""
    account.rds.deregister_db_proxy_targets(
        DBProxyName=f"{NAME}-iam", DBInstanceIdentifiers=[f"{NAME}-database"]
    )
    account.iam.attach_role_policy(
        RoleName=f"{NAME}-api-ap-northeast-1",
        PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole",
    )
    for drift in (*FIRST, *SECOND):
        drift.make(account)
    scheduled_secret(account)


def test_policy_is_neither_too_narrow_nor_too_wide(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    outside: list[Entry] = []

    def told(result: Any) -> None:
        assert result.code == 0, result.stdout[-1500:]

    told(commands.up())
    outside += rehearsal.journal()
    changed_by_hand(account)
    before = len(rehearsal.journal())
    told(commands.up("--reset-password", "--set", "database.allocated_storage_gib=30"))
    told(commands.teardown())
    outside += rehearsal.journal()[before:]
    used = {action for entry in outside for action in actions_of(entry)}
    document = policy(load(ROOT / "config.toml"))
    allowed = {action for statement in document["Statement"] for action in statement["Action"]}
    assert used - allowed == set()
    assert allowed - used - ELSEWHERE == set()


def test_policy_fits_into_a_managed_policy() -> None:
    document = policy(load(ROOT / "config.toml"))
    assert len(json.dumps(document, separators=(",", ":"))) <= 6144  # IAM's limit, in characters


def test_policy_is_printed_as_it_is_and_calls_nothing(
    commands: Commands, rehearsal: Remote
) -> None:
    result = commands.run("provision", "policy", "--output", "plain")
    assert result.code == 0
    assert result.stdout.startswith("{")
    assert result.stdout.endswith("}\n")
    assert rehearsal.journal() == []
