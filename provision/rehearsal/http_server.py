"""HTTP/1.1 on loopback: the server under the rehearsed AWS and under its HTTP APIs.

A connection carries many requests, as AWS's do, and each has a thread. Where RFC 9112 lets a server
choose between repairing a message and refusing it, this one refuses: what two readers could frame
differently gets a 400, and the connection ends. A request for a host other than the server's own
URL gets a 403, so that no web page reaches it under a name of its own (DNS rebinding).

Not werkzeug's server, which moto brings: it closes the connection after every response, which costs
0.38 ms a request where this costs 0.02 (measured), and takes `Content-Length: abc` for no body.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import responses
from typing import BinaryIO
from urllib.parse import unquote

from provision.rehearsal.tcp_server import TcpServer

HEAD_LIMIT = 64 * 1024
"""The most bytes of a request line and all headers together."""
_DRAINED = 16 * 1024 * 1024  # bytes of a refused body that are read, so that its sender reads, too
_DRAIN_SECONDS = 1.0
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (/[!-~]*) HTTP/1\.([01])\r\n")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t -~\x80-\xff]*)?\r\n")
_FRAMING = ("connection", "content-length", "transfer-encoding")


class ConnectionCut(Exception):
    """The connection ends here, without an answer."""


class _Refused(Exception):
    """The request is refused before anybody reads it; the connection ends after the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """A request as it came in; `target` is path and query, still quoted."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    source_ip: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The path alone, unquoted."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> str:
        """What follows the question mark, still quoted."""
        return self.target.partition("?")[2]

    def values(self, name: str) -> list[str]:
        """Every value of a header; `name` in lower case."""
        return [value for given, value in self.headers if given.lower() == name]


@dataclass(frozen=True)
class Response:
    """An answer on its way out. The server adds what frames it."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class HttpServer:
    """Serves on 127.0.0.1 from threads of its own, until `close`.

    `answer` turns a request into a response, or raises ConnectionCut. A body of more than
    `body_limit` bytes is refused with a 413.
    """

    def __init__(
        self,
        answer: Callable[[Request], Response],
        *,
        body_limit: int,
        idle_seconds: float,
        port: int = 0,
    ) -> None:
        self.answer, self.body_limit, self._idle_seconds = answer, body_limit, idle_seconds
        self._tcp = TcpServer(self._serve, name="HTTP", port=port)
        self.port = self._tcp.port
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening, and end the connections that are still open. Twice is once."""
        self._tcp.close()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(self._idle_seconds)
        # The caller went away, or was killed, or kept silent; ValueError: closed under it.
        with (
            contextlib.suppress(OSError, ValueError),
            sock.makefile("rb") as incoming,
            sock.makefile("wb") as outgoing,  # buffered: one packet an answer
        ):
            connection = _HttpConnection(self, sock, incoming, outgoing)
            while connection.answer_one():
                pass


class _HttpConnection:
    """One connection, and what it carries."""

    def __init__(
        self, server: HttpServer, sock: socket.socket, incoming: BinaryIO, outgoing: BinaryIO
    ) -> None:
        self._server, self._sock = server, sock
        self._incoming, self._outgoing = incoming, outgoing
        self._host = f"127.0.0.1:{sock.getsockname()[1]}"
        self._source = str(sock.getpeername()[0])

    def answer_one(self) -> bool:
        """Answer one request; whether the connection can carry another."""
        try:
            head = self._read_head()
            if head is None:
                return False
            request, keep_alive = head
            request = replace(request, body=self._read_body(request, keep_alive))
        except _Refused as refused:
            self._write(_refusal(refused), keep_alive=False)
            self._drain()
            return False
        try:
            response = self._server.answer(request)
        except ConnectionCut:
            self._sock.shutdown(socket.SHUT_RDWR)
            return False
        self._write(response, keep_alive=keep_alive, head_only=request.method == "HEAD")
        return keep_alive

    def _read_head(self) -> tuple[Request, bool] | None:
        """The request without its body, and whether another may follow; None for no request."""
        left = HEAD_LIMIT
        line = self._read_line(left)
        if line == b"\r\n":  # RFC 9112, 2.2: one empty line before a request is ignored
            line = self._read_line(left)
        if not line:
            return None
        found = _REQUEST_LINE.fullmatch(line)
        if found is None:
            raise _Refused(400, "the request line is malformed")
        headers = []
        while True:
            left -= len(line)
            line = self._read_line(left)
            if line == b"\r\n":
                break
            header = _HEADER.fullmatch(line)
            if header is None:
                raise _Refused(400, "a header is malformed")
            headers.append((header[1].decode(), header[2].decode("latin-1")))
        request = Request(
            found[1].decode(), found[2].decode(), tuple(headers), source_ip=self._source
        )
        host = _only(request, "host")
        if host is None:
            raise _Refused(400, "the Host header is missing")
        if host != self._host:
            raise _Refused(403, "Forbidden")
        ends = any("close" in value.lower() for value in request.values("connection"))
        return request, found[3] == b"1" and not ends

    def _read_line(self, left: int) -> bytes:
        line = self._incoming.readline(max(left, 0) + 1)
        if len(line) > left:
            raise _Refused(400, f"request line and headers are over {HEAD_LIMIT} bytes")
        if line and not line.endswith(b"\n"):
            raise ConnectionResetError("the client left in the middle of a line")
        return line

    def _read_body(self, request: Request, keep_alive: bool) -> bytes:
        length, coding = _only(request, "content-length"), _only(request, "transfer-encoding")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise _Refused(400, "the body is framed in a way that is not understood")
            self._continue(request, keep_alive)
            return self._read_chunks()
        if length is None:
            return b""
        if not re.fullmatch("[0-9]{1,18}", length):
            raise _Refused(400, "Content-Length is not a number of bytes")
        if int(length) > self._server.body_limit:
            raise _Refused(413, "Request Entity Too Large")
        self._continue(request, keep_alive)
        return self._read_exactly(int(length))

    def _continue(self, request: Request, keep_alive: bool) -> None:
        if (_only(request, "expect") or "").lower() == "100-continue" and keep_alive:
            self._outgoing.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._outgoing.flush()

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            found = _CHUNK_SIZE.fullmatch(self._read_line(HEAD_LIMIT))
            if found is None:
                raise _Refused(400, "a chunk's size is malformed")
            size = int(found[1], 16)
            if len(body) + size > self._server.body_limit:
                raise _Refused(413, "Request Entity Too Large")
            if size == 0:
                break
            body += self._read_exactly(size)
            if self._read_exactly(2) != b"\r\n":
                raise _Refused(400, "a chunk is longer than its size")
        left = HEAD_LIMIT
        while (line := self._read_line(left)) != b"\r\n":
            if _HEADER.fullmatch(line) is None:
                raise _Refused(400, "a trailer is malformed")
            left -= len(line)
        return bytes(body)

    def _read_exactly(self, size: int) -> bytes:
        data = self._incoming.read(size)
        if len(data) < size:
            raise ConnectionResetError("the client left in the middle of a body")
        return data

    def _write(self, response: Response, *, keep_alive: bool, head_only: bool = False) -> None:
        bodiless = response.status < 200 or response.status in (204, 304)
        lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Status')}"]
        lines += [f"{n}: {v}" for n, v in response.headers if n.lower() not in _FRAMING]
        lines += [] if bodiless else [f"content-length: {len(response.body)}"]
        lines += [] if keep_alive else ["connection: close"]
        self._outgoing.write("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
        if not bodiless and not head_only:
            self._outgoing.write(response.body)
        self._outgoing.flush()

    def _drain(self) -> None:
        """Read what a refused client still sends: else it may be reset before it reads why."""
        self._sock.shutdown(socket.SHUT_WR)
        self._sock.settimeout(_DRAIN_SECONDS)
        left = _DRAINED
        while left > 0 and (data := self._sock.recv(65536)):
            left -= len(data)


def _only(request: Request, name: str) -> str | None:
    """The value of a header that may come once. Raises _Refused."""
    values = request.values(name)
    if len(values) > 1:
        raise _Refused(400, f"more than one {name} header")
    return values[0] if values else None


def _refusal(refused: _Refused) -> Response:
    body = f'{{"message":"{refused}"}}'.encode()
    return Response(refused.status, (("content-type", "application/json"),), body)
