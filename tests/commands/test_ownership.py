"""Whose a thing is: by tags and lasting ids. Names locate it, and prove nothing.

What stands at AWS is changed by hand; then plan, up, status and teardown have to say what it is,
and to leave alone what is not proven to be ours.
"""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from provision.rehearsal import Fault, Override, Remote
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import Commands, Result
from tests.support.names import NAME
from tests.support.owners import arn_of, identity_of, tag, untag
from tests.support.servers import quiet

pytestmark = pytest.mark.sweep(part=10)
LATER = 3600.0  # AWS's seconds after which all that was made is seen everywhere
MODIFY = 600.0
MARKS = {"provision:environment": NAME}
STEP = "provision:step"


def kept(result: Result, step: str) -> str:
    (planned,) = (each for each in result.of("planned") if each["step"] == step)
    return "\n".join(planned["kept"])


def passed_over(result: Result) -> str:
    return json.dumps(result.of("passed-over")) + result.stderr


# --- in the state file: tags gone, or another's ---------------------------------------------------

WITH_A_LASTING_ID = (
    "vpc", "subnet-function", "security-group-proxy", "db-instance", "proxy-iam", "role-api",
    "secret", "api", "log-group-iam",
)  # fmt: skip
WITHOUT = ("function-iam", "db-subnet-group")


def test_what_has_its_recorded_id_is_ours_without_tags_and_gets_them_back(built: Built) -> None:
    for step in WITH_A_LASTING_ID:
        untag(built.account, step, identity_of(built.account, step))
    plan = built.commands.plan()
    assert plan.code == 3, plan.stdout[-800:]
    assert set(plan.to_do) >= set(WITH_A_LASTING_ID) - {"log-group-iam"}
    repaired = built.commands.up()
    assert repaired.code == 0, repaired.stdout[-800:]
    assert {repaired.steps[step] for step in WITH_A_LASTING_ID} == {"updated"}
    assert built.commands.up().counts()


@pytest.mark.parametrize("step", WITHOUT)
def test_a_name_in_the_state_file_proves_nothing(built: Built, step: str) -> None:
    untag(built.account, step, identity_of(built.account, step))
    before = len(built.remote.journal())
    ended = built.commands.up()
    assert ended.code == 1
    assert ended.error["type"] == "ForeignResource"
    assert "no tag of this program" in ended.error["message"]
    assert "restore its tags" in ended.error["next"]
    assert not [each for each in built.remote.journal()[before:] if each.mutating]
    status = built.commands.run("provision", "status", "--output", "plain")
    assert "⊘ not ours" in status.stdout
    tag(built.account, step, arn_of(built.account, step), MARKS | {"provision:step": step})
    assert built.commands.up().counts()


# --- witnesses that cannot be read ----------------------------------------------------------------

UNREADABLE = {
    "function-iam": [Override("lambda:GetFunction", drop=("Tags",), set={"TagsError": {
        "ErrorCode": "AccessDeniedException", "Message": "not authorized: lambda:ListTags"}})],
    "function-password": [
        Override("lambda:GetFunction", drop=("Tags",)),
        Override("lambda:ListTags", code="AccessDeniedException", status=403),
    ],
    "db-subnet-group": [Override("rds:ListTagsForResource", when="subgrp:", code="AccessDenied",
                                 message="no", status=403)],
}  # fmt: skip


@pytest.mark.parametrize("step", UNREADABLE)
def test_tags_that_cannot_be_read_are_said_and_prove_nothing(built: Built, step: str) -> None:
    built.remote.set_overrides(*UNREADABLE[step])
    try:
        ended = built.commands.plan()
        status = built.commands.run("provision", "status", "--output", "plain")
    finally:
        built.remote.set_overrides()
    assert ended.code == 1
    assert "cannot be read" in ended.error["message"]
    assert "AccessDenied" in ended.error["message"]
    assert "restore its tags" not in ended.error["next"]
    assert "? unproven (tags unreadable)" in status.stdout
    assert "not ours" not in status.stdout


def test_a_lasting_id_does_without_tags_that_cannot_be_read(built: Built) -> None:
    built.remote.set_overrides(
        Override("rds:ListTagsForResource", when=":db-proxy:", code="AccessDenied", status=403),
        Override("logs:ListTagsForResource", code="AccessDeniedException", status=403),
    )
    try:
        assert built.commands.plan().code == 0
    finally:
        built.remote.set_overrides()


