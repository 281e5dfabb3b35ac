"""The protocol's server side, against clients that do not keep to it."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.rehearsal.data_plane.proxy import stand_in, wire
from provision.rehearsal.data_plane.proxy.server_database import NATIVE, SHA2, scramble
from provision.rehearsal.data_plane.proxy.sqlite_database import SqliteDatabase
from provision.rehearsal.data_plane.proxy.wire import (
    Capability,
    Command,
    Greeting,
    Login,
    PacketStream,
)
from tests.rehearsal.data_plane.proxy import proxies
from tests.rehearsal.data_plane.proxy.proxies import FLAGS, SCHEMA, SECRET, World, login_packet

OFFERED = wire.OFFERED


# --- parsing ---


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=600))
def test_any_bytes_are_a_login_or_refused(data: bytes) -> None:
    with contextlib.suppress(wire.ProtocolError):
        assert isinstance(wire.parse_login(data, OFFERED), Login)


@settings(deadline=None, max_examples=500)
@given(st.data())
def test_a_damaged_login_is_a_login_or_refused(data: st.DataObject) -> None:
    packet = bytearray(login_packet(attributes=wire.counted(b"a") + wire.counted(b"b")))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packet)))
    with contextlib.suppress(wire.ProtocolError):
        assert isinstance(wire.parse_login(bytes(packet[:cut]), OFFERED), Login)


name = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None)
@given(name, st.binary(max_size=2000), name, name)
def test_a_login_is_read_as_it_was_written(
    user: str, answer: bytes, database: str, plugin: str
) -> None:
    packet = login_packet(user.encode(), answer, database.encode(), plugin.encode())
    login = wire.parse_login(packet, OFFERED)
    assert (login.user, login.answer, login.database, login.plugin) == (
        user,
        answer,
        database,
        plugin,
    )
    assert login.capabilities == FLAGS


@pytest.mark.parametrize("cut", range(1, len(login_packet())))
def test_a_login_cut_off_anywhere_is_refused(cut: int) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse_login(login_packet()[:cut], OFFERED)


@pytest.mark.parametrize(
    "packet",
    [
        login_packet() + b"more",
        login_packet(user=b"\xff\xfe"),
        login_packet(attributes=b"\x05ab"),
        login_packet(flags=FLAGS & ~Capability.PLUGIN_AUTH),
        login_packet(flags=FLAGS & ~Capability.PROTOCOL_41),
        b"",
    ],
    ids=["bytes after it", "user not UTF-8", "attribute cut off", "no plugins", "old", "empty"],
)
def test_a_malformed_login_is_refused(packet: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse_login(packet, OFFERED)


def test_a_login_never_shows_its_answer() -> None:
    login = wire.parse_login(login_packet(answer=b"very-secret"), OFFERED)
    assert "very-secret" not in repr(login)


@given(st.integers(0, 2**64 - 1))
def test_lengths_are_read_as_they_were_written(number: int) -> None:
    reader = wire.Reader(wire.encoded_length(number))
    assert reader.length() == number
    assert reader.empty


def test_a_greeting_is_read_as_it_was_written() -> None:
    greeting = Greeting("8.4.6", OFFERED, 7, b"0123456789abcdefghij", NATIVE)
    assert Greeting.parse(greeting.encode()) == greeting


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_greeting_or_refused(data: bytes) -> None:
    with contextlib.suppress(wire.ProtocolError):
        assert isinstance(Greeting.parse(data), Greeting)


# --- a running proxy ---


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def port(world: World) -> Iterator[int]:
    with (
        contextlib.closing(SqliteDatabase(SCHEMA)) as database,
        world.proxy(proxies.settings(database)) as proxy,
    ):
        yield proxy.port


@contextlib.contextmanager
def raw(port: int) -> Iterator[tuple[PacketStream, Greeting]]:
    """A client that has read the greeting."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        stream = PacketStream(sock, 20)
        yield stream, Greeting.parse(stream.read(wire.LOGIN_LIMIT))


def is_over(stream: PacketStream) -> bool:
    """Whether the server has closed the connection, and says nothing more."""
    try:
        stream.read(wire.LOGIN_LIMIT)
    except wire.DisconnectedError:
        return True
    return False


def log_in(stream: PacketStream, greeting: Greeting, password: str = SECRET.password) -> bytes:
    stream.write(login_packet(answer=scramble(greeting.plugin, password, greeting.nonce)))
    return stream.read(wire.LOGIN_LIMIT)


def query(stream: PacketStream, text: str) -> None:
    stream.new_command()
    stream.write(bytes([Command.QUERY]) + text.encode())


def test_after_a_refusal_the_connection_is_over(port: int) -> None:
    with raw(port) as (stream, greeting):
        error = wire.parse_error(log_in(stream, greeting, "wrong"))
        assert (error.code, error.state) == (1045, "28000")
        with contextlib.suppress(wire.DisconnectedError):
            query(stream, "SELECT 1")
        assert is_over(stream)


def test_queries_before_the_login_are_not_answered(port: int) -> None:
    with raw(port) as (stream, _):
        stream.write(bytes([Command.QUERY]) + b"SELECT 1")
        assert wire.parse_error(stream.read(wire.LOGIN_LIMIT)).code == 1043
        assert is_over(stream)


