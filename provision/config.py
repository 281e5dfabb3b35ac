"""config.toml, read into typed and checked values.

Every key of every section is a dataclass field here: its default, its type, and the checks that AWS
would make later and less clearly. All bad values are reported at once, each with its key, its value
and what would be right; nothing is called before all are good.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from provision.errors import ConfigError, Problem, UsageError

Check = Callable[[Any], str | None]  # what would be right, or None when the value is

RESERVED_TAG_KEYS = ("Name", "provision:environment", "provision:step")
# Users that RDS or RDS Proxy keep for themselves, and MySQL's own.
RESERVED_USERS = {"mysql", "rdsadmin", "rdsproxyadmin", "rdsrepladmin", "rdstopmgr", "root"}
MYSQL_SCHEMAS = {"information_schema", "innodb", "mysql", "performance_schema", "sys", "tmp"}
MOST_TAGS = 40  # of config.toml's own; AWS takes 50
ZONES = 2  # a DB subnet group wants two
LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)
TAG_KEY, TAG_VALUE = (re.compile(rf"[\w .:/=+\-@]{{{size}}}") for size in ("1,127", "0,256"))
RUNTIMES = ("python3.12", "python3.13", "python3.14")
ARCHITECTURES = ("arm64", "x86_64")


def matching(pattern: str, expected: str) -> Check:
    """A whole string that matches `pattern`."""
    whole = re.compile(pattern)
    return lambda value: None if whole.fullmatch(value) else expected


def between(low: float, high: float, unit: str = "") -> Check:
    """A number from `low` to `high`, both included."""
    words = f"a number from {low:g} to {high:g}" + (f" ({unit})" if unit else "")
    return lambda value: None if low <= value <= high else words


def one_of(*choices: object) -> Check:
    """One of the values given."""
    words = "one of " + ", ".join(str(choice) for choice in choices)
    return lambda value: None if value in choices else words


def cidr(smallest: int = 28, largest: int = 16) -> Check:
    """An IPv4 network in CIDR notation of a size that EC2 takes (/16 to /28)."""

    def check(value: str) -> str | None:
        try:
            network = ipaddress.IPv4Network(value)
        except ValueError as error:
            return f"an IPv4 network such as 10.0.0.0/16 ({error})"
        if not largest <= network.prefixlen <= smallest:
            return f"a network of size /{largest} to /{smallest}"
        return None

    return check


def each(check: Check, *, count: int | None = None) -> Check:
    """A list whose every item passes `check`; of `count` items when that is given."""

    def check_all(values: list[Any]) -> str | None:
        if count is not None and len(values) != count:
            return f"a list of {count}"
        return next((wrong for value in values if (wrong := check(value))), None)

    return check_all


def identifier(expected: str, reserved: Iterable[str], length: int) -> Check:
    """A MySQL name: a letter, then letters, digits and underscores; no reserved word."""
    pattern = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{length - 1}}}")
    words = {word.lower() for word in reserved}

    def check(value: str) -> str | None:
        if not pattern.fullmatch(value):
            return f"{expected}: a letter, then letters, digits or _, at most {length}"
        return f"{expected} that is not reserved" if value.lower() in words else None

    return check


def supported_version(value: str) -> str | None:
    """A MySQL version of RDS in standard support: 8.0's ended on 31 July 2026."""
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", value):
        return "a version such as 8.4"
    major, minor = (int(part) for part in value.split(".")[:2])
    return None if (major, minor) >= (8, 4) else "8.4 or newer: it must be in standard support"


def tags(value: Mapping[str, str]) -> str | None:
    """Tags that every service here takes: the intersection of their rules."""
    if len(value) > MOST_TAGS:
        return "at most 40 tags (AWS takes 50, some are ours)"
    for key, text in value.items():
        if not isinstance(text, str):
            return f"strings as values (the value of {key!r} is none)"
        if key in RESERVED_TAG_KEYS or key.lower().startswith(("aws:", "rds:")):
            return f"keys other than {', '.join(RESERVED_TAG_KEYS)} and not aws:… or rds:…"
        if not (TAG_KEY.fullmatch(key) and TAG_VALUE.fullmatch(text)):
            return f"letters, digits, spaces and _.:/=+-@ in {key!r} and its value"
    return None


def setting(default: Any, check: Check | None = None) -> Any:
    """Declare one key: its default and what is checked beside its type."""
    metadata = {"check": check} if check else {}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class EnvironmentSettings:
    """`[environment]`"""

    name: str = setting(
        "rds-proxy-auth",
        matching(
            r"(?=.{1,28}$)[a-z][a-z0-9]*(-[a-z0-9]+)*",
            "1 to 28 lower-case letters, digits and single hyphens, beginning with a letter",
        ),
    )
    region: str = setting(
        "ap-northeast-1",
        matching(r"[a-z]{2,5}(-[a-z]+)+-\d{1,2}", "a region such as ap-northeast-1"),
    )
    tags: dict[str, str] = setting({}, tags)


