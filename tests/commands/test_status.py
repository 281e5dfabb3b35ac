"""`provision status`: an environment that is missing, half made, drifted, or as it should be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.rehearsal import Fault, Remote
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import Commands, Result
from tests.support.names import MADE, NAME

pytestmark = pytest.mark.slow


def status(commands: Commands) -> Result:
    """Run `status` for a program; it always succeeds."""
    result = commands.run("provision", "status", "--output", "json")
    assert result.code == 0, result.stdout[-1000:] + result.stderr
    return result


def resources(result: Result) -> dict[str, dict[str, Any]]:
    """Return each step's record."""
    return {each["step"]: each for each in result.of("resource")}


def person(commands: Commands) -> list[str]:
    """Run `status` for a person; return its lines."""
    result = commands.run("provision", "status", "--output", "plain")
    assert result.code == 0, result.stderr
    return result.stdout.splitlines()


def test_an_environment_that_is_missing(commands: Commands, rehearsal: Remote) -> None:
    result = status(commands)
    found = resources(result)
    assert len(found) == MADE
    assert not any(each["present"] for each in found.values())
    assert result.of("urls") == [{"event": "urls", "password": None, "iam": None}]
    (cost,) = result.of("cost")
    assert (cost["per_hour"], cost["so_far"], cost["since"]) == (0.0, 0.0, None)
    assert result.summary["ok"] is True
    assert result.summary["url"] is None
    lines = person(commands)
    assert lines[1].startswith("✓ status: done in ")
    assert lines[2:] == [
        f"  environment {NAME} does not exist",
        "  costs nothing now",
        "next:",
        "  python -m provision up  create it",
    ]
    assert not any(call.mutating for call in rehearsal.journal())


def test_an_environment_that_is_as_it_should_be(built: Built) -> None:
    result = status(built.commands)
    found = resources(result)
    assert len(found) == MADE
    assert all(each["present"] and each["ours"] and not each["drift"] for each in found.values())
    proxy = found["proxy-iam"]
    assert proxy == {
        "event": "resource",
        "step": "proxy-iam",
        "kind": "AWS::RDS::DBProxy",
        "id": f"{NAME}-iam",
        "status": "available",
        "reason": "",
        "drift": [],
        "present": True,
        "ours": True,
    }
    (urls,) = result.of("urls")
    url = result.summary["url"]
    assert (urls["password"], urls["iam"]) == (f"{url}/func1", f"{url}/func2")
    (cost,) = result.of("cost")
    assert cost["per_hour"] == pytest.approx(0.1013)
    assert cost["so_far"] > 0
    assert (cost["currency"], cost["missing"], cost["verified"]) == ("USD", [], False)


def test_what_a_person_sees_of_it(built: Built) -> None:
    lines = person(built.commands)
    assert lines[1].split() == ["step", "state", "id", "or", "name"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2 : 2 + MADE]}
    assert rows["db-instance"] == ["✓", "ready", f"{NAME}-database"]
    assert rows["target-iam"] == ["✓", "ready"]
    assert rows["role-api"] == ["✓", "ready", f"{NAME}-api-ap-northeast-1"]
    text = "\n".join(lines[2 + MADE :])
    assert f"  {MADE - 1} of {MADE - 1} resources exist\n" in text
    assert "  costs about $0.101 an hour ($73 in 30 days), table of " in text
    assert "  has cost about $0.0" in text
    assert "python -m provision check" in text


def test_drift_is_shown_field_by_field_and_is_no_failure(built: Built) -> None:
    built.account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", RequireTLS=False)
    role = f"{NAME}-function-iam-ap-northeast-1"
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    built.account.iam.put_role_policy(
        RoleName=role,
        PolicyName="connect-to-proxy",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    try:
        drift = {
            step: [change["property"] for change in each["drift"]]
            for step, each in resources(status(built.commands)).items()
            if each["drift"]
        }
        assert drift == {"proxy-iam": ["RequireTLS"], "role-function-iam": ["Policies"]}
        lines = person(built.commands)
    finally:
        assert built.commands.up().code == 0
    assert f"proxy-iam                 ≠ differs  {NAME}-iam" in lines
    start = lines.index("differs from config.toml (is -> should):")
    assert lines[start + 1 : start + 7] == [
        "  proxy-iam",
        "    RequireTLS: false -> true",
        "  role-function-iam",
        "    Policies.connect-to-proxy.Statement:",
        "      ...",
        "          {",
    ]
    assert f"  {MADE - 1} of {MADE - 1} resources exist; 2 differ" in lines
    assert any("create what is missing, change what differs" in line for line in lines)
    assert not any(each["drift"] for each in resources(status(built.commands)).values())


def test_an_environment_that_is_half_made(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_faults(Fault("denied", "CreateDBProxy", times=9))
    assert commands.up().code == 1
    rehearsal.set_faults()
    result = status(commands)
    found = resources(result)
    missing = {step for step, each in found.items() if not each["present"]}
    assert {"proxy-password", "proxy-iam", "target-iam", "function-iam"} <= missing
    assert found["vpc"]["present"]
    (cost,) = result.of("cost")
    assert cost["per_hour"] < 0.05  # no proxy, and they are three quarters of the bill
    lines = person(commands)
    (line,) = (each for each in lines if each.startswith("  missing: "))
    assert "proxy-password, proxy-iam" in line
    assert {each.split()[0] for each in lines if "○ missing" in each} == missing


def test_what_somebody_else_made_under_our_name_is_called_theirs(
    commands: Commands, account: Account
) -> None:
    account.logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-iam", tags={"owner": "them"})
    found = resources(status(commands))["log-group-iam"]
    assert (found["present"], found["ours"], found["drift"]) == (True, False, [])
    lines = person(commands)
    assert f"log-group-iam             ⊘ not ours  /aws/lambda/{NAME}-iam" in lines
    assert f"  environment {NAME} does not exist" in lines
    assert any("is not this environment's" in line for line in lines)


def test_what_the_state_file_has_lost_is_found_and_said(built: Built) -> None:
    kept = built.commands.state_path().read_text()
    built.commands.state_path().unlink()
    try:
        lines = person(built.commands)
        assert not built.commands.state_path().exists()
    finally:
        built.commands.state_path().write_text(kept)
    (line,) = (each for each in lines if "not in the state file" in each)
    assert "found by tags and names: vpc, " in line
    assert f"  {MADE - 1} of {MADE - 1} resources exist" in lines


def test_a_region_without_prices_has_a_status_all_the_same(commands: Commands) -> None:
    result = commands.run(
        "provision", "status", "--output", "json", "--set", "environment.region=eu-west-1"
    )
    assert result.code == 0
    (cost,) = result.of("cost")
    assert (cost["per_hour"], cost["missing"]) == (0.0, [])


def test_a_call_that_is_denied_ends_it_with_the_reason(
    commands: Commands, rehearsal: Remote
) -> None:
    rehearsal.set_faults(Fault("denied", "DescribeDBProxies", times=9))
    result = commands.run("provision", "status", "--output", "json")
    assert result.code == 1
    assert result.error["operation"] == "DescribeDBProxies"
    assert "AccessDenied" in result.error["code"]
