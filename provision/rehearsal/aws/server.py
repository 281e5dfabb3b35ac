"""The HTTP server of a rehearsal, on loopback only, and a client for its control endpoints.

Connections are kept alive, as AWS keeps them, so boto3 uses few. What a test in another process
needs is under `/_rehearsal/`: see `Remote`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import socket
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from provision.rehearsal.aws.faults import ConnectionCut, Fault
from provision.rehearsal.aws.front import Front
from provision.rehearsal.aws.journal import Entry
from provision.rehearsal.aws.moto_app import Environ, Raw
from provision.rehearsal.aws.overrides import Override

CONTROL = "/_rehearsal/"


class Server:
    """Serves `front` on 127.0.0.1 from a thread of its own, until `close`."""

    def __init__(
        self, front: Front, control: Callable[[str, str, Any], Any], port: int = 0
    ) -> None:
        handler = type("Handler", (_Handler,), {"front": front, "control": _Control(control)})
        self._http = _Http(("127.0.0.1", port), handler)
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="rehearsal", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the server listens, as `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Stops listening, and closes the connections that are still open."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@dataclasses.dataclass(frozen=True)
class _Control:
    do: Callable[[str, str, Any], Any]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):
            super().shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away (killed, perhaps) is nothing to tell about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 to WSGI."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet an answer
    timeout = 120
    front: ClassVar[Front]
    control: ClassVar[_Control]

    def handle_any(self) -> None:
        """Answers one request, whatever its method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(CONTROL):
            raw = self._controlled(body)
        else:
            try:
                raw = self.front.serve(self._environ(), body)
            except ConnectionCut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
        self._send(raw)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any  # noqa: N815

    def handle_expect_100(self) -> bool:
        """Says at once that the body may come: botocore waits a second for that."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _controlled(self, body: bytes) -> Raw:
        name = self.path.removeprefix(CONTROL)
        try:
            answer = self.control.do(self.command, name, json.loads(body or b"null"))
        except (KeyError, TypeError, ValueError) as error:
            return Raw(400, [("Content-Type", "text/plain")], f"{name}: {error}".encode())
        return Raw(200, [("Content-Type", "application/json")], json.dumps(answer).encode())

    def _send(self, raw: Raw) -> None:
        self.send_response_only(raw.status)
        for name, value in raw.headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(raw.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw.body)

    def _environ(self) -> Environ:
        path, _, query = self.path.partition("?")
        environ: Environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": urllib.parse.unquote(path),
            "RAW_URI": self.path,
            "REQUEST_URI": self.path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": self.headers.get("Host", "").rpartition(":")[2] or "80",
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        return environ

    def log_message(self, *_: Any) -> None:
        """No log lines: the journal has the calls."""


class Remote:
    """The controls of a rehearsal that runs in another process.

    Every method raises OSError when the rehearsal is gone, ValueError when it refuses.
    """

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url

    def journal(self) -> list[Entry]:
        """Every call so far, in order of arrival."""
        return [Entry(**entry) for entry in self._ask("GET", "journal")]

    def set_faults(self, *faults: Fault, victim: int | None = None) -> None:
        """Replaces all faults; `victim` is the process id that the kill faults are for."""
        plain = [fault.as_dict() for fault in faults]
        self._ask("POST", "faults", {"faults": plain, "victim": victim})

    def set_overrides(self, *rules: Override) -> None:
        """Replaces the rules that change AWS's answers."""
        self._ask("POST", "overrides", [rule.as_dict() for rule in rules])

    def set_policy(self, document: dict[str, Any] | None) -> None:
        """Denies from now on whatever this IAM policy does not allow; None: allows all."""
        self._ask("POST", "policy", document)

    def set_manners(self, **changes: Any) -> None:
        """Changes some of the `Behaviours`."""
        self._ask("POST", "behaviours", changes)

    def advance(self, aws_seconds: float) -> None:
        """Lets AWS's time pass at once."""
        self._ask("POST", "advance", aws_seconds)

    def reset(self) -> None:
        """An empty account, an empty journal, no faults, overrides and policy."""
        self._ask("POST", "reset")

    def _ask(self, method: str, name: str, value: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self.endpoint_url}{CONTROL}{name}",
            data=json.dumps(value).encode() if method == "POST" else None,
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from None


def as_plain(entries: list[Entry]) -> list[dict[str, Any]]:
    """The journal as JSON takes it."""
    return [dataclasses.asdict(entry) for entry in entries]
