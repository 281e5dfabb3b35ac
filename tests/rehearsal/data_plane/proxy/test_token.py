"""Tokens of boto3's own making, checked by our reading of the rules; and what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.rehearsal.data_plane.proxy.token import Audience, TokenRefusedError, check_token
from tests.rehearsal.data_plane.proxy.proxies import ENDPOINT, KEY, REGION, token

AUDIENCE = Audience(ENDPOINT, 3306, "testdb", REGION)


def check(given: str, audience: Audience = AUDIENCE, now: datetime | None = None) -> None:
    keys = {KEY.access_key_id: KEY}
    assert check_token(given, audience, now or datetime.now(UTC), keys.get) is KEY


def test_boto3s_token_passes() -> None:
    check(token())


@pytest.mark.parametrize("user", ["testdb", "a b", "ü&=%+/", "user@host"])
def test_users_of_any_name(user: str) -> None:
    check(token(user=user), Audience(ENDPOINT, 3306, user, REGION))


def test_the_hosts_case_does_not_matter() -> None:
    check(token(host=ENDPOINT.upper()))


@pytest.mark.parametrize("field", ["Action", "DBUser", "X-Amz-Date", "X-Amz-Signature"])
def test_a_field_twice_is_refused(field: str) -> None:
    with pytest.raises(TokenRefusedError, match="twice"):
        check(token() + f"&{field}=x")


@pytest.mark.parametrize(
    "field",
    [
        "Action",
        "DBUser",
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
    ],
)
def test_each_field_is_needed(field: str) -> None:
    address, _, query = token().partition("?")
    kept = "&".join(part for part in query.split("&") if not part.startswith(field + "="))
    with pytest.raises(TokenRefusedError, match=f"{field} is missing"):
        check(f"{address}?{kept}")


@settings(deadline=None)
@given(st.integers(0, 10_000), st.characters(exclude_categories=["Cs"]))
def test_one_changed_character_never_passes(position: int, character: str) -> None:
    whole = token()
    position %= len(whole)
    changed = whole[:position] + character + whole[position + 1 :]
    in_host = position < len(ENDPOINT)  # where case does not matter
    if changed == whole or (in_host and changed.lower() == whole.lower()):
        return
    with pytest.raises(TokenRefusedError):
        check(changed)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(TokenRefusedError):
        check(text)
    with pytest.raises(TokenRefusedError):
        check(f"{ENDPOINT}:3306/?X-Amz-{text}")


@pytest.mark.parametrize("minutes", [-6, 16, 24 * 60])
def test_reasons_hold_no_secret(minutes: int) -> None:
    whole = token()
    with pytest.raises(TokenRefusedError) as error:
        check(whole, now=datetime.now(UTC) + timedelta(minutes=minutes))
    for secret in (whole[-64:], KEY.session_token, KEY.secret_access_key):
        assert secret not in str(error.value)
    assert KEY.secret_access_key not in repr(KEY)
