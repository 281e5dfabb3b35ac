"""What keeps a VPC, a subnet or a security group from being deleted, by kind, id and owner.

Asked only when EC2 answered DependencyViolation, which names nothing. What the caller may not list
is said. Follows the Amazon VPC User Guide, "Delete your VPC".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from provision.aws.account import Aws, code_of, pages, tag_map
from provision.aws.advice import DENIED
from provision.resources.ownership import ENVIRONMENT

LAMBDA_INTERFACE = "AWS Lambda VPC ENI-"
# An instance's interface is described as RDSNetworkInterface. How AWS describes a proxy's is not
# documented: whatever names RDS or a proxy counts, and what says nothing.
RDS_INTERFACE = re.compile(r"|.*(rds|db ?proxy|\bprx-).*", re.IGNORECASE | re.DOTALL)
# What has interfaces in subnets, named in their descriptions: how its ids begin.
INTERFACES_OF = {
    "NAT gateway": "nat",
    "VPC endpoint": "vpce",
    "transit gateway attachment": "tgw-attach",
}


@dataclass(frozen=True)
class Blocker:
    """One thing in the way. `lasts`: waiting does not make it go. `command` shows or removes it."""

    what: str
    owner: str = ""
    command: str = ""
    lasts: bool = False

    def __str__(self) -> str:
        return f"{self.what} ({self.owner})" if self.owner else self.what


@dataclass(frozen=True)
class Kind:
    """One kind of thing that holds a VPC.

    `noun` is EC2's word, of which it makes all others: DescribeNatGateways answers NatGateways,
    each with its NatGatewayId. `filters` are names of EC2's filters that take a VPC's id; without
    one the list is searched. `detach`: it is detached from the VPC, not deleted.
    """

    title: str
    noun: str
    holds: Callable[[Mapping[str, Any], str], bool] = lambda _item, _vpc: True
    filters: tuple[str, ...] = ("vpc-id",)
    parameter: str = "Filters"
    own_id: str = ""  # the member with its id, where that is another
    own_command: str = ""  # the command that removes it, likewise
    detach: bool = False

    @property
    def operation(self) -> str:
        """The method of boto3's client that lists them."""
        return xform_name(f"Describe{self.noun}s")

    @property
    def key(self) -> str:
        """The member of the answer that has the list."""
        return f"{self.noun}s"

    @property
    def id_key(self) -> str:
        """The member of each that has its id."""
        return self.own_id or f"{self.noun}Id"

    @property
    def command(self) -> str:
        """The command that removes one, with `{id}` and `{vpc}` in it."""
        verb, where = ("detach", " --vpc-id {vpc}") if self.detach else ("delete", "")
        noun, flag = xform_name(self.noun, "-"), xform_name(self.id_key, "-")
        return self.own_command or f"aws ec2 {verb}-{noun} --{flag} {{id}}{where}"


def is_not_main(item: Mapping[str, Any], _vpc: str) -> bool:
    """Return whether a route table is not the VPC's main one, which goes with it."""
    return not any(each.get("Main") for each in item.get("Associations", ()))


def is_attached(item: Mapping[str, Any], vpc: str) -> bool:
    """Return whether an egress-only internet gateway is attached to the VPC."""
    return any(each.get("VpcId") == vpc for each in item.get("Attachments", ()))


def is_alive(item: Mapping[str, Any], _vpc: str) -> bool:
    """Return whether a thing that EC2 still lists after its deletion is not deleted."""
    status = item.get("Status", {})
    state = item.get("State") or (status.get("Code") if isinstance(status, Mapping) else "")
    return str(state) not in {"deleted", "deleting", "expired", "failed", "rejected"}


ATTACHED = ("attachment.vpc-id",)
PEERS = ("requester-vpc-info.vpc-id", "accepter-vpc-info.vpc-id")
KINDS = (
    Kind("internet gateway", "InternetGateway", filters=ATTACHED, detach=True),
    Kind("egress-only internet gateway", "EgressOnlyInternetGateway", is_attached, filters=()),
    Kind("NAT gateway", "NatGateway", is_alive, parameter="Filter"),
    Kind(
        "VPC endpoint",
        "VpcEndpoint",
        is_alive,
        own_command="aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {id}",
    ),
    Kind("VPN gateway", "VpnGateway", is_alive, filters=ATTACHED, detach=True),
    Kind("VPC peering connection", "VpcPeeringConnection", is_alive, filters=PEERS),
    Kind(
        "transit gateway attachment",
        "TransitGatewayVpcAttachment",
        is_alive,
        own_id="TransitGatewayAttachmentId",
    ),
    Kind("carrier gateway", "CarrierGateway", is_alive),
    Kind("route table", "RouteTable", is_not_main),
    Kind("network ACL", "NetworkAcl", lambda item, _vpc: not item.get("IsDefault")),
    Kind("subnet", "Subnet"),
    Kind(
        "security group",
        "SecurityGroup",
        lambda item, _vpc: item.get("GroupName") != "default",
        own_id="GroupId",
    ),
)
# The permissions to list what keeps a VPC from being deleted.
LISTS = tuple(sorted(f"ec2:Describe{kind.noun}s" for kind in KINDS))


