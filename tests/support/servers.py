"""Servers to run the commands against, each in a process of its own that ends with its block."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from provision.cli.clean_environ import cleaned
from provision.rehearsal import UNWANTED, Remote
from tests.support.commands import ROOT

# moto's own server, as anybody would start it: nothing of ours is in it.
PLAIN_MOTO = """
import json, sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(json.dumps({"endpoint_url": "http://%s:%s" % server.get_host_and_port()}), flush=True)
sys.stdin.read()
server.stop()
"""


# A rehearsed AWS, 2000 times faster than AWS, without functions that can be invoked.
REHEARSAL = (
    "-m", "provision.rehearsal", "--speed", "2000", "--no-data-plane", "--control", "--typical",
)  # fmt: skip


@contextlib.contextmanager
def rehearsal_server(*flags: str) -> Iterator[Remote]:
    """A rehearsed AWS (see REHEARSAL), started with `flags` beside."""
    with _serving([*REHEARSAL, *flags]) as about:
        yield Remote(about)


@contextlib.contextmanager
def quiet(remote: Remote) -> Iterator[None]:
    """Let what is made in the block be seen at once."""
    remote.set_manners(consistency=False)
    yield
    remote.set_manners(consistency=True)


def mutating(remote: Remote, since: int) -> list[str]:
    """Return the calls since then that may have changed something."""
    return [each.operation for each in remote.journal()[since:] if each.mutating]


@contextlib.contextmanager
def plain_moto_server() -> Iterator[str]:
    """moto's own server, with AWS's managed policies; its URL."""
    with _serving(["-c", PLAIN_MOTO], MOTO_IAM_LOAD_MANAGED_POLICIES="true") as about:
        yield about["endpoint_url"]


@contextlib.contextmanager
def _serving(arguments: list[str], **environ: str) -> Iterator[Mapping[str, Any]]:
    """Start Python with these arguments; it prints where it listens, and ends with its stdin."""
    inherited = {k: text for k, text in cleaned(os.environ).items() if k not in UNWANTED}
    server = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=inherited | environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with server:
        assert server.stdin
        assert server.stdout
        try:
            yield json.loads(server.stdout.readline())
            server.stdin.close()
            server.wait(timeout=10)
        finally:
            server.kill()


@contextlib.contextmanager
def http_api(
    respond: Callable[[str, int], tuple[int, Mapping[str, str], bytes]],
) -> Iterator[tuple[str, list[str]]]:
    """An HTTP API on loopback; its URL, and the paths that were asked for.

    `respond` gives status, headers and body for a path and the number of the call, from 1 on.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, body = respond(self.path, len(asked))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


class Silence:
    """Something that listens on loopback, hears who calls, and never answers.

    `calls` is how many connections there were: for tests that want none.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.calls = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.calls += 1
                connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
