"""Ctrl-C and SIGTERM: the run ends in good order, or at once, and the next one goes on."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from provision.rehearsal import Entry
from tests.sweeps.world import SLOW, SPEED, Place, Running

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("slow_aws")]
INTERRUPTED = 130


def begun(step: str) -> str:
    """Return how the event begins that says that a step has begun."""
    return json.dumps({"event": "begin", "step": step})[:-1]


def started(place: Place, module: str, step: str) -> Running:
    """Start `up` or `teardown`, and return it when a step has begun that takes seconds."""
    flags = ("up", "--no-check") if module == "provision" else ("--yes",)
    run = place.start(module, *flags, faults=[]).go()
    assert run.wait(lambda out: begun(step) in out)
    return run


def step_of(made: Entry) -> str:
    """Return the step that a create call was for, by its tags, or "" where it had none."""
    tags: Any = made.params.get("Tags") or made.params.get("tags") or {}
    for specification in made.params.get("TagSpecifications", ()):
        tags = specification["Tags"]
    if isinstance(tags, list):
        tags = {tag["Key"]: tag["Value"] for tag in tags}
    return str(tags.get("provision:step", ""))


def goes_on(place: Place) -> None:
    """Assert that `up` ends what was begun, and that a teardown leaves nothing."""
    place.account.passes(SPEED)
    went_on = place.up(faults=[])
    assert went_on.code == 0, went_on
    place.holds_one_of_everything()
    assert place.teardown().code == 0
    place.holds_nothing()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["vpc", "secret", "db-instance"])
def test_a_signal_ends_up_in_good_order(place: Place, number: signal.Signals, step: str) -> None:
    run = started(place, "provision", step)
    run.send(number)
    ended = run.end()
    assert ended.code == INTERRUPTED, ended
    assert ended.error["type"] == "Interrupted", ended
    assert "teardown" in ended.error["next"]
    made = [e for e in place.account.mutations() if e.operation.startswith("Create") and not e.code]
    recorded = place.steps()
    for call in made:
        step = step_of(call)
        if step and call.operation != "CreateServiceLinkedRole":
            assert recorded[step]["outputs"], f"{call.operation} of {step} was not recorded"
    goes_on(place)


def test_after_a_signal_nothing_new_is_begun(place: Place) -> None:
    place.account.passes(1)  # for two seconds, nobody at AWS knows the new VPC
    run = started(place, "provision", "vpc")
    run.send(signal.SIGINT)
    ended = run.end()
    assert ended.code == INTERRUPTED
    made = {call.operation for call in place.account.mutations() if not call.code}
    assert "CreateVpc" in made
    assert not made & {"CreateSubnet", "CreateDBInstance", "CreateDBProxy"}
    goes_on(place)


def test_a_person_is_told_that_it_stops_and_what_still_costs(place: Place) -> None:
    run = place.start("provision", "up", "--no-check", faults=[], output="plain").go()
    assert run.wait(lambda _: {"db-instance", "secret"} <= set(place.steps()))
    run.send(signal.SIGINT)
    ended = run.end()
    assert ended.code == INTERRUPTED
    told = ended.out + ended.err
    assert "nothing new is started" in told
    costing = next(line for line in told.splitlines() if "still at AWS" in line)
    assert "db-instance" in costing
    assert "secret" in costing
    assert "hour" in costing


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["db-instance", "proxy-iam"])
def test_a_signal_ends_teardown_in_good_order(
    place: Place, number: signal.Signals, step: str
) -> None:
    place.account.passes(SPEED)
    assert place.up(faults=[]).code == 0
    place.account.passes(SLOW)
    run = started(place, "teardown", step)
    run.send(number)
    ended = run.end()
    place.account.passes(SPEED)
    assert ended.code == INTERRUPTED, ended
    assert ended.error["type"] == "Interrupted", ended
    again = place.teardown()
    assert again.code == 0, again
    place.holds_nothing()


@pytest.mark.parametrize("step", ["vpc", "db-instance"])
def test_a_second_ctrl_c_ends_it_at_once_and_state_is_true(place: Place, step: str) -> None:
    run = started(place, "provision", step)
    run.send(signal.SIGINT)
    run.send(signal.SIGINT)
    ended = run.end()
    assert ended.code == INTERRUPTED
    for known in place.steps().values():  # the file is whole; the step may not be in it yet
        assert set(known) == {"phase", "outputs", "since"}
    goes_on(place)


@pytest.mark.parametrize("output", ["json", "plain"])
def test_a_reader_that_goes_away_ends_the_run(place: Place, output: str) -> None:
    run = place.start("provision", "up", "--no-check", faults=[], output=output).go()
    assert run.wait(lambda _: "db-instance" in place.steps())
    run.stop_reading()
    place.account.passes(SPEED)
    assert run.end().code == 1
    goes_on(place)
