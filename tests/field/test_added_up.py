"""What rehearsed.json says of recorded runs: what was there each time, and what sometimes."""

from __future__ import annotations

from typing import Any

import pytest

from provision.verify.field.rehearsed import CREATES, DELETES, profile
from tests.field.added_up import LEAST_SEEN, summary

CREATE, DELETE = "rds:CreateDBInstance", "rds:DeleteDBInstance"


def run(*, ok: bool | None = True, did: tuple[str, ...] = CREATES, **more: Any) -> dict[str, Any]:
    """A run with these calls accepted, and nothing else to tell of."""
    empty: dict[str, Any] = {"things": [], "refusals": [], "calls": {}, "orders": [], "members": {}}
    return {"ok": ok, "accepted": {call: [1.0] for call in did}, **empty, **more}


def instance(*statuses: str, trigger: str = CREATE) -> dict[str, Any]:
    """A DB instance that was seen in these statuses, one after another."""
    seen = [[each, 0.0, 1.0, 2.0] for each in statuses]
    return {"kind": "DBInstance", "number": 1, "episodes": [{"trigger": trigger, "statuses": seen}]}


def summed(*runs: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return summary(runs, settings.get("relied_on", {}), settings.get("codes", {}))


@pytest.mark.parametrize(
    ("ok", "calls", "name"),
    [
        (True, CREATES, "create"),
        (True, (*DELETES, "ec2:DeleteSubnet"), "delete"),
        (True, CREATES[:1], ""),
        (False, CREATES, ""),
        (None, CREATES, ""),
    ],
)
def test_only_what_was_done_whole_and_well_counts_as_a_whole(
    ok: bool | None, calls: tuple[str, ...], name: str
) -> None:
    assert profile(run(ok=ok, did=calls)) == name


def test_always_is_said_of_what_was_there_each_time_and_often_enough() -> None:
    long, short = instance("creating", "backing-up", "available"), instance("creating", "available")
    runs = [run(things=[long]), *[run(things=[short])] * LEAST_SEEN]
    row = summed(*runs)["statuses"]["DBInstance"][CREATE]
    assert row["statuses"] == {"always": ["available", "creating"], "sometimes": ["backing-up"]}
    assert row["steps"] == {
        "always": [],
        "sometimes": ["backing-up > available", "creating > available", "creating > backing-up"],
    }
    too_few = summed(*runs[: LEAST_SEEN - 1])["statuses"]["DBInstance"][CREATE]
    assert too_few["statuses"]["always"] == []


def test_what_a_failed_run_shows_is_known_and_does_not_have_to_be_there() -> None:
    failed = run(ok=False, things=[instance("creating", "failed")])
    good = [run(things=[instance("creating", "available")])] * LEAST_SEEN
    row = summed(failed, *good)["statuses"]["DBInstance"][CREATE]
    assert row["statuses"]["sometimes"] == ["failed"]
    assert row["statuses"]["always"] == ["available", "creating"]


def test_kinds_are_those_of_whole_creations_and_deletions() -> None:
    silent = {"kind": "DBProxy", "number": 1, "episodes": [{"trigger": "x", "statuses": []}]}
    created = [run(things=[instance("creating"), silent])] * LEAST_SEEN
    deleted = [run(did=DELETES, things=[instance("deleting", trigger=DELETE)])]
    assert summed(*created, *deleted)["kinds"] == {
        "create": {"always": ["DBInstance"], "sometimes": []},
        "delete": {"always": [], "sometimes": ["DBInstance"]},
    }


def test_refusals_that_each_call_meets_are_expected_but_of_reads() -> None:
    refusals = [
        {"call": CREATE, "code": "InvalidSubnet", "words": "no such subnet"},
        {"call": CREATE, "code": "InvalidSubnet", "words": "another"},
        {"call": "rds:DescribeDBInstances", "code": "Throttling", "words": "slow down"},
    ]
    calls = {
        CREATE: {"": 1, "InvalidSubnet": 2},
        "rds:DescribeDBInstances": {"": 9, "Throttling": 1},
    }
    found = summed(*[run(refusals=refusals, calls=calls)] * LEAST_SEEN)["refusals"]
    assert found[CREATE]["InvalidSubnet"] == {
        "words": ["another", "no such subnet"],
        "always": ["create"],
    }
    assert found["rds:DescribeDBInstances"]["Throttling"]["always"] == []
    once = summed(run(refusals=refusals, calls=calls))["refusals"]
    assert once[CREATE]["InvalidSubnet"]["always"] == []


def test_orders_members_and_what_the_product_relies_on() -> None:
    member = {"rds:DescribeDBProxies": {"available": ["DBProxies", "DBProxies.Endpoint"]}}
    fewer = {"rds:DescribeDBProxies": {"available": ["DBProxies"]}}
    order = ["rds:RegisterDBProxyTargets", "DBInstance", "creating", 2]
    later = ["rds:RegisterDBProxyTargets", "DBInstance", "available", 1]
    found = summed(
        run(members=member, orders=[order, later]),
        *[run(members=fewer)] * LEAST_SEEN,
        relied_on={"b:Call": {"B", "A"}, "a:Call": ["C"]},
        codes={"rds": ["X"], "ec2": ["Y"]},
    )
    assert found["runs"] == LEAST_SEEN + 1
    assert found["orders"] == {
        "rds:RegisterDBProxyTargets": {"DBInstance": ["available", "creating"]}
    }
    assert found["members"]["rds:DescribeDBProxies"]["available"] == {
        "always": ["DBProxies"],
        "sometimes": ["DBProxies.Endpoint"],
    }
    assert list(found["relied_on"].items()) == [("a:Call", ["C"]), ("b:Call", ["A", "B"])]
    assert list(found["codes"]) == ["ec2", "rds"]
