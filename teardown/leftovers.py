"""The check at the end of a teardown: it searches AWS, kind by kind, for what is left.

It searches by tag and by name, and for what AWS creates by itself: interfaces, log groups,
automated backups, snapshots, secrets scheduled for deletion, old layer versions. It deletes
nothing, and names what is left, with why and since when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, absent, calling, pages, tag_map
from provision.aws.console import console_url
from provision.context import Run
from provision.errors import LeftBehind
from provision.resources.base import Resource, Seen
from provision.resources.blockers import interfaces_in
from provision.resources.lambda_ import Function, LayerVersion
from provision.resources.logs import LogGroup
from provision.resources.ownership import Tags
from provision.resources.rds import find_proxy, instance_tags, tags_of
from provision.views.style import Meaning, Styled, link, signed

COPY = "it has this environment's tags, but it is another resource than the one that was deleted"
Sweep = Callable[["Search"], Iterator["Leftover"]]


@dataclass(frozen=True)
class Search:
    """Where to search, and for which environment: names are those of its resources."""

    aws: Aws
    environment: str
    resources: Sequence[Resource]
    deleted: Mapping[str, str]  # the lasting ids of what this run found and deleted, by step

    def is_copy(self, step: str, identity: str) -> bool:
        """Return whether a resource with our tags is another one than this run deleted."""
        return step in self.deleted and self.deleted[step] != identity

    def names(self, kind: str) -> list[str]:
        """Return the names of the environment's resources of a kind."""
        return [each.name for each in self.resources if each.kind == kind]

    def marked(self, tags: Any) -> bool:
        """Return whether tags, in whichever of AWS's two shapes, carry this environment's mark."""
        existing = tags if isinstance(tags, Mapping) else tag_map(tags)
        return existing.get("provision:environment") == self.environment

    def judged(self, kind: str, identity: str, tags: Tags, why: str = "") -> Iterator[Leftover]:
        """Yield a thing that has our tag, or may have it: its tags cannot be read."""
        if tags.tags is None:
            yield Leftover(kind, identity, f"its tags cannot be read: {tags.unreadable}")
        elif self.marked(tags.tags):
            yield Leftover(kind, identity, why)


@dataclass(frozen=True)
class Leftover:
    """One resource of the environment that still exists."""

    kind: str
    identity: str
    why: str = ""
    since: str = ""
    foreign: bool = False  # proven to be another owner's: a warning, not a failure


def check_nothing_left(
    run: Run, seen: Mapping[str, Seen | None], *, kept_snapshot: str = ""
) -> list[Leftover]:
    """Ask AWS what is left, and show it. Returns the snapshot that a person chose to keep.

    `seen` is what the run found at its beginning. Raises LeftBehind when there is anything else
    that is, or may be, this environment's.
    """
    deleted = {
        each.step: existing.outputs[each.lasting_id]
        for each in run.template
        if (existing := seen.get(each.step)) and existing.outputs.get(each.lasting_id)
    }
    search = Search(run.aws, run.config.environment.name, run.template, deleted)
    reads = [lambda sweep=sweep: list(sweep(search)) for sweep in SWEEPS.values()]
    with calling("leftovers"):
        found = dict(zip(SWEEPS, run.aws.together(*reads), strict=True))
    kept = [each for each in found["snapshots"] if each.identity == kept_snapshot.lower()]
    left = {
        kind: [each for each in group if not each.foreign and each not in kept]
        for kind, group in found.items()
    }
    report(run, found, left)
    if everything := [each for group in left.values() for each in group]:
        raise LeftBehind(
            f"{len(everything)} left at AWS: "
            + ", ".join(f"{each.kind} {each.identity}" for each in everything),
            next_step="Run `python -m teardown` again; the reasons are above.",
        )
    return kept


def report(
    run: Run, found: Mapping[str, list[Leftover]], left: Mapping[str, list[Leftover]]
) -> None:
    """Show what was found, kind by kind, and what of it is left of the environment."""
    for each in (each for group in found.values() for each in group if each.foreign):
        message = f"the {each.kind} {each.identity}: {each.why}"
        run.output.record("passed-over", kind=each.kind, id=each.identity, message=message)
        run.output.note(f"left alone: {message}")
    for kind, group in left.items():
        run.output.record("left", kind=kind, left=[vars(each) for each in group])
    if not any(found.values()) and not run.output.verbose:
        searched = f"nothing is left at AWS ({len(found)} kinds of resource searched)"
        run.output.table(signed(Meaning.GOOD, searched), (), ())
        return
    kinds = {each.title: each.kind for each in run.template}
    rows = [
        (kind, str(len(left[kind])), described(group, kinds, run.aws.region))
        for kind, group in found.items()
    ]
    run.output.table("left at AWS:", ("kind", "left", ""), rows)


