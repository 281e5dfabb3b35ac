"""What the configuration takes, held against AWS's own limits as botocore's models have them."""

from __future__ import annotations

import re

import botocore.session
import pytest
from botocore.model import StructureShape
from sqlalchemy.dialects.mysql.reserved_words import RESERVED_WORDS_MYSQL

from provision.config import LOG_RETENTION_DAYS, checked
from provision.config.reserved_words import MYSQL_RESERVED
from provision.errors import ConfigError

SESSION = botocore.session.Session()


def known_to_botocore() -> list[str]:
    partitions = SESSION.get_available_partitions()
    listed = [SESSION.get_available_regions("ec2", each) for each in partitions]
    return [region for each in listed for region in each]


TO_COME = ["eu-north-2", "ap-southeast-9", "af-north-1", "nz-north-1", "us-gov-central-1"]
TO_COME += ["us-isob-south-1", "eusc-de-west-2", "eusc-fr-west-1", "ap-east-12", "cn-east-1"]


@pytest.mark.parametrize("region", [*known_to_botocore(), *TO_COME])
def test_every_region_of_aws_and_every_form_of_one_to_come_is_taken(region: str) -> None:
    assert checked({"environment": {"region": region}}, source="test").environment.region == region


def test_log_retentions_are_those_that_cloudwatch_logs_takes() -> None:
    words = SESSION.get_service_model("logs").shape_for("Days").documentation
    listed = words.partition("Possible values are:")[2].partition(".")[0]
    days = [int(text) for text in re.findall(r"\d+", listed)]
    assert list(LOG_RETENTION_DAYS) == days
    for each in days:
        assert checked({"function": {"log_retention_days": each}}, source="test")


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("iam", "tagKeyType", "tagValueType"),
        ("lambda", "TagKey", "TagValue"),
        ("logs", "TagKey", "TagValue"),
        ("secretsmanager", "TagKeyType", "TagValueType"),
    ],
)
def test_the_longest_tags_are_those_of_each_service(service: str, key: str, value: str) -> None:
    model = SESSION.get_service_model(service)
    sizes = [model.shape_for(shape).metadata["max"] for shape in (key, value)]
    longest = {"k" * sizes[0]: "v" * sizes[1]}
    assert checked({"environment": {"tags": longest}}, source="test").environment.tags == longest


@pytest.mark.parametrize(
    "tags",
    [
        {"team": ""},
        {"team": "青い 海"},
        {"Cost Center": "a+b=c/d@e:f_g.h-i"},
        {"équipe": "x\u3000y"},
        {"my:aws:thing": "not aws:"},
        {"names": "x", "provision": "y"},
    ],
)
def test_tags_that_aws_takes_are_taken(tags: dict[str, str]) -> None:
    assert checked({"environment": {"tags": tags}}, source="test").environment.tags == tags


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "orders"),
        ("name", "master_bind"),  # reserved in MySQL 8.0, and no longer in 8.4
        ("name", "x" * 64),
        ("username", "admin"),
        ("username", "member"),
        ("table", "order"),  # the functions quote it
        ("engine_version", "8.4.7"),
        ("engine_version", "8.4"),
    ],
)
def test_names_and_versions_that_rds_takes_are_taken(key: str, value: str) -> None:
    assert getattr(checked({"database": {key: value}}, source="test").database, key) == value


# SQLAlchemy's list has every version of MySQL in one. These it has beside those of 8.4: reserved in
# an earlier version, or never (MySQL 8.4 Reference Manual, "Keywords and Reserved Words").
NOT_IN_8_4 = {
    *("admin", "array", "general", "get_master_public_key", "ignore_server_ids", "master_bind"),
    *("master_heartbeat_period", "master_ssl_verify_server_cert", "member", "parse_gcol_expr"),
    *("persist", "persist_only", "role", "slow", "sql_after_gtids", "sql_before_gtids"),
}
SINCE_8_4 = {"manual", "tablesample"}


def test_reserved_words_are_those_of_mysql() -> None:
    assert NOT_IN_8_4 <= RESERVED_WORDS_MYSQL
    assert (RESERVED_WORDS_MYSQL - NOT_IN_8_4) | SINCE_8_4 == MYSQL_RESERVED


def test_reserved_words_are_refused_as_names_whatever_their_case() -> None:
    for word in MYSQL_RESERVED:
        for key in ("name", "username"):
            with pytest.raises(ConfigError):
                checked({"database": {key: word.upper()}}, source="test")


BOUNDS = [
    ("ConnectionPoolConfiguration", "MaxConnectionsPercent", "proxy.max_connections_percent"),
    (
        "ConnectionPoolConfiguration",
        "ConnectionBorrowTimeout",
        "proxy.connection_borrow_timeout_seconds",
    ),
    ("CreateDBInstanceMessage", "BackupRetentionPeriod", "database.backup_retention_days"),
]


@pytest.mark.parametrize(("shape", "member", "key"), BOUNDS, ids=[key for *_, key in BOUNDS])
def test_bounds_are_those_of_rds(shape: str, member: str, key: str) -> None:
    structure = SESSION.get_service_model("rds").shape_for(shape)
    assert isinstance(structure, StructureShape)
    words = re.sub("<[^>]*>", "", structure.members[member].documentation)
    found = re.search(r"[Mm]ust be (?:a value )?(?:between|from) (\d+) (?:and|to) (\d+)", words)
    assert found
    low, high = (int(text) for text in found.groups())
    section, name = key.split(".")
    more = {"max_idle_connections_percent": 0} if name == "max_connections_percent" else {}
    for value in (low, high):
        assert checked({section: {name: value} | more}, source="test")
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigError):
            checked({section: {name: value} | more}, source="test")
