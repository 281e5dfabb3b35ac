"""Tokens of boto3's own making, checked by our reading of the rules; and what is made of them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qsl, quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.rehearsal.data_plane.proxy.token import Audience, TokenRefusedError, check_token
from tests.rehearsal.data_plane.proxy.proxies import ENDPOINT, KEY, token
from tests.support.names import REGION

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


def resigned(change: Callable[[str], str]) -> str:
    """A token whose fields were changed before they were signed, as whoever has the key can."""
    address, _, query = token().partition("/?")
    query = change(query.rpartition("&X-Amz-Signature=")[0])
    decoded = [(name, unquote(value)) for name, value in parse_qsl(query, keep_blank_values=True)]
    pairs = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in decoded)
    canonical = "&".join(f"{name}={value}" for name, value in pairs)
    fields = dict(decoded)
    scope = fields["X-Amz-Credential"].split("/")[1:]
    empty = sha256(b"").hexdigest()
    request = "\n".join(["GET", "/", canonical, f"host:{address}", "", "host", empty])
    digest = sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", fields["X-Amz-Date"], "/".join(scope), digest])
    key = ("AWS4" + KEY.secret_access_key).encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return (
        f"{address}/?{query}&X-Amz-Signature={hmac.new(key, text.encode(), 'sha256').hexdigest()}"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=900", "X-Amz-Expires=%2B900"),
        ("X-Amz-Expires=900", "X-Amz-Expires=+900"),
        ("X-Amz-Expires=900", "X-Amz-Expires=%20900"),
        ("X-Amz-Expires=900", "X-Amz-Expires=900%20"),
        ("X-Amz-Expires=900", "X-Amz-Expires=9_00"),
        ("X-Amz-Expires=900", "X-Amz-Expires=0900"),
        ("X-Amz-Expires=900", "X-Amz-Expires=900.0"),
        ("X-Amz-Expires=900", "X-Amz-Expires=%D9%A9%D9%A0%D9%A0"),
        ("X-Amz-Expires=900", "X-Amz-Expires=%EF%BC%99%EF%BC%90%EF%BC%90"),
        ("X-Amz-Expires=900", "X-Amz-Expires=-900"),
        ("X-Amz-Expires=900", "X-Amz-Expires=0"),
        ("X-Amz-Expires=900", "X-Amz-Expires=901"),
        ("X-Amz-Expires=900", "X-Amz-Expires=9e2"),
        ("X-Amz-Expires=900", "X-Amz-Expires=900%00"),
        ("Action=connect", "Action=%63onnect"),
        ("Action=connect", "Action=connect%00"),
        ("Action=connect", "action=connect"),
        ("Action=connect", "Action=connect&"),
        ("Action=connect", "&Action=connect"),
        ("Action=connect", "Action=connect&Extra=1"),
        ("Action=connect", "Action=connect&X-Amz-Extra=1"),
        ("Action=connect", "Action=connect&flag"),
        ("Action=connect", "Action=connect;x"),
        ("DBUser=testdb", "DBUser=testdb%00"),
        ("DBUser=testdb", "DBUser=testdb&DBUser=testdb"),
        ("DBUser=testdb", "DB%55ser=testdb"),
        ("%2F", "%2f"),
        ("%2F", "/"),
        ("SignedHeaders=host", "SignedHeaders=host%3Bhost"),
    ],
)
def test_a_form_that_no_signer_writes_is_refused_though_it_is_signed(old: str, new: str) -> None:
    check(resigned(lambda query: query))
    with pytest.raises(TokenRefusedError):
        check(resigned(lambda query: query.replace(old, new)))


@pytest.mark.parametrize("change", ["{}&", "{}&&", "{}\0", "\0{}", " {}", "{}\n", "{}#", "{}%00"])
def test_what_stands_around_a_token_is_refused(change: str) -> None:
    with pytest.raises(TokenRefusedError):
        check(change.format(token()))


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
