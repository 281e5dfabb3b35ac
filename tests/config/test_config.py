"""config.toml and --set: what is taken, what is refused and in which words, and that nothing is
called, made or written before every value is good."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.config import KEYS, SECTIONS, Config, checked, load
from provision.config.checks import NO_VPC
from provision.environment import environment
from provision.errors import ConfigError, UsageError
from provision.rehearsal import Remote
from provision.resources.template import Template
from tests.support.built import Built
from tests.support.commands import ROOT, Commands
from tests.support.refusals import plan, refused, with_environ

BAD_VALUES = [
    # key, value as TOML or a bare string, what the message has to say beside them
    ("environment.name", "", "1 to 28 lower-case letters"),
    ("environment.name", "Demo", "1 to 28 lower-case letters"),
    ("environment.name", "1demo", "beginning with a letter"),
    ("environment.name", "demo-", "single hyphens"),
    ("environment.name", "demo--two", "single hyphens"),
    ("environment.name", "demo_two", "hyphens"),
    ("environment.name", "x" * 29, "1 to 28"),
    ("environment.name", "sg-demo", "does not begin with sg-"),
    ("environment.name", '"demo\\n"', "1 to 28"),
    ("environment.name", "true", "a string"),
    ("environment.name", "7", "a string"),
    ("environment.region", "Tokyo", "a region such as"),
    ("environment.region", "ap-northeast-1a", "a region such as"),
    ("environment.region", "mars-north-1", "a region such as"),
    ("environment.region", "eu-wset-1", "a region such as eu-west-1"),
    ("environment.region", "us-esat-2", "a region such as us-east-2"),
    ("environment.region", "ap-northest-1", "a region such as ap-northeast-1"),
    ("environment.region", "eu-west-١", "a region such as eu-west-1"),  # noqa: RUF001
    ("environment.region", "eu-west-0", "a region such as"),
    ("environment.region", "eu-west-1 ", "a region such as eu-west-1"),
    ("environment.region", "uk-west-1", "a region such as"),
    ("environment.region", "EU-WEST-1", "a region such as"),
    ("environment.permissions_boundary", "boundary", "the ARN of a policy"),
    ("environment.permissions_boundary", "arn:aws:iam::12:policy/b", "the ARN of a policy"),
    ("environment.permissions_boundary", "arn:aws:iam::123456789012:role/b", "the ARN of a policy"),
    ("environment.permissions_boundary", "arn:aws:iam::123456789012:policy/", "ARN of a policy"),
    ("environment.permissions_boundary", "arn:aws:iam::123456789012:policy/ b", "ARN of a policy"),
    ("environment.permissions_boundary", "arn:aws-cn:iam::aws:policy/b", "begin with arn:aws:"),
    ("environment.permissions_boundary", "7", "a string"),
    ("environment.tags", '"blue"', "a table"),
    ("environment.tags", "{ team = 7 }", "tags.team = 7: must be a string"),
    ("environment.tags", '{ Name = "x" }', "keys other than"),
    ("environment.tags", '{ "provision:step" = "x" }', "keys other than"),
    ("environment.tags", '{ "aws:mine" = "x" }', "does not begin with aws:"),
    ("environment.tags", '{ "RDS:mine" = "x" }', "does not begin with aws: or rds:"),
    ("environment.tags", '{ name = "x" }', "keys other than Name"),
    ("environment.tags", '{ "PROVISION:Step" = "x" }', "keys other than"),
    ("environment.tags", '{ "provision:expires" = "x" }', "keys other than"),
    ("environment.tags", '{ team = "a", Team = "b" }', "differs from 'team' in more than case"),
    ("environment.tags", '{ team = "aws:x" }', "does not begin with aws: or rds:"),
    ("environment.tags", '{ team = "RDS:x" }', "does not begin with aws: or rds:"),
    ("environment.tags", '{ team = "tab\\t" }', "letters, digits"),
    ("environment.tags", f'{{ team = "{"x" * 257}" }}', "at most 256"),
    ("environment.tags", f'{{ "{"k" * 129}" = "x" }}', "1 to 128"),
    ("environment.tags", "{" + ", ".join(f'k{n} = "x"' for n in range(41)) + "}", "at most 40"),
    ("environment.tags", '{ team = "a#b" }', "letters, digits"),
    ("environment.tags", '{ "" = "a" }', "letters, digits"),
    ("network.vpc_cidr", "10.0.0.0", "/16 to /28"),
    ("network.vpc_cidr", "10.0.0.0/15", "/16 to /28"),
    ("network.vpc_cidr", "10.0.0.0/29", "/16 to /28"),
    ("network.vpc_cidr", "10.0.0.1/16", "host bits"),
    ("network.vpc_cidr", "fd00::/56", "an IPv4 network"),
    ("network.vpc_cidr", "10.0.0.0/255.255.0.0", "in CIDR notation: 10.0.0.0/16"),
    ("network.vpc_cidr", "10.0.0.0/0.0.255.255", "in CIDR notation: 10.0.0.0/16"),
    ("network.vpc_cidr", "10.0.0.0/016", "in CIDR notation: 10.0.0.0/16"),
    ("network.vpc_cidr", "127.0.0.0/16", "a network that a VPC can have"),
    ("network.vpc_cidr", "169.254.0.0/16", "a network that a VPC can have"),
    ("network.vpc_cidr", "239.0.0.0/16", "a network that a VPC can have"),
    ("network.vpc_cidr", "0.0.0.0/16", "a network that a VPC can have"),
    ("network.vpc_cidr", "home", "an IPv4 network"),
    ("network.function_subnet_cidr", "10.1.1.0/24", "within network.vpc_cidr (10.0.0.0/16)"),
    ("network.function_subnet_cidr", "10.0.0.0/16", "overlap"),
    ("network.function_subnet_cidr", "10.0.2.128/25", "overlap"),
    ("network.database_subnet_cidrs", '["10.0.2.0/24"]', "a list of 2"),
    ("network.database_subnet_cidrs", '["10.0.2.0/24", "10.0.3.0/24", "10.0.4.0/24"]', "of 2"),
    ("network.database_subnet_cidrs", '["10.0.2.0/24", "10.0.2.0/24"]', "overlap"),
    ("network.database_subnet_cidrs", '["10.0.2.0/24", "192.168.0.0/24"]', "within"),
    ("network.database_subnet_cidrs", '"10.0.2.0/24"', "a list of strings"),
    ("network.database_subnet_cidrs", "[1, 2]", "a list of strings"),
    ("network.availability_zones", '["ap-northeast-1a"]', "two different zones"),
    ("network.availability_zones", '["ap-northeast-1a", "ap-northeast-1a"]', "two different"),
    ("network.availability_zones", '["ap-northeast-1a", "eu-west-1a"]', "a zone of ap-northeast-1"),
    ("network.availability_zones", '["ap-northeast-1a", "ap-northeast-1"]', "zone"),
    ("network.availability_zones", '["ap-northeast-10a", "ap-northeast-1a"]', "a zone of"),
    ("network.availability_zones", '["ap-northeast-1-nrt-1a", "ap-northeast-1a"]', "a zone of"),
    ("database.engine_version", "eight", "a version such as 8.4"),
    ("database.engine_version", "8.4.", "a version such as 8.4"),
    ("database.engine_version", "'8.٤'", "a version such as 8.4"),
    ("database.engine_version", "9.0", "RDS Proxy supports no newer MySQL"),
    ("database.engine_version", "8.5.1", "RDS Proxy supports no newer MySQL"),
    ("database.engine_version", "'84'", "a version such as 8.4"),
    ("database.engine_version", "8.0", "standard support"),
    ("database.engine_version", '"8.0.40"', "standard support"),
    ("database.engine_version", '"5.7"', "standard support"),
    ("database.instance_class", "t4g.micro", "db.t4g.micro"),
    ("database.allocated_storage_gib", "19", "20 to 65536"),
    ("database.allocated_storage_gib", "65537", "20 to 65536"),
    ("database.allocated_storage_gib", "20.0", "a whole number"),
    ("database.allocated_storage_gib", "true", "a whole number"),
    ("database.allocated_storage_gib", '"20"', "a whole number"),
    ("database.name", "1db", "a letter, then"),
    ("database.name", "my-db", "a letter, then"),
    ("database.name", "x" * 65, "at most 64"),
    ("database.name", "order", "not reserved"),
    ("database.name", "Select", "not reserved"),
    ("database.name", "TABLESAMPLE", "not reserved"),
    ("database.name", "rdsadmin", "not reserved"),
    ("database.username", "group", "not reserved"),
    ("database.username", "rank", "not reserved"),
    ("database.username", "qualify", "not reserved"),
    ("database.name", "mysql", "not reserved"),
    ("database.name", "SYS", "not reserved"),
    ("database.table", "order items", "a letter, then"),
    ("database.table", "`t`", "a letter, then"),
    ("database.username", "rdsadmin", "not reserved"),
    ("database.username", "RDSProxyAdmin", "not reserved"),
    ("database.username", "root", "not reserved"),
    ("database.username", "mysql", "not reserved"),
    ("database.username", "a" * 17, "at most 16"),
    ("database.username", "a@b", "a letter, then"),
    ("database.deletion_protection", "1", "true or false"),
    ("database.deletion_protection", "yes", "true or false"),
    ("database.backup_retention_days", "-1", "0 to 35"),
    ("database.backup_retention_days", "36", "0 to 35"),
    ("proxy.idle_client_timeout_seconds", "0", "1 to 28800"),
    ("proxy.idle_client_timeout_seconds", "28801", "1 to 28800"),
    ("proxy.connection_borrow_timeout_seconds", "301", "0 to 300"),
    ("proxy.max_connections_percent", "0", "1 to 100"),
    ("proxy.max_connections_percent", "101", "1 to 100"),
    ("proxy.max_connections_percent", "40", "max_connections_percent (40)"),
    ("proxy.max_idle_connections_percent", "-1", "0 to 100"),
    ("proxy.debug_logging", "0", "true or false"),
    ("function.runtime", "python3.8", "python3.13"),
    ("function.architecture", "amd64", "x86_64"),
    ("function.memory_mib", "127", "128 to 10240"),
    ("function.memory_mib", "10241", "128 to 10240"),
    ("function.timeout_seconds", "2", "3 to 29"),
    ("function.timeout_seconds", "30", "3 to 29"),
    ("function.log_retention_days", "8", "one of 1, 3, 5, 7"),
    ("api.throttle_rate_per_second", "0", "0.1 to 10000"),
    ("api.throttle_rate_per_second", "true", "a number"),
    ("api.throttle_rate_per_second", "nan", "0.1 to 10000"),
    ("api.throttle_rate_per_second", "inf", "0.1 to 10000"),
    ("api.throttle_burst", "0", "1 to 5000"),
    ("api.throttle_burst", "1.5", "a whole number"),
    ("wait.poll_seconds", "0.009", "0.01 to 60"),
    ("wait.poll_seconds", "soon", "a number"),
    ("wait.timeout_minutes", "241", "0.01 to 240"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "expected"), BAD_VALUES, ids=[f"{key}={value}" for key, value, _ in BAD_VALUES]
)
def test_a_bad_value_is_refused_with_its_key_and_what_would_be_right(
    unheard: Commands, key: str, value: str, expected: str
) -> None:
    message = refused(unheard, plan(unheard, f"{key}={value}"))
    if key != "proxy.max_connections_percent" or value != "40":  # its partner is named
        assert f"{key} = " in message or f"{key}." in message or f"{key}[" in message
    assert expected in message


@pytest.mark.parametrize("command", ["up", "plan", "status", "check", "teardown"])
def test_every_command_refuses_a_bad_value_before_it_does_anything(
    unheard: Commands, command: str
) -> None:
    words = ("teardown", "--yes") if command == "teardown" else ("provision", command)
    flags = ("--output", "json", "--set", "function.memory_mib=1")
    assert "function.memory_mib = 1" in refused(unheard, unheard.run(*words, *flags))


@pytest.mark.parametrize("words", [("provision", "up"), ("teardown", "--yes")])
def test_a_rehearsal_refuses_a_bad_value_too(unheard: Commands, words: tuple[str, ...]) -> None:
    flags = ("--dry-run", "--output", "json", "--set", "database.username=root")
    assert "database.username = 'root'" in refused(unheard, unheard.run(*words, *flags))


def test_all_bad_values_are_told_at_once(unheard: Commands) -> None:
    message = refused(
        unheard,
        plan(
            unheard,
            "environment.name=Demo",
            "database.usrname=x",
            "function.memory_mib=true",
            "api.throttle_burst=0",
            "nework.vpc_cidr=10.0.0.0/16",
        ),
    )
    assert "5 bad values" in message
    for part in ("'Demo'", "database.usrname", "True", "throttle_burst = 0", "nework"):
        assert part in message, part


def test_values_that_depend_on_others_are_told_with_those_that_are_bad_alone(
    unheard: Commands,
) -> None:
    message = refused(
        unheard,
        plan(
            unheard,
            "environment.name=Demo",
            "network.function_subnet_cidr=home",
            'network.database_subnet_cidrs=["10.0.2.0/24", "192.168.0.0/24"]',
            'network.availability_zones=["us-east-1a", "us-east-1b"]',
            "proxy.max_connections_percent=30",
        ),
    )
    assert "6 bad values" in message
    for part in ("'Demo'", "'home'", "must lie within network.vpc_cidr", "a zone of", "(30)"):
        assert part in message, part


@pytest.mark.parametrize(
    ("bad", "not_said"),
    [
        ("network.vpc_cidr=home", "must lie within"),
        ("environment.region=mars", "must be a zone of"),
        ("proxy.max_connections_percent=0", "must not be over"),
    ],
)
def test_nothing_is_held_against_a_value_that_is_bad_itself(
    unheard: Commands, bad: str, not_said: str
) -> None:
    dependent = (
        "network.function_subnet_cidr=172.16.0.0/24",
        'network.availability_zones=["us-east-1a", "us-east-1b"]',
        "proxy.max_idle_connections_percent=70",
    )
    message = refused(unheard, plan(unheard, bad, *dependent))
    assert bad.partition("=")[0] in message
    assert not_said not in message


def test_values_that_contradict_one_another_are_told_together(unheard: Commands) -> None:
    message = refused(
        unheard,
        plan(
            unheard,
            "network.function_subnet_cidr=172.16.0.0/24",
            'network.availability_zones=["us-east-1a", "ap-northeast-1a"]',
            "proxy.max_connections_percent=30",
        ),
    )
    assert "172.16.0.0/24" in message
    assert "us-east-1a" in message
    assert "must not be over proxy.max_connections_percent (30)" in message


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("database.instance_clas", "database.instance_class"),
        ("database.user", "database.username"),
        ("function.timeout", "function.timeout_seconds"),
        ("api.throttle_rate", "api.throttle_rate_per_second"),
        ("databse.name", "database"),
        ("functions.memory_mib", "function"),
    ],
)
def test_an_unknown_key_names_the_nearest(unheard: Commands, key: str, nearest: str) -> None:
    message = refused(unheard, plan(unheard, f"{key}=x"))
    assert f"did you mean {nearest}?" in message


def test_an_unknown_key_like_nothing_known_is_refused_without_a_guess(unheard: Commands) -> None:
    message = refused(unheard, plan(unheard, "zzz.qqq=1"))
    assert "zzz" in message
    assert "did you mean" not in message


def test_the_errors_are_told_to_people_too_with_what_to_do(unheard: Commands) -> None:
    result = unheard.run("provision", "plan", "--output", "plain", "--set", "api.throttle_burst=0")
    assert result.code == 2
    assert "api.throttle_burst = 0: must be a number from 1 to 5000 (requests)" in result.stderr
    assert "nothing was done" in result.stderr


# --- --set ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_a_boundary_is_of_the_partition_of_the_region(region: str, partition: str) -> None:
    def boundary_of(partition: str) -> Config:
        boundary = f"arn:{partition}:iam::123456789012:policy/b"
        values = {"region": region, "permissions_boundary": boundary}
        return checked({"environment": values}, source="test")

    assert boundary_of(partition)
    with pytest.raises(ConfigError, match=f"must begin with arn:{partition}: in {region}"):
        boundary_of(f"{partition}-other")


@pytest.mark.parametrize("override", ["", "name", "name=x", "=x", "database.=x", ".name=x"])
def test_what_is_no_key_and_value_is_refused_with_an_example(
    unheard: Commands, override: str
) -> None:
    result = plan(unheard, override)
    assert f"--set {override}" in refused(unheard, result)
    assert "--set database.instance_class=db.t4g.small" in result.error["next"]


def value_of(override: str, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(load(ROOT / "config.toml", [override]), section), name)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("database.name=shop", "shop"),  # no TOML: a string
        ('database.name="shop"', "shop"),
        ("function.memory_mib=512", 512),
        ("api.throttle_rate_per_second=5", 5.0),
        ("database.deletion_protection=true", True),
        ('network.availability_zones=["ap-northeast-1a", "ap-northeast-1c"]',
         ["ap-northeast-1a", "ap-northeast-1c"]),
        ("database.engine_version='8.4'", "8.4"),
        ("database.engine_version=8.4", "8.4"),
        ("database.engine_version=8.4.3", "8.4.3"),
        ("network.vpc_cidr=10.0.0.0/16", "10.0.0.0/16"),
        ('environment.tags={ team = "red" }', {"team": "red"}),
        ("environment.tags.team=red", {"team": "red"}),
        ("environment.tags.cost-center=4711", {"cost-center": "4711"}),
    ],
)  # fmt: skip
def test_a_value_is_toml_or_a_string(override: str, expected: Any) -> None:
    key = ".".join(override.partition("=")[0].split(".")[:2])
    value = value_of(override, key)
    assert value == expected
    assert type(value) is type(expected)


def test_the_last_of_several_wins() -> None:
    config = load(ROOT / "config.toml", ["database.name=one", "database.name=two"])
    assert config.database.name == "two"


def test_a_value_may_hold_an_equals_sign() -> None:
    config = load(ROOT / "config.toml", ["environment.tags.query=a=b"])
    assert config.environment.tags == {"query": "a=b"}


# --- the file -------------------------------------------------------------------------------------


def test_a_missing_file_is_named(unheard: Commands) -> None:
    result = unheard.run("provision", "plan", "--output", "json", "--config", "other.toml")
    assert "other.toml: no such file" in refused(unheard, result)
    assert "--config" in result.error["next"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[environment\nname = 1", "line 1"),
        (b"name = ", "not valid TOML"),
        (b"[environment]\nname = 'a'\nname = 'b'", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8 but UTF-16"),
        ("[environment]\n".encode("utf-16-be"), "not UTF-8 but UTF-16"),
        ("[environment]\n".encode("utf-32"), "not UTF-8 but UTF-16 or UTF-32"),
        (b"[environment]\n# \xe9t\xe9", "not UTF-8 (line 2)"),
        (b"a = " + b"[" * 5000, "nested too deep"),
        (b"a = " + b"{a = " * 5000, "nested too deep"),
        (b"a = " + b"9" * 5000, "4300 digits"),
        (b"a = 1\rb = 2", "not valid TOML"),
        (b"abcd = 1\0", "not valid TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(unheard: Commands, content: bytes, words: str) -> None:
    (unheard.folder / "config.toml").write_bytes(content)
    message = refused(unheard, plan(unheard))
    assert words in message
    assert "config.toml" in message


def test_a_folder_in_place_of_the_file_is_refused(unheard: Commands) -> None:
    (unheard.folder / "config.toml").unlink()
    (unheard.folder / "config.toml").mkdir()
    assert "config.toml" in refused(unheard, plan(unheard))


@pytest.mark.parametrize("content", ["database = 7", 'database = "db"', "[[database]]"])
def test_a_section_that_is_no_table_is_refused(unheard: Commands, content: str) -> None:
    (unheard.folder / "config.toml").write_text(content)
    assert "[database]" in refused(unheard, plan(unheard, "database.name=shop"))


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    assert load(tmp_path / "config.toml") == Config()


def test_the_files_values_are_the_defaults_and_every_key_is_in_it() -> None:
    text = (ROOT / "config.toml").read_text()
    document = tomllib.loads(text)
    assert checked(document, source="config.toml") == Config()
    assert [f"{section}.{key}" for section in document for key in document[section]] == KEYS
    for line in text.splitlines():
        if " = " in line and not line.startswith("#"):
            assert "# " in line, f"no comment: {line}"


def test_every_key_of_the_contract_is_there_with_the_articles_value() -> None:
    contract: dict[str, dict[str, object]] = {
        "environment": {"name": "rds-proxy-auth", "region": "ap-northeast-1", "tags": {}},
        "network": {
            "vpc_cidr": "10.0.0.0/16",
            "function_subnet_cidr": "10.0.1.0/24",
            "database_subnet_cidrs": ["10.0.2.0/24", "10.0.3.0/24"],
            "availability_zones": [],
        },
        "database": {
            "instance_class": "db.t4g.micro",
            "allocated_storage_gib": 20,
            "name": "testdb",
            "table": "testtable",
            "username": "testdb",
            "deletion_protection": False,
        },
        "proxy": {
            "idle_client_timeout_seconds": 120,
            "connection_borrow_timeout_seconds": 120,
            "max_connections_percent": 100,
            "max_idle_connections_percent": 50,
            "debug_logging": False,
        },
        "function": {"timeout_seconds": 10},
        "state": {"location": "", "lock_lease_seconds": 60},
    }
    keys_alone = {
        "database": {"engine_version", "backup_retention_days"},
        "function": {"runtime", "architecture", "memory_mib", "log_retention_days"},
        "api": {"throttle_rate_per_second", "throttle_burst"},
        "wait": {"poll_seconds", "timeout_minutes"},
    }
    values = dataclasses.asdict(Config())
    for section, expected in contract.items():
        assert values[section].items() >= expected.items()
    for section, keys in keys_alone.items():
        assert values[section].keys() >= keys


# --- which region ---------------------------------------------------------------------------------


def region_of(commands: Commands, *flags: str) -> str:
    """The region that a plan says it was made for."""
    result = commands.run("provision", "plan", "--output", "plain", *flags)
    assert result.code == 0, result.stderr
    first: str = result.stderr.splitlines()[0]
    return first.rpartition(", ")[2]


@pytest.fixture
def without_region(commands: Commands) -> Commands:
    """An empty account, and a config.toml that names no region."""
    (commands.folder / "config.toml").write_text("[wait]\npoll_seconds = 0.02\n")
    return commands


def test_the_flag_wins_over_the_file_and_the_variable(commands: Commands) -> None:
    elsewhere = with_environ(commands, AWS_REGION="eu-west-1")
    assert region_of(elsewhere, "--region", "us-west-2") == "us-west-2"


def test_the_file_wins_over_the_variable(commands: Commands) -> None:
    elsewhere = with_environ(commands, AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="eu-west-2")
    assert region_of(elsewhere) == "ap-northeast-1"


def test_set_counts_as_the_file(commands: Commands) -> None:
    assert region_of(commands, "--set", "environment.region=us-west-2") == "us-west-2"


def test_the_variable_counts_where_the_file_names_none(without_region: Commands) -> None:
    variables = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert region_of(with_environ(without_region, **variables)) == "eu-west-1"


def test_the_profiles_region_counts_where_there_is_no_variable(
    without_region: Commands, tmp_path: Path
) -> None:
    parts = ("aws_access_key_id", "aws_secret_access_key")
    keys = "".join(f"{each} = {without_region.environ[each.upper()]}\n" for each in parts)
    (tmp_path / "aws").write_text(f"[profile far]\nregion = sa-east-1\n{keys}")
    elsewhere = with_environ(
        without_region,
        AWS_REGION=None,
        AWS_DEFAULT_REGION=None,
        AWS_CONFIG_FILE=str(tmp_path / "aws"),
    )
    assert region_of(elsewhere, "--profile", "far") == "sa-east-1"


def test_the_default_counts_where_nobody_names_one(without_region: Commands) -> None:
    nowhere = with_environ(without_region, AWS_REGION=None, AWS_DEFAULT_REGION=None)
    assert region_of(nowhere) == "ap-northeast-1"


def test_a_bad_region_flag_is_refused_like_a_bad_value(unheard: Commands) -> None:
    result = unheard.run("provision", "plan", "--output", "json", "--region", "tokyo")
    assert "environment.region = 'tokyo'" in refused(unheard, result)


# --- good values are good for AWS -----------------------------------------------------------------


def test_a_good_set_changes_the_plan_and_nothing_else(built: Built) -> None:
    before = len(built.remote.journal())
    result = built.commands.plan("--set", "function.memory_mib=512")
    assert result.to_do == {"function-password": "update", "function-iam": "update"}
    assert result.changes("function-iam") == {
        "MemorySize": {"property": "MemorySize", "is": 256, "should": 512, "replaces": False}
    }
    assert not [call for call in built.remote.journal()[before:] if call.mutating]


LONGEST_REGION = "ap-southeast-1"
# What AWS takes as the longest name of each kind that has names.
LONGEST = {
    "AWS::EC2::SecurityGroup": 255,
    "AWS::SecretsManager::Secret": 512,
    "AWS::RDS::DBSubnetGroup": 255,
    "AWS::RDS::DBInstance": 63,
    "AWS::RDS::DBProxy": 63,
    "AWS::IAM::Role": 64,
    "AWS::Logs::LogGroup": 512,
    "AWS::Lambda::LayerVersion": 64,
    "AWS::Lambda::Function": 64,
    "AWS::ApiGatewayV2::Api": 128,
}


def resources(name: str) -> Template:
    settings = {"environment": {"name": name, "region": LONGEST_REGION}}
    return environment(checked(settings, source="test"), packed=False)


def test_the_longest_name_makes_no_name_too_long_for_aws() -> None:
    for resource in resources("x" * 28):
        assert len(resource.name) <= LONGEST.get(resource.kind, 255), resource.step


@given(st.from_regex(r"[a-z]([a-z0-9]|-(?=[a-z0-9])){0,27}", fullmatch=True))
def test_a_name_that_is_taken_makes_identifiers_that_rds_takes(name: str) -> None:
    for resource in resources(name):
        if resource.kind in ("AWS::RDS::DBInstance", "AWS::RDS::DBProxy"):
            assert "--" not in resource.name
            assert not resource.name.endswith("-")
            assert resource.name[0].isalpha()


addresses = st.integers(0, 2**32 - 1)
networks = st.builds(
    lambda address, size: ipaddress.IPv4Network((address, size), strict=False),
    addresses,
    st.integers(14, 30),
)


@given(vpc=networks, function=networks, first=networks, second=networks)
def test_networks_are_taken_exactly_when_ec2_would_take_them(
    vpc: ipaddress.IPv4Network,
    function: ipaddress.IPv4Network,
    first: ipaddress.IPv4Network,
    second: ipaddress.IPv4Network,
) -> None:
    subnets = [function, first, second]
    good = (
        all(16 <= each.prefixlen <= 28 for each in [vpc, *subnets])
        and not any(each.subnet_of(other) for each in [vpc, *subnets] for other in NO_VPC)
        and all(each.subnet_of(vpc) for each in subnets)
        and not any(
            a.overlaps(b) for a, b in ((function, first), (function, second), (first, second))
        )
    )
    assert accepted(vpc, subnets) is good


@given(st.permutations([0, 1, 2, 3]), st.integers(16, 26))
def test_quarters_of_the_vpc_are_always_good_subnets(order: list[int], size: int) -> None:
    vpc = ipaddress.IPv4Network(f"10.0.0.0/{size}")
    quarters = list(vpc.subnets(prefixlen_diff=2))
    assert accepted(vpc, [quarters[index] for index in order[:3]])


def accepted(vpc: ipaddress.IPv4Network, subnets: list[ipaddress.IPv4Network]) -> bool:
    function, *database = map(str, subnets)
    network = {
        "vpc_cidr": str(vpc),
        "function_subnet_cidr": function,
        "database_subnet_cidrs": database,
    }
    try:
        checked({"network": network}, source="test")
    except ConfigError:
        return False
    return True


@settings(deadline=None)  # the first import of difflib is slow
@given(
    st.dictionaries(
        st.sampled_from([*SECTIONS, "other"]),
        st.dictionaries(
            st.sampled_from(sorted({key.partition(".")[2] for key in KEYS} | {"other"})),
            st.one_of(st.booleans(), st.integers(), st.floats(), st.text(), st.none(), st.just([])),
        )
        | st.text(),
    )
)
def test_whatever_stands_in_the_file_is_taken_or_told(document: dict[str, Any]) -> None:
    refusal: dict[str, Any] | None = None
    try:
        config = checked(document, source="test")
    except UsageError as error:
        refusal = error.as_dict()
    assert json.dumps(refusal) if refusal else isinstance(config, Config)


def test_nothing_of_a_refused_run_is_left_at_aws(commands: Commands, rehearsal: Remote) -> None:
    result = commands.up("--set", "database.username=root")
    assert result.code == 2
    assert rehearsal.journal() == []
    assert not commands.state_path().parent.exists()
