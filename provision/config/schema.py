"""Every key of config.toml: its section, type, default and checks.

Every key of every section is a dataclass field here: its default, its type, and the checks that AWS
would make later and less clearly. All bad values are reported at once, each with its place, its
value and what would be right, including those that contradict one another. No call is made before
all of them are valid.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from provision.aws.regions import partition_of
from provision.config import checks
from provision.config.checks import Check, PartsCheck, between, matching, one_of
from provision.config.document import Document, read
from provision.config.reserved_words import RESERVED_DATABASES, RESERVED_USERS
from provision.errors import ConfigError, Problem

# Amazon CloudWatch Logs, PutRetentionPolicy.
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
ZONES = 2  # a DB subnet group wants two
RUNTIMES = ("python3.12", "python3.13", "python3.14")
ARCHITECTURES = ("arm64", "x86_64")


def setting(default: Any, check: Check | None = None, parts: PartsCheck | None = None) -> Any:
    """Declare one key: its default, and what is checked of it and of its parts beside its type."""
    metadata = {"check": check, "parts": parts}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class EnvironmentSettings:
    """`[environment]`"""

    name: str = setting("rds-proxy-auth", checks.environment_name)
    region: str = setting("ap-northeast-1", checks.region)
    tags: dict[str, str] = setting({}, parts=checks.tags)
    expires_after: str = setting("", checks.expires_after)
    permissions_boundary: str = setting(
        "",
        matching(
            r"|arn:aws(-[a-z]+)*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]{1,512}",
            '"" or the ARN of a policy, such as arn:aws:iam::123456789012:policy/boundary',
        ),
    )


@dataclass(frozen=True)
class StateSettings:
    """`[state]`"""

    location: str = setting("", checks.state_location)
    lock_lease_seconds: int = setting(60, between(5, 3600, "seconds"))


@dataclass(frozen=True)
class NetworkSettings:
    """`[network]`"""

    vpc_cidr: str = setting("10.0.0.0/16", checks.cidr)
    function_subnet_cidr: str = setting("10.0.1.0/24", checks.cidr)
    database_subnet_cidrs: list[str] = setting(
        ["10.0.2.0/24", "10.0.3.0/24"], checks.count(2), checks.each(checks.cidr)
    )
    availability_zones: list[str] = setting([])


@dataclass(frozen=True)
class DatabaseSettings:
    """`[database]`"""

    engine_version: str = setting("8.4", checks.engine_version)
    instance_class: str = setting(
        "db.t4g.micro", matching(r"db\.[a-z0-9-]+\.[a-z0-9]+", "a class such as db.t4g.micro")
    )
    allocated_storage_gib: int = setting(20, between(20, 65536, "GiB"))
    name: str = setting("testdb", checks.identifier("a database name", RESERVED_DATABASES, 64))
    table: str = setting("testtable", checks.identifier("a table name", (), 64))
    username: str = setting("testdb", checks.identifier("a user name", RESERVED_USERS, 16))
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
    """The whole of config.toml; every value is valid."""

    environment: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    state: StateSettings = field(default_factory=StateSettings)
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
    default_region: Callable[[], tuple[str, str] | None] = lambda: None,
) -> Config:
    """Return the configuration of `path`, with each `KEY=VALUE` of `overrides` laid over it.

    Without a path every key has its default.
    `region`, when given, takes the place of environment.region (the flag `--region`);
    `default_region` is asked only where neither the flag nor the file names one: it returns who
    names one (a variable, a profile), and the region.
    Raises ConfigError with every bad value, UsageError for a file that cannot be read or is no
    TOML, or an override that is no `KEY=VALUE`.
    """
    document = read(path) if path else Document({})
    source = str(path) if path else "the defaults"
    overrides = list(overrides)
    for override in overrides:
        document.lay_over(override, kind_of, "--set")
    named = ("--region", region) if region is not None else None
    environment = document.values.get("environment", {})
    if named is None and isinstance(environment, dict) and "region" not in environment:
        named = default_region()
    if named is not None:
        by, region = named
        if isinstance(document.values.setdefault("environment", {}), dict):
            document.values["environment"]["region"] = region
            document.places["environment", "region"] = by
    return checked(document, source=f"{source} with --set" if overrides else source)


def kind_of(section: str, key: str) -> Any:
    """Return the type of a key, or None where there is no such key."""
    return get_type_hints(SECTIONS[section]).get(key) if section in SECTIONS else None


def checked(document: Document | dict[str, Any], *, source: str) -> Config:
    """Return the typed values of a document. Raises ConfigError naming every bad one."""
    if isinstance(document, dict):
        document = Document(document)
    problems: list[Problem] = []
    sections: dict[str, Any] = {}
    for name, table in document.values.items():
        if name not in SECTIONS:
            problems.append(Problem(name, table, unknown(name, SECTIONS, "section")))
        elif not isinstance(table, dict):
            problems.append(Problem(name, table, f"must be a table: [{name}]"))
        else:
            sections[name] = checked_section(name, table, problems)
    config = Config(**sections)
    problems += cross_checks(config, {each.key for each in problems})
    if problems:
        placed = [dataclasses.replace(each, place=document.place(each.key)) for each in problems]
        raise ConfigError(sorted(placed, key=by_line), source=source)
    return config


def by_line(problem: Problem) -> tuple[int, int]:
    """Return the sort key of a problem: its line in the file; flags come last."""
    word, _, number = problem.place.partition(" ")
    return (0, int(number)) if word == "line" else (1, 0)


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
        wrong = list(wrong_of(dotted, value, types[key], fields[key].metadata))
        problems += wrong
        if not wrong:
            good[key] = float(value) if types[key] is float else value
    return kind(**good)


def wrong_of(key: str, value: Any, kind: Any, metadata: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with one value, and with its parts."""
    expected = wrong_type(value, kind)
    if expected is None and metadata["check"]:
        expected = metadata["check"](value)
    if expected is not None:
        yield Problem(key, value, f"must be {expected}")
        return
    for where, part, expected in metadata["parts"](value) if metadata["parts"] else ():
        yield Problem(f"{key}{where}", part, f"must be {expected}")


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """Return the problem of an unknown key, with the nearest known one."""
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
    kinds = (int, float) if wanted is float else wanted
    good = isinstance(value, kinds) and (wanted is bool or not isinstance(value, bool))
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    return None if good else names[wanted]


