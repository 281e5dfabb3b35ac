"""Whom the stand-in proxy lets in, and what it says to whom it does not: on SQLite and MariaDB.

The client is the functions' own connector (the pure one), the tokens are boto3's.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import mysql.connector
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from provision.rehearsal.data_plane.proxy.certificates import CertificateAuthority
from provision.rehearsal.data_plane.proxy.databases import (
    DatabaseDownError,
    ProxiedDatabase,
    ProxyCredentials,
)
from provision.rehearsal.data_plane.proxy.server_database import NATIVE, SHA2, ServerDatabase
from provision.rehearsal.data_plane.proxy.sqlite_database import SqliteDatabase
from provision.rehearsal.data_plane.proxy.stand_in import Limits
from provision.rehearsal.data_plane.proxy.token import SessionKey
from provision.rehearsal.data_plane.proxy.wire import (
    LOGIN_LIMIT,
    OFFERED,
    Capability,
    DisconnectedError,
    Greeting,
    PacketStream,
    ServerError,
    ok_packet,
    parse_login,
)
from provision.rehearsal.token_bucket import TokenBucket
from tests.rehearsal.data_plane.proxy import mariadb
from tests.rehearsal.data_plane.proxy.proxies import (
    DBUSERS,
    ENDPOINT,
    KEY,
    PROXY_ID,
    SCHEMA,
    SECRET,
    World,
    allows,
    connect,
    lead,
    login_packet,
    settings,
    token,
)

PASSWORD: dict[str, Any] = {"iam_required": False}
IAM: dict[str, Any] = {"iam_required": True, "require_tls": True}
OTHER = SessionKey("ASIAOTHEROTHEROTHER1", "another-key", "another-session", KEY.role_arn)
FORGED = replace(KEY, secret_access_key="guessed")
NO_TLS = {"ssl_disabled": True}


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("mariadb", marks=pytest.mark.realdb)]
)
def database(request: pytest.FixtureRequest) -> Iterator[ProxiedDatabase]:
    if request.param == "mariadb":
        yield from mariadb.running(SCHEMA, SECRET)
    else:
        with contextlib.closing(SqliteDatabase(SCHEMA)) as sqlite:
            yield sqlite


@dataclass(frozen=True)
class Login:
    """One row of the table. `code` 0 means that the client gets in; `reason` is the report's."""

    name: str
    code: int = 0
    reason: str = ""
    proxy: dict[str, Any] = field(default_factory=lambda: PASSWORD)
    client: dict[str, Any] = field(default_factory=dict)
    password: Callable[[], str] | None = None
    policies: tuple[Any, ...] | None = None
    ahead: timedelta = timedelta()


def iam(name: str, code: int = 0, reason: str = "", **rest: Any) -> Login:
    rest.setdefault("password", token)
    return Login(name, code, reason, rest.pop("proxy", IAM), **rest)


