"""The processes that a rehearsal's faults may kill."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from pathlib import Path


class Processes:
    """The processes that a fault may kill: those registered when they were started.

    Each is held by a descriptor of its own where the system has that, so that a kill never meets
    another process that has got the same id since.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.time()
        self._held: dict[int, int | None] = {}

    def register(self, pid: int) -> None:
        """Let faults kill this process.

        Raises ValueError for one that was there before the rehearsal, is somebody else's, or has
        ended already.
        """
        if pid <= 1 or pid in (os.getpid(), os.getppid()):
            raise ValueError(f"process {pid} cannot be registered")
        try:
            held = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
            os.kill(pid, 0)
            self._check(pid)
        except OSError as error:
            raise ValueError(f"process {pid} cannot be registered: {error.strerror}") from None
        with self._lock:
            self._forget_ended()
            self._held[pid] = held

    def _forget_ended(self) -> None:
        watch = select.poll()
        for held in self._held.values():
            if held is not None:
                watch.register(held, select.POLLIN)
        ended = {descriptor for descriptor, _ in watch.poll(0)}
        for descriptor in ended:
            os.close(descriptor)
        self._held = {pid: held for pid, held in self._held.items() if held not in ended}

    def check(self, pid: int) -> None:
        """Raise ValueError for a process that was not registered."""
        if pid not in self._held:
            raise ValueError(f"process {pid} was not registered when it was started")

    def kill(self, pid: int) -> None:
        """Kill a registered process; one that has ended already, and any other, is left alone."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if pid in self._held:
                held = self._held[pid]
                if held is None:
                    os.kill(pid, signal.SIGKILL)
                else:
                    signal.pidfd_send_signal(held, signal.SIGKILL)

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            held, self._held = self._held, {}
        for descriptor in held.values():
            if descriptor is not None:
                os.close(descriptor)

    def _check(self, pid: int) -> None:
        about = Path(f"/proc/{pid}")
        if not Path("/proc/self").exists():  # not Linux
            return
        if about.stat().st_uid != os.geteuid():
            raise ValueError(f"process {pid} is somebody else's")
        if started(pid) < self._began - 1:  # the kernel counts in ticks
            raise ValueError(f"process {pid} was there before the rehearsal")


def started(pid: int) -> float:
    """When a process started, in seconds since the epoch (Linux). Raises OSError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks
