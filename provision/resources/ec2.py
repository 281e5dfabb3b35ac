"""The network: VPC, subnets, security groups and their rules, and the zones to put them in.

Follows the Amazon EC2 API reference. EC2 has no client token for these calls, so each thing is
found again by the tags that it got in its create call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from botocore import xform_name
from botocore.exceptions import ClientError

from provision.aws.account import Aws, absent, pages, tag_list, tag_map
from provision.errors import ProvisionError
from provision.resources import blockers, durations
from provision.resources.base import AwsMadeResource, Change, DataSource, ManagedResource, Seen
from provision.resources.blockers import LAMBDA_INTERFACE, Blocker, interfaces_in
from provision.resources.expiry import EXPIRES, STATE
from provision.resources.ownership import ENVIRONMENT, STEP
from provision.resources.permissions import (
    CREATES_OURS,
    IS_OURS,
    REQUEST_TAG,
    Condition,
    Statement,
    tags_back,
)
from provision.resources.rds import orderable_options
from provision.resources.references import Output, arn, unresolved

MYSQL_PORT = 3306
ZONES = 2  # a DB subnet group wants two
# EC2 distinguishes tags of a create call from tags that are added later.
TAGS_AT_CREATION: Condition = {
    "StringEquals": {
        **REQUEST_TAG,
        "ec2:CreateAction": [
            "AuthorizeSecurityGroupEgress",
            "AuthorizeSecurityGroupIngress",
            "CreateSecurityGroup",
            "CreateSubnet",
            "CreateVpc",
        ],
    }
}
# Zones (by id: letters differ between accounts) in which RDS Proxy does not take subnets.
ZONES_WITHOUT_PROXY = {"use1-az3", "usw1-az2"}


def tag_specification(kind: str, tags: Mapping[str, str]) -> Any:
    """Return the TagSpecifications of a create call."""
    return [{"ResourceType": kind, "Tags": tag_list(tags)}]


def create_tags(aws: Aws, resource_id: str, step: str = "") -> str:
    """Return the AWS CLI's line that marks something as this environment's."""
    marks = {"provision:environment": aws.environment} | ({"provision:step": step} if step else {})
    tags = " ".join(f"Key={key},Value={value}" for key, value in marks.items())
    return f"aws ec2 create-tags --region {aws.region} --resources {resource_id} --tags {tags}"


class Ec2Resource(ManagedResource):
    """What EC2's own resources share: an id, tags to be found by, and nothing that can be changed.

    `noun` is EC2's word, of which it makes the names of its calls and of their members. All
    properties are members of what EC2 describes, and parameters of the create call.
    """

    noun: ClassVar[str]  # CreateVpc, DescribeVpcs, DeleteVpc
    id_key: ClassVar[str]
    in_vpc: ClassVar[bool] = False  # its create call is authorized on the VPC as well
    missing: ClassVar[tuple[str, ...]]  # codes for an id that does not exist

    lasting_id = "id"

    id = Output()

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        """Return what has the known id, or else our tags, in our VPC."""
        filters = [{"Name": f"tag:{ENVIRONMENT}", "Values": [aws.environment]}]
        operation, key = xform_name(f"Describe{self.noun}s"), f"{self.noun}s"
        listed = aws.listed("ec2", operation, key, Filters=filters)
        tagged = [
            each
            for each in listed
            if self.in_place(each) and tag_map(each.get("Tags")).get(STEP) == self.step
        ]
        found = [each for each in tagged if each[self.id_key] == known.get("id")]
        if not found and known.get("id"):
            with absent(*self.missing):
                ids = {f"{self.id_key}s": [known["id"]]}
                found = pages(aws.ec2, operation, key, **ids)
        item = next(iter(found or tagged), None)
        if item is None:
            return None
        return Seen(
            {"id": item[self.id_key]},
            {name: item[name] for name in self.properties()},
            tags=tag_map(item.get("Tags")),
            rivals=tuple(each[self.id_key] for each in tagged if each is not item),
            status=item["State"] if self.ready else "",
        )

    def in_place(self, item: Mapping[str, Any]) -> bool:
        """Return whether it is within our VPC, where its kind lies in one."""
        vpc_id = getattr(self, "vpc_id", "")
        return not vpc_id or item.get("VpcId") == vpc_id

    def create(self, aws: Aws) -> dict[str, str]:
        resource_type = xform_name(self.noun, "-")
        answer = getattr(aws.ec2, xform_name(f"Create{self.noun}"))(
            **self.properties(),
            TagSpecifications=tag_specification(resource_type, self.tags(aws)),
        )
        return {"id": answer.get(self.noun, answer)[self.id_key]}

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent(*self.missing):
            getattr(aws.ec2, xform_name(f"Delete{self.noun}"))(**{self.id_key: seen.outputs["id"]})

    def arns(self) -> tuple[str, ...]:
        return (arn("ec2", f"{xform_name(self.noun, '-')}/*"),)

    def permissions(self) -> Iterator[Statement]:
        yield from super().permissions()
        create = (f"ec2:Create{self.noun}",)
        yield Statement(create, self.arns(), CREATES_OURS)
        yield Statement(("ec2:CreateTags",), self.arns(), TAGS_AT_CREATION)
        changes = ("ec2:CreateTags", "ec2:DeleteTags", f"ec2:Delete{self.noun}")
        yield Statement(changes, self.arns(), IS_OURS)
        if self.in_vpc:
            yield Statement(create, (arn("ec2", "vpc/*"),), IS_OURS)

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        command = create_tags(aws, seen.outputs["id"], self.step)
        return tags_back(aws.environment, seen.tags, command)

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.ec2.create_tags(Resources=[seen.outputs["id"]], Tags=tag_list(tags))

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        aws.ec2.delete_tags(Resources=[seen.outputs["id"]], Tags=[{"Key": key} for key in keys])


@dataclass(frozen=True)
class Vpc(Ec2Resource):
    """A VPC (CreateVpc)."""

    cidr_block: str

    kind = "AWS::EC2::VPC"
    title = "VPC"
    ready = frozenset({"available"})
    requires_replacement = frozenset({"CidrBlock"})
    noun, id_key = "Vpc", "VpcId"
    missing = ("InvalidVpcID.NotFound",)
    reads = ("ec2:DescribeVpcs", *blockers.LISTS)

    def properties(self) -> dict[str, Any]:
        return {"CidrBlock": self.cidr_block}

    def tags(self, aws: Aws) -> dict[str, str]:
        """Return its tags, with the one that says where the state is kept."""
        place = {STATE: aws.state_place} if aws.state_place else {}
        return super().tags(aws) | place

    def differences(self, seen: Seen, aws: Aws) -> list[Change]:
        """Return what differs. A file on this machine is no reason to change what others see."""
        return [
            each
            for each in super().differences(seen, aws)
            if each.property != f"Tags.{STATE}" or str(each.should).startswith("s3://")
        ]

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        return blockers.of_vpc(aws, seen.outputs["id"])


@dataclass(frozen=True)
class AvailabilityZones(DataSource):
    """The two zones to use: configured, or chosen from those that offer the instance class.

    Nothing is made; two zones are looked up when a subnet has to be made, before anything that
    costs money (DescribeAvailabilityZones, DescribeOrderableDBInstanceOptions).
    """

    engine_version: str
    instance_class: str
    wanted: tuple[str, ...]

    kind = "AWS::EC2::AvailabilityZone"
    title = "availability zones"
    reads = ("ec2:DescribeAvailabilityZones", "rds:DescribeOrderableDBInstanceOptions")

    first = Output()
    second = Output()

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        """Return the zones that are configured, or were chosen before; choosing is `look_up`'s."""
        if self.wanted:
            return Seen({"first": self.wanted[0], "second": self.wanted[1]})
        return Seen(known) if known.get("first") else None

    def look_up(self, aws: Aws) -> dict[str, str]:
        open_zones, offered = aws.together(
            lambda: self.open_zones(aws), lambda: self.offering_zones(aws)
        )
        good = [zone for zone in open_zones if offered is None or zone in offered]
        zones = list(self.wanted) or good[:2]
        bad = [zone for zone in zones if zone not in good]
        if bad or len(zones) < ZONES:
            raise ProvisionError(
                f"{self.instance_class} with MySQL {self.engine_version} and RDS Proxy are "
                f"available in the zones {', '.join(good) or 'none'} of {aws.region}"
                + (f"; network.availability_zones names {', '.join(bad)}" if bad else ""),
                next_step="Set network.availability_zones to two of them, or choose another "
                "database.instance_class or region. Nothing was created.",
            )
        return {"first": zones[0], "second": zones[1]}

    def open_zones(self, aws: Aws) -> list[str]:
        """Return the region's zones that are open to the account and to RDS Proxy, sorted."""
        answer = aws.ec2.describe_availability_zones(
            Filters=[{"Name": "state", "Values": ["available"]}]
        )
        return sorted(
            zone["ZoneName"]
            for zone in answer["AvailabilityZones"]
            if zone.get("ZoneType", "availability-zone") == "availability-zone"
            and zone.get("ZoneId") not in ZONES_WITHOUT_PROXY
        )

    def offering_zones(self, aws: Aws) -> set[str] | None:
        """Return the zones in which RDS offers the class; None when RDS lists no offers at all."""
        version, kind = self.engine_version, self.instance_class
        options = orderable_options(aws, version, DBInstanceClass=kind)
        if not options:
            others = orderable_options(aws, version)
            if not others:
                return None
            classes = sorted({option["DBInstanceClass"] for option in others})
            raise ProvisionError(
                f"database.instance_class = {self.instance_class!r}: not offered in {aws.region} "
                f"with MySQL {self.engine_version}",
                next_step=f"RDS offers {', '.join(classes[:12])}. Nothing was created.",
            )
        return {zone["Name"] for option in options for zone in option.get("AvailabilityZones", ())}


