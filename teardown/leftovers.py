"""The proof at the end of a teardown: AWS is asked, kind by kind, what is left.

Asked by tag and by name, and for what AWS makes by itself: interfaces, log groups, automated
backups, snapshots, secrets waiting for their deletion, old layer versions. Nothing here is deleted;
what is left is named, with why and since when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, absent, calling, pages, tag_map
from provision.context import Run
from provision.errors import LeftBehind
from provision.resources.base import Resource, Seen
from provision.resources.ec2 import interfaces_in
from provision.resources.lambda_ import LayerVersion
from provision.resources.logs import LogGroup
from provision.resources.rds import find_proxy, tags_of

COPY = "it has this environment's tags, and is not what the environment was found to be"
Sweep = Callable[["Account"], Iterator["Left"]]


@dataclass(frozen=True)
class Account:
    """Where to look, and for whose: names are those that the environment gives its resources."""

    aws: Aws
    environment: str
    resources: Sequence[Resource]
    deleted: Mapping[str, str]  # the lasting ids of what this run found and deleted, by step

    def is_copy(self, step: str, identity: str) -> bool:
        """Return whether a thing with our tags is another one than that which this run knew."""
        return step in self.deleted and self.deleted[step] != identity

    def names(self, kind: str) -> list[str]:
        """Return the names of the environment's resources of a kind."""
        return [each.name for each in self.resources if each.kind == kind]

    def marked(self, tags: Any) -> bool:
        """Return whether tags, in whichever of AWS's two shapes, carry this environment's mark."""
        there = tags if isinstance(tags, Mapping) else tag_map(tags)
        return there.get("provision:environment") == self.environment


@dataclass(frozen=True)
class Left:
    """One thing of the environment that is still at AWS."""

    kind: str
    identity: str
    why: str = ""
    since: str = ""
    foreign: bool = False  # proven to be somebody else's: worth a word, and no failure


def prove_nothing_left(
    run: Run, seen: Mapping[str, Seen | None], *, kept_snapshot: str = ""
) -> list[Left]:
    """Ask AWS what is left, and tell it. Returns what a person chose to keep.

    `seen` is what the run found at its beginning. Raises LeftBehind when there is anything else
    that is, or may be, this environment's.
    """
    deleted = {
        each.step: there.outputs[each.lasting_id]
        for each in run.template
        if (there := seen.get(each.step)) and there.outputs.get(each.lasting_id)
    }
    account = Account(run.aws, run.config.environment.name, run.template, deleted)
    with calling("proof"):
        found = run.aws.together(
            *(lambda sweep=sweep: list(sweep(account)) for sweep in SWEEPS.values())
        )
    everything = [each for group in found for each in group]
    for each in everything:
        if each.foreign:
            message = f"the {each.kind} {each.identity}: {each.why}"
            run.output.record("passed-over", kind=each.kind, id=each.identity, message=message)
            run.output.note(f"left alone: {message}")
    left = [each for each in everything if not each.foreign]
    kept = [each for each in left if kept_snapshot and each.identity == kept_snapshot]
    left = [each for each in left if each not in kept]
    for kind, group in zip(SWEEPS, found, strict=True):
        run.output.record("left", kind=kind, left=[vars(each) for each in group if each in left])
    rows = [
        (kind, str(sum(each in left for each in group)), described(group))
        for kind, group in zip(SWEEPS, found, strict=True)
    ]
    run.output.table("left at AWS:", ("kind", "left", ""), rows)
    if left:
        raise LeftBehind(
            f"{len(left)} left at AWS: " + ", ".join(f"{e.kind} {e.identity}" for e in left),
            next_step="Run `python -m teardown` again; what stays says above why.",
        )
    return kept


def described(group: list[Left]) -> str:
    """Return what of a kind is left, in words."""
    return "; ".join(
        " ".join(filter(None, (each.identity, each.why, each.since and f"since {each.since}")))
        for each in group
    )


# --- network --------------------------------------------------------------------------------------


def by_tag(account: Account, operation: str, key: str) -> list[dict[str, Any]]:
    """Return what EC2 has with this environment's tag."""
    filters = [{"Name": "tag:provision:environment", "Values": [account.environment]}]
    return pages(account.aws.ec2, operation, key, Filters=filters)


def vpcs(account: Account) -> Iterator[Left]:
    """VPCs with our tag."""
    for vpc in by_tag(account, "describe_vpcs", "Vpcs"):
        copy = account.is_copy("vpc", vpc["VpcId"])
        yield Left("VPC", vpc["VpcId"], COPY if copy else "", foreign=copy)


def subnets(account: Account) -> Iterator[Left]:
    """Subnets with our tag."""
    for subnet in by_tag(account, "describe_subnets", "Subnets"):
        elsewhere = account.is_copy("vpc", subnet["VpcId"])
        yield Left("subnet", subnet["SubnetId"], COPY if elsewhere else "", foreign=elsewhere)


def security_groups(account: Account) -> Iterator[Left]:
    """Security groups with our tag."""
    for group in by_tag(account, "describe_security_groups", "SecurityGroups"):
        elsewhere = account.is_copy("vpc", group["VpcId"])
        why = COPY if elsewhere else ""
        yield Left("security group", group["GroupId"], why, foreign=elsewhere)


