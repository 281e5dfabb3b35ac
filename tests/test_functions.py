"""The two Lambda functions: the code that is in their zips, with SQLite in the database's place."""

from __future__ import annotations

import importlib
import io
import json
import re
import socket
import sqlite3
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import mysql.connector
import pytest
import sqlglot
from mysql.connector import errors

from provision.packaging.zips import function_package

Login = Literal["password", "iam"]
LOGINS: tuple[Login, ...] = ("password", "iam")
MODULES = ("index", "http_api", "database", "deadline", "timestamps")
ENDPOINT = "demo.proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com"
PASSWORD = "not+a/real=password"
LAMBDA_ANSWER_BYTES = 6 * 1024 * 1024
ENVIRONMENT = {
    "DB_ENDPOINT_PORT": "3306",
    "DB_NAME": "testdb",
    "DB_PROXY_ENDPOINT_ADDRESS": ENDPOINT,
    "DB_TABLENAME": "testtable",
    "DB_USER": "testdb",
    "DB_PASSWORD": PASSWORD,
    "REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",  # Lambda's own
    "SSLCERTIFICATE": "AmazonRootCA1.pem",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_SESSION_TOKEN": "not/a+session=token",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SET_OR_IN_THE_WAY = (
    "AWS_PROFILE",
    "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)


REQUEST_ID = "7e5a2c6c-0f3e-4c0f-9a3e-1f6f2c9d8b11"


class Context:
    """What Lambda hands to a handler, as far as ours look at it."""

    aws_request_id = REQUEST_ID

    def __init__(self, seconds: float = 30.0) -> None:
        self.milliseconds = int(seconds * 1000)

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


class FakeMySQL:
    """In the place of `mysql.connector.connect`: SQLite, reached in MySQL's words."""

    def __init__(self) -> None:
        self.sqlite = sqlite3.connect(":memory:", check_same_thread=False)
        self.options: list[dict[str, Any]] = []
        self.statements: list[str] = []
        self.closed = 0
        self.on_connect: Callable[[dict[str, Any]], None] = lambda options: None
        self.on_execute: Callable[[str], None] = lambda sql: None
        self.on_fetch: Callable[[], None] = lambda: None

    def connect(self, **options: Any) -> FakeConnection:
        self.options.append(options)
        self.on_connect(options)
        return FakeConnection(self)

    def fill(self, times: list[datetime]) -> None:
        """Put rows into the table, as if earlier requests had."""
        self.sqlite.execute(
            "CREATE TABLE IF NOT EXISTS testtable "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, time DATETIME NOT NULL)"
        )
        rows = [(str(time),) for time in times]
        self.sqlite.executemany("INSERT INTO testtable (time) VALUES (?)", rows)


class FakeConnection:
    read_timeout: int | None = None

    def __init__(self, server: FakeMySQL) -> None:
        self.server = server

    def cursor(self, *, raw: bool) -> FakeCursor:
        assert raw
        return FakeCursor(self.server)

    def close(self) -> None:
        self.server.closed += 1


class FakeCursor:
    def __init__(self, server: FakeMySQL) -> None:
        self.server = server
        self.rows: sqlite3.Cursor

    def execute(self, sql: str, values: tuple[object, ...]) -> None:
        self.server.statements.append(sql)
        self.server.on_execute(sql)
        (translated,) = sqlglot.transpile(sql.replace("%s", "?"), read="mysql", write="sqlite")
        self.rows = self.server.sqlite.execute(translated, tuple(map(self._plain, values)))

    def fetchmany(self, size: int) -> list[tuple[bytearray, ...]]:
        self.server.on_fetch()
        rows = self.rows.fetchmany(size)
        return [tuple(bytearray(value, "ascii") for value in row) for row in rows]

    @staticmethod
    def _plain(value: object) -> object:
        return str(value) if isinstance(value, datetime) else value


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[Login, Path]:
    """The folders that the two zips unpack to."""
    folders = {}
    for login in LOGINS:
        folders[login] = tmp_path_factory.mktemp(login)
        content = function_package(login).content
        zipfile.ZipFile(io.BytesIO(content)).extractall(folders[login])
    return folders