@dataclass(frozen=True)
class Subnet(Ec2Resource):
    """A subnet in one zone (CreateSubnet)."""

    vpc_id: str
    cidr_block: str
    availability_zone: str

    kind = "AWS::EC2::Subnet"
    title = "subnet"
    ready = frozenset({"available"})
    requires_replacement = frozenset({"VpcId", "CidrBlock", "AvailabilityZone"})
    find_by = ("vpc_id",)
    noun, id_key = "Subnet", "SubnetId"
    missing = ("InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound")
    in_vpc = True
    reads = ("ec2:DescribeSubnets", "ec2:DescribeNetworkInterfaces")

    def properties(self) -> dict[str, Any]:
        return {
            "VpcId": self.vpc_id,
            "CidrBlock": self.cidr_block,
            "AvailabilityZone": self.availability_zone,
        }

    def differs(self, name: str, is_: Any, should: Any) -> bool:
        """A zone that is still to be chosen suits any."""
        return not (name == "AvailabilityZone" and unresolved(should)) and is_ != should

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        return blockers.interfaces(aws, "subnet-id", seen.outputs["id"])


@dataclass(frozen=True)
class SecurityGroup(Ec2Resource):
    """A security group without its rules (CreateSecurityGroup)."""

    vpc_id: str
    group_name: str
    description: str

    kind = "AWS::EC2::SecurityGroup"
    title = "security group"
    named_by = "group_name"
    requires_replacement = frozenset({"VpcId", "GroupName", "Description"})
    find_by = ("vpc_id",)
    noun, id_key = "SecurityGroup", "GroupId"
    missing = (
        "InvalidGroup.NotFound",
        "InvalidSecurityGroupID.NotFound",
        "InvalidGroupId.Malformed",
    )
    in_vpc = True
    reads = ("ec2:DescribeSecurityGroups", "ec2:DescribeNetworkInterfaces")

    def properties(self) -> dict[str, Any]:
        return {
            "VpcId": self.vpc_id,
            "GroupName": self.group_name,
            "Description": self.description,
        }

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        return blockers.of_group(aws, seen.outputs["id"])


