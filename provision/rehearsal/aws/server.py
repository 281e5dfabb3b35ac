"""The address of a rehearsed AWS: its calls, and its control endpoint where there is one."""

from __future__ import annotations

from provision.rehearsal.aws.control import ControlEndpoint
from provision.rehearsal.aws.front import Front
from provision.rehearsal.http_server import HttpServer, Request, Response

BODY_LIMIT = 256 * 1024 * 1024  # bytes: far more than the largest zip that Lambda takes
IDLE_SECONDS = 120.0


class Server:
    """Serves `front` on 127.0.0.1, until `close`; orders only where there is a `control`."""

    def __init__(self, front: Front, port: int = 0) -> None:
        self._front = front
        self.control: ControlEndpoint | None = None
        self._http = HttpServer(
            self._answer, body_limit=BODY_LIMIT, idle_seconds=IDLE_SECONDS, port=port
        )
        self.url = self._http.url
        """Where the server listens, as `http://127.0.0.1:PORT`."""

    def close(self) -> None:
        """Stop listening, and close the connections that are still open."""
        self._http.close()

    def _answer(self, request: Request) -> Response:
        if self.control is not None and self.control.is_meant(request):
            return self.control.answer(request)
        return self._front.answer(request)
