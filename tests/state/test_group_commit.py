"""Writes that wait for one another are put together, and each waiter learns of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from provision.state.group_commit import GroupCommit


class Disk:
    """Writes what is in memory, when it is let; each write is kept."""

    def __init__(self) -> None:
        self.memory: list[str] = []
        self.written: list[list[str]] = []
        self.open = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.fails: list[Exception | None] = []

    def write(self) -> None:
        found = list(self.memory)
        self.begun.release()
        self.open.acquire()
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        self.written.append(found)


def test_what_comes_while_a_write_is_under_way_goes_with_the_next_all_together() -> None:
    disk = Disk()
    commits = GroupCommit(disk.write)
    disk.memory.append("first")
    first = commits.ask()
    disk.begun.acquire()
    numbers = []
    for each in ("second", "third", "fourth"):
        disk.memory.append(each)
        numbers.append(commits.ask())
    disk.open.release(2)
    commits.wait(first)
    for number in numbers:
        commits.wait(number)
    assert disk.written == [["first"], ["first", "second", "third", "fourth"]]


def test_nobody_goes_on_before_a_write_that_began_after_they_asked() -> None:
    """A write that is under way may have taken its copy before."""
    disk = Disk()
    commits = GroupCommit(disk.write)
    commits.ask()
    disk.begun.acquire()  # the copy is taken
    disk.memory.append("late")
    late = commits.ask()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(commits.wait, late)
        disk.open.release()
        disk.begun.acquire()
        assert not waiting.done()
        disk.open.release()
        waiting.result(timeout=10)
    assert disk.written[-1] == ["late"]


def test_a_write_that_fails_is_told_to_those_whom_it_carried_and_to_nobody_else() -> None:
    disk = Disk()
    commits = GroupCommit(disk.write)
    disk.fails = [None, OSError("full"), None]
    first = commits.ask()
    disk.begun.acquire()
    carried = [commits.ask(), commits.ask()]
    disk.open.release(2)
    commits.wait(first)
    for number in carried:
        with pytest.raises(OSError, match="full"):
            commits.wait(number)
    disk.open.release()
    commits.wait(commits.ask())
    commits.wait(first)
    commits.wait()


def test_with_nothing_asked_for_there_is_nothing_to_wait_for() -> None:
    GroupCommit(Disk().write).wait()
