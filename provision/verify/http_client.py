"""One call to one route of the HTTP API, and what came back.

The headers and bodies are those of functions/shared/http_api.py. On AWS the API's certificate is
verified; a loopback address, as in a rehearsal, is called without any proxy.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from provision.resources.template import Login, RouteName

MOST_ROWS = 10_000  # asked for with ?limit=, the most that the functions take
MOST_BYTES = 7 * 1024 * 1024  # of an answer; Lambda's own limit is 6 MiB
SECONDS = 35.0  # the most that a call takes: an HTTP API gives up on its function after 30
QUOTED = 200  # characters of an answer that is not one of the functions'


@dataclass(frozen=True)
class LoginRoute:
    """A route of the API, and the login that is behind it."""

    name: RouteName
    path: str
    login: Login


LOGIN_ROUTES = (
    LoginRoute("func1", "/func1", "password"),
    LoginRoute("root", "/", "password"),
    LoginRoute("func2", "/func2", "iam"),
)


@dataclass(frozen=True)
class FunctionError:
    """What a function says of its failure: the error's class, its code, and one line of words.

    In an answer there are no words (the API is public): the log has them, by `request_id`.
    """

    kind: str
    code: str
    message: str = ""
    request_id: str = ""

    def __str__(self) -> str:
        code = f" {self.code}" if self.code and self.code not in self.message else ""
        return f"{self.kind}{code}: {self.message}" if self.message else f"{self.kind}{code}"

    def same(self, other: FunctionError) -> bool:
        """Return whether the other is of the same class and code."""
        return (self.kind, self.code) == (other.kind, other.code)


@dataclass(frozen=True)
class Answer:
    """What came back from a route."""

    status: int = 0  # HTTP's; 0 = nothing came back, and `text` says why
    login: str = ""  # X-Login
    tls: str = ""  # X-TLS: the version, or `none`
    login_ms: float | None = None  # Server-Timing
    ms: float = 0.0  # the whole call
    rows: tuple[str, ...] | None = None  # the stored times, oldest first
    truncated: bool = False  # the oldest rows were left out
    error: FunctionError | None = None
    text: str = ""  # the beginning of any other body

    def works(self, login: str) -> bool:
        """Return whether this is the answer of a login that worked, and in the way wanted."""
        answered = self.status == HTTPStatus.OK and bool(self.rows) and self.login == login
        return answered and not (login == "iam" and self.tls in ("", "none"))

    def __str__(self) -> str:
        """Return what came back, in one line."""
        if not self.status:
            return self.text
        about = str(self.error) if self.error else self.text
        if self.rows is not None:
            about = f"{counted(self.rows)}, X-Login: {self.login}, X-TLS: {self.tls}"
        return f"HTTP {self.status} {about}".rstrip()


def counted(rows: tuple[str, ...]) -> str:
    """Return how many rows there are, in words."""
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"


def call(url: str, route: LoginRoute, *, rows: int = MOST_ROWS, timeout: float = SECONDS) -> Answer:
    """Call a route once, asking for at most so many rows.

    Returns what came back, whatever it was; raises nothing of the network.
    """
    began = time.perf_counter()
    try:
        with opener(url).open(f"{url}{route.path}?limit={rows}", timeout=timeout) as response:
            status, headers, body = response.status, response.headers, response.read(MOST_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            status, headers, body = error.code, error.headers, error.read(MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", error)
        text = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
        return Answer(text=text, ms=(time.perf_counter() - began) * 1000)
    return answer(status, headers, body, (time.perf_counter() - began) * 1000)


def opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens `url`: the user's own proxy settings hold, but not for loopback."""
    loopback = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if loopback else []))


def answer(status: int, headers: Any, body: bytes, ms: float) -> Answer:
    """Return the answer that status, headers and body make."""
    parsed = parse(body)
    timing = re.search(r"\blogin;dur=([0-9.]+)", headers.get("Server-Timing") or "")
    rows = error = None
    if isinstance(parsed, list) and all(isinstance(row, str) for row in parsed):
        rows = tuple(parsed)
    elif isinstance(parsed, dict) and {"error", "code"} <= set(parsed):
        error = function_error(parsed)
    return Answer(
        status=status,
        login=headers.get("X-Login") or "",
        tls=headers.get("X-TLS") or "",
        login_ms=float(timing[1]) if timing else None,
        ms=ms,
        rows=rows,
        truncated=bool(headers.get("X-Truncated")) or len(rows or ()) >= MOST_ROWS,
        error=error,
        text="" if rows or error else " ".join(body.decode("utf-8", "replace").split())[:QUOTED],
    )


def function_error(document: Mapping[str, Any]) -> FunctionError:
    """Return the failure in an answer, or in a line of the log (functions/shared/http_api.py)."""
    code = "" if document["code"] is None else str(document["code"])
    words, request_id = str(document.get("message", "")), str(document.get("request_id", ""))
    return FunctionError(str(document["error"]), code, words, request_id)


def parse(body: bytes) -> Any:
    """Return the JSON of a body, or None where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None
