"""A pytest plugin: how the tests are spread over workers. Each begins with its slow tests.

xdist gives each worker a part of the tests in their order, and who has done his part takes from the
end of another's. With the slow ones in front, no run ends with one worker at a long test while the
others have nothing to do. Among the slow ones and among the others the order stays random.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


@pytest.hookimpl(optionalhook=True)  # mutants are run without xdist
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts: tests wait, too, for AWS and for processes."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order what is run, after everybody who shuffles or leaves out."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    items[:] = [
        each
        for worker in range(workers)
        for kind in (slow, quick)
        for each in part(kind, worker, workers)
    ]


def part(items: Sequence[T], number: int, of: int) -> Sequence[T]:
    """Return one of `of` parts of about the same length, which together are all items."""
    return items[len(items) * number // of : len(items) * (number + 1) // of]
