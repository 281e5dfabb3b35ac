"""The state file: true at every moment, nobody else's to read, and never half written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from provision.errors import Locked, StateError
from provision.state.document import (
    CREATING,
    DELETING,
    MADE,
    READY,
    RUNS_KEPT,
    StepState,
)
from provision.state.local import LocalStore, locked, replace_file
from provision.state.state import State

WHOSE = {"environment": "demo", "account": "123456789012", "region": "eu-west-1"}
RUN = {"command": "up", "began": "2026-11-24", "seconds": 1.5, "ok": True, "steps": {}}
GOOD: dict[str, Any] = {
    "version": 1,
    "serial": 7,
    **WHOSE,
    "steps": {"vpc": {"phase": "ready", "outputs": {"id": "vpc-1"}, "since": "2026-11-24"}},
    "runs": [RUN],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".provision" / "demo.json"


@pytest.fixture
def state(path: Path) -> State:
    return load(path)


def load(path: Path, *, writes: bool = True) -> State:
    """The state at `path`, of the environment that it should be of."""
    who = WHOSE["environment"], WHOSE["account"], WHOSE["region"]
    return State.load(
        LocalStore(path), environment=who[0], account=who[1], region=who[2], writes=writes
    )


def reloaded(path: Path) -> dict[str, StepState]:
    return load(path).steps


# --- writing --------------------------------------------------------------------------------------


def test_no_file_is_an_empty_state_and_reading_makes_none(state: State, path: Path) -> None:
    assert state.steps == {}
    assert state.serial == 0
    assert not path.parent.exists()


def test_what_is_recorded_is_on_disk_at_once(state: State, path: Path) -> None:
    state.begin("vpc", CREATING)
    assert reloaded(path)["vpc"].phase == CREATING
    assert reloaded(path)["vpc"].outputs == {}
    state.record("vpc", MADE, {"id": "vpc-1"})
    assert reloaded(path)["vpc"].outputs == {"id": "vpc-1"}
    state.begin("vpc", "updating")
    assert reloaded(path)["vpc"].outputs == {"id": "vpc-1"}  # what is known stays known
    state.forget("vpc")
    assert reloaded(path) == {}
    assert json.loads(path.read_text())["serial"] == 4


def test_what_is_no_news_is_not_written(state: State, path: Path) -> None:
    state.record("vpc", READY, {"id": "vpc-1"})
    before = path.stat().st_ino
    state.record("vpc", READY, {"id": "vpc-1"})
    state.forget("subnet")
    assert path.stat().st_ino == before
    assert state.serial == 1


def test_what_is_new_is_another_version(state: State) -> None:
    before = state.version()
    state.record("vpc", READY, {"id": "vpc-1"})
    recorded = state.version()
    assert recorded != before
    state.record("vpc", READY, {"id": "vpc-1"})
    assert state.version() == recorded
    state.add_run(RUN)
    assert state.version() != recorded


def test_nobody_else_may_read_it(state: State, path: Path) -> None:
    before = os.umask(0)
    try:
        state.record("vpc", READY, {})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_reading_command_writes_nothing(path: Path) -> None:
    state = load(path, writes=False)
    state.begin("vpc", CREATING)
    state.add_run(RUN)
    assert not path.parent.exists()


def test_the_last_runs_are_kept(state: State, path: Path) -> None:
    for number in range(RUNS_KEPT + 5):
        state.add_run(RUN | {"command": f"up {number}"})
    runs = load(path).runs
    assert [each["command"] for each in runs] == [f"up {n}" for n in range(5, RUNS_KEPT + 5)]


def test_a_run_that_has_not_ended_is_written_with_those_before_it(state: State, path: Path) -> None:
    for number in range(RUNS_KEPT):
        state.add_run(RUN | {"command": f"up {number}"})
    state.under_way = lambda: RUN | {"command": "teardown", "ok": None}
    state.begin("vpc", DELETING)
    runs = load(path).runs
    assert len(runs) == RUNS_KEPT
    assert (runs[0]["command"], runs[-1]["command"]) == ("up 1", "teardown")
    state.add_run(RUN | {"command": "teardown"})
    assert [each["ok"] for each in load(path).runs] == [True] * RUNS_KEPT


def test_a_check_stands_with_the_newest_run(state: State, path: Path) -> None:
    state.add_check({"ok": True})  # of nothing: there was no run
    assert not path.exists()
    state.add_run(RUN)
    state.add_run(RUN)
    state.add_check({"ok": True})
    assert load(path).runs == [RUN, RUN | {"check": {"ok": True}}]


def test_whether_it_can_be_written_is_seen_before_anything_is_asked_of_aws(
    state: State, path: Path
) -> None:
    state.check_writable()
    assert json.loads(path.read_text())["serial"] == 1
    full = mock.patch("os.fsync", side_effect=OSError(28, "No space left on device"))
    with full, pytest.raises(StateError, match="No space left") as told:
        state.check_writable()
    assert "--state" in told.value.next_step


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    state: State, path: Path, call: str
) -> None:
    state.record("vpc", READY, {"id": "vpc-1"})
    before = path.read_text()
    full = OSError(28, "No space left on device")
    with (
        mock.patch(call, side_effect=full),
        pytest.raises(StateError, match="cannot be written: No space left"),
    ):
        state.record("subnet", READY, {"id": "subnet-1"})
    assert path.read_text() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_content_is_on_disk_before_it_takes_the_files_place(path: Path) -> None:
    """And the folder after it: else a crash of the machine could lose both."""
    order: list[str] = []
    with (
        mock.patch("os.fsync", side_effect=lambda _: order.append("fsync")),
        mock.patch("pathlib.Path.replace", side_effect=lambda *_: order.append("rename")),
    ):
        replace_file(path, "text")
    assert order == ["fsync", "rename", "fsync"]


# --- reading --------------------------------------------------------------------------------------


def test_a_good_file_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(GOOD))
    state = load(path)
    assert state.known() == {"vpc": {"id": "vpc-1"}}
    assert state.serial == 7


def test_what_is_being_deleted_says_since_when(state: State) -> None:
    state.record("vpc", READY, {"id": "vpc-1"})
    state.begin("vpc", DELETING)
    since = state.steps["vpc"].since
    assert state.known() == {"vpc": {"id": "vpc-1", "deleting_since": since}}


def test_the_account_of_the_file_counts_until_it_is_known_who_is_calling(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(GOOD))
    state = State.load(LocalStore(path), environment="demo", region="eu-west-1")
    assert state.account == WHOSE["account"]
    with pytest.raises(StateError, match="account '123456789012', but this run is for 'other'"):
        state.belong_to("other")
    state.belong_to(WHOSE["account"])
    path.write_text(json.dumps(GOOD | {"account": "other"}))
    with pytest.raises(StateError, match="account 'other'"):
        state.reload()


BAD: dict[str, Any] = {
    "a list": [],
    "no steps": {key: value for key, value in GOOD.items() if key != "steps"},
    "no account": {key: value for key, value in GOOD.items() if key != "account"},
    "steps in a list": GOOD | {"steps": []},
    "serial in a text": GOOD | {"serial": "7"},
    "a step that is a text": GOOD | {"steps": {"vpc": "ready"}},
    "a phase of tomorrow": GOOD | {"steps": {"vpc": {"phase": "melting", "outputs": {}}}},
    "an output that is a number": GOOD
    | {"steps": {"vpc": {"phase": "ready", "outputs": {"a": 1}}}},
    "a field too many": GOOD | {"steps": {"vpc": {"phase": "ready", "outputs": {}, "secret": ""}}},
    "a run that is a text": GOOD | {"runs": ["up"]},
    "a run of unknown end": GOOD | {"runs": [RUN | {"ok": "yes"}]},
    "a version that is none": GOOD | {"version": None},
    "a version of tomorrow": GOOD | {"version": 2},
}


@pytest.mark.parametrize("document", BAD.values(), ids=BAD.keys())
def test_a_malformed_file_is_told_and_left_as_it_is(path: Path, document: Any) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    with pytest.raises(StateError) as caught:
        load(path)
    assert str(path) in caught.value.message
    assert caught.value.next_step
    assert path.read_text() == json.dumps(document)


def test_a_file_of_other_letters_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StateError, match="cannot be read") as told:
        load(path)
    assert told.value.next_step


@pytest.mark.parametrize("key", WHOSE)
def test_somebody_elses_file_is_told_but_an_empty_one_may_be_taken_over(
    path: Path, key: str
) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(GOOD | {key: "other"}))
    with pytest.raises(StateError, match=f"{key} 'other'"):
        load(path)
    path.write_text(json.dumps(GOOD | {key: "other", "steps": {}}))
    assert getattr(load(path), key) == WHOSE[key]


# --- the lock -------------------------------------------------------------------------------------


def test_one_at_a_time_and_the_second_is_told_who_is_first(path: Path) -> None:
    lock = path.with_name("demo.json.lock")
    with locked(path, "up"):
        assert lock.stat().st_mode & 0o777 == 0o600
        told = f"in use by up, process {os.getpid()} on "
        with pytest.raises(Locked, match=told) as caught, locked(path, "teardown"):
            pytest.fail("two hold the lock")
        assert caught.value.next_step
    assert not lock.exists()
    with locked(path, "teardown"):
        pass


def test_a_lock_that_was_deleted_while_it_was_taken_is_taken_anew(path: Path) -> None:
    """Who holds a deleted lock file would lock out nobody."""
    from provision.state import local

    lock, taken = path.with_name("demo.json.lock"), []
    take = local.take

    def first_too_late(handle: int, of: Path) -> None:
        take(handle, of)
        taken.append(handle)
        if len(taken) == 1:
            lock.unlink()

    with mock.patch.object(local, "take", first_too_late), locked(path, "up"):
        assert len(taken) == 2
        assert lock.exists()


def test_an_error_within_frees_the_lock(path: Path) -> None:
    with pytest.raises(ValueError, match="a bug"), locked(path, "up"):
        raise ValueError("a bug")
    with locked(path, "up"):
        pass
