"""An empty rehearsed account for each test, and the commands forked from one process a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sweeps.figures import NAME
from tests.sweeps.world import SLOW, ForkedCommands, Place, RehearsedAccount


@pytest.fixture(scope="session")
def account() -> Iterator[RehearsedAccount]:
    rehearsed = RehearsedAccount()
    yield rehearsed
    rehearsed.close()


@pytest.fixture(scope="session")
def commands() -> Iterator[ForkedCommands]:
    forking = ForkedCommands()
    yield forking
    forking.close()


@pytest.fixture
def place(
    account: RehearsedAccount,
    commands: ForkedCommands,
    tmp_path: Path,
    record_property: Callable[..., None],
) -> Iterator[Place]:
    """An empty account, and a folder to work on it from."""
    account.remote.reset()
    place = Place(account, commands, tmp_path)
    yield place
    record_property(NAME, dict(place.found + account.played()))


@pytest.fixture
def slow_aws(place: Place) -> None:
    """AWS takes seconds for what takes it minutes: nothing slow is done before a test looks."""
    place.account.passes(SLOW)
