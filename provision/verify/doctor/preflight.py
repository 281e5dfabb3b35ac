"""Whether the account and the region can have the environment: checked before anything costs money.

All reads go out at once, so this takes little longer than AWS's slowest answer. What AWS does not
tell (a permission is missing, a call is unknown) is a warning: AWS itself will say no, if it does.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from provision.aws.account import absent, calling, pages
from provision.aws.advice import not_offered
from provision.context import Run
from provision.engine.plan import Action, Plan
from provision.errors import AwsCallError, CredentialsError, Interrupted, ProvisionError
from provision.resources.base import Seen
from provision.resources.ec2 import Subnet, Vpc
from provision.resources.rds import orderable_options
from provision.resources.rds.db_instance import DBInstance, version
from provision.resources.rds.db_proxy import DBProxy
from provision.resources.rds.db_subnet_group import DBSubnetGroup
from provision.verify.doctor.finding import (
    Finding,
    Grade,
    bad,
    good,
    in_words,
    next_steps,
    of_grade,
    warning,
)

Check = Callable[[Run, Plan], Iterable[Finding]]

STANDARD = "open-source-rds-standard-support"
# When RDS ends the standard support of MySQL's majors, where AWS does not report it: AWS's release
# calendar ("Supported MySQL major versions on Amazon RDS") as of November 2026.
STANDARD_SUPPORT_ENDS = {
    "8.0": datetime.date(2026, 7, 31),
    "8.4": datetime.date(2029, 7, 31),
}
SOON_DAYS = 180
# Default quotas of what no call counts against its own (they can be raised): Amazon VPC User Guide,
# "Amazon VPC quotas", per region; Amazon RDS User Guide, "Quotas and limitations for RDS Proxy".
DEFAULT_VPCS, DEFAULT_PROXIES = 5, 20
POOLS = "connection pools"
ALL = 100  # percent
INCREASE = "Delete some, or request an increase in Service Quotas if you have not done so."


def preflight(run: Run, plan: Plan, *, strict: bool = True) -> list[Finding]:
    """Look at account and region when a DB instance or a proxy is to be made; else read nothing.

    Returns what was found. Without `strict` nothing of it stops `up`: what is bad becomes a
    warning. Raises ForeignResource or ReplacementRefused for what prevents the plan,
    ProvisionError with everything else that makes it certain that AWS will refuse.
    """
    plan.refuse()
    if not costly(plan):
        return []
    findings = account_findings(run, plan, strict=strict)
    hopeless = of_grade(Grade.BAD, findings)
    if hopeless and strict:
        raise ProvisionError(
            "this cannot succeed, so nothing was created:\n" + in_words(hopeless),
            next_step=next_steps(hopeless),
        )
    return [replace(f, verdict=Grade.WARNING) if f in hopeless else f for f in findings]


def costly(plan: Plan) -> bool:
    """Return whether a DB instance or a proxy is to be made."""
    return bool(new(plan, DBInstance) or new(plan, DBProxy))


def new(plan: Plan, kind: type) -> int:
    """Return how many resources of a kind are to be made in addition to those that exist."""
    return sum(
        isinstance(each.resource, kind) and each.action is Action.CREATE for each in plan.steps
    )


def existing_instance(plan: Plan) -> Seen | None:
    """Return the DB instance that exists and stays: what a new one may be says nothing of it."""
    (planned,) = (each for each in plan.steps if isinstance(each.resource, DBInstance))
    return None if planned.action in (Action.CREATE, Action.REPLACE) else planned.seen


def account_findings(run: Run, plan: Plan, *, strict: bool = True) -> list[Finding]:
    """Return what is found of account and region, good or bad. Changes nothing.

    Raises CredentialsError or Interrupted, and with `strict` UnreachableError.
    """
    reads = [partial(checked, *each, run, plan, strict=strict) for each in CHECKS.items()]
    return [each for found in run.aws.together(*reads) for each in found]


def checked(title: str, check: Check, run: Run, plan: Plan, *, strict: bool) -> list[Finding]:
    """Return what a check finds; a warning where AWS does not say."""
    try:
        with calling(""):
            return list(check(run, plan))
    except (CredentialsError, Interrupted):
        raise
    except AwsCallError as error:
        answer = error.answer
        reason = f"cannot be determined: {answer.operation} answered {answer.code}"
        return [warning(title, reason, error.next_step)]
    except ProvisionError as error:
        if strict:
            raise
        return [warning(title, f"cannot be determined: {error.message}", error.next_step)]


# --- the checks -----------------------------------------------------------------------------------


def credentials(run: Run, _plan: Plan) -> Iterator[Finding]:
    """Who is calling."""
    who = run.aws.identity
    reason = f"{who.arn}, account {who.account}, region {run.aws.region}"
    if who.arn.endswith(":root"):
        yield warning("credentials", f"{reason}: the root user", "Use a role or a user instead.")
    else:
        yield good("credentials", reason)


def names(_run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether another resource has one of our names, including a deleted secret."""
    for refusal in plan.refused:
        yield bad("names", refusal.message, refusal.next_step)
    if not plan.refused:
        named = sum(bool(each.resource.name) for each in plan.steps)
        yield good("names", f"no other resource has one of the {named} names")
    for each in plan.steps:
        if each.seen and each.seen.properties.get("DeletedDate") and not plan.refused:
            yield warning(
                "names",
                f"the {each.resource.title} {each.resource.name} of an earlier environment is "
                "scheduled for deletion: `up` restores it",
            )


