"""What is added up of AWS's answers, and that nothing of it names anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from provision.aws.observation.document import check, document
from provision.aws.observation.observer import Observer


class Played:
    """An observer that hears answers at given times."""

    def __init__(self) -> None:
        self.now = 0.0
        self.patch = mock.patch("time.monotonic", side_effect=lambda: self.now)
        self.patch.start()
        self.observer = Observer()

    def __call__(self, at: float, call: str, answer: Any, **asked: Any) -> None:
        self.now = at
        self.observer.heard(call, answer, asked)

    def document(self, *private: str) -> dict[str, Any]:
        found = document(self.observer, "up", ok=True, region="eu-west-1", private=set(private))
        check(json.loads(json.dumps(found)))
        return found

    def statuses(self, kind: str, episode: int = -1) -> list[Any]:
        (thing,) = (each for each in self.document()["things"] if each["kind"] == kind)
        found: list[Any] = thing["episodes"][episode]["statuses"]
        return found


@pytest.fixture
def aws() -> Iterator[Played]:
    played = Played()
    yield played
    played.patch.stop()


def instance(status: str, name: str = "db-SECRET") -> dict[str, str]:
    return {"DbiResourceId": name, "DBInstanceStatus": status}


def refusal(code: str, message: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}}


def test_a_status_lasts_from_look_to_look(aws: Played) -> None:
    aws(5, "rds:CreateDBInstance", {"DBInstance": instance("creating")})
    for at, status in ((10, "creating"), (90, "creating"), (100, "available"), (110, "available")):
        aws(at, "rds:DescribeDBInstances", {"DBInstances": [instance(status)]}, DBInstance="x")
    assert aws.statuses("DBInstance") == [
        ["creating", 5, 5, 90],
        ["available", 90, 100, 110],
    ]
    assert "SECRET" not in json.dumps(aws.document())


def test_a_thing_that_is_found_no_more_is_gone(aws: Played) -> None:
    asked = {"DBInstanceIdentifier": "x"}
    aws(1, "rds:DescribeDBInstances", {"DBInstances": [instance("available")]}, **asked)
    aws(5, "rds:DeleteDBInstance", {"DBInstance": instance("deleting")})
    aws(60, "rds:DescribeDBInstances", {"DBInstances": [instance("deleting")]}, **asked)
    aws(70, "rds:DescribeDBInstances", refusal("DBInstanceNotFound", "x not found"), **asked)
    assert aws.statuses("DBInstance") == [["deleting", 5, 5, 60], ["(gone)", 60, 70, 70]]


def test_what_a_list_has_no_more_is_gone_with_its_last_page(aws: Played) -> None:
    one, two = ({"DBProxyArn": name, "Status": "deleting"} for name in ("arn-1", "arn-2"))
    aws(1, "rds:DeleteDBProxy", {"DBProxy": two})
    aws(2, "rds:DescribeDBProxies", {"DBProxies": [one], "Marker": "m"})
    aws(2, "rds:DescribeDBProxies", {"DBProxies": [two]}, Marker="m")
    aws(7, "rds:DescribeDBProxies", {"DBProxies": [one], "Marker": "m"})
    assert aws.statuses("DBProxy") == [["deleting", 1, 1, 2]]
    aws(8, "rds:DescribeDBProxies", {"DBProxies": []}, Marker="m")
    assert aws.statuses("DBProxy") == [["deleting", 1, 1, 2], ["(gone)", 2, 8, 8]]


def test_somebody_elses_things_are_not_followed(aws: Played) -> None:
    aws(1, "rds:DescribeDBInstances", {"DBInstances": [instance("stopped")]})
    assert aws.document()["things"] == []


def test_refusals_end_when_the_call_is_accepted(aws: Played) -> None:
    busy = "DB Instance demo is in an unsupported state - CREATING, needs to be in [AVAILABLE]"
    for at in (3, 9):
        refused = refusal("InvalidDBInstanceState", busy)
        aws(at, "rds:RegisterDBProxyTargets", refused)
    aws(12, "rds:RegisterDBProxyTargets", {"DBProxyTargets": []})
    (found,) = aws.document()["refusals"]
    assert (found["count"], found["first"], found["last"], found["accepted"]) == (2, 3, 9, 12)
    assert found["words"] == "DB Instance … is in an unsupported state … CREATING, needs to be in …"
    calls = aws.document()["calls"]["rds:RegisterDBProxyTargets"]
    assert calls == {"InvalidDBInstanceState": 2, "": 1}


def test_a_name_that_is_a_common_word_is_masked_too(aws: Played) -> None:
    aws(1, "rds:DescribeDBInstances", refusal("X", "the database service was not found"))
    (found,) = aws.document("service")["refusals"]
    assert found["words"] == "the database … was not found"


def test_a_call_says_in_which_state_it_found_what_it_is_about(aws: Played) -> None:
    aws(1, "rds:CreateDBInstance", {"DBInstance": instance("creating")})
    aws(2, "rds:RegisterDBProxyTargets", {"DBProxyTargets": []})
    aws(3, "rds:ModifyDBInstance", {"DBInstance": instance("creating")})
    assert aws.document()["orders"] == [
        ["rds:CreateDBInstance", "DBInstance", "(new)", 1],
        ["rds:RegisterDBProxyTargets", "DBInstance", "creating", 1],
        ["rds:ModifyDBInstance", "DBInstance", "creating", 1],
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"DBInstances": None},
        {"DBInstances": ["x", None, 3]},
        {"DBInstances": {"DBInstanceStatus": 7, "DbiResourceId": ["x"]}},
        {"Error": {"Message": None}},
        {"Error": "x"},
        {},
    ],
)
def test_an_odd_answer_is_only_counted(aws: Played, answer: Any) -> None:
    aws(1, "rds:DescribeDBInstances", answer, DBInstanceIdentifier="x")
    assert sum(aws.document()["calls"]["rds:DescribeDBInstances"].values()) == 1
    assert aws.document()["things"] == []