@dataclass(frozen=True)
class NetworkSettings:
    """`[network]`"""

    vpc_cidr: str = setting("10.0.0.0/16", cidr())
    function_subnet_cidr: str = setting("10.0.1.0/24", cidr())
    database_subnet_cidrs: list[str] = setting(
        ["10.0.2.0/24", "10.0.3.0/24"], each(cidr(), count=2)
    )
    availability_zones: list[str] = setting(
        [], each(matching(r"[a-z0-9-]+[a-z]", "zone names such as ap-northeast-1a"))
    )


@dataclass(frozen=True)
class DatabaseSettings:
    """`[database]`"""

    engine_version: str = setting("8.4", supported_version)
    instance_class: str = setting(
        "db.t4g.micro", matching(r"db\.[a-z0-9-]+\.[a-z0-9]+", "a class such as db.t4g.micro")
    )
    allocated_storage_gib: int = setting(20, between(20, 65536, "GiB"))
    name: str = setting("testdb", identifier("a database name", MYSQL_SCHEMAS, 64))
    table: str = setting("testtable", identifier("a table name", (), 64))
    username: str = setting("testdb", identifier("a user name", RESERVED_USERS, 16))
    deletion_protection: bool = setting(False)
    backup_retention_days: int = setting(0, between(0, 35, "days"))


@dataclass(frozen=True)
class ProxySettings:
    """`[proxy]`"""

    idle_client_timeout_seconds: int = setting(120, between(1, 28800, "seconds"))
    connection_borrow_timeout_seconds: int = setting(120, between(0, 300, "seconds"))
    max_connections_percent: int = setting(100, between(1, 100, "percent"))
    max_idle_connections_percent: int = setting(50, between(0, 100, "percent"))
    debug_logging: bool = setting(False)


@dataclass(frozen=True)
class FunctionSettings:
    """`[function]`"""

    runtime: str = setting("python3.13", one_of(*RUNTIMES))
    architecture: str = setting("arm64", one_of(*ARCHITECTURES))
    memory_mib: int = setting(256, between(128, 10240, "MiB"))
    timeout_seconds: int = setting(10, between(3, 29, "seconds"))
    log_retention_days: int = setting(7, one_of(*LOG_RETENTION_DAYS))


@dataclass(frozen=True)
class ApiSettings:
    """`[api]`"""

    throttle_rate_per_second: float = setting(10.0, between(0.1, 10000, "requests per second"))
    throttle_burst: int = setting(20, between(1, 5000, "requests"))


@dataclass(frozen=True)
class WaitSettings:
    """`[wait]`"""

    poll_seconds: float = setting(5.0, between(0.01, 60, "seconds"))
    timeout_minutes: float = setting(60.0, between(0.01, 240, "minutes"))