def linked_role(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether the account has RDS's own role; `up` makes a missing one."""
    seen = plan.of(run.template.service_linked_role).seen
    exists = "exists" if seen else "does not exist yet: `up` creates it"
    yield good("service-linked role", f"AWSServiceRoleForRDS {exists}")


def engine_version(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether RDS offers the version of MySQL (DescribeDBEngineVersions)."""
    if instance := existing_instance(plan):
        yield good("engine version", f"MySQL {instance.properties.get('EngineVersion')} is running")
        return
    wanted = run.config.database.engine_version
    listed = pages(run.aws.rds, "describe_db_engine_versions", "DBEngineVersions", Engine="mysql")
    offered = sorted((each["EngineVersion"] for each in listed), key=version)
    if not offered:
        yield warning("engine version", f"RDS lists no version of MySQL in {run.aws.region}")
        return
    fitting = [each for each in offered if f"{each}.".startswith(f"{wanted}.")]
    if fitting:
        yield good("engine version", f"MySQL {wanted} is offered, up to {fitting[-1]}")
        return
    yield bad(
        "engine version",
        f"database.engine_version = {wanted!r}: not offered in {run.aws.region}",
        f"Set database.engine_version to one of {', '.join(offered[::-1][:5])}, or to a "
        "major.minor of them.",
    )


def standard_support(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether the version is still in standard support (DescribeDBMajorEngineVersions).

    Outside of it AWS refuses the instance, since we never enrol in paid Extended Support.
    """
    instance = existing_instance(plan)
    wanted = run.config.database.engine_version
    running = str(instance.properties.get("EngineVersion", wanted)) if instance else wanted
    major = ".".join(running.split(".")[:2])
    ends, source = support_at_aws(run, major), "AWS"
    if ends is None:
        ends, source = STANDARD_SUPPORT_ENDS.get(major), "AWS's calendar of November 2026"
    title = "standard support"
    if ends is None:
        yield warning(title, f"when MySQL {major} leaves it is not known")
        return
    left = (ends - datetime.datetime.now(datetime.UTC).date()).days
    reason = f"MySQL {major} {'leaves' if left >= 0 else 'left'} it on {ends} ({source})"
    newer = "Set database.engine_version to a newer major.minor version."
    if left < 0 and not instance:
        yield bad(title, reason, newer)
    elif left < SOON_DAYS:
        yield warning(title, reason, newer)
    else:
        yield good(title, reason)


def support_at_aws(run: Run, major: str) -> datetime.date | None:
    """Return the last day of a major's standard support, or None where AWS does not report it."""
    try:
        with calling(""), absent("InvalidParameterValue"):
            majors = pages(
                run.aws.rds,
                "describe_db_major_engine_versions",
                "DBMajorEngineVersions",
                Engine="mysql",
                MajorEngineVersion=major,
            )
            for each in majors:
                for lifecycle in each.get("SupportedEngineLifecycles", ()):
                    if lifecycle["LifecycleSupportName"] == STANDARD:
                        ends: datetime.datetime = lifecycle["LifecycleSupportEndDate"]
                        return ends.date()
    except AwsCallError:
        pass
    return None


def zones(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether two zones offer the instance class and take RDS Proxy, as `up` looks them up."""
    if existing_instance(plan) and not new(plan, Subnet):
        return  # what exists in its zones stays in them
    title = "zones and instance class"
    try:
        chosen = run.template.availability_zones.look_up(run.aws)
    except AwsCallError:
        raise
    except ProvisionError as error:
        yield bad(title, error.message, error.next_step)
        return
    name = run.config.database.instance_class
    yield good(
        title, f"{chosen['first']} and {chosen['second']} offer {name} and support RDS Proxy"
    )


def storage(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether the class has encrypted gp3 of this size (DescribeOrderableDBInstanceOptions)."""
    if existing_instance(plan):
        return
    wanted = run.config.database
    options = orderable_options(
        run.aws, wanted.engine_version, DBInstanceClass=wanted.instance_class
    )
    title, size = "storage", wanted.allocated_storage_gib
    if not options:
        return  # zones() says that the class is not offered
    gp3 = [each for each in options if each.get("StorageType") == "gp3"]
    encrypted = [each for each in gp3 if each.get("SupportsStorageEncryption", True)]
    fitting = [
        each
        for each in encrypted
        if each.get("MinStorageSize", size) <= size <= each.get("MaxStorageSize", size)
    ]
    if fitting:
        yield good(title, f"{wanted.instance_class} supports {size} GiB of encrypted gp3")
        return
    what = "gp3 storage" if not gp3 else "encrypted storage" if not encrypted else f"{size} GiB"
    yield bad(
        title,
        f"{wanted.instance_class} does not support {what} with MySQL {wanted.engine_version}",
        "Choose another database.instance_class"
        + (" or database.allocated_storage_gib." if encrypted else "."),
    )


def rds_quotas(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether RDS's quotas leave room, in numbers (DescribeAccountAttributes)."""
    instances = new(plan, DBInstance)
    needed = {
        "DBInstances": instances,
        "AllocatedStorage": instances * run.config.database.allocated_storage_gib,
        "DBSubnetGroups": new(plan, DBSubnetGroup),
    }
    quotas = run.aws.rds.describe_account_attributes()["AccountQuotas"]
    for quota in quotas:
        more = needed.get(name := quota["AccountQuotaName"])
        if more is None:
            continue
        reason = f"{name}: {quota['Used']} of {quota['Max']} used, {more} more needed"
        full = more and quota["Used"] + more > quota["Max"]
        yield bad("RDS quota", reason, INCREASE) if full else good("RDS quota", reason)


def proxy_count(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether the region has RDS Proxy, and whether the proxies fit into AWS's quota."""
    try:
        with calling(""):
            there = len(run.aws.listed("rds", "describe_db_proxies", "DBProxies"))
    except AwsCallError as error:
        if not not_offered(error.answer):
            raise
        yield bad(
            "RDS Proxy",
            f"not offered in {run.aws.region}: {error.answer.operation} answered "
            f"{error.answer.code}: {error.answer.message}",
            "Choose another region: --region, or environment.region.",
        )
        return
    yield from against_default("RDS Proxies", there, new(plan, DBProxy), DEFAULT_PROXIES)


def pools(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether all proxies together may take more connections than the DB instance has."""
    proxies = sum(isinstance(each.resource, DBProxy) for each in plan.steps)
    if words := oversubscribed(run.config.proxy.max_connections_percent, proxies):
        yield warning(POOLS, *words)
    else:
        yield good(POOLS, "the proxies' pools fit into the instance's max_connections")


def oversubscribed(percent: int, proxies: int) -> tuple[str, str] | None:
    """Return why the proxies' pools are too large together, and what to do; None when they fit.

    Amazon RDS User Guide, "Configuring connection settings": the sum over all proxies of a database
    should not be more than 100.
    """
    if percent * proxies <= ALL:
        return None
    return (
        f"proxy.max_connections_percent = {percent} for each of {proxies} proxies: together they "
        f"may take {percent * proxies} % of the instance's max_connections",
        f"AWS advises at most 100 % in total: {ALL // proxies} for each, if both are under load.",
    )


def vpc_count(run: Run, plan: Plan) -> Iterator[Finding]:
    """Whether the VPC fits into AWS's default quota."""
    existing = len(pages(run.aws.ec2, "describe_vpcs", "Vpcs"))
    yield from against_default("VPCs", existing, new(plan, Vpc), DEFAULT_VPCS)


def against_default(what: str, existing: int, more: int, default: int) -> Iterator[Finding]:
    """Yield whether so many more fit; a warning only, since AWS's default may have been raised."""
    reason = f"{existing} exist, {more} more needed; AWS's default quota is {default}"
    full = more and existing + more > default
    yield warning(what, reason, INCREASE) if full else good(what, reason)


CHECKS: dict[str, Check] = {
    "credentials": credentials,
    "names": names,
    "service-linked role": linked_role,
    "engine version": engine_version,
    "standard support": standard_support,
    "zones and instance class": zones,
    "storage": storage,
    "RDS quota": rds_quotas,
    "RDS Proxies": proxy_count,
    POOLS: pools,
    "VPCs": vpc_count,
}