@settings(deadline=None, max_examples=40)
@given(data=st.binary(min_size=1, max_size=200))
def test_any_bytes_for_a_login_end_the_connection(data: bytes) -> None:
    world = World()
    with (
        contextlib.closing(SqliteDatabase(SCHEMA)) as database,
        world.proxy(proxies.settings(database)) as proxy,
        raw(proxy.port) as (stream, _),
    ):
        with contextlib.suppress(OSError):
            stream.sock.sendall(data)
            stream.sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while stream.sock.recv(4096):
                pass
    assert not any(login.accepted for login in world.report.logins)


def test_a_login_too_large_is_refused_unread(port: int, world: World) -> None:
    with raw(port) as (stream, _):
        stream.sock.sendall((wire.LOGIN_LIMIT + 1).to_bytes(3, "little") + b"\x01")
        stream.sequence = 2
        assert wire.parse_error(stream.read(wire.LOGIN_LIMIT)).code == 1043
        assert is_over(stream)
    assert "a packet of" in world.report[-1].reason


def test_a_packet_out_of_order_is_refused(port: int, world: World) -> None:
    with raw(port) as (stream, _):
        stream.sequence = 5
        stream.write(login_packet())
        stream.sequence = 1
        assert wire.parse_error(stream.read(wire.LOGIN_LIMIT)).code == 1043
        assert is_over(stream)
    assert "where 1 was due" in world.report[-1].reason


def test_rubbish_in_place_of_tls_ends_the_connection(port: int, world: World) -> None:
    with raw(port) as (stream, _):
        stream.write(struct.pack("<IIB23x", OFFERED, 1 << 24, 255))
        stream.sock.sendall(b"this is not a ClientHello, is it?" * 4)
        with contextlib.suppress(OSError):
            while stream.sock.recv(4096):
                pass
    assert "TLS failed" in world.report[-1].reason


def test_a_silent_client_is_let_go(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "LOGIN_SECONDS", 0.05)
    with raw(port) as (stream, _):
        assert is_over(stream)
    assert "too long" in world.report[-1].reason


def test_a_client_that_drips_is_let_go(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "LOGIN_SECONDS", 0.2)
    packet = login_packet()
    with raw(port) as (stream, _):
        with contextlib.suppress(OSError):
            for n in range(1000):  # a byte now and then, so that no single wait is long
                stream.sock.sendall((len(packet).to_bytes(3, "little") + b"\1" + packet)[n : n + 1])
                time.sleep(0.01)
        with contextlib.suppress(OSError):
            assert stream.sock.recv(1) == b""
    assert not any(login.accepted for login in world.report.logins)


def test_an_idle_client_is_let_go(world: World) -> None:
    with (
        contextlib.closing(SqliteDatabase(SCHEMA)) as database,
        world.proxy(proxies.settings(database, idle_seconds=0.05)) as proxy,
        raw(proxy.port) as (stream, greeting),
    ):
        assert log_in(stream, greeting) == b"\x01\x03"
        assert stream.read(wire.LOGIN_LIMIT)[:1] == b"\0"
        stream.new_command()
        assert is_over(stream)


def test_another_plugin_than_the_proxy_wants_is_switched(port: int) -> None:
    with raw(port) as (stream, greeting):
        stream.write(login_packet(plugin=b"mysql_native_password", answer=b"y" * 20))
        asked = stream.read(wire.LOGIN_LIMIT)
        assert asked == b"\xfe" + SHA2.encode() + b"\0" + greeting.nonce + b"\0"
        stream.write(scramble(SHA2, SECRET.password, greeting.nonce))
        assert stream.read(wire.LOGIN_LIMIT) == b"\x01\x03"
        assert stream.read(wire.LOGIN_LIMIT)[:1] == b"\0"


def test_change_user_ends_the_connection(port: int) -> None:
    with raw(port) as (stream, greeting):
        log_in(stream, greeting)
        stream.read(wire.LOGIN_LIMIT)
        stream.new_command()
        stream.write(bytes([Command.CHANGE_USER]) + b"root\0\0\0")
        assert wire.parse_error(stream.read(wire.LOGIN_LIMIT)).code == 1047
        assert is_over(stream)


def test_clients_without_deprecate_eof_get_eof_packets(port: int) -> None:
    with raw(port) as (stream, greeting):
        answer = scramble(SHA2, SECRET.password, greeting.nonce)
        stream.write(login_packet(answer=answer, flags=FLAGS & ~Capability.DEPRECATE_EOF))
        stream.read(wire.LOGIN_LIMIT)
        stream.read(wire.LOGIN_LIMIT)
        query(stream, "SELECT 7")
        packets = [stream.read(wire.LOGIN_LIMIT) for _ in range(5)]
    count, _column, eof, row, end = packets
    assert (count, row) == (b"\x01", b"\x017")
    assert eof[:1] == end[:1] == b"\xfe"
    assert len(eof) == len(end) == 5


def test_closing_a_proxy_ends_its_connections(world: World) -> None:
    with contextlib.closing(SqliteDatabase(SCHEMA)) as database, contextlib.ExitStack() as stack:
        with world.proxy(proxies.settings(database)) as proxy:
            waiting, _ = stack.enter_context(raw(proxy.port))
            inside, greeting = stack.enter_context(raw(proxy.port))
            log_in(inside, greeting)
            inside.read(wire.LOGIN_LIMIT)
        assert is_over(waiting)
        inside.new_command()
        assert is_over(inside)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), 5)
