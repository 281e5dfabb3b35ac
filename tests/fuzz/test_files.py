"""Whatever stands in config.toml, in `--set`, in the state file or in a log: never a traceback."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from provision.config import KEYS, Config, load
from provision.errors import StateError, UsageError
from provision.state import document as state_document
from provision.verify.request_log import Requests
from tests.support.commands import Commands

quick = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# --- config.toml and --set ------------------------------------------------------------------------

SECTIONS = sorted({key.partition(".")[0] for key in KEYS})
NAMES = sorted({key.partition(".")[2] for key in KEYS})
lines = st.one_of(
    st.sampled_from([f"[{section}]" for section in SECTIONS]),
    st.builds("{} = {}".format, st.sampled_from(NAMES), st.integers() | st.floats()),
    st.builds("{} = {!r}".format, st.sampled_from(NAMES), st.text(max_size=8)),
    st.builds("{} = [{!r}]".format, st.sampled_from(NAMES), st.text(max_size=4)),
    st.builds("tags = {{ {!r} = {!r} }}".format, st.text(max_size=4), st.text(max_size=4)),
    st.text(max_size=12),
)
files = st.one_of(
    st.lists(lines, max_size=8).map(lambda each: "\n".join(each).encode(errors="replace")),
    st.binary(max_size=40),
)


def refusal(loading: Callable[[], Config]) -> UsageError | None:
    """Why a configuration is refused, if it is."""
    try:
        loading()
    except UsageError as error:
        json.dumps(error.as_dict())
        return error
    return None


@quick
@given(content=files)
@example(content=b"\xef\xbb\xbf[environment]\r\nname = 'x'\r\n")
@example(content=b"a = " + b"[" * 3000)
@example(content=b"[function]\nmemory_mib = " + b"9" * 5000)
def test_any_file_is_a_configuration_or_an_error_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    error = refusal(lambda: load(path))
    assert error is None or error.next_step


@quick
@given(
    key=st.sampled_from([*KEYS, "environment.tags.x"]) | st.text(max_size=10),
    value=st.one_of(st.text(max_size=20), st.integers().map(str), st.floats().map(str)),
)
def test_any_value_that_is_set_is_taken_or_told(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    refusal(lambda: load(path, [f"{key}={value}"]))


# --- the state file -------------------------------------------------------------------------------

RUN = {
    "command": "up",
    "began": "2026-11-26T10:00:00Z",
    "seconds": 12.5,
    "ok": True,
    "steps": {
        "vpc": {
            "began": 0.5,
            "ended": 2.5,
            "doing": "creating",
            "action": "created",
            "statuses": [[0.7, "pending", ""], [1.9, "available", ""]],
        }
    },
}
STATE: dict[str, Any] = {
    "version": 1,
    "serial": 7,
    "environment": "rds-proxy-auth",
    "account": "123456789012",
    "region": "ap-northeast-1",
    "steps": {
        "vpc": {
            "phase": "creating",
            "outputs": {"id": "vpc-1"},
            "since": "2026-11-26T10:00:00Z",
        },
        "api": {"phase": "ready", "outputs": {"id": "a", "endpoint": "https://a"}, "since": ""},
    },
    "runs": [RUN, RUN | {"command": "teardown", "ok": None}],
}
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.sampled_from(["9999-99-99T99:99:99Z", "2026-11-26T10:00:00", "\x1b[31m", "x" * 3000]),
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """Every place in a document: the keys that lead to it."""
    found: list[tuple[Any, ...]] = [()]
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            found += [(key, *rest) for rest in places(each)]
    return found


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in one place."""
    if not place:
        return value
    document = copy.deepcopy(document)
    at = document
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return document


PLACES = places(STATE)


