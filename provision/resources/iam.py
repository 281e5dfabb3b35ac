"""Roles: who may assume them, and what they may do.

Follows the IAM API reference. Role names are the account's, in all regions at once, so they carry
the region; role names are found by GetRole, which answers the tags too.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from provision.aws.account import Aws, absent, code_of, pages, tag_list, tag_map
from provision.aws.advice import DENIED
from provision.resources.base import AccountResource, Change, ManagedResource, Seen
from provision.resources.blockers import Blocker
from provision.resources.permissions import Condition, Statement
from provision.resources.references import Output, arn

NEW_ROLE_SECONDS = 15 * 60.0  # how long a role counts as new: services learn of it in minutes


def is_new(aws: Aws, role_arn: str) -> bool:
    """Return whether a role was made lately, by AWS's own clock (CreateDate and the answer's Date).

    A role that cannot be read counts as new: a refusal that may pass is then waited out.
    """
    try:
        answer = aws.iam.get_role(RoleName=role_arn.rpartition("/")[2])
    except ClientError:
        return True
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.datetime.now(datetime.UTC)
    age: float = (now - answer["Role"]["CreateDate"]).total_seconds()
    return age < NEW_ROLE_SECONDS


def allow(actions: str | list[str], on: str | list[str], **condition: Any) -> dict[str, Any]:
    """Return a policy document that allows `actions` on the resources `on`."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": on}
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(frozen=True)
class ServiceLinkedRole(AccountResource):
    """The account's own role for a service (CreateServiceLinkedRole). Never deleted: it is shared.

    A new account lacks RDS's, and each RDS call then fails in another way.
    """

    service: str

    kind = "AWS::IAM::ServiceLinkedRole"
    title = "service-linked role"
    reads = ("iam:ListRoles",)

    arn = Output()

    def permissions(self) -> Iterator[Statement]:
        yield from super().permissions()
        role = arn("iam", f"role/aws-service-role/{self.service}/*")
        service = {"StringEquals": {"iam:AWSServiceName": self.service}}
        yield Statement(("iam:CreateServiceLinkedRole",), (role,), service)

    def identity(self, outputs: Mapping[str, str]) -> str:
        return outputs.get("arn", "").rpartition("/")[2]

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        """Look below the service's own path: only AWS can make a role there."""
        path = f"/aws-service-role/{self.service}/"
        roles = pages(aws.iam, "list_roles", "Roles", PathPrefix=path)
        return Seen({"arn": roles[0]["Arn"]}) if roles else None

    def create(self, aws: Aws) -> dict[str, str]:
        try:
            answer = aws.iam.create_service_linked_role(AWSServiceName=self.service)
        except ClientError as error:
            taken = code_of(error) == "InvalidInput" and "taken" in str(error)
            seen = self.find(aws, {}) if taken else None
            if seen is None:
                raise
            return dict(seen.outputs)
        return {"arn": answer["Role"]["Arn"]}


@dataclass(frozen=True)
class Role(ManagedResource):
    """A role with its trust and policies; any other inline policy is removed.

    A managed policy that somebody else attached stays: organisations attach theirs to every role.
    """

    role_name: str
    description: str
    trusts: str
    policies: Mapping[str, Mapping[str, Any]]
    managed_policies: tuple[str, ...] = ()
    permissions_boundary: str = ""  # the ARN of a policy; none = no boundary
    account: str = "${aws.account}"  # in which the service that assumes it has to act

    kind = "AWS::IAM::Role"
    title = "role"
    named_by = "role_name"
    non_blocking = frozenset({"policies"})
    recomputes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "AssumeRolePolicyDocument": ("granted",),
        "ManagedPolicyArns": ("granted",),
        "Policies": ("granted",),
    }
    urgent = frozenset({"PermissionsBoundary"})  # before a policy: the caller may have to
    writes = (
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole",
        "iam:ListRolePolicies",
        "iam:TagRole",
        "iam:UntagRole",
    )
    arn_pattern = ("iam", "role/{name}")

    lasting_id = "role_id"

    arn = Output()
    role = Output()
    role_id = Output()
    granted = Output()  # the ARN too, known when the role has its trust and all of its policies

    def permissions(self) -> Iterator[Statement]:
        """Yield what the role needs, and that it may be handed to the one service it trusts.

        Whoever may write a role's policies and hand the role to a service has all that these
        policies allow: everything, unless a permissions boundary is demanded.
        """
        yield from super().permissions()
        writes = ("iam:CreateRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy")
        bounded: Condition = {}
        boundary_write = "iam:DeleteRolePermissionsBoundary"
        if boundary := self.permissions_boundary:
            bounded = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
            boundary_write = "iam:PutRolePermissionsBoundary"
        yield Statement((*writes, boundary_write), self.arns(), bounded)
        if self.managed_policies:
            attached = {"ArnEquals": {"iam:PolicyARN": sorted(self.managed_policies)}}
            yield Statement(("iam:AttachRolePolicy",), self.arns(), {**bounded, **attached})
        service = {"StringEquals": {"iam:PassedToService": self.trusts}}
        yield Statement(("iam:PassRole",), self.arns(), service)

    def trust_policy(self) -> dict[str, Any]:
        """Return the trust policy: the one service may assume the role, for this account.

        No AWS document lists which services send `aws:SourceAccount` when they assume a role, and
        Lambda sends no `aws:SourceArn` while it sets up a VPC: where the account is sent, it has to
        be this one.
        """
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": self.trusts},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEqualsIfExists": {"aws:SourceAccount": self.account}},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent("NoSuchEntity"):
            at_once = aws.shared.looking and "arn" in known  # a new role may not be visible yet
            expected = list(self.policies) if at_once else []
            role, names, attached, *documents = aws.together(
                lambda: aws.iam.get_role(RoleName=self.role_name)["Role"],
                lambda: self.inline_policies(aws),
                lambda: self.attached_policies(aws),
                *(lambda name=name: self.inline_policy(aws, name) for name in expected),
                at_once=at_once,
            )
            inline = dict(zip(expected, documents, strict=True))
            inline |= {name: self.inline_policy(aws, name) for name in names - inline.keys()}
            return Seen(
                {
                    "arn": role["Arn"],
                    "role": role["RoleName"],
                    "role_id": role["RoleId"],
                    "granted": role["Arn"],
                },
                {
                    "AssumeRolePolicyDocument": role["AssumeRolePolicyDocument"],
                    "Policies": {name: inline[name] for name in sorted(names) if inline[name]},
                    "ManagedPolicyArns": attached,
                    "PermissionsBoundary": role.get("PermissionsBoundary", {}).get(
                        "PermissionsBoundaryArn"
                    ),
                },
                tags=tag_map(role.get("Tags")),
            )
        return None

    def inline_policies(self, aws: Aws) -> set[str]:
        """Return the names of the role's inline policies."""
        names = pages(aws.iam, "list_role_policies", "PolicyNames", RoleName=self.role_name)
        return set(map(str, names))

    def inline_policy(self, aws: Aws, name: str) -> Any:
        """Return the document of an inline policy, or None where the role has none of the name."""
        with absent("NoSuchEntity"):
            answer = aws.iam.get_role_policy(RoleName=self.role_name, PolicyName=name)
            return answer["PolicyDocument"]
        return None

    def attached_policies(self, aws: Aws) -> list[str]:
        """Return the ARNs of the managed policies of the role."""
        operation, key = "list_attached_role_policies", "AttachedPolicies"
        attached = pages(aws.iam, operation, key, RoleName=self.role_name)
        return sorted(policy["PolicyArn"] for policy in attached)

    def differs(self, name: str, is_: Any, should: Any) -> bool:
        """A managed policy that somebody else attached, as organisations do, is left attached."""
        if name == "ManagedPolicyArns":
            return not set(should) <= set(is_)
        return super().differs(name, is_, should)

    def kept(self, seen: Seen) -> list[str]:
        """Return the managed policies that somebody else attached, with what detaches them."""
        return [
            f"somebody attached {policy} to the role {self.role_name}: kept. To detach it: aws iam "
            f"detach-role-policy --role-name {self.role_name} --policy-arn {policy}"
            for policy in seen.properties["ManagedPolicyArns"]
            if policy not in self.managed_policies
        ]

    def properties(self) -> dict[str, Any]:
        return {
            "AssumeRolePolicyDocument": self.trust_policy(),
            "Policies": dict(self.policies),
            "ManagedPolicyArns": sorted(self.managed_policies),
            "PermissionsBoundary": self.permissions_boundary or None,
        }

    def create(self, aws: Aws) -> dict[str, str]:
        boundary: Any = (
            {"PermissionsBoundary": self.permissions_boundary} if self.permissions_boundary else {}
        )
        answer = aws.iam.create_role(
            RoleName=self.role_name,
            Description=self.description,
            AssumeRolePolicyDocument=json.dumps(self.trust_policy()),
            Tags=tag_list(self.tags(aws)),
            **boundary,
        )
        role = answer["Role"]
        return {"arn": role["Arn"], "role": self.role_name, "role_id": role["RoleId"]}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        if "PermissionsBoundary" in changes:
            self.put_boundary(aws)
        if "AssumeRolePolicyDocument" in changes:
            aws.iam.update_assume_role_policy(
                RoleName=self.role_name, PolicyDocument=json.dumps(self.trust_policy())
            )
        if "Policies" in changes:
            self.put_policies(aws, seen.properties["Policies"])
        if "ManagedPolicyArns" in changes:
            self.attach_policies(aws, seen.properties["ManagedPolicyArns"])

    def put_boundary(self, aws: Aws) -> None:
        """Set the role's permissions boundary, or remove it where none is wanted."""
        if self.permissions_boundary:
            aws.iam.put_role_permissions_boundary(
                RoleName=self.role_name, PermissionsBoundary=self.permissions_boundary
            )
            return
        with absent("NoSuchEntity"):
            aws.iam.delete_role_permissions_boundary(RoleName=self.role_name)

    def put_policies(self, aws: Aws, there: Mapping[str, Any]) -> None:
        """Write the inline policies that differ, and delete those that are not ours."""
        for name, document in self.policies.items():
            if there.get(name) != document:
                aws.iam.put_role_policy(
                    RoleName=self.role_name, PolicyName=name, PolicyDocument=json.dumps(document)
                )
        for name in set(there) - set(self.policies):
            with absent("NoSuchEntity"):
                aws.iam.delete_role_policy(RoleName=self.role_name, PolicyName=name)

    def attach_policies(self, aws: Aws, there: list[str]) -> None:
        """Attach the managed policies that are missing; what others attached stays."""
        for policy in set(self.managed_policies) - set(there):
            aws.iam.attach_role_policy(RoleName=self.role_name, PolicyArn=policy)

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        """Return the instance profiles that hold the role (ListInstanceProfilesForRole)."""
        operation, key = "list_instance_profiles_for_role", "InstanceProfiles"
        with absent("NoSuchEntity", *DENIED):
            return [
                Blocker(
                    f"instance profile {each['InstanceProfileName']}",
                    f"created {each['CreateDate']:%Y-%m-%d}, not part of this environment",
                    "aws iam remove-role-from-instance-profile --instance-profile-name "
                    f"{each['InstanceProfileName']} --role-name {self.role_name}",
                    lasts=True,
                )
                for each in pages(aws.iam, operation, key, RoleName=self.role_name)
            ]
        return []

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.iam.tag_role(RoleName=self.role_name, Tags=tag_list(tags))

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        aws.iam.untag_role(RoleName=self.role_name, TagKeys=list(keys))

    def delete(self, aws: Aws, seen: Seen) -> None:
        for name in seen.properties["Policies"]:
            with absent("NoSuchEntity"):
                aws.iam.delete_role_policy(RoleName=self.role_name, PolicyName=name)
        for policy in seen.properties["ManagedPolicyArns"]:
            with absent("NoSuchEntity"):
                aws.iam.detach_role_policy(RoleName=self.role_name, PolicyArn=policy)
        with absent("NoSuchEntity"):
            aws.iam.delete_role(RoleName=self.role_name)
