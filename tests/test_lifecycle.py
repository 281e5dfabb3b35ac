"""The environment's whole life through the two commands: up, left alone, repaired, taken away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.config import load
from provision.policy import policy
from provision.rehearsal import Fault, Remote
from provision.rehearsal.calls import is_mutating
from provision.rehearsal.faults import Kind
from tests.account import Account
from tests.commands import Commands
from tests.conftest import Built, commands_at
from tests.servers import plain_moto_server

pytestmark = pytest.mark.slow
NAME = "rds-proxy-auth"
MADE = 36


def mutating(remote: Remote, since: int) -> list[str]:
    """Return the calls since then that may have changed something."""
    return [each.operation for each in remote.journal()[since:] if each.mutating]


# --- up, again, and down --------------------------------------------------------------------------


def test_first_up_makes_the_environment_of_the_design(built: Built) -> None:
    account = built.account
    password, iam = account.proxy(f"{NAME}-password"), account.proxy(f"{NAME}-iam")
    assert [(p["Auth"][0]["IAMAuth"], p["RequireTLS"]) for p in (password, iam)] == [
        ("DISABLED", False),
        ("REQUIRED", True),
    ]
    assert all(
        p["IdleClientTimeout"] == 120 and p["EngineFamily"] == "MYSQL" for p in (password, iam)
    )
    instance = account.rds.describe_db_instances(DBInstanceIdentifier=f"{NAME}-database")
    instance = instance["DBInstances"][0]
    assert instance["StorageEncrypted"] and not instance["PubliclyAccessible"]
    assert (instance["DBName"], instance["MasterUsername"]) == ("testdb", "testdb")
    assert instance["EngineLifecycleSupport"] == "open-source-rds-extended-support-disabled"
    secret = account.secret(f"{NAME}/database")
    assert secret["username"] == "testdb" and len(secret["password"]) == 32
    pool = account.rds.describe_db_proxy_target_groups(DBProxyName=f"{NAME}-iam")
    settings = pool["TargetGroups"][0]["ConnectionPoolConfig"]
    assert (settings["MaxConnectionsPercent"], settings["MaxIdleConnectionsPercent"]) == (100, 50)
    role = account.iam.get_role_policy(
        RoleName=f"{NAME}-function-iam-ap-northeast-1", PolicyName="connect-to-proxy"
    )
    prx = iam["DBProxyArn"].rpartition(":")[2]
    assert role["PolicyDocument"]["Statement"][0]["Resource"].endswith(f":dbuser:{prx}/testdb")


def test_functions_point_each_at_its_own_proxy(built: Built) -> None:
    variables = {}
    for login in ("password", "iam"):
        function = built.account.lambda_.get_function(FunctionName=f"{NAME}-{login}")
        variables[login] = function["Configuration"]["Environment"]["Variables"]
        proxy = built.account.proxy(f"{NAME}-{login}")
        assert variables[login]["DB_PROXY_ENDPOINT_ADDRESS"] == proxy["Endpoint"]
        assert function["Configuration"]["Handler"] == "index.lambda_handler"
    assert set(variables["password"]) - set(variables["iam"]) == {"DB_PASSWORD"}
    assert variables["iam"]["SSLCERTIFICATE"] == "AmazonRootCA1.pem"


def test_second_up_only_reads(built: Built) -> None:
    before = len(built.remote.journal())
    result = built.commands.up()
    assert result.code == 0 and result.counts() and result.summary["unchanged"] == MADE
    assert mutating(built.remote, before) == []


def test_up_and_down_leave_the_account_as_it_was(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    neighbours(account)
    before = account.everything()
    first = commands.up()
    assert first.code == 0 and first.counts(created=MADE), first.stdout[-1500:]
    down = commands.teardown()
    assert down.code == 0 and down.summary["deleted"] == MADE - 1, down.stdout[-1500:]
    assert not any(each["left"] for each in down.of("left"))
    after = account.everything()
    assert without_rds_role(after) == without_rds_role(before)


def without_rds_role(everything: dict[str, Any]) -> dict[str, Any]:
    """Return the inventory without the account's own role for RDS, which stays."""
    return {
        kind: [
            each for each in things if "AWSServiceRoleForRDS" not in json.dumps(each, default=str)
        ]
        for kind, things in everything.items()
    }


def neighbours(account: Account) -> None:
    """Make what others have in the account, under names that look like ours."""
    account.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    account.logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-password-2")
    account.secretsmanager.create_secret(Name=f"{NAME}/database-2", SecretString="x")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    account.iam.create_role(RoleName=f"{NAME}-api", AssumeRolePolicyDocument=trust)


