"""`provision doctor`: before there is an environment, on a whole one, and on broken ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provision.rehearsal import Fault, Remote
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import Commands, Result
from tests.support.names import NAME, REGION


def doctor(commands: Commands, *flags: str) -> Result:
    """Run `python -m provision doctor`, told in JSON."""
    return commands.run("provision", "doctor", "--output", "json", *flags)


def findings(result: Result, scope: str) -> dict[str, dict[str, Any]]:
    """Return the worst finding of each thing that was looked at."""
    order = ("good", "warning", "bad")
    worst: dict[str, dict[str, Any]] = {}
    for each in result.of("finding"):
        if each["scope"] == scope:
            before = worst.get(each["what"], each)
            worst[each["what"]] = max(before, each, key=lambda it: order.index(it["verdict"]))
    return worst


def bad(result: Result) -> list[tuple[str, str | None]]:
    """Return what is bad, and for which login."""
    found = result.of("finding")
    return [(each["what"], each["login"]) for each in found if each["verdict"] == "bad"]


# --- before there is an environment ---------------------------------------------------------------


def test_an_empty_account_has_nothing_in_the_way(commands: Commands, rehearsal: Remote) -> None:
    result = doctor(commands)
    assert result.code == 0, result.stdout
    assert result.summary["ok"], result.stdout
    account = findings(result, "account")
    assert account.pop("connection pools")["verdict"] == "warning"  # the article's values
    assert {each["verdict"] for each in account.values()} == {"good"}
    assert set(account) == {
        *("credentials", "names", "service-linked role", "engine version", "standard support"),
        *("zones and instance class", "storage", "RDS quota", "RDS Proxies", "VPCs"),
    }
    assert findings(result, "link") == {}
    assert "123456789012" in account["credentials"]["reason"]
    assert "8.4.10" in account["engine version"]["reason"]
    assert "2029-07-31 (AWS)" in account["standard support"]["reason"]
    assert not [call for call in rehearsal.journal() if call.mutating]


def test_a_person_sees_a_table_and_what_to_type_next(commands: Commands) -> None:
    result = commands.run("provision", "doctor", "--output", "plain")
    assert result.code == 0
    assert "the account and the region:" in result.stdout
    assert "the chain" not in result.stdout
    assert "nothing prevents creating it" in result.stdout
    assert "python -m provision up" in result.stdout


@pytest.mark.parametrize(
    ("setting", "what", "told", "advised"),
    [
        ("database.engine_version=8.4.99", "engine version", "8.4.99", "8.4.10"),
        ("database.instance_class=db.x99.huge", "zones and instance class", "x99", "db.t4g.micro"),
        (
            'network.availability_zones=["ap-northeast-1x", "ap-northeast-1y"]',
            "zones and instance class",
            "ap-northeast-1x, ap-northeast-1y",
            "network.availability_zones",
        ),
    ],
)
def test_what_the_region_does_not_offer(
    commands: Commands, setting: str, what: str, told: str, advised: str
) -> None:
    result = doctor(commands, "--set", setting)
    assert result.code == 1
    found = findings(result, "account")[what]
    assert found["verdict"] == "bad"
    assert told in found["reason"]
    assert advised in found["next"]
    assert result.error["type"] == "CheckFailed"
    assert found["reason"] in result.error["message"]
    assert found["next"] in result.error["next"]


def test_names_that_are_somebody_elses(commands: Commands, account: Account) -> None:
    account.secretsmanager.create_secret(Name=f"{NAME}/database", SecretString="theirs")
    account.logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-iam")
    result = doctor(commands)
    assert result.code == 1
    taken = [each for each in result.of("finding") if each["what"] == "names"]
    assert sorted(each["reason"].split(":")[0] for each in taken) == ["log-group-iam", "secret"]
    assert {each["verdict"] for each in taken} == {"bad"}
    assert "environment.name" in result.error["next"]
    assert findings(result, "link") == {}  # what is there is not ours


def test_a_secret_that_waits_for_its_deletion(commands: Commands, account: Account) -> None:
    ours = {"provision:environment": NAME, "provision:step": "secret"}
    account.secretsmanager.create_secret(
        Name=f"{NAME}/database",
        SecretString="{}",
        Tags=[{"Key": key, "Value": value} for key, value in ours.items()],
    )
    account.secretsmanager.delete_secret(SecretId=f"{NAME}/database", RecoveryWindowInDays=7)
    result = doctor(commands)
    waiting = findings(result, "account")["names"]
    assert waiting["verdict"] == "warning"
    assert "scheduled for deletion" in waiting["reason"]


def test_default_quotas_that_are_used_up_only_warn(commands: Commands, account: Account) -> None:
    for number in range(5):
        account.ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    result = doctor(commands)
    assert result.code == 0
    vpcs = findings(result, "account")["VPCs"]
    assert vpcs["verdict"] == "warning"
    assert "1 more needed; AWS's default quota is 5" in vpcs["reason"]


def test_what_may_not_be_read_only_warns(commands: Commands, rehearsal: Remote) -> None:
    denied = ("DescribeDBEngineVersions", "DescribeAccountAttributes")
    rehearsal.set_faults(*(Fault("denied", operation, times=9) for operation in denied))
    result = doctor(commands)
    assert result.code == 0, result.stdout
    account = findings(result, "account")
    for what, operation in zip(("engine version", "RDS quota"), denied, strict=True):
        assert account[what]["verdict"] == "warning"
        assert operation in account[what]["reason"]
        assert "may not do this" in account[what]["next"]


def test_without_an_answer_for_standard_support_the_calendar_tells(
    commands: Commands, rehearsal: Remote
) -> None:
    rehearsal.set_faults(Fault("denied", "DescribeDBMajorEngineVersions", times=9))
    support = findings(doctor(commands), "account")["standard support"]
    assert support["verdict"] == "good"
    assert "2029-07-31 (AWS's calendar of November 2026)" in support["reason"]


def test_bad_credentials_are_told_as_such(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_faults(Fault("expired", "sts:*", times=9))
    result = doctor(commands)
    assert result.code == 1
    assert result.error["type"] == "CredentialsError"
    assert "Set new AWS_ACCESS_KEY_ID" in result.error["next"]


# --- an environment that is there -----------------------------------------------------------------


def test_every_link_of_a_whole_environment_is_good(built: Built) -> None:
    before = len(built.remote.journal())
    result = doctor(built.commands)
    assert result.code == 0, result.stdout
    assert result.summary["ok"], result.stdout
    links = [each for each in result.of("finding") if each["scope"] == "link"]
    assert {each["verdict"] for each in links} == {"good"}
    assert [*dict.fromkeys(each["what"] for each in links)] == [
        "client -> API",
        "API -> function",
        "function",
        "function -> group -> proxy",
        "login to the proxy",
        "proxy",
        "proxy -> secret",
        "proxy -> group -> database",
        "proxy -> target",
        "database",
    ]
    for what in {each["what"] for each in links}:
        logins = [each["login"] for each in links if each["what"] == what]
        assert logins in (["both"], ["password", "iam"])
    account = set(findings(result, "account"))
    assert account == {"credentials", "names", "connection pools"}  # nothing is to be made
    assert not [call for call in built.remote.journal()[before:] if call.mutating]


def test_the_chain_as_a_person_sees_it(built: Built) -> None:
    result = built.commands.run("provision", "doctor", "--output", "plain")
    assert result.code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["proxy", "iam", "✓", "good", f"{NAME}-iam,"] in [row[:5] for row in rows]
    assert "every link is good" in result.stdout


def no_connect_policy(account: Account) -> None:
    account.iam.delete_role_policy(
        RoleName=f"{NAME}-function-iam-{REGION}", PolicyName="connect-to-proxy"
    )


def no_secret_policy(account: Account) -> None:
    account.iam.delete_role_policy(RoleName=f"{NAME}-proxy-{REGION}", PolicyName="read-secret")


def no_rule_into_the_proxy(account: Account) -> None:
    (group,) = (
        each
        for each in account.all("ec2", "describe_security_groups", "SecurityGroups")
        if each["GroupName"] == f"{NAME}-proxy"
    )
    account.ec2.revoke_security_group_ingress(
        GroupId=group["GroupId"], IpPermissions=group["IpPermissions"]
    )


def no_target(account: Account) -> None:
    account.rds.deregister_db_proxy_targets(
        DBProxyName=f"{NAME}-password", DBInstanceIdentifiers=[f"{NAME}-database"]
    )


def no_route(account: Account) -> None:
    api = account.api(NAME)["ApiId"]
    routes = account.all("apigatewayv2", "get_routes", "Items", ApiId=api)
    (route,) = (each for each in routes if each["RouteKey"] == "GET /func2")
    account.apigatewayv2.delete_route(ApiId=api, RouteId=route["RouteId"])


def no_tls(account: Account) -> None:
    account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", RequireTLS=False)


BROKEN: dict[Callable[[Account], None], tuple[str, str, str]] = {
    no_connect_policy: ("login to the proxy", "iam", "rds-db:connect"),
    no_secret_policy: ("proxy -> secret", "both", "secretsmanager:GetSecretValue"),
    no_rule_into_the_proxy: ("function -> group -> proxy", "both", "lets nothing in"),
    no_target: ("proxy -> target", "password", "not registered"),
    no_route: ("client -> API", "iam", "no route GET /func2"),
    no_tls: ("proxy", "iam", "does not require TLS"),
}


@pytest.mark.sweep(part=10)
@pytest.mark.parametrize("break_it", BROKEN, ids=lambda each: each.__name__)
def test_a_broken_link_is_named_before_what_comes_of_it(
    built: Built, break_it: Callable[[Account], None]
) -> None:
    what, login, told = BROKEN[break_it]
    break_it(built.account)
    try:
        result = doctor(built.commands)
    finally:
        assert built.commands.up().code == 0
    assert result.code == 1
    first, *others = bad(result)
    assert first == (what, login)
    assert {what for what, _ in others} <= {"proxy -> target"}
    link = findings(result, "link")[what]
    assert told in link["reason"]
    assert link["next"] == "python -m provision up"
    assert f"{what} ({login} login): " in result.error["message"]
    assert told in result.error["message"]
    assert "not called" not in result.error["message"]


def test_drift_that_breaks_nothing_is_a_warning(built: Built) -> None:
    result = doctor(built.commands, "--set", "proxy.idle_client_timeout_seconds=300")
    assert result.code == 0
    proxy = findings(result, "link")["proxy"]
    assert proxy["verdict"] == "warning"
    assert "IdleClientTimeout" in proxy["reason"]
    assert proxy["next"] == "python -m provision plan"


@pytest.mark.slow
def test_a_half_made_environment_is_looked_at_in_both_ways(
    commands: Commands, rehearsal: Remote
) -> None:
    rehearsal.set_faults(Fault("denied", "CreateDBProxy", times=9))
    assert commands.up().code == 1
    rehearsal.set_faults()
    result = doctor(commands)
    assert result.code == 1
    assert {"proxy", "client -> API"} <= {what for what, _ in bad(result)}
    account = findings(result, "account")
    assert account.pop("connection pools")["verdict"] == "warning"  # the article's values
    assert {each["verdict"] for each in account.values()} == {"good"}
    assert "2 more needed" in account["RDS Proxies"]["reason"]
    assert "python -m provision up" in result.error["next"]


def test_no_secret_is_told(built: Built) -> None:
    password = built.account.secret(f"{NAME}/database")["password"]
    result = doctor(built.commands, "--set", "database.username=other")
    assert result.code == 1
    assert password not in result.stdout + result.stderr


# --- what `up` makes of it ------------------------------------------------------------------------


def test_up_makes_nothing_when_it_cannot_succeed(commands: Commands, rehearsal: Remote) -> None:
    result = commands.up("--set", "database.engine_version=8.4.99")
    assert result.code == 1
    assert "nothing was created" in result.error["message"]
    assert "8.4.10" in result.error["next"]
    assert not [call for call in rehearsal.journal() if call.mutating]
