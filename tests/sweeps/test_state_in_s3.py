"""Runs that share a state in S3, killed and stopped: no twin, nothing changed after the lease."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from provision.rehearsal import Fault
from tests.support.account import Account
from tests.support.s3_state import BUCKET, make_bucket
from tests.sweeps.world import KILLED, SLOW, SPEED, Ended, Place, Running

pytestmark = pytest.mark.sweep
KEY = "demo.json"
INTERRUPTED = 130
LEASE = 5  # seconds, the shortest; a margin of 2 s comes on top
FLAGS = ("--state", f"s3://{BUCKET}/{{name}}.json")
LONG = 300  # seconds, of a lease that no slow machine outlasts
SHORT = ("--set", f"state.lock_lease_seconds={LEASE}")  # of a run that is not to survive it
COMMANDS = {"up": ("provision", "up", "--no-check"), "teardown": ("teardown", "--yes")}


@pytest.fixture
def s3(place: Place) -> Account:
    """The account as somebody else sees it, with the bucket."""
    account = Account.of(place.account.remote)
    make_bucket(account)
    return account


@pytest.fixture
def other(place: Place, tmp_path: Path) -> Place:
    """Another folder, in which nothing is known of the environment."""
    folder = tmp_path / "other"
    folder.mkdir()
    return Place(place.account, place.commands, folder)


def start(place: Place, command: str, *more: str, faults: list[Fault] | None = None) -> Running:
    """Begin a command on the state in S3."""
    module, *flags = COMMANDS[command]
    return place.start(module, *flags, *FLAGS, *more, faults=faults).go()


def run(place: Place, command: str) -> Ended:
    """Run a command from beginning to end."""
    return start(place, command).end()


def steps(s3: Account) -> dict[str, Any]:
    """The steps in the state."""
    text = s3.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    found: dict[str, Any] = json.loads(text)["steps"]
    return found


def assert_settled(s3: Account) -> None:
    """Assert that the state says of every step that it is there; the account's role is not ours."""
    phases = {step: each["phase"] for step, each in steps(s3).items()}
    phases.pop("service-linked-role", None)
    assert set(phases.values()) == {"ready"}


def at_work(running: Running) -> bool:
    """Wait until a run holds the lock and has begun a step."""
    return running.wait(lambda out: '"event": "begin"' in out)


@pytest.mark.parametrize("first", COMMANDS)
@pytest.mark.parametrize("second", COMMANDS)
@pytest.mark.usefixtures("s3")
def test_of_two_folders_the_second_is_told_who_is_at_work(
    place: Place, other: Place, first: str, second: str
) -> None:
    if first == "teardown":
        assert run(place, "up").code == 0
    place.account.passes(SLOW)
    running = start(place, first, faults=[])
    assert at_work(running)
    refused = run(other, second)
    assert refused.code == 1
    assert refused.error["type"] == "Locked"
    for words in (first, f"process {running.pid}", socket.gethostname(), "since 20"):
        assert words in refused.error["message"]
    place.account.passes(SPEED)
    assert running.end().code == 0


@pytest.mark.usefixtures("s3")
def test_two_at_once_are_never_two_of_anything(place: Place, other: Place) -> None:
    runs = [start(each, "up") for each in (place, other)]
    ended = [each.end() for each in runs]
    assert all(each.code == 0 or each.error["type"] == "Locked" for each in ended), ended
    assert any(each.code == 0 for each in ended)
    place.holds_one_of_everything()


@pytest.mark.parametrize("call", range(1, 40, 6))
@pytest.mark.parametrize("kind", ["kill-before", "kill-after"])
def test_a_killed_run_is_taken_over_after_its_lease_and_nothing_is_made_twice(
    place: Place, other: Place, s3: Account, kind: Any, call: int
) -> None:
    fault = Fault(kind, "[!s]*:*", mutating_only=True, nth=call)  # neither S3 nor a secret
    lease = f"state.lock_lease_seconds={LONG}"
    killed = start(place, "up", "--set", lease, faults=[fault]).end()
    assert killed.code == KILLED
    place.account.remote.set_faults()
    refused = run(other, "up")
    assert refused.error["type"] == "Locked", refused
    place.account.remote.advance(LONG + 2)
    taken = run(other, "up")
    assert taken.code == 0, taken
    place.holds_one_of_everything()
    assert_settled(s3)
    assert run(place, "teardown").code == 0
    place.holds_nothing()


@pytest.mark.parametrize("operation", ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"])
@pytest.mark.parametrize("kind", ["kill-before", "kill-after"])
@pytest.mark.parametrize("call", [1, 2, 5])
@pytest.mark.usefixtures("s3")
def test_a_run_killed_at_a_call_of_s3_is_taken_over(
    place: Place, other: Place, kind: Any, operation: str, call: int
) -> None:
    ended = start(place, "up", *SHORT, faults=[Fault(kind, operation, nth=call)]).end()
    assert ended.code in (0, KILLED)
    place.account.remote.set_faults()
    place.account.remote.advance(LEASE + 3)
    assert run(other, "up").code == 0
    place.holds_one_of_everything()


def test_a_run_that_is_stopped_past_its_lease_changes_nothing_when_it_wakes(
    place: Place, other: Place, s3: Account
) -> None:
    place.account.passes(SLOW)
    stopped = start(place, "up", *SHORT, faults=[])
    assert at_work(stopped)
    stopped.send(signal.SIGSTOP)
    time.sleep(LEASE - 1)  # its own clock has to run: it stops 2 s before its lease ends
    before, state = place.account.mutations(), steps(s3)
    stopped.send(signal.SIGCONT)
    assert_lost(stopped.end(), "nobody has taken it over yet")
    assert place.account.mutations() == before  # neither the lock nor the state, nor anything else
    assert steps(s3) == state
    place.account.passes(SPEED)
    place.account.remote.advance(LEASE + 2)
    assert run(other, "up").code == 0
    place.holds_one_of_everything()


def test_a_run_that_wakes_says_who_has_taken_its_lock_over(
    place: Place, other: Place, s3: Account
) -> None:
    place.account.passes(SLOW)
    stopped = start(place, "up", *SHORT, faults=[])
    assert at_work(stopped)
    stopped.send(signal.SIGSTOP)
    time.sleep(LEASE + 3)  # until another may take it over, by the clocks of both
    running = start(other, "up")
    assert at_work(running)
    stopped.send(signal.SIGCONT)
    assert_lost(stopped.end(), f"up, process {running.pid} on {socket.gethostname()}")
    place.account.passes(SPEED)
    assert running.end().code == 0
    place.holds_one_of_everything()
    assert_settled(s3)


def test_ctrl_c_gives_the_lock_back(place: Place, other: Place, s3: Account) -> None:
    place.account.passes(SLOW)
    running = start(place, "up", faults=[])
    assert at_work(running)
    running.send(signal.SIGINT)
    assert running.end().code == INTERRUPTED
    place.account.passes(SPEED)
    assert run(other, "up").code == 0  # at once
    place.holds_one_of_everything()
    assert_settled(s3)


def assert_lost(ended: Ended, who: str) -> None:
    """Assert that a run ended because it lost its lock, and says who has it now."""
    assert ended.code == 1
    assert ended.error["type"] == "LeaseLost", ended
    assert "this run lost its lock" in ended.error["message"]
    assert who in ended.error["message"]
