"""A listener on loopback that gives each connection a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

_BACKLOG = 128


class TcpServer:
    """Listens on 127.0.0.1 until it is closed; port 0 is any free one.

    `serve` gets each connection, which ends when it returns.
    """

    def __init__(self, serve: Callable[[socket.socket], None], *, name: str, port: int = 0) -> None:
        self._serve = serve
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=name, daemon=True)
        self._acceptor.start()

    def close(self, *, wait: bool = False) -> None:
        """Stop listening, and end every connection. Twice is once. `wait`: for their threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes up accept()
        self._listener.close()
        self._acceptor.join()
        with self._lock:
            open_now = dict(self._open)
        for sock in open_now:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in open_now.values() if wait else ():
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            with self._lock:
                self._open[sock] = thread
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):  # the caller is gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(sock)
        finally:
            with self._lock:
                del self._open[sock]
            sock.close()
