"""Which calls are sent again: what AWS certainly did not do, and reads; a create never blindly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from provision.aws.account import make_session, max_attempts, repeat_safely
from provision.aws.advice import THROTTLED
from provision.errors import UsageError

READS = ("DescribeVpcs", "GetRole", "ListSecrets")
CHANGES = ("CreateDBInstance", "DeleteRole", "ModifyDBInstance", "PutRolePolicy", "TagResource")
URL = "https://rds.example"
LOST = (
    ConnectionClosedError(endpoint_url=URL),
    ReadTimeoutError(endpoint_url=URL),
    ResponseParserError("half a page"),
)
UNREACHED = (
    ConnectTimeoutError(endpoint_url=URL),
    EndpointConnectionError(endpoint_url=URL, error="refused"),
)


def delay(
    operation: str,
    status: int = 0,
    code: str = "",
    *,
    error: Exception | None = None,
    attempts: int = 1,
    most: int = 8,
    speed: float = 1.0,
) -> float | None:
    """Return what the handler says to a first attempt that ended so."""
    response: Any = None
    if status:
        response = SimpleNamespace(status_code=status), {"Error": {"Code": code}} if code else {}
    return repeat_safely(
        most,
        speed,
        attempts=attempts,
        operation=SimpleNamespace(name=operation),
        response=response,
        caught_exception=error,
        endpoint="https://rds.example",  # and more that botocore hands over
    )


@pytest.mark.parametrize("operation", [*READS, *CHANGES])
@pytest.mark.parametrize("code", sorted(THROTTLED))
def test_what_is_throttled_is_sent_again(operation: str, code: str) -> None:
    for status in (400, 403, 429, 503):
        assert delay(operation, status, code)


@pytest.mark.parametrize("operation", [*READS, *CHANGES])
def test_status_429_is_throttling_whatever_the_code(operation: str) -> None:
    for code in ("", "SlowDownPlease"):
        assert delay(operation, 429, code)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_on_awss_side_is_asked_again_only_of_a_read(status: int) -> None:
    for operation in READS:
        assert delay(operation, status, "InternalFailure")
    for operation in CHANGES:
        assert delay(operation, status, "InternalFailure") is None


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_an_answer_that_was_lost_is_asked_for_again_only_of_a_read(error: Exception) -> None:
    for operation in READS:
        assert delay(operation, error=error)
    for operation in CHANGES:
        assert delay(operation, error=error) is None


@pytest.mark.parametrize("error", UNREACHED, ids=lambda error: type(error).__name__)
def test_an_endpoint_that_cannot_be_reached_is_told_at_once(error: Exception) -> None:
    for operation in (*READS, *CHANGES):
        assert delay(operation, error=error) is None


@pytest.mark.parametrize("operation", [*READS, *CHANGES])
def test_what_aws_refuses_is_not_sent_again(operation: str) -> None:
    for status, code in ((400, "ValidationError"), (403, "AccessDenied"), (404, "NoSuchEntity")):
        assert delay(operation, status, code) is None
    assert delay(operation, 200) is None
    assert delay(operation, error=ValueError("a bug")) is None


def test_there_are_no_more_attempts_than_allowed() -> None:
    assert delay("GetRole", 503, attempts=2, most=3)
    for attempts in (3, 4):
        assert delay("GetRole", 503, attempts=attempts, most=3) is None


def test_the_pauses_double_up_to_ten_seconds_and_are_never_the_same_for_all() -> None:
    for attempts, longest in ((1, 0.3), (2, 0.6), (3, 1.2), (6, 9.6), (7, 10.0), (30, 10.0)):
        pauses = [delay("GetRole", 503, attempts=attempts, most=99) or 0 for _ in range(50)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest


def test_a_rehearsal_pauses_as_much_less_as_it_is_faster() -> None:
    pause = delay("GetRole", 503, speed=100.0)
    assert pause is not None
    assert 0.0015 <= pause <= 0.003


@pytest.mark.parametrize(("text", "number"), [(None, 8), ("", 8), ("1", 1), ("12", 12)])
def test_the_number_of_attempts_is_that_of_botos_variable(
    monkeypatch: pytest.MonkeyPatch, text: str | None, number: int
) -> None:
    if text is not None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", text)
    assert max_attempts(make_session(None, "eu-west-1")) == number


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_another_number_of_attempts_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", text)
    with pytest.raises(UsageError, match=f"AWS_MAX_ATTEMPTS={text}"):
        make_session(None, "eu-west-1")