RULES = "security group rules"
OURS = "Ours"  # of a group's rules: those of this environment, with when each expires


@dataclass(frozen=True)
class SecurityGroupRules(ManagedResource):
    """All rules of one group, as `PROTOCOL PORT PEER`; any other rule is revoked.

    (AuthorizeSecurityGroupIngress/Egress, RevokeSecurityGroupIngress/Egress,
    DescribeSecurityGroupRules.) A step of its own, since groups refer to one another.
    """

    group_id: str
    ingress: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()

    kind = "AWS::EC2::SecurityGroupRules"
    title = "security group rules"
    replace_with = frozenset({"Ingress", "Egress"})  # EC2 keeps a group that a rule refers to
    find_by = ("group_id",)
    reads = ("ec2:DescribeSecurityGroupRules",)

    @property
    def listed_with(self) -> tuple[str, str] | None:
        return None if unresolved(self.group_id) else (RULES, self.group_id)

    def permissions(self) -> Iterator[Statement]:
        groups, rules = arn("ec2", "security-group/*"), arn("ec2", "security-group-rule/*")
        authorize = ("ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress")
        revoke = ("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress")
        yield from super().permissions()
        yield Statement((*authorize, *revoke), (groups,), IS_OURS)
        yield Statement(authorize, (rules,), CREATES_OURS)
        yield Statement(("ec2:CreateTags",), (rules,), TAGS_AT_CREATION)
        yield Statement(("ec2:CreateTags", "ec2:DeleteTags"), (rules,), IS_OURS)

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        """Return how to put the group's tags back: they decide about its rules."""
        try:
            answer = aws.ec2.describe_security_groups(GroupIds=[self.group_id])
        except ClientError:
            return ""
        tags = tag_map(answer["SecurityGroups"][0].get("Tags"))
        return tags_back(aws.environment, tags, create_tags(aws, self.group_id))

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent(*SecurityGroup.missing):
            rules = self.rules(aws)
            ours = {
                each["SecurityGroupRuleId"]: tags.get(EXPIRES)
                for each in rules
                if (tags := tag_map(each.get("Tags"))).get(ENVIRONMENT) == aws.environment
            }
            if ours:
                return Seen({"group_id": self.group_id}, {**described_rules(rules), OURS: ours})
        return None

    def differences(self, seen: Seen, aws: Aws) -> list[Change]:
        """Return what differs. Of the rules' own tags only the one that moves is compared."""
        changes = super().differences(seen, aws)
        should = aws.expires or None
        is_ = next(
            (each for each in seen.properties.get(OURS, {}).values() if each != should), should
        )
        if is_ != should and self.step != aws.expiry_kept_at:
            changes.append(Change(f"Tags.{EXPIRES}", is_, should))
        return changes

    def properties(self) -> dict[str, Any]:
        return {"Ingress": sorted(self.ingress), "Egress": sorted(self.egress)}

    def create(self, aws: Aws) -> dict[str, str]:
        self.put_right(aws)
        return {"group_id": self.group_id}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        self.put_right(aws)

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.ec2.create_tags(Resources=list(seen.properties[OURS]), Tags=tag_list(tags))

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        rules = list(seen.properties[OURS])
        aws.ec2.delete_tags(Resources=rules, Tags=[{"Key": key} for key in keys])

    def delete(self, aws: Aws, seen: Seen) -> None:
        for rule in self.rules(aws):
            self.revoke(aws, rule)

    def rules(self, aws: Aws) -> list[dict[str, Any]]:
        """Return EC2's list of the group's rules."""
        groups = list(aws.shared.listed_with(RULES, self.group_id))
        filters = [{"Name": "group-id", "Values": groups}]
        operation, key = "describe_security_group_rules", "SecurityGroupRules"
        listed = aws.listed("ec2", operation, key, Filters=filters)
        alone = groups == [self.group_id]
        return [each for each in listed if alone or each["GroupId"] == self.group_id]

    def put_right(self, aws: Aws) -> None:
        """Authorize what is missing, then revoke what is not wanted."""
        rules = self.rules(aws)
        there = described_rules(rules)
        for direction, wanted in (("Ingress", self.ingress), ("Egress", self.egress)):
            for rule in wanted:
                if rule not in there[direction]:
                    self.authorize(aws, rule, direction)
        for raw in rules:
            if described_rule(raw) not in (self.egress if raw["IsEgress"] else self.ingress):
                self.revoke(aws, raw)

    def authorize(self, aws: Aws, rule: str, direction: str) -> None:
        """Add one rule; a rule that already exists counts as added."""
        protocol, port, peer = rule.split()
        permission: Any = {
            "IpProtocol": protocol,
            "FromPort": int(port),
            "ToPort": int(port),
            "UserIdGroupPairs": [{"GroupId": peer}],
        }
        with absent("InvalidPermission.Duplicate"):
            getattr(aws.ec2, f"authorize_security_group_{direction.lower()}")(
                GroupId=self.group_id,
                IpPermissions=[permission],
                TagSpecifications=tag_specification("security-group-rule", self.tags(aws)),
            )

    def revoke(self, aws: Aws, rule: Mapping[str, Any]) -> None:
        """Revoke one rule; one that no longer exists counts as revoked."""
        direction = "egress" if rule["IsEgress"] else "ingress"
        with absent("InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"):
            getattr(aws.ec2, f"revoke_security_group_{direction}")(
                GroupId=self.group_id, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
            )


