"""Table names as MySQL on Linux has them, in SQLite, which does not tell `T` from `t`.

SQLite keeps a table under a name of ours: an upper-case letter is `^` and its lower-case one. Its
own tables (`sqlite_master` and others) exist for nobody.
"""

from __future__ import annotations

import re

from sqlglot import expressions as sql

from provision.rehearsal.data_plane.proxy.wire import ServerError

_OF_SQLITE = "sqlite_"


def stored(name: str) -> str:
    """The name under which SQLite has the table `name`."""
    kept = re.sub(r"[\^A-Z]", lambda found: f"^{found[0].lower()}", name)
    return f"^_{kept}" if kept.startswith(_OF_SQLITE) else kept


def shown(name: str) -> str:
    """The name of a table that SQLite has as `name`."""
    kept = name.removeprefix("^_") if name.startswith(f"^_{_OF_SQLITE}") else name
    return re.sub(r"\^(.)", lambda found: found[1].upper(), kept)


def with_stored_names(statement: sql.Expression, schema: str) -> sql.Expression:
    """The statement with SQLite's names of its tables, all of them in `schema`.

    Raises ServerError for a table of another schema, or of none.
    """
    statement = statement.copy()
    queries = {each.alias for each in statement.find_all(sql.CTE)}
    for table in statement.find_all(sql.Table):
        if not isinstance(table.this, sql.Identifier):
            continue
        if table.db and table.db != schema:
            raise ServerError(1049, "42000", f"Unknown database '{table.db[:64]}'")
        if not (table.db or schema or table.name in queries):
            raise ServerError(1046, "3D000", "No database selected")
        table.set("db", None)
        _rename(table.this)
    for column in statement.find_all(sql.Column):
        column.set("db", None)
        _rename(column.args.get("table"))
    for alias in statement.find_all(sql.TableAlias):
        _rename(alias.this)
    return statement


def _rename(identifier: sql.Expression | None) -> None:
    if isinstance(identifier, sql.Identifier) and stored(identifier.name) != identifier.name:
        identifier.replace(sql.Identifier(this=stored(identifier.name), quoted=True))
