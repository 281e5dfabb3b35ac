"""Stand-in proxies for tests that talk to them directly, without an AWS around them."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
import mysql.connector
import pytest

from provision.rehearsal.aws.iam_policy import Document, decide
from provision.rehearsal.data_plane.proxy.certificates import CertificateAuthority
from provision.rehearsal.data_plane.proxy.databases import ProxiedDatabase, ProxyCredentials
from provision.rehearsal.data_plane.proxy.server_database import SHA2
from provision.rehearsal.data_plane.proxy.stand_in import Authorizer, Limits, ServedProxy, StandIn
from provision.rehearsal.data_plane.proxy.token import SessionKey
from provision.rehearsal.data_plane.proxy.wire import OFFERED, Capability, counted
from provision.rehearsal.data_plane.report import Report
from tests.support.names import REGION

ENDPOINT = f"iam.proxy-c0ffee.{REGION}.rds.amazonaws.com"
PROXY_ID = "prx-0123456789abcdef0"
DBUSERS = f"arn:aws:rds-db:{REGION}:123456789012:dbuser"
ROLE = "arn:aws:iam::123456789012:role/iam"
SECRET = ProxyCredentials("testdb", "correct-horse-battery")
SCHEMA = "testdb"
FLAGS = OFFERED & ~Capability.SSL
KEY = SessionKey("ASIATESTTESTTESTTEST", "the-secret-key", "the/session+token==", ROLE)


def settings(database: ProxiedDatabase | None, /, **changes: Any) -> ServedProxy:
    """A password proxy as AWS might have it, with changes."""
    given: dict[str, Any] = {
        "name": "proxy",
        "endpoint": ENDPOINT,
        "port": 3306,
        "region": REGION,
        "connect_arn": f"{DBUSERS}:{PROXY_ID}",
        "iam_required": False,
        "require_tls": False,
        "idle_seconds": 30.0,
        "secrets": {SECRET.username: SECRET},
        "database": database,
    }
    return ServedProxy(**(given | changes))


def allows(*resources: str, effect: str = "Allow") -> Document:
    """A policy for `rds-db:connect`."""
    statement = {"Effect": effect, "Action": "rds-db:connect", "Resource": list(resources)}
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass
class World:
    """The AWS around one proxy: who holds which key, what policies say, what time it is."""

    policies: list[Document] = field(
        default_factory=lambda: [allows(f"{DBUSERS}:{PROXY_ID}/testdb")]
    )
    keys: dict[str, SessionKey] = field(default_factory=lambda: {KEY.access_key_id: KEY})
    ahead: timedelta = timedelta()
    limits: Limits | None = None
    authority: CertificateAuthority = field(default_factory=CertificateAuthority)
    report: Report = field(default_factory=Report)

    @contextlib.contextmanager
    def proxy(self, given: ServedProxy, certificate_for: str = ENDPOINT) -> Iterator[StandIn]:
        """A running stand-in."""
        account = Authorizer(
            self.keys.get,
            lambda role, resource: decide(self.policies, "rds-db:connect", resource),
            lambda: datetime.now(UTC) + self.ahead,
        )
        stand_in = StandIn(
            given.name,
            lambda: given,
            account,
            lambda endpoint: self.authority.server_context(certificate_for),
            self.report.login,
            self.limits,
        )
        with contextlib.closing(stand_in):
            yield stand_in


def lead(monkeypatch: pytest.MonkeyPatch, port: int, endpoint: str = ENDPOINT) -> None:
    """Let a proxy's endpoint lead to a loopback port, in this process."""
    real: Callable[..., Any] = socket.getaddrinfo

    def getaddrinfo(host: Any, given_port: Any, *args: Any, **kwargs: Any) -> Any:
        if (host, given_port) == (endpoint, 3306):
            return real("127.0.0.1", port, *args, **kwargs)
        return real(host, given_port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def connect(**options: Any) -> Any:
    """Log in with the pure connector, as the functions do."""
    given: dict[str, Any] = {
        "host": ENDPOINT,
        "user": SECRET.username,
        "password": SECRET.password,
        "database": SCHEMA,
        "use_pure": True,
        "connection_timeout": 20,
    }
    return mysql.connector.connect(**(given | options))


def token(
    key: SessionKey = KEY,
    *,
    host: str = ENDPOINT,
    port: int = 3306,
    user: str = "testdb",
    region: str = REGION,
    with_session: bool = True,
) -> str:
    """A token as boto3 makes it."""
    client = _client(key, region, with_session)
    made: str = client.generate_db_auth_token(
        DBHostname=host, Port=port, DBUsername=user, Region=region
    )
    return made


@cache
def _client(key: SessionKey, region: str, with_session: bool) -> Any:
    session = botocore.session.Session()
    session.set_credentials(
        key.access_key_id, key.secret_access_key, key.session_token if with_session else None
    )
    return session.create_client("rds", region_name=region)


def login_packet(
    user: bytes = b"testdb",
    answer: bytes = b"x" * 32,
    database: bytes = b"testdb",
    plugin: bytes = SHA2.encode(),
    attributes: bytes = b"",
    flags: int = FLAGS,
) -> bytes:
    """A login as clients write it."""
    return (
        struct.pack("<IIB23x", flags, 1 << 24, 255)
        + user
        + b"\0"
        + counted(answer)
        + database
        + b"\0"
        + plugin
        + b"\0"
        + counted(attributes)
    )
