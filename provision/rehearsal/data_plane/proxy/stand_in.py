"""The stand-in RDS Proxy: lets in whom RDS Proxy lets in, and refuses whom it refuses.

One listener on loopback for each proxy. Its settings are asked for anew at each connection, so a
change at the rehearsed AWS holds at once. A refused client hears what AWS documents
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.troubleshooting.html) and its
connection is over; the exact reason goes to the report.

What the real proxy's greeting names in IAM mode is documented nowhere. Here it is the same as in
password mode, and the token is asked for by a switch to `mysql_clear_password`.
"""

from __future__ import annotations

import contextlib
import hmac
import itertools
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from provision.rehearsal.aws.iam_policy import Decision, PolicyUnknownError
from provision.rehearsal.data_plane.proxy.databases import (
    DatabaseDownError,
    ProxiedDatabase,
    ProxyCredentials,
    Session,
    Traits,
)
from provision.rehearsal.data_plane.proxy.server_database import NATIVE, SHA2, scramble
from provision.rehearsal.data_plane.proxy.token import (
    Audience,
    SessionKey,
    TokenRefusedError,
    check_token,
)
from provision.rehearsal.data_plane.proxy.wire import (
    LOGIN_LIMIT,
    SCRAMBLE_BYTES,
    Capability,
    DisconnectedError,
    Greeting,
    Login,
    PacketStream,
    ProtocolError,
    ServerError,
    auth_switch,
    is_ssl_request,
    ok_packet,
    parse_login,
)
from provision.rehearsal.data_plane.report import LoginReport
from provision.rehearsal.tcp_server import TcpServer
from provision.rehearsal.token_bucket import TokenBucket

LOGIN_SECONDS = 10.0
CLEAR = "mysql_clear_password"


@dataclass(frozen=True)
class ServedProxy:
    """A proxy as the rehearsed AWS has it at this moment.

    `secrets`: by user name. `problems`: why a secret could not be used. `unavailable`: why no
    target can be borrowed a connection from; empty when one can. `database`: behind that target.
    """

    name: str
    endpoint: str
    port: int
    region: str
    connect_arn: str  # arn:PARTITION:rds-db:REGION:ACCOUNT:dbuser:prx-ID
    iam_required: bool
    require_tls: bool
    idle_seconds: float
    plugin: str = SHA2
    secrets: Mapping[str, ProxyCredentials] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    unavailable: str = ""
    database: ProxiedDatabase | None = None


@dataclass(frozen=True)
class Authorizer:
    """What the proxies ask AWS about a client: whose key signed a token, and what it may do."""

    find_key: Callable[[str], SessionKey | None]
    may_connect: Callable[[str, str], Decision]  # role ARN, rds-db resource ARN
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Limits:
    """New connections, and IAM logins, per second; above them AWS answers 1040."""

    connections: TokenBucket = field(default_factory=lambda: TokenBucket(1000, 1000))
    iam_logins: TokenBucket = field(default_factory=lambda: TokenBucket(1000, 1000))


class RefusedError(Exception):
    """A login is refused: what the client hears, and the reason that it does not."""

    def __init__(self, error: ServerError, reason: str) -> None:
        super().__init__(reason)
        self.error, self.reason = error, reason


class StandIn:
    """Listens on 127.0.0.1 as one proxy until it is closed."""

    def __init__(
        self,
        name: str,
        read_settings: Callable[[], ServedProxy],
        account: Authorizer,
        server_context: Callable[[str], ssl.SSLContext],
        record: Callable[[LoginReport], None],
        limits: Limits | None = None,
    ) -> None:
        self.name = name
        self.read_settings, self.account = read_settings, account
        self.server_context, self.record = server_context, record
        self.limits = limits or Limits()
        self._ids = itertools.count(1)
        self._tcp = TcpServer(self._serve, name=f"proxy {name}")
        self.port = self._tcp.port

    def close(self) -> None:
        """Stop listening, and end every connection. Twice is once."""
        self._tcp.close(wait=True)

    def _serve(self, sock: socket.socket) -> None:
        # A duplicate, because TLS takes the socket object over and `close` must reach it still.
        stream = PacketStream(sock.dup(), LOGIN_SECONDS)
        # A login's failure is in the report; LookupError: the proxy was just deleted.
        with (
            contextlib.suppress(DisconnectedError, ProtocolError, OSError, LookupError),
            contextlib.closing(stream),
        ):
            Conversation(self, stream, next(self._ids)).run()