def test_plain_moto_server_up_again_and_down(tmp_path: Path) -> None:
    with plain_moto_server() as url:
        commands = commands_at(url, tmp_path)
        first, second, down = commands.up(), commands.up(), commands.teardown()
    assert first.code == 0 and first.counts(created=MADE), first.stdout[-1500:]
    assert second.code == 0 and second.counts() and second.summary["unchanged"] == MADE
    assert down.code == 0, down.stdout[-1500:]


def test_two_environments_never_meet(rehearsal: Remote, tmp_path: Path) -> None:
    one = commands_at(rehearsal.endpoint_url, tmp_path / "one", name="demo")
    two = commands_at(rehearsal.endpoint_url, tmp_path / "two", name="demo-iam")
    assert one.up().code == 0 and two.up().code == 0
    assert one.teardown().code == 0
    again = two.up()
    assert again.code == 0 and again.counts()


# --- drift ----------------------------------------------------------------------------------------


def less_tls(account: Account) -> None:
    account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", RequireTLS=False)


def shorter_timeout(account: Account) -> None:
    account.lambda_.update_function_configuration(FunctionName=f"{NAME}-iam", Timeout=3)


def other_variable(account: Account) -> None:
    name = f"{NAME}-password"
    found = account.lambda_.get_function_configuration(FunctionName=name)
    variables = found["Environment"]["Variables"] | {"DB_NAME": "other"}
    account.lambda_.update_function_configuration(
        FunctionName=name, Environment={"Variables": variables}
    )


def no_route(account: Account) -> None:
    api = account.api(NAME)["ApiId"]
    routes = account.all("apigatewayv2", "get_routes", "Items", ApiId=api)
    route = next(each for each in routes if each["RouteKey"] == "GET /func2")
    account.apigatewayv2.delete_route(ApiId=api, RouteId=route["RouteId"])


def no_throttle(account: Account) -> None:
    account.apigatewayv2.update_stage(
        ApiId=account.api(NAME)["ApiId"],
        StageName="$default",
        DefaultRouteSettings={"ThrottlingRateLimit": 999.0, "ThrottlingBurstLimit": 999},
    )


def extra_policy(account: Account) -> None:
    account.iam.put_role_policy(
        RoleName=f"{NAME}-api-ap-northeast-1",
        PolicyName="everything",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
            }
        ),
    )


def longer_logs(account: Account) -> None:
    account.logs.put_retention_policy(logGroupName=f"/aws/lambda/{NAME}-iam", retentionInDays=365)


def open_group(account: Account) -> None:
    group = account.tagged("security_groups", "security-group-database", NAME)
    account.ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 3306,
                "ToPort": 3306,
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            }
        ],
    )


def smaller_pool(account: Account) -> None:
    account.rds.modify_db_proxy_target_group(
        DBProxyName=f"{NAME}-iam",
        TargetGroupName="default",
        ConnectionPoolConfig={"MaxConnectionsPercent": 10, "MaxIdleConnectionsPercent": 5},
    )


def scheduled_secret(account: Account) -> None:
    account.secretsmanager.delete_secret(SecretId=f"{NAME}/database")


DRIFTS: dict[str, tuple[Callable[[Account], None], str]] = {
    "proxy-iam": (less_tls, "updated"),
    "function-iam": (shorter_timeout, "updated"),
    "function-password": (other_variable, "updated"),
    "route-func2": (no_route, "created"),
    "stage": (no_throttle, "updated"),
    "role-api": (extra_policy, "updated"),
    "log-group-iam": (longer_logs, "updated"),
    "rules-database": (open_group, "updated"),
    "target-iam": (smaller_pool, "updated"),
    "secret": (scheduled_secret, "updated"),
}


@pytest.mark.parametrize("step", DRIFTS)
def test_drift_is_seen_and_repaired(built: Built, step: str) -> None:
    drift, word = DRIFTS[step]
    drift(built.account)
    plan = built.commands.plan()
    assert plan.code == 3 and step in plan.to_do
    status = built.commands.run("provision", "status", "--output", "json")
    (resource,) = (each for each in status.of("resource") if each["step"] == step)
    assert resource["drift"] or not resource["present"]
    repaired = built.commands.up()
    assert repaired.code == 0 and repaired.changed == {step: word}, repaired.changed
    assert built.commands.plan().code == 0


def test_changed_settings_are_updated_in_place_and_back(built: Built) -> None:
    flags = ("--set", "function.memory_mib=512", "--set", "proxy.idle_client_timeout_seconds=60")
    changed = built.commands.up(*flags)
    steps = {"function-password", "function-iam", "proxy-password", "proxy-iam"}
    assert changed.code == 0 and changed.changed == dict.fromkeys(steps, "updated")
    assert built.commands.up().changed == dict.fromkeys(steps, "updated")


