"""`--explain`: the AWS CLI lines say what the commands really do, and no secret."""

from __future__ import annotations

import functools
import json
import re
import shlex
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from provision.rehearsal import Fault, Remote
from provision.views.explain import PAGES, UnsentAnswer, explained, quoted
from tests.support.built import Built
from tests.support.commands import Commands, Result
from tests.support.names import NAME, REGION

CUSTOM = {"zip-file"}  # the AWS CLI's own, for the zip inside Code or Content


@functools.cache
def model(service: str) -> Any:
    """botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def calls(result: Result) -> dict[str, list[dict[str, str]]]:
    """The calls that are explained, by step."""
    return {each["step"]: each["calls"] for each in result.of("explain")}


def operations(result: Result) -> dict[str, list[str]]:
    """The operations that are explained, by step."""
    return {step: [call["operation"] for call in made] for step, made in calls(result).items()}


def flags(command: str) -> dict[str, list[str]]:
    """The flags of a line, each with its words, as a shell would split it."""
    words = shlex.split(command)
    found: dict[str, list[str]] = {}
    for word in words[3:]:
        if word.startswith("--"):
            found[word[2:]] = []
        else:
            found[list(found)[-1]].append(word)
    return found


def plan(commands: Commands, *arguments: str) -> Result:
    """Run `plan --explain`, told in JSON."""
    result = commands.run("provision", "plan", "--explain", "--output", "json", *arguments)
    assert result.code == 0, result.stdout[-1500:] + result.stderr[-1500:]
    return result


def check_line(call: dict[str, str]) -> None:
    """Check a line against botocore's model, by which the AWS CLI makes its flags."""
    service, operation = call["service"], call["operation"]
    about = model(service).operation_model(operation)
    program, its_service, its_operation = shlex.split(call["command"])[:3]
    assert (program, its_service) == ("aws", service)
    assert its_operation == xform_name(operation, "-")
    members = {xform_name(name, "-"): shape for name, shape in about.input_shape.members.items()}
    given = flags(call["command"])
    assert given.pop("region", [REGION]) == [REGION]
    for flag, words in given.items():
        if flag in CUSTOM:
            assert words[0].startswith("fileb://")
            continue
        shape = members[flag.removeprefix("no-") if flag not in members else flag]
        if shape.type_name == "boolean":
            assert words == []
        elif shape.type_name in ("structure", "map"):
            assert isinstance(json.loads(" ".join(words)), dict)
        elif shape.type_name == "list" and shape.member.type_name == "structure":
            assert isinstance(json.loads(" ".join(words)), list)
        elif shape.type_name != "list":
            assert len(words) == 1
    covered = {"code", "content"} if "zip-file" in given else set()
    required = {xform_name(name, "-") for name in about.input_shape.required_members}
    assert required - set(given) - covered <= {"no"}, required


# --- plan -----------------------------------------------------------------------------------------


def test_every_step_of_a_first_up_has_its_lines(commands: Commands, rehearsal: Remote) -> None:
    result = plan(commands)
    assert set(calls(result)) == set(result.to_do)
    for made in calls(result).values():
        assert made
        for call in made:
            check_line(call)
            assert call["document"].startswith("https://docs.aws.amazon.com/")
    assert not [call for call in rehearsal.journal() if call.mutating]


def test_the_lines_are_the_calls_that_up_then_makes(commands: Commands, rehearsal: Remote) -> None:
    told = sorted(op for made in operations(plan(commands)).values() for op in made)
    before = len(rehearsal.journal())
    assert commands.up().code == 0
    made = {call.operation for call in rehearsal.journal()[before:] if call.mutating}
    assert set(told) == made
    creates = [op for op in told if op.startswith("Create")]
    journal = rehearsal.journal()[before:]
    assert creates == sorted(
        call.operation
        for call in journal
        if call.operation.startswith("Create") and call.code is None
    )


