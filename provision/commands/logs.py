"""`provision logs`: what both functions logged, in one stream, by request. Reads only.

With --follow CloudWatch Logs is polled (FilterLogEvents); what arrives late, as it
may by some seconds, is shown late.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provision.aws.account import absent, calling, pages
from provision.cli.options import Options
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.errors import Interrupted, ProvisionError
from provision.resources.template import LOGINS, Login
from provision.verify.request_log import LoggedRequest, Requests, parsed

LATE_MS = 60_000  # by how much an event may arrive after a later one
NOT_FOUND = "ResourceNotFoundException"


def logs(options: Options, output: Display, *, since_minutes: float, follow: bool) -> Summary:
    """Show the functions' logs of the last minutes; with `follow`, until Ctrl-C.

    Returns the summary. Raises ProvisionError when neither function has a log.
    """
    with opened(options, "logs", output, packed=False, looks=False) as run:
        run.start()
        since = int((time.time() - since_minutes * 60) * 1000)
        readers = {login: LogReader(run, login, since) for login in LOGINS}
        options.stop.expected = follow  # Ctrl-C is how it ends
        shown = show(run, read(run, readers))
        with contextlib.suppress(*((Interrupted,) if follow else ())):
            while follow and not run.poll_policy.stop.wait(run.poll_policy.poll):
                shown += show(run, read(run, readers))
        left = [request for reader in readers.values() for request in reader.requests.rest()]
        shown += show(run, left)
        nothing = (
            f"nothing logged in the last {since_minutes:g} minutes; --since MINUTES looks further "
            "back"
        )
        return run.summary(notes=[] if shown else [nothing])


@dataclass
class LogReader:
    """Reads one function's log group, each event once."""

    run: Run
    login: Login
    since: int  # Unix time, milliseconds
    exists: bool = False
    requests: Requests = field(init=False)
    _seen: dict[str, int] = field(default_factory=dict)  # event id: its time

    def __post_init__(self) -> None:
        self.requests = Requests(self.login)

    @property
    def group(self) -> str:
        """The function's log group."""
        return self.run.template.function_logs[self.login].name

    def read(self) -> list[LoggedRequest]:
        """Return the requests that have ended since the last poll (FilterLogEvents)."""
        events: list[dict[str, Any]] = []
        with calling(self.group), absent(NOT_FOUND):
            events = pages(
                self.run.aws.logs,
                "filter_log_events",
                "events",
                logGroupName=self.group,
                startTime=self.since,
            )
            self.exists = True
        new = [each for each in events if each["eventId"] not in self._seen]
        new.sort(key=lambda each: int(each["timestamp"]))  # stable: a stream's order is kept
        self._remember(new)
        return list(self.requests.feed(new))

    def _remember(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Remember these events, and read next time only from where new ones may be."""
        self._seen |= {each["eventId"]: int(each["timestamp"]) for each in events}
        if self._seen:
            self.since = max(self.since, max(self._seen.values()) - LATE_MS)
            self._seen = {key: when for key, when in self._seen.items() if when >= self.since}


def read(run: Run, readers: Mapping[Login, LogReader]) -> list[LoggedRequest]:
    """Return the requests of both functions that have ended since the last poll."""
    found = run.aws.together(*(reader.read for reader in readers.values()))
    if not any(reader.exists for reader in readers.values()):
        groups = " and ".join(reader.group for reader in readers.values())
        raise ProvisionError(
            f"no log to read: no log group {groups} in the {run.about()}",
            next_step="`python -m provision up` creates them. If they should exist, check the "
            "account, the region and environment.name.",
        )
    return [request for requests in found for request in requests]


# --- what is shown --------------------------------------------------------------------------------


def show(run: Run, requests: Sequence[LoggedRequest]) -> int:
    """Show requests in the order in which they began. Returns how many."""
    for request in sorted(requests, key=lambda each: each.began):
        run.output.record("request", **facts(request))
        run.output.document([about(request)], folds=True)
        run.output.document(list(in_lines(request)))
    return len(requests)


def facts(request: LoggedRequest) -> dict[str, Any]:
    """Return a request's record; times in milliseconds, memory in MiB."""
    return {
        "login": request.login,
        "request_id": request.request_id or None,
        "began": request.when,
        "cold": request.cold,
        "status": status(request),
        **{name: request.numbers.get(name) for name in ("duration_ms", "init_ms", "used_mib")},
        "lines": request.lines,
    }


def status(request: LoggedRequest) -> str:
    """Return how a request ended: ok, failed (it answered so), timeout, error, or running."""
    if "duration_ms" not in request.numbers:
        return "running" if request.request_id else "starting"
    return request.status or ("failed" if request.failure else "ok")


def about(request: LoggedRequest) -> str:
    """Return a line about a request for a person."""
    numbers = request.numbers
    parts = [request.when, f"{request.login:<8}", f"{status(request):<7}"]
    if "duration_ms" in numbers:
        parts.append(f"{numbers['duration_ms']:.0f} ms")
    if request.cold:
        parts.append(f"+ {numbers['init_ms']:.0f} ms cold start")
    if "used_mib" in numbers:
        parts.append(f"{numbers['used_mib']:.0f} of {numbers['memory_mib']:.0f} MiB")
    if request.request_id:
        parts.append(request.request_id)
    return "  ".join(parts)


def in_lines(request: LoggedRequest) -> Iterator[str]:
    """Yield what a request wrote, for a person."""
    for line in request.lines:
        yield from (f"    {each}" for each in readable(line))


def readable(line: str) -> list[str]:
    """Return a line as it is; what a function says of its failure in words, with the trace."""
    document = parsed(line)
    if not {"error", "message", "stage"} <= set(document):
        return [line]
    code = f" {document['code']}" if document.get("code") else ""
    words = f"{document['error']}{code} during {document['stage']}: {document['message']}"
    trace = document.get("trace", "")
    return [words, *(f"  {each}" for each in str(trace).splitlines())]