def of_vpc(aws: Aws, vpc: str) -> list[Blocker]:
    """Return what keeps a VPC from being deleted. Raises ClientError, but not for a denied list."""
    found = aws.together(
        *(lambda kind=kind: listed(aws, kind, vpc) for kind in KINDS),
        lambda: interfaces(aws, "vpc-id", vpc),
    )
    return [each for group in found for each in group]


def listed(aws: Aws, kind: Kind, vpc: str) -> list[Blocker]:
    """Return the things of one kind that hold a VPC, or that they cannot be listed."""
    items: list[dict[str, Any]] = []
    try:
        for name in kind.filters or ("",):
            filters = {kind.parameter: [{"Name": name, "Values": [vpc]}]} if name else {}
            items += pages(aws.ec2, kind.operation, kind.key, **filters)
    except ClientError as error:
        if code_of(error) not in DENIED:
            raise
        return [Blocker(f"perhaps a {kind.title}: {error.operation_name} was denied")]
    return [
        Blocker(
            f"{kind.title} {item[kind.id_key]}",
            owner(item),
            kind.command.format(id=item[kind.id_key], vpc=vpc),
            lasts=True,
        )
        for item in items
        if kind.holds(item, vpc)
    ]


def owner(item: Mapping[str, Any]) -> str:
    """Return whose a thing of EC2's seems to be: by its tags, and by who asked for it."""
    tags = tag_map(item.get("Tags"))
    if ENVIRONMENT in tags:
        return f"of the environment {tags[ENVIRONMENT]!r}"
    requester = item.get("RequesterId") or item.get("OwnerId") or ""
    named = f"Name {tags['Name']!r}" if tags.get("Name") else "no tag of this program"
    return f"{named}, owner {requester}" if requester else named


def interfaces_in(aws: Aws, name: str, value: str) -> list[dict[str, Any]]:
    """Return the interfaces in a VPC, subnet or group (`name` is EC2's filter)."""
    filters = [{"Name": name, "Values": [value]}]
    return pages(aws.ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=filters)


def interfaces(aws: Aws, name: str, value: str) -> list[Blocker]:
    """Return the interfaces that keep a VPC, subnet or group from being deleted.

    RDS's go soon after what they are for is deleted. Lambda's of our functions are waited for
    elsewhere, so what is seen here belongs to another function, and stays like a person's own. So
    does that of a NAT gateway, an endpoint or any other service.
    """
    found = []
    for each in interfaces_in(aws, name, value):
        identity, about = each["NetworkInterfaceId"], each.get("Description", "")
        instance = each.get("Attachment", {}).get("InstanceId", "")
        what = f"network interface {identity} is {each['Status']}"
        what += f": {about}" if about else ""
        what += f", attached to {instance}" if instance else ""
        of_rds = each.get("RequesterManaged") and RDS_INTERFACE.fullmatch(about)
        command = removes_what_it_is_for(about, each.get("VpcId", ""))
        found.append(
            Blocker(
                what,
                owner(each),
                command
                or f"aws ec2 describe-network-interfaces --network-interface-ids {identity}",
                lasts=not of_rds,
            )
        )
    return found


def removes_what_it_is_for(description: str, vpc: str) -> str:
    """Return the command that removes the thing of EC2's that an interface's description names."""
    for kind in KINDS:
        prefix = INTERFACES_OF.get(kind.title)
        if prefix and (match := re.search(rf"\b{prefix}-[0-9a-f]+", description)):
            return kind.command.format(id=match[0], vpc=vpc)
    return ""


def of_group(aws: Aws, group_id: str) -> list[Blocker]:
    """Return the interfaces in a security group, and the groups whose rules refer to it."""
    referring = {
        group["GroupId"]: group
        for name in ("ip-permission.group-id", "egress.ip-permission.group-id")
        for group in pages(
            aws.ec2,
            "describe_security_groups",
            "SecurityGroups",
            Filters=[{"Name": name, "Values": [group_id]}],
        )
    }
    rules = [
        Blocker(
            f"a rule of security group {each}",
            owner(group),
            "aws ec2 describe-security-group-rules --filters "
            f"Name=group-id,Values={each} Name=referenced-group-id,Values={group_id}",
            lasts=True,
        )
        for each, group in sorted(referring.items())
        if each != group_id
    ]
    return [*interfaces(aws, "group-id", group_id), *rules]