# --- renamed --------------------------------------------------------------------------------------


def rename_instance(account: Account, old: str, new: str) -> None:
    account.rds.modify_db_instance(
        DBInstanceIdentifier=old, NewDBInstanceIdentifier=new, ApplyImmediately=True
    )


def test_a_renamed_instance_and_proxy_are_found_named_and_not_doubled(built: Built) -> None:
    rename_instance(built.account, f"{NAME}-database", "main")
    built.account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", NewDBProxyName="login")
    built.remote.advance(MODIFY)
    plan = built.commands.plan()
    assert plan.code in (0, 3), plan.stdout[-800:]
    assert "main" in kept(plan, "db-instance")
    assert "login" in kept(plan, "proxy-iam")
    assert "create" not in plan.to_do.values()
    changed = built.commands.up("--set", "database.backup_retention_days=4")
    assert changed.code == 0, changed.stdout[-800:]
    found = built.account.all("rds", "describe_db_instances", "DBInstances")
    assert [each["DBInstanceIdentifier"] for each in found] == ["main"]
    assert found[0]["BackupRetentionPeriod"] == 4
    state = built.commands.state_path().read_text()
    built.commands.state_path().unlink()  # then its tags are all that is left: not enough
    try:
        refused = built.commands.up()
        assert refused.code == 1
        assert "main" in refused.error["message"]
        assert "another name" in refused.error["message"]
    finally:
        built.commands.state_path().write_text(state)
        rename_instance(built.account, "main", f"{NAME}-database")
        built.account.rds.modify_db_proxy(DBProxyName="login", NewDBProxyName=f"{NAME}-iam")
        built.remote.advance(MODIFY)
    assert built.commands.up().code == 0
    assert built.commands.up().counts()


# --- teardown: what goes, what stays --------------------------------------------------------------


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return event")
    return content.getvalue()


def test_teardown_takes_ours_and_leaves_all_that_only_looks_like_it(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    with quiet(rehearsal):
        copies = copied_things(account)
    rename_instance(account, f"{NAME}-database", "main")
    rehearsal.advance(LATER)
    plan = commands.run("teardown", "--plan", "--output", "json")
    going = {each["step"]: each["id"] for each in plan.of("to-delete")}
    assert going["db-instance"] == "main"
    assert copies["api"] not in going.values()
    ended = commands.teardown()
    assert ended.code == 0, ended.stdout[-1500:]
    assert account.all("rds", "describe_db_instances", "DBInstances") == []
    assert copies["api"] in [e["ApiId"] for e in account.all("apigatewayv2", "get_apis", "Items")]
    groups = account.all("ec2", "describe_security_groups", "SecurityGroups")
    assert copies["security group"] in [each["GroupId"] for each in groups]
    for identity in copies.values():
        assert identity in ended.stdout + ended.stderr, f"{identity} was left without a word"


def copied_things(account: Account) -> dict[str, str]:
    """Make a second API, and a security group in another VPC, with both of our tags by a copy."""
    tags = MARKS | {"provision:step": "api"}
    api = account.apigatewayv2.create_api(Name=NAME, ProtocolType="HTTP", Tags=tags)
    vpc = account.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    step = {"provision:step": "security-group-proxy"}
    tagged = [{"Key": key, "Value": value} for key, value in (MARKS | step).items()]
    group = account.ec2.create_security_group(
        GroupName="copy",
        Description="a copy",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tagged}],
    )
    return {"api": api["ApiId"], "security group": group["GroupId"]}


