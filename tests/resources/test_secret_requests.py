"""The secret by itself: what it asks of Secrets Manager, and what it makes of its answers."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from provision.errors import ProvisionError
from provision.resources.base import Change, Seen
from provision.resources.secretsmanager import Secret
from tests.support.answers import Answers, refusal
from tests.support.names import NAME
from tests.support.resources import answering, changes_of, ours, resource, seen_of

SECRET_NAME = f"{NAME}/database"
ARN = f"arn:aws:secretsmanager:::secret:{SECRET_NAME}-a1b2c3"
GOOD = json.dumps({"username": "testdb", "password": "correct-horse"})


def secret() -> Secret:
    found: Secret = resource("secret")
    return found


def holding(value: Any, **more: Any) -> Answers:
    tags = {"Name": SECRET_NAME, **ours("secret")}
    about = {"ARN": ARN, "Tags": [{"Key": key, "Value": text} for key, text in tags.items()]}
    answer = value if isinstance(value, Exception) else {"SecretString": value}
    return {
        "secretsmanager.describe_secret": about | more,
        "secretsmanager.get_secret_value": answer,
    }


def test_a_secret_as_it_should_be_needs_nothing_and_shows_no_password() -> None:
    with answering(holding(GOOD)) as aws:
        seen = seen_of(secret(), aws)
        assert changes_of(secret(), aws, seen) == {}
    assert seen.secrets == {"password": "correct-horse"}
    assert "correct-horse" not in repr(seen)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("correct-horse", 'not JSON with "username" and "password"'),
        ("[1]", 'not JSON with "username" and "password"'),
        ('{"password": "correct-horse"}', 'not JSON with "username" and "password"'),
        ('{"username": "testdb"}', "JSON without a password"),
        ('{"username": "testdb", "password": 7}', "JSON without a password"),
        ('{"username": "root", "password": "correct-horse"}', "username 'root' and a password"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_its_text(value: str, shape: str) -> None:
    with answering(holding(value)) as aws:
        changes = changes_of(secret(), aws, seen_of(secret(), aws))
    assert changes["SecretString"].is_ == shape
    assert changes["SecretString"].should == "username 'testdb' and a password"


def test_another_user_is_put_right_and_the_password_kept() -> None:
    with answering(holding('{"username": "root", "password": "correct-horse"}')) as aws:
        seen = seen_of(secret(), aws)
        secret().update(aws, seen, changes_of(secret(), aws, seen))
        ((call, given),) = aws.changes()
    assert (call, given["SecretId"]) == ("secretsmanager.put_secret_value", SECRET_NAME)
    assert json.loads(given["SecretString"]) == json.loads(GOOD)
    assert given["ClientRequestToken"]


@pytest.mark.parametrize("value", ["", '{"username": "testdb"}'])
def test_a_secret_without_a_password_gets_none_by_itself(value: str) -> None:
    with answering(holding(value)) as aws:
        seen = seen_of(secret(), aws)
        with pytest.raises(
            ProvisionError, match=f"secret: the secret {SECRET_NAME} holds"
        ) as caught:
            secret().update(aws, seen, changes_of(secret(), aws, seen))
        assert aws.changes() == []
    assert "--reset-password" in caught.value.next_step


def test_a_new_password_is_written_when_one_is_asked_for() -> None:
    with answering(holding(GOOD)) as aws:
        change = Change("Password", "", "", sensitive=True)
        secret().update(aws, seen_of(secret(), aws), {"Password": change})
        ((_, given),) = aws.changes()
    pair = json.loads(given["SecretString"])
    assert pair["username"] == "testdb"
    assert len(pair["password"]) == 32
    assert pair["password"] != "correct-horse"


def test_a_secret_that_waits_for_its_deletion_is_restored_as_it_was() -> None:
    """Its text cannot be read until then, and is looked at afterwards."""
    waiting = holding(
        refusal("InvalidRequestException"),
        DeletedDate=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    )
    with answering(waiting) as aws:
        seen = seen_of(secret(), aws)
        changes = changes_of(secret(), aws, seen)
        assert set(changes) == {"DeletedDate"}
        secret().update(aws, seen, changes)
        assert aws.changes() == [("secretsmanager.restore_secret", {"SecretId": SECRET_NAME})]


DENIED = refusal("AccessDeniedException", "DescribeSecret")


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ({"SecretList": []}, False),
        ({"SecretList": [{"Name": f"{SECRET_NAME}-other"}]}, False),
        ({"SecretList": [{"Name": SECRET_NAME}]}, True),
        (refusal("AccessDeniedException", "ListSecrets"), True),  # then nothing is known
    ],
)
def test_a_denied_secret_is_missing_only_where_the_list_says_so(listed: Any, there: bool) -> None:
    answers = {"secretsmanager.describe_secret": DENIED, "secretsmanager.list_secrets": listed}
    with answering(answers) as aws:
        if there:
            with pytest.raises(ClientError) as caught:
                secret().find(aws, {})
            assert caught.value is DENIED
        else:
            assert secret().find(aws, {}) is None


def test_a_list_that_fails_otherwise_is_raised() -> None:
    broken = refusal("InternalServiceError", "ListSecrets")
    answers = {"secretsmanager.describe_secret": DENIED, "secretsmanager.list_secrets": broken}
    with answering(answers) as aws, pytest.raises(ClientError) as caught:
        secret().find(aws, {})
    assert caught.value is broken


def test_replicas_hold_their_primary() -> None:
    with answering(holding(GOOD, ReplicationStatus=[{"Region": "us-east-1"}])) as aws:
        (found,) = secret().blocked_by(aws, Seen({"arn": ARN}))
    assert str(found) == "replica in us-east-1 (somebody replicated the secret)"
    assert found.lasts
    assert found.command.endswith(f"{SECRET_NAME} --remove-replica-regions us-east-1")
    missing = {"secretsmanager.describe_secret": refusal("ResourceNotFoundException")}
    with answering(missing) as aws:
        assert secret().blocked_by(aws, Seen({"arn": ARN})) == []


def test_a_secret_is_deleted_at_once_and_for_good() -> None:
    for answers in ({}, {"secretsmanager.delete_secret": refusal("ResourceNotFoundException")}):
        with answering(answers) as aws:
            secret().delete(aws, Seen({"arn": ARN}))
            assert aws.changes() == [
                (
                    "secretsmanager.delete_secret",
                    {"SecretId": SECRET_NAME, "ForceDeleteWithoutRecovery": True},
                )
            ]


def test_tags_of_a_secret() -> None:
    with answering() as aws:
        secret().tag(aws, Seen({}), {"team": "blue"})
        secret().untag(aws, Seen({}), ["team"])
        assert [call for call, _ in aws.changes()] == [
            "secretsmanager.tag_resource", "secretsmanager.untag_resource",
        ]  # fmt: skip
        assert aws.changes()[0][1]["Tags"] == [{"Key": "team", "Value": "blue"}]
        assert aws.changes()[1][1]["TagKeys"] == ["team"]
