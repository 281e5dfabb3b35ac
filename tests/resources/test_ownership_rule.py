"""Whose a thing is, as one table: every kind of the template, every answer of every witness.

A row reads: in the state by this very id or not, what the tags say, under which name, alone or one
of several. A kind that has no lasting id, no tags or no name of its own skips the rows for those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from types import SimpleNamespace
from typing import cast

import pytest

from provision.aws.account import Aws
from provision.config import Config
from provision.environment import environment
from provision.resources.base import ManagedResource, Seen
from provision.resources.lambda_ import OTHERS
from provision.resources.logs import WRITER
from provision.resources.ownership import ENVIRONMENT, STEP, Owner

OURS, FOREIGN, COPY, UNREADABLE = Owner.OURS, Owner.FOREIGN, Owner.COPY, Owner.UNREADABLE
AWS = cast("Aws", SimpleNamespace(environment="demo"))
TEMPLATE = [
    each for each in environment(Config(), packed=False) if isinstance(each, ManagedResource)
]
UNTAGGED = {  # kinds that AWS gives no tags: ours by what they hang on, or by their description
    "AWS::EC2::SecurityGroupRules", "AWS::RDS::DBProxyTargetGroup", "AWS::Lambda::LayerVersion",
    "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route",
}  # fmt: skip

IN_STATE = {"recorded": True, "another recorded": False, "not in the state": None}
TAGS = ("ours", "another step's", "another environment's", "none", "unreadable")
NAMES = ("our name", "another name")
PLACES = ("alone", "one of several")

# The rule: the first row that fits decides. `*` is anything.
RULE: tuple[tuple[str, str, str, str, Owner], ...] = (
    # in the state       tags                     name            place             whose it is
    ("recorded",         "another environment's", "*",            "*",              FOREIGN),
    ("recorded",         "*",                     "*",            "*",              OURS),
    ("*",                "unreadable",            "*",            "*",              UNREADABLE),
    ("*",                "another environment's", "*",            "*",              FOREIGN),
    ("*",                "none",                  "*",            "*",              FOREIGN),
    ("*",                "another step's",        "*",            "*",              COPY),
    ("*",                "ours",                  "another name", "*",              COPY),
    ("*",                "ours",                  "our name",     "one of several", COPY),
    ("*",                "ours",                  "our name",     "alone",          OURS),
)  # fmt: skip


def by_the_rule(*cell: str) -> Owner:
    return next(
        row[-1]
        for row in RULE
        if all(wanted in ("*", is_) for wanted, is_ in zip(row, cell, strict=False))
    )


@dataclass(frozen=True)
class Cell:
    """One thing at AWS, and what the state file recorded of its step."""

    seen: Seen
    known: dict[str, str]


def cell(each: ManagedResource, state: str, tags: str, name: str, place: str) -> Cell:
    said: dict[str, dict[str, str] | None] = {
        "ours": {ENVIRONMENT: "demo", STEP: each.step, "team": "blue"},
        "another step's": {ENVIRONMENT: "demo", STEP: "another"},
        "another environment's": {ENVIRONMENT: "demo-2", STEP: each.step},
        "none": {"team": "blue"},
        "unreadable": None,
    }
    outputs = {each.lasting_id: "this-very-one"} if each.lasting_id else {}
    recorded: dict[str, str] = {}
    if IN_STATE[state] is not None:
        recorded = {each.lasting_id: "this-very-one" if IN_STATE[state] else "another"}
    seen = Seen(
        outputs,
        {WRITER: "none", OTHERS: []},
        tags=said[tags],
        unreadable="ListTags answered AccessDenied: no" if tags == "unreadable" else "",
        name="renamed" if name == "another name" else "",
        rivals=("another-one",) if place == "one of several" else (),
    )
    return Cell(seen, recorded)


TAGGED = [each for each in TEMPLATE if each.kind not in UNTAGGED]


@pytest.mark.parametrize("each", TAGGED, ids=lambda each: each.step)
def test_whose_each_kind_is_follows_the_rule(each: ManagedResource) -> None:
    states = IN_STATE if each.lasting_id else ["not in the state"]
    for state, tags, name, place in product(states, TAGS, NAMES, PLACES):
        made = cell(each, state, tags, name, place)
        whose = each.ownership(AWS, made.seen, made.known)
        at = f"{each.step}: {state}, tags {tags}, {name}, {place}"
        assert whose.owner is by_the_rule(state, tags, name, place), f"{at}: {whose}"
        assert bool(whose.because) is not whose.ours, f"{at} says no reason"


HANGING = [each for each in TEMPLATE if each.kind in UNTAGGED]


@pytest.mark.parametrize("each", HANGING, ids=lambda each: each.step)
def test_a_kind_without_tags_is_ours_by_what_it_hangs_on(each: ManagedResource) -> None:
    seen = Seen({}, {OTHERS: [], WRITER: "none"})
    assert each.ownership(AWS, seen, {}).owner is OURS
    assert each.ownership(AWS, replace(seen, ours=False), {}).owner is FOREIGN


def test_no_row_of_the_rule_is_dead() -> None:
    used = {
        next(i for i, row in enumerate(RULE) if all(w in ("*", s) for w, s in zip(row, at)))  # noqa: B905
        for at in product(IN_STATE, TAGS, NAMES, PLACES)
    }
    assert used == set(range(len(RULE)))