def test_a_database_is_never_replaced_unasked(built: Built) -> None:
    before = len(built.remote.journal())
    refused = built.commands.up("--set", "database.username=other")
    assert refused.code == 1 and refused.error["type"] == "ReplacementRefused"
    assert "--replace db-instance" in refused.error["next"]
    assert mutating(built.remote, before) == []


# --- what is lost, foreign or forbidden -----------------------------------------------------------


def test_lost_state_file_is_no_loss(built: Built) -> None:
    built.commands.state_path().unlink()
    before = len(built.remote.journal())
    result = built.commands.up()
    adopted = {step for step, action in result.steps.items() if action == "adopted"}
    assert result.code == 0 and result.counts(adopted=MADE - 1), set(result.steps) - adopted
    assert mutating(built.remote, before) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"version": 1, "ser', "cut off"),
        ('{"version": 99}', "version 99"),
        ("[]", "not a state file"),
        ('{"version": 1, "serial": 1, "environment": "x", "account": "1", "region": "r"}', "steps"),
    ],
)
def test_bad_state_file_is_left_as_it_is(commands: Commands, content: str, words: str) -> None:
    path = commands.state_path()
    path.parent.mkdir()
    path.write_text(content)
    result = commands.up()
    assert result.code == 1 and words in result.error["message"]
    assert path.read_text() == content


def test_foreign_role_stops_up_before_anything_is_made(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    name = f"{NAME}-proxy-ap-northeast-1"
    account.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    before = len(rehearsal.journal())
    result = commands.up()
    assert result.code == 1 and result.error["type"] == "ForeignResource"
    assert name in result.error["message"]
    assert mutating(rehearsal, before) == []
    assert commands.teardown().code == 0
    assert account.iam.get_role(RoleName=name)["Role"]["RoleName"] == name


def test_taken_tag_is_a_disagreement_that_nothing_touches(built: Built) -> None:
    vpc = built.account.tagged("vpcs", "vpc", NAME)["VpcId"]
    tags = [{"Key": "provision:environment", "Value": "somebody"}]
    built.account.ec2.create_tags(Resources=[vpc], Tags=tags)
    before = len(built.remote.journal())
    result = built.commands.up()
    assert result.code == 1 and result.error["type"] == "ForeignResource"
    assert "somebody" in result.error["message"] and NAME in result.error["message"]
    assert mutating(built.remote, before) == []
    ours = [{"Key": "provision:environment", "Value": NAME}]
    built.account.ec2.create_tags(Resources=[vpc], Tags=ours)


def test_printed_policy_is_all_that_up_repair_and_teardown_need(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    rehearsal.set_policy(policy(load(commands.folder / "config.toml")))
    assert commands.up().code == 0
    less_tls(account)
    no_route(account)
    extra_policy(account)
    repaired = commands.up("--set", "function.memory_mib=512")
    assert repaired.code == 0, repaired.stdout[-1500:]
    assert commands.teardown().code == 0


@pytest.mark.parametrize(
    ("kind", "error"), [("denied", "AwsCallError"), ("expired", "Credentials")]
)
def test_up_goes_on_after_a_refusal_midway(
    commands: Commands, rehearsal: Remote, kind: Kind, error: str
) -> None:
    rehearsal.set_faults(Fault(kind, "CreateDBInstance"))
    failed = commands.up()
    assert failed.code == 1 and failed.error["type"].startswith(error)
    rehearsal.set_faults()
    assert commands.up().code == 0
    assert commands.teardown().code == 0


@pytest.mark.parametrize("kind", ["lost", "cut", "error500"])
@pytest.mark.parametrize(
    "operation",
    ["CreateVpc", "CreateApi", "CreateIntegration", "PublishLayerVersion", "CreateSecret"],
)
def test_an_unsure_create_makes_no_second_copy(
    commands: Commands, account: Account, rehearsal: Remote, kind: Kind, operation: str
) -> None:
    rehearsal.set_faults(Fault(kind, operation))
    result = commands.up()
    assert result.code == 0, result.stdout[-1500:]
    assert commands.up().counts()
    assert commands.teardown().code == 0
    assert not [v for v in account.ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]]


# --- secrets --------------------------------------------------------------------------------------


def test_no_password_is_told_or_kept(commands: Commands, account: Account) -> None:
    result = commands.spawn("provision", "up", "--no-check", "-v", "--output", "plain")
    assert result.code == 0, result.stderr[-1500:]
    password = account.secret(f"{NAME}/database")["password"]
    kept = "".join(
        path.read_text(errors="replace") for path in commands.folder.rglob("*") if path.is_file()
    )
    assert password not in kept + result.stdout + result.stderr
    assert "CreateSecret" in result.stderr  # -v did tell the calls


def test_reads_are_not_taken_for_changes() -> None:
    assert not is_mutating("DescribeVpcs") and is_mutating("CreateVpc")
