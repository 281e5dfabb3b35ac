"""A database for the stand-in proxy that needs nothing installed: SQLite, asked in MySQL's SQL.

Enough for the two functions and a person who looks around, and no more: sqlglot translates the
statements; transactions, variables and a few functions are answered here. Prepared statements,
stored routines, grants, information_schema and MySQL's finer type rules are not played. A real
server behind the stand-in has all of that. Errors, table names, dates, whole numbers and lengths
are MySQL's (mysql_errors, mysql_names, mysql_values).
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import expressions as sql

from provision.rehearsal.data_plane.proxy import mysql_values
from provision.rehearsal.data_plane.proxy.databases import (
    QUERY_LIMIT,
    ProxyCredentials,
    Traits,
    read_command,
)
from provision.rehearsal.data_plane.proxy.mysql_errors import as_mysql
from provision.rehearsal.data_plane.proxy.mysql_names import with_stored_names
from provision.rehearsal.data_plane.proxy.wire import (
    Capability,
    ColumnType,
    Command,
    Login,
    PacketStream,
    ServerError,
    ok_packet,
    write_result,
)

IN_TRANSACTION, AUTOCOMMIT = 1, 2  # server status flags
BUSY_SECONDS = 10.0

_VARIABLES = {
    "autocommit": 1,
    "character_set_client": "utf8mb4",
    "collation_connection": "utf8mb4_0900_ai_ci",
    "max_allowed_packet": QUERY_LIMIT,
    "sql_mode": "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
    "time_zone": "UTC",  # RDS's default
    "tx_isolation": "REPEATABLE-READ",
    "transaction_isolation": "REPEATABLE-READ",
}
_SELECT_VARIABLE = re.compile(r"(?is)\s*select\s+@@(?:session\.|global\.)?(\w+)\s*;?\s*$")
_SET_AUTOCOMMIT = re.compile(r"(?is)\s*set\s+(?:@@)?(?:session[. ])?\s*autocommit\s*=\s*(\w+)")
_SET_TIME_ZONE = re.compile(r"(?is)\s*set\s+(?:@@)?(?:session[. ])?\s*time_zone\s*=\s*'([^']*)'")
_SQLITES_OWN = ("ATTACH", "DETACH", "PRAGMA", "REINDEX", "VACUUM")  # statements
_SQLITES_FUNCTIONS = (
    "load_extension",
    mysql_values.FUNCTION,
    "randomblob",
    "sqlite_source_id",
    "sqlite_version",
    "typeof",
    "zeroblob",
)
_UTC_ZONES = {"UTC", "+00:00", "SYSTEM"}


class _DateTime(str):
    """A value of a DATETIME column, in MySQL's own text form."""

    __slots__ = ()


sqlite3.register_converter("datetime", lambda value: _DateTime(value.decode()))


