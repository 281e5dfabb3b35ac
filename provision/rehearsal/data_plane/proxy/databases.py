"""What stands behind a stand-in proxy: the words that both kinds of database share.

`SqliteDatabase` needs nothing installed and knows the functions' SQL; `ServerDatabase` relays to a
real MySQL or MariaDB. Both are opened for a client that the proxy has let in already, with the
user and password of the proxy's secret, as RDS Proxy does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from provision.rehearsal.data_plane.proxy.wire import (
    OFFERED,
    UTF8MB4,
    Capability,
    Command,
    Login,
    PacketStream,
    PacketTooLargeError,
    ServerError,
)

QUERY_LIMIT = 0xFFFFFF - 1
"""The largest command in bytes, just under the protocol's own packet; MySQL's default is 64 MiB."""

BACKEND_SECONDS = 10.0
"""How long a database may take to take a connection, before it counts as down."""


class DatabaseDownError(Exception):
    """The database cannot be reached, or does not take the secret's password."""


@dataclass(frozen=True)
class ProxyCredentials:
    """A user and password, as the proxy's secret holds them."""

    username: str
    password: str

    def __repr__(self) -> str:
        """Leaves out the password."""
        return f"Secret({self.username!r})"


@dataclass(frozen=True)
class Traits:
    """What a proxy's greeting tells of the database behind it."""

    version: str
    capabilities: Capability = OFFERED
    charset: int = UTF8MB4


class Session(Protocol):
    """One client's connection to the database."""

    def serve(self, stream: PacketStream, idle_seconds: float) -> None:
        """Answer the client's commands until it quits, or is silent for `idle_seconds`."""

    def close(self) -> None:
        """Roll back what is not committed, and let go. Twice is once."""


class ProxiedDatabase(Protocol):
    """A database that sessions can be opened on."""

    def traits(self) -> Traits:
        """What to greet with. Raises DatabaseDownError."""

    def open(self, login: Login, secret: ProxyCredentials) -> Session:
        """Open a session in the schema that the client asks for.

        Raises DatabaseDownError, and wire.ServerError for what the client is to be told.
        """

    def close(self) -> None:
        """Let go of everything."""


def read_command(stream: PacketStream) -> bytes | None:
    """Return the client's next command; None when it is refused one that ends the connection."""
    stream.new_command()
    try:
        packet = stream.read(QUERY_LIMIT)
    except PacketTooLargeError:
        text = "Got a packet bigger than 'max_allowed_packet' bytes"
        refused = ServerError(1153, "08S01", text)
    else:
        if packet[:1] != bytes([Command.CHANGE_USER]):
            return packet
        text = "Unknown command: COM_CHANGE_USER is not supported"
        refused = ServerError(1047, "08S01", text)
    stream.write(refused.encode())
    return None
