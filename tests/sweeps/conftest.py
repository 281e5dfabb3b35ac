"""An empty rehearsed account for each test, and the commands forked from one process a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps.world import Account, Commands, Place


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    rehearsed = Account()
    yield rehearsed
    rehearsed.close()


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    forking = Commands()
    yield forking
    forking.close()


@pytest.fixture
def place(
    account: Account, commands: Commands, tmp_path: Path, record_property: Callable[..., None]
) -> Iterator[Place]:
    """An empty account, and a folder to work on it from."""
    account.remote.reset()
    place = Place(account, commands, tmp_path)
    yield place
    record_property("faults", place.injected)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was swept: each of these tests asserts one of everything, or nothing left."""
    swept = {
        outcome: [
            report
            for report in terminalreporter.stats.get(outcome, ())
            if "tests/sweeps/" in report.nodeid and report.when == "call"
        ]
        for outcome in ("passed", "failed")
    }
    if not swept["passed"]:
        return
    kills = sum("killed_at_any_call" in report.nodeid for report in swept["passed"])
    ends = [r for r in terminalreporter.stats.get("", ()) if r.when == "teardown"]
    faults = sum(value for r in ends for name, value in r.user_properties if name == "faults")
    terminalreporter.write_line(
        f"swept: {len(swept['passed'])} lives, {kills} kills, {faults} faults; "
        f"with copies or leavings found: {len(swept['failed'])}"
    )
