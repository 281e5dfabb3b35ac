"""Values as MySQL's strict mode takes them: dates, whole numbers and lengths.

SQLite stores whatever comes. So each column of a table gets triggers that put in the value as MySQL
would store it, or refuse it in MySQL's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sqlglot import expressions as sql

from provision.rehearsal.data_plane.proxy.wire import ServerError

FUNCTION = "mysql_value"
_BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
_KIND = re.compile(r"(?P<name>[A-Z]+)(?:\((?P<size>\d+)\))?(?P<unsigned> UNSIGNED)?")
_MOMENT = re.compile(
    r"(\d{4})-?(\d{1,2})-?(\d{1,2})(?:[ T]?(\d{1,2}):?(\d{1,2})(?::?(\d{1,2})(?:\.(\d{0,9}))?)?)?"
    r"([+-]\d\d:\d\d)?",
    re.ASCII,
)
_HALF = 0.5


def triggers(table: str, column: sql.ColumnDef) -> Iterator[str]:
    """The statements that let SQLite check a column; none for a column that needs no check."""
    kind = column.args.get("kind")
    text = kind.sql(dialect="mysql").upper() if kind else ""
    found = _KIND.fullmatch(text)
    checked = {*_BITS, "DATE", "DATETIME", "TIMESTAMP", "CHAR", "VARCHAR"}
    if not found or found["name"] not in checked or column.find(sql.AutoIncrementColumnConstraint):
        return
    name, within = _quoted(column.name, '"'), _quoted(table, '"')
    call = f"{FUNCTION}(NEW.{name}, {_quoted(text)}, {_quoted(column.name)})"
    update = f"UPDATE {within} SET {name} = {call} WHERE rowid = NEW.rowid"  # noqa: S608 - quoted
    for event in ("INSERT", f"UPDATE OF {name}"):
        trigger = _quoted(f"^{event[0]}^{table}^{column.name}", '"')
        when = f"AFTER {event} ON {within} WHEN NEW.{name} IS NOT {call}"
        yield f"CREATE TRIGGER {trigger} {when} BEGIN {update}; END"


def _quoted(text: str, mark: str = "'") -> str:
    return mark + text.replace(mark, mark * 2) + mark


def value(given: Any, kind: str, column: str) -> Any:
    """What MySQL stores of a value in a column of this kind. Raises ServerError."""
    found = _KIND.fullmatch(kind)
    if given is None or found is None:
        return given
    if found["name"] in _BITS:
        return _whole(given, _BITS[found["name"]], bool(found["unsigned"]), column)
    if found["name"] in ("CHAR", "VARCHAR"):
        return _text(given, int(found["size"] or 1), column)
    return _moment(given, found["name"], int(found["size"] or 0), column)


def _whole(given: Any, bits: int, unsigned: bool, column: str) -> int:
    if isinstance(given, str | bytes):
        words = given if isinstance(given, str) else given.decode(errors="replace")
        if not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", words, re.I | re.A):
            text = f"Incorrect integer value: '{words[:64]}' for column '{column}' at row 1"
            raise ServerError(1366, "HY000", text)
        given = float(words)
    if isinstance(given, float):
        given = int(given + (_HALF if given >= 0 else -_HALF))
    least = 0 if unsigned else -(1 << (bits - 1))
    most = (1 << bits) - 1 if unsigned else (1 << (bits - 1)) - 1
    if not least <= given <= most:
        raise ServerError(1264, "22003", f"Out of range value for column '{column}' at row 1")
    number: int = given
    return number


def _text(given: Any, size: int, column: str) -> Any:
    if len(given if isinstance(given, str | bytes) else str(given)) > size:
        raise ServerError(1406, "22001", f"Data too long for column '{column}' at row 1")
    return given


def _moment(given: Any, kind: str, digits: int, column: str) -> str:
    words = given.decode(errors="replace") if isinstance(given, bytes) else str(given)
    try:
        moment = _parsed(words, digits)
    except (ValueError, OverflowError):
        what = "date" if kind == "DATE" else "datetime"
        text = f"Incorrect {what} value: '{words[:64]}' for column '{column}' at row 1"
        raise ServerError(1292, "22007", text) from None
    if kind == "DATE":
        return f"{moment:%Y-%m-%d}"
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}"


def _parsed(words: str, digits: int) -> datetime:
    found = _MOMENT.fullmatch(words.strip())
    if not found:
        raise ValueError(words)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    fraction = float(f"0.{found[7] or 0}")
    moment += timedelta(seconds=round(fraction, digits) if digits else int(fraction + _HALF))
    if found[8]:
        sign = -1 if found[8][0] == "-" else 1
        offset = timedelta(hours=int(found[8][1:3]), minutes=int(found[8][4:6])) * sign
        moment = moment.replace(tzinfo=timezone(offset)).astimezone(UTC)
    return moment