MINUTE = timedelta(minutes=1)
NATIVE_PROXY = {**PASSWORD, "plugin": NATIVE}
LOGINS = [
    # password
    Login("password over TLS"),
    Login("password without TLS", client=NO_TLS),
    Login("native password over TLS", proxy=NATIVE_PROXY),
    Login("native password without TLS", proxy=NATIVE_PROXY, client=NO_TLS),
    Login("password, TLS required", proxy={"require_tls": True}),
    Login("no TLS though required", 3159, "TLS", {"require_tls": True}, NO_TLS),
    Login("wrong password", 1045, "differs from the secret", client={"password": "wrong"}),
    Login("wrong password without TLS", 1045, "differs", client={"password": "wrong", **NO_TLS}),
    Login("wrong native password", 1045, "differs", NATIVE_PROXY, {"password": "wrong"}),
    Login("wrong user", 1045, "only for 'testdb'", client={"user": "root"}),
    Login("no password", 1045, "sends no password", client={"password": ""}),
    Login("token at a password proxy", 1045, "differs", password=token),
    Login("secret unusable", 1045, "is not JSON", {"secrets": {}, "problems": ("is not JSON",)}),
    Login("unknown schema", 1049, "nosuch", client={"database": "nosuch"}),
    Login("no target", 9501, "no target", {"database": None}),
    Login("target not available", 9501, "PENDING", {"unavailable": "PENDING_PROXY_CAPACITY"}),
    Login("no target, wrong password", 1045, "differs", {"database": None}, {"password": "no"}),
    # IAM
    iam("token"),
    iam("token at a native proxy", proxy={**IAM, "plugin": NATIVE}),
    iam("token of 14 minutes", ahead=14 * MINUTE),
    iam("token of 16 minutes", 1045, "expired", ahead=16 * MINUTE),
    iam("token from the future", 1045, "in the future", ahead=-6 * MINUTE),
    iam("signer's clock a little fast", ahead=-4 * MINUTE),
    iam("token for another user", 1045, "DBUser", password=lambda: token(user="admin")),
    iam("token for another host", 1045, "is for 'other", password=lambda: token(host="other.x")),
    iam("token for another port", 1045, "3307", password=lambda: token(port=3307)),
    iam("token for another region", 1045, "scope", password=lambda: token(region="us-east-1")),
    iam("token by a guessed key", 1045, "signature", password=lambda: token(FORGED)),
    iam("token by an unknown key", 1045, "unknown to STS", password=lambda: token(OTHER)),
    iam("no session token", 1045, "missing", password=lambda: token(with_session=False)),
    iam(
        "another session's token",
        1045,
        "does not belong",
        password=lambda: token(replace(KEY, session_token="another")),
    ),
    iam("token altered", 1045, "signature", password=lambda: altered("Expires=900", "Expires=899")),
    iam(
        "token that lives too long",
        1045,
        "at most",
        password=lambda: altered("Expires=900", "Expires=901"),
    ),
    iam("password at an IAM proxy", 1045, "a password, not", password=lambda: SECRET.password),
    iam("no token", 1045, "empty", password=lambda: ""),
    iam("no TLS", 3159, "TLS", client=NO_TLS),
    iam("no TLS, not required", 3159, "TLS", proxy={"iam_required": True}, client=NO_TLS),
    iam("no policy", 1045, "no policy allows rds-db:connect", policies=()),
    iam("policy of another proxy", 1045, "but not on", policies=("prx-0other/testdb",)),
    iam("policy on the proxy's name", 1045, "but not on", policies=("iam/testdb",)),
    iam("policy on the instance's id", 1045, "but not on", policies=("db-ABC/testdb",)),
    iam("policy of another user", 1045, "but not on", policies=(f"{PROXY_ID}/admin",)),
    iam("policy for all users", policies=(f"{PROXY_ID}/*",)),
    iam("user without a secret", 1045, "no secret for user", proxy={**IAM, "secrets": {}}),
    iam("no target for a token", 9501, "no target", proxy={**IAM, "database": None}),
]


def altered(old: str, new: str) -> str:
    whole = token()
    assert old in whole
    return whole.replace(old, new)