class SqliteDatabase:
    """One DB instance. `schema` is its only database; the data is in a folder of its own."""

    def __init__(self, schema: str, version: str = "8.4.0") -> None:
        self._schema, self._version = schema, version
        self._folder = tempfile.TemporaryDirectory(prefix="rehearsal-sqlite-")
        self._path = Path(self._folder.name) / "data.sqlite"
        connection = _connect(self._path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()

    def traits(self) -> Traits:
        """Return what MySQL on RDS greets with."""
        return Traits(self._version)

    def open(self, login: Login, secret: ProxyCredentials) -> SqliteSession:
        """Open a session. Raises ServerError 1049 for a schema that is not there."""
        self.check_schema(login.database)
        return SqliteSession(self, _connect(self._path), login, secret)

    def check_schema(self, name: str) -> None:
        """Raise ServerError when there is no such schema; none at all is fine."""
        if name and name != self._schema:
            raise ServerError(1049, "42000", f"Unknown database '{name[:64]}'")

    def close(self) -> None:
        """Throw the data away."""
        self._folder.cleanup()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        detect_types=sqlite3.PARSE_DECLTYPES,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous=OFF")  # nothing here outlives the rehearsal
    for name in ("NOW", "UTC_TIMESTAMP", "SYSDATE"):
        connection.create_function(name, -1, _now)
    return connection


def _now(*_precision: Any) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


class SqliteSession:
    """One client's conversation: text commands in, text results out."""

    def __init__(
        self,
        database: SqliteDatabase,
        connection: sqlite3.Connection,
        login: Login,
        secret: ProxyCredentials,
    ) -> None:
        self._database, self._connection = database, connection
        self._deprecate_eof = bool(login.capabilities & Capability.DEPRECATE_EOF)
        self._schema, self._user = login.database, secret.username
        self._autocommit = True
        self._closing = threading.Lock()
        self._refused: list[ServerError] = []  # what a function within a statement raised
        connection.create_function(mysql_values.FUNCTION, 3, self._value, deterministic=True)

    def _value(self, given: Any, kind: str, column: str) -> Any:
        try:
            return mysql_values.value(given, kind, column)
        except ServerError as error:
            self._refused.append(error)
            raise

    def serve(self, stream: PacketStream, idle_seconds: float) -> None:
        """Answer commands, each with `idle_seconds` to come in."""
        while True:
            stream.allow(idle_seconds)
            packet = read_command(stream)
            if not packet or packet[0] == Command.QUIT:
                return
            try:
                self._answer(stream, packet[0], packet[1:])
            except ServerError as error:
                stream.write(error.encode())

    def close(self) -> None:
        """Close the connection, which rolls back."""
        with self._closing:
            self._connection.close()

    def _answer(self, stream: PacketStream, command: int, body: bytes) -> None:
        if command == Command.QUERY:
            return self._query(stream, _decoded(body))
        if command == Command.INIT_DB:
            self._use(_decoded(body))
        elif command == Command.RESET_CONNECTION:
            self._finish("ROLLBACK")
            self._autocommit = True
        elif command != Command.PING:
            text = "Unknown command: not part of the SQLite rehearsal"
            raise ServerError(1047, "08S01", text)
        return stream.write(self._ok())

    def _query(self, stream: PacketStream, text: str) -> None:
        if found := _SELECT_VARIABLE.match(text):
            name = found[1].lower()
            self._result(stream, [f"@@{name}"], [[self._variable(name)]])
        elif re.match(r"(?i)\s*set\b", text):
            self._set(text)
            stream.write(self._ok())
        else:
            for statement in _parsed(text):
                self._statement(stream, statement)

    def _statement(self, stream: PacketStream, statement: sql.Expression) -> None:
        if isinstance(statement, (sql.Commit, sql.Rollback)):
            self._finish("COMMIT" if isinstance(statement, sql.Commit) else "ROLLBACK")
        elif isinstance(statement, sql.Transaction):
            self._finish("COMMIT")
            self._run("BEGIN IMMEDIATE")
        elif isinstance(statement, sql.Use):
            self._use(statement.this.name)
        elif isinstance(statement, (sql.Create, sql.Drop, sql.Alter, sql.TruncateTable)):
            self._finish("COMMIT")  # MySQL commits before and after it changes the schema
            self._change_schema(with_stored_names(statement, self._schema))
        elif isinstance(statement, sql.Query):
            statement = with_stored_names(statement, self._schema)
            statement = statement.transform(self._session_function)
            cursor = self._run(_translated(statement), statement)
            names = [column[0] for column in cursor.description]
            return self._result(stream, names, cursor.fetchall())
        elif isinstance(statement, (sql.Insert, sql.Update, sql.Delete)):
            if not self._autocommit and not self._connection.in_transaction:
                self._run("BEGIN IMMEDIATE")
            statement = with_stored_names(statement, self._schema)
            cursor = self._run(_translated(statement), statement)
            inserted = cursor.lastrowid if isinstance(statement, sql.Insert) else 0
            return stream.write(self._ok(max(cursor.rowcount, 0), inserted or 0))
        elif isinstance(statement, sql.Pragma) or _command(statement) in _SQLITES_OWN:
            raise _syntax(f"near '{statement.sql()[:80]}'")
        else:
            raise _not_played(statement.key.upper())
        return stream.write(self._ok())

    def _change_schema(self, statement: sql.Expression) -> None:
        """Create, alter, drop or empty a table, and let the values in new columns be checked."""
        table = statement.find(sql.Table)
        there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
        name = table.name if table else ""
        existed = self._connection.execute(there, (name,)).fetchone() is not None
        columns = list(statement.find_all(sql.ColumnDef))
        checks = [text for column in columns for text in mysql_values.triggers(name, column)]
        self._run(_translated(statement), statement)
        if isinstance(statement, sql.Alter) or not existed:
            for text in checks:
                self._run(text)

    def _session_function(self, node: sql.Expression) -> sql.Expression:
        """Put the value in the place of what only the session knows."""
        values = {
            "database": self._schema or None,
            "schema": self._schema or None,
            "user": f"{self._user}@%",
            "version": self._database.traits().version,
        }
        if isinstance(node, sql.SessionParameter):
            return sql.convert(self._variable(node.name.lower()))
        if isinstance(node, (sql.Func, sql.Anonymous)):
            name = (node.name if isinstance(node, sql.Anonymous) else node.key).lower()
            if name in _SQLITES_FUNCTIONS:
                raise ServerError(1305, "42000", f"FUNCTION {self._schema}.{name} does not exist")
            name = name.removeprefix("current")
            if name in values:
                return sql.convert(values[name])
        return node

    def _run(self, text: str, statement: sql.Expression | None = None) -> sqlite3.Cursor:
        self._refused.clear()
        try:
            return self._connection.execute(text)
        except sqlite3.Error as error:
            if self._refused:
                raise self._refused[0] from error
            raise as_mysql(error, statement, self._schema) from error

    def _finish(self, how: str) -> None:
        if self._connection.in_transaction:
            self._run(how)

    def _use(self, schema: str) -> None:
        self._database.check_schema(schema)
        self._schema = schema

    def _variable(self, name: str) -> Any:
        if name == "autocommit":
            return int(self._autocommit)
        if name not in _VARIABLES:
            raise ServerError(1193, "HY000", f"Unknown system variable '{name[:64]}'")
        return _VARIABLES[name]

    def _set(self, text: str) -> None:
        if found := _SET_AUTOCOMMIT.match(text):
            self._autocommit = found[1].lower() in ("1", "on", "true")
            if self._autocommit:
                self._finish("COMMIT")
        found = _SET_TIME_ZONE.match(text)
        if found and found[1] not in _UTC_ZONES:
            raise _not_played(f"the time zone {found[1][:64]}")

    def _ok(self, affected: int = 0, insert_id: int = 0) -> bytes:
        return ok_packet(affected, insert_id, status=self._status())

    def _status(self) -> int:
        inside = IN_TRANSACTION if self._connection.in_transaction else 0
        return inside | (AUTOCOMMIT if self._autocommit else 0)

    def _result(
        self, stream: PacketStream, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        kinds = [_kind(row[i] for row in rows) for i in range(len(names))]
        columns = list(zip(names, kinds, strict=True))
        encoded = ([_encoded(value) for value in row] for row in rows)
        write_result(
            stream,
            columns,
            encoded,
            deprecate_eof=self._deprecate_eof,
            status=self._status(),
        )


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ServerError(1300, "HY000", "Invalid utf8mb4 character string") from None


def _parsed(text: str) -> list[sql.Expression]:
    try:
        statements = [statement for statement in sqlglot.parse(text, read="mysql") if statement]
    except sqlglot.errors.SqlglotError as error:
        raise _syntax(str(error)[:200]) from None
    if not statements:
        raise ServerError(1065, "42000", "Query was empty")
    if len(statements) > 1:
        raise _syntax("one at a time")
    return statements


def _translated(statement: sql.Expression) -> str:
    for column in statement.find_all(sql.ColumnDef):
        if column.find(sql.AutoIncrementColumnConstraint):
            # SQLite counts up only in an INTEGER PRIMARY KEY; sqlglot sees to signed types alone.
            column.set("kind", sql.DataType.build("BIGINT", dialect="mysql"))
    if isinstance(statement, sql.TruncateTable):
        statement = sql.Delete(this=statement.find(sql.Table))  # SQLite has no TRUNCATE
    text: str = statement.sql(dialect="sqlite")
    return text


def _syntax(what: str) -> ServerError:
    return ServerError(1064, "42000", f"You have an error in your SQL syntax; {what}")


def _command(statement: sql.Expression) -> str:
    return statement.name.upper() if isinstance(statement, sql.Command) else ""


def _not_played(what: str) -> ServerError:
    return ServerError(1235, "42000", f"The SQLite rehearsal doesn't yet support '{what}'")


def _kind(values: Any) -> ColumnType:
    kinds = {
        int: ColumnType.LONGLONG,
        float: ColumnType.DOUBLE,
        _DateTime: ColumnType.DATETIME,
        bytes: ColumnType.BLOB,
    }
    first = next((value for value in values if value is not None), "")
    return kinds.get(type(first), ColumnType.VAR_STRING)


def _encoded(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return str(value).encode()
