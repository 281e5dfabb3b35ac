"""A cloud with nothing in it, for each test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.things import EngineWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EngineWorld]:
    made = EngineWorld(tmp_path / "state.json")
    yield made
    threads = [each.name for each in threading.enumerate() if each.name.startswith("ThreadPool")]
    assert threads == []  # nobody waits any more
