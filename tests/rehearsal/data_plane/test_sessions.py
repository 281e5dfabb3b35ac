"""A role's session: it ends at its time, and with the role that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from provision.rehearsal import Behaviours, Rehearsal
from provision.rehearsal.data_plane.proxy.token import TokenRefusedError
from provision.rehearsal.data_plane.rehearsed_aws import RehearsedAws

from .environment import trust

ROLE = "arn:aws:iam::123456789012:role/function"


class Sessions:
    """An account with one role, and a clock."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.ahead = timedelta()
        self.aws = RehearsedAws(rehearsal, lambda: datetime.now(UTC) + self.ahead)
        self.iam = self.aws.client("iam")
        self.make_role()

    def make_role(self) -> None:
        document = trust("lambda.amazonaws.com")
        self.iam.create_role(RoleName="function", AssumeRolePolicyDocument=document)

    def replace_role(self) -> None:
        self.iam.delete_role(RoleName="function")
        self.make_role()


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    with Rehearsal(Behaviours.plain(), data_plane=False) as rehearsal:
        yield Sessions(rehearsal)


def test_a_session_is_good_for_its_hour_and_then_renewed(sessions: Sessions) -> None:
    first = sessions.aws.credentials(ROLE, "session")
    assert sessions.aws.find_key(first.access_key_id) == first
    assert sessions.aws.credentials(ROLE, "session") == first
    sessions.ahead = timedelta(minutes=61)
    with pytest.raises(TokenRefusedError, match="ended at"):
        sessions.aws.find_key(first.access_key_id)
    second = sessions.aws.credentials(ROLE, "session")
    assert second != first
    assert sessions.aws.find_key(second.access_key_id) == second


def test_a_session_dies_with_its_role(sessions: Sessions) -> None:
    key = sessions.aws.credentials(ROLE, "session")
    sessions.iam.delete_role(RoleName="function")
    with pytest.raises(TokenRefusedError, match="was deleted"):
        sessions.aws.find_key(key.access_key_id)


def test_a_new_role_of_the_same_name_does_not_revive_it(sessions: Sessions) -> None:
    old = sessions.aws.credentials(ROLE, "session")
    sessions.replace_role()
    with pytest.raises(TokenRefusedError, match="was deleted"):
        sessions.aws.find_key(old.access_key_id)
    new = sessions.aws.credentials(ROLE, "session")
    assert new.access_key_id != old.access_key_id
    assert sessions.aws.find_key(new.access_key_id) == new


def test_nobody_has_a_key_that_sts_did_not_give(sessions: Sessions) -> None:
    assert sessions.aws.find_key("ASIANOBODY") is None
