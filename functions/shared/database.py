"""The database behind RDS Proxy: its settings from the environment, and the connection over TLS."""

import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import mysql.connector

from deadline import Deadline

HIGHEST_PORT = 65_535
FOLDER = Path(__file__).parent
IDENTIFIER = re.compile(r"[0-9A-Za-z_$-]{1,64}")  # safe between backticks, as long as MySQL allows


class SettingError(Exception):
    """An environment variable, or the file that it names, is missing or wrong."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}")
        self.code = variable


@dataclass(frozen=True)
class Database:
    """What is needed to find the database through its proxy."""

    host: str
    port: int
    name: str
    table: str
    user: str
    region: str
    certificate: Path

    @classmethod
    def from_environment(cls) -> Self:
        """Return the settings; raises SettingError which names the variable to correct."""
        certificate = FOLDER / os.environ.get("SSLCERTIFICATE", "AmazonRootCA1.pem")
        if not certificate.is_file():
            raise SettingError("SSLCERTIFICATE", f"names {certificate.name}, which is missing")
        return cls(
            host=setting("DB_PROXY_ENDPOINT_ADDRESS"),
            port=_port("DB_ENDPOINT_PORT"),
            name=setting("DB_NAME"),
            table=_identifier("DB_TABLENAME"),
            user=setting("DB_USER"),
            region=setting("REGION"),
            certificate=certificate,
        )


def setting(variable: str) -> str:
    """Return an environment variable's value; raises SettingError if it is missing or empty."""
    value = os.environ.get(variable, "")
    if not value:
        raise SettingError(variable, "is not set")
    return value


def _port(variable: str) -> int:
    value = setting(variable)
    if not re.fullmatch(r"[0-9]{1,5}", value) or not 1 <= int(value) <= HIGHEST_PORT:
        raise SettingError(variable, f"must be a port from 1 to 65535, not {value!r}")
    return int(value)


def _identifier(variable: str) -> str:
    value = setting(variable)
    if not IDENTIFIER.fullmatch(value):
        raise SettingError(variable, "must be 1 to 64 letters, digits, or any of _ $ -")
    return value


def connect(database: Database, password: str, deadline: Deadline) -> Any:
    """Log in and return the connection; raises mysql.connector.Error if that fails.

    `ssl_ca` alone verifies nothing. Only with both `ssl_verify_` options does the connector refuse
    a server that is not the proxy, before it sends the password or the token.
    """
    # The connector also loads the system's root certificates, which must not be trusted here and
    # take longer than the rest of the login. These variables tell OpenSSL where to look for them.
    os.environ["SSL_CERT_FILE"] = str(database.certificate)
    os.environ["SSL_CERT_DIR"] = str(FOLDER)
    seconds = deadline.socket_timeout()
    return mysql.connector.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=password,
        database=database.name,
        autocommit=True,
        use_pure=True,
        ssl_ca=str(database.certificate),
        ssl_verify_cert=True,
        ssl_verify_identity=True,
        connection_timeout=seconds,
        read_timeout=seconds,
        write_timeout=seconds,
    )


def tls_version(connection: Any) -> str:
    """Return the connection's TLS version, such as `TLSv1.3`, or `none`.

    The connector does not report it, and the server's `Ssl_version` is that of the connection from
    the proxy to the database; so this reads it from the connector's own socket.
    """
    sock = getattr(getattr(connection, "_socket", None), "sock", None)
    return (sock.version() or "none") if isinstance(sock, ssl.SSLSocket) else "none"
