"""The state over a store whose writes are round trips: what is waited for, and what is not."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

from provision.errors import StateError
from provision.state.document import CREATING, MADE, READY
from provision.state.local import LocalHold
from provision.state.state import State
from provision.state.store import Snapshot

STEPS = [f"step-{number}" for number in range(35)]


class Distant:
    """Keeps versions of a document; a write waits until `gate` lets it."""

    where = "s3://team/demo.json"
    distant = True

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    def known(self) -> bool:
        return True

    def read(self) -> Snapshot | None:
        if not self.versions:
            return None
        return Snapshot(self.versions[-1], str(len(self.versions)))

    def write(self, text: str, replaces: str | None) -> str:
        self.begun.set()
        assert self.gate.wait(timeout=30)
        if replaces != (str(len(self.versions)) if self.versions else None):
            raise StateError("another version exists")
        self.versions.append(text)
        return str(len(self.versions))

    @contextlib.contextmanager
    def lock(self, command: str, on_lost: Callable[[], None]) -> Iterator[LocalHold]:
        del command, on_lost
        yield LocalHold()

    def steps(self) -> dict[str, Any]:
        """The steps as they are kept."""
        found: dict[str, Any] = json.loads(self.versions[-1])["steps"]
        return found


@pytest.fixture
def store() -> Distant:
    return Distant()


@pytest.fixture
def state(store: Distant) -> State:
    return load(store)


def load(store: Distant) -> State:
    return State.load(store, environment="demo", account="1", region="eu-west-1")


WAITED_FOR: dict[str, Callable[[State], None]] = {
    "a call that is announced": lambda state: state.begin("vpc", CREATING),
    "a run that has ended": lambda state: state.add_run({"command": "up"}),
    "what a check found": lambda state: state.add_check({"ok": True}),
    "whether it can be written": State.check_writable,
}


@pytest.mark.parametrize("what", WAITED_FOR)
def test_what_has_to_be_written_is_waited_for(state: State, store: Distant, what: str) -> None:
    state.runs = [{"command": "check"}]
    store.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        announcing = threads.submit(WAITED_FOR[what], state)
        assert store.begun.wait(timeout=30)
        assert not announcing.done()
        store.gate.set()
        announcing.result(timeout=30)
    assert len(store.versions) == 1


def test_what_an_answer_said_is_not_waited_for_but_written(state: State, store: Distant) -> None:
    store.gate.clear()
    state.record("vpc", MADE, {"id": "vpc-1"})  # would wait for ever
    state.record("vpc", READY, {"id": "vpc-1"})
    assert not store.versions
    store.gate.set()
    state.flush()
    assert store.steps()["vpc"]["phase"] == READY
    state.forget("vpc")
    state.flush()
    assert store.steps() == {}


def test_intents_that_wait_for_one_another_take_one_write(state: State, store: Distant) -> None:
    store.gate.clear()
    asked, ask = threading.Semaphore(0), state._commits.ask

    def counted() -> int:
        number = ask()
        asked.release()
        return number

    with (
        mock.patch.object(state._commits, "ask", counted),
        ThreadPoolExecutor(len(STEPS)) as threads,
    ):
        announced = [threads.submit(state.begin, step, CREATING) for step in STEPS]
        for _ in STEPS:
            assert asked.acquire(timeout=30)
        store.gate.set()
        for each in announced:
            each.result(timeout=30)
    assert set(store.steps()) == set(STEPS)
    assert len(store.versions) <= 2  # the one that was under way, and all the others


def test_each_write_names_the_version_that_it_replaces(state: State, store: Distant) -> None:
    state.begin("vpc", CREATING)
    load(store).begin("subnet", CREATING)
    with pytest.raises(StateError, match="another version"):
        state.begin("proxy", CREATING)
    assert set(store.steps()) == {"vpc", "subnet"}
    state.reload()
    state.begin("proxy", CREATING)
    assert set(store.steps()) == {"vpc", "subnet", "proxy"}
    assert [json.loads(each)["serial"] for each in store.versions] == sorted(
        {json.loads(each)["serial"] for each in store.versions}
    )


def test_a_write_that_nobody_waited_for_is_told_by_the_next_that_is(
    state: State, store: Distant
) -> None:
    state.begin("vpc", CREATING)
    load(store).begin("subnet", CREATING)
    state.record("vpc", READY, {})
    with pytest.raises(StateError):
        state.flush()