@pytest.mark.parametrize("login", LOGINS, ids=lambda login: login.name)
def test_login(
    login: Login, database: ProxiedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(ahead=login.ahead)
    if login.policies is not None:
        world.policies = [allows(*(f"{DBUSERS}:{resource}" for resource in login.policies))]
    client = dict(login.client)
    if "ssl_disabled" not in client:
        client |= verified(world.authority, tmp_path)
    if login.password is not None:
        client["password"] = login.password()
    with world.proxy(settings(database, **login.proxy)) as proxy:
        lead(monkeypatch, proxy.port)
        outcome = attempt(**client)
    assert outcome[0] == login.code, outcome
    [report] = world.report.logins
    assert report.accepted == (login.code == 0)
    assert report.code == login.code
    assert login.reason in report.reason
    secret = client.get("password") or SECRET.password
    assert secret not in repr(world.report.logins + list(world.report))


def verified(authority: CertificateAuthority, folder: Path) -> dict[str, Any]:
    """The functions' own TLS options."""
    root = folder / "root.pem"
    root.write_bytes(authority.pem)
    return {"ssl_ca": str(root), "ssl_verify_cert": True, "ssl_verify_identity": True}


def attempt(**options: Any) -> tuple[int, str]:
    """Log in and use the database; 0 and its answer, or the error's number and text."""
    try:
        connection = connect(**options)
    except mysql.connector.Error as error:
        # Before it is connected the pure connector refuses to send a password in clear itself.
        return error.errno, str(error)
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cursor.execute("SELECT 40 + 2")
        return 0, str(cursor.fetchone())


# The pure connector's options, each against a proxy of another CA, one of another name, a server
# without TLS that asks for the password in clear, and the right proxy.
OPTIONS = {
    "ssl_ca alone": (),
    "verify_cert": ("ssl_verify_cert",),
    "verify_identity": ("ssl_verify_identity",),
    "both": ("ssl_verify_cert", "ssl_verify_identity"),
}
CONNECTS, REFUSES, LEAKS = "connects", "refuses", "leaks the password"
OUTCOMES = {
    "ssl_ca alone": {"wrong CA": CONNECTS, "wrong name": CONNECTS, "no TLS": LEAKS},
    "verify_cert": {"wrong CA": REFUSES, "wrong name": CONNECTS, "no TLS": REFUSES},
    "verify_identity": {"wrong CA": REFUSES, "wrong name": REFUSES, "no TLS": LEAKS},
    "both": {"wrong CA": REFUSES, "wrong name": REFUSES, "no TLS": REFUSES},
}
TABLE = [
    (options, server, outcome)
    for options, outcomes in OUTCOMES.items()
    for server, outcome in {**outcomes, "the right one": CONNECTS}.items()
]


@pytest.mark.parametrize(("options", "server", "outcome"), TABLE)
def test_tls_options(
    options: str,
    server: str,
    outcome: str,
    database: ProxiedDatabase,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    world = World()
    other = ENDPOINT.replace("c0ffee", "decade") if server == "wrong name" else ENDPOINT
    trusted = CertificateAuthority() if server == "wrong CA" else world.authority
    client = {
        "ssl_ca": verified(trusted, tmp_path)["ssl_ca"],
        **dict.fromkeys(OPTIONS[options], True),
        "password": token(),
    }
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(world.proxy(settings(database, **IAM), other))
        thief = stack.enter_context(Thief())
        lead(monkeypatch, thief.port if server == "no TLS" else proxy.port)
        code, text = attempt(**client)
    stolen = bool(thief.heard)
    assert (CONNECTS if code == 0 else LEAKS if stolen else REFUSES) == outcome, text
    if stolen:
        assert thief.heard == client["password"]
    if outcome == REFUSES and server != "no TLS":
        assert "CERTIFICATE_VERIFY_FAILED" in text
        [report] = world.report.logins
        assert "TLS failed" in report.reason


class Thief:
    """A server without TLS that asks each client for its password in clear."""

    def __enter__(self) -> Thief:
        self.heard = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, DisconnectedError):
            sock, _ = self._listener.accept()
            with sock:
                stream = PacketStream(sock, 20)
                offered = OFFERED & ~Capability.SSL
                stream.write(Greeting("8.4.0", offered, 1, b"n" * 20, SHA2).encode())
                parse_login(stream.read(LOGIN_LIMIT), offered)
                stream.write(b"\x01\x04")  # full authentication
                self.heard = stream.read(LOGIN_LIMIT).rstrip(b"\0").decode()


@pytest.mark.parametrize("kind", ["connections", "iam_logins"])
def test_too_many_logins(
    kind: str, database: ProxiedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(limits=Limits(**{kind: TokenBucket(rate_per_second=0.0001, burst=1)}))
    client = {"password": token(), **verified(world.authority, tmp_path)}
    with world.proxy(settings(database, **IAM)) as proxy:
        lead(monkeypatch, proxy.port)
        assert attempt(**client)[0] == 0
        code, text = attempt(**client)
    assert code == 1040
    assert text.startswith("1040 (HY000): ")
    assert "rate limit exceeded (0.0001)" in text


def test_a_conditional_policy_is_not_guessed(
    database: ProxiedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = allows(f"{DBUSERS}:{PROXY_ID}/testdb")
    policy["Statement"][0]["Condition"] = {"Bool": {"aws:SecureTransport": "true"}}
    world = World(policies=[policy])
    with world.proxy(settings(database, **IAM)) as proxy:
        lead(monkeypatch, proxy.port)
        code, _ = attempt(password=token(), **verified(world.authority, tmp_path))
    assert code == 1045
    assert "not evaluated here" in world.report[-1].reason


def test_deny_wins(
    database: ProxiedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    resource = f"{DBUSERS}:{PROXY_ID}/testdb"
    world = World(policies=[allows(resource), allows(resource, effect="Deny")])
    with world.proxy(settings(database, **IAM)) as proxy:
        lead(monkeypatch, proxy.port)
        code, _ = attempt(password=token(), **verified(world.authority, tmp_path))
    assert code == 1045
    assert "denies" in world.report[-1].reason


def test_the_database_refuses_the_secret(
    database: ProxiedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(database, SqliteDatabase):
        pytest.skip("SQLite has no passwords; there the settings say so")
    world, secret = World(), ProxyCredentials("testdb", "changed-at-the-secret-only")
    with world.proxy(settings(database, secrets={"testdb": secret})) as proxy:
        lead(monkeypatch, proxy.port)
        code, text = attempt(password=secret.password)
    assert (code, "Timed-out" in text) == (9501, True)
    assert "refuses the secret's user" in world.report[-1].reason


def test_database_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    world = World()
    with world.proxy(settings(ServerDatabase("127.0.0.1", port))) as proxy:
        lead(monkeypatch, proxy.port)
        assert attempt()[0] == 9501
        assert attempt(password="wrong")[0] == 1045
    assert "cannot be reached" in world.report[0].reason


class FullAuthentication:
    """A MySQL 8 that has only the hash of the secret's password, so asks for all of it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(20)

    def _listen(self) -> None:
        for _ in range(2):  # one connection to read the greeting, one to log in
            sock, _ = self._listener.accept()
            with sock, contextlib.suppress(DisconnectedError):
                self._log_in(PacketStream(sock, 20))

    def _log_in(self, stream: PacketStream) -> None:
        offered, nonce = OFFERED & ~Capability.SSL, bytes(range(1, 21))
        stream.write(Greeting("8.4.6", offered, 1, nonce, SHA2).encode())
        login = parse_login(stream.read(LOGIN_LIMIT), offered)
        stream.write(b"\x01\x04")
        assert stream.read(LOGIN_LIMIT) == b"\x02"
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        stream.write(b"\x01" + pem)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), label=None)  # noqa: S303
        mixed = self._key.decrypt(stream.read(LOGIN_LIMIT), oaep)
        plain = bytes(byte ^ nonce[n % 20] for n, byte in enumerate(mixed))
        known = (login.user, plain) == (SECRET.username, SECRET.password.encode() + b"\0")
        stream.write(ok_packet() if known else ServerError(1045, "28000", "no").encode())
        stream.new_command()
        stream.read(LOGIN_LIMIT)


@pytest.mark.parametrize(("password", "code"), [(SECRET.password, 0), ("another", 1045)])
def test_a_mysql_server_that_asks_for_the_whole_password(password: str, code: int) -> None:
    with contextlib.closing(FullAuthentication()) as server:
        database = ServerDatabase("127.0.0.1", server.port)
        login = parse_login(login_packet(), database.traits().capabilities)
        if code:
            with pytest.raises(DatabaseDownError, match="refuses the secret's user"):
                database.open(login, ProxyCredentials(SECRET.username, password))
        else:
            database.open(login, ProxyCredentials(SECRET.username, password)).close()


@pytest.mark.realdb
def test_the_server_ends_with_whoever_started_it(tmp_path: Path) -> None:
    mariadb.need_mariadbd()
    code = (
        "from tests.rehearsal.data_plane.proxy.proxies import SCHEMA, SECRET\n"
        "from provision.rehearsal.data_plane.proxy.mariadbd import MariaDb\n"
        "server = MariaDb(SCHEMA, SECRET)\n"
        "print(server._address[1], flush=True)\n"
        "input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    socket.create_connection(("127.0.0.1", port), 20).close()
    parent.kill()
    parent.communicate()
    until_refused(port)


def until_refused(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 20).close()
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("the server is still there")


# What a client that is in can do: the same on both databases.


@pytest.fixture
def connection(
    database: ProxiedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Any]:
    world = World()
    with world.proxy(settings(database)) as proxy:
        lead(monkeypatch, proxy.port)
        with contextlib.closing(connect(**verified(world.authority, tmp_path))) as made:
            cursor = made.cursor()
            cursor.execute("DROP TABLE IF EXISTS times")
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS times (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, "
                "at DATETIME NOT NULL, note VARCHAR(80), PRIMARY KEY (id))"
            )
            cursor.execute("DROP TABLE IF EXISTS full_")
            cursor.execute(
                "CREATE TABLE full_ (id INT NOT NULL PRIMARY KEY, at DATETIME NOT NULL, "
                "day DATE, number INT, note VARCHAR(80))"
            )
            cursor.execute("INSERT INTO full_ (id, at) VALUES (1, NOW()), (2, NOW())")
            made.commit()
            yield made


def test_rows_keep_their_types(connection: Any) -> None:
    cursor = connection.cursor()
    at = datetime.datetime(2026, 11, 24, 8, 0, 1)
    cursor.execute("INSERT INTO times (at, note) VALUES (%s, %s)", (at, "naïve 🚀 'quoted' \\"))
    assert (cursor.lastrowid, cursor.rowcount) == (1, 1)
    cursor.execute("INSERT INTO times (at) VALUES (%s), (%s)", (at, at))
    assert cursor.rowcount == 2
    cursor.execute("SELECT id, at, note FROM times ORDER BY id LIMIT %s", (2,))
    assert cursor.fetchall() == [(1, at, "naïve 🚀 'quoted' \\"), (2, at, None)]
    cursor.execute("SELECT COUNT(*), MAX(id) FROM times")
    assert cursor.fetchone() == (3, 3)


def test_a_transaction_is_rolled_back(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("INSERT INTO times (at) VALUES (NOW())")
    connection.rollback()
    cursor.execute("INSERT INTO times (at) VALUES (UTC_TIMESTAMP())")
    connection.commit()
    cursor.execute("SELECT COUNT(*) FROM times")
    assert cursor.fetchone() == (1,)


def test_many_rows_and_long_values(connection: Any) -> None:
    cursor = connection.cursor()
    at = datetime.datetime(2026, 1, 1)
    cursor.executemany("INSERT INTO times (at, note) VALUES (%s, %s)", [(at, "x" * 80)] * 2000)
    cursor.execute("SELECT note FROM times")
    assert len(cursor.fetchall()) == 2000
    cursor.execute("SELECT %s", ("y" * 200_000,))
    assert cursor.fetchone() == ("y" * 200_000,)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM nosuch", 1146),
        ("SELECT nosuch FROM times", 1054),
        ("SELEC 1", 1064),
        ("CREATE TABLE times (id INT)", 1050),
        ("USE nosuch", 1049),
        ("INSERT INTO times (at) VALUES (NULL)", 1048),
        ("INSERT INTO times (id, at) VALUES (1, NULL)", 1048),
        ("UPDATE full_ SET at = NULL", 1048),
        ("INSERT INTO times (note) VALUES ('x')", 1364),
        ("INSERT INTO full_ (id, at) VALUES (1, NOW())", 1062),
        ("UPDATE full_ SET id = 1", 1062),
        ("DROP TABLE nosuch", 1051),
        ("DROP TABLE Times", 1051),
        ("TRUNCATE TABLE nosuch", 1146),
        ("ALTER TABLE nosuch ADD COLUMN x INT", 1146),
        ("INSERT INTO nosuch VALUES (1)", 1146),
        ("UPDATE nosuch SET a = 1", 1146),
        ("DELETE FROM nosuch", 1146),
        ("SELECT * FROM Times", 1146),
        ("SELECT * FROM TIMES t", 1146),
        ("INSERT INTO TIMES (at) VALUES (NOW())", 1146),
        ("SELECT * FROM sqlite_master", 1146),
        ("SELECT * FROM sqlite_schema", 1146),
        ("SELECT * FROM sqlite_sequence", 1146),
        ("INSERT INTO times (at) VALUES ('yesterday')", 1292),
        ("INSERT INTO times (at) VALUES ('2026-02-30')", 1292),
        ("INSERT INTO times (at) VALUES ('2026-13-01 00:00:00')", 1292),
        ("INSERT INTO times (at) VALUES ('2026-01-01 25:00:00')", 1292),
        ("INSERT INTO times (at) VALUES ('')", 1292),
        ("INSERT INTO times (at) VALUES (NOW()), ('no')", 1292),
        ("UPDATE full_ SET at = 'never'", 1292),
        ("UPDATE full_ SET day = '2026-02-30'", 1292),
        ("UPDATE full_ SET number = 'many'", 1366),
        ("UPDATE full_ SET number = 3000000000", 1264),
        ("UPDATE full_ SET number = -3000000000", 1264),
        ("UPDATE full_ SET note = '" + "x" * 81 + "'", 1406),
        ("INSERT INTO times (nosuch) VALUES (1)", 1054),
        ("UPDATE times SET nosuch = 1", 1054),
        ("INSERT INTO times VALUES (1)", 1136),
        ("INSERT INTO times (id, at) VALUES (1)", 1136),
        ("SELECT id FROM times, full_", 1052),
        ("ALTER TABLE times ADD COLUMN note INT", 1060),
        ("CREATE TABLE twice (a INT, A INT)", 1060),
        ("SELECT nosuch(1)", 1305),
        ("SELECT sqlite_version()", 1305),
        ("SELECT typeof(1)", 1305),
        ("SELECT * FROM times WHERE COUNT(*) > 1", 1111),
        ("PRAGMA table_info(times)", 1064),
        ("VACUUM", 1064),
        ("ATTACH DATABASE 'x' AS y", 1064),
    ],
)
def test_errors_leave_the_connection_usable(connection: Any, statement: str, code: int) -> None:
    cursor = connection.cursor()
    with pytest.raises(mysql.connector.Error) as error:
        cursor.execute(statement)
    assert error.value.errno == code
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)


def test_names_of_tables_differ_by_case(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS Times")
    cursor.execute("CREATE TABLE Times (id INT, at DATETIME)")
    cursor.execute("INSERT INTO Times VALUES (7, '2026-01-01')")
    assert SCHEMA == "testdb"
    cursor.execute("SELECT Times.id, T.at FROM testdb.Times JOIN Times AS T ON T.id = Times.id")
    assert cursor.fetchall() == [(7, datetime.datetime(2026, 1, 1))]
    cursor.execute("SELECT COUNT(*) FROM times")
    assert cursor.fetchall() == [(0,)]
    with pytest.raises(mysql.connector.Error, match="Times"):
        cursor.execute("CREATE TABLE Times (id INT)")
    cursor.execute("ALTER TABLE Times ADD COLUMN n INT")
    with pytest.raises(mysql.connector.Error) as error:
        cursor.execute("INSERT INTO Times (n) VALUES ('x')")
    assert error.value.errno == 1366
    cursor.execute("DROP TABLE Times")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-1-2", "2026-01-02 00:00:00"),
        ("2026-01-02T03:04:05", "2026-01-02 03:04:05"),
        ("20260102030405", "2026-01-02 03:04:05"),
        (20260102, "2026-01-02 00:00:00"),
    ],
)
def test_a_date_is_stored_as_mysql_stores_it(connection: Any, given: object, kept: str) -> None:
    cursor = connection.cursor()
    cursor.execute("INSERT INTO times (at) VALUES (%s)", (given,))
    assert (cursor.rowcount, cursor.lastrowid) == (1, 1)
    cursor.execute("UPDATE full_ SET at = %s WHERE id = 1", (given,))
    cursor.execute("SELECT at FROM times UNION ALL SELECT at FROM full_ WHERE id = 1")
    assert [str(row[0]) for row in cursor.fetchall()] == [kept] * 2


def test_a_refused_row_leaves_none_of_its_statement(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("INSERT INTO times (at) VALUES (NOW())")
    with pytest.raises(mysql.connector.Error):
        cursor.execute("INSERT INTO times (at) VALUES (NOW()), ('no')")
    connection.commit()
    cursor.execute("SELECT COUNT(*) FROM times")
    assert cursor.fetchone() == (1,)


def test_an_emptied_table_is_empty(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("TRUNCATE TABLE full_")
    cursor.execute("SELECT COUNT(*) FROM full_")
    assert cursor.fetchone() == (0,)


def test_numbers_are_stored_as_numbers(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("UPDATE full_ SET number = '12' WHERE id = 1")
    cursor.execute("UPDATE full_ SET number = 1.6 WHERE id = 2")
    cursor.execute("SELECT number FROM full_ ORDER BY id")
    assert cursor.fetchall() == [(12,), (2,)]


def test_session_values(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT DATABASE()")
    assert cursor.fetchone() == (SCHEMA,)
    cursor.execute("SELECT @@session.autocommit")
    assert cursor.fetchone() == (0,)
    assert connection.is_connected()
    cursor.execute("INSERT INTO times (at) VALUES (NOW())")
    connection.cmd_reset_connection()
    cursor.execute("SELECT COUNT(*) FROM times")
    assert cursor.fetchone() == (0,)


def test_another_user_on_an_open_connection_is_refused(connection: Any) -> None:
    with pytest.raises(mysql.connector.Error):
        connection.cmd_change_user("testdb", SECRET.password, SCHEMA)
    with pytest.raises(mysql.connector.Error):
        connection.cursor().execute("SELECT 1")


def test_a_command_too_large_ends_the_connection(connection: Any) -> None:
    with pytest.raises(mysql.connector.Error) as error:
        connection.cursor().execute(f"SELECT '{'x' * (16 * 1024 * 1024)}'")
    assert error.value.errno in (1153, 2006, 2013, 2055)  # the connector may still be sending
    with pytest.raises(mysql.connector.Error):
        connection.cursor().execute("SELECT 1")
