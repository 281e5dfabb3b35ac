"""EC2: what others put into a VPC, and how it keeps the VPC and its subnets from being deleted.

Gateways and the like hold the VPC itself; NAT gateways, interface endpoints and transit gateway
attachments also have network interfaces in its subnets, which are AWS's own. Follows the Amazon VPC
User Guide, "Delete your VPC", and the EC2 User Guide, "Requester-managed network interfaces".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from provision.rehearsal.aws.behaviours import interfaces
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.world import Answer, Proceed, World

_ENDED = ("deleted", "deleting", "failed", "rejected", "expired")


def hold_vpc(ec2: Any, vpc: str) -> bool:
    """Return whether anything but subnets, groups and interfaces keeps this VPC."""
    return any(True for _ in _holding(ec2, vpc))


def _holding(ec2: Any, vpc: str) -> Iterable[Any]:
    attached = {"attachment.vpc-id": [vpc]}
    yield from ec2.describe_internet_gateways(filters=attached)
    yield from ec2.describe_vpn_gateways(filters=attached)
    in_vpc = (
        ec2.carrier_gateways,
        ec2.egress_only_internet_gateways,
        ec2.nat_gateways,
        ec2.transit_gateway_attachments,
        ec2.vpc_end_points,
    )
    for kind in in_vpc:
        for each in kind.values():
            if getattr(each, "vpc_id", "") == vpc and each.state not in _ENDED:
                yield each
    for each in ec2.vpc_pcxs.values():
        if vpc in (each.vpc.id, each.peer_vpc.id) and each._status.code not in _ENDED:
            yield each
    for each in ec2.route_tables.values():
        if each.vpc_id == vpc and each.main_association_id is None:
            yield each
    for each in ec2.network_acls.values():
        if each.vpc_id == vpc and not each.default:
            yield each


# What has interfaces in subnets


def create_nat_gateway(world: World, call: Call, proceed: Proceed) -> Answer:
    """Its interface is AWS's own."""
    answer = proceed()
    ec2, name = world.backend("ec2", call.region), answer["NatGateway"]["NatGatewayId"]
    gateway = ec2.nat_gateways[name]
    interfaces.belongs_to_aws(gateway._eni, f"Interface for NAT Gateway {name}", "nat_gateway")
    return answer


def delete_nat_gateway(world: World, call: Call, proceed: Proceed) -> Answer:
    """Its interface goes with it, which moto leaves."""
    answer = proceed()
    ec2 = world.backend("ec2", call.region)
    ec2.enis.pop(ec2.nat_gateways[answer["NatGatewayId"]]._eni.id, None)
    return answer


def create_vpc_endpoint(world: World, call: Call, proceed: Proceed) -> Answer:
    """The interfaces of an interface endpoint are AWS's own."""
    answer = proceed()
    ec2, name = world.backend("ec2", call.region), answer["VpcEndpoint"]["VpcEndpointId"]
    for each in ec2.vpc_end_points[name].network_interface_ids or ():
        interfaces.belongs_to_aws(ec2.enis[each], f"VPC Endpoint Interface {name}", "vpc_endpoint")
    return answer


def delete_vpc_endpoints(world: World, call: Call, proceed: Proceed) -> None:
    """Their interfaces go with them, which moto leaves."""
    ec2 = world.backend("ec2", call.region)
    for name in call.get("VpcEndpointIds", []):
        for each in getattr(ec2.vpc_end_points.get(name), "network_interface_ids", None) or ():
            ec2.enis.pop(each, None)


def create_transit_gateway_vpc_attachment(world: World, call: Call, proceed: Proceed) -> Answer:
    """It has an interface in each of its subnets, which moto lacks."""
    answer = proceed()
    name = answer["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
    text = f"Network Interface for Transit Gateway Attachment {name}"
    subnets = call.get("SubnetIds", [])
    interfaces.for_service(world, call.region, name, subnets, (), text, "transit_gateway")
    return answer


def delete_transit_gateway_vpc_attachment(world: World, call: Call, proceed: Proceed) -> None:
    """Its interfaces go with it."""
    interfaces.release_service(world, call.region, call.get("TransitGatewayAttachmentId", ""))
