"""Runs a module's own tests with a mutant in its place, each run in a fork of this process.

The fork has everything imported that tests need of others, and nothing of this project; so a run
costs little more than its tests. The mutant lives in memory: no file is changed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What the tests and the project import of others, so that no fork has to.
HEAVY = ("boto3", "botocore.session", "hypothesis", "rich.console", "tenacity", "unittest.mock")
FACTOR, MARGIN = 4.0, 3.0  # a mutant may use so much more CPU (seconds) than the tests as they are
BROKEN = 70  # the exit code of a fork that did not get as far as pytest
NO_RUN = (BROKEN, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED)
WALL_SECONDS = (
    40.0  # a run that waits for ever uses no CPU; the longest of those that end takes ten
)


@dataclass(frozen=True)
class Job:
    """A run to make: the module's code, or None for the module as it is, and the tests."""

    name: str
    module: str
    code: CodeType | None
    tests: tuple[str, ...]
    cpu_seconds: float = 600.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: whether a test failed, the CPU seconds, and what pytest printed."""

    killed: bool
    seconds: float
    text: str


@dataclass
class _Running:
    job: Job
    log: IO[bytes]
    deadline: float = field(default_factory=lambda: time.monotonic() + WALL_SECONDS)


class Runner:
    """Makes runs, as many at once as there are slots."""

    def __init__(self, slots: int) -> None:
        for name in HEAVY:
            importlib.import_module(name)
        assert not any(name.split(".")[0] in ("provision", "teardown") for name in sys.modules)
        self._slots = slots

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Yield how each run ended, in the order of their ends."""
        waiting, running = deque(jobs), dict[int, _Running]()
        while waiting or running:
            while waiting and len(running) < self._slots:
                pid, started = self._fork(waiting.popleft())
                running[pid] = started
            for pid, outcome in _ended(running):
                yield running.pop(pid).job, outcome

    def _fork(self, job: Job) -> tuple[int, _Running]:
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the run has ended
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = BROKEN
            try:
                os.setsid()
                code = _be(job, log.fileno())
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        return pid, _Running(job, log)


def _ended(running: dict[int, _Running]) -> Iterator[tuple[int, Outcome]]:
    """Wait a moment, and yield the runs that have ended; end those that wait for ever."""
    time.sleep(0.01)
    for pid, run in list(running.items()):
        found, status, used = os.wait4(pid, os.WNOHANG)
        if not found and time.monotonic() > run.deadline:
            os.killpg(pid, signal.SIGKILL)
            found, status, used = os.wait4(pid, 0)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what its tests may have left running
            run.log.seek(0)
            text = run.log.read().decode(errors="replace")
            run.log.close()
            code = os.waitstatus_to_exitcode(status)
            if code in NO_RUN:
                raise RuntimeError(f"{run.job.name}: {text[-2000:]}")
            yield pid, Outcome(code != 0, used.ru_utime + used.ru_stime, text)


def _be(job: Job, log: int) -> int:
    """Be the run. Returns pytest's exit code."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    seconds = int(job.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    os.chdir(ROOT)
    if job.code is not None:
        sys.meta_path.insert(0, _Finder(job.module, job.code))
    arguments = [
        "-q",
        "-x",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-o",
        "addopts=",
        "-o",
        "filterwarnings=",
    ]
    return int(pytest.main([*arguments, *job.tests]))


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from code that is at hand."""

    mutated: CodeType

    def get_code(self, fullname: str) -> CodeType:
        return self.mutated


class _Finder:
    """Finds the one module that is mutated."""

    def __init__(self, module: str, code: CodeType) -> None:
        self._module, self._code = module, code

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if name != self._module:
            return None
        file = str(ROOT / f"{name.replace('.', '/')}.py")
        loader = _Loader(name, file)
        loader.mutated = self._code
        return importlib.util.spec_from_file_location(name, file, loader=loader)
