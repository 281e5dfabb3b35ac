"""The server's side of MySQL's client/server protocol: packets, login, plain answers.

Follows https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html, protocol version 10
with the 4.1 login, which is all that current clients speak. What a client sends is hostile until
proven otherwise: each packet has a size limit and a deadline, and whatever does not parse to its
last byte is refused.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

MAX_PAYLOAD = 0xFFFFFF  # bytes; a packet of exactly this size announces another one
LOGIN_LIMIT = 64 * 1024  # bytes; a login with a long IAM token has about 2 KiB
UTF8MB4 = 255  # collation utf8mb4_0900_ai_ci
BINARY = 63
SCRAMBLE_BYTES = 20


class ProtocolError(Exception):
    """The client sent what the protocol does not allow; the connection cannot go on."""


class PacketTooLargeError(ProtocolError):
    """A packet is larger than the limit for its place in the conversation."""


class DisconnectedError(Exception):
    """The other side closed the connection."""


class Capability(IntFlag):
    """Capability flags of both sides (PAGE_PROTOCOL "Capabilities Flags")."""

    LONG_PASSWORD = 1
    FOUND_ROWS = 1 << 1
    LONG_FLAG = 1 << 2
    CONNECT_WITH_DB = 1 << 3
    COMPRESS = 1 << 5
    LOCAL_FILES = 1 << 7
    PROTOCOL_41 = 1 << 9
    SSL = 1 << 11
    TRANSACTIONS = 1 << 13
    SECURE_CONNECTION = 1 << 15
    MULTI_STATEMENTS = 1 << 16
    MULTI_RESULTS = 1 << 17
    PS_MULTI_RESULTS = 1 << 18
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRS = 1 << 20
    PLUGIN_AUTH_LENENC_DATA = 1 << 21
    SESSION_TRACK = 1 << 23
    DEPRECATE_EOF = 1 << 24


OFFERED = (
    Capability.LONG_PASSWORD
    | Capability.FOUND_ROWS
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.PROTOCOL_41
    | Capability.SSL
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.PLUGIN_AUTH
    | Capability.CONNECT_ATTRS
    | Capability.PLUGIN_AUTH_LENENC_DATA
    | Capability.DEPRECATE_EOF
)
"""What the stand-in offers; not compression, local files or multi statements: none is needed."""

NEEDED = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH


class Command(IntEnum):
    """First byte of a packet in the command phase."""

    QUIT = 0x01
    INIT_DB = 0x02
    QUERY = 0x03
    PING = 0x0E
    CHANGE_USER = 0x11
    RESET_CONNECTION = 0x1F


class ColumnType(IntEnum):
    """Column types of a text result set."""

    DOUBLE = 5
    NULL = 6
    LONGLONG = 8
    DATETIME = 12
    BLOB = 252
    VAR_STRING = 253


class PacketStream:
    """A socket as a stream of packets, with a deadline and a sequence number.

    Nothing is read ahead, so no byte that came before the TLS handshake is taken for one that came
    inside it.
    """

    def __init__(self, sock: socket.socket, timeout_seconds: float) -> None:
        """Wrap a connected socket; until `allow` is called, all must be done in the given time."""
        self.sock = sock
        self.sequence = 0
        self.allow(timeout_seconds)

    def allow(self, seconds: float) -> None:
        """Give what follows, up to the next call, this many seconds altogether."""
        self._deadline = time.monotonic() + seconds

    def new_command(self) -> None:
        """Start the numbering again: each command begins at 0."""
        self.sequence = 0

    def read(self, limit: int) -> bytes:
        """Return the next packet's payload.

        Raises PacketTooLargeError (before reading the payload), ProtocolError when it is out of
        order, DisconnectedError, and TimeoutError when the time allowed is over.
        """
        header = self._read_exactly(4)
        size, sequence = int.from_bytes(header[:3], "little"), header[3]
        if sequence != self.sequence:
            raise ProtocolError(f"packet number {sequence} came, where {self.sequence} was due")
        self.sequence = (sequence + 1) % 256
        if size > limit or size == MAX_PAYLOAD:
            raise PacketTooLargeError(f"a packet of {size} bytes, where {limit} are the most")
        return self._read_exactly(size)

    def write(self, *payloads: bytes) -> None:
        """Send each payload as a packet of its own, all in one go."""
        out = bytearray()
        for payload in payloads:
            out += self._packets(payload)
        self._within_deadline()
        try:
            self.sock.sendall(out)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise DisconnectedError("while writing") from error

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on inside TLS, as the server. Raises ssl.SSLError when the client does not agree."""
        self._within_deadline()
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def close(self) -> None:
        """Close the socket, within TLS or without."""
        self.sock.close()

    @property
    def tls_version(self) -> str | None:
        """`TLSv1.3` and the like, or None."""
        return self.sock.version() if isinstance(self.sock, ssl.SSLSocket) else None

    def _packets(self, payload: bytes) -> bytearray:
        out = bytearray()
        while True:
            part, payload = payload[:MAX_PAYLOAD], payload[MAX_PAYLOAD:]
            out += len(part).to_bytes(3, "little") + bytes([self.sequence]) + part
            self.sequence = (self.sequence + 1) % 256
            if len(part) < MAX_PAYLOAD:
                return out

    def _read_exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            self._within_deadline()
            try:
                part = self.sock.recv(size - len(got))
            except (ConnectionError, ssl.SSLEOFError) as error:
                raise DisconnectedError("while reading") from error
            if not part:
                raise DisconnectedError("in the middle of a packet" if got else "between packets")
            got += part
        return bytes(got)

    def _within_deadline(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the client took too long")
        self.sock.settimeout(left)


class Reader:
    """Takes fields from a payload, front to back. Raises ProtocolError where one is cut off."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise ProtocolError("a field is cut off")
        part = self._data[self._at : self._at + size]
        self._at += size
        return part

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def length(self) -> int:
        """A length-encoded integer."""
        first = self.integer(1)
        if first < 0xFB:
            return first
        if first in (0xFB, 0xFF):
            raise ProtocolError("not a length")
        return self.integer({0xFC: 2, 0xFD: 3, 0xFE: 8}[first])

    def counted(self) -> bytes:
        """A string after its length."""
        return self.take(self.length())

    def terminated(self) -> bytes:
        """A string up to a NUL byte, which is taken too."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise ProtocolError("a string has no end")
        part = self.take(end - self._at)
        self.take(1)
        return part

    @property
    def empty(self) -> bool:
        return self._at == len(self._data)

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)


