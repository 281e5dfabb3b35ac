"""Log events of a Lambda function, put together by request. Calls nothing.

An execution environment writes to a log stream of its own and serves one request at a time, so what
stands between a request's START and REPORT belongs to it. Follows the AWS Lambda Developer Guide,
"Sending Lambda function logs to CloudWatch Logs" (plain-text format).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

START = re.compile(r"START RequestId: (?P<id>\S+)")
END = re.compile(r"END RequestId: (?P<id>\S+)")
REPORT = re.compile(r"REPORT RequestId: (?P<id>\S+)")
FIGURES = {  # of a REPORT line, and what we call them
    "Duration": "duration_ms",
    "Billed Duration": "billed_ms",
    "Init Duration": "init_ms",
    "Memory Size": "memory_mib",
    "Max Memory Used": "used_mib",
}


@dataclass
class LoggedRequest:
    """What one invocation has logged. Times in milliseconds, memory in MiB."""

    login: str
    request_id: str = ""  # none for what was logged outside of a request
    began: int = 0  # Unix time, milliseconds
    lines: list[str] = field(default_factory=list)  # what the function and its runtime wrote
    numbers: dict[str, float] = field(default_factory=dict)  # of REPORT: FIGURES
    status: str = ""  # of REPORT: error or timeout; none when the handler returned

    @property
    def cold(self) -> bool:
        """Whether an execution environment was started for it."""
        return "init_ms" in self.numbers

    @property
    def when(self) -> str:
        """When it began: ISO 8601 in UTC, to the millisecond."""
        try:
            moment = datetime.fromtimestamp(self.began / 1000, UTC)
        except (ValueError, OverflowError, OSError):  # no time that there can be
            return str(self.began)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def failure(self) -> Mapping[str, Any] | None:
        """What the function says of its failure, if it failed (functions/shared/http_api.py)."""
        for line in self.lines:
            document = parsed(line)
            if {"error", "message", "status"} <= set(document):
                return document
        return None


class Requests:
    """Puts the events of one function together. Feed them in the order of each stream."""

    def __init__(self, login: str) -> None:
        self._login = login
        self._open: dict[str, LoggedRequest] = {}  # by stream

    def feed(self, events: Iterable[Mapping[str, Any]]) -> Iterator[LoggedRequest]:
        """Take events of FilterLogEvents. Yields each request that has ended."""
        for event in events:
            stream, message = event.get("logStreamName"), event.get("message")
            when = event.get("timestamp")
            if isinstance(message, str) and isinstance(when, int | float) and math.isfinite(when):
                yield from self._take(str(stream), int(when), message.rstrip("\r\n"))

    def _take(self, stream: str, when: int, message: str) -> Iterator[LoggedRequest]:
        request = self._open.get(stream)
        if match := START.match(message):
            if request is not None and request.request_id:
                yield self._open.pop(stream)  # its REPORT never came
                request = None
            before = request.lines if request else []  # of the environment's start
            began = request.began if request else when
            self._open[stream] = LoggedRequest(self._login, match["id"], began, before)
            return
        if request is None:
            request = self._open[stream] = LoggedRequest(self._login, began=when)
        if END.match(message):
            return
        if match := REPORT.match(message):
            request.request_id = request.request_id or match["id"]
            reported(request, message)
            yield self._open.pop(stream)
            return
        request.lines.append(message)

    def rest(self) -> list[LoggedRequest]:
        """Return what has not ended, and forget it."""
        left, self._open = list(self._open.values()), {}
        return left


def reported(request: LoggedRequest, message: str) -> None:
    """Put the facts of a REPORT line, `NAME: VALUE` between tabs, into its request."""
    facts = dict(part.split(": ", 1) for part in message.split("\t") if ": " in part)
    for name, ours in FIGURES.items():
        number = re.match(r"[0-9]+(\.[0-9]+)?(?= |$)", facts.get(name, ""))
        if number:
            request.numbers[ours] = float(number[0])
    request.status = facts.get("Status", "")


def parsed(line: str) -> dict[str, Any]:
    """Return a line that is a JSON object, or {}."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
