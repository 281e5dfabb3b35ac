"""A pytest plugin: `--cpu` says what the tests cost, in CPU seconds, by module and by test.

Unlike the wall-clock time of `--durations`, these are true on a machine that is busy with other
things, and they count what a test's servers and commands use in processes of their own (on Linux).
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAME = "cpu"
SHOWN = 40  # modules, and tests
TICKS = os.sysconf("SC_CLK_TCK")
OUTSIDE = "(start, collection, end)"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--cpu`."""
    parser.addoption("--cpu", action="store_true", help="print the tests' CPU seconds")


def pytest_configure(config: pytest.Config) -> None:
    """Measure, if asked to."""
    if config.option.cpu:
        config.pluginmanager.register(_Meter(config), "cpu-meter")


class _Meter:
    """Measures each test's phases where it runs; sums up where the reports come together."""

    def __init__(self, config: pytest.Config) -> None:
        self._worker = hasattr(config, "workerinput")
        self._modules: dict[str, float] = {}
        self._phases: dict[str, float] = {}
        self._tests: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        yield from self._measured(item, "setup")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield from self._measured(item, "call")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        yield from self._measured(item, "teardown")

    def _measured(self, item: pytest.Item, phase: str) -> Iterator[None]:
        before = used()
        try:
            return (yield)
        finally:
            item.user_properties.append((NAME, f"{phase} {used() - before}"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Sum up: the report of the teardown has the properties of all phases."""
        if report.when != "teardown" or self._worker:
            return
        for name, value in report.user_properties:
            phase, _, seconds = str(value).partition(" ")
            if name == NAME:
                for sums, key in (
                    (self._phases, phase),
                    (self._modules, report.nodeid.partition("::")[0]),
                    (self._tests, report.nodeid),
                ):
                    sums[key] = sums.get(key, 0.0) + float(seconds)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the sums, the largest first."""
        whole = used()
        self._phases[OUTSIDE] = whole - sum(self._phases.values())
        terminalreporter.section(f"CPU seconds: {whole:.1f}")
        for sums in (self._phases, self._modules, self._tests):
            for name in sorted(sums, key=sums.__getitem__, reverse=True)[:SHOWN]:
                terminalreporter.write_line(f"{sums[name]:8.2f}  {name}")
            terminalreporter.write_line("")


def used() -> float:
    """Return the CPU seconds (user and system) of this process and of all that it started."""
    mine = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    ended = sum(each.ru_utime + each.ru_stime for each in mine)
    return ended + sum(_of_running(Path("/proc/self")))


def _of_running(process: Path) -> Iterator[float]:
    """Yield the seconds of each process that one has started, and of what those have started."""
    for thread in process.glob("task/*/children"):
        with contextlib.suppress(OSError):  # it has ended
            for child in thread.read_text().split():
                fields = Path("/proc", child, "stat").read_text().rpartition(")")[2].split()
                yield sum(map(int, fields[11:15])) / TICKS  # its own, and of its ended ones
                yield from _of_running(Path("/proc", child))
