"""Roles by themselves: what they ask of IAM, and what they make of its answers."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from provision.resources.base import Seen
from provision.resources.iam import Role, ServiceLinkedRole, is_new
from tests.support.answers import Answers, refusal
from tests.support.names import ACCOUNT, NAME, REGION
from tests.support.resources import answering, changes_of, ours, resource, seen_of

ROLE_NAME = f"{NAME}-function-iam-{REGION}"
VPC_ACCESS = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


def role(**fields: Any) -> Role:
    found: Role = resource("role-function-iam", **fields)
    return found


def described(
    inline: dict[str, Any] | None = None,
    attached: tuple[str, ...] = (VPC_ACCESS,),
    boundary: str = "",
) -> Answers:
    """IAM's answers where the role has these policies; its own by default."""
    documents = dict(role().policies) if inline is None else inline
    tags = {"Name": ROLE_NAME, **ours("role-function-iam")}
    about: dict[str, Any] = {
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE_NAME}",
        "RoleName": ROLE_NAME,
        "RoleId": "AROA1",
        "AssumeRolePolicyDocument": role().trust_policy(),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if boundary:
        about["PermissionsBoundary"] = {"PermissionsBoundaryArn": boundary}

    def policy(**given: str) -> Any:
        return {"PolicyDocument": documents[given["PolicyName"]]}

    return {
        "iam.get_role": {"Role": about},
        "iam.list_role_policies": {"PolicyNames": list(documents)},
        "iam.get_role_policy": policy,
        "iam.list_attached_role_policies": {
            "AttachedPolicies": [{"PolicyArn": each} for each in attached]
        },
    }


def put_right(each: Role, answers: Answers) -> list[tuple[str, dict[str, Any]]]:
    """The calls that make of the described role what it should be."""
    with answering(answers) as aws:
        seen = seen_of(each, aws)
        each.update(aws, seen, changes_of(each, aws, seen))
        return aws.changes()


def test_a_role_as_it_should_be_needs_nothing() -> None:
    with answering(described()) as aws:
        seen = seen_of(role(), aws)
        assert changes_of(role(), aws, seen) == {}
        assert role().kept(seen) == []


def test_only_policies_that_differ_are_written_and_others_inline_ones_deleted() -> None:
    own = dict(role().policies)
    (name,) = own
    calls = put_right(role(), described({name: {"Statement": []}, "theirs": {"Statement": []}}))
    assert calls == [
        (
            "iam.put_role_policy",
            {"RoleName": ROLE_NAME, "PolicyName": name, "PolicyDocument": json.dumps(own[name])},
        ),
        ("iam.delete_role_policy", {"RoleName": ROLE_NAME, "PolicyName": "theirs"}),
    ]
    calls = put_right(role(), described({**own, "theirs": {"Statement": []}}))
    assert [call for call, _ in calls] == ["iam.delete_role_policy"]


def test_a_missing_managed_policy_is_attached_and_somebody_elses_stays() -> None:
    theirs = "arn:aws:iam::aws:policy/Theirs"
    calls = put_right(role(), described(attached=(theirs,)))
    assert calls == [("iam.attach_role_policy", {"RoleName": ROLE_NAME, "PolicyArn": VPC_ACCESS})]
    with answering(described(attached=(VPC_ACCESS, theirs))) as aws:
        seen = seen_of(role(), aws)
        assert changes_of(role(), aws, seen) == {}
        (kept,) = role().kept(seen)
    assert f"somebody attached {theirs}" in kept
    assert f"detach-role-policy --role-name {ROLE_NAME} --policy-arn {theirs}" in kept


def test_the_trust_is_put_right() -> None:
    each = role(trusts="edgelambda.amazonaws.com")
    ((call, given),) = put_right(each, described())
    assert call == "iam.update_assume_role_policy"
    (statement,) = json.loads(given["PolicyDocument"])["Statement"]
    assert statement["Principal"] == {"Service": "edgelambda.amazonaws.com"}
    assert statement["Condition"] == {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}


@pytest.mark.parametrize(
    ("wanted", "is_", "expected"),
    [
        (BOUNDARY, "", ("iam.put_role_permissions_boundary", {"PermissionsBoundary": BOUNDARY})),
        (
            BOUNDARY,
            "other",
            ("iam.put_role_permissions_boundary", {"PermissionsBoundary": BOUNDARY}),
        ),
        ("", BOUNDARY, ("iam.delete_role_permissions_boundary", {})),
    ],
)
def test_the_boundary_is_set_or_removed(
    wanted: str, is_: str, expected: tuple[str, dict[str, str]]
) -> None:
    call, given = expected
    calls = put_right(role(permissions_boundary=wanted), described(boundary=is_))
    assert calls == [(call, {"RoleName": ROLE_NAME, **given})]


