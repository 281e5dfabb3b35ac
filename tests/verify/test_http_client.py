"""What comes back from a route, and what the check makes of it; without AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from provision.commands.check import named
from provision.verify.http_client import (
    LOGIN_ROUTES,
    MOST_ROWS,
    Answer,
    FunctionError,
    answer,
    call,
)
from provision.verify.logins import contains, may_pass, not_shared
from tests.support.servers import Silence, http_api

PASSWORD, ROOT, IAM = LOGIN_ROUTES
ONE, TWO, THREE = (f"2026-11-24 08:00:0{n}" for n in (1, 2, 3))


@contextmanager
def api(status: int, headers: dict[str, str], body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer on loopback. Yields the URL and the paths that were asked for."""
    with http_api(lambda path, number: (status, headers, body)) as served:
        yield served


GOOD = {
    "X-Login": "iam",
    "X-TLS": "TLSv1.3",
    "Server-Timing": "login;dur=12.5, query;dur=3.0",
}


# --- calling --------------------------------------------------------------------------------------


def test_a_good_answer() -> None:
    with api(200, GOOD, json.dumps([ONE, TWO]).encode()) as (url, asked):
        got = call(url, IAM)
    assert asked == [f"/func2?limit={MOST_ROWS}"]
    assert (got.status, got.login, got.tls, got.login_ms) == (200, "iam", "TLSv1.3", 12.5)
    assert got.rows == (ONE, TWO)
    assert got.ms > 0
    assert got.works("iam")
    assert not got.works("password")


def test_a_functions_failure() -> None:
    body = {"error": "DatabaseError", "code": 9501, "message": "9501 (HY000): Timed-out waiting"}
    with api(503, {"X-Login": "password"}, json.dumps(body).encode()) as (url, _):
        got = call(url, PASSWORD)
    assert got.error == FunctionError("DatabaseError", "9501", "9501 (HY000): Timed-out waiting")
    assert str(got) == "HTTP 503 DatabaseError: 9501 (HY000): Timed-out waiting"
    assert not got.works("password")


def test_an_answer_of_somebody_else() -> None:
    with api(502, {}, b"<html>\n  bad gateway" + b"x" * 5000) as (url, _):
        got = call(url, PASSWORD)
    assert str(got).startswith("HTTP 502 <html> bad gatewayx")
    assert len(got.text) == 200


def test_a_refused_connection() -> None:
    with api(200, {}, b"[]") as (url, _):
        pass
    got = call(url, IAM)
    assert got.status == 0
    assert "ConnectionRefusedError" in got.text
    assert may_pass(got)


def test_a_broken_connection() -> None:
    with Silence() as silence:
        got = call(silence.endpoint_url, IAM)
    assert got.status == 0
    assert got.text


def test_a_loopback_address_is_called_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Silence() as silence, api(200, GOOD, json.dumps([ONE]).encode()) as (url, _):
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, silence.endpoint_url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert call(url, IAM).works("iam")
        assert silence.calls == 0


def test_another_address_is_called_through_the_users_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with api(200, GOOD, json.dumps([ONE]).encode()) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert call("http://api.example.invalid", IAM).works("iam")
    assert asked == [f"http://api.example.invalid/func2?limit={MOST_ROWS}"]


# --- what an answer is worth ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "works"),
    [
        (GOOD, [ONE], True),
        (GOOD, [], False),  # its own row is missing
        (GOOD, {"rows": [ONE]}, False),
        (GOOD, [1, 2], False),
        (GOOD | {"X-Login": "password"}, [ONE], False),
        (GOOD | {"X-TLS": "none"}, [ONE], False),
        ({"X-Login": "iam"}, [ONE], False),
    ],
)
def test_what_counts_as_a_working_iam_login(
    headers: dict[str, str], body: Any, works: bool
) -> None:
    assert answer(200, headers, json.dumps(body).encode(), 1.0).works("iam") is works


def test_a_password_login_may_do_without_tls() -> None:
    headers = {"X-Login": "password", "X-TLS": "none"}
    assert answer(200, headers, json.dumps([ONE]).encode(), 1.0).works("password")


def test_an_answer_that_leaves_rows_out_is_known() -> None:
    rows = json.dumps([ONE]).encode()
    assert answer(200, GOOD | {"X-Truncated": "true"}, rows, 1.0).truncated
    assert answer(200, GOOD, json.dumps([ONE] * MOST_ROWS).encode(), 1.0).truncated
    assert not answer(200, GOOD, rows, 1.0).truncated


@pytest.mark.parametrize(
    ("got", "passes"),
    [
        (Answer(status=404), True),
        (Answer(status=500), True),
        (Answer(status=503), True),
        (Answer(status=429), True),
        (Answer(status=403), False),
        (Answer(status=200, rows=()), False),
        (Answer(status=503, error=FunctionError("TimeoutError", "", "no answer")), True),
        (Answer(status=500, error=FunctionError("ProgrammingError", "1045", "denied")), True),
        (Answer(status=500, error=FunctionError("DatabaseError", "3159", "TLS")), False),
        (Answer(status=500, error=FunctionError("SettingError", "REGION", "not set")), False),
        (Answer(status=500, error=FunctionError("InterfaceError", "2055", "[SSL")), False),
    ],
)
def test_what_may_pass_by_itself(got: Answer, passes: bool) -> None:
    assert may_pass(got) is passes


# --- rows -----------------------------------------------------------------------------------------


def had(*rows: str, truncated: bool = False) -> Answer:
    return Answer(status=200, rows=rows, truncated=truncated)


@pytest.mark.parametrize(
    ("earlier", "later", "seen"),
    [
        (had(ONE), had(ONE, TWO), True),
        (had(ONE), had(ONE, ONE), True),  # within one second
        (had(ONE), had(ONE, ONE, TWO, THREE), True),  # somebody else writes too
        (had(ONE), had(ONE), False),
        (had(ONE, ONE), had(ONE, TWO, THREE), False),
        (had(ONE, TWO), had(ONE, THREE, THREE), False),
        (had(ONE, TWO), had(TWO, THREE, truncated=True), True),  # the oldest fell out
        (had(ONE, THREE), had(TWO, TWO, truncated=True), False),
        (had(), had(ONE), True),
    ],
)
def test_whether_rows_are_seen(earlier: Answer, later: Answer, seen: bool) -> None:
    assert contains(later, earlier) is seen


def test_tables_apart_are_noticed() -> None:
    good = [(PASSWORD, had(ONE)), (ROOT, had(ONE, TWO)), (IAM, had(TWO))]
    apart = not_shared(good)
    assert apart is not None
    assert apart[:2] == ("password", "iam")
    assert "GET / had 2 rows" in apart[2]
    assert "GET /func2 had 1 row" in apart[2]


def test_one_logins_own_rows_are_not_compared() -> None:
    assert not_shared([(PASSWORD, had(ONE)), (ROOT, had(TWO))]) is None
    assert not_shared([]) is None


def test_routes_in_words() -> None:
    assert named([IAM]) == "iam login (GET /func2)"
    both = "password login (GET /func1, GET /) and iam login (GET /func2)"
    assert named(list(LOGIN_ROUTES)) == both
