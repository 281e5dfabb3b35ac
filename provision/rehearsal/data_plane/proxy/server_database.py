"""A real MySQL or MariaDB server behind the stand-in proxy.

The proxy decides on the login; then this logs in to the server with the secret, and from there on
the two sides talk to each other: real SQL, real types, real errors. The server must hold the
secret's user, with its password in `mysql_native_password` or `caching_sha2_password`, and the
schema; it is spoken to without TLS, so it belongs on this machine or in a trusted network. (The
password itself goes there encrypted, with the server's own public key, where it has to go at all.)
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
from collections.abc import Sequence
from hashlib import sha1, sha256

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from provision.rehearsal.data_plane.proxy.databases import (
    BACKEND_SECONDS,
    DatabaseDownError,
    ProxyCredentials,
    Traits,
    read_command,
)
from provision.rehearsal.data_plane.proxy.wire import (
    LOGIN_LIMIT,
    MAX_PAYLOAD,
    OFFERED,
    Capability,
    Command,
    DisconnectedError,
    Greeting,
    Login,
    PacketStream,
    ProtocolError,
    ServerError,
    counted,
    parse_error,
)

NATIVE, SHA2 = "mysql_native_password", "caching_sha2_password"
ACCESS_DENIED = 1045
_CHUNK = 64 * 1024


class ServerDatabase:
    """A server at HOST:PORT."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._traits: Traits | None = None

    def traits(self) -> Traits:
        """Return what the server itself greets with. Raises DatabaseDownError."""
        if self._traits is None:
            stream, greeting = self._connect()
            stream.sock.close()
            capabilities = OFFERED & (greeting.capabilities | Capability.SSL)
            self._traits = Traits(greeting.version, capabilities, greeting.charset)
        return self._traits

    def open(self, login: Login, secret: ProxyCredentials) -> ServerSession:
        """Log in with the secret and the client's own settings.

        Raises DatabaseDownError when the server is down or refuses the secret, and ServerError
        with the server's words for anything else, such as an unknown schema.
        """
        stream, greeting = self._connect()
        try:
            log_in(stream, greeting, login, secret)
        except ServerError as error:
            stream.sock.close()
            if error.code == ACCESS_DENIED:
                text = f"the database refuses the secret's user {secret.username!r} or its password"
                raise DatabaseDownError(text) from error
            raise
        except (OSError, ProtocolError, DisconnectedError) as error:
            stream.sock.close()
            raise DatabaseDownError(f"the database broke off the login: {error}") from error
        return ServerSession(stream.sock)

    def close(self) -> None:
        """Nothing to let go of: sessions are closed by their clients."""

    def _connect(self) -> tuple[PacketStream, Greeting]:
        try:
            sock = socket.create_connection(self._address, BACKEND_SECONDS)
        except OSError as error:
            raise DatabaseDownError(f"the database cannot be reached: {error}") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = PacketStream(sock, BACKEND_SECONDS)
        try:
            return stream, Greeting.parse(stream.read(LOGIN_LIMIT))
        except (OSError, ProtocolError, DisconnectedError) as error:
            sock.close()
            raise DatabaseDownError(f"the database does not greet: {error}") from error


def log_in(
    stream: PacketStream, greeting: Greeting, login: Login, secret: ProxyCredentials
) -> None:
    """Log in as a client, in the way that the server wants.

    Raises ServerError with the server's refusal, ProtocolError for a way that is not known here.
    """
    plugin, nonce = greeting.plugin, greeting.nonce
    if plugin not in (NATIVE, SHA2):
        plugin = NATIVE
    flags = login.capabilities & greeting.capabilities & ~Capability.SSL
    flags &= ~Capability.CONNECT_ATTRS
    if not login.database:
        flags &= ~Capability.CONNECT_WITH_DB
    answer = scramble(plugin, secret.password, nonce)
    lenenc = flags & Capability.PLUGIN_AUTH_LENENC_DATA
    packet = struct.pack("<IIB23x", flags, MAX_PAYLOAD, login.charset)
    packet += secret.username.encode() + b"\0"
    packet += counted(answer) if lenenc else bytes([len(answer)]) + answer
    if flags & Capability.CONNECT_WITH_DB:
        packet += login.database.encode() + b"\0"
    stream.write(packet + plugin.encode() + b"\0")
    reply = stream.read(LOGIN_LIMIT)
    if reply[:1] == b"\xfe":  # AuthSwitchRequest
        plugin, nonce = _switched(reply)
        stream.write(scramble(plugin, secret.password, nonce))
        reply = stream.read(LOGIN_LIMIT)
    if reply == b"\x01\x04":  # caching_sha2_password knows only the password's hash as yet
        stream.write(b"\x02")  # asks for the server's public key
        key = stream.read(LOGIN_LIMIT)[1:]
        stream.write(encrypted(secret.password, nonce, key))
        reply = stream.read(LOGIN_LIMIT)
    if reply == b"\x01\x03":  # caching_sha2_password's fast path: OK follows
        reply = stream.read(LOGIN_LIMIT)
    if reply[:1] == b"\xff":
        raise parse_error(reply)
    if reply[:1] != b"\0":
        raise ProtocolError("the server wants a kind of login that is not played")


