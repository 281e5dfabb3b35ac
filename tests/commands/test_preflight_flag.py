"""What AWS is sure to refuse stops `up` before anything is made; `--no-preflight` goes on."""

from __future__ import annotations

import pytest

from provision.rehearsal import Override, Remote
from tests.support.built import Built
from tests.support.commands import Commands

DENIED = "User: x is not authorized to perform: it because no identity-based policy allows it"
FULL = Override(
    "rds:DescribeAccountAttributes",
    set={"AccountQuotas": [{"AccountQuotaName": "DBInstances", "Used": 40, "Max": 40}]},
)
ZONES = '["ap-northeast-1a", "ap-northeast-1c"]'


def denied(operation: str) -> Override:
    return Override(operation, code="UnauthorizedOperation", message=DENIED, status=403)


def test_what_is_sure_to_fail_stops_up_and_with_the_flag_only_warns(
    commands: Commands, rehearsal: Remote
) -> None:
    rehearsal.set_overrides(FULL)
    result = commands.up()
    assert result.code == 1
    assert "RDS quota: DBInstances: 40 of 40 used" in result.error["message"]
    assert not [each for each in rehearsal.journal() if each.mutating]
    forced = commands.run("provision", "up", "--no-check", "--no-preflight", "--output", "plain")
    assert forced.code == 0, forced
    assert "warning: RDS quota: DBInstances: 40 of 40 used" in forced.stderr


def test_zones_of_config_are_taken_as_they_are_by_a_caller_who_may_not_describe(
    commands: Commands, rehearsal: Remote
) -> None:
    rehearsal.set_overrides(
        denied("ec2:DescribeAvailabilityZones"),
        denied("rds:DescribeOrderableDBInstanceOptions"),
        denied("rds:DescribeAccountAttributes"),
        denied("rds:DescribeDB*EngineVersions"),
    )
    flags = ("--no-preflight", "--set", f"network.availability_zones={ZONES}")
    result = commands.up(*flags)
    assert result.code == 0, result.error
    asked = {each.operation for each in rehearsal.journal() if each.mutating}
    assert "CreateDBInstance" in asked


def test_an_emulator_that_knows_no_versions(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_overrides(
        Override("rds:DescribeDBEngineVersions", set={"DBEngineVersions": []}),
        Override("rds:DescribeDBMajorEngineVersions", code="InvalidAction", message="Unknown."),
        Override("rds:DescribeOrderableDBInstanceOptions", set={"OrderableDBInstanceOptions": []}),
    )
    assert commands.up("--no-preflight").code == 0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidAction", "Could not find operation DescribeDBProxies for version 2014-10-31"),
        ("InvalidParameterValue", "RDS Proxy is not supported in this region."),
        ("UnsupportedOperation", "No."),
    ],
)
def test_a_region_without_rds_proxy_is_said_before_anything_is_made(
    commands: Commands, rehearsal: Remote, code: str, message: str
) -> None:
    rehearsal.set_overrides(Override("rds:DescribeDBProxies", code=code, message=message))
    result = commands.up()
    assert result.code == 1
    assert message in result.error["message"]
    assert "does not offer this in ap-northeast-1" in result.error["next"]
    assert "--region" in result.error["next"]
    assert not [each for each in rehearsal.journal() if each.mutating]


POOLS = "together they may take 200 % of the instance's max_connections"


@pytest.mark.parametrize("words", [("provision", "plan"), ("provision", "doctor")])
def test_proxies_that_may_take_more_connections_than_there_are(
    built: Built, words: tuple[str, ...]
) -> None:
    result = built.commands.run(*words, "--output", "plain")
    said = " ".join((result.stdout + result.stderr).split())
    assert "max_connections_percent = 100 for each of 2 proxies" in said
    assert POOLS in said
    assert "AWS advises at most 100 %" in said


def test_proxies_that_share_are_not_warned_about(built: Built) -> None:
    half = ("--set", "proxy.max_connections_percent=50")
    result = built.commands.run("provision", "plan", "--output", "plain", *half)
    assert "AWS advises" not in result.stdout + result.stderr


def test_doctor_warns_where_nothing_is_made_yet_too(commands: Commands) -> None:
    result = commands.run("provision", "doctor", "--output", "json")
    (found,) = (each for each in result.of("finding") if each["what"] == "connection pools")
    assert found["verdict"] == "warning"
    assert POOLS in found["reason"]
    assert "50 for each" in found["next"]