def test_values_that_are_not_known_are_variables(commands: Commands) -> None:
    made = calls(plan(commands))
    subnet = flags(made["subnet-function"][0]["command"])
    assert subnet["vpc-id"] == ["$VPC_ID"]
    assert subnet["cidr-block"] == ["10.0.1.0/24"]
    assert '"$VPC_ID"' in made["subnet-function"][0]["command"]  # a shell puts it in
    proxy = flags(made["proxy-iam"][0]["command"])
    assert proxy["db-proxy-name"] == [f"{NAME}-iam"]
    (auth,) = json.loads(proxy["auth"][0])
    assert auth == {"AuthScheme": "SECRETS", "SecretArn": "$SECRET_ARN", "IAMAuth": "REQUIRED"}
    assert proxy["require-tls"] == []
    assert "no-debug-logging" in proxy
    assert "no-require-tls" in flags(made["proxy-password"][0]["command"])
    assert flags(made["function-iam"][0]["command"])["zip-file"] == ["fileb://function-iam.zip"]


def test_what_a_create_call_leaves_out_is_a_line_of_its_own(commands: Commands) -> None:
    made = operations(plan(commands))
    assert made["role-api"] == ["CreateRole", "PutRolePolicy"]
    assert made["role-function-password"] == ["CreateRole", "AttachRolePolicy"]
    assert made["log-group-iam"] == ["CreateLogGroup", "PutRetentionPolicy"]
    assert made["rules-function"] == ["AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress"]
    assert made["target-iam"] == ["RegisterDBProxyTargets"]  # the pool is AWS's default
    other = operations(plan(commands, "--set", "proxy.max_connections_percent=80"))
    assert other["target-iam"] == ["RegisterDBProxyTargets", "ModifyDBProxyTargetGroup"]


def test_no_password_is_told(commands: Commands, built: Built) -> None:
    first = plan(commands)
    assert first.stdout.count("$PASSWORD") == 3  # the secret, the DB instance, the function
    (secret,) = calls(first)["secret"]
    pair = json.loads(flags(secret["command"])["secret-string"][0])
    assert pair == {"username": "testdb", "password": "$PASSWORD"}
    password = built.account.secret(f"{NAME}/database")["password"]
    changes = (
        *("--set", "function.memory_mib=512"),
        *("--set", "database.backup_retention_days=1"),
        *("--set", "database.username=other"),
    )
    second = built.commands.run("provision", "plan", "--explain", "--output", "json", *changes)
    assert calls(second)["function-password"]
    assert password not in second.stdout + second.stderr


def test_only_what_changes_is_explained(built: Built) -> None:
    assert calls(plan(built.commands)) == {}
    before = len(built.remote.journal())
    made = calls(
        plan(
            built.commands,
            *("--set", "function.memory_mib=512"),
            *("--set", "environment.tags.team=red"),
        )
    )
    operations = [call["operation"] for call in made["function-iam"]]
    assert operations == ["UpdateFunctionConfiguration", "TagResource"]
    change = flags(made["function-iam"][0]["command"])
    assert change["memory-size"] == ["512"]
    assert change["role"][0].startswith("arn:aws:iam::123456789012:role/")  # known: no variable
    assert [call["operation"] for call in made["vpc"]] == ["CreateTags"]
    for calls_of_step in made.values():
        for call in calls_of_step:
            check_line(call)
    assert not [call for call in built.remote.journal()[before:] if call.mutating]


@pytest.mark.slow
def test_the_lines_are_in_the_order_in_which_up_makes_the_calls(built: Built) -> None:
    account, name = built.account, f"{NAME}/database"
    account.secretsmanager.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    told = operations(plan(built.commands, "--set", "environment.tags.team=red"))["secret"]
    assert told == ["RestoreSecret", "TagResource"]  # a secret that is deleted takes no tags
    before = len(built.remote.journal())
    assert built.commands.up("--no-check", "--set", "environment.tags.team=red").code == 0
    journal = built.remote.journal()[before:]
    made = [each.operation for each in journal if each.mutating]
    assert [each for each in made if "Secret" in each] == ["RestoreSecret"]
    secrets = [each.operation for each in journal if each.service == "secretsmanager"]
    assert secrets.index("RestoreSecret") < secrets.index("TagResource")
    assert built.commands.up("--no-check").code == 0


def test_a_replacement_is_a_deletion_and_a_creation(built: Built) -> None:
    result = plan(built.commands, "--replace", "db-instance")
    made = operations(result)["db-instance"]
    assert made == ["DeleteDBInstance", "CreateDBInstance"]


