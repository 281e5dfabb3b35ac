"""JSON lines: every event's shape, and nothing but one object a line."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest

from provision.engine.events import Pace, Summary
from provision.errors import AwsAnswer, AwsCallError
from provision.resources.base import Change
from provision.views.json_lines import JsonLines
from tests.support.outputs import ABOUT, RESOURCES, STEP, plan_of

DENIED = AwsCallError("vpc", AwsAnswer("CreateVpc", "NoWay", "No."), next_step="Ask.")


class Heard(JsonLines):
    """JSON output, and what it said."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        super().__init__(self.stream)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def output() -> Heard:
    return Heard()


def test_a_step_from_begin_to_end(output: Heard) -> None:
    output.began(STEP["vpc"], "creating")
    output.status(STEP["vpc"], "pending", 'a "reason"\nof two lines')
    output.finished(STEP["vpc"], "created", "vpc-1", 1.23456)
    assert output.events == [
        {"event": "begin", "step": "vpc", "doing": "creating"},
        {
            "event": "status",
            "step": "vpc",
            "status": "pending",
            "reason": 'a "reason"\nof two lines',
        },
        {"event": "step", "step": "vpc", "action": "created", "id": "vpc-1", "seconds": 1.235},
    ]


def test_the_end_of_what_aws_made_is_not_counted_among_the_steps(output: Heard) -> None:
    interfaces = STEP["function-interfaces"]
    output.began(interfaces, "deleting")
    output.status(interfaces, "gone")
    output.finished(interfaces, "deleted", "eni-1", 1)
    assert [event["event"] for event in output.events] == ["begin", "status"]


def test_a_failed_and_a_skipped_step(output: Heard) -> None:
    output.failed(STEP["vpc"], DENIED)
    output.skipped(STEP["subnet-function"], "vpc failed")
    failed, skipped = output.events
    assert (failed["event"], failed["action"], failed["seconds"]) == ("step", "failed", None)
    assert failed["error"] == {
        "type": "AwsCallError",
        "message": "vpc: CreateVpc answered NoWay: No.",
        "next": "Ask.",
        "step": "vpc",
        "operation": "CreateVpc",
        "code": "NoWay",
        "aws_message": "No.",
    }
    assert skipped == {"event": "skipped", "step": "subnet-function", "reason": "vpc failed"}


def test_a_plan_has_an_event_for_each_step_that_makes_something(output: Heard) -> None:
    hidden = Change("Password", "old secret", "new secret", sensitive=True)
    output.planned(plan_of(["vpc"], [("secret", hidden)]))
    planned = {each["step"]: each for each in output.events}
    assert len(planned) == 36
    assert "availability-zones" not in planned
    assert planned["vpc"]["action"] == "create"
    assert planned["secret"]["changes"] == [
        {"property": "Password", "is": "(hidden)", "should": "(hidden)", "replaces": False}
    ]
    assert "old secret" not in output.stream.getvalue()


def test_the_summary_is_the_contract(output: Heard) -> None:
    output.summary(Summary("up", False, created=2, seconds=1.23456, url=None, error=DENIED))
    (summary,) = output.events
    assert summary.pop("error")["code"] == "NoWay"
    assert summary == {
        "event": "summary",
        "ok": False,
        "created": 2,
        "adopted": 0,
        "updated": 0,
        "unchanged": 0,
        "deleted": 0,
        "seconds": 1.235,
        "url": None,
    }


def test_what_is_for_a_person_is_not_on_stdout(output: Heard) -> None:
    output.start("up", RESOURCES, ABOUT, Pace())
    output.note("a note")
    output.table("title", ("a",), [("b",)])
    output.document(["text"])
    output.error(DENIED)
    output.close()
    assert output.events == []


def test_many_threads_write_whole_lines(output: Heard) -> None:
    def write(name: str) -> None:
        for number in range(50):
            output.record("x", name=name, number=number, text="y" * 500)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(output.events) == 200
