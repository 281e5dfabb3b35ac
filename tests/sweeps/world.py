"""The harness of the sweeps: a rehearsed AWS in another process, and the two commands run at it.

`Commands` runs `python -m provision` and `python -m teardown`, each in a process of its own, in a
folder of its own, with nothing of the caller's environment. `Account` is the rehearsed AWS: faults,
resets, and an inventory that asks AWS itself and shares no code with the product.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from provision.rehearsal import Entry, Fault, Remote, environ
from tests.sweeps.inventory import Inventory

ROOT = Path(__file__).parents[2]
REGION = "ap-northeast-1"
SPEED = 3000.0  # of the rehearsed AWS: its minutes take milliseconds
PACE = 300.0  # of the commands: their polls and their patience
PATIENCE = 120.0  # seconds after which a run counts as stuck
KILLED = -signal.SIGKILL


@dataclass
class Ended:
    """How a run of a command ended."""

    code: int  # the exit code; negative: the signal that killed it
    out: str
    err: str

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Every event of `--output json`, in order. A line that a kill cut off is left out."""
        events = []
        for line in self.out.splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return events

    @property
    def summary(self) -> dict[str, Any]:
        """The summary, which is the last line."""
        assert self.events, f"no event at all; exit code {self.code}\n{self.err}"
        assert self.events[-1]["event"] == "summary", self
        return self.events[-1]

    @property
    def error(self) -> dict[str, Any]:
        """The error in the summary."""
        assert self.summary["error"], self.summary
        error: dict[str, Any] = self.summary["error"]
        return error

    def steps(self, action: str) -> set[str]:
        """The steps that ended with this action."""
        return {e["step"] for e in self.events if e["event"] == "step" and e["action"] == action}

    def __str__(self) -> str:
        told = "\n".join(json.dumps(event) for event in self.events[-25:])
        return f"exit code {self.code}\n{told}\n{self.err[-4000:]}"


@dataclass
class Running:
    """A run of a command that has not ended yet; it begins with `go`."""

    commands: Commands
    pid: int
    _gate: int
    _streams: dict[int, bytearray]
    _deadline: float = field(default_factory=lambda: time.monotonic() + PATIENCE)

    def go(self) -> Running:
        """Let it begin."""
        os.close(self._gate)
        return self

    def send(self, number: int) -> None:
        """Send it a signal; one that has ended already gets none."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seen: Callable[[str], bool] = lambda _: False) -> bool:
        """Read on until `seen` holds of what stdout has so far: True; False when the run ended."""
        with selectors.DefaultSelector() as selector:
            for stream in self._streams:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                if seen(self._text(0)):
                    return True
                left = self._deadline - time.monotonic()
                if left < 0:
                    self.send(signal.SIGKILL)
                    raise AssertionError(f"stuck: {self._text(0)[-6000:]}\n{self._text(1)}")
                for key, _ in selector.select(left):
                    if data := os.read(key.fd, 1 << 16):
                        self._streams[key.fd] += data
                    else:
                        selector.unregister(key.fd)
        return seen(self._text(0))

    def end(self) -> Ended:
        """Wait until it has ended."""
        self.wait()
        code = self.commands.ask({"do": "reap", "pid": self.pid})["code"]
        for stream in self._streams:
            os.close(stream)
        return Ended(code, self._text(0), self._text(1))

    def _text(self, index: int) -> str:
        return bytes([*self._streams.values()][index]).decode(errors="replace")


class Commands:
    """Runs the two commands, each run in a process forked from one that has imported everything."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            arguments = [sys.executable, "-m", "tests.sweeps.zygote", str(theirs.fileno())]
            self._process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._lock = threading.Lock()

    def start(
        self, module: str, *argv: str, cwd: Path, environ: dict[str, str], file_bytes: int | None
    ) -> Running:
        """Fork a run that waits for its `go`."""
        (out, out_end), (err, err_end), (gate_end, gate) = os.pipe(), os.pipe(), os.pipe()
        request = {
            "do": "run", "module": module, "argv": argv, "environ": environ, "cwd": str(cwd),
            "speed": PACE, "file_bytes": file_bytes,
        }  # fmt: skip
        pid = self.ask(request, out_end, err_end, gate_end)["pid"]
        for descriptor in (out_end, err_end, gate_end):
            os.close(descriptor)
        return Running(self, pid, gate, {out: bytearray(), err: bytearray()})

    def ask(self, request: dict[str, Any], *descriptors: int) -> Any:
        """Ask the forking process for something."""
        with self._lock:
            message = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(self._socket, [message], descriptors)
            self._socket.sendall(message[sent:])
            answer = b""
            while not answer.endswith(b"\n"):
                part = self._socket.recv(1 << 16)
                assert part, "the forking process has died"
                answer += part
            return json.loads(answer)

    def close(self) -> None:
        """End the forking process."""
        self._socket.close()
        self._process.wait()


class Account:
    """A rehearsed AWS account in a process of its own."""

    def __init__(self) -> None:
        arguments = ["--no-data-plane", "--speed", str(SPEED), "--region", REGION]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "provision.rehearsal", *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout
        self.url: str = json.loads(self._process.stdout.readline())["endpoint_url"]
        self.remote = Remote(self.url)
        self.inventory = Inventory(self.url, REGION)

    def mutations(self, since: int = 0) -> list[Entry]:
        """The calls so far that may have changed something, after the first `since` calls."""
        return [entry for entry in self.remote.journal()[since:] if entry.mutating]

    def close(self) -> None:
        """End the rehearsal."""
        self._process.communicate()


@dataclass
class Place:
    """A folder from which a person runs the commands on one environment of the account."""

    account: Account
    commands: Commands
    folder: Path
    name: str = "demo"
    injected: int = 0  # faults so far

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / ".provision" / f"{self.name}.json"

    def steps(self) -> dict[str, Any]:
        """The steps in the state file; none where there is no file."""
        if not self.state.exists():
            return {}
        steps: dict[str, Any] = json.loads(self.state.read_text())["steps"]
        return steps

    def up(self, *flags: str, faults: Sequence[Fault] = (), file_bytes: int | None = None) -> Ended:
        """Run `up` from beginning to end, or until the faults kill it."""
        flags = ("up", "--no-check", *flags)
        return self.start("provision", *flags, faults=faults, file_bytes=file_bytes).go().end()

    def plan(self, *flags: str) -> Ended:
        """Run `plan --exit-code`."""
        return self.start("provision", "plan", "--exit-code", *flags).go().end()

    def teardown(self, *flags: str, faults: Sequence[Fault] = ()) -> Ended:
        """Run `teardown` from beginning to end, or until the faults kill it."""
        return self.start("teardown", "--yes", *flags, faults=faults).go().end()

    def start(
        self,
        module: str,
        *flags: str,
        faults: Sequence[Fault] | None = None,
        file_bytes: int | None = None,
        **variables: str,
    ) -> Running:
        """Make a run ready. `faults` take the place of all that were; None leaves them."""
        argv = [*flags, "--config", str(ROOT / "config.toml"), "--output", "json"]
        argv += ["--set", f"environment.name={self.name}"]
        variables = {"PATH": os.environ["PATH"], **environ(self.account.url, REGION), **variables}
        running = self.commands.start(
            module, *argv, cwd=self.folder, environ=variables, file_bytes=file_bytes
        )
        if faults is not None:
            self.injected += len(faults)
            self.account.remote.set_faults(*faults, victim=running.pid)
        return running
