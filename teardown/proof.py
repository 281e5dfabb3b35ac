"""The proof at the end of a teardown: AWS is asked, kind by kind, what is left.

Asked by tag and by name, and for what AWS makes by itself: interfaces, log groups, automated
backups, snapshots, secrets waiting for their deletion, old layer versions. Nothing here is deleted;
what is left is named, with why and since when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from provision.aws import Aws, absent, calling, pages
from provision.errors import LeftBehind
from provision.run import Run

Sweep = Callable[[Aws, str], Iterator["Left"]]


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
    name = run.config.environment.name
    with calling("proof"):
        found = run.aws.together(
            *(lambda sweep=sweep: list(sweep(run.aws, name)) for sweep in SWEEPS.values())
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


def by_tag(aws: Aws, environment: str, operation: str, key: str) -> list[dict[str, Any]]:
    """Return what EC2 has with this environment's tag."""
    filters = [{"Name": "tag:provision:environment", "Values": [environment]}]
    return pages(aws.ec2, operation, key, Filters=filters)


def vpcs(aws: Aws, environment: str) -> Iterator[Left]:
    """VPCs with our tag."""
    for vpc in by_tag(aws, environment, "describe_vpcs", "Vpcs"):
        yield Left("VPC", vpc["VpcId"])


def subnets(aws: Aws, environment: str) -> Iterator[Left]:
    """Subnets with our tag."""
    for subnet in by_tag(aws, environment, "describe_subnets", "Subnets"):
        yield Left("subnet", subnet["SubnetId"])


def security_groups(aws: Aws, environment: str) -> Iterator[Left]:
    """Security groups with our tag."""
    for group in by_tag(aws, environment, "describe_security_groups", "SecurityGroups"):
        yield Left("security group", group["GroupId"])


def interfaces(aws: Aws, environment: str) -> Iterator[Left]:
    """Interfaces that Lambda or RDS made in our VPC: they have no tags, the VPC's are the mark."""
    for vpc in by_tag(aws, environment, "describe_vpcs", "Vpcs"):
        filters = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        operation, key = "describe_network_interfaces", "NetworkInterfaces"
        for each in pages(aws.ec2, operation, key, Filters=filters):
            why = f"{each['Status']}: {each.get('Description', '')}"
            yield Left("network interface", each["NetworkInterfaceId"], why)


# --- database -------------------------------------------------------------------------------------


def instances(aws: Aws, environment: str) -> Iterator[Left]:
    """DB instances with our tag."""
    for each in pages(aws.rds, "describe_db_instances", "DBInstances"):
        if marked(each.get("TagList"), environment):
            why = each["DBInstanceStatus"]
            yield Left("DB instance", each["DBInstanceIdentifier"], why)


def proxies(aws: Aws, environment: str) -> Iterator[Left]:
    """Proxies with our name: their tags are not in the list."""
    names = {f"{environment}-password", f"{environment}-iam"}
    for each in pages(aws.rds, "describe_db_proxies", "DBProxies"):
        if each["DBProxyName"].lower() in names and rds_tagged(
            aws, each["DBProxyArn"], environment
        ):
            yield Left("RDS Proxy", each["DBProxyName"], each["Status"])


def subnet_groups(aws: Aws, environment: str) -> Iterator[Left]:
    """DB subnet groups with our name and tag."""
    for each in pages(aws.rds, "describe_db_subnet_groups", "DBSubnetGroups"):
        name = each["DBSubnetGroupName"]
        ours = name == f"{environment}-database"
        if ours and rds_tagged(aws, each["DBSubnetGroupArn"], environment):
            yield Left("DB subnet group", name)


def snapshots(aws: Aws, environment: str) -> Iterator[Left]:
    """Snapshots of our instance, whoever took them, that carry our tag."""
    instance = f"{environment}-database"
    found = pages(aws.rds, "describe_db_snapshots", "DBSnapshots", DBInstanceIdentifier=instance)
    for each in found:
        if marked(each.get("TagList"), environment):
            taken = each.get("SnapshotCreateTime")
            since = taken.isoformat() if taken else ""
            yield Left("DB snapshot", each["DBSnapshotIdentifier"], each.get("Status", ""), since)


