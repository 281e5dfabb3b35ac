"""Single checks of account and region: what each of RDS's and EC2's answers means for an `up`."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from provision.config import Config, DatabaseSettings
from provision.config.schema import ProxySettings
from provision.engine.plan import Action, Plan, Planned
from provision.environment import environment
from provision.errors import AwsCallError, UnreachableError
from provision.resources.base import Seen
from provision.verify.doctor import preflight
from provision.verify.doctor.finding import Finding, Grade
from tests.support.answers import Answers, refusal
from tests.support.names import REGION
from tests.support.resources import answering

RESOURCES = environment(Config(), packed=False)


def plan(version: str = "", /, **seen: Seen) -> Plan:
    """A plan that creates everything but what is seen; `version`: the DB instance runs it."""
    there = {step.replace("_", "-"): each for step, each in seen.items()}
    if version:
        there["db-instance"] = Seen({"id": "db"}, {"EngineVersion": version})
    return Plan(
        tuple(
            Planned(
                each, Action.NONE if each.step in there else Action.CREATE, there.get(each.step)
            )
            for each in RESOURCES
        )
    )


def findings(
    check: str, answers: Answers, of: Plan | None = None, config: Config | None = None
) -> list[Finding]:
    with answering(answers) as aws:
        config = config or Config()
        run: Any = SimpleNamespace(
            aws=aws, config=config, template=environment(config, packed=False)
        )
        found = list(preflight.CHECKS[check](run, of or plan()))
        assert aws.changes() == []
    return found


def only(found: list[Finding]) -> tuple[Grade, str, str]:
    (finding,) = found
    return finding.verdict, finding.reason, finding.next_step


VERSIONS = {
    "rds.describe_db_engine_versions": {
        "DBEngineVersions": [
            {"EngineVersion": each} for each in ("8.4.10", "8.4.9", "8.0.40", "8.4.3")
        ]
    }
}


def wanting(version: str) -> Config:
    return replace(Config(), database=DatabaseSettings(engine_version=version))


def test_the_newest_minor_of_what_is_wanted_is_named() -> None:
    grade, reason, _ = only(findings("engine version", VERSIONS, config=wanting("8.4")))
    assert (grade, reason) == (Grade.GOOD, "MySQL 8.4 is offered, up to 8.4.10")


def test_a_version_that_is_not_offered_is_bad_with_those_that_are() -> None:
    grade, reason, next_step = only(findings("engine version", VERSIONS, config=wanting("8.4.1")))
    assert grade is Grade.BAD
    assert f"database.engine_version = '8.4.1': not offered in {REGION}" in reason
    assert "one of 8.4.10, 8.4.9, 8.4.3, 8.0.40" in next_step


def test_a_region_that_lists_none_is_a_warning_and_a_running_one_is_not_looked_up() -> None:
    none: Answers = {"rds.describe_db_engine_versions": {"DBEngineVersions": []}}
    assert only(findings("engine version", none))[0] is Grade.WARNING
    refused = {"rds.describe_db_engine_versions": refusal("InternalFailure")}
    running = only(findings("engine version", refused, plan("8.4.3")))
    assert running[:2] == (Grade.GOOD, "MySQL 8.4.3 is running")


def zones(*names: str) -> Answers:
    return {
        "ec2.describe_availability_zones": {
            "AvailabilityZones": [{"ZoneName": each} for each in names]
        },
        "rds.describe_orderable_db_instance_options": {"OrderableDBInstanceOptions": []},
    }


def test_two_zones_are_good_and_fewer_are_bad() -> None:
    grade, reason, _ = only(findings("zones and instance class", zones("a", "b")))
    assert (grade, reason.split(" offer ")[0]) == (Grade.GOOD, "a and b")
    grade, reason, next_step = only(findings("zones and instance class", zones("a")))
    assert grade is Grade.BAD
    assert "in the zones a of" in reason
    assert "network.availability_zones" in next_step


def test_zones_that_cannot_be_listed_are_awss_refusal() -> None:
    denied = {**zones("a"), "ec2.describe_availability_zones": refusal("UnauthorizedOperation")}
    with answering(denied) as aws:
        run: Any = SimpleNamespace(aws=aws, config=Config(), template=RESOURCES)
        (finding,) = preflight.checked(
            "zones and instance class", preflight.zones, run, plan(), strict=True
        )
    assert finding.verdict is Grade.WARNING
    assert "UnauthorizedOperation" in finding.reason


def test_what_stands_in_its_zones_stays_there() -> None:
    subnets = {each.step: Seen({"id": each.step}) for each in RESOURCES if "subnet" in each.step}
    assert findings("zones and instance class", {}, plan("8.4.3", **subnets)) == []


def test_how_many_proxies_and_networks_there_are_only_warns() -> None:
    many = {
        "rds.describe_db_proxies": {"DBProxies": [{"DBProxyName": "x"}] * 19},
        "ec2.describe_vpcs": {"Vpcs": [{}] * 5},
    }
    few = {
        "rds.describe_db_proxies": {"DBProxies": []},
        "ec2.describe_vpcs": {"Vpcs": [{}] * 4},
    }
    for check, reason in (("RDS Proxies", "19 exist, 2 more"), ("VPCs", "5 exist, 1 more")):
        grade, said, next_step = only(findings(check, many))
        assert (grade, said.startswith(reason)) == (Grade.WARNING, True)
        assert "Service Quotas" in next_step
        assert only(findings(check, few))[0] is Grade.GOOD


def test_a_region_without_rds_proxy_is_bad() -> None:
    lacks = {"rds.describe_db_proxies": refusal("InvalidAction", "DescribeDBProxies")}
    grade, reason, next_step = only(findings("RDS Proxies", lacks))
    assert grade is Grade.BAD
    assert f"not offered in {REGION}: DescribeDBProxies answered InvalidAction" in reason
    assert "--region" in next_step
    with pytest.raises(AwsCallError, match="AccessDenied"):
        findings("RDS Proxies", {"rds.describe_db_proxies": refusal("AccessDenied")})


def test_pools_that_together_take_more_than_all_connections_are_a_warning() -> None:
    assert only(findings("connection pools", {}))[0] is Grade.WARNING
    half = replace(Config(), proxy=ProxySettings(max_connections_percent=50))
    assert only(findings("connection pools", {}, config=half))[0] is Grade.GOOD


def test_a_secret_that_waits_for_its_deletion_is_said() -> None:
    waiting = Seen({"arn": "x"}, {"DeletedDate": "2026-01-01"})
    good, warned = findings("names", {}, plan(secret=waiting))
    assert (good.verdict, warned.verdict) == (Grade.GOOD, Grade.WARNING)
    assert "`up` restores it" in warned.reason


@pytest.mark.parametrize(("there", "words"), [(True, "exists"), (False, "does not exist yet")])
def test_rdss_own_role_is_good_either_way(there: bool, words: str) -> None:
    seen = {"service_linked_role": Seen({"arn": "x"})} if there else {}
    grade, reason, _ = only(findings("service-linked role", {}, plan(**seen)))
    assert grade is Grade.GOOD
    assert words in reason


def test_what_cannot_be_reached_is_raised_only_where_it_has_to_be_known() -> None:
    def unreachable(*_: object) -> Any:
        raise UnreachableError("no network", next_step="connect")

    run: Any = None
    (finding,) = preflight.checked("VPCs", unreachable, run, plan(), strict=False)
    assert (finding.verdict, finding.next_step) == (Grade.WARNING, "connect")
    assert "no network" in finding.reason
    with pytest.raises(UnreachableError):
        preflight.checked("VPCs", unreachable, run, plan(), strict=True)
