"""What `up` makes, to the last property and tag, as AWS shows it to somebody with boto3 alone.

Read from a rehearsed AWS and from moto's own server, which has nothing of ours in it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from provision.rehearsal import environ
from tests.support.account import Account
from tests.support.built import Built, commands_at
from tests.support.design import Described, differing, expected_tags, tags_of_all
from tests.support.names import ACCOUNT, MADE, NAME, REGION
from tests.support.servers import plain_moto_server, rehearsal_server

pytestmark = pytest.mark.slow
NOT_AT_MOTO = {"EngineLifecycleSupport"}  # properties that moto by itself does not keep


def test_every_property_is_what_the_design_says(built: Built) -> None:
    assert differing(Described(built.account)) == []


def test_everything_that_can_carry_tags_has_exactly_ours(built: Built) -> None:
    tags = tags_of_all(Described(built.account))
    assert tags["vpc"].pop("provision:state").startswith("file://")
    assert tags == expected_tags()


def test_motos_own_server_gets_the_same_keeps_it_and_loses_it(tmp_path: Path) -> None:
    with plain_moto_server() as url:
        commands = commands_at(url, tmp_path)
        first = commands.up()
        assert first.code == 0, first.stdout[-1500:]
        assert first.counts(created=MADE), first.stdout[-1500:]
        described = Described(Account(environ(url, REGION)))
        assert [row for row in differing(described) if row[1] not in NOT_AT_MOTO] == []
        tags = tags_of_all(described)
        assert tags["vpc"].pop("provision:state").startswith("file://")
        assert tags == expected_tags()
        second = commands.up()
        assert second.code == 0
        assert second.counts()
        assert second.summary["unchanged"] == MADE
        down = commands.teardown()
        assert down.code == 0, down.stdout[-1500:]


def test_another_partition_has_its_own_arns_everywhere(tmp_path: Path) -> None:
    region = "us-gov-west-1"
    with rehearsal_server("--region", region) as remote:
        commands = commands_at(remote, tmp_path, region=region)
        first, second = commands.up(), commands.up()
        everything = Account.of(remote).everything()
    roles = json.dumps(everything["roles"])
    assert first.code == 0, first.stdout[-1500:]
    assert second.counts()
    for service in ("rds-db", "lambda", "secretsmanager", "kms"):
        assert f"arn:aws-us-gov:{service}:{region}:{ACCOUNT}:" in roles
    assert "arn:aws-us-gov:iam::aws:policy/service-role/" in roles
    assert "arn:aws:" not in roles


def test_the_database_stands_in_two_zones_that_offer_its_class(built: Built) -> None:
    described = Described(built.account)
    first, second = (
        described.property(f"subnet-database-{number}", "AvailabilityZone") for number in (1, 2)
    )
    assert first != second
    assert described.property("subnet-function", "AvailabilityZone") == first
    options = built.account.all(
        "rds",
        "describe_orderable_db_instance_options",
        "OrderableDBInstanceOptions",
        Engine="mysql",
        EngineVersion="8.4",
        DBInstanceClass="db.t4g.micro",
    )
    offering = {zone["Name"] for option in options for zone in option["AvailabilityZones"]}
    assert {first, second} <= offering


def test_the_password_is_long_and_of_letters_and_digits(built: Built) -> None:
    password = built.account.secret(f"{NAME}/database")["password"]
    assert re.fullmatch(r"[A-Za-z0-9]{32}", password)
