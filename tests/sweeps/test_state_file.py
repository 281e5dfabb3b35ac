"""Locks, and state files that are lost, foreign, old, or cannot be written."""

from __future__ import annotations

import fcntl
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.names import REGION
from tests.sweeps.world import SLOW, SPEED, Ended, Place

pytestmark = pytest.mark.sweep
SAMPLES = Path(__file__).parents[1] / "state_samples"
HOLDER = "up, process 1 on somewhere, since 2026-11-24T08:00:00Z\n"
RUNS = {"up": ("provision", "up", "--no-check"), "teardown": ("teardown", "--yes")}


def run(place: Place, command: str) -> Ended:
    """Run a command from beginning to end."""
    module, *flags = RUNS[command]
    return place.start(module, *flags, faults=[]).go().end()


# --- locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", RUNS)
@pytest.mark.parametrize("first", RUNS)
def test_the_second_of_two_is_told_who_holds_the_lock(
    place: Place, first: str, second: str
) -> None:
    if first == "teardown":
        assert place.up(faults=[]).code == 0
    place.account.passes(SLOW)
    module, *flags = RUNS[first]
    running = place.start(module, *flags, faults=[]).go()
    assert running.wait(lambda out: '"event": "begin"' in out)
    refused = run(place, second)
    assert refused.code == 1, refused
    assert refused.error["type"] == "Locked", refused
    for words in (first, f"process {running.pid}", socket.gethostname(), "since 20"):
        assert words in refused.error["message"]
    place.account.passes(SPEED)
    assert running.end().code == 0
    if first == "up":
        place.holds_one_of_everything()
    else:
        place.holds_nothing()


def test_two_at_once_are_never_two_of_anything(place: Place) -> None:
    one = place.start("provision", "up", "--no-check", faults=[])
    two = place.start("provision", "up", "--no-check")
    one.go(), two.go()
    ended = [one.end(), two.end()]
    assert all(each.code == 0 or each.error["type"] == "Locked" for each in ended)
    assert any(each.code == 0 for each in ended)
    place.holds_one_of_everything()


@pytest.mark.parametrize("command", RUNS)
def test_a_held_lock_stops_it_before_anything_is_changed(place: Place, command: str) -> None:
    place.state.parent.mkdir(exist_ok=True)
    if command == "teardown":  # of nothing, it would take no lock
        assert run(place, "up").code == 0
    before = place.account.mutations()
    with place.lock.open("w+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(HOLDER)
        file.flush()
        ended = run(place, command)
    assert ended.code == 1
    assert ended.error["type"] == "Locked"
    assert HOLDER.strip() in ended.error["message"]
    assert place.account.mutations() == before


@pytest.mark.parametrize("command", RUNS)
def test_the_lock_of_a_dead_process_does_not_block(place: Place, command: str) -> None:
    place.state.parent.mkdir()
    place.lock.write_text(HOLDER)
    assert run(place, command).code == 0
    if command == "up":  # a teardown that finds nothing takes no lock
        assert not place.lock.exists()


# --- lost, damaged, somebody else's ---------------------------------------------------------------


def test_teardown_without_a_state_file_finds_everything(place: Place) -> None:
    assert place.up(faults=[]).code == 0
    place.state.unlink()
    assert place.teardown().code == 0
    place.holds_nothing()


def test_up_without_a_state_file_finds_everything(place: Place) -> None:
    assert place.up(faults=[]).code == 0
    place.state.unlink()
    again = place.up()
    assert again.code == 0, again
    assert again.summary["adopted"] == 35, again
    place.holds_one_of_everything()


def cut_off(text: str) -> str:
    return text[: len(text) // 2]


def empty(_text: str) -> str:
    return ""


def newer(text: str) -> str:
    return json.dumps(json.loads(text) | {"version": 2})


def other_environment(text: str) -> str:
    return json.dumps(json.loads(text) | {"environment": "another"})


def other_account(text: str) -> str:
    return json.dumps(json.loads(text) | {"account": "210987654321"})


def other_region(text: str) -> str:
    return json.dumps(json.loads(text) | {"region": "eu-west-1"})


def other_program(_text: str) -> str:
    return '{"serial": 4, "lineage": "5e0c", "resources": []}'


DAMAGED: dict[Callable[[str], str], str] = {
    cut_off: "cut off",
    empty: "cut off",
    newer: "version 2",
    other_environment: "'another'",
    other_account: "'210987654321'",
    other_region: "'eu-west-1'",
    other_program: "not a state file",
}


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda each: each.__name__)
def test_a_bad_state_file_is_told_and_left_as_it_is(
    place: Place, damage: Callable[[str], str]
) -> None:
    document = json.loads(SAMPLES.joinpath("version-1.json").read_text())
    good = json.dumps(document | {"environment": place.name, "region": REGION})
    bad = damage(good)
    place.state.parent.mkdir()
    place.state.write_text(bad)
    for command in RUNS:
        ended = run(place, command)
        assert ended.code == 1, ended
        assert ended.error["type"] == "StateError", ended
        assert DAMAGED[damage] in ended.error["message"]
        assert ended.error["next"]
    assert place.state.read_text() == bad
    assert place.account.mutations() == []


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_a_state_file_of_each_version_still_loads(place: Place, sample: Path) -> None:
    place.state.parent.mkdir()
    place.state.write_text(sample.read_text())
    ended = place.plan()
    assert ended.code == 3, ended
    assert place.state.read_text() == sample.read_text()


# --- disks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags", [("up", "--set=function.memory_mib=512"), ("teardown",)], ids=["up", "teardown"]
)
def test_a_folder_that_is_read_only_stops_it_before_anything_is_changed(
    place: Place, flags: tuple[str, ...]
) -> None:
    ended = in_read_only_folder(place, *flags)
    assert ended.code == 1, ended
    assert ended.error["type"] == "StateError", ended
    assert "cannot be written" in ended.error["message"]


def test_what_has_nothing_to_do_needs_no_writable_folder(place: Place) -> None:
    ended = in_read_only_folder(place, "up")
    assert ended.code == 0, ended


def in_read_only_folder(place: Place, command: str, *more: str) -> Ended:
    """Run a command on what is up, in a folder that it cannot write: nothing changes."""
    assert place.up(faults=[]).code == 0
    before, text = len(place.account.remote.journal()), place.state.read_text()
    place.state.parent.chmod(0o500)
    try:
        module, *flags = RUNS[command]
        ended = place.start(module, *flags, *more, humble=True).go().end()
    finally:
        place.state.parent.chmod(0o700)
    assert place.state.read_text() == text
    assert place.account.mutations(before) == []
    return ended


def test_a_full_disk_stops_up_before_anything_is_made(place: Place) -> None:
    ended = place.up(faults=[], file_bytes=1)
    assert ended.code == 1, ended
    assert ended.error["type"] == "StateError", ended
    assert "cannot be written" in ended.error["message"]
    assert place.account.mutations() == []


@pytest.mark.parametrize("file_bytes", [800, 1500, 2500, 4000])
def test_a_disk_that_fills_midway_loses_nothing(place: Place, file_bytes: int) -> None:
    ended = place.up(faults=[], file_bytes=file_bytes)
    assert ended.code == 1, ended
    assert ended.error["type"] == "StateError", ended
    assert place.steps()  # the file is whole
    assert place.up().code == 0
    place.holds_one_of_everything()
    assert place.teardown().code == 0
    place.holds_nothing()