@pytest.fixture
def load(
    unpacked: dict[Login, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Login], Any]]:
    """Import a function's `index`, afresh, in the environment that Lambda would give it."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in SET_OR_IN_THE_WAY:
        monkeypatch.setenv(name, "")  # so that it is put back, also when a function sets it
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    def load(login: Login) -> Any:
        for module in MODULES:
            sys.modules.pop(module, None)
        with monkeypatch.context() as path:
            path.syspath_prepend(str(unpacked[login]))
            index = importlib.import_module("index")
        assert Path(str(index.__file__)).parent == unpacked[login]
        return index

    yield load
    for module in MODULES:
        sys.modules.pop(module, None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeMySQL:
    fake = FakeMySQL()
    monkeypatch.setattr(mysql.connector, "connect", fake.connect)
    return fake


@pytest.fixture(params=LOGINS)
def index(request: pytest.FixtureRequest, load: Callable[[Login], Any]) -> Any:
    """Each of the two functions in turn."""
    return load(request.param)


def call(index: Any, query: dict[str, str] | None = None, seconds: float = 30.0) -> Any:
    event = {"version": "2.0", "routeKey": "GET /", "rawPath": "/"}
    if query is not None:
        event |= {"queryStringParameters": query}  # type: ignore[dict-item]
    return index.lambda_handler(event, Context(seconds))


def body(answer: Any) -> Any:
    return json.loads(answer["body"])


def words(answer: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """What the log says of a failure, and its answer does not."""
    told, log = body(answer), json.loads(capsys.readouterr().err.splitlines()[-1])
    assert set(told) == {"error", "code", "request_id"}
    assert told == {name: log[name] for name in told}
    assert told["request_id"] == REQUEST_ID
    message: str = log["message"]
    assert message
    assert message not in answer["body"]
    return message


def hours(*values: int) -> list[datetime]:
    return [datetime(1995, 1, 1) + timedelta(hours=value) for value in values]


# What a request does and how it is answered


def test_a_request_stores_the_time_and_returns_every_time_oldest_first(
    index: Any, server: FakeMySQL
) -> None:
    server.fill(hours(3, 1, 2))
    before = datetime.now(UTC).replace(microsecond=0, tzinfo=None)

    answer = call(index)

    *old, new = body(answer)
    assert answer["statusCode"] == 200
    assert old == ["1995-01-01 01:00:00", "1995-01-01 02:00:00", "1995-01-01 03:00:00"]
    assert before <= datetime.fromisoformat(new) <= datetime.now(UTC).replace(tzinfo=None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", new)
    assert server.closed == 1


@pytest.mark.usefixtures("server")
def test_the_table_is_created_when_it_is_missing(index: Any) -> None:
    assert len(body(call(index))) == 1
    assert len(body(call(index))) == 2


@pytest.mark.usefixtures("server")
def test_what_one_function_stores_the_other_returns(load: Callable[[Login], Any]) -> None:
    stored = body(call(load("password")))
    assert body(call(load("iam")))[0] == stored[0]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.usefixtures("server")
def test_the_time_is_utc_wherever_the_function_runs(
    index: Any, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        (stored,) = body(call(index))
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert abs(datetime.fromisoformat(stored + "+00:00") - datetime.now(UTC)) < timedelta(hours=1)


@pytest.mark.usefixtures("server")
def test_headers_say_how_it_went(
    load: Callable[[Login], Any],
) -> None:
    for login in LOGINS:
        headers = call(load(login))["headers"]
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Login"] == login
        assert headers["X-TLS"] == "none"  # the fake has no socket at all
        assert re.fullmatch(r"login;dur=\d+\.\d, query;dur=\d+\.\d", headers["Server-Timing"])
        assert "X-Truncated" not in headers


@pytest.mark.parametrize("query", [None, {}, {"other": "x"}])
def test_a_request_without_a_limit_returns_all(index: Any, server: FakeMySQL, query: Any) -> None:
    server.fill(hours(*range(20)))
    assert len(body(call(index, query))) == 21


# ?limit=


@pytest.mark.parametrize(("limit", "expected"), [("1", 1), ("2", 2), ("007", 4), ("10000", 4)])
def test_a_limit_returns_the_newest_oldest_first(
    index: Any, server: FakeMySQL, limit: str, expected: int
) -> None:
    server.fill(hours(1, 2, 3))
    answer = call(index, {"limit": limit})
    times = body(answer)
    assert len(times) == expected
    assert times == sorted(times)
    assert "1995-01-01 03:00:00" in times or expected == 1
    assert "X-Truncated" not in answer["headers"]


@pytest.mark.parametrize(
    "limit",
    [
        "0",
        "-1",
        "10001",
        "",
        " ",
        "x",
        "1.5",
        "1e3",
        "+5",
        " 5",
        "5\n",
        "1,2",
        "0x10",
        "٣",
        "9" * 99,
    ],
)
def test_another_limit_is_refused_before_anyone_logs_in(
    index: Any, server: FakeMySQL, limit: str
) -> None:
    answer = call(index, {"limit": limit})
    assert answer["statusCode"] == 400
    assert body(answer) == {
        "error": "BadRequest",
        "code": "limit",
        "request_id": REQUEST_ID,
        "message": "limit must be a whole number from 1 to 10000",
    }
    assert server.options == []


# Answers that do not fit


def test_what_does_not_fit_is_left_out_and_said(
    index: Any, server: FakeMySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["timestamps"], "MOST_ROWS", 3)
    server.fill(hours(1, 2, 3, 4))
    answer = call(index)
    assert answer["headers"]["X-Truncated"] == "true"
    assert body(answer)[:2] == ["1995-01-01 03:00:00", "1995-01-01 04:00:00"]
    assert len(body(answer)) == 3


def test_as_many_as_fit_are_all_returned(
    index: Any, server: FakeMySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["timestamps"], "MOST_ROWS", 3)
    server.fill(hours(1, 2))
    answer = call(index)
    assert len(body(answer)) == 3
    assert "X-Truncated" not in answer["headers"]


@pytest.mark.slow
def test_the_longest_answer_fits_into_lambdas_and_fills_it(
    load: Callable[[Login], Any], server: FakeMySQL
) -> None:
    server.fill(hours(*range(270_000)))
    answer = call(load("iam"))
    size = len(json.dumps(answer).encode())
    assert LAMBDA_ANSWER_BYTES - 10_000 < size <= LAMBDA_ANSWER_BYTES
    assert answer["headers"]["X-Truncated"] == "true"


@pytest.mark.parametrize(
    ("rows", "limit", "read", "truncated"),
    [
        (9000, None, 4000, True),
        (9000, "9000", 4000, True),
        (9000, "4000", 4000, False),
        (3998, None, 3999, False),
    ],
)
def test_reading_stops_while_there_is_time_to_answer(
    index: Any,
    server: FakeMySQL,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    limit: str | None,
    read: int,
    truncated: bool,
) -> None:
    """9 s for the request, 2 s for each thousand rows: after the fourth only 1 s is left."""
    clock = [1000.0]
    waiter = threading.current_thread()  # its time stands still: only the reading takes time here

    def monotonic() -> float:
        return 1000.0 if threading.current_thread() is waiter else clock[0]

    monkeypatch.setattr(sys.modules["deadline"], "time", SimpleNamespace(monotonic=monotonic))
    server.fill(hours(*range(rows)))
    server.on_fetch = lambda: clock.__setitem__(0, clock[0] + 2.0)

    answer = call(index, {"limit": limit} if limit else None, seconds=10.0)

    assert answer["statusCode"] == 200
    assert len(body(answer)) == read
    assert ("X-Truncated" in answer["headers"]) is truncated
    assert body(answer)[-2] == str(hours(rows - 1)[0])


# How each logs in


def test_both_accept_none_but_the_verified_proxy(
    index: Any, server: FakeMySQL, unpacked: dict[Login, Path]
) -> None:
    call(index)
    (options,) = server.options
    assert options["use_pure"] is True
    assert options["ssl_verify_cert"] is True
    assert options["ssl_verify_identity"] is True
    assert Path(options["ssl_ca"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    assert Path(options["ssl_ca"]).parent in unpacked.values()
    assert (options["host"], options["port"]) == (ENDPOINT, 3306)
    assert (options["user"], options["database"]) == ("testdb", "testdb")


def test_the_password_function_sends_the_password(
    load: Callable[[Login], Any], server: FakeMySQL
) -> None:
    call(load("password"))
    assert server.options[0]["password"] == PASSWORD


def test_the_iam_function_sends_a_token_of_its_role(
    load: Callable[[Login], Any], server: FakeMySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DB_PASSWORD")
    assert call(load("iam"))["statusCode"] == 200

    token = urlsplit("https://" + server.options[0]["password"])
    query = parse_qs(token.query)
    assert token.netloc == f"{ENDPOINT}:3306"
    assert query["Action"] == ["connect"]
    assert query["DBUser"] == ["testdb"]
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-Credential"][0].startswith("AKIDEXAMPLE/")
    assert query["X-Amz-Credential"][0].endswith("/eu-west-1/rds-db/aws4_request")


def test_the_iam_function_signs_a_token_for_each_request(
    load: Callable[[Login], Any], server: FakeMySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = load("iam")
    tokens = iter(["first", "second"])
    monkeypatch.setattr(index.rds, "generate_db_auth_token", lambda **_: next(tokens))
    call(index)
    call(index)
    assert [options["password"] for options in server.options] == ["first", "second"]


def test_the_iam_function_lets_the_c_connector_send_a_token(load: Callable[[Login], Any]) -> None:
    assert load("iam").os.environ["LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN"] == "1"


def test_without_credentials_the_iam_function_says_so(
    load: Callable[[Login], Any],
    server: FakeMySQL,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    answer = call(load("iam"))
    assert answer["statusCode"] == 500
    assert body(answer)["error"] == "NoCredentialsError"
    assert server.options == []


# When it does not work


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ProgrammingError("Access denied for user", errno=1045, sqlstate="28000"), 500),
        (errors.DatabaseError("This RDS Proxy requires TLS connections.", errno=3159), 500),
        (errors.InterfaceError("SSL is required", errno=2026), 500),
        (errors.InterfaceError("Connection refused", errno=2003), 500),
        (errors.OperationalError("certificate verify failed", errno=2055), 500),
        (errors.DatabaseError("IAM authentication rate limit exceeded", errno=1040), 503),
        (errors.DatabaseError("Timed-out waiting to acquire", errno=9501), 503),
        (errors.ConnectionTimeoutError("timed out", errno=2003), 503),
        (errors.ReadTimeoutError("timed out", errno=3024), 503),
    ],
    ids=lambda value: getattr(value, "errno", value),
)
def test_a_refused_login_is_answered_with_its_class_and_code(
    index: Any,
    server: FakeMySQL,
    error: errors.Error,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(_options: dict[str, Any]) -> None:
        raise error

    server.on_connect = refuse
    answer = call(index)

    assert answer["statusCode"] == status
    assert body(answer)["error"] == type(error).__name__
    assert body(answer)["code"] == error.errno
    assert set(body(answer)) == {"error", "code", "request_id"}
    assert error.msg not in json.dumps(answer)
    assert answer["headers"]["Content-Type"] == "application/json"
    assert "X-TLS" not in answer["headers"]
    log = json.loads(capsys.readouterr().err)
    assert (log["stage"], log["code"]) == ("login", error.errno)
    assert type(error).__name__ in log["trace"]


def test_a_failing_statement_is_answered_and_the_connection_closed(
    index: Any, server: FakeMySQL, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(sql: str) -> None:
        if sql.startswith("INSERT"):
            raise errors.DatabaseError("The table is full", errno=1114)

    server.on_execute = refuse
    answer = call(index)
    assert answer["statusCode"] == 500
    assert body(answer) == {
        "error": "DatabaseError",
        "code": 1114,
        "request_id": REQUEST_ID,
    }
    assert answer["headers"]["X-TLS"] == "none"
    assert answer["headers"]["Server-Timing"].startswith("login;dur=")
    assert server.closed == 1
    log = json.loads(capsys.readouterr().err)
    assert (log["stage"], log["message"]) == ("query", "1114: The table is full")


@pytest.mark.parametrize("wording", [str, quote, lambda secret: repr(secret)[1:-1]])
def test_no_secret_is_in_an_answer_or_log_even_if_the_server_echoes_it(
    index: Any,
    server: FakeMySQL,
    capsys: pytest.CaptureFixture[str],
    wording: Callable[[str], str],
) -> None:
    def echo(options: dict[str, Any]) -> None:
        raise errors.ProgrammingError(f"no such <{wording(options['password'])}>", errno=1045)

    server.on_connect = echo
    answer = call(index)

    secret = server.options[0]["password"]
    out, err = capsys.readouterr()
    shown = json.dumps(answer) + out + err
    assert "no such <***>" in json.loads(err)["message"]
    assert "no such" not in json.dumps(answer)
    for form in (secret, quote(secret), PASSWORD, "X-Amz-Signature"):
        assert form not in shown


def test_a_long_message_is_cut(
    index: Any, server: FakeMySQL, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_options: dict[str, Any]) -> None:
        raise errors.DatabaseError("line\n" * 10_000, errno=1105)

    server.on_connect = refuse
    message = words(call(index), capsys)
    assert len(message) == 500
    assert "\n" not in message


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("DB_PROXY_ENDPOINT_ADDRESS", None, "is not set"),
        ("DB_PROXY_ENDPOINT_ADDRESS", "", "is not set"),
        ("DB_NAME", None, "is not set"),
        ("DB_USER", None, "is not set"),
        ("REGION", None, "is not set"),
        ("DB_ENDPOINT_PORT", None, "is not set"),
        ("DB_ENDPOINT_PORT", "mysql", "must be a port"),
        ("DB_ENDPOINT_PORT", "0", "must be a port"),
        ("DB_ENDPOINT_PORT", "65536", "must be a port"),
        ("DB_TABLENAME", None, "is not set"),
        ("DB_TABLENAME", "t` (x INT); DROP TABLE t; --", "must be 1 to 64"),
        ("DB_TABLENAME", "t" * 65, "must be 1 to 64"),
        ("SSLCERTIFICATE", "missing.pem", "names missing.pem"),
        ("SSLCERTIFICATE", "", "which is missing"),
    ],
)
def test_a_bad_setting_is_named_before_anyone_logs_in(
    load: Callable[[Login], Any],
    server: FakeMySQL,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str | None,
    problem: str,
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    for login in LOGINS:
        answer = call(load(login))
        assert answer["statusCode"] == 500
        assert body(answer)["error"] == "SettingError"
        assert body(answer)["code"] == variable
        assert problem in words(answer, capsys)
    assert server.options == []


@pytest.mark.usefixtures("server")
def test_a_missing_password_is_named(
    load: Callable[[Login], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DB_PASSWORD")
    assert body(call(load("password")))["code"] == "DB_PASSWORD"


def test_the_certificate_setting_may_be_left_out(
    index: Any, server: FakeMySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSLCERTIFICATE")
    assert call(index)["statusCode"] == 200
    assert server.options[0]["ssl_ca"].endswith("AmazonRootCA1.pem")


# Time


def test_a_login_that_hangs_is_answered_and_stores_nothing_later(
    index: Any, server: FakeMySQL, capsys: pytest.CaptureFixture[str]
) -> None:
    let_go = threading.Event()
    server.on_connect = lambda options: (let_go.wait(60), None)[1]
    others = set(threading.enumerate())

    answer = call(index, seconds=0.2)

    assert answer["statusCode"] == 503
    assert body(answer)["error"] == "TimeoutError"
    assert re.fullmatch(r"no answer after \d+\.\d s, during login", words(answer, capsys))
    (left_behind,) = set(threading.enumerate()) - others
    let_go.set()
    left_behind.join(60)
    assert server.statements == []
    assert server.closed == 1


def test_a_statement_that_hangs_is_answered(
    index: Any, server: FakeMySQL, capsys: pytest.CaptureFixture[str]
) -> None:
    let_go = threading.Event()
    server.on_execute = lambda sql: (let_go.wait(60), None)[1]
    others = set(threading.enumerate())
    answer = call(index, seconds=0.2)
    (left_behind,) = set(threading.enumerate()) - others
    let_go.set()
    left_behind.join(60)
    assert len(server.statements) == 1
    assert answer["statusCode"] == 503
    assert "during query" in words(answer, capsys)


@pytest.mark.parametrize(("remaining", "expected"), [(10.0, 8), (60.0, 27), (1.0, 1)])
def test_sockets_wait_no_longer_than_the_request_may_take(
    index: Any, server: FakeMySQL, remaining: float, expected: int
) -> None:
    call(index, seconds=remaining)
    (options,) = server.options
    assert options["connection_timeout"] == expected
    assert options["read_timeout"] == expected
    assert options["write_timeout"] == expected


def test_a_closed_port_is_told_at_once(index: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DB_PROXY_ENDPOINT_ADDRESS", "127.0.0.1")
        monkeypatch.setenv("DB_ENDPOINT_PORT", str(unused.getsockname()[1]))
        answer = call(index)
    assert answer["statusCode"] == 500
    assert (body(answer)["error"], body(answer)["code"]) == ("InterfaceError", 2003)


@pytest.mark.slow
def test_a_server_that_says_nothing_is_given_up_on(
    index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DB_PROXY_ENDPOINT_ADDRESS", "127.0.0.1")
        monkeypatch.setenv("DB_ENDPOINT_PORT", str(silent.getsockname()[1]))
        answer = call(index, seconds=2.0)
    assert answer["statusCode"] == 503
    assert body(answer)["error"] == "ConnectionTimeoutError"


@pytest.mark.parametrize("login", LOGINS)
def test_a_server_without_tls_learns_no_secret(
    load: Callable[[Login], Any], monkeypatch: pytest.MonkeyPatch, login: Login
) -> None:
    """A greeting without the SSL flag, then a request for the password in clear."""
    heard = bytearray()

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.settimeout(10)
            client.sendall(_packet(0, _greeting_without_tls()))
            while data := client.recv(4096):
                heard.extend(data)
                client.sendall(_packet(2, b"\xfemysql_clear_password\0"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("DB_PROXY_ENDPOINT_ADDRESS", "127.0.0.1")
        monkeypatch.setenv("DB_ENDPOINT_PORT", str(listener.getsockname()[1]))
        thread = threading.Thread(target=serve)
        thread.start()
        answer = call(load(login))
        thread.join(20)
    assert answer["statusCode"] == 500
    assert body(answer)["code"] == 2026
    assert heard == b""


def _packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


def _greeting_without_tls() -> bytes:
    capabilities = 0xFFFFFFFF & ~0x800  # all but CLIENT_SSL
    return b"".join(
        [
            b"\x0a8.4.0\0",
            (1).to_bytes(4, "little"),
            b"12345678\0",
            (capabilities & 0xFFFF).to_bytes(2, "little"),
            b"\xff\x02\x00",
            (capabilities >> 16).to_bytes(2, "little"),
            b"\x15" + bytes(10),
            b"123456789012\0",
            b"caching_sha2_password\0",
        ]
    )