@dataclass(frozen=True)
class Config:
    """The whole of config.toml; every value is good."""

    environment: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    function: FunctionSettings = field(default_factory=FunctionSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    wait: WaitSettings = field(default_factory=WaitSettings)


SECTIONS = cast(dict[str, type[Any]], get_type_hints(Config))
KEYS = [f"{name}.{key.name}" for name, kind in SECTIONS.items() for key in dataclasses.fields(kind)]


def load(
    path: Path | None,
    overrides: Iterable[str] = (),
    *,
    region: str | None = None,
    default_region: Callable[[], str | None] = lambda: None,
) -> Config:
    """Return the configuration of `path`, with each `KEY=VALUE` of `overrides` laid over it.

    Without a path every key has its default.
    `region`, when given, takes the place of environment.region (the flag `--region`);
    `default_region` is asked only where neither the flag nor the file names one.
    Raises ConfigError with every bad value, UsageError for a file that cannot be read or is no
    TOML, or an override that is no `KEY=VALUE`.
    """
    document = read(path) if path else {}
    source = str(path) if path else "the defaults"
    overrides = list(overrides)
    for override in overrides:
        lay_over(document, override)
    environment = document.get("environment", {})
    if region is None and isinstance(environment, dict) and "region" not in environment:
        region = default_region()
    if region is not None:
        lay_over(document, f"environment.region={region}")
    return checked(document, source=f"{source} with --set" if overrides else source)


def read(path: Path) -> dict[str, Any]:
    """Return the TOML document of `path`. Raises UsageError when there is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"--config {path}: no such file",
            next_step="Run from the folder that has config.toml, or name the file with --config.",
        ) from None
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--config {path}: not valid TOML: {error}", next_step="Correct the file."
        ) from None


def lay_over(document: dict[str, Any], override: str) -> None:
    """Put one `KEY=VALUE` into `document`: TOML where it is TOML, else a string."""
    key, equals, text = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and section and dot and name):
        raise UsageError(
            f"--set {override}: not KEY=VALUE with a dotted key",
            next_step="For example: --set database.instance_class=db.t4g.small",
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    if isinstance(value, float) and kind_of(section, name) is str:
        value = text.strip()  # a version such as 8.4 is meant as it is written
    table = document.setdefault(section, {})
    if not isinstance(table, dict):
        return  # checked() reports that the section is no table
    first, dot, rest = name.partition(".")
    if dot and isinstance(table.get(first, {}), dict):  # environment.tags.team=blue
        table.setdefault(first, {})[rest] = value if isinstance(value, str) else text
    else:
        table[name] = value


def kind_of(section: str, key: str) -> Any:
    """Return the type of a key, or None where there is no such key."""
    return get_type_hints(SECTIONS[section]).get(key) if section in SECTIONS else None


def checked(document: Mapping[str, Any], *, source: str) -> Config:
    """Return the typed values of `document`. Raises ConfigError naming every bad one."""
    problems: list[Problem] = []
    sections: dict[str, Any] = {}
    for name, table in document.items():
        if name not in SECTIONS:
            problems.append(Problem(name, table, unknown(name, SECTIONS, "section")))
        elif not isinstance(table, dict):
            problems.append(Problem(name, table, f"a table: [{name}]"))
        else:
            sections[name] = checked_section(name, table, problems)
    if not problems:
        config = Config(**sections)
        problems += cross_checks(config)
    if problems:
        raise ConfigError(problems, source=source)
    return config


def checked_section(name: str, table: Mapping[str, Any], problems: list[Problem]) -> Any:
    """Return the dataclass of one section; what is wrong goes to `problems`."""
    kind = SECTIONS[name]
    types = get_type_hints(kind)
    fields = {each_field.name: each_field for each_field in dataclasses.fields(kind)}
    good: dict[str, Any] = {}
    for key, value in table.items():
        dotted = f"{name}.{key}"
        if key not in fields:
            problems.append(Problem(dotted, value, unknown(dotted, KEYS, "key")))
            continue
        wrong = wrong_type(value, types[key])
        if wrong is None and (check := fields[key].metadata.get("check")):
            wrong = check(value)
        if wrong is not None:
            problems.append(Problem(dotted, value, f"must be {wrong}"))
        else:
            good[key] = float(value) if types[key] is float else value
    return kind(**good)


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """Say that there is no such key, and which known one is nearest."""
    known = list(known)
    longer = [each for each in known if each.startswith(name)]  # function.timeout
    import difflib

    nearest = longer or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"no such {what}" + (f"; did you mean {nearest[0]}?" if nearest else "")


def wrong_type(value: object, wanted: Any) -> str | None:
    """Return what `value` should have been, or None when its type is right."""
    if get_origin(wanted) is list:
        items = get_args(wanted)[0]
        good = isinstance(value, list) and all(isinstance(item, items) for item in value)
        return None if good else "a list of strings"
    if get_origin(wanted) is dict:
        return None if isinstance(value, dict) else "a table of strings"
    if wanted is float:
        good = isinstance(value, int | float) and not isinstance(value, bool)
    elif wanted is int:
        good = isinstance(value, int) and not isinstance(value, bool)
    else:
        good = isinstance(value, wanted)
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    return None if good else names[wanted]


def cross_checks(config: Config) -> list[Problem]:
    """Return what is wrong between keys that are each good by themselves."""
    return [*subnet_problems(config.network), *zone_problems(config), *pool_problems(config.proxy)]


def subnet_problems(network: NetworkSettings) -> Iterable[Problem]:
    """Yield subnets that lie outside the VPC or overlap one another."""
    vpc = ipaddress.IPv4Network(network.vpc_cidr)
    subnets = [("network.function_subnet_cidr", network.function_subnet_cidr)]
    subnets += [("network.database_subnet_cidrs", item) for item in network.database_subnet_cidrs]
    for index, (key, text) in enumerate(subnets):
        subnet = ipaddress.IPv4Network(text)
        if not subnet.subnet_of(vpc):
            yield Problem(key, text, f"must lie within network.vpc_cidr ({vpc})")
        for other_key, other in subnets[index + 1 :]:
            if subnet.overlaps(ipaddress.IPv4Network(other)):
                yield Problem(key, text, f"must not overlap {other_key} ({other})")


def zone_problems(config: Config) -> Iterable[Problem]:
    """Yield availability zones that are no two zones of the region."""
    zones, region = config.network.availability_zones, config.environment.region
    if not zones:
        return
    key = "network.availability_zones"
    if not len(zones) == len(set(zones)) == ZONES:
        yield Problem(key, zones, "must be [] (chosen for you) or two different zones")
    for zone in zones:
        if not zone.startswith(region):
            yield Problem(key, zone, f"must be a zone of {region}, such as {region}a")


def pool_problems(proxy: ProxySettings) -> Iterable[Problem]:
    """Yield pool settings that contradict one another."""
    if proxy.max_idle_connections_percent > proxy.max_connections_percent:
        yield Problem(
            "proxy.max_idle_connections_percent",
            proxy.max_idle_connections_percent,
            f"must not be over proxy.max_connections_percent ({proxy.max_connections_percent})",
        )