def interfaces(account: Account) -> Iterator[Left]:
    """Interfaces that Lambda or RDS made in our VPC: they have no tags, the VPC's are the mark."""
    for vpc in by_tag(account, "describe_vpcs", "Vpcs"):
        if account.is_copy("vpc", vpc["VpcId"]):
            continue
        for each in interfaces_in(account.aws, "vpc-id", vpc["VpcId"]):
            why = f"{each['Status']}: {each.get('Description', '')}"
            yield Left("network interface", each["NetworkInterfaceId"], why)


# --- database -------------------------------------------------------------------------------------


def instances(account: Account) -> Iterator[Left]:
    """DB instances with our tag."""
    for each in pages(account.aws.rds, "describe_db_instances", "DBInstances"):
        if account.marked(each.get("TagList")):
            yield Left("DB instance", each["DBInstanceIdentifier"], each["DBInstanceStatus"])


def proxies(account: Account) -> Iterator[Left]:
    """Proxies with our names and tag. The tags are not in the list."""
    for name in account.names("AWS::RDS::DBProxy"):
        proxy = find_proxy(account.aws, name)
        if proxy and account.marked(tags_of(account.aws, proxy["DBProxyArn"]).tags):
            yield Left("RDS Proxy", proxy["DBProxyName"], proxy["Status"])


def subnet_groups(account: Account) -> Iterator[Left]:
    """DB subnet groups with our name and tag."""
    names = account.names("AWS::RDS::DBSubnetGroup")
    for each in pages(account.aws.rds, "describe_db_subnet_groups", "DBSubnetGroups"):
        name = each["DBSubnetGroupName"]
        if name in names and account.marked(tags_of(account.aws, each["DBSubnetGroupArn"]).tags):
            yield Left("DB subnet group", name)


def snapshots(account: Account) -> Iterator[Left]:
    """Snapshots of our instance, whoever took them, that carry our tag."""
    for name in account.names("AWS::RDS::DBInstance"):
        operation, key = "describe_db_snapshots", "DBSnapshots"
        for each in pages(account.aws.rds, operation, key, DBInstanceIdentifier=name):
            if account.marked(each.get("TagList")):
                taken = each.get("SnapshotCreateTime")
                since = taken.isoformat() if taken else ""
                yield Left("DB snapshot", each["DBSnapshotIdentifier"], by_hand(each), since)


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


def backups(account: Account) -> Iterator[Left]:
    """Automated backups that outlived our instance."""
    operation, key = "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"
    for name in account.names("AWS::RDS::DBInstance"):
        with absent("DBInstanceAutomatedBackupNotFound"):
            for each in pages(account.aws.rds, operation, key, DBInstanceIdentifier=name):
                if each.get("Status") == "retained":
                    yield Left("automated backup", each["DbiResourceId"], each["Status"])


# --- secret, roles, functions, API, logs ----------------------------------------------------------


def secrets(account: Account) -> Iterator[Left]:
    """Secrets with our tag, those that wait for their deletion included."""
    client = account.aws.secretsmanager
    for each in pages(client, "list_secrets", "SecretList", IncludePlannedDeletion=True):
        if account.marked(each.get("Tags")):
            deleted = each.get("DeletedDate")
            why = "waits for its deletion" if deleted else ""
            yield Left("secret", each["Name"], why, deleted.isoformat() if deleted else "")


def roles(account: Account) -> Iterator[Left]:
    """Roles with our names and tag. Role lists have no tags, so the names are tried."""
    for name in account.names("AWS::IAM::Role"):
        with absent("NoSuchEntity"):
            role = account.aws.iam.get_role(RoleName=name)["Role"]
            if account.marked(role.get("Tags")):
                yield Left("role", name)


def functions(account: Account) -> Iterator[Left]:
    """Functions with our names and tag."""
    for name in account.names("AWS::Lambda::Function"):
        with absent("ResourceNotFoundException"):
            answer = account.aws.lambda_.get_function(FunctionName=name)
            if account.marked(answer.get("Tags")):
                yield Left("function", name, answer["Configuration"].get("State", ""))


def layer_versions(account: Account) -> Iterator[Left]:
    """Layer versions whose description carries our mark."""
    for layer in account.resources:
        if isinstance(layer, LayerVersion):
            for each in layer.versions(account.aws):
                if each.get("Description", "").startswith(layer.mark(account.aws)):
                    identity = f"{layer.name}:{each['Version']}"
                    yield Left("layer version", identity, "", each["CreatedDate"])


def apis(account: Account) -> Iterator[Left]:
    """HTTP APIs with our tag."""
    for each in pages(account.aws.apigateway, "get_apis", "Items"):
        if account.marked(each.get("Tags")):
            copy = account.is_copy("api", each["ApiId"])
            yield Left("HTTP API", each["ApiId"], COPY if copy else "", foreign=copy)


def log_groups(account: Account) -> Iterator[Left]:
    """Log groups of our names that are ours, or may be: AWS makes them again, without tags."""
    for group in account.resources:
        if not isinstance(group, LogGroup):
            continue
        seen = group.find(account.aws, {})
        if seen is None:
            continue
        if seen.unreadable:
            yield Left("log group", group.name, f"its tags cannot be read: {seen.unreadable}")
        elif account.marked(seen.tags):
            yield Left("log group", group.name)
        elif "provision:environment" not in (seen.tags or {}) and not group.has_writer(seen):
            yield Left("log group", group.name, f"it has no tags: {group.remedy()}")


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
