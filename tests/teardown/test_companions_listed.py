"""What somebody put into things of ours: what each list gives away, and what a refusal means."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision.config import Config
from provision.environment import environment
from provision.errors import CredentialsError
from provision.resources.base import Seen
from teardown.companions import companions
from tests.support.answers import Answers, refusal
from tests.support.names import NAME
from tests.support.resources import answering

TEMPLATE = environment(Config(), packed=False)
ROLE = f"{NAME}-api"
SEEN: dict[str, Seen | None] = {
    "api": Seen({"id": "api-1"}),
    "route-root": Seen({"id": "ours"}),
    "integration-iam": Seen({"id": "ours"}),
    "function-iam": Seen({"function": f"{NAME}-iam"}),
    "proxy-iam": Seen({"proxy": f"{NAME}-iam"}),
    "db-instance": Seen({"id": "Renamed"}, {"ReadReplicas": ["reporting"]}),
    "role-api": Seen({"role": ROLE}, {"Policies": {"invoke-functions": {}, "extra": {}}}),
    "role-proxy": None,
}
THERE: Answers = {
    "apigatewayv2.get_routes": {
        "Items": [
            {"RouteId": "ours", "RouteKey": "GET /"},
            {"RouteId": "r-9", "RouteKey": "GET /report"},
        ]
    },
    "apigatewayv2.get_integrations": {
        "Items": [
            {"IntegrationId": "ours"},
            {"IntegrationId": "i-9", "IntegrationUri": "https://example.com"},
        ]
    },
    "apigatewayv2.get_stages": {"Items": [{"StageName": "$default"}, {"StageName": "beta"}]},
    "lambda.list_aliases": {"Aliases": [{"Name": "live", "FunctionVersion": "3"}]},
    "rds.describe_db_proxy_endpoints": {
        "DBProxyEndpoints": [
            {"DBProxyEndpointName": "default", "IsDefault": True},
            {"DBProxyEndpointName": "reports", "Endpoint": "reports.example"},
        ]
    },
    "rds.describe_db_proxy_targets": {
        "Targets": [
            {"RdsResourceId": f"{NAME}-DATABASE"},
            {"RdsResourceId": "renamed"},
            {"RdsResourceId": "theirs"},
            {"TrackedClusterId": "their-cluster"},
        ]
    },
}


def found(answers: Answers, *going: str) -> dict[tuple[str, str], str]:
    """What goes along with these steps, or with all, and how to keep it."""
    with answering(answers) as aws:
        run: Any = SimpleNamespace(aws=aws, template=TEMPLATE)
        listed = companions(run, SEEN, set(going) or set(SEEN))
        assert aws.changes() == []
    assert all(str(each).startswith(f"{each.step}: {each.what}, which") for each in listed)
    return {(each.step, each.what): each.keep for each in listed}


def test_each_thing_of_somebodys_is_named_with_how_to_keep_it() -> None:
    named = found(THERE)
    assert set(named) == {
        ("api", "the route GET /report (r-9)"),
        ("api", "the integration i-9 (https://example.com)"),
        ("api", "the stage beta"),
        ("function-iam", "the alias live (of version 3)"),
        ("proxy-iam", "the proxy endpoint reports (reports.example)"),
        ("proxy-iam", "the target theirs of the proxy"),
        ("proxy-iam", "the target their-cluster of the proxy"),
        ("db-instance", "the read replica reporting"),
        ("role-api", f"the inline policy extra of the role {ROLE}"),
    }
    keep = named["api", "the stage beta"]
    assert "aws apigatewayv2 export-api" in keep
    assert "--api-id api-1" in keep
    assert "--qualifier live" in named["function-iam", "the alias live (of version 3)"]
    replica = named["db-instance", "the read replica reporting"]
    assert "It stays, is billed" in replica
    extra = named["role-api", f"the inline policy extra of the role {ROLE}"]
    assert extra.endswith(f"--role-name {ROLE} --policy-name extra")


def test_only_what_is_deleted_now_is_looked_into() -> None:
    assert set(found(THERE, "db-instance", "role-proxy")) == {
        ("db-instance", "the read replica reporting")
    }


@pytest.mark.parametrize(
    "code", ["NotFoundException", "ResourceNotFoundException", "InvalidDBProxyStateFault"]
)
def test_what_is_deleted_already_has_nothing_in_it(code: str) -> None:
    gone = dict.fromkeys(THERE, refusal(code))
    assert set(found(gone, "api", "function-iam", "proxy-iam")) == set()


def test_a_list_that_is_denied_is_said() -> None:
    denied = {"lambda.list_aliases": refusal("AccessDeniedException", "ListAliases")}
    (((step, what), keep),) = found(denied, "function-iam").items()
    assert step == "function-iam"
    assert what.startswith("perhaps ")
    assert what.endswith(": ListAliases was denied")
    assert "python -m provision policy" in keep


def test_a_list_that_an_emulator_lacks_is_said_and_stops_nothing() -> None:
    lacks = {"lambda.list_aliases": refusal("NotImplemented", "ListAliases")}
    (((_, what), keep),) = found(lacks, "function-iam").items()
    assert "cannot be listed: function-iam: ListAliases answered NotImplemented" in what
    assert "before you" in keep


def test_credentials_that_expire_meanwhile_are_raised() -> None:
    expired = {"lambda.list_aliases": refusal("ExpiredToken", "ListAliases")}
    with pytest.raises(CredentialsError):
        found(expired, "function-iam")
