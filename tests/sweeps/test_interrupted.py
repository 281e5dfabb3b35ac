"""Signals, locks, and state files that are lost or cannot be written."""

from __future__ import annotations

import fcntl
import json
import signal
from pathlib import Path

import pytest

from tests.sweeps.world import Place

pytestmark = pytest.mark.slow
INTERRUPTED = 130
SAMPLES = Path(__file__).parents[1] / "state_samples"


def begun(step: str) -> str:
    """Return the event that says that a step has begun."""
    return json.dumps({"event": "begin", "step": step})[:-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["vpc", "db-instance", "function-iam"])
def test_a_signal_ends_the_run_in_good_order(
    place: Place, number: signal.Signals, step: str
) -> None:
    run = place.start("provision", "up", "--no-check", faults=[]).go()
    assert run.wait(lambda out: begun(step) in out)
    run.send(number)
    ended = run.end()
    if ended.code != 0:  # it may have been done by then
        assert ended.code == INTERRUPTED and ended.error["type"] == "Interrupted", ended
    went_on = place.up()
    assert went_on.code == 0, went_on
    inventory = place.account.inventory
    assert inventory.held() == inventory.expected(place.name)
    assert place.teardown().code == 0
    assert inventory.held() == inventory.expected()


def test_a_second_ctrl_c_ends_it_at_once_and_state_is_true(place: Place) -> None:
    run = place.start("provision", "up", "--no-check", faults=[]).go()
    assert run.wait(lambda out: begun("db-instance") in out)
    run.send(signal.SIGINT)
    run.send(signal.SIGINT)
    assert run.end().code in (INTERRUPTED, 0)
    json.loads(place.state.read_text())
    assert place.up().code == 0
    assert place.teardown().code == 0


@pytest.mark.parametrize("module", ["provision", "teardown"])
def test_a_held_lock_is_told_with_its_holder(place: Place, module: str) -> None:
    place.state.parent.mkdir()
    lock = place.state.with_name(place.state.name + ".lock")
    with lock.open("w+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("up, process 1 on somewhere, since 2026-11-24T08:00:00Z\n")
        file.flush()
        flags = ("up", "--no-check") if module == "provision" else ("--yes",)
        ended = place.start(module, *flags, faults=[]).go().end()
    assert ended.code == 1 and ended.error["type"] == "Locked"
    assert "process 1 on somewhere, since 2026" in ended.error["message"]
    assert place.account.mutations() == []


def test_the_lock_of_a_dead_process_does_not_block(place: Place) -> None:
    place.state.parent.mkdir()
    lock = place.state.with_name(place.state.name + ".lock")
    lock.write_text("up, process 1 on somewhere, since 2026-11-24T08:00:00Z\n")
    assert place.up(faults=[]).code == 0
    assert not lock.exists()


def test_two_at_once_are_never_two_of_anything(place: Place) -> None:
    one = place.start("provision", "up", "--no-check", faults=[])
    two = place.start("provision", "up", "--no-check")
    one.go(), two.go()
    ended = [one.end(), two.end()]
    assert all(each.code == 0 or each.error["type"] == "Locked" for each in ended)
    assert any(each.code == 0 for each in ended)
    inventory = place.account.inventory
    assert inventory.held() == inventory.expected(place.name)


def test_teardown_without_a_state_file_finds_everything(place: Place) -> None:
    assert place.up(faults=[]).code == 0
    place.state.unlink()
    assert place.teardown().code == 0
    inventory = place.account.inventory
    assert inventory.held() == inventory.expected()


def test_a_full_disk_stops_up_before_anything_is_made(place: Place) -> None:
    ended = place.up(faults=[], file_bytes=1)
    assert ended.code == 1 and ended.error["type"] == "StateError", ended
    assert "cannot be written" in ended.error["message"]
    assert place.account.mutations() == []


def test_a_disk_that_fills_midway_loses_nothing(place: Place) -> None:
    ended = place.up(faults=[], file_bytes=2500)
    assert ended.code == 1 and ended.error["type"] == "StateError", ended
    json.loads(place.state.read_text())
    assert place.up().code == 0
    inventory = place.account.inventory
    assert inventory.held() == inventory.expected(place.name)
    assert place.teardown().code == 0
    assert inventory.held() == inventory.expected()


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_a_state_file_of_each_version_still_loads(place: Place, sample: Path) -> None:
    place.state.parent.mkdir()
    place.state.write_text(sample.read_text())
    ended = place.plan()
    assert ended.code == 3, ended
    assert json.loads(sample.read_text()) == json.loads(place.state.read_text())
