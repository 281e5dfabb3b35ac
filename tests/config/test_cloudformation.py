"""The environment as a CloudFormation template, under every rule of cfn-lint, in every region.

cfn-lint carries AWS's own schemas of the resources' types, and by region what AWS offers there.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.data import AdditionalSpecs
from cfnlint.helpers import REGIONS, load_resource
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from provision.config import LOG_RETENTION_DAYS, RUNTIMES, Config, checked
from provision.rehearsal.aws.behaviours import lambda_, logs
from provision.rehearsal.aws.behaviours.rds_catalogue import CLASSES, VERSIONS
from tests.support.cloudformation import Template, template
from tests.support.names import REGION

pytestmark = pytest.mark.slow

PATCH = "8.4.10"  # a template names one; RDS itself takes 8.4 as well
IGNORED = {
    "I4010": "asks for comments in a block of its own, for models; ours are in environment.py",
}
# Where AWS does not offer what the default configuration takes. `doctor` and `up` say so before
# anything is made.
NOT_THERE = {
    ("E3025", "'db.t4g.micro'", "ca-west-1"),
    ("E3006", "'AWS::RDS::DBProxy'", "ap-east-2"),
    ("E3006", "'AWS::RDS::DBProxyTargetGroup'", "ap-east-2"),
}

Finding = tuple[str, str, str]  # rule, place, message


def config(**sections: dict[str, Any]) -> Config:
    """A configuration that differs from the default in this, and in a version that is whole."""
    database = {"engine_version": PATCH, **sections.pop("database", {})}
    return checked({"database": database, **sections}, source="test")


def findings(document: Template, *regions: str) -> list[Finding]:
    """What cfn-lint says of a template, by all its rules but those ignored; in one region, or in
    these.
    """
    where = list(regions or [REGION])
    settings = ManualArgs(include_checks=["I"], include_experimental=True, regions=where)
    found = lint(json.dumps(document), config=settings)
    return [
        (each.rule.id, "/".join(map(str, each.path or ())), each.message)
        for each in found
        if each.rule.id not in IGNORED
    ]


@cache
def default() -> Template:
    """The template of the default configuration."""
    return template(config())


def test_no_rule_finds_anything_but_what_a_region_lacks() -> None:
    found = findings(default(), *REGIONS)
    lacks = [
        (rule, re.findall(r"'[^']+'", message)[0], message.rpartition(" in ")[2].strip("'"))
        for rule, _, message in found
    ]
    assert set(lacks) == NOT_THERE, found


def test_the_whole_environment_is_in_the_template() -> None:
    kinds = [each["Type"] for each in default()["Resources"].values()]
    counts = {kind.removeprefix("AWS::"): kinds.count(kind) for kind in kinds}
    assert counts == {
        "EC2::VPC": 1, "EC2::Subnet": 3, "EC2::SecurityGroup": 3, "EC2::SecurityGroupEgress": 2,
        "EC2::SecurityGroupIngress": 2, "IAM::ServiceLinkedRole": 1, "SecretsManager::Secret": 1,
        "RDS::DBSubnetGroup": 1, "RDS::DBInstance": 1, "IAM::Role": 4, "Logs::LogGroup": 4,
        "RDS::DBProxy": 2, "RDS::DBProxyTargetGroup": 2, "Lambda::LayerVersion": 1,
        "Lambda::Function": 2, "ApiGatewayV2::Api": 1, "ApiGatewayV2::Stage": 1,
        "ApiGatewayV2::Integration": 2, "ApiGatewayV2::Route": 3,
    }  # fmt: skip


EVERYTHING_ELSE = config(
    environment={
        "name": "a-name-of-28-characters-is-l",
        "tags": {"team": "blue"},
        "permissions_boundary": "arn:aws:iam::123456789012:policy/boundary",
    },
    database={
        "instance_class": "db.m7g.large",
        "allocated_storage_gib": 65536,
        "deletion_protection": True,
        "backup_retention_days": 35,
    },
    proxy={"debug_logging": True, "idle_client_timeout_seconds": 28800},
    function={"runtime": "python3.12", "memory_mib": 10240, "timeout_seconds": 29},
    api={"throttle_burst": 5000, "throttle_rate_per_second": 10000.0},
)


def test_a_configuration_at_its_bounds_is_as_good() -> None:
    assert findings(template(EVERYTHING_ELSE)) == []


def broken(name: str, **properties: Any) -> Callable[[Template], None]:
    """Set properties of a resource; None takes one away."""

    def change(document: Template) -> None:
        there = document["Resources"][name]["Properties"]
        there |= properties
        for key in [key for key, value in properties.items() if value is None]:
            del there[key]

    return change


@pytest.mark.sweep(part=10)
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (broken("DbInstance", DBInstanceClass="db.t4g.tiny"), "E3025"),
        (broken("DbInstance", EngineVersion="8.4.99"), "E3691"),
        (broken("ProxyIam", EngineFamily="MARIA"), "E3030"),
        (broken("FunctionIam", Runtime="python3.7"), "E2531"),
        (broken("FunctionIam", MemorySize=64), "E3034"),
        (broken("LogGroupIam", RetentionInDays=8), "E3030"),
        (broken("RouteFunc1", ApiId=None), "E3003"),
        (broken("SubnetFunction", CidrBlock="10.9.0.0/16"), "E3059"),
        (broken("RoleApi", RoleName="x" * 65), "E3033"),
        (broken("Vpc", CidrBlok="10.0.0.0/16"), "E3002"),
    ],
)
def test_a_broken_template_is_found(change: Callable[[Template], None], rule: str) -> None:
    document = copy.deepcopy(default())
    change(document)
    assert rule in {found for found, *_ in findings(document)}


# --- lists of ours that AWS's schemas have too ---------------------------------------------------


def values(kind: str, name: str, region: str) -> list[Any]:
    """What a property of a type of resources may be."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).schema
    found: list[Any] = schema["properties"][name]["enum"]
    return found