@pytest.mark.slow
def test_a_half_made_environment(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_faults(Fault("denied", "CreateDBProxy", times=9))
    assert commands.up().code == 1
    rehearsal.set_faults()
    made = calls(plan(commands))
    assert "vpc" not in made
    assert flags(made["proxy-iam"][0]["command"])["role-arn"][0].startswith("arn:aws:iam::")


def test_a_person_can_copy_the_lines(commands: Commands) -> None:
    result = commands.run("provision", "plan", "--explain")
    assert result.code == 0
    lines = result.stdout.splitlines()
    at = lines.index("# vpc: create")
    assert lines[at + 1].startswith("aws ec2 create-vpc --cidr-block 10.0.0.0/16 ")
    assert lines[at + 2] == (
        "# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html"
    )


# --- up and teardown ------------------------------------------------------------------------------


@pytest.mark.slow
def test_up_and_teardown_explain_and_do_it(commands: Commands) -> None:
    up = commands.up("--explain")
    assert up.code == 0
    assert operations(up)["vpc"] == ["CreateVpc"]
    down = commands.teardown("--explain")
    assert down.code == 0
    assert operations(down)["vpc"] == ["DeleteVpc"]
    nothing = commands.teardown("--explain")
    assert nothing.code == 0
    assert operations(nothing) == {}


def test_teardown_says_what_it_would_delete_and_how(built: Built) -> None:
    before = len(built.remote.journal())
    result = built.commands.run("teardown", "--plan", "--explain", "--output", "json")
    assert result.code == 0
    made = operations(result)
    assert made["function-iam"] == ["UpdateFunctionConfiguration", "DeleteFunction"]
    assert made["role-function-iam"] == ["DeleteRolePolicy", "DetachRolePolicy", "DeleteRole"]
    assert made["layer"] == ["DeleteLayerVersion"]
    actions = {each["step"]: each["action"] for each in result.of("explain")}
    assert actions["stage"] == "goes with api"
    assert made["stage"] == []
    assert actions["target-iam"] == "goes with proxy-iam"
    assert list(made)[-1] == "vpc"
    for calls_of_step in calls(result).values():
        for call in calls_of_step:
            check_line(call)
    assert not [call for call in built.remote.journal()[before:] if call.mutating]


def test_a_protected_instance_has_no_line(built: Built) -> None:
    instance = {"DBInstanceIdentifier": f"{NAME}-database", "ApplyImmediately": True}
    built.account.rds.modify_db_instance(**instance, DeletionProtection=True)
    try:
        result = built.commands.run("teardown", "--plan", "--explain", "--output", "json")
    finally:
        built.account.rds.modify_db_instance(**instance, DeletionProtection=False)
    assert result.code == 0
    assert operations(result)["db-instance"] == []


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", "''"),
        ("two words", "'two words'"),
        ("it's", "'it'\"'\"'s'"),
        ("$HOME", "'$HOME'"),
        ("${vpc.id}", '"$VPC_ID"'),
        ("integrations/${integration-iam.id}", 'integrations/"$INTEGRATION_IAM_ID"'),
        ("${secret.password}", '"$PASSWORD"'),
        ('{"a":"${role-proxy.arn}"}', '\'{"a":"\'"$ROLE_PROXY_ARN"\'"}\''),
    ],
)
def test_quoting(text: str, shown: str) -> None:
    assert quoted(text) == shown
    words = shlex.split(shown)
    assert len(words) == 1


@pytest.mark.parametrize("service", PAGES)
def test_every_service_has_pages(service: str) -> None:
    about = model(service)
    operation = about.operation_model(about.operation_names[0])
    url = explained(operation, {}, REGION, "step").document
    assert re.fullmatch(r"https://docs\.aws\.amazon\.com/[\w/.-]+\.html", url)


def test_pages_of_api_gateway_are_those_of_its_paths() -> None:
    operation = model("apigatewayv2").operation_model("UpdateIntegration")
    url = explained(operation, {}, REGION, "step").document
    assert url.endswith("/api-reference/apis-apiid-integrations-integrationid.html")


def test_an_answer_that_was_not_given_has_every_key() -> None:
    answer: Any = UnsentAnswer("unknown")
    assert isinstance(answer["DBProxy"]["DBProxyArn"].rpartition(":")[2], str)
    assert answer.get("Endpoint") is None
    assert answer[0] == "u"
