"""Checks of one value: what AWS would refuse later, and less clearly.

Each check returns what would be right, or None when the value is. AWS's limits are taken from the
API references that the comments name; `tests/config/` compares them with botocore's models.
"""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from provision.config.length import LENGTHS, length_of

Check = Callable[[Any], str | None]
# The parts of a list or a table that are wrong: where within it, the part, what would be right.
PartsCheck = Callable[[Any], Iterator[tuple[str, object, str]]]

OUR_TAG_KEYS = (
    *("Name", "provision:environment", "provision:step"),
    *("provision:expires", "provision:state"),
)
MOST_TAGS = 40  # AWS takes 50 a resource; some are ours
# Regions: a geography or a country (ISO 3166), then a part of it by the compass. AWS adds regions
# more often than botocore's list is renewed, so the form alone decides.
COUNTRIES = """
    AD AE AF AG AI AL AM AO AR AT AU AZ BA BB BD BE BF BG BH BI BJ BN BO BR BS BT BW BY BZ CA CD CF
    CG CH CI CL CM CN CO CR CU CV CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FM FR GA GB GD GE
    GH GM GN GQ GR GT GW GY HK HN HR HT HU ID IE IL IN IQ IR IS IT JM JO JP KE KG KH KI KM KN KP KR
    KW KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD MG MH MK ML MM MN MO MR MT MU MV MW MX MY MZ NA
    NE NG NI NL NO NP NR NZ OM PA PE PG PH PK PL PS PT PW PY QA RO RS RU RW SB SC SD SE SG SI SK SL
    SM SN SO SR SS ST SV SY SZ TD TG TH TJ TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VN VU
    WS YE ZA ZM ZW
"""
GEOGRAPHIES = [
    *("af", "ap", "eu", "me", "sa", "us-gov", "us-iso", "us-iso[bf]", "eu-isoe", "eusc-[a-z]{2}"),
    *COUNTRIES.lower().split(),
]
COMPASS = "central|(?:north|south)?(?:east|west)|north|south"
REGION = re.compile(rf"(?:{'|'.join(GEOGRAPHIES)})-(?:{COMPASS})-[1-9][0-9]?")
# Amazon VPC refuses them: this network, loopback, link-local and multicast (RFC 6890).
NO_VPC = [
    ipaddress.IPv4Network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32")
]


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


def environment_name(value: str) -> str | None:
    """A name that gives every resource a valid one; a security group's may not begin `sg-`."""
    if not re.fullmatch(r"(?=.{1,28}\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        return "1 to 28 lower-case letters, digits and single hyphens, beginning with a letter"
    if value.startswith("sg-"):
        return "a name that does not begin with sg- (EC2 refuses it for security groups)"
    return None


def region(value: str) -> str | None:
    """The form of a region's name. Only AWS knows whether it exists and what it offers."""
    if REGION.fullmatch(value):
        return None
    import difflib

    text = unicodedata.normalize("NFKC", value).strip().lower()
    alike = {each: difflib.SequenceMatcher(None, text, each).ratio() for each in known_regions()}
    nearest = max(alike, key=lambda each: alike[each], default="")
    close = nearest and alike[nearest] >= 0.6
    return f"a region such as {nearest if close else 'ap-northeast-1'}"


def known_regions() -> list[str]:
    """Return the regions in botocore's data; none if that cannot be read."""
    import importlib.util

    package = importlib.util.find_spec("botocore")
    if package is None or package.origin is None:
        return []
    try:
        text = (Path(package.origin).parent / "data" / "partitions.json").read_bytes()
        partitions = json.loads(text)["partitions"]
        return [name for each in partitions for name in each["regions"] if "global" not in name]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def cidr(value: str) -> str | None:
    """An IPv4 network in CIDR notation of a size that EC2 accepts (/16 to /28)."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        return f"an IPv4 network such as 10.0.0.0/16 ({error})"
    if not 16 <= network.prefixlen <= 28:
        return "a network of size /16 to /28"
    if str(network) != value:
        return f"in CIDR notation: {network}"
    if any(network.subnet_of(other) for other in NO_VPC):
        return "a network that a VPC can have, such as 10.0.0.0/16"
    return None


def count(number: int) -> Check:
    """A list of `number` items."""
    return lambda values: None if len(values) == number else f"a list of {number}"


def each(check: Check) -> PartsCheck:
    """A list whose every item passes `check`."""

    def wrong(values: list[Any]) -> Iterator[tuple[str, object, str]]:
        for number, value in enumerate(values):
            if expected := check(value):
                yield f"[{number}]", value, expected

    return wrong


def identifier(what: str, reserved: Collection[str], length: int) -> Check:
    """A MySQL name: a letter, then letters, digits and underscores; no reserved word."""
    pattern = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{length - 1}}}")

    def check(value: str) -> str | None:
        if not pattern.fullmatch(value):
            return f"{what}: a letter, then letters, digits or _, at most {length}"
        if value.lower() in reserved:
            return f"{what} that is not reserved by MySQL or RDS"
        return None

    return check


def engine_version(value: str) -> str | None:
    """A MySQL version that RDS Proxy supports and that is in RDS's standard support: 8.4.

    Amazon RDS User Guide, "Supported Regions and DB engines for Amazon RDS Proxy": 5.7, 8.0, 8.4;
    RDS ended the standard support of 8.0 on 31 July 2026.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,2}\.[0-9]{1,3}(\.[0-9]{1,3})?", value):
        return "a version such as 8.4"
    major = tuple(int(part) for part in value.split(".")[:2])
    if major < (8, 4):
        return "8.4 or a patch version of it: it must be in standard support"
    if major > (8, 4):
        return "8.4 or a patch version of it: RDS Proxy supports no newer MySQL"
    return None