def described(group: list[Leftover], kinds: Mapping[str, str], region: str) -> str:
    """Return what of a kind is left, in words, each id a link to its page in the AWS console.

    `kinds` are CloudFormation's names of the types, by title.
    """
    words = Styled()
    for each in group:
        page = console_url(kinds.get(each.kind, ""), each.identity, {}, region)
        since = each.since and f" since {each.since}"
        why = each.why and f" {each.why}"
        words = Styled(words, "; " if words else "", link(each.identity, page), why, since)
    return words


# --- network --------------------------------------------------------------------------------------


def by_tag(search: Search, operation: str, key: str) -> list[dict[str, Any]]:
    """Return what EC2 has with this environment's tag."""
    filters = [{"Name": "tag:provision:environment", "Values": [search.environment]}]
    return pages(search.aws.ec2, operation, key, Filters=filters)


def vpcs(search: Search) -> Iterator[Leftover]:
    """VPCs with our tag."""
    for vpc in by_tag(search, "describe_vpcs", "Vpcs"):
        copy = search.is_copy("vpc", vpc["VpcId"])
        yield Leftover("VPC", vpc["VpcId"], COPY if copy else "", foreign=copy)


def subnets(search: Search) -> Iterator[Leftover]:
    """Subnets with our tag."""
    for subnet in by_tag(search, "describe_subnets", "Subnets"):
        elsewhere = search.is_copy("vpc", subnet["VpcId"])
        yield Leftover("subnet", subnet["SubnetId"], COPY if elsewhere else "", foreign=elsewhere)


def security_groups(search: Search) -> Iterator[Leftover]:
    """Security groups with our tag."""
    for group in by_tag(search, "describe_security_groups", "SecurityGroups"):
        elsewhere = search.is_copy("vpc", group["VpcId"])
        why = COPY if elsewhere else ""
        yield Leftover("security group", group["GroupId"], why, foreign=elsewhere)


def interfaces(search: Search) -> Iterator[Leftover]:
    """Interfaces that Lambda or RDS created in our VPC: they have no tags, the VPC's count."""
    for vpc in by_tag(search, "describe_vpcs", "Vpcs"):
        if search.is_copy("vpc", vpc["VpcId"]):
            continue
        for each in interfaces_in(search.aws, "vpc-id", vpc["VpcId"]):
            why = f"{each['Status']}: {each.get('Description', '')}"
            yield Leftover("network interface", each["NetworkInterfaceId"], why)


# --- database -------------------------------------------------------------------------------------


def instances(search: Search) -> Iterator[Leftover]:
    """DB instances with our tag; where tags cannot be read, those with our names."""
    names = search.names("AWS::RDS::DBInstance")
    for each in pages(search.aws.rds, "describe_db_instances", "DBInstances"):
        name, tags = each["DBInstanceIdentifier"], instance_tags(search.aws, each)
        if tags.tags is not None or name in names:
            yield from search.judged("DB instance", name, tags, each["DBInstanceStatus"])


def proxies(search: Search) -> Iterator[Leftover]:
    """Proxies with our names and tag. The tags are not in the list."""
    for name in search.names("AWS::RDS::DBProxy"):
        if proxy := find_proxy(search.aws, name):
            tags = tags_of(search.aws, proxy["DBProxyArn"])
            yield from search.judged("RDS Proxy", proxy["DBProxyName"], tags, proxy["Status"])


def subnet_groups(search: Search) -> Iterator[Leftover]:
    """DB subnet groups with our name and tag."""
    names = search.names("AWS::RDS::DBSubnetGroup")
    for each in pages(search.aws.rds, "describe_db_subnet_groups", "DBSubnetGroups"):
        name = each["DBSubnetGroupName"]
        if name in names:
            tags = tags_of(search.aws, each["DBSubnetGroupArn"])
            yield from search.judged("DB subnet group", name, tags)


def snapshots(search: Search) -> Iterator[Leftover]:
    """Snapshots of our instance, whoever took them, that carry our tag."""
    for name in search.names("AWS::RDS::DBInstance"):
        operation, key = "describe_db_snapshots", "DBSnapshots"
        for each in pages(search.aws.rds, operation, key, DBInstanceIdentifier=name):
            if search.marked(each.get("TagList")):
                taken = each.get("SnapshotCreateTime")
                since = taken.isoformat() if taken else ""
                yield Leftover("DB snapshot", each["DBSnapshotIdentifier"], by_hand(each), since)


