"""When an environment ends: what tags, configuration and `--extend` say together."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from provision.engine import lifetime
from provision.engine.lifetime import Lifetime, expiry_removed
from provision.engine.plan import Action, Plan, Planned
from provision.errors import AwsAnswer, AwsCallError, Expired
from provision.resources.base import AccountResource, ManagedResource, Resource, Seen
from provision.resources.expiry import EXPIRES, NEVER
from provision.state.local import LocalStore
from provision.state.state import State

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PAST, SOON, LATER = "2025-12-31T23:00:00Z", "2026-01-01T08:00:00Z", "2026-01-02T00:00:00Z"


@dataclass
class FakeAws:
    """What a lifetime needs of AWS, and what was tagged."""

    environment: str = "demo"
    expires: str = ""
    expiry_kept_at: str = ""
    done: list[tuple[str, str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Tagged(ManagedResource):
    """Something with tags."""

    kind = "Demo::Tagged"
    title = "tagged"

    def tag(self, aws: Any, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.done.append(("tag", self.step, dict(tags)))

    def untag(self, aws: Any, seen: Seen, keys: Sequence[str]) -> None:
        aws.done.append(("untag", self.step, list(keys)))


@dataclass(frozen=True)
class Costly(Tagged):
    """Something that AWS bills."""

    costs = True


@dataclass(frozen=True)
class Shared(AccountResource):
    """The account's own."""


@pytest.fixture(autouse=True)
def now() -> Any:
    with mock.patch.object(lifetime, "now", return_value=NOW):
        yield


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(LocalStore(tmp_path / "state.json"), environment="demo", region="r", writes=False)


def tagged(step: str, expires: str | None = None, environment: str = "demo") -> Seen:
    """What carries our two tags, and the moment."""
    tags = {"provision:environment": environment, "provision:step": step}
    return Seen({}, tags=tags if expires is None else {**tags, EXPIRES: expires})


VPC, GROUP, DATABASE = Tagged("vpc"), Tagged("group"), Costly("database")


def settled(state: State, seen: Mapping[str, Seen | None], **settings: Any) -> Lifetime:
    found, aws = Lifetime(**settings), FakeAws()
    found.settle(aws, (VPC, GROUP, DATABASE), seen, state)  # type: ignore[arg-type]
    assert aws.expires == found.expires
    return found


@pytest.mark.parametrize(
    ("vpc", "group", "settings", "expires"),
    [
        (None, None, {}, ""),
        (None, None, {"after": "8h"}, SOON),
        (SOON, None, {"after": "1d"}, SOON),  # the first `up` has fixed it
        (SOON, LATER, {}, LATER),
        (SOON, "nonsense", {}, SOON),
        (SOON, NEVER, {"after": "8h"}, ""),
        (LATER, None, {"extend": "8h"}, SOON),
        (LATER, LATER, {"extend": NEVER}, ""),
    ],
)
def test_which_moment_counts(
    state: State, vpc: str | None, group: str | None, settings: dict[str, str], expires: str
) -> None:
    seen = {"vpc": tagged("vpc", vpc), "group": tagged("group", group)}
    found = settled(state, seen, **settings)
    assert (found.expires, found.ignored, found.over) == (expires, False, False)


def test_what_costs_money_already_gets_no_end_by_itself(state: State) -> None:
    found = settled(state, {"database": tagged("database")}, after="8h")
    assert (found.expires, found.moment, found.ignored) == ("", None, True)


def test_tags_of_somebody_else_do_not_count(state: State) -> None:
    assert settled(state, {"vpc": tagged("vpc", PAST, environment="other")}).expires == ""
    assert settled(state, {"vpc": tagged("vpc", PAST)}).over


def planned(action: Action, resource: Resource, seen: Seen | None = None) -> Planned:
    return Planned(resource, action, seen)


def test_when_its_time_is_over_nothing_new_is_made(state: State) -> None:
    over, steps = settled(state, {"vpc": tagged("vpc", PAST)}), (
        planned(Action.CREATE, VPC),
        planned(Action.REPLACE, DATABASE),
        planned(Action.UPDATE, GROUP),
    )  # fmt: skip
    (refusal,) = over.refuse_new(Plan(steps)).refused
    assert isinstance(refusal, Expired)
    assert f"expired at {PAST}: nothing new is created (vpc, database)" in refusal.message
    assert "--extend 8h" in refusal.next_step
    assert over.refuse_new(Plan(steps[2:])).refused == ()
    young = settled(state, {"vpc": tagged("vpc", SOON)})
    assert young.refuse_new(Plan(steps)).refused == ()


# --- an expiry that is taken away -----------------------------------------------------------------


def plan(*expires: str | None) -> Plan:
    """The VPC, the group and the database with these moments, and what has no tags of ours."""
    resources = (VPC, GROUP, DATABASE)
    steps = [
        planned(Action.UPDATE, each, tagged(each.step, moment))
        for each, moment in zip(resources, expires, strict=True)
    ]
    return Plan((*steps, planned(Action.NONE, Shared("shared"), Seen({}))))


def removed(aws: FakeAws, state: State, what: Plan) -> Any:
    return expiry_removed(aws, what, state)  # type: ignore[arg-type]


def test_one_says_never_until_all_others_are_removed(state: State) -> None:
    aws = FakeAws()
    with removed(aws, state, plan(None, SOON, SOON)):
        assert aws.done == [("tag", "group", {EXPIRES: NEVER})]
        assert aws.expiry_kept_at == "group"
    assert aws.done[1:] == [("untag", "group", [EXPIRES])]
    assert aws.expiry_kept_at == ""


def test_one_that_says_it_already_goes_on_saying_it(state: State) -> None:
    aws = FakeAws()
    with removed(aws, state, plan(SOON, None, NEVER)):
        assert (aws.done, aws.expiry_kept_at) == ([], "database")
    assert aws.done == [("untag", "database", [EXPIRES])]


def test_when_it_is_cut_off_never_stays_for_the_next_run(state: State) -> None:
    aws = FakeAws()
    denied = AwsCallError("group", AwsAnswer("TagRole", "AccessDenied", "no"))
    with pytest.raises(AwsCallError), removed(aws, state, plan(SOON, SOON, SOON)):
        raise denied
    assert aws.done == [("tag", "vpc", {EXPIRES: NEVER})]
    assert aws.expiry_kept_at == ""


@pytest.mark.parametrize(
    ("wanted", "what"), [(SOON, plan(SOON, SOON, SOON)), ("", plan(None, None, None))]
)
def test_where_there_is_nothing_to_take_away_nothing_is_tagged(
    state: State, wanted: str, what: Plan
) -> None:
    aws = FakeAws(expires=wanted)
    with removed(aws, state, what):
        assert aws.expiry_kept_at == ""
    assert aws.done == []
