"""What somebody put into things of ours is named before it goes with them."""

from __future__ import annotations

import pytest

from provision.rehearsal import Override
from tests.support.built import Built
from tests.support.commands import Result
from tests.support.drifts import EVERYTHING
from tests.support.names import NAME, REGION

pytestmark = pytest.mark.slow
ENDPOINT = {"DBProxyEndpointName": "reports", "Endpoint": "reports.example", "IsDefault": False}
DEFAULT = {"DBProxyEndpointName": "default", "IsDefault": True}


def going_along(result: Result) -> dict[tuple[str, str], str]:
    return {(each["step"], each["what"]): each["keep"] for each in result.of("goes-along")}


def plan_of(built: Built) -> Result:
    result = built.commands.run("teardown", "--plan", "--output", "json")
    assert result.code == 0, result.stdout[-800:]
    return result


def test_nothing_of_ours_is_called_somebody_elses(built: Built) -> None:
    assert going_along(plan_of(built)) == {}


def test_a_persons_things_are_named_with_how_to_keep_them(built: Built) -> None:
    account, role = built.account, f"{NAME}-api-{REGION}"
    api = account.api(NAME)["ApiId"]
    gateway, functions = account.apigatewayv2, account.lambda_
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="HTTP_PROXY", IntegrationUri="https://example.com",
        IntegrationMethod="GET", PayloadFormatVersion="1.0",
    )["IntegrationId"]  # fmt: skip
    route = gateway.create_route(ApiId=api, RouteKey="GET /report")["RouteId"]
    gateway.create_stage(ApiId=api, StageName="beta")
    functions.create_alias(FunctionName=f"{NAME}-iam", Name="live", FunctionVersion="$LATEST")
    account.iam.put_role_policy(RoleName=role, PolicyName="extra", PolicyDocument=EVERYTHING)
    endpoints = [DEFAULT, ENDPOINT]
    built.remote.set_overrides(
        Override(
            "rds:DescribeDBProxyEndpoints",
            when=f"{NAME}-iam",
            set={"DBProxyEndpoints": endpoints},
        ),
        Override(
            "rds:DescribeDBInstances",
            set={"ReadReplicaDBInstanceIdentifiers": ["reporting"]},
            within="DBInstanceIdentifier",
        ),
    )
    try:
        built.remote.advance(3600)
        result = plan_of(built)
    finally:
        built.remote.set_overrides()
        gateway.delete_route(ApiId=api, RouteId=route)
        gateway.delete_integration(ApiId=api, IntegrationId=integration)
        gateway.delete_stage(ApiId=api, StageName="beta")
        functions.delete_alias(FunctionName=f"{NAME}-iam", Name="live")
        account.iam.delete_role_policy(RoleName=role, PolicyName="extra")
        built.remote.advance(3600)
    found = going_along(result)
    named = {(step, what.split(" (")[0]) for step, what in found}
    assert named == {
        ("api", "the route GET /report"),
        ("api", f"the integration {integration}"),
        ("api", "the stage beta"),
        ("function-iam", "the alias live"),
        ("proxy-iam", "the proxy endpoint reports"),
        ("db-instance", "the read replica reporting"),
        ("role-api", f"the inline policy extra of the role {role}"),
    }
    assert all(found.values())


UNLISTED = {
    "AccessDeniedException": (
        "perhaps a resource of somebody else's: ListAliases was denied",
        "`python -m provision policy` prints the permissions to list it.",
    ),
    "InvalidRequestContentException": (
        "perhaps a resource of somebody else's, which cannot be listed: {step}: ListAliases "
        "answered InvalidRequestContentException: no",
        "Check that before you continue.",
    ),
}


@pytest.mark.parametrize("code", UNLISTED)
def test_a_list_that_aws_refuses_is_said_beside_what_others_say(built: Built, code: str) -> None:
    role, (what, keep) = f"{NAME}-api-{REGION}", UNLISTED[code]
    built.account.iam.put_role_policy(RoleName=role, PolicyName="extra", PolicyDocument=EVERYTHING)
    built.remote.set_overrides(
        Override("lambda:ListAliases", code=code, message="no", status=400),
    )
    try:
        built.remote.advance(3600)
        found = going_along(plan_of(built))
    finally:
        built.remote.set_overrides()
        built.account.iam.delete_role_policy(RoleName=role, PolicyName="extra")
        built.remote.advance(3600)
    refused = {
        (step, what.format(step=step)): keep for step in ("function-iam", "function-password")
    }
    assert found.items() >= refused.items()
    assert {step for step, _ in found} == {"function-iam", "function-password", "role-api"}


def test_things_of_others_are_looked_for_only_before_a_delete(built: Built) -> None:
    before = len(built.remote.journal())
    assert built.commands.up().code == 0
    assert "ListAliases" not in [e.operation for e in built.remote.journal()[before:]]
