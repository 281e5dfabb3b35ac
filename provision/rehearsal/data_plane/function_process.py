"""One execution environment: a process that holds a function, cold at first and warm after.

The process gets the function's configuration for its environment variables and nothing of ours;
it imports from the unpacked code and layers, the standard library, and what Lambda's runtime
itself brings. It is Python of this machine, whatever version the function is configured for.

It is a process of whoever runs the rehearsal, not a sandbox: what `runtime/` patches in Python
shows a function the network that it would have, and stops accidents. Code that means harm meets
Landlock alone, where the kernel has it: see `protection`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

INIT_SECONDS = 30.0
"""Lambda allows 10 s, on a machine that has nothing else to do."""
GUARDIAN_SECONDS = 2.0
"""How long the guardian may take to kill what the function started (runtime/)."""
RUNTIME_PACKAGES = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
"""What Lambda's Python runtime brings beside the standard library."""
_BOOTSTRAP = Path(__file__).parent / "runtime" / "bootstrap.py"


class ProcessTimeoutError(Exception):
    """The function did not answer in time; its process is gone."""


class ProcessExitError(Exception):
    """The function's process ended by itself; the message is how."""


@dataclass(frozen=True)
class Reply:
    """What the process answered: a payload or an error, as JSON text; and what it asked of the net.

    `refused`: host and port of each connection that was not let through. `peak_mib`: its memory.
    """

    payload: str
    failed: bool
    refused: list[tuple[str, int]]
    peak_mib: int


@dataclass(frozen=True)
class Routes:
    """Where a function can connect to: `endpoint:port` to a loopback port.

    `closed`: why it reaches no other port of an endpoint, by endpoint; all of them are in it.
    """

    open: Mapping[str, int]
    closed: Mapping[str, str]


class FunctionProcess:
    """A running process. Not for two threads at once."""

    def __init__(
        self,
        task: Path,
        layers: list[Path],
        handler: str,
        environment: Mapping[str, str],
        ports: Iterable[int] = (),
    ) -> None:
        """Start the process; `wait_ready` tells how that went.

        `ports`: all of this machine's that it may ever connect to.
        """
        self.ports = frozenset(ports)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._scratch = tempfile.TemporaryDirectory(prefix="rehearsal-scratch-")
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_BOOTSTRAP)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={"TMPDIR": self._scratch.name, **environment},
            cwd=task,
            start_new_session=True,  # a group of its own: Ctrl-C is for us, and we end all of it
        )
        self._send(
            {
                "task": str(task),
                "layers": [str(layer) for layer in layers],
                "handler": handler,
                "packages": runtime_packages(),
                "writable": [self._scratch.name],
                "ports": sorted(self.ports),
            }
        )

    def wait_ready(self) -> tuple[Reply | None, float]:
        """Wait until the handler is loaded; return its failure, if any, and the seconds it took.

        Raises ProcessTimeoutError and ProcessExitError.
        """
        message = self._receive(INIT_SECONDS)
        seconds = time.monotonic() - self._started
        return (None if "ready" in message else _reply(message)), seconds

    def invoke(
        self, request_id: str, arn: str, event: str, seconds: float, routes: Routes
    ) -> Reply:
        """Call the handler once. Raises ProcessTimeoutError after `seconds`, ProcessExitError."""
        self._send(
            {
                "id": request_id,
                "arn": arn,
                "event": event,
                "seconds": seconds,
                "routes": dict(routes.open),
                "endpoints": list(routes.closed),
            }
        )
        return _reply(self._receive(seconds))

    def take_log(self) -> str:
        """Return what the process wrote to stdout and stderr since the last call."""
        # The process writes at the end of the file (its descriptor shares our offset), so after a
        # look from the start it must be left empty, with the offset back at the start.
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), size, 0)
        os.ftruncate(self._log.fileno(), 0)
        os.lseek(self._log.fileno(), 0, os.SEEK_SET)
        return data.decode("utf-8", "replace")

    def close(self) -> None:
        """End the process and whatever it started, and reap it. Twice is once."""
        self._end()
        self._scratch.cleanup()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _end(self) -> int:
        """Let the guardian kill all of it, or else the process group; return how it ended."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(GUARDIAN_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # not reaped, so its id is still its own
        return self._process.wait()

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode()
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        # The next receive tells how it ended.
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(len(data).to_bytes(4, "big") + data)
            self._process.stdin.flush()

    def _receive(self, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        header = self._read(4, end)
        message: dict[str, Any] = json.loads(self._read(int.from_bytes(header, "big"), end))
        return message

    def _read(self, size: int, end: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while len(data) < size:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise ProcessTimeoutError
                part = os.read(self._process.stdout.fileno(), size - len(data))
                if not part:
                    raise ProcessExitError(_how_it_ended(self._end()))
                data += part
        return bytes(data)


def _reply(message: Mapping[str, Any]) -> Reply:
    failed = "error" in message
    return Reply(
        payload=message["error" if failed else "payload"],
        failed=failed,
        refused=[(host, port) for host, port in message.get("refused", [])],
        peak_mib=message.get("peak_mib", 0),
    )


def _how_it_ended(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"


def protection() -> str:
    """What a function's code is kept from on this machine, in words."""
    try:
        from provision.rehearsal.data_plane.runtime import _rehearsal_confinement as confinement
    except ImportError:  # a Python without ctypes
        return "function code runs as you, unconfined: this Python has no ctypes"
    return confinement.words(confinement.version())


@cache
def runtime_packages() -> dict[str, str]:
    """Return the folder that each of Lambda's packages lies in on this machine."""
    folders = {}
    for name in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin)
            folders[name] = str(path.parent.parent if path.name == "__init__.py" else path.parent)
    return folders
