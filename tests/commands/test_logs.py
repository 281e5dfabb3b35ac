"""`provision logs`: what both functions log, in one stream, by request."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from provision.rehearsal import Fault
from provision.verify.request_log import LoggedRequest, Requests
from tests.support.built import Built
from tests.support.commands import Commands, Result
from tests.support.names import NAME

FAILED = {
    "login": "iam",
    "stage": "login",
    "status": 500,
    "error": "ProgrammingError",
    "code": 1045,
    "message": "1045 (28000): Access denied for user 'testdb'",
    "trace": "Traceback (most recent call last):\n  File index.py\nProgrammingError",
}


def invocation(request_id: str, *lines: str, cold: bool = False, status: str = "") -> list[str]:
    """What Lambda logs of an invocation."""
    report = [
        f"REPORT RequestId: {request_id}",
        "Duration: 12.34 ms",
        "Billed Duration: 13 ms",
        "Memory Size: 256 MB",
        "Max Memory Used: 60 MB",
    ]
    report += ["Init Duration: 345.67 ms"] if cold else []
    report += [f"Status: {status}"] if status else []
    start = ["INIT_START Runtime Version: python:3.13.v1"] if cold else []
    return [
        *start,
        f"START RequestId: {request_id} Version: $LATEST\n",
        *lines,
        f"END RequestId: {request_id}\n",
        "\t".join(report) + "\t\n",
    ]


def events(stream: str, messages: list[str], at: int = 1_000) -> list[dict[str, Any]]:
    """These messages as FilterLogEvents answers them, a millisecond apart."""
    return [
        {"logStreamName": stream, "timestamp": at + number, "message": message}
        for number, message in enumerate(messages)
    ]


def assembled(*batches: list[dict[str, Any]]) -> list[LoggedRequest]:
    """The requests that these events tell of, in the order in which they end."""
    requests = Requests("iam")
    return [each for batch in batches for each in requests.feed(batch)]


# --- by request, purely ---------------------------------------------------------------------------


def test_one_request() -> None:
    (request,) = assembled(events("a", invocation("id-1", "hello", cold=True)))
    assert request.request_id == "id-1"
    assert request.login == "iam"
    assert request.lines == ["INIT_START Runtime Version: python:3.13.v1", "hello"]
    assert request.numbers == {
        "duration_ms": 12.34,
        "billed_ms": 13,
        "init_ms": 345.67,
        "memory_mib": 256,
        "used_mib": 60,
    }
    assert request.cold
    assert request.status == ""
    assert request.when == "1970-01-01T00:00:01.000Z"


def test_requests_of_two_environments_at_once_are_kept_apart() -> None:
    one, two = (events(stream, invocation(f"id-{stream}", f"of {stream}")) for stream in ("a", "b"))
    mixed = [each for pair in zip(one, two, strict=True) for each in pair]
    found = {each.request_id: each.lines for each in assembled(mixed)}
    assert found == {"id-a": ["of a"], "id-b": ["of b"]}


def test_a_request_may_come_in_pieces() -> None:
    whole = events("a", invocation("id-1", "first", "second"))
    (request,) = assembled(whole[:2], whole[2:3], whole[3:])
    assert request.lines == ["first", "second"]


def test_a_request_whose_report_never_came() -> None:
    cut = events("a", invocation("id-1", "first"))[:2]
    first, second = assembled(cut, events("a", invocation("id-2"), at=2_000))
    assert (first.request_id, first.numbers) == ("id-1", {})
    assert second.request_id == "id-2"
    assert second.lines == []


def test_what_has_not_ended_is_told_once() -> None:
    requests = Requests("iam")
    assert list(requests.feed(events("a", invocation("id-1", "x")[:2]))) == []
    assert [each.request_id for each in requests.rest()] == ["id-1"]
    assert requests.rest() == []


def test_a_time_out_and_an_end_without_a_beginning() -> None:
    (late,) = assembled(events("a", invocation("id-1", status="timeout")))
    assert late.status == "timeout"
    (half,) = assembled(events("a", invocation("id-2", "line")[1:]))
    assert half.request_id == "id-2"
    assert half.lines == ["line"]


def test_what_a_function_says_of_its_failure() -> None:
    (request,) = assembled(events("a", invocation("id-1", "[1, 2]", json.dumps(FAILED))))
    assert request.failure
    assert request.failure["code"] == 1045
    (good,) = assembled(events("a", invocation("id-1", '{"status": 200}')))
    assert good.failure is None


# --- through the command --------------------------------------------------------------------------


@dataclass(frozen=True)
class Logs:
    """The functions' log groups, to write to, and the command that reads them."""

    built: Built

    def write(self, login: str, messages: list[str], *, minutes_ago: float = 0) -> str:
        """Write as Lambda does, to a stream of its own. Returns the stream's name."""
        logs, group, stream = (
            self.built.account.logs,
            f"/aws/lambda/{NAME}-{login}",
            f"{uuid.uuid4()}",
        )
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        self.append(login, stream, messages, minutes_ago=minutes_ago)
        return stream

    def append(
        self, login: str, stream: str, messages: list[str], *, minutes_ago: float = 0
    ) -> None:
        """Write more to a stream."""
        now = int((time.time() - minutes_ago * 60) * 1000)
        self.built.account.logs.put_log_events(
            logGroupName=f"/aws/lambda/{NAME}-{login}",
            logStreamName=stream,
            logEvents=[
                {"timestamp": now + number, "message": each} for number, each in enumerate(messages)
            ],
        )

    def read(self, *flags: str) -> Result:
        """Run `python -m provision logs`, told in JSON."""
        return self.built.commands.run("provision", "logs", "--output", "json", *flags)