@dataclass(frozen=True)
class Greeting:
    """The server's first packet (Protocol::HandshakeV10)."""

    version: str
    capabilities: Capability
    connection_id: int
    nonce: bytes
    plugin: str
    charset: int = UTF8MB4

    def encode(self) -> bytes:
        """The packet's payload."""
        flags = int(self.capabilities)
        return b"".join(
            [
                b"\x0a" + self.version.encode() + b"\0",
                struct.pack("<I", self.connection_id),
                self.nonce[:8] + b"\0",
                struct.pack("<HBHH", flags & 0xFFFF, self.charset, 2, flags >> 16),
                bytes([len(self.nonce) + 1]) + bytes(10),
                self.nonce[8:] + b"\0",
                self.plugin.encode() + b"\0",
            ]
        )

    @classmethod
    def parse(cls, payload: bytes) -> Greeting:
        """Read a server's greeting. Raises ProtocolError, with its words if it refused."""
        reader = Reader(payload)
        kind = reader.integer(1)
        if kind == 0xFF:
            raise ProtocolError(f"the server refused: {parse_error(payload).message}")
        if kind != 0x0A:
            raise ProtocolError("not a MySQL server")
        version = reader.terminated().decode("utf-8", "replace")
        connection_id = reader.integer(4)
        nonce = reader.take(8)
        reader.take(1)
        low, charset, _status, high = struct.unpack("<HBHH", reader.take(7))
        size = reader.integer(1)
        reader.take(10)
        nonce += reader.take(max(13, size - 8))[: SCRAMBLE_BYTES - 8]
        plugin = reader.terminated().decode("ascii", "replace")
        flags = Capability(low | high << 16)
        return cls(version, flags, connection_id, nonce, plugin, charset)


@dataclass(frozen=True)
class Login:
    """What a client answers to the greeting (Protocol::HandshakeResponse41)."""

    capabilities: Capability
    charset: int
    user: str
    answer: bytes
    database: str
    plugin: str

    def __repr__(self) -> str:
        """Leaves the answer out: it may be a password or a token."""
        return f"Login(user={self.user!r}, database={self.database!r}, plugin={self.plugin!r})"


def is_ssl_request(payload: bytes) -> bool:
    """Whether the client asks for TLS before it says more (Protocol::SSLRequest)."""
    return len(payload) == 32 and bool(int.from_bytes(payload[:4], "little") & Capability.SSL)