def by_hand(snapshot: Mapping[str, Any]) -> str:
    """Return what a snapshot is, and for one that a person took what deletes and what keeps it."""
    status = str(snapshot.get("Status", ""))
    if snapshot.get("SnapshotType") != "manual":
        return status
    name = snapshot["DBSnapshotIdentifier"]
    return (
        f"{status}, taken by hand (it costs storage). To delete it: aws rds delete-db-snapshot "
        f"--db-snapshot-identifier {name}; to keep it: aws rds remove-tags-from-resource "
        f"--resource-name {snapshot['DBSnapshotArn']} --tag-keys provision:environment"
    )


def backups(search: Search) -> Iterator[Leftover]:
    """Automated backups that outlived an instance of our name; not those with other tags."""
    operation, key = "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"
    for name in search.names("AWS::RDS::DBInstance"):
        with absent("DBInstanceAutomatedBackupNotFound"):
            for each in pages(search.aws.rds, operation, key, DBInstanceIdentifier=name):
                whose = each.get("TagList")
                if each.get("Status") == "retained" and (not whose or search.marked(whose)):
                    yield Leftover("automated backup", each["DbiResourceId"], each["Status"])


# --- secret, roles, functions, API, logs ----------------------------------------------------------


def secrets(search: Search) -> Iterator[Leftover]:
    """Secrets with our tag, including those scheduled for deletion."""
    client = search.aws.secretsmanager
    for each in pages(client, "list_secrets", "SecretList", IncludePlannedDeletion=True):
        if search.marked(each.get("Tags")):
            deleted = each.get("DeletedDate")
            why = "scheduled for deletion" if deleted else ""
            yield Leftover("secret", each["Name"], why, deleted.isoformat() if deleted else "")


def roles(search: Search) -> Iterator[Leftover]:
    """Roles with our names and tag. Role lists have no tags, so the names are tried."""
    for name in search.names("AWS::IAM::Role"):
        with absent("NoSuchEntity"):
            role = search.aws.iam.get_role(RoleName=name)["Role"]
            if search.marked(role.get("Tags")):
                yield Leftover("role", name)


def functions(search: Search) -> Iterator[Leftover]:
    """Functions with our names and tag."""
    for function in search.resources:
        if isinstance(function, Function):
            with absent("ResourceNotFoundException"):
                answer = search.aws.lambda_.get_function(FunctionName=function.name)
                tags = function.tags_at_aws(search.aws, answer)
                state = answer["Configuration"].get("State", "")
                yield from search.judged("function", function.name, tags, state)


def layer_versions(search: Search) -> Iterator[Leftover]:
    """Layer versions whose description carries our mark."""
    for layer in search.resources:
        if isinstance(layer, LayerVersion):
            for each in layer.versions(search.aws):
                if each.get("Description", "").startswith(layer.mark(search.aws)):
                    identity = f"{layer.name}:{each['Version']}"
                    yield Leftover("layer version", identity, "", each["CreatedDate"])


def apis(search: Search) -> Iterator[Leftover]:
    """HTTP APIs with our tag."""
    for each in pages(search.aws.apigateway, "get_apis", "Items"):
        if search.marked(each.get("Tags")):
            copy = search.is_copy("api", each["ApiId"])
            yield Leftover("HTTP API", each["ApiId"], COPY if copy else "", foreign=copy)


def log_groups(search: Search) -> Iterator[Leftover]:
    """Log groups with our names that are or may be ours: AWS creates them again without tags."""
    for group in search.resources:
        if not isinstance(group, LogGroup):
            continue
        seen = group.find(search.aws, {})
        if seen is None:
            continue
        tags = Tags(seen.tags, seen.unreadable)
        yield from search.judged("log group", group.name, tags)
        if seen.tags == {} and not group.has_writer(seen):
            yield Leftover("log group", group.name, f"it has no tags: {group.remedy()}")


SWEEPS: dict[str, Sweep] = {
    "DB instances": instances,
    "RDS Proxies": proxies,
    "snapshots": snapshots,
    "automated backups": backups,
    "secrets": secrets,
    "DB subnet groups": subnet_groups,
    "functions": functions,
    "layer versions": layer_versions,
    "HTTP APIs": apis,
    "roles": roles,
    "log groups": log_groups,
    "network interfaces": interfaces,
    "security groups": security_groups,
    "subnets": subnets,
    "VPCs": vpcs,
}
