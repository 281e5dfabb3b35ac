"""EC2: what is in use stays, what a service made is the service's, a dry run does nothing.

Codes are those of
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from provision.rehearsal.aws.behaviours import ec2_dependents
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World, refusing


def before(world: World, call: Call) -> None:
    """What holds for every call of EC2's: DryRun, and tags for the resource that is made."""
    if call.get("DryRun"):
        message = "Request would have succeeded, but DryRun flag is set."
        raise AwsError("DryRunOperation", message, 412)
    if world.behaviours.refusals and call.operation in _TAGGED_AS:
        for tags in call.get("TagSpecifications", []):
            if tags.get("ResourceType") != _TAGGED_AS[call.operation]:
                message = (
                    f"'{tags.get('ResourceType')}' is not a valid taggable resource type for this "
                    "operation."
                )
                raise AwsError("InvalidParameterValue", message, 400)


_TAGGED_AS = {
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
}


def create_vpc(world: World, call: Call, proceed: Proceed) -> Answer:
    """`pending` at first."""
    answer = proceed()
    vpc = world.backend("ec2", call.region).vpcs[answer["Vpc"]["VpcId"]]
    _pending(world, vpc, call)
    answer["Vpc"]["State"] = vpc.state
    return answer


def create_subnet(world: World, call: Call, proceed: Proceed) -> Answer:
    """`pending` at first; a zone of another region is refused with the good ones named."""
    zone = call.get("AvailabilityZone")
    if world.behaviours.refusals and zone:
        found = world.backend("ec2", call.region).describe_availability_zones()
        names = [each.name for each in found]
        if zone not in names:
            message = (
                f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently "
                f"only be created in the following availability zones: {', '.join(names)}."
            )
            raise AwsError("InvalidParameterValue", message, 400)
    answer = proceed()
    subnet = world.backend("ec2", call.region).get_subnet(answer["Subnet"]["SubnetId"])
    _pending(world, subnet, call)
    answer["Subnet"]["State"] = subnet.state
    return answer


def _pending(world: World, thing: Any, call: Call) -> None:
    if world.behaviours.states:
        thing.state = "pending"
        takes = world.takes("vpc_pending", call.operation, call.get("CidrBlock", ""))
        world.later(takes, lambda: setattr(thing, "state", "available"))


def describe_availability_zones(world: World, call: Call, proceed: Proceed) -> Answer:
    """With what moto leaves out."""
    answer = proceed()
    for zone in answer["AvailabilityZones"]:
        zone["OptInStatus"] = "opt-in-not-required"
        zone["GroupName"] = zone["NetworkBorderGroup"] = call.region
    return answer


def describe_regions(world: World, call: Call, proceed: Proceed) -> Answer:
    """Only those of the caller's own partition, as AWS answers; moto has them all."""
    from moto.utilities.utils import get_partition

    answer, own = proceed(), get_partition(call.region)
    regions = answer["Regions"]
    answer["Regions"] = [each for each in regions if get_partition(each["RegionName"]) == own]
    return answer


@refusing
def authorize_security_group_ingress(world: World, call: Call) -> None:
    """Refuses a rule that is there, also where only its tags or description differ."""
    _check_new_rules(world, call, "ingress_rules")


@refusing
def authorize_security_group_egress(world: World, call: Call) -> None:
    """See `authorize_security_group_ingress`."""
    _check_new_rules(world, call, "egress_rules")


def _check_new_rules(world: World, call: Call, kind: str) -> None:
    group = world.backend("ec2", call.region).get_security_group_from_id(call.get("GroupId", ""))
    if group is None:
        return
    there = {
        (
            *(rule.ip_protocol, rule.from_port, rule.to_port, rule.cidr_ipv4, rule.cidr_ipv6),
            (rule.referenced_group_info or {}).get("GroupId"),
        )
        for rule in getattr(group, kind)
    }
    for permission in call.get("IpPermissions", []):
        for rule in _rules(permission):
            if rule in there:
                message = "the specified rule already exists"
                raise AwsError("InvalidPermission.Duplicate", message, 400)


def _rules(permission: Answer) -> Iterable[tuple[Any, ...]]:
    """The rules that one of IpPermissions stands for."""
    about = (permission.get("IpProtocol"), permission.get("FromPort"), permission.get("ToPort"))
    if about[0] == "-1":
        about = ("-1", None, None)
    for each in permission.get("IpRanges", []):
        yield (*about, each.get("CidrIp"), None, None)
    for each in permission.get("Ipv6Ranges", []):
        yield (*about, None, each.get("CidrIpv6"), None)
    for each in permission.get("UserIdGroupPairs", []):
        yield (*about, None, None, each.get("GroupId"))


@refusing
def delete_security_group(world: World, call: Call) -> None:
    """Refused while an interface has the group, or a rule of another group names it."""
    ec2 = world.backend("ec2", call.region)
    group = ec2.get_security_group_from_id(call.get("GroupId", ""))
    if group is None:
        return
    if group.name == "default":
        message = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
        raise AwsError("CannotDelete", message, 400)
    if _has_interface(world, call.region, group=group.id) or group.id in _used_groups(world, call):
        raise _in_use(f"resource {group.id} has a dependent object")
    for other in (each for groups in ec2.groups.values() for each in groups.values()):
        if other.id != group.id and group.id in _referenced(other):
            raise _in_use(f"resource {group.id} has a dependent object")


