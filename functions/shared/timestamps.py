"""The table of times: created if it is missing; each request inserts one row."""

from datetime import UTC, datetime
from typing import Any

from deadline import Deadline

# A Lambda response holds 6 MB. Its body is a JSON string, so each time takes the bytes of the
# pattern below, with escaped quotes; 4 KiB are reserved for headers and the rest.
ANSWER_BYTES = 6 * 1024 * 1024
ROW_BYTES = len(r"\"YYYY-MM-DD HH:MM:SS\",")
MOST_ROWS = (ANSWER_BYTES - 4096) // ROW_BYTES

BATCH_ROWS = 1000  # read between two checks of the clock
SECONDS_TO_ANSWER = 1.5  # reserved for building the response


def store(connection: Any, table: str, deadline: Deadline) -> None:
    """Store the current time (UTC, whole seconds) in `table`, which is created if it is missing."""
    _execute(
        connection,
        f"CREATE TABLE IF NOT EXISTS `{table}` "
        "(`id` BIGINT AUTO_INCREMENT PRIMARY KEY, `time` DATETIME NOT NULL)",
        deadline,
    )
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    # `table` has been matched against database.IDENTIFIER.
    _execute(connection, f"INSERT INTO `{table}` (`time`) VALUES (%s)", deadline, now)  # noqa: S608


def newest(
    connection: Any, table: str, limit: int | None, deadline: Deadline
) -> tuple[list[str], bool]:
    """Return the newest `limit` times, oldest first, and whether some had to be left out.

    Without a limit, all times are returned. The oldest are left out if they do not all fit into
    Lambda's response, or cannot all be read in time.
    """
    asked = MOST_ROWS + 1 if limit is None else limit
    cursor = _execute(
        connection,
        f"SELECT `time` FROM `{table}` ORDER BY `id` DESC LIMIT %s",  # noqa: S608
        deadline,
        asked,
    )
    times: list[str] = []
    stopped = False
    while not stopped and (batch := cursor.fetchmany(BATCH_ROWS)):
        times += [value.decode() for (value,) in batch]
        more = len(batch) == BATCH_ROWS and len(times) < asked
        stopped = more and deadline.left < SECONDS_TO_ANSWER
    truncated = stopped or len(times) > MOST_ROWS
    return sorted(times[:MOST_ROWS]), truncated


def _execute(connection: Any, sql: str, deadline: Deadline, *values: object) -> Any:
    """Execute one statement; return its cursor, which returns raw bytes (half the work)."""
    connection.read_timeout = deadline.socket_timeout()
    cursor = connection.cursor(raw=True)
    cursor.execute(sql, values)
    return cursor