def described_rules(rules: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return EC2's rules as the two lists of texts that are compared."""
    return {
        "Ingress": sorted(described_rule(rule) for rule in rules if not rule["IsEgress"]),
        "Egress": sorted(described_rule(rule) for rule in rules if rule["IsEgress"]),
    }


def described_rule(rule: Mapping[str, Any]) -> str:
    """Return one rule as `PROTOCOL PORT PEER`."""
    peer = (
        rule.get("ReferencedGroupInfo", {}).get("GroupId")
        or rule.get("CidrIpv4")
        or rule.get("CidrIpv6")
        or rule.get("PrefixListId", "?")
    )
    low, high = rule.get("FromPort", -1), rule.get("ToPort", -1)
    ports = str(low) if low == high else f"{low}-{high}"
    return f"{rule['IpProtocol']} {'all' if ports == '-1' else ports} {peer}"


@dataclass(frozen=True)
class FunctionInterfaces(AwsMadeResource):
    """The network interfaces that Lambda makes for the functions, and is slow to take back.

    Nothing to make. In a teardown this stands between the functions on one side and their roles,
    group and subnet on the other: Lambda deletes its interfaces with the function's role, up to 20
    minutes later (Lambda Developer Guide, "Hyperplane ENIs"); one that it left is deleted here as
    soon as it is `available`.
    """

    subnet_id: str
    group_id: str
    role_names: tuple[str, ...]

    kind = "AWS::EC2::NetworkInterface"
    title = "functions' network interfaces"
    find_by = ("group_id",)
    reads = ("ec2:DescribeNetworkInterfaces",)
    writes = ("ec2:DeleteNetworkInterface",)
    arn_pattern = ("ec2", "network-interface/*")
    deletion = durations.INTERFACE_DELETION

    ids = Output()

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        interfaces = self.interfaces(aws)
        if not interfaces:
            return None
        ids = " ".join(sorted(each["NetworkInterfaceId"] for each in interfaces))
        free = all(each["Status"] == "available" for each in interfaces)
        return Seen(
            {"ids": ids},
            status="available" if free else "in-use",
            reason=f"Lambda still holds {ids}",
        )

    def interfaces(self, aws: Aws) -> list[dict[str, Any]]:
        """Return Lambda's interfaces in the functions' group."""
        return [
            each
            for each in interfaces_in(aws, "group-id", self.group_id)
            if each.get("Description", "").startswith(LAMBDA_INTERFACE)
        ]

    def deletable(self, seen: Seen) -> bool:
        return True

    def delete(self, aws: Aws, seen: Seen) -> None:
        for interface in self.interfaces(aws):
            if interface["Status"] == "available":
                delete_interface(aws, interface["NetworkInterfaceId"])


def delete_interface(aws: Aws, interface_id: str) -> None:
    """Delete an unattached interface; one that is deleted or in use is left to the next poll."""
    held = "InvalidNetworkInterface.InUse", "InvalidParameterValue", "OperationNotPermitted"
    a_services = "AuthFailure"  # EC2's word for an interface that a service owns
    with absent("InvalidNetworkInterfaceID.NotFound", a_services, *held):
        aws.ec2.delete_network_interface(NetworkInterfaceId=interface_id)
