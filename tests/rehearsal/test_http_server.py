"""The loopback server: what HTTP it takes, and what it refuses, sent byte by byte."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from provision.rehearsal.http_server import HEAD_LIMIT, ConnectionCut, HttpServer, Request, Response

LIMIT = 1000


class Echo:
    """A server that answers with what it was sent, and a client that sends what it is told."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.server = HttpServer(self._answer, body_limit=LIMIT, idle_seconds=20)
        self.host = f"Host: 127.0.0.1:{self.server.port}\r\n"

    def _answer(self, request: Request) -> Response:
        self.seen.append(request)
        if request.path == "/cut":
            raise ConnectionCut
        return Response(200, (("x-method", request.method), ("Content-Length", "1")), request.body)

    def send(self, text: str, *, host: bool = True) -> bytes:
        """All that comes back until the server closes. `text`: a request without its Host."""
        first, _, rest = text.partition("\n")
        data = f"{first}\r\n{self.host if host else ''}{rest}".encode("latin-1")
        return self.raw(data)

    def raw(self, *parts: bytes) -> bytes:
        """The same for bytes as they are, sent one after the other."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as connection:
            for part in parts:
                connection.sendall(part)
            with contextlib.suppress(OSError):  # the server was quicker, and has closed it
                connection.shutdown(socket.SHUT_WR)
            got = b""
            while data := connection.recv(65536):
                got += data
            return got


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.server.close()


def status(answer: bytes) -> int:
    """The status of the first response."""
    return int(answer.split(b" ", 2)[1])


def head(*headers: str, method: str = "POST", target: str = "/") -> str:
    """A request's head, without its Host."""
    return "\r\n".join(
        [f"{method} {target} HTTP/1.1\n{''.join(h + chr(13) + chr(10) for h in headers)}", ""]
    )


@pytest.mark.parametrize(
    "sent",
    [
        head("Content-Length: 5", "Content-Length: 6") + "hello!",
        head("Content-Length: 5", "Content-Length: 5") + "hello",
        head("Content-Length: 5, 5") + "hello",
        head("Content-Length: abc"),
        head("Content-Length: -1"),
        head("Content-Length: +5") + "hello",
        head("Content-Length: 5_0"),
        head("Content-Length: 0x5") + "hello",
        head("Content-Length: \xb2"),
        head("Content-Length:"),
        head("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n",
        head("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n",
        head("Transfer-Encoding: xchunked") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked") + "nonsense\r\n\r\n",
        head("Transfer-Encoding: chunked") + "-1\r\n\r\n",
        head("Transfer-Encoding: chunked") + "0x5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked") + "5\r\nhello!\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked") + "5\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked") + "fffffffff\r\n",
        head("Transfer-Encoding: chunked") + "0\r\nno trailer\r\n\r\n",
        head("Content-Length : 5") + "hello",
        head(" Content-Length: 5") + "hello",
        head("no colon"),
        head(": no name"),
        head("X: a\r folded"),
        head("X: a\rContent-Length: 5") + "hello",
        head("X: a\0b"),
        head("X: \x1b[31m"),
        head("X: " + "a" * HEAD_LIMIT),
        head(*["X: a"] * (HEAD_LIMIT // 6)),
        head(method="get"),
        head(method="G(T"),
        head(target="http://127.0.0.1/"),
        head(target="*"),
        head(target="/a b"),
        head(target="/\x7f"),
        head(target="/" + "a" * HEAD_LIMIT),
        head("Host: 127.0.0.1"),
        "GET / HTTP/2.0\n\r\n",
        "GET / HTTP/1.1 \n\r\n",
        "GET /\n\r\n",
    ],
    ids=lambda sent: repr(sent[15:60]),
)  # fmt: skip
def test_odd_framing_gets_a_400_and_the_connection_ends(
    echo: Echo, sent: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = echo.send(sent)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1
    assert b"\r\nconnection: close\r\n" in answer
    assert echo.seen == []
    assert "Traceback" not in capfd.readouterr().err


def test_lines_that_end_in_a_line_feed_alone_are_refused(echo: Echo) -> None:
    assert status(echo.raw(f"GET / HTTP/1.1\n{echo.host}\r\n".encode())) == 400
    assert status(echo.raw(f"GET / HTTP/1.1\r\n{echo.host}X: a\n\r\n".encode())) == 400
    assert echo.seen == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (head("Content-Length: 1001"), 413),
        (head("Content-Length: 99999999999999999"), 413),
        (head("Transfer-Encoding: chunked") + "3e9\r\n", 413),
        (head("Transfer-Encoding: chunked") + "1f4\r\n" + "a" * 500 + "\r\n1f5\r\n", 413),
    ],
)
def test_too_large_a_body_is_refused_before_it_is_read(echo: Echo, sent: str, code: int) -> None:
    assert status(echo.send(sent)) == code
    assert echo.seen == []


