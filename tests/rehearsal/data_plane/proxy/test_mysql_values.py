"""Values and names where MySQL and MariaDB differ, or that no client sends by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.rehearsal.data_plane.proxy.mysql_names import shown, stored
from provision.rehearsal.data_plane.proxy.mysql_values import value
from provision.rehearsal.data_plane.proxy.wire import ServerError


@pytest.mark.parametrize(
    ("raw", "kind", "kept"),
    [
        ("2026-01-02 03:04:05.6", "DATETIME", "2026-01-02 03:04:06"),
        ("2026-12-31 23:59:59.5", "DATETIME", "2027-01-01 00:00:00"),
        ("2026-01-02 03:04:05.126", "DATETIME(2)", "2026-01-02 03:04:05.13"),
        ("2026-01-02 03:04:05+02:00", "TIMESTAMP", "2026-01-02 01:04:05"),
        ("2026-01-02 03:04", "DATETIME", "2026-01-02 03:04:00"),
        ("2026-01-02 03:04:05", "DATE", "2026-01-02"),
        (b"2026-01-02", "DATE", "2026-01-02"),
        (None, "DATE", None),
        ("5", "TINYINT", 5),
        (-1.5, "INT", -2),
        (2**64 - 1, "BIGINT UNSIGNED", 2**64 - 1),
        ("x", "CHAR", "x"),
        (12, "VARCHAR(2)", 12),
    ],
)
def test_what_is_stored(raw: Any, kind: str, kept: Any) -> None:
    assert value(raw, kind, "c") == kept


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        ("0000-00-00", "DATETIME", 1292),
        ("2026-00-10", "DATE", 1292),
        ("2026-01-01T00:00:00Z", "DATETIME", 1292),
        ("9999-12-31 23:59:59.9", "DATETIME", 1292),
        ("\u0662026-01-01", "DATE", 1292),
        (b"\xff", "DATE", 1292),
        ("", "INT", 1366),
        ("1x", "INT", 1366),
        ("\u0665", "INT", 1366),
        (-1, "INT UNSIGNED", 1264),
        (128, "TINYINT", 1264),
        (2**64, "BIGINT UNSIGNED", 1264),
        ("xy", "CHAR(1)", 1406),
        (123, "VARCHAR(2)", 1406),
    ],
)
def test_what_is_refused(raw: Any, kind: str, code: int) -> None:
    with pytest.raises(ServerError) as error:
        value(raw, kind, "c")
    assert error.value.code == code


@given(st.text(max_size=20), st.text(max_size=20))
def test_each_name_has_a_place_of_its_own_and_comes_back(one: str, other: str) -> None:
    assert shown(stored(one)) == one
    assert (stored(one) == stored(other)) == (one == other)
    assert not stored(one).startswith("sqlite_")
    assert stored(one) == stored(one).translate({n: n + 32 for n in range(65, 91)})