def backups(aws: Aws, environment: str) -> Iterator[Left]:
    """Automated backups that outlived our instance."""
    instance = f"{environment}-database"
    operation, key = "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"
    with absent("DBInstanceAutomatedBackupNotFound"):
        for each in pages(aws.rds, operation, key, DBInstanceIdentifier=instance):
            if each.get("Status") == "retained":
                yield Left("automated backup", each["DbiResourceId"], each["Status"])


def marked(tags: list[dict[str, str]] | None, environment: str) -> bool:
    """Return whether RDS's tags carry our mark."""
    return {"Key": "provision:environment", "Value": environment} in (tags or [])


def rds_tagged(aws: Aws, arn: str, environment: str) -> bool:
    """Return whether the RDS resource of this ARN carries our mark."""
    with absent("DBProxyNotFoundFault", "DBSubnetGroupNotFoundFault"):
        return marked(aws.rds.list_tags_for_resource(ResourceName=arn)["TagList"], environment)  # type: ignore[arg-type]
    return False


# --- secret, roles, functions, API, logs ----------------------------------------------------------


def secrets(aws: Aws, environment: str) -> Iterator[Left]:
    """Secrets with our tag, those that wait for their deletion included."""
    for each in pages(
        aws.secretsmanager, "list_secrets", "SecretList", IncludePlannedDeletion=True
    ):
        if marked(each.get("Tags"), environment):
            deleted = each.get("DeletedDate")
            why = "waits for its deletion" if deleted else ""
            yield Left("secret", each["Name"], why, deleted.isoformat() if deleted else "")


def roles(aws: Aws, environment: str) -> Iterator[Left]:
    """Roles with our names and tag. Role lists have no tags, so the names are tried."""
    for part in ("proxy", "function-password", "function-iam", "api"):
        with absent("NoSuchEntity"):
            role = aws.iam.get_role(RoleName=f"{environment}-{part}-{aws.region}")["Role"]
            if marked(role.get("Tags"), environment):  # type: ignore[arg-type]
                yield Left("role", role["RoleName"])


def functions(aws: Aws, environment: str) -> Iterator[Left]:
    """Functions with our names and tag."""
    for login in ("password", "iam"):
        with absent("ResourceNotFoundException"):
            answer = aws.lambda_.get_function(FunctionName=f"{environment}-{login}")
            if answer.get("Tags", {}).get("provision:environment") == environment:
                state = answer["Configuration"].get("State", "")
                yield Left("function", f"{environment}-{login}", state)


def layer_versions(aws: Aws, environment: str) -> Iterator[Left]:
    """Layer versions whose description carries our mark."""
    layer = f"{environment}-mysql-connector"
    with absent("ResourceNotFoundException"):
        found = pages(aws.lambda_, "list_layer_versions", "LayerVersions", LayerName=layer)
        for each in found:
            if each.get("Description", "").startswith(f"provision:environment={environment} "):
                yield Left("layer version", f"{layer}:{each['Version']}", "", each["CreatedDate"])


def apis(aws: Aws, environment: str) -> Iterator[Left]:
    """HTTP APIs with our tag."""
    for each in pages(aws.apigateway, "get_apis", "Items"):
        if (each.get("Tags") or {}).get("provision:environment") == environment:
            yield Left("HTTP API", each["ApiId"])


def log_groups(aws: Aws, environment: str) -> Iterator[Left]:
    """Log groups of our functions and proxies, by name."""
    names = {
        f"{prefix}{environment}-{login}"
        for prefix in ("/aws/lambda/", "/aws/rds/proxy/")
        for login in ("password", "iam")
    }
    for prefix in sorted(names):
        for each in pages(aws.logs, "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
            arn = aws.arn("logs", f"log-group:{prefix}")
            if each["logGroupName"] == prefix and logs_tagged(aws, arn, environment):
                yield Left("log group", prefix)


def logs_tagged(aws: Aws, arn: str, environment: str) -> bool:
    """Return whether a log group carries our mark, or none at all: AWS made it for ours."""
    with absent("ResourceNotFoundException"):
        tags = aws.logs.list_tags_for_resource(resourceArn=arn)["tags"]
        return tags.get("provision:environment", environment) == environment
    return False


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