def cross_checks(config: Config, bad: set[str]) -> list[Problem]:
    """Return the problems between keys that are each valid by themselves.

    `bad` are the keys that are not: their values here are the defaults, and are left alone.
    """

    def good(key: str) -> bool:
        return not any(each == key or each.startswith((f"{key}[", f"{key}.")) for each in bad)

    return [
        *boundary_problems(config.environment, good),
        *subnet_problems(config.network, good),
        *zone_problems(config, good),
        *pool_problems(config.proxy, good),
    ]


Good = Callable[[str], bool]  # whether the value of a key is good by itself


def boundary_problems(environment: EnvironmentSettings, good: Good) -> Iterable[Problem]:
    """Yield a permissions boundary that is not of the region's partition."""
    key, region = "environment.permissions_boundary", environment.region
    boundary = environment.permissions_boundary
    if not (boundary and good(key) and good("environment.region")):
        return
    partition = partition_of(region)
    if boundary.split(":")[1] != partition:
        yield Problem(key, boundary, f"must begin with arn:{partition}: in {region}")


def subnet_problems(network: NetworkSettings, good: Good) -> Iterable[Problem]:
    """Yield subnets that lie outside the VPC or overlap one another."""
    vpc = ipaddress.IPv4Network(network.vpc_cidr)
    function, database = "network.function_subnet_cidr", "network.database_subnet_cidrs"
    subnets = [(function, network.function_subnet_cidr)] if good(function) else []
    if good(database):
        subnets += [(database, item) for item in network.database_subnet_cidrs]
    for index, (key, text) in enumerate(subnets):
        subnet = ipaddress.IPv4Network(text)
        if good("network.vpc_cidr") and not subnet.subnet_of(vpc):
            yield Problem(key, text, f"must lie within network.vpc_cidr ({vpc})")
        for other_key, other in subnets[index + 1 :]:
            if subnet.overlaps(ipaddress.IPv4Network(other)):
                yield Problem(key, text, f"must not overlap {other_key} ({other})")


def zone_problems(config: Config, good: Good) -> Iterable[Problem]:
    """Yield availability zones that are not two zones of the region."""
    zones, region = config.network.availability_zones, config.environment.region
    key = "network.availability_zones"
    if not zones or not good(key):
        return
    if not len(zones) == len(set(zones)) == ZONES:
        yield Problem(key, zones, "must be [] (chosen for you) or two different zones")
    for zone in zones:
        if good("environment.region") and not re.fullmatch(f"{region}[a-z]", zone):
            yield Problem(key, zone, f"must be a zone of {region}, such as {region}a")


def pool_problems(proxy: ProxySettings, good: Good) -> Iterable[Problem]:
    """Yield pool settings that contradict one another."""
    most, idle = "proxy.max_connections_percent", "proxy.max_idle_connections_percent"
    if not (good(most) and good(idle)):
        return
    if proxy.max_idle_connections_percent > proxy.max_connections_percent:
        yield Problem(
            idle,
            proxy.max_idle_connections_percent,
            f"must not be over {most} ({proxy.max_connections_percent})",
        )
