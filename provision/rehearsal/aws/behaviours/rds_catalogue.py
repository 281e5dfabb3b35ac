"""What RDS offers: engine versions, instance classes and where, and the account's quotas.

moto has none of it for MySQL. Versions and dates are those of AWS's release calendar as of
November 2026 (endoflife-date/endoflife.date, products/amazon-rds-mysql); which minor is a major's
default is not published and chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World


@dataclass(frozen=True)
class Version:
    """A minor version of MySQL on RDS."""

    name: str
    status: str = "available"
    default: bool = False

    @property
    def major(self) -> str:
        return ".".join(self.name.split(".")[:2])


VERSIONS = (
    Version("8.0.41", status="deprecated"),
    Version("8.0.43"),
    Version("8.0.44"),
    Version("8.0.45", default=True),
    Version("8.4.6", status="deprecated"),
    Version("8.4.7"),
    Version("8.4.8"),
    Version("8.4.9", default=True),
    Version("8.4.10"),
)
_DEFAULT_MAJOR = "8.4"
_SUPPORT = {  # standard support from, to; Extended Support to
    "8.0": ("2018-10-23", "2026-07-31", "2029-07-31"),
    "8.4": ("2024-11-21", "2029-07-31", "2032-07-31"),
}
CLASSES = ("db.t3.micro", "db.t3.small", "db.t4g.micro", "db.t4g.small", "db.m7g.large")
_STORAGE = ("gp2", "gp3")


def resolve(wanted: str | None) -> Version:
    """The version that RDS takes for `wanted`: itself, or the default of a major.

    Raises AwsError when there is none.
    """
    wanted = wanted or _DEFAULT_MAJOR
    for version in VERSIONS:
        if version.status == "available" and (
            version.name == wanted or (version.major == wanted and version.default)
        ):
            return version
    raise AwsError("InvalidParameterCombination", f"Cannot find version {wanted} for mysql")


def newest_minor(name: str) -> str:
    """The newest version of the major that this version is of."""
    major = ".".join(name.split(".")[:2])
    available = [
        each.name for each in VERSIONS if (each.major, each.status) == (major, "available")
    ]
    return max([name, *available], key=lambda each: [int(part) for part in each.split(".")])


def in_standard_support(version: Version) -> bool:
    """Whether the version's major is still in standard support today."""
    return _date(_SUPPORT[version.major][1]) > datetime.now(UTC)


def zones(world: World, region: str) -> list[str]:
    """Names of the region's zones that offer the instance classes."""
    found = world.backend("ec2", region).describe_availability_zones()
    return [zone.name for zone in found]


def describe_db_engine_versions(world: World, call: Call, proceed: Proceed) -> Answer:
    """Versions of MySQL; of other engines none, as if RDS had them not."""
    if call.get("Engine", "mysql") != "mysql":
        return {"DBEngineVersions": []}
    wanted = call.get("EngineVersion", "")
    found = [v for v in VERSIONS if not wanted or wanted in (v.name, v.major)]
    statuses = _filters(call).get("status", [])
    if statuses:
        found = [v for v in found if v.status in statuses]
    elif not call.get("IncludeAll"):
        found = [v for v in found if v.status == "available"]
    if call.get("DefaultOnly"):
        major = wanted if wanted in _SUPPORT else _DEFAULT_MAJOR
        found = [v for v in found if v.default and (wanted == v.name or v.major == major)]
    return {"DBEngineVersions": [_described(version) for version in found]}


def describe_db_major_engine_versions(world: World, call: Call, proceed: Proceed) -> Answer:
    """When the majors leave standard and Extended Support."""
    if call.get("Engine", "mysql") != "mysql":
        return {"DBMajorEngineVersions": []}
    majors = [m for m in _SUPPORT if call.get("MajorEngineVersion", m) == m]
    return {
        "DBMajorEngineVersions": [
            {
                "Engine": "mysql",
                "MajorEngineVersion": major,
                "SupportedEngineLifecycles": [
                    _lifecycle("open-source-rds-standard-support", start, standard),
                    _lifecycle("open-source-rds-extended-support", standard, extended),
                ],
            }
            for major, (start, standard, extended) in _SUPPORT.items()
            if major in majors
        ]
    }


def describe_orderable_db_instance_options(world: World, call: Call, proceed: Proceed) -> Answer:
    """Instance classes for MySQL: each in every zone of the region."""
    if call.get("Engine") != "mysql":
        return proceed()
    wanted = call.get("EngineVersion", "")
    versions = [
        v
        for v in VERSIONS
        if v.status == "available" and (not wanted or wanted in (v.name, v.major))
    ]
    in_zones = [{"Name": name} for name in zones(world, call.region)]
    return {
        "OrderableDBInstanceOptions": [
            _option(version, name, storage, in_zones)
            for version in versions
            for name in CLASSES
            if call.get("DBInstanceClass", name) == name
            for storage in _STORAGE
        ]
    }


def describe_account_attributes(world: World, call: Call, proceed: Proceed) -> Answer:
    """The quotas that this environment touches, at AWS's defaults."""
    rds = world.backend("rds", call.region)
    storage = sum(int(db.allocated_storage) for db in rds.databases.values())
    used = (
        ("DBInstances", len(rds.databases), 40),
        ("AllocatedStorage", storage, 100_000),
        ("DBSubnetGroups", len(rds.subnet_groups), 50),
        ("SubnetsPerDBSubnetGroup", 0, 20),
        ("ManualSnapshots", len(rds.database_snapshots), 100),
    )
    return {"AccountQuotas": [{"AccountQuotaName": n, "Used": u, "Max": m} for n, u, m in used]}


def _described(version: Version) -> Answer:
    return {
        "Engine": "mysql",
        "MajorEngineVersion": version.major,
        "EngineVersion": version.name,
        "DBParameterGroupFamily": f"mysql{version.major}",
        "DBEngineDescription": "MySQL Community Edition",
        "DBEngineVersionDescription": f"MySQL {version.name}",
        "Status": version.status,
        "SupportedCACertificateIdentifiers": ["rds-ca-rsa2048-g1", "rds-ca-ecc384-g1"],
    }


def _option(version: Version, name: str, storage: str, in_zones: list[Answer]) -> Answer:
    return {
        "Engine": "mysql",
        "EngineVersion": version.name,
        "DBInstanceClass": name,
        "LicenseModel": "general-public-license",
        "AvailabilityZones": in_zones,
        "MultiAZCapable": True,
        "Vpc": True,
        "SupportsStorageEncryption": True,
        "StorageType": storage,
        "SupportsIAMDatabaseAuthentication": True,
        "MinStorageSize": 20,
        "MaxStorageSize": 65_536,
        "SupportedNetworkTypes": ["IPV4"],
    }


def _lifecycle(name: str, start: str, end: str) -> Answer:
    return {
        "LifecycleSupportName": name,
        "LifecycleSupportStartDate": _date(start),
        "LifecycleSupportEndDate": _date(end),
    }


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _filters(call: Call) -> dict[str, list[str]]:
    return {f["Name"].lower(): f["Values"] for f in call.get("Filters", [])}