def test_of_several_with_our_tags_and_no_state_none_is_touched_nor_what_is_in_it(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    """Nobody can say which VPC, API and renamed proxy is ours; the rest is, and goes."""
    assert commands.up().code == 0
    with quiet(rehearsal):
        vpc = [{"Key": key, "Value": value} for key, value in (MARKS | {STEP: "vpc"}).items()]
        second = account.ec2.create_vpc(
            CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": vpc}]
        )["Vpc"]["VpcId"]
        api = account.apigatewayv2.create_api(
            Name=NAME, ProtocolType="HTTP", Tags=MARKS | {STEP: "api"}
        )["ApiId"]
    account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", NewDBProxyName="login")
    rehearsal.advance(LATER)
    commands.state_path().unlink()
    before = len(rehearsal.journal())
    refused = commands.up()
    assert refused.code == 1
    assert "it may be this environment's" in refused.error["message"]
    assert not [each for each in rehearsal.journal()[before:] if each.mutating]
    ended = commands.teardown("--set", "wait.timeout_minutes=0.05")
    assert ended.code == 1, ended.stdout[-1500:]
    errors = {e["step"]: e["error"] for e in ended.of("step") if e["action"] == "failed"}
    assert second in errors["vpc"]["message"]
    assert "remove them from the others" in errors["vpc"]["next"]
    assert api in errors["api"]["message"]
    assert f"rename it back to {NAME}-iam" in errors["proxy-iam"]["next"]
    kept = account.everything()
    assert len(kept["subnets"]) >= 3, "subnets went, of a VPC that may be another's"
    assert len(kept["proxies"]) == 1
    assert len([e for e in kept["APIs"] if "RouteKey" in e]) == 3, "routes of an API went"
    assert kept["DB instances"] == []
    account.apigatewayv2.delete_api(ApiId=api)
    account.ec2.delete_vpc(VpcId=second)
    account.rds.modify_db_proxy(DBProxyName="login", NewDBProxyName=f"{NAME}-iam")
    rehearsal.advance(LATER)
    again = commands.teardown()
    assert again.code == 0, again.stdout[-1500:]


def their_function(account: Account, name: str) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = account.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=json.dumps(trust))
    account.lambda_.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="index.handler",
        Code={"ZipFile": zipped()},
    )


def test_a_colleagues_log_group_of_our_name_is_not_deleted(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    """A denied DeleteLogGroup leaves the state file with the name; then a colleague takes it."""
    assert commands.up().code == 0
    group = f"/aws/lambda/{NAME}-iam"
    rehearsal.set_faults(Fault("denied", "DeleteLogGroup", times=9))
    denied = commands.teardown()
    rehearsal.set_faults()
    assert denied.code == 1
    with quiet(rehearsal):
        account.logs.delete_log_group(logGroupName=group)
        their_function(account, f"{NAME}-iam")
        account.logs.create_log_group(logGroupName=group)
    ended = commands.teardown()
    names = [e["logGroupName"] for e in account.all("logs", "describe_log_groups", "logGroups")]
    assert group in names
    assert group in ended.stdout + ended.stderr
    assert f"/aws/lambda/{NAME}-password" not in names
    assert ended.code == 0, ended.stdout[-1500:]


def test_a_witness_that_cannot_be_read_keeps_only_itself_from_going(
    commands: Commands, rehearsal: Remote, account: Account
) -> None:
    assert commands.up().code == 0
    rehearsal.set_overrides(*UNREADABLE["function-iam"])
    ended = commands.teardown("--set", "wait.timeout_minutes=0.05")
    rehearsal.set_overrides()
    assert ended.code == 1
    failed = {e["step"]: e["error"]["message"] for e in ended.of("step") if e["action"] == "failed"}
    assert "cannot be read" in failed["function-iam"]
    assert account.all("rds", "describe_db_instances", "DBInstances") == []
    assert account.all("rds", "describe_db_proxies", "DBProxies") == []
    assert commands.teardown().code == 0


# --- one foreign part does not make the whole foreign ---------------------------------------------


def test_a_version_that_somebody_published_under_our_layers_name_is_kept_and_named(
    commands: Commands, account: Account
) -> None:
    assert commands.up().code == 0
    layer = f"{NAME}-mysql-connector"
    account.lambda_.publish_layer_version(
        LayerName=layer, Description="hotfix", Content={"ZipFile": zipped()}
    )
    plan = commands.plan()
    assert plan.code == 0, plan.stdout[-800:]
    for text in ("version 2", "hotfix", f"--layer-name {layer} --version-number 2"):
        assert text in kept(plan, "layer")
    assert commands.up("--set", "function.memory_mib=512").code == 0
    ended = commands.teardown()
    assert ended.code == 0, ended.stdout[-1500:]
    versions = account.lambda_.list_layer_versions(LayerName=layer)["LayerVersions"]
    assert [each["Version"] for each in versions] == [2]
    refused = commands.up()
    assert refused.code == 1
    assert "version 2 (hotfix" in refused.error["message"]
    assert "tags" not in refused.error["next"]
    assert commands.teardown().code == 0
    account.lambda_.delete_layer_version(LayerName=layer, VersionNumber=2)
