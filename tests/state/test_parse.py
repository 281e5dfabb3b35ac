"""What a state document says, word for word, and which documents are sound."""

from __future__ import annotations

import copy
import datetime
import json
import re
from typing import Any

import pytest

from provision.errors import StateError
from provision.state import document as documents
from provision.state.document import (
    PHASES,
    StepState,
    moment,
    now,
    parse,
    refuse_another,
    serialise,
)

STEP = {
    "began": 0.5,
    "doing": "creating",
    "statuses": [[0, "creating", ""], [1.5, "available", "a reason"]],
    "action": "created",
    "ended": 9,
}
RUN = {
    "command": "up",
    "began": "2026-11-24T10:00:00Z",
    "seconds": 0,
    "ok": None,
    "steps": {"vpc": STEP},
}
GOOD: dict[str, Any] = {
    "version": 1,
    "serial": 0,
    "environment": "demo",
    "account": "123456789012",
    "region": "eu-west-1",
    "steps": {"vpc": {"phase": "ready", "outputs": {"id": "vpc-1"}, "since": "2026-11-24"}},
    "runs": [RUN],
}
GONE = object()


def changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The good document with another value at a place, or without what stands there."""
    document = copy.deepcopy(GOOD)
    within: Any = document
    for key in place[:-1]:
        within = within[key]
    if value is GONE:
        del within[place[-1]]
    else:
        within[place[-1]] = value
    return document


def refusal(text: str) -> StateError:
    """Return the error of a text; it says where, and what to do."""
    with pytest.raises(StateError) as caught:
        parse(text, "state.json")
    assert caught.value.message.startswith("state.json: ")
    assert caught.value.next_step
    return caught.value


# --- text -----------------------------------------------------------------------------------------


def test_a_document_is_text_that_a_person_can_read_and_back() -> None:
    text = serialise({key: value for key, value in GOOD.items() if key != "version"})
    assert parse(text, "x") == GOOD
    lines = text.splitlines()
    assert lines[:3] == ["{", ' "version": 1,', ' "serial": 0,']
    assert text.endswith("}\n")


def test_each_step_and_each_run_has_a_line_of_its_own() -> None:
    steps = {"vpc": {"phase": "ready"}, "api": {}}
    assert serialise({"serial": 7, "steps": steps, "runs": ["one", "two"]}).splitlines() == [
        "{",
        ' "version": 1,',
        ' "serial": 7,',
        ' "steps": {',
        '  "vpc": {"phase": "ready"},',
        '  "api": {}',
        " },",
        ' "runs": [',
        '  "one",',
        '  "two"',
        " ]",
        "}",
    ]
    assert ' "steps": {},\n "runs": []\n' in serialise({"steps": {}, "runs": []})


def test_what_is_written_is_of_our_version_unless_it_says_otherwise() -> None:
    assert json.loads(serialise({"serial": 1})) == {"version": 1, "serial": 1}


def test_the_phases_are_those_of_the_format() -> None:
    assert PHASES == ("creating", "made", "ready", "updating", "deleting")
    for phase in PHASES:
        assert parse(json.dumps(changed(("steps", "vpc", "phase"), phase)), "x")


def test_times_are_utc_to_the_second() -> None:
    written = now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", written)
    found = moment(written)
    assert found is not None
    assert found.tzinfo is datetime.UTC
    assert abs((datetime.datetime.now(datetime.UTC) - found).total_seconds()) < 3600
    assert moment("2026-11-24T10:00:00Z") == datetime.datetime(
        2026, 11, 24, 10, tzinfo=datetime.UTC
    )
    for text in ("", "nonsense", "2026-11-24", "2026-11-24T10:00:00", "2026-11-24T10:00:00ZX"):
        assert moment(text) is None


def test_a_step_begins_with_no_outputs_of_its_own() -> None:
    one, other = StepState("creating"), StepState("creating")
    one.outputs["id"] = "vpc-1"
    assert (other.outputs, other.since) == ({}, "")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cut off or not JSON"),
        (json.dumps(GOOD)[:-20], "cut off or not JSON"),
        ("[" * 100_000, "nested too deep"),
        ("[]", "not a state file of this program"),
        ('["version"]', "not a state file of this program"),
        ('"version"', "not a state file of this program"),
        ("null", "not a state file of this program"),
        ("{}", "not a state file of this program"),
        ('{"serial": 1}', "not a state file of this program"),
    ],
)
def test_what_is_no_document_is_left_as_it_is(text: str, words: str) -> None:
    error = refusal(text)
    assert words in error.message
    assert "left as it is" in error.next_step


@pytest.mark.parametrize("version", [0, 2, 1.0, True, "1", None, [1]])
def test_another_version_is_another_programs(version: Any) -> None:
    error = refusal(json.dumps(GOOD | {"version": version}))
    assert "this program knows version 1" in error.message
    assert "Use the program that wrote it" in error.next_step


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_none_is_not_json(number: str) -> None:
    text = json.dumps(GOOD).replace('"seconds": 0', f'"seconds": {number}')
    assert "cut off or not JSON" in refusal(text).message
    assert number in refusal(text).message


BAD: list[tuple[tuple[Any, ...], Any, str]] = [
    *(((key,), GONE, repr(key)) for key in ("serial", "environment", "account", "region", "steps")),
    (("serial",), "7", "'serial'"),
    (("serial",), True, "'serial'"),
    (("serial",), 1.5, "'serial'"),
    (("environment",), 7, "'environment'"),
    (("steps",), [], "'steps'"),
    (("steps", "vpc"), None, "step 'vpc'"),
    (("steps", "vpc"), [], "step 'vpc'"),
    (("steps", "vpc"), "phase", "step 'vpc'"),
    (("steps", "vpc", "password"), "x", "step 'vpc'"),
    (("steps", "vpc", "phase"), "asleep", "step 'vpc'"),
    (("steps", "vpc", "phase"), GONE, "step 'vpc'"),
    (("steps", "vpc", "outputs"), GONE, "step 'vpc'"),
    (("steps", "vpc", "outputs"), [], "step 'vpc'"),
    (("steps", "vpc", "outputs", "id"), 7, "step 'vpc'"),
    (("steps", "vpc", "since"), 7, "step 'vpc'"),
    (("runs",), {}, "'runs'"),
    (("runs",), None, "'runs'"),
    (("runs",), "", "'runs'"),
    (("runs", 0), [], "'runs'"),
    *((("runs", 0, key), GONE, "'runs'") for key in RUN),
    *((("runs", 0, key), 7, "'runs'") for key in ("command", "began", "ok", "steps")),
    (("runs", 0, "expires"), 7, "'runs'"),
    *((("runs", 0, "seconds"), bad, "'runs'") for bad in ("1", True, None, -1, -0.5, 1e10)),
    (("runs", 0, "steps", "vpc"), [], "'runs'"),
    *((("runs", 0, "steps", "vpc", key), GONE, "'runs'") for key in STEP),
    (("runs", 0, "steps", "vpc", "began"), "0", "'runs'"),
    (("runs", 0, "steps", "vpc", "began"), -1, "'runs'"),
    (("runs", 0, "steps", "vpc", "doing"), 7, "'runs'"),
    (("runs", 0, "steps", "vpc", "statuses"), {}, "'runs'"),
    (("runs", 0, "steps", "vpc", "action"), 7, "'runs'"),
    (("runs", 0, "steps", "vpc", "ended"), "9", "'runs'"),
    (("runs", 0, "steps", "vpc", "ended"), -9, "'runs'"),
    *(
        (("runs", 0, "steps", "vpc", "statuses", 1), bad, "'runs'")
        for bad in ([], [1, "x"], ["1", "x", ""], [1, 2, ""], [1, "x", 3], [True, "x", ""], "abc")
    ),
]


@pytest.mark.parametrize(("place", "value", "words"), BAD)
def test_what_is_malformed_is_named(place: tuple[Any, ...], value: Any, words: str) -> None:
    error = refusal(json.dumps(changed(place, value)))
    assert words in error.message
    assert "left as it is" in error.next_step


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("runs",), []),
        (("runs",), GONE),
        (("steps",), {}),
        (("steps", "vpc", "since"), GONE),
        (("runs", 0, "ok"), True),
        (("runs", 0, "seconds"), 1e9),
        (("runs", 0, "seconds"), 0.25),
        (("runs", 0, "expires"), "2026-11-24T10:00:00Z"),
        (("runs", 0, "steps", "vpc", "statuses"), []),
        (("runs", 0, "steps", "vpc"), {k: STEP[k] for k in ("began", "doing", "statuses")}),
    ],
)
def test_what_is_sound_is_taken(place: tuple[Any, ...], value: Any) -> None:
    document = changed(place, value)
    assert parse(json.dumps(document), "x") == document


def test_a_run_that_has_not_ended_can_have_no_bad_status() -> None:
    step = {"began": 1, "doing": "creating", "statuses": [["soon", "creating", ""]]}
    refusal(json.dumps(changed(("runs", 0, "steps", "vpc"), step)))


# --- another's ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["environment", "account", "region"])
def test_anothers_document_is_refused_unless_nothing_is_in_it(key: str) -> None:
    ours = {name: GOOD[name] for name in ("environment", "account", "region")}
    refuse_another(GOOD, "state.json", **ours)
    with pytest.raises(StateError) as caught:
        refuse_another(GOOD, "state.json", **ours | {key: "another"})
    assert (
        f"the state of {key} {GOOD[key]!r}, but this run is for 'another'" in caught.value.message
    )
    assert "--state" in caught.value.next_step
    refuse_another(GOOD | {"steps": {}}, "state.json", **ours | {key: "another"})


def test_twenty_runs_are_kept() -> None:
    assert documents.RUNS_KEPT == 20
