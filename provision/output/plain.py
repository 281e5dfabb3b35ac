"""`--output plain`: lines, for CI logs, pipes and terminals without a cursor.

Results go to stdout, progress to stderr. A line is written when something changes; while nothing
does, a heartbeat says once a minute what is waited for and why.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO

from provision.errors import ProvisionError
from provision.output.base import Output, Summary
from provision.output.words import duration, plan_lines, summary_lines, table_lines
from provision.plan import Plan
from provision.resources.base import Resource

HEARTBEAT_SECONDS = 60.0


class Plain(Output):
    """Lines for a person."""

    def __init__(self, out: TextIO | None = None, progress: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._progress = progress or sys.stderr
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._waiting: dict[str, str] = {}
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    def start(self, command: str, resources: Sequence[Resource], about: str) -> None:
        self._began = time.monotonic()
        self._tell(f"{command}: {about}")
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def planned(self, plan: Plan, about: Any = None) -> None:
        for line in plan_lines(plan):
            self._tell(line)

    def began(self, resource: Resource, doing: str) -> None:
        self._changed(resource, doing)

    def status(self, resource: Resource, status: str, reason: str = "") -> None:
        self._changed(resource, f"{status}: {reason}" if reason else status)

    def finished(self, resource: Resource, action: str, identity: str, seconds: float) -> None:
        self._waiting.pop(resource.step, None)
        if action == "unchanged":
            return
        took = f" in {duration(seconds)}" if seconds >= 1 else ""
        self._stamped(f"{resource.step}: {action}{took}  {identity}".rstrip())

    def failed(self, resource: Resource, error: ProvisionError) -> None:
        self._waiting.pop(resource.step, None)
        self._stamped(f"{resource.step}: FAILED: {error.message}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._print("\n".join(["", *table_lines(title, columns, rows)]))

    def document(self, text: str) -> None:
        self._print(text)

    def note(self, text: str) -> None:
        self._tell(text)

    def error(self, error: ProvisionError) -> None:
        self._tell(f"error: {error.message}")
        if error.next_step:
            self._tell(f"next:  {error.next_step}")

    def summary(self, summary: Summary) -> None:
        if summary.silent:
            return
        self._print("\n".join(["", *summary_lines(summary)]))

    def close(self) -> None:
        self._ended.set()

    def _changed(self, resource: Resource, words: str) -> None:
        with self._lock:
            news = self._waiting.get(resource.step) != words
            self._waiting[resource.step] = words
        if news and words:
            self._stamped(f"{resource.step}: {words}")

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with self._lock:
                waiting = [f"{step} ({words})" for step, words in self._waiting.items()]
            if waiting:
                self._stamped(f"still waiting on {', '.join(waiting)}")

    def _stamped(self, text: str) -> None:
        self._tell(f"{duration(time.monotonic() - self._began):>7}  {text}")

    def _tell(self, text: str) -> None:
        with self._lock:
            print(text, file=self._progress, flush=True)

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, file=self._out, flush=True)