def test_a_role_is_created_with_its_boundary_in_the_same_call() -> None:
    answer = {"iam.create_role": {"Role": {"Arn": "arn:1", "RoleId": "AROA1"}}}
    for boundary in ("", BOUNDARY):
        with answering(answer) as aws:
            outputs = role(permissions_boundary=boundary).create(aws)
            ((_, given),) = aws.changes()
        assert given.get("PermissionsBoundary", "") == boundary
        assert outputs == {"arn": "arn:1", "role": ROLE_NAME, "role_id": "AROA1"}


def test_a_policy_that_goes_while_it_is_read_is_no_policy() -> None:
    gone = {**described(), "iam.get_role_policy": refusal("NoSuchEntity")}
    with answering(gone) as aws:
        assert seen_of(role(), aws).properties["Policies"] == {}
    with answering({"iam.get_role": refusal("NoSuchEntity")}) as aws:
        assert role().find(aws, {}) is None


def test_what_is_deleted_of_a_role_is_all_that_keeps_it() -> None:
    theirs = "arn:aws:iam::aws:policy/Theirs"
    answers = described({"a": {"Statement": []}}, attached=(theirs,))
    gone = dict.fromkeys(
        ("iam.delete_role_policy", "iam.detach_role_policy", "iam.delete_role"),
        refusal("NoSuchEntity"),
    )
    for each in (answers, {**answers, **gone}):  # deleted already counts as deleted
        with answering(each) as aws:
            role().delete(aws, seen_of(role(), aws))
            assert aws.changes() == [
                ("iam.delete_role_policy", {"RoleName": ROLE_NAME, "PolicyName": "a"}),
                ("iam.detach_role_policy", {"RoleName": ROLE_NAME, "PolicyArn": theirs}),
                ("iam.delete_role", {"RoleName": ROLE_NAME}),
            ]


def test_an_instance_profile_holds_a_role() -> None:
    made = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    profiles = {"InstanceProfiles": [{"InstanceProfileName": "web", "CreateDate": made}]}
    with answering({"iam.list_instance_profiles_for_role": profiles}) as aws:
        (found,) = role().blocked_by(aws, Seen({}))
    assert str(found) == "instance profile web (created 2026-01-02, not part of this environment)"
    assert found.lasts
    assert found.command.endswith(f"--instance-profile-name web --role-name {ROLE_NAME}")


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntity"])
def test_profiles_that_cannot_be_listed_are_none(code: str) -> None:
    with answering({"iam.list_instance_profiles_for_role": refusal(code)}) as aws:
        assert role().blocked_by(aws, Seen({})) == []
    with (
        answering({"iam.list_instance_profiles_for_role": refusal("ServiceFailure")}) as aws,
        pytest.raises(ClientError, match="ServiceFailure"),
    ):
        role().blocked_by(aws, Seen({}))


def test_tags_of_a_role() -> None:
    with answering() as aws:
        role().tag(aws, Seen({}), {"team": "blue"})
        role().untag(aws, Seen({}), ["provision:expires"])
        assert aws.changes() == [
            (
                "iam.tag_role",
                {"RoleName": ROLE_NAME, "Tags": [{"Key": "team", "Value": "blue"}]},
            ),
            ("iam.untag_role", {"RoleName": ROLE_NAME, "TagKeys": ["provision:expires"]}),
        ]


# --- how new a role is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "new"),
    [("Thu, 01 Jan 2026 00:14:00 GMT", True), ("Thu, 01 Jan 2026 00:16:00 GMT", False)],
)
def test_a_roles_age_is_by_awss_own_clock(date: str, new: bool) -> None:
    answer = {
        "Role": {"CreateDate": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)},
        "ResponseMetadata": {"HTTPHeaders": {"date": date}},
    }
    with answering({"iam.get_role": answer}) as aws:
        assert is_new(aws, f"arn:aws:iam::{ACCOUNT}:role/path/x") is new
        assert aws.asked == [("iam.get_role", {"RoleName": "x"})]


# --- the service-linked role ----------------------------------------------------------------------

LINKED = "arn:aws:iam::1:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
TAKEN = ClientError(
    {
        "Error": {
            "Code": "InvalidInput",
            "Message": "Service role name has been taken in this account",
        }
    },
    "CreateServiceLinkedRole",
)


def linked() -> ServiceLinkedRole:
    found: ServiceLinkedRole = resource("service-linked-role")
    return found


def test_a_service_linked_role_that_somebody_made_meanwhile_is_used() -> None:
    found = {"iam.list_roles": {"Roles": [{"Arn": LINKED}]}}
    with answering({"iam.create_service_linked_role": TAKEN, **found}) as aws:
        assert linked().create(aws) == {"arn": LINKED}
    assert linked().identity({"arn": LINKED}) == "AWSServiceRoleForRDS"


@pytest.mark.parametrize("error", [TAKEN, refusal("InvalidInput"), refusal("AccessDenied")])
def test_one_that_cannot_be_made_is_awss_refusal(error: ClientError) -> None:
    answers = {"iam.create_service_linked_role": error, "iam.list_roles": {"Roles": []}}
    with answering(answers) as aws, pytest.raises(ClientError) as caught:
        linked().create(aws)
    assert caught.value is error
