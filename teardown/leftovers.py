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
from provision.resources.base import Resource
from provision.resources.ec2 import interfaces_in
from provision.resources.lambda_ import Function, LayerVersion
from provision.resources.logs import LogGroup
from provision.resources.rds import DBProxy, find_proxy, tags_of

Sweep = Callable[["Account"], Iterator["Left"]]


@dataclass(frozen=True)
class Account:
    """Where to look, and for whose: names are those that the environment gives its resources."""

    aws: Aws
    environment: str
    resources: Sequence[Resource]

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


def prove_nothing_left(run: Run, *, kept_snapshot: str = "") -> list[Left]:
    """Ask AWS what is left, and tell it. Returns what a person chose to keep.

    Raises LeftBehind when there is anything else.
    """
    account = Account(run.aws, run.config.environment.name, run.template)
    with calling("proof"):
        found = run.aws.together(
            *(lambda sweep=sweep: list(sweep(account)) for sweep in SWEEPS.values())
        )
    left = [each for group in found for each in group]
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
        yield Left("VPC", vpc["VpcId"])


def subnets(account: Account) -> Iterator[Left]:
    """Subnets with our tag."""
    for subnet in by_tag(account, "describe_subnets", "Subnets"):
        yield Left("subnet", subnet["SubnetId"])


def security_groups(account: Account) -> Iterator[Left]:
    """Security groups with our tag."""
    for group in by_tag(account, "describe_security_groups", "SecurityGroups"):
        yield Left("security group", group["GroupId"])


def interfaces(account: Account) -> Iterator[Left]:
    """Interfaces that Lambda or RDS made in our VPC: they have no tags, the VPC's are the mark."""
    for vpc in by_tag(account, "describe_vpcs", "Vpcs"):
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
        if proxy and account.marked(tags_of(account.aws, proxy["DBProxyArn"])):
            yield Left("RDS Proxy", proxy["DBProxyName"], proxy["Status"])


def subnet_groups(account: Account) -> Iterator[Left]:
    """DB subnet groups with our name and tag."""
    names = account.names("AWS::RDS::DBSubnetGroup")
    for each in pages(account.aws.rds, "describe_db_subnet_groups", "DBSubnetGroups"):
        name = each["DBSubnetGroupName"]
        if name in names and account.marked(tags_of(account.aws, each["DBSubnetGroupArn"])):
            yield Left("DB subnet group", name)


def snapshots(account: Account) -> Iterator[Left]:
    """Snapshots of our instance, whoever took them, that carry our tag."""
    for name in account.names("AWS::RDS::DBInstance"):
        operation, key = "describe_db_snapshots", "DBSnapshots"
        for each in pages(account.aws.rds, operation, key, DBInstanceIdentifier=name):
            if account.marked(each.get("TagList")):
                taken = each.get("SnapshotCreateTime")
                since = taken.isoformat() if taken else ""
                status = each.get("Status", "")
                yield Left("DB snapshot", each["DBSnapshotIdentifier"], status, since)


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
            yield Left("HTTP API", each["ApiId"])


def log_groups(account: Account) -> Iterator[Left]:
    """Log groups with our names and mark, or with no tags: those AWS made for ours."""
    for group in account.resources:
        if isinstance(group, LogGroup) and group.described(account.aws):
            tags = group.tags_at_aws(account.aws)
            ours = tags.get("provision:environment") == account.environment
            if ours or (not tags and not has_writer(account, group)):
                yield Left("log group", group.name)


def has_writer(account: Account, group: LogGroup) -> bool:
    """Return whether what logs there is still there: then it is somebody else's, ours is gone."""
    return any(
        isinstance(each, Function | DBProxy)
        and group.name.endswith(f"/{each.name}")
        and each.find(account.aws, {}) is not None
        for each in account.resources
    )


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
