"""SQLite's refusals in MySQL's numbers and words.

https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
"""

from __future__ import annotations

import re
import sqlite3

from sqlglot import expressions as sql

from provision.rehearsal.data_plane.proxy.mysql_names import shown
from provision.rehearsal.data_plane.proxy.wire import ServerError

# What SQLite says, and MySQL's error, state and words; {0} is the first group.
_ERRORS: tuple[tuple[str, int, str, str], ...] = (
    (r"UNIQUE constraint failed: (\S+?),?(?:\s|$)", 1062, "23000", "Duplicate entry for key '{0}'"),
    (
        r"FOREIGN KEY constraint failed",
        1452,
        "23000",
        "Cannot add or update a child row: a foreign key constraint fails",
    ),
    (r"CHECK constraint failed: (.*)", 3819, "HY000", "Check constraint '{0}' is violated."),
    (r"datatype mismatch", 1366, "HY000", "Incorrect integer value for column at row 1"),
    (r"no such column: (\S+)", 1054, "42S22", "Unknown column '{0}' in 'field list'"),
    (r"has no column named (\S+)", 1054, "42S22", "Unknown column '{0}' in 'field list'"),
    (r"ambiguous column name: (\S+)", 1052, "23000", "Column '{0}' in field list is ambiguous"),
    (r"duplicate column name: (\S+)", 1060, "42S21", "Duplicate column name '{0}'"),
    (r"table \W?([^\s\"]+)\W? already exists", 1050, "42S01", "Table '{0}' already exists"),
    (r"index (\S+) already exists", 1061, "42000", "Duplicate key name '{0}'"),
    (r"no such index: (\S+)", 1091, "42000", "Can't DROP '{0}'; check that column/key exists"),
    (r"no such function: (\S+)", 1305, "42000", "FUNCTION {0} does not exist"),
    (
        r"(\d+) values for \d+ columns|columns but (\d+) values",
        1136,
        "21S01",
        "Column count doesn't match value count at row 1",
    ),
    (r"misuse of aggregate", 1111, "HY000", "Invalid use of group function"),
    (r"locked", 1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"),
)


def as_mysql(error: sqlite3.Error, statement: sql.Expression | None, schema: str) -> ServerError:
    """What MySQL answers where SQLite raised `error` for `statement`."""
    text = str(error)
    if found := re.search(r"NOT NULL constraint failed: \S+\.(\S+)", text):
        return _null(found[1], statement)
    if found := re.search(r"no such table: (?:main\.)?(\S+)", text):
        name = f"{schema}.{shown(found[1])}"
        if isinstance(statement, sql.Drop):
            return ServerError(1051, "42S02", f"Unknown table '{name}'")
        return ServerError(1146, "42S02", f"Table '{name}' doesn't exist")
    for pattern, code, state, words in _ERRORS:
        if found := re.search(pattern, text):
            group = shown(found[1] or "") if found.re.groups else ""
            return ServerError(code, state, words.format(group))
    if isinstance(error, sqlite3.OperationalError):
        return ServerError(1064, "42000", f"{text} (SQLite behind the rehearsal)")
    return ServerError(1105, "HY000", text)


def _null(column: str, statement: sql.Expression | None) -> ServerError:
    """A NULL, given or left out, in a column that takes none."""
    if isinstance(statement, sql.Insert) and isinstance(statement.this, sql.Schema):
        named = {each.name.lower() for each in statement.this.expressions}
        if column.lower() not in named:
            return ServerError(1364, "HY000", f"Field '{column}' doesn't have a default value")
    return ServerError(1048, "23000", f"Column '{column}' cannot be null")