def snapshot_name(value: str) -> str | None:
    """The name of a DB snapshot (CreateDBSnapshot, DBSnapshotIdentifier)."""
    if re.fullmatch(r"(?=.{1,255}\Z)[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*", value):
        return None
    return (
        "1 to 255 letters, digits and single hyphens, beginning with a letter and not ending with "
        "a hyphen"
    )


def tags(value: Mapping[str, object]) -> Iterator[tuple[str, object, str]]:
    """Tags that every service here accepts: the intersection of their rules.

    Characters: as RDS, IAM, Lambda and CloudWatch Logs have them ([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]).
    IAM treats keys that differ only in case as the same key.
    """
    if len(value) > MOST_TAGS:
        expected = f"at most {MOST_TAGS} tags (AWS allows 50, and this program adds some)"
        yield "", f"{len(value)} tags", expected
    seen = {key.lower(): key for key in OUR_TAG_KEYS}
    for key, text in value.items():
        where = "." + (key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key))
        if wrong := tag_key(key, seen):
            yield where, text, wrong
        elif not isinstance(text, str):
            yield where, text, "a string"
        elif wrong := tag_value(text):
            yield where, text, wrong
        seen.setdefault(key.lower(), key)


def tag_key(key: str, seen: Mapping[str, str]) -> str | None:
    """Return what a tag's key should be, or None. `seen` are the keys so far, by lower case."""
    if (other := seen.get(key.lower())) in OUR_TAG_KEYS:
        return f"under keys other than {', '.join(OUR_TAG_KEYS)}, in upper or lower case"
    if other is not None:
        return f"under a key that differs from {other!r} in more than case: IAM ignores case"
    if key.lower().startswith(("aws:", "rds:")):
        return "under a key that does not begin with aws: or rds:"
    if not 1 <= len(key) <= 128 or not all(map(in_tags, key)):
        return "under a key of 1 to 128 letters, digits, spaces and _.:/=+-@"
    return None


def tag_value(text: str) -> str | None:
    """Return what a tag's value should be, or None."""
    if text.lower().startswith(("aws:", "rds:")):
        return "a value that does not begin with aws: or rds:"
    if len(text) > 256 or not all(map(in_tags, text)):
        return "a value of at most 256 letters, digits, spaces and _.:/=+-@"
    return None


def in_tags(character: str) -> bool:
    """Return whether a tag may hold this character."""
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LNZ"


def expires_after(value: str) -> str | None:
    """A length of time, or "" for never."""
    return None if not value or length_of(value) else f'"" (never) or {LENGTHS}'


def state_location(value: str) -> str | None:
    """A path, `s3://BUCKET/KEY`, or "" for the default. `{name}` stands for the environment's name.

    Buckets' names: Amazon S3 User Guide, "General purpose bucket naming rules"; a key has 1,024
    bytes at most, and the lock's is longer than the state's.
    """
    text = value.replace("{name}", "a" * 28)
    if re.search(r"[{}]", text):
        return 'a path or s3://BUCKET/KEY, in which only "{name}" is replaced'
    if not text.isprintable() or text != text.strip():
        return "a path or s3://BUCKET/KEY without control characters or spaces around it"
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "s3":
        return "a path or s3://BUCKET/KEY"
    if separator or re.match(r"(?i)(s3|arn):", text):
        return s3_location(rest if separator else "")
    if text.endswith("/") or text in (".", ".."):
        return "a file's path or s3://BUCKET/KEY, not a folder"
    return None


def s3_location(text: str) -> str | None:
    """BUCKET/KEY."""
    bucket, _, key = text.partition("/")
    good = re.fullmatch(r"[a-z0-9](?:[a-z0-9-]|\.(?=[a-z0-9])){1,61}[a-z0-9]", bucket)
    if not good or re.fullmatch(r"[0-9.]+", bucket) or bucket.startswith("xn--"):
        return "s3://BUCKET/KEY, with a bucket of 3 to 63 lower-case letters, digits, . and -"
    if key.endswith(".lock") or {"", ".", ".."} & {*key.split("/")}:
        return "s3://BUCKET/KEY, with a key such as team/{name}.json, not a folder and not *.lock"
    if not re.fullmatch(r"[A-Za-z0-9!_.'()/=@+,-]+", key):  # no wildcard of IAM's, nothing to quote
        return "s3://BUCKET/KEY, with a key of letters, digits and !_.'()/=@+,-"
    if len(key.encode()) > 1024 - len(".lock"):
        return "s3://BUCKET/KEY, with a key of at most 1019 bytes"
    return None