class Conversation:
    """One client's connection: greeting, TLS, login, and then the database."""

    def __init__(self, proxy: StandIn, stream: PacketStream, connection_id: int) -> None:
        self._proxy, self._stream = proxy, stream
        self._id = connection_id
        # The protocol ends the nonce at a NUL, and some clients at any byte above 127.
        self._nonce = bytes(1 + secrets.randbelow(127) for _ in range(SCRAMBLE_BYTES))
        self._user = ""

    def run(self) -> None:
        """Serve the client to the end of its connection. Raises LookupError without a proxy."""
        settings = self._proxy.read_settings()
        try:
            session = self._let_in(settings)
        except RefusedError as refused:
            self._record(settings, refused.error.code, refused.reason)
            self._stream.write(refused.error.encode())
            return
        except (ProtocolError, DisconnectedError, TimeoutError, ssl.SSLError) as error:
            self._record(settings, 0, f"no login: {_words(error)}")
            if isinstance(error, ProtocolError):
                self._stream.write(ServerError(1043, "08S01", "Bad handshake").encode())
            return
        with contextlib.closing(session):
            self._record(settings, 0, "")
            self._stream.write(ok_packet())
            session.serve(self._stream, settings.idle_seconds)

    def _let_in(self, settings: ServedProxy) -> Session:
        if not self._proxy.limits.connections.take():
            raise _too_many("Connections", self._proxy.limits.connections)
        traits, unavailable = _traits(settings)
        login = self._login(settings, traits)
        self._user = login.user
        secret = self._check(settings, login)
        if unavailable:
            raise _no_connection(unavailable)
        try:
            assert settings.database is not None  # noqa: S101 - else unavailable says why
            return settings.database.open(login, secret)
        except DatabaseDownError as error:
            raise _no_connection(str(error)) from error
        except ServerError as error:
            raise RefusedError(error, f"the database answers: {error.message}") from error

    def _login(self, settings: ServedProxy, traits: Traits) -> Login:
        offered = traits.capabilities | Capability.SSL
        greeting = Greeting(
            traits.version, offered, self._id, self._nonce, settings.plugin, traits.charset
        )
        self._stream.write(greeting.encode())
        packet = self._stream.read(LOGIN_LIMIT)
        if is_ssl_request(packet):
            self._stream.start_tls(self._proxy.server_context(settings.endpoint))
            packet = self._stream.read(LOGIN_LIMIT)
        return parse_login(packet, offered)

    def _check(self, settings: ServedProxy, login: Login) -> ProxyCredentials:
        iam = settings.iam_required
        if (settings.require_tls or iam) and self._stream.tls_version is None:
            text = "This RDS Proxy requires TLS connections."
            raise RefusedError(ServerError(3159, "HY000", text), "the client does not use TLS")
        if not iam:
            return self._check_password(settings, login)
        if not self._proxy.limits.iam_logins.take():
            raise _too_many("IAM authentication", self._proxy.limits.iam_logins)
        return self._check_token(settings, login)

    def _check_password(self, settings: ServedProxy, login: Login) -> ProxyCredentials:
        answer = login.answer
        if login.plugin != settings.plugin:
            answer = self._switch(settings.plugin, self._nonce)
        secret = settings.secrets.get(login.user)
        if secret is None:
            raise self._denied(bool(answer), _no_secret(settings, login.user))
        if not answer:
            raise self._denied(False, "the client sends no password")
        proof = scramble(settings.plugin, secret.password, self._nonce)
        if not hmac.compare_digest(proof, answer):
            raise self._denied(True, "the password differs from the secret's")
        if settings.plugin == SHA2:
            self._stream.write(b"\x01\x03")  # fast path: the proxy knows the password
        return secret

    def _check_token(self, settings: ServedProxy, login: Login) -> ProxyCredentials:
        answer = login.answer if login.plugin == CLEAR else self._switch(CLEAR)
        token = answer.removesuffix(b"\0").decode("utf-8", "replace")
        audience = Audience(settings.endpoint, settings.port, login.user, settings.region)
        account = self._proxy.account
        try:
            key = check_token(token, audience, account.now(), account.find_key)
            decision = account.may_connect(key.role_arn, f"{settings.connect_arn}/{login.user}")
        except (TokenRefusedError, PolicyUnknownError) as error:
            raise self._denied(bool(token), str(error)) from error
        if not decision.allowed:
            raise self._denied(True, decision.reason)
        secret = settings.secrets.get(login.user)
        if secret is None:
            raise self._denied(True, _no_secret(settings, login.user))
        return secret

    def _switch(self, plugin: str, nonce: bytes = b"") -> bytes:
        self._stream.write(auth_switch(plugin, nonce))
        return self._stream.read(LOGIN_LIMIT)

    def _denied(self, password_given: bool, reason: str) -> RefusedError:
        given = "YES" if password_given else "NO"
        who = f"'{self._user[:32]}'@'%'"  # AWS names no address
        text = f"Access denied for user {who} (using password: {given})"
        return RefusedError(ServerError(1045, "28000", text), reason)

    def _record(self, settings: ServedProxy, code: int, reason: str) -> None:
        self._proxy.record(
            LoginReport(
                at=self._proxy.account.now(),
                proxy=settings.name,
                user=self._user[:32],
                method="iam" if settings.iam_required else "password",
                tls=self._stream.tls_version or "none",
                accepted=not reason,
                code=code,
                reason=reason,
            )
        )


def _traits(settings: ServedProxy) -> tuple[Traits, str]:
    """What to greet with, and why there is no database, if so: a login is checked all the same."""
    if settings.database is None or settings.unavailable:
        return Traits("8.4.0"), settings.unavailable or "the proxy has no target"
    try:
        return settings.database.traits(), ""
    except DatabaseDownError as error:
        return Traits("8.4.0"), str(error)


def _no_connection(reason: str) -> RefusedError:
    # The real proxy says so only after ConnectionBorrowTimeout; nothing is learnt by waiting here.
    text = "Timed-out waiting to acquire database connection"
    return RefusedError(ServerError(9501, "HY000", text), reason)


def _too_many(what: str, limit: TokenBucket) -> RefusedError:
    # The code, its state and the words are those of AWS's "Troubleshooting for RDS Proxy".
    text = f"{what} rate limit exceeded ({limit.rate_per_second:g})"
    return RefusedError(ServerError(1040, "HY000", text), text)


def _no_secret(settings: ServedProxy, user: str) -> str:
    if settings.problems:
        return "; ".join(settings.problems)
    known = ", ".join(repr(name) for name in sorted(settings.secrets)) or "nobody"
    return f"the proxy has no secret for user {user[:32]!r}, only for {known}"


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "the client took too long"
    return str(error) or type(error).__name__


PLUGINS = {"MYSQL_NATIVE_PASSWORD": NATIVE, "MYSQL_CACHING_SHA2_PASSWORD": SHA2}
"""ClientPasswordAuthType, and the login plugin that it stands for."""