@pytest.fixture
def logs(built: Built) -> Iterator[Logs]:
    """The log groups of an environment; emptied afterwards."""
    yield Logs(built)
    for login in ("password", "iam"):
        group = f"/aws/lambda/{NAME}-{login}"
        streams = built.account.all(
            "logs", "describe_log_streams", "logStreams", logGroupName=group
        )
        for stream in streams:
            name = stream["logStreamName"]
            built.account.logs.delete_log_stream(logGroupName=group, logStreamName=name)


def test_both_functions_in_one_stream_oldest_first(logs: Logs) -> None:
    logs.write("iam", invocation("id-2", json.dumps(FAILED)), minutes_ago=2)
    logs.write("password", invocation("id-3", cold=True), minutes_ago=1)
    logs.write("password", invocation("id-1", "hello"), minutes_ago=3)
    result = logs.read()
    assert result.code == 0
    assert result.summary["ok"]
    first, second, third = result.of("request")
    assert [each["request_id"] for each in (first, second, third)] == ["id-1", "id-2", "id-3"]
    assert [each["login"] for each in (first, second, third)] == ["password", "iam", "password"]
    assert [each["status"] for each in (first, second, third)] == ["ok", "failed", "ok"]
    assert first["lines"] == ["hello"]
    assert first["duration_ms"] == 12.34
    assert third["cold"]
    assert third["init_ms"] == 345.67
    assert not first["cold"]


def test_since_looks_further_back(logs: Logs) -> None:
    logs.write("iam", invocation("old"), minutes_ago=30)
    assert logs.read().of("request") == []
    (found,) = logs.read("--since", "60").of("request")
    assert found["request_id"] == "old"


def test_a_person_reads_it(logs: Logs) -> None:
    logs.write("iam", invocation("id-9", json.dumps(FAILED), cold=True), minutes_ago=1)
    result = logs.built.commands.run("provision", "logs", "--output", "plain")
    assert result.code == 0
    lines = result.stdout.splitlines()
    (at,) = (n for n, line in enumerate(lines) if "id-9" in line)
    words = "failed", "12 ms", "+ 346 ms cold start", "60 of 256 MiB"
    assert all(each in lines[at] for each in ("iam", *words))
    assert lines[at + 2] == (
        "    ProgrammingError 1045 during login: 1045 (28000): Access denied for user 'testdb'"
    )
    assert lines[at + 3] == "      Traceback (most recent call last):"


def test_without_a_request_it_says_so(logs: Logs) -> None:
    result = logs.built.commands.run("provision", "logs", "--output", "plain", "--since", "0.5")
    assert result.code == 0
    assert "nothing logged in the last 0.5 minutes" in result.stdout


def test_a_request_that_is_still_running(logs: Logs) -> None:
    logs.write("iam", invocation("id-1", "working")[:2])
    (found,) = logs.read().of("request")
    assert found["status"] == "running"
    assert found["lines"] == ["working"]


def test_it_only_reads(logs: Logs) -> None:
    before = len(logs.built.remote.journal())
    assert logs.read().code == 0
    asked = {call.operation for call in logs.built.remote.journal()[before:]}
    assert asked == {"GetCallerIdentity", "FilterLogEvents"}


def test_without_an_environment(
    commands: Commands,
) -> None:
    result = commands.run("provision", "logs", "--output", "json")
    assert result.code == 1
    assert "no log group" in result.error["message"]
    assert "provision up" in result.error["next"]


def test_with_one_group_of_two(commands: Commands, account: Any) -> None:
    account.logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-iam")
    result = commands.run("provision", "logs", "--output", "json")
    assert result.code == 0
    assert result.of("request") == []


def test_what_may_not_be_read_is_an_error(logs: Logs) -> None:
    logs.built.remote.set_faults(Fault("denied", "FilterLogEvents", times=99))
    try:
        result = logs.read()
    finally:
        logs.built.remote.set_faults()
    assert result.code == 1
    assert result.error["operation"] == "FilterLogEvents"


@pytest.mark.parametrize("minutes", ["0", "-1", "soon"])
def test_a_bad_since_is_bad_usage(commands: Commands, minutes: str) -> None:
    assert commands.run("provision", "logs", "--output", "json", f"--since={minutes}").code == 2


@pytest.mark.slow
def test_follow_tells_each_request_once_until_ctrl_c(logs: Logs) -> None:
    stream = logs.write("iam", invocation("id-1"))
    arguments = ("logs", "--follow", "--output", "json")
    with logs.built.commands.running("provision", *arguments) as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())
        logs.append("iam", stream, invocation("id-2"))
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert [first["request_id"], second["request_id"]] == ["id-1", "id-2"]
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["summary"]
    assert process.returncode == 0
