"""`provision compare`: the two logins in figures."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest import mock

import pytest

from provision.cli.options import Options
from provision.commands import compare as compare_command
from provision.commands.compare import (
    ROUTES,
    Distribution,
    Sample,
    collect,
    facts,
    figures,
    in_a_sentence,
    no_answer,
    spread,
)
from provision.config import ApiSettings, Config
from provision.context import Run
from provision.engine.events import Display, Summary
from provision.errors import CheckFailed, Interrupted
from provision.rehearsal import Behaviours, Rehearsal
from provision.verify.http_client import Answer
from provision.waiting.poll import PollPolicy
from tests.support.built import commands_at
from tests.support.commands import Commands
from tests.support.servers import http_api

RATE = 500.0  # calls a second that the fake API lets through

Respond = Callable[[str, int], int]  # (path, number of the call): the status


@contextlib.contextmanager
def api(respond: Respond = lambda path, number: 200) -> Iterator[tuple[str, list[str]]]:
    """Serve both routes on loopback as the functions do. Yields the URL and the calls."""

    def answer(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        status = respond(path.split("?", maxsplit=1)[0], number)
        headers = {
            "X-Login": "iam" if "func2" in path else "password",
            "X-TLS": "TLSv1.3",
            "Server-Timing": f"login;dur={number}.0, query;dur=1.0",
        }
        body = b'["2026-11-24 08:00:00"]' if status == 200 else b'{"message":"no"}'
        return status, headers, body

    with http_api(answer) as served:
        yield served


def run(rate: float = RATE, stop: threading.Event | None = None) -> Run:
    """A run of which only the throttle and the pace are known."""
    config = replace(Config(), api=ApiSettings(throttle_rate_per_second=rate))
    poll_policy = PollPolicy(timeout_seconds=30, stop=stop or threading.Event())
    return cast(Run, SimpleNamespace(config=config, poll_policy=poll_policy))


# --- the calls ------------------------------------------------------------------------------------


def test_both_routes_are_called_in_turn() -> None:
    with api() as (url, asked):
        password, iam = collect(run(), url, 3)
    assert asked == ["/func1?limit=1", "/func2?limit=1"] * 3
    assert [each.login_ms for each in password.good] == [1.0, 3.0, 5.0]
    assert [each.login_ms for each in iam.warm] == [4.0, 6.0]  # the first may be cold
    assert iam.first
    assert iam.first.login_ms == 2.0


def test_a_throttled_call_is_asked_again_and_is_no_failure() -> None:
    with api(lambda path, number: 429 if number in (2, 3, 5) else 200) as (url, asked):
        password, iam = collect(run(), url, 3)
    assert len(asked) == 9
    assert (len(password.good), len(iam.good)) == (3, 3)
    assert password.failed == iam.failed == 0
    assert password.throttled + iam.throttled == 3


def test_calls_that_fail_are_counted_and_left_out() -> None:
    fails: Respond = lambda path, number: 500 if path == "/func2" and number == 2 else 200  # noqa: E731
    with api(fails) as (url, _):
        password, iam = collect(run(), url, 3)
    assert password.failed == 0
    assert (len(iam.good), iam.failed, iam.first) == (2, 1, None)
    assert len(iam.warm) == 2
    assert "HTTP 500" in iam.last_failure


def test_no_more_calls_a_second_than_the_throttle_lets_through() -> None:
    times: list[float] = []

    def remember(_path: str, _number: int) -> int:
        times.append(time.monotonic())
        return 200

    with api(remember) as (url, _):
        collect(run(rate=50), url, 5)
    assert times[-1] - times[0] >= 9 / 50 - 0.02  # ten calls are nine spaces apart


def test_ctrl_c_ends_it() -> None:
    stop = threading.Event()

    def press(_path: str, number: int) -> int:
        if number == 3:
            stop.set()
        return 200

    with api(press) as (url, asked), pytest.raises(Interrupted):
        collect(run(stop=stop), url, 100)
    assert len(asked) <= 4


# --- the figures ----------------------------------------------------------------------------------


def test_a_distribution() -> None:
    times = [float(each) for each in range(1, 102)]  # 1 .. 101
    assert spread(times) == Distribution(101, median=51.0, p5=6.0, p95=96.0, iqr=50.0)
    assert spread(list(reversed(times))) == spread(times)


def test_distributions_of_little() -> None:
    assert spread([]) is None
    assert spread([7.0]) == Distribution(1, 7.0, 7.0, 7.0, 0.0)
    two = spread([1.0, 3.0])
    assert two
    assert two.median == 2.0
    assert 1.0 <= two.p5 <= two.p95 <= 3.0


def sample(*login_ms: float, whole: float = 10.0) -> Sample:
    """The calls of the IAM route, the first of them the cold one."""
    made = Sample(ROUTES[1])
    made.good = [Answer(200, "iam", "TLSv1.3", each, each + whole, ("x",)) for each in login_ms]
    made.first = made.good[0] if made.good else None
    return made


def test_cold_and_warm_are_kept_apart() -> None:
    record = facts(sample(900.0, 10.0, 20.0, 30.0))
    assert record["first"] == {"login_ms": 900.0, "ms": 910.0}
    assert record["warm"]["login_ms"]["median"] == 20.0
    assert record["warm"]["ms"]["median"] == 30.0
    assert record["warm"]["login_ms"]["count"] == 3
    assert record["requests"] == 4


def test_a_single_call_has_no_warm_figures() -> None:
    record = facts(sample(900.0))
    assert record["warm"] == {"login_ms": None, "ms": None}
    assert figures(sample(900.0))["warm: login ms, median"] is None
    assert facts(sample())["first"] is None


def test_a_login_that_never_works_is_an_error() -> None:
    silent = sample()
    silent.last_failure = "HTTP 500 no"
    error = no_answer([silent])
    assert "GET /func2 never worked: HTTP 500 no" in error.message
    assert "provision check" in error.next_step


def of_login(route: int, *login_ms: float) -> Sample:
    """The calls of a route: the first is cold, and these are warm."""
    made = sample(900.0, *login_ms)
    made.route = ROUTES[route]
    return made


@pytest.mark.parametrize(
    ("password", "iam", "words"),
    [
        (
            [10.0, 11.0, 12.0],
            [30.0, 31.0, 32.0],
            "the iam login is slower than the password login by 20.0 ms (medians, warm), more than "
            "the spread of 1.0 ms: a real difference",
        ),
        (
            [30.0, 31.0, 32.0],
            [10.0, 29.0, 40.0],
            "the password login is slower than the iam login by 2.0 ms (medians, warm), within the "
            "spread of 15.0 ms: no difference that these calls can prove",
        ),
        ([], [10.0], "too few warm calls for a comparison: --requests N makes more"),
        ([10.0], [], "too few warm calls for a comparison: --requests N makes more"),
    ],
)
def test_a_difference_is_real_when_it_is_more_than_the_spread(
    password: list[float], iam: list[float], words: str
) -> None:
    assert in_a_sentence(of_login(0, *password), of_login(1, *iam)) == words


def compared(respond: Respond, requests: int) -> tuple[Summary, mock.Mock]:
    """What `compare` makes of an API; its summary, and the display."""
    output = mock.Mock(spec=Display)
    with api(respond) as (url, _):
        environment = mock.Mock(spec=Run, config=run().config, poll_policy=run().poll_policy)
        environment.summary = lambda **given: Summary("compare", ok=True, **given)
        with (
            mock.patch.object(
                compare_command, "opened", return_value=contextlib.nullcontext(environment)
            ),
            mock.patch.object(compare_command, "api_endpoint", return_value=url),
        ):
            summary = compare_command.compare(Options(), output, requests=requests)
        assert environment.url == url
    return summary, output


def test_a_table_shows_each_figure_of_both_and_the_difference() -> None:
    summary, output = compared(lambda path, number: 200, 3)
    _, columns, rows = output.table.call_args.args
    assert columns == ("", "password", "iam", "iam - password")
    cells = {row[0]: row[1:] for row in rows}
    assert cells["first call (may be cold): login ms"] == ("1.0", "2.0", "+1.0")
    assert cells["warm: login ms, median"] == ("4.0", "5.0", "+1.0")
    assert cells["calls"] == ("2 warm, 0 failed", "2 warm, 0 failed", "")
    assert [call.args for call in output.record.call_args_list] == [("compare",)] * 2
    assert "3 calls of each of /func1 and /func2" in output.note.call_args.args[0]
    assert len(summary.notes) == 1


def test_calls_that_failed_are_said_and_a_figure_that_is_not_there_is_a_dash() -> None:
    summary, output = compared(lambda path, number: 500 if number == 2 else 200, 2)
    cells = {row[0]: row[1:] for row in output.table.call_args.args[2]}
    assert cells["first call (may be cold): login ms"] == ("1.0", "-", "-")
    assert cells["calls"] == ("1 warm, 0 failed", "1 warm, 1 failed", "")
    assert list(summary.notes)[1].startswith("1 calls failed and are not counted")


def test_a_route_that_never_works_is_a_failed_check_after_the_table() -> None:
    with pytest.raises(CheckFailed, match="GET /func2 never worked: HTTP 500"):
        compared(lambda path, number: 500 if path == "/func2" else 200, 2)


# --- through the command --------------------------------------------------------------------------


def test_without_an_environment(
    commands: Commands,
) -> None:
    result = commands.run("provision", "compare", "--output", "json")
    assert result.code == 1
    assert "no HTTP API to call" in result.error["message"]


@pytest.mark.parametrize("number", ["0", "-3", "1.5", "many", "10001"])
def test_a_bad_number_of_requests_is_bad_usage(commands: Commands, number: str) -> None:
    result = commands.run("provision", "compare", "--output", "json", f"--requests={number}")
    assert result.code == 2


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rehearsal, Commands]]:
    """An environment with its data plane."""
    with Rehearsal(Behaviours(speed=600)) as rehearsal:
        folder: Path = tmp_path_factory.mktemp("compare")
        commands = commands_at(rehearsal, folder)
        made = commands.up()
        assert made.code == 0, made.stdout[-2000:] + made.stderr[-2000:]
        yield rehearsal, commands


FAST = ("--set", "api.throttle_rate_per_second=1000")  # of the pace only: `up` has set 10


@pytest.mark.slow
def test_both_logins_side_by_side(working: tuple[Rehearsal, Commands]) -> None:
    rehearsal, commands = working
    before = len(rehearsal.journal)
    result = commands.run("provision", "compare", "--requests", "4", "--output", "json", *FAST)
    assert result.code == 0, result.stdout
    password, iam = result.of("compare")
    assert (password["login"], iam["login"]) == ("password", "iam")
    for record in (password, iam):
        assert (record["requests"], record["failed"]) == (4, 0)
        warm = record["warm"]
        assert 0 < warm["login_ms"]["median"] < warm["ms"]["median"]
        assert warm["ms"]["p5"] <= warm["ms"]["median"] <= warm["ms"]["p95"]
    assert result.summary["url"].startswith("http://127.0.0.1:")
    assert not [call for call in rehearsal.journal[before:] if call.mutating]


@pytest.mark.slow
def test_the_throttle_of_the_api_is_no_failure(working: tuple[Rehearsal, Commands]) -> None:
    _, commands = working
    flags = ("--requests", "20", "--output", "json", *FAST)  # 40 calls at once, 20 let through
    result = commands.run("provision", "compare", *flags)
    assert result.code == 0, result.stdout
    assert [each["failed"] for each in result.of("compare")] == [0, 0]


@pytest.mark.slow
def test_a_person_sees_a_table_and_the_log_has_the_calls(
    working: tuple[Rehearsal, Commands],
) -> None:
    _, commands = working
    result = commands.run("provision", "compare", "--requests", "2", "--output", "plain", *FAST)
    assert result.code == 0
    assert "warm: login ms, median" in result.stdout
    assert "iam - password" in result.stdout
    logged = commands.run("provision", "logs", "--output", "json")
    assert logged.code == 0
    assert {each["login"] for each in logged.of("request")} == {"password", "iam"}
    assert {each["status"] for each in logged.of("request")} == {"ok"}


@pytest.mark.slow
def test_a_login_that_does_not_work(working: tuple[Rehearsal, Commands]) -> None:
    rehearsal, commands = working
    configure = rehearsal.client("lambda").update_function_configuration
    configure(FunctionName="rds-proxy-auth-iam", Handler="index.no_such_handler")
    try:
        result = commands.run("provision", "compare", "--requests", "2", "--output", "json", *FAST)
    finally:
        configure(FunctionName="rds-proxy-auth-iam", Handler="index.lambda_handler")
    assert result.code == 1
    assert result.error["type"] == "CheckFailed"
    assert "GET /func2 never worked" in result.error["message"]
    password, iam = result.of("compare")
    assert (password["failed"], iam["failed"]) == (0, 2)