def test_a_refused_client_that_goes_on_sending_still_reads_why(echo: Echo) -> None:
    sent = f"POST / HTTP/1.1\r\n{echo.host}Content-Length: 4000000\r\n\r\n".encode()
    assert status(echo.raw(sent, *[b"x" * 100_000] * 40)) == 413


@pytest.mark.parametrize(
    "host",
    [
        "",
        "Host: evil.example",
        "Host: evil.example:{port}",
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:1",
        "Host: 127.0.0.1:{port}.evil.example",
        "Host: 127.0.0.1:{port}@evil.example",
        "Host: localhost:{port}",
        "Host: 0.0.0.0:{port}",
        "Host: 127.0.0.1:{port}\r\nHost: evil.example",
    ],
)
def test_a_host_that_the_url_does_not_name_is_refused(echo: Echo, host: str) -> None:
    line = host.format(port=echo.server.port) + ("\r\n" if host else "")
    answer = echo.send(f"GET / HTTP/1.1\n{line}\r\n", host=False)
    assert status(answer) == (403 if host.count("Host") == 1 else 400)
    assert echo.seen == []


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (head(method="GET"), b""),
        (head("Content-Length: 5") + "hello", b"hello"),
        (head("content-length:5  ") + "hello", b"hello"),
        (head("Transfer-Encoding: chunked") + "2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n", b"hello"),
        (head("Transfer-Encoding: Chunked") + "0\r\nTrailer: x\r\n\r\n", b""),
        (head("X: \xe9\tz", "X: again"), b""),
    ],
)  # fmt: skip
def test_what_is_well_formed_is_answered(echo: Echo, sent: str, body: bytes) -> None:
    answer = echo.send(sent)
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\n" + body)
    assert answer.lower().count(b"content-length") == 1  # the server's own
    assert echo.seen[0].body == body


def test_a_connection_carries_many_requests_until_one_says_close(echo: Echo) -> None:
    one = f"POST / HTTP/1.1\r\n{echo.host}Content-Length: 1\r\n\r\n".encode()
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = echo.raw(one + b"a", one + b"b", last + b"c", one + b"d")
    assert answer.count(b"HTTP/1.1 200") == 3
    assert [request.body for request in echo.seen] == [b"a", b"b", b"c"]
    assert echo.raw(one.replace(b"1.1", b"1.0") + b"a", one).count(b"HTTP/1.1 200") == 1


def test_a_client_that_waits_for_100_gets_it(echo: Echo) -> None:
    with socket.create_connection(("127.0.0.1", echo.server.port), timeout=20) as connection:
        asked = head("Content-Length: 2", "Expect: 100-continue").replace(
            "\n", "\r\n" + echo.host, 1
        )
        connection.sendall(asked.replace("\r\r", "\r").encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert connection.recv(65536).endswith(b"ok")


def test_head_has_no_body_and_a_cut_no_answer(echo: Echo) -> None:
    answer = echo.send(head("Content-Length: 2", method="HEAD") + "hi")
    assert answer.endswith(b"content-length: 2\r\n\r\n")
    assert echo.send(head(method="GET", target="/cut")) == b""


@pytest.mark.parametrize("cut", [10, 30, -2])
def test_a_client_that_leaves_halfway_is_nothing_to_tell(
    echo: Echo, cut: int, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = f"POST / HTTP/1.1\r\n{echo.host}Content-Length: 5\r\n\r\nhello".encode()
    assert echo.raw(whole[:cut]) == b""
    assert echo.seen == []
    assert capfd.readouterr().err == ""


def test_close_ends_open_connections(echo: Echo) -> None:
    with socket.create_connection(("127.0.0.1", echo.server.port), timeout=20) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\n{echo.host}\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        echo.server.close()
        assert connection.recv(1) == b""