@refusing
def delete_subnet(world: World, call: Call) -> None:
    """Refused while anything lives in it."""
    name = call.get("SubnetId", "")
    if _has_interface(world, call.region, subnet=name) or name in _used_subnets(world, call):
        raise _in_use(f"The subnet '{name}' has dependencies and cannot be deleted.")


@refusing
def delete_vpc(world: World, call: Call) -> None:
    """Refused while anything but its default group, main routes and default ACL is left."""
    name = call.get("VpcId", "")
    ec2 = world.backend("ec2", call.region)
    groups = [g for g in ec2.groups.get(name, {}).values() if g.name != "default"]
    if (
        groups
        or any(subnet.vpc_id == name for subnet in ec2.describe_subnets())
        or _has_interface(world, call.region, vpc=name)
        or ec2_dependents.hold_vpc(ec2, name)
    ):
        raise _in_use(f"The vpc '{name}' has dependencies and cannot be deleted.")


def describe_network_interfaces(world: World, call: Call, proceed: Proceed) -> Answer:
    """With the filters that moto lacks, and whose the interface is."""
    filters = call.get("Filters", [])
    ours = [f for f in filters if f["Name"] in _FILTERED]
    theirs = [f for f in filters if f not in ours]
    answer = world.ask_as(call, Filters=theirs or None) if ours else proceed()
    found = answer.get("NetworkInterfaces", [])
    for wanted in ours:
        member = _FILTERED[wanted["Name"]]
        found = [each for each in found if _matches(each.get(member), wanted["Values"])]
    for each in found:
        if each.get("RequesterManaged") and each["Status"] == "in-use":
            owner = "amazon-rds" if each["Description"].startswith("RDS") else "amazon-aws"
            attached = each["NetworkInterfaceId"].replace("eni-", "ela-attach-")
            each["Attachment"] = {
                "AttachmentId": attached,
                "InstanceOwnerId": owner,
                "Status": "attached",
                "DeviceIndex": 1,
            }
    return {**answer, "NetworkInterfaces": found}


_FILTERED = {
    "interface-type": "InterfaceType",
    "requester-id": "RequesterId",
    "requester-managed": "RequesterManaged",
    "status": "Status",
}


@refusing
def delete_network_interface(world: World, call: Call) -> None:
    """Refused while it is in use."""
    name = call.get("NetworkInterfaceId", "")
    interface = world.backend("ec2", call.region).enis.get(name)
    if interface is not None and interface.status == "in-use":
        message = f"Network interface '{name}' is currently in use."
        raise AwsError("InvalidParameterValue", message, 400)


@refusing
def modify_network_interface_attribute(world: World, call: Call) -> None:
    """Refused for an interface of Lambda's (since May 2023) or RDS's."""
    name = call.get("NetworkInterfaceId", "")
    interface = world.backend("ec2", call.region).enis.get(name)
    if interface is not None and interface.requester_managed:
        message = f"You do not have permission to modify the interface '{name}'."
        raise AwsError("OperationNotPermitted", message, 400)


@refusing
def detach_network_interface(world: World, call: Call) -> None:
    """Refused for an interface of a service's."""
    attachment = call.get("AttachmentId", "")
    if attachment.startswith("ela-attach-"):
        message = "You are not allowed to manage 'ela-attach' attachments."
        raise AwsError("OperationNotPermitted", message, 400)


def _in_use(message: str) -> AwsError:
    return AwsError("DependencyViolation", message, 400)


def _has_interface(
    world: World, region: str, *, group: str = "", subnet: str = "", vpc: str = ""
) -> bool:
    """Whether a network interface has this group, or lies in this subnet or VPC."""
    return any(
        subnet == each.subnet.id
        or vpc == each.subnet.vpc_id
        or group in [g.id for g in each.group_set]
        for each in world.backend("ec2", region).enis.values()
    )


def _used_groups(world: World, call: Call) -> set[str]:
    """Groups of functions, proxies and databases: also when those make no interfaces."""
    rds = world.backend("rds", call.region)
    used = {g for proxy in rds.db_proxies.values() for g in proxy.vpc_security_group_ids}
    used |= {g for db in rds.databases.values() for g in db.vpc_security_group_ids}
    return used | {g for config in _vpc_configs(world, call) for g in config["SecurityGroupIds"]}


def _used_subnets(world: World, call: Call) -> set[str]:
    """Subnets of functions, proxies and DB subnet groups."""
    rds = world.backend("rds", call.region)
    used = {s for proxy in rds.db_proxies.values() for s in proxy.vpc_subnet_ids}
    used |= {s.id for group in rds.subnet_groups.values() for s in group._subnets}
    return used | {s for config in _vpc_configs(world, call) for s in config["SubnetIds"]}


def _vpc_configs(world: World, call: Call) -> Iterable[Answer]:
    for function in world.backend("lambda", call.region).list_functions():
        config = function._vpc_config or {}
        yield {"SubnetIds": [], "SecurityGroupIds": [], **config}


def _referenced(group: Any) -> set[str]:
    """The groups that a group's rules name."""
    return {
        pair["GroupId"]
        for rule in [*group.ip_permissions, *group.ip_permissions_egress]
        for pair in rule.user_id_group_pairs
        if "GroupId" in pair
    }


def _matches(value: Any, patterns: list[str]) -> bool:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return any(fnmatchcase(text, pattern) for pattern in patterns)
