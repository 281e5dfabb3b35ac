"""The response of both functions to the HTTP API, however they log in.

Events and responses have payload format 2.0:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
import queue
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

from mysql.connector import errors

import timestamps
from database import Database, connect, tls_version
from deadline import Deadline

MOST_ASKED = 10_000  # rows, with ?limit=
SERVER_ERROR = 500  # and every status above it
MESSAGE_CHARACTERS = 500
LATE = (
    TimeoutError,
    errors.ConnectionTimeoutError,
    errors.ReadTimeoutError,
    errors.WriteTimeoutError,
)
TOO_MANY_CONNECTIONS, NO_CONNECTION_FREE = 1040, 9501  # as RDS Proxy numbers its refusals

Event = dict[str, Any]
Answer = dict[str, Any]


class BadRequest(Exception):
    """The request has a parameter with a bad value."""

    code = "limit"


def handler(login: str, password: Callable[[Database], str]) -> Callable[[Event, Any], Answer]:
    """Return a Lambda handler that logs in with what `password` returns; `login` names the method.

    The work is done in a thread, so that the handler answers in time even if something hangs (a
    name that does not resolve, a port that drops packets, a lock). A thread that is left behind
    starts no new statement once the deadline has passed, and its sockets time out.
    """

    def lambda_handler(event: Event, context: Any) -> Answer:
        deadline = Deadline(context.get_remaining_time_in_millis() / 1000)
        request = Request(login, deadline, context.aws_request_id)
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        threading.Thread(
            target=lambda: answers.put(request.answer(event, password)), daemon=True
        ).start()
        try:
            return answers.get(timeout=max(0.0, request.deadline.left))
        except queue.Empty:
            return request.failure(TimeoutError())

    return lambda_handler


class Request:
    """One request: what is known about it so far, and its response."""

    def __init__(self, login: str, deadline: Deadline, request_id: str) -> None:
        self.deadline = deadline
        self.request_id = request_id
        self.stage = "start"
        self.secret = ""
        self.timings: list[str] = []
        self.headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Login": login,
        }

    def answer(self, event: Event, password: Callable[[Database], str]) -> Answer:
        """Log in, store the time, and return the response with all times, or with the error."""
        try:
            limit = requested_limit(event)
            database = Database.from_environment()
            with self.timed("login"):
                self.secret = password(database)
                connection = connect(database, self.secret, self.deadline)
            with closing(connection), self.timed("query"):
                self.headers["X-TLS"] = tls_version(connection)
                timestamps.store(connection, database.table, self.deadline)
                times, truncated = timestamps.newest(
                    connection, database.table, limit, self.deadline
                )
        except Exception as error:
            return self.failure(error)
        if truncated:
            self.headers["X-Truncated"] = "true"
        return self.reply(200, times)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure one stage, for the Server-Timing header (milliseconds)."""
        self.stage = stage
        started = time.perf_counter()
        yield
        self.timings.append(f"{stage};dur={(time.perf_counter() - started) * 1000:.1f}")

    def failure(self, error: Exception) -> Answer:
        """Return the response for an error, and log it for the operator.

        The API is public, and a server's messages name users and addresses: they go only to the
        log, where the request id finds them. The message of a bad request is returned.
        """
        body = {
            "error": type(error).__name__,
            "code": getattr(error, "code", getattr(error, "errno", None)),
            "request_id": self.request_id,
        }
        words = {"message": self.message(error)}
        status = status_of(error)
        trace = "".join(traceback.format_exception(error)) if status >= SERVER_ERROR else ""
        log = {"login": self.headers["X-Login"], "stage": self.stage, "status": status}
        text = json.dumps({**log, **body, **words, "trace": self.safe(trace)})
        print(text, file=sys.stderr, flush=True)
        return self.reply(status, body if status >= SERVER_ERROR else body | words)

    def message(self, error: Exception) -> str:
        """Return an error's message: one line, without secrets."""
        if isinstance(error, LATE):
            waited = self.deadline.seconds - self.deadline.left
            return f"no answer after {waited:.1f} s, during {self.stage}"
        return self.safe(" ".join(str(error).split()))[:MESSAGE_CHARACTERS]

    def safe(self, text: str) -> str:
        """Return `text` without the password or token, in case a server has echoed it."""
        for secret in filter(None, {self.secret, quote(self.secret), repr(self.secret)[1:-1]}):
            text = text.replace(secret, "***")
        return text

    def reply(self, status: int, body: object) -> Answer:
        """Return a response of payload format 2.0."""
        headers = dict(self.headers)
        if self.timings:
            headers["Server-Timing"] = ", ".join(self.timings)
        text = json.dumps(body, separators=(",", ":"))
        return {"statusCode": status, "headers": headers, "body": text}


def requested_limit(event: Event) -> int | None:
    """Return the value of `?limit=`, or None without it; raises BadRequest."""
    value = (event.get("queryStringParameters") or {}).get("limit")
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", value) or not 1 <= int(value) <= MOST_ASKED:
        raise BadRequest(f"limit must be a whole number from 1 to {MOST_ASKED}")
    return int(value)


def status_of(error: Exception) -> int:
    """Return 400 for a bad request, 503 if the database may answer later, otherwise 500."""
    if isinstance(error, BadRequest):
        return 400
    busy = getattr(error, "errno", None) in (TOO_MANY_CONNECTIONS, NO_CONNECTION_FREE)
    return 503 if busy or isinstance(error, LATE) else 500