def parse_login(payload: bytes, offered: Capability) -> Login:
    """Read a login to its last byte; what was not offered does not count as agreed.

    Raises ProtocolError when a field is missing, cut off, not text, or followed by anything.
    """
    reader = Reader(payload)
    agreed = Capability(reader.integer(4)) & offered
    if NEEDED & ~agreed:
        raise ProtocolError("the client is older than MySQL 5.5.7's protocol")
    reader.take(4)  # the client's own packet limit
    charset = reader.integer(1)
    reader.take(23)
    user = _text(reader.terminated(), "user name")
    if agreed & Capability.PLUGIN_AUTH_LENENC_DATA:
        answer = reader.counted()
    else:
        answer = reader.take(reader.integer(1))
    database = plugin = ""
    if agreed & Capability.CONNECT_WITH_DB:
        database = _text(reader.terminated(), "database name")
    plugin = _text(reader.terminated(), "plugin name")
    if agreed & Capability.CONNECT_ATTRS:
        _skip_attributes(reader.counted())
    if not reader.empty:
        raise ProtocolError("bytes after the end of the login")
    return Login(agreed, charset, user, answer, database, plugin)


def _skip_attributes(data: bytes) -> None:
    reader = Reader(data)
    while not reader.empty:
        reader.counted()
        reader.counted()


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(f"the {what} is not UTF-8") from None


def auth_switch(plugin: str, nonce: bytes = b"") -> bytes:
    """Ask the client to log in with another plugin (Protocol::AuthSwitchRequest)."""
    return b"\xfe" + plugin.encode() + b"\0" + (nonce + b"\0" if nonce else b"")


def ok_packet(
    affected: int = 0, insert_id: int = 0, *, status: int = 2, header: int = 0x00
) -> bytes:
    """OK; with header 0xFE the one that ends a result set when DEPRECATE_EOF was agreed."""
    return (
        bytes([header])
        + encoded_length(affected)
        + encoded_length(insert_id)
        + struct.pack("<HH", status, 0)
    )


def eof_packet(status: int = 2) -> bytes:
    """EOF, the end of columns or rows for clients without DEPRECATE_EOF."""
    return b"\xfe" + struct.pack("<HH", 0, status)


class ServerError(Exception):
    """An error as MySQL tells it: number, SQL state and message."""

    def __init__(self, code: int, state: str, message: str) -> None:
        super().__init__(f"{code} ({state}): {message}")
        self.code, self.state, self.message = code, state, message

    def encode(self) -> bytes:
        """The packet's payload (ERR_Packet)."""
        return b"\xff" + struct.pack("<H", self.code) + f"#{self.state}{self.message}".encode()


def parse_error(payload: bytes) -> ServerError:
    """Read an ERR packet; before the login it has no SQL state."""
    code, text = int.from_bytes(payload[1:3], "little"), payload[3:].decode("utf-8", "replace")
    state = text[1:6] if text.startswith("#") else "HY000"
    return ServerError(code, state, text[6:] if text.startswith("#") else text)


def encoded_length(number: int) -> bytes:
    """A length-encoded integer."""
    if number < 0xFB:
        return bytes([number])
    for mark, size in ((0xFC, 2), (0xFD, 3)):
        if number < 1 << 8 * size:
            return bytes([mark]) + number.to_bytes(size, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def counted(data: bytes) -> bytes:
    """A string after its length."""
    return encoded_length(len(data)) + data


def column_packet(name: str, kind: ColumnType) -> bytes:
    """Describe a result's column (Protocol::ColumnDefinition41)."""
    charset = UTF8MB4 if kind is ColumnType.VAR_STRING else BINARY
    decimals = 31 if kind is ColumnType.DOUBLE else 0
    fields = b"".join(counted(text.encode()) for text in ("def", "", "", "", name, name))
    return fields + b"\x0c" + struct.pack("<HIBHBH", charset, 1024, kind, 0, decimals, 0)


def row_packet(values: Iterable[bytes | None]) -> bytes:
    """One row of a text result set; None is NULL."""
    return b"".join(b"\xfb" if value is None else counted(value) for value in values)


def write_result(
    stream: PacketStream,
    columns: Sequence[tuple[str, ColumnType]],
    rows: Iterable[Sequence[bytes | None]],
    *,
    deprecate_eof: bool,
    status: int = 2,
) -> None:
    """Send a whole text result set."""
    packets = [encoded_length(len(columns)), *(column_packet(*column) for column in columns)]
    if not deprecate_eof:
        packets.append(eof_packet(status))
    packets += [row_packet(row) for row in rows]
    packets.append(ok_packet(status=status, header=0xFE) if deprecate_eof else eof_packet(status))
    stream.write(*packets)
