"""The rehearsal's data plane: stand-in proxies, functions and HTTP APIs, made as they are needed.

All of it listens on loopback only, and takes its settings from the rehearsed AWS at each request.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from provision.rehearsal.aws import network
from provision.rehearsal.data_plane.function_process import Routes
from provision.rehearsal.data_plane.http_api import Gateway, HttpApi
from provision.rehearsal.data_plane.proxy.certificates import CertificateAuthority
from provision.rehearsal.data_plane.proxy.databases import ProxiedDatabase
from provision.rehearsal.data_plane.proxy.mariadbd import MariaDb
from provision.rehearsal.data_plane.proxy.server_database import ServerDatabase
from provision.rehearsal.data_plane.proxy.sqlite_database import SqliteDatabase
from provision.rehearsal.data_plane.proxy.stand_in import Authorizer, StandIn
from provision.rehearsal.data_plane.rehearsed_aws import (
    MYSQL_PORT,
    Clients,
    RehearsedAws,
    instance_secret,
)
from provision.rehearsal.data_plane.report import Report
from provision.rehearsal.data_plane.runner import Runner

OWN_SERVER = "mariadbd"

T = TypeVar("T")


class ProxyClock:
    """The proxies' clock, which can be set fast, to see what becomes of a token meanwhile."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC) + self._ahead

    def shift(self, by: timedelta) -> None:
        """Set the clock fast by this much more."""
        self._ahead += by


class DataPlane:
    """What the rehearsed environment does, beside being there.

    `rehearsal` gives out boto3 clients. `database`: None for SQLite, `mariadbd` for a server of
    our own from the MariaDB on this machine, or HOST:PORT of a test server, which must hold the
    secret's user (with its password, in mysql_native_password or caching_sha2_password, allowed
    from this host) and the DB instance's schema; nothing is cleaned up there.
    """

    def __init__(self, rehearsal: Clients, database: str | None = None) -> None:
        self.clock = ProxyClock()
        self.report = Report()
        self.aws = RehearsedAws(rehearsal, self.clock.now)
        self.authority = CertificateAuthority()
        self._database = checked_database(database)
        self._runner = Runner(self.aws, self.report, self.authority, self._reachable)
        # AWS is never asked while this is held: the rehearsal may hold its own, and wait for it.
        self._lock = threading.RLock()
        self._stand_ins: dict[str, StandIn] = {}
        self._databases: dict[str, ProxiedDatabase] = {}
        self._apis: dict[str, HttpApi] = {}
        self._closed = False

    def invoke(self, function_name: str, payload: bytes) -> dict[str, Any]:
        """Call a function; see Runner.invoke. Raises runner.InvokeError."""
        return self._runner.invoke(function_name, payload)

    def api_endpoint(self, region: str, api_id: str) -> str:
        """Return the loopback URL at which an HTTP API answers, which opens it if need be.

        Raises LookupError for another region than the rehearsal's.
        """
        if region != self.aws.region:
            raise LookupError(f"this is a rehearsal of {self.aws.region}, not {region}")

        def make() -> HttpApi:
            return HttpApi(Gateway(api_id, self.aws, self._runner, self.report))

        return self._made(self._apis, api_id, make).url

    def proxy_port(self, name: str) -> int:
        """Return the loopback port of a proxy's stand-in, which opens it if need be.

        Raises LookupError when there is no such proxy.
        """
        self._settings(name)
        return self._stand_in(name).port

    def close(self) -> None:
        """End every process, thread and socket. Twice is once."""
        with self._lock:
            self._closed = True
            apis, self._apis = self._apis, {}
            stand_ins, self._stand_ins = self._stand_ins, {}
            databases, self._databases = self._databases, {}
        with contextlib.ExitStack() as closing:  # in reverse: from the clients' side inwards
            for database in databases.values():
                closing.callback(database.close)
            for stand_in in stand_ins.values():
                closing.callback(stand_in.close)
            closing.callback(self._runner.close)
            for api in apis.values():
                closing.callback(api.close)

    def _made(self, kept: dict[str, T], key: str, make: Callable[[], T]) -> T:
        """What is kept under this key, made at first use."""
        with self._lock:
            if self._closed:
                raise LookupError("the rehearsal has ended")
            if key not in kept:
                kept[key] = make()
            return kept[key]

    def _reachable(self, configuration: Mapping[str, Any]) -> Routes:
        """Return where a function can connect to."""
        open_routes, closed = {}, {}
        groups = self.aws.security_groups()
        vpc = configuration.get("VpcConfig") or {}
        function = network.Party("function", tuple(vpc.get("SecurityGroupIds") or ()))
        for proxy in self.aws.proxies():
            endpoint = proxy["Endpoint"].lower()
            party = network.Party("proxy", tuple(proxy["VpcSecurityGroupIds"]))
            reason = network.blocked(groups, function, party, MYSQL_PORT)
            if reason:
                closed[endpoint] = reason
            else:
                port = self._stand_in(proxy["DBProxyName"]).port
                open_routes[f"{endpoint}:{MYSQL_PORT}"] = port
                closed[endpoint] = f"a proxy listens on {MYSQL_PORT} only"
        return Routes(open_routes, closed)

    def _stand_in(self, name: str) -> StandIn:
        def make() -> StandIn:
            return StandIn(
                name,
                lambda: self._settings(name),
                Authorizer(self.aws.find_key, self.aws.may_connect, self.clock.now),
                self.authority.server_context,
                self.report.login,
            )

        return self._made(self._stand_ins, name, make)

    def _settings(self, name: str) -> Any:
        return self.aws.proxy_settings(name, self._open_database)

    def _open_database(self, instance: Mapping[str, Any]) -> ProxiedDatabase:
        """Return the database of a DB instance; one that is new starts with an empty one."""
        key = instance.get("DbiResourceId") or instance["DBInstanceArn"]
        return self._made(self._databases, key, lambda: self._make_database(instance))

    def _make_database(self, instance: Mapping[str, Any]) -> ProxiedDatabase:
        schema = instance.get("DBName") or ""
        if self._database is None:
            return SqliteDatabase(schema, instance.get("EngineVersion") or "8.4.0")
        if self._database == OWN_SERVER:
            return MariaDb(schema, instance_secret(instance))
        host, _, port = self._database.rpartition(":")
        return ServerDatabase(host, int(port))


def checked_database(database: str | None) -> str | None:
    """Raise ValueError for what is neither None, `mariadbd` nor HOST:PORT."""
    if database in (None, OWN_SERVER):
        return database
    assert database is not None  # noqa: S101 - for the type checker
    host, _, port = database.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"a database is {OWN_SERVER} or HOST:PORT, not {database!r}")
    return database
