"""The harness of the sweeps: a rehearsed AWS in another process, and the two commands run at it.

`ForkedCommands` runs `python -m provision` and `python -m teardown`, each in a process of its own,
in a folder of its own, with nothing of the caller's environment. `RehearsedAccount` is the AWS of
the rehearsal: faults, resets, and an inventory that asks AWS itself and shares no code with the
product.
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
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from provision.cli.clean_environ import cleaned
from provision.rehearsal import Entry, Fault, Remote
from tests.support.commands import measured
from tests.support.names import REGION
from tests.sweeps.inventory import Inventory

ROOT = Path(__file__).parents[2]
SPEED = 3000.0  # of the rehearsed AWS: its minutes take milliseconds
SLOW = 30.0  # the same, for tests that want to be there while AWS is at work
UNHURRIED = 100.0  # the same, for tests in which a command meets AWS at work, and waits for it
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

    commands: ForkedCommands
    pid: int
    _gate: int
    _streams: dict[int, bytearray]  # of stdout and stderr: what was read, by descriptor
    _deadline: float = field(default_factory=lambda: time.monotonic() + PATIENCE)
    _closed: bytearray | None = None  # stdout, when it is read no more

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

    def stop_reading(self) -> None:
        """Read its stdout no more, as `| head` does."""
        stdout = next(iter(self._streams))
        os.close(stdout)
        self._closed = self._streams.pop(stdout)

    def end(self) -> Ended:
        """Wait until it has ended."""
        self.wait()
        code = self.commands.ask({"do": "reap", "pid": self.pid})["code"]
        for stream in self._streams:
            os.close(stream)
        return Ended(code, self._text(0), self._text(1))

    def _text(self, index: int) -> str:
        closed = [] if self._closed is None else [self._closed]
        return bytes([*closed, *self._streams.values()][index]).decode(errors="replace")


class ForkedCommands:
    """Runs the two commands, each run in a process forked from one that has imported everything."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            arguments = [sys.executable, "-m", "tests.sweeps.zygote", str(theirs.fileno())]
            self._process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | measured(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._lock = threading.Lock()

    def start(
        self,
        module: str,
        *argv: str,
        cwd: Path,
        environ: dict[str, str],
        file_bytes: int | None,
        humble: bool,
    ) -> Running:
        """Fork a run that waits for its `go`."""
        (out, out_end), (err, err_end), (gate_end, gate) = os.pipe(), os.pipe(), os.pipe()
        request = {
            "do": "run", "module": module, "argv": argv, "environ": environ, "cwd": str(cwd),
            "speed": PACE, "file_bytes": file_bytes, "humble": humble,
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


class RehearsedAccount:
    """A rehearsed AWS account in a process of its own."""

    def __init__(self) -> None:
        arguments = ["--no-data-plane", "--control", "--speed", str(SPEED), "--region", REGION]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "provision.rehearsal", *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env=cleaned(os.environ),
        )  # fmt: skip
        assert self._process.stdout
        self.remote = Remote(json.loads(self._process.stdout.readline()))
        self.environ = self.remote.environ()
        self.inventory = Inventory(self.remote)

    def passes(self, speed: float) -> None:
        """Let AWS's time pass at this speed from now on, until the next reset.

        A slower AWS would throttle commands that are still in a hurry, so it does not throttle.
        """
        self.remote.set_manners(speed=speed, throttling=False)

    def mutations(self, since: int = 0) -> list[Entry]:
        """The calls so far that may have changed something, after the first `since` calls."""
        return [entry for entry in self.remote.journal()[since:] if entry.mutating]

    def played(self) -> Counter[str]:
        """How many faults were played on calls since the last reset, by their kind."""
        return Counter(entry.fault for entry in self.remote.journal() if entry.fault)

    def close(self) -> None:
        """End the rehearsal."""
        self._process.communicate()


@dataclass
class Place:
    """A folder from which a person runs the commands on one environment of the account."""

    account: RehearsedAccount
    commands: ForkedCommands
    folder: Path
    name: str = "demo"
    found: Counter[str] = field(default_factory=Counter)  # inventories, copies, leftovers so far

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / ".provision" / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """The lock of the state file."""
        return self.state.with_name(f"{self.state.name}.lock")

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

    def holds_one_of_everything(self, *others: str) -> None:
        """Assert that the account holds the whole environment, each thing once, and `others`."""
        held = Counter(self.account.inventory.held())
        wanted = Counter([*self.account.inventory.expected(self.name), *others])
        self.found["inventories"] += 1
        self.found["copies"] += (held - wanted).total()
        assert not held - wanted, f"copies, or foreign to it: {held - wanted}"
        assert not wanted - held, f"missing: {wanted - held}"

    def holds_nothing(self, *others: str) -> None:
        """Assert that the account holds nothing but `others`, and the state file no step."""
        left = Counter(self.account.inventory.held()) - Counter(others)
        self.found["inventories"] += 1
        self.found["leftovers"] += left.total()
        assert not left, f"left: {left}"
        assert sorted(self.account.inventory.held()) == sorted(others), "somebody else's is gone"
        assert self.steps() == {}

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
        humble: bool = False,
        output: str = "json",
    ) -> Running:
        """Make a run ready. `faults` take the place of all that were; None leaves them.

        `file_bytes` is the most that it can write to a file; `humble` binds root by permissions.
        """
        argv = [*flags, "--config", str(ROOT / "config.toml"), "--output", output]
        argv += ["--set", f"environment.name={self.name}"]
        variables = {"PATH": os.environ["PATH"], **self.account.environ}
        running = self.commands.start(
            module,
            *argv,
            cwd=self.folder,
            environ=variables,
            file_bytes=file_bytes,
            humble=humble,
        )
        if faults is not None:
            self.account.remote.register(running.pid)
            self.account.remote.set_faults(*faults, victim=running.pid)
        return running
