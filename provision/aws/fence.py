"""Sends a request that changes something only while a check holds, to the last moment.

botocore's `before-send` comes before the connection is made, which takes round trips of its own
when none is open, and longer where a machine sleeps in between. `http.client` reports its sending
once more, as an audit event, right before the bytes leave: the check is repeated there.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

Check = Callable[[], None]

SENDING = "http.client.send"  # Python's documentation, "Audit events table"
_armed = threading.local()  # `check`: to be made before the next bytes of this thread leave
_hook = threading.Lock()
_hooked = False


def pass_through(check: Check | None) -> None:
    """Make the check now and, where `watch_sending` was called, again when this thread sends.

    None lets a request pass that changes nothing. Raises what the check raises.
    """
    _armed.check, _armed.connection = None, None
    if check is not None:
        check()
        _armed.check = check


def watch_sending() -> None:
    """Make the checks when bytes are sent, too. Python keeps an audit hook: once is enough."""
    global _hooked  # noqa: PLW0603 - as long as the process
    with _hook:
        if not _hooked:
            sys.addaudithook(_audit)
            _hooked = True


def _audit(event: str, details: Any) -> None:  # pragma: no cover - Python traces no audit hooks
    if event != SENDING:
        return
    check: Check | None = getattr(_armed, "check", None)
    if check is None:
        return
    connection = details[0]
    if _armed.connection in (None, connection):  # each part of the request
        _armed.connection = connection
        check()
    else:  # the request is over, and this is another
        _armed.check = None