def scramble(plugin: str, password: str, nonce: bytes) -> bytes:
    """Return a client's proof that it knows the password.

    Raises ProtocolError for plugins other than mysql_native_password and caching_sha2_password.
    """
    if not password:
        return b""
    if plugin == NATIVE:
        hashed = sha1(password.encode(), usedforsecurity=False).digest()
        double = sha1(hashed, usedforsecurity=False).digest()
        return _xor(hashed, sha1(nonce + double, usedforsecurity=False).digest())
    if plugin == SHA2:
        hashed = sha256(password.encode()).digest()
        return _xor(hashed, sha256(sha256(hashed).digest() + nonce).digest())
    raise ProtocolError(f"the login plugin {plugin[:64]!r} is not played")


def encrypted(password: str, nonce: bytes, public_key: bytes) -> bytes:
    """Return a password as caching_sha2_password sends it to a server without TLS.

    Raises ProtocolError when the key is none.
    """
    try:
        key = serialization.load_pem_public_key(public_key)
    except ValueError:
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ProtocolError("the server has no public key for a login without TLS")
    plain = password.encode() + b"\0"
    mixed = bytes(byte ^ nonce[n % len(nonce)] for n, byte in enumerate(plain))
    # OAEP with SHA-1 is what the protocol says.
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), label=None)  # noqa: S303
    return key.encrypt(mixed, oaep)


def _switched(reply: bytes) -> tuple[str, bytes]:
    plugin, _, nonce = reply[1:].partition(b"\0")
    return plugin.decode("ascii", "replace"), nonce.removesuffix(b"\0")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


class ServerSession:
    """Passes whole commands to the server and its answers back, in one thread.

    One thread, because OpenSSL does not let two use the same TLS connection at once.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._server = sock
        self._server.settimeout(BACKEND_SECONDS)

    def serve(self, stream: PacketStream, idle_seconds: float) -> None:
        """Pass on until either side ends, or both are silent for `idle_seconds`.

        Raises TimeoutError for that.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(stream.sock, selectors.EVENT_READ)
            selector.register(self._server, selectors.EVENT_READ)
            while True:
                ready = self._ready(selector, stream, idle_seconds)
                stream.allow(idle_seconds)
                if self._server in ready and not self._pass_back(stream):
                    return
                if stream.sock in ready and not self._pass_on(stream):
                    return

    def close(self) -> None:
        """End the server's session, which rolls back."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _ready(
        self, selector: selectors.BaseSelector, stream: PacketStream, idle_seconds: float
    ) -> Sequence[object]:
        waiting = isinstance(stream.sock, ssl.SSLSocket) and stream.sock.pending() > 0
        events = selector.select(0 if waiting else idle_seconds)
        ready: list[object] = [key.fileobj for key, _ in events]
        if waiting:
            ready.append(stream.sock)  # decrypted already, so no longer in the socket
        if not ready:
            raise TimeoutError("idle for too long")
        return ready

    def _pass_on(self, stream: PacketStream) -> bool:
        packet = read_command(stream)
        if packet is None:
            return False
        self._server.sendall(len(packet).to_bytes(3, "little") + b"\0" + packet)
        return packet[:1] != bytes([Command.QUIT])

    def _pass_back(self, stream: PacketStream) -> bool:
        part = self._server.recv(_CHUNK)
        if part:
            stream.sock.sendall(part)
        return bool(part)