@quick
@given(place=st.sampled_from(PLACES), value=odd)
def test_a_state_with_anything_anywhere_is_read_or_told(place: Any, value: Any) -> None:
    text = json.dumps(changed(STATE, place, value))
    message = "here: "
    try:
        assert state_document.parse(text, "here")["version"] == 1
    except StateError as error:
        message = error.message
    assert message.startswith("here: ")
    assert len(message) < 400


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.sampled_from(PLACES), value=odd)
@example(place=("version",), value=True)
@example(place=("version",), value=1.0)
@example(place=("runs", 0, "seconds"), value=1e308)
@example(place=("runs", 0, "seconds"), value=5e-324)
@example(place=("runs", 1, "seconds"), value=2.3e-309)
@example(place=("runs", 0, "began"), value="yesterday")
@example(place=("steps", "vpc", "since"), value="2026-11-26T10:00:00")
def test_the_timeline_of_such_a_state_is_shown_or_told(
    commands: Commands, place: Any, value: Any
) -> None:
    path = commands.state_path()
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(changed(STATE, place, value)))
    result = commands.run("provision", "timeline", "--output", "plain")
    assert result.code in (0, 1, 2), result
    assert "Traceback" not in result.stderr
    assert "This is a bug" not in result.stderr, result.stderr


TEXTS = ["", "{", "[" * 5000, "9" * 5000, '{"version": 1', "NaN", '{"version": 1e400}', "\0"]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("words", [("provision", "plan"), ("teardown", "--plan")])
def test_a_text_that_is_no_state_is_told(
    commands: Commands, text: str, words: tuple[str, ...]
) -> None:
    path = commands.state_path()
    path.parent.mkdir()
    path.write_text(text)
    result = commands.run(*words, "--output", "json")
    assert result.code == 1
    assert result.error["type"] == "StateError"
    assert len(result.error["message"]) < 400
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("steps", "vpc", "since"), "nonsense"),
        (("steps", "vpc", "since"), "2026-11-26T10:00:00"),
        (("steps", "vpc", "since"), ""),
        (("runs", 0, "began"), "nonsense"),
        (("runs", 1, "seconds"), sys.maxsize),
        (("serial",), -(10**30)),
    ],
)
def test_nonsense_times_and_numbers_stop_nothing_that_can_go_on(
    commands: Commands, place: Any, value: Any
) -> None:
    path = commands.state_path()
    path.parent.mkdir()
    path.write_text(json.dumps(changed(STATE, place, value)))
    result = commands.run("provision", "plan", "--output", "json")
    assert result.code in (0, 1), result
    if result.code:
        assert result.error["type"] == "StateError"


# --- log lines ------------------------------------------------------------------------------------

REPORT = {"logStreamName": "a", "timestamp": 1, "message": "REPORT RequestId: 1\tDuration: "}
EXTREME = (float("inf"), float("-inf"), float("nan"), 1e300, -1e300)
messages = st.one_of(
    st.text(max_size=30),
    st.builds("START RequestId: {} Version: $LATEST".format, st.text(max_size=5)),
    st.builds("END RequestId: {}".format, st.text(max_size=5)),
    st.builds(
        "REPORT RequestId: {}\tDuration: {}\tMemory Size: {}\tStatus: {}".format,
        st.text(max_size=5),
        st.text(max_size=5) | st.floats().map(str) | st.just("12.5 ms"),
        st.text(max_size=5),
        st.text(max_size=5),
    ),
    st.builds(json.dumps, st.dictionaries(st.sampled_from(["error", "message", "status"]), odd)),
)
events = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "logStreamName": st.sampled_from(["a", "b", "", None]),
            "timestamp": odd | st.integers(0, 2**60),
            "message": messages | odd,
        },
    ),
    max_size=8,
)


@quick
@given(given=events)
@example(
    given=[{"logStreamName": "a", "timestamp": 1, "message": "REPORT RequestId: 1\tDuration: "}]
)
@example(
    given=[{"logStreamName": "a", "timestamp": 1, "message": "REPORT RequestId: 1\tDuration: abc"}]
)
@example(given=[{"logStreamName": "a", "timestamp": each, "message": ""} for each in EXTREME])
def test_whatever_is_logged_is_put_together(given: list[dict[str, Any]]) -> None:
    requests = Requests("iam")
    for request in [*requests.feed(given), *requests.rest()]:
        assert request.when
        assert all(number >= 0 for number in request.numbers.values())
        assert request.failure is None or isinstance(request.failure, dict)