def test_log_retentions_are_those_of_the_schema() -> None:
    known = values("AWS::Logs::LogGroup", "RetentionInDays", REGION)
    assert list(LOG_RETENTION_DAYS) == known
    assert list(logs.RETENTION_DAYS) == known


def test_every_region_has_the_runtimes() -> None:
    lists = [values("AWS::Lambda::Function", "Runtime", region) for region in REGIONS]
    assert all(set(RUNTIMES) <= set(known) for known in lists)


def test_runtimes_are_blocked_when_aws_blocks_them() -> None:
    known = load_resource(AdditionalSpecs, "LmbdRuntimeLifecycle.json")
    assert {
        name: about["create-block"] for name, about in known.items() if name.startswith("python")
    } == lambda_.CREATE_BLOCKED
    newest = max(RUNTIMES, key=lambda name: int(name.rpartition(".")[2]))
    assert {known[name]["successor"] or name for name in RUNTIMES} == {newest}


def offered() -> Iterator[str]:
    """Versions of MySQL that cfn-lint knows on RDS, by its refusal of one that there is not."""
    document = copy.deepcopy(default())
    broken("DbInstance", EngineVersion="0.0")(document)
    ((_, _, message),) = findings(document)
    yield from json.loads(message.partition(" of ")[2].replace("'", '"'))


def test_every_version_that_the_rehearsal_offers_is_one_of_rds() -> None:
    assert {each.name for each in VERSIONS} <= set(offered())
    assert {"8.0", "8.4"} == {each.major for each in VERSIONS}


def test_every_instance_class_that_the_rehearsal_offers_is_one_of_rds() -> None:
    document = copy.deepcopy(default())
    for name in CLASSES:
        broken("DbInstance", DBInstanceClass=name)(document)
        assert findings(document) == [], name
