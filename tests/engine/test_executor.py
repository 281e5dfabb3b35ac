"""The engine with things that know no AWS: order, threads, failures, and what is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from provision.engine.plan import Action
from provision.errors import Interrupted, ProvisionError, ResourceFailed
from provision.resources.base import Change, Resource, Seen
from provision.state.document import CREATING, MADE, READY
from tests.support.things import Byproduct, EngineWorld, Thing

SECONDS = 30  # that two steps may take to meet: far more than they need


def fails(message: str = "AWS said no") -> Callable[[], None]:
    def trouble() -> None:
        raise ProvisionError(message)

    return trouble


NETWORK, DATABASE = Thing("network"), Thing("database")
PROXY = Thing("proxy", needs=(NETWORK.id, DATABASE.id))
FUNCTION = Thing("function", needs=(PROXY.id,))
ALL = (NETWORK, DATABASE, PROXY, FUNCTION)


# --- up -------------------------------------------------------------------------------------------


def test_each_is_made_when_what_it_refers_to_is_there_and_with_its_value(
    world: EngineWorld,
) -> None:
    engine = world.up(*ALL)
    assert set(world.cloud.done[:2]) == {"create network", "create database"}
    assert world.cloud.done[2:] == [
        "create proxy id-of-network id-of-database",
        "create function id-of-proxy",
    ]
    assert engine.counts.created == 4
    assert world.phases() == dict.fromkeys(("network", "database", "proxy", "function"), READY)


def test_what_needs_nothing_of_another_runs_at_the_same_time(world: EngineWorld) -> None:
    both = threading.Barrier(2, timeout=SECONDS)  # each create waits until the other has begun
    world.cloud.trouble |= {"create network": both.wait, "create database": both.wait}
    assert world.up(NETWORK, DATABASE).counts.created == 2


def test_as_it_should_be_nothing_is_done(world: EngineWorld) -> None:
    world.up(*ALL)
    world.cloud.done.clear()
    engine = world.up(*ALL)
    assert world.cloud.done == []
    assert engine.counts.unchanged == 4


def test_what_differs_is_changed_in_place_and_the_rest_left(world: EngineWorld) -> None:
    world.up(*ALL)
    world.cloud.done.clear()
    engine = world.up(NETWORK, Thing("database", size=2), PROXY, FUNCTION)
    assert world.cloud.done == ["update database"]
    assert (engine.counts.updated, engine.counts.unchanged) == (1, 3)


def test_what_cannot_be_changed_is_deleted_before_it_is_made_anew(world: EngineWorld) -> None:
    world.up(*ALL)
    world.cloud.done.clear()
    world.up(NETWORK, Thing("database", fixed=2), PROXY, FUNCTION)
    assert world.cloud.done == ["delete database", "create database"]


def test_what_was_found_and_is_not_in_the_state_is_adopted(world: EngineWorld) -> None:
    world.up(*ALL)
    world.path.unlink()
    engine = world.up(*ALL)
    assert engine.counts.adopted == 4
    assert set(world.phases().values()) == {READY}


# --- failures -------------------------------------------------------------------------------------


def test_an_error_is_told_with_the_step_and_who_needs_it_is_not_begun(world: EngineWorld) -> None:
    world.cloud.trouble["create database"] = fails()
    with pytest.raises(ProvisionError, match="AWS said no"):
        world.up(*ALL)
    assert ("failed", "database", "AWS said no") in world.watcher.told
    assert not any("proxy" in each or "function" in each for each in world.cloud.done)
    assert world.phases()["database"] == CREATING  # it was asked for: the next run looks first


def test_what_is_under_way_when_another_fails_is_recorded(world: EngineWorld) -> None:
    """The answer of a create that was on its way is not thrown away."""
    failed, begun = threading.Event(), threading.Event()

    def fail() -> None:
        assert begun.wait(SECONDS)
        failed.set()
        raise ProvisionError("AWS said no")

    def slow() -> None:
        begun.set()
        assert failed.wait(SECONDS)

    world.cloud.trouble |= {"create database": fail, "create network": slow}
    with pytest.raises(ProvisionError, match="AWS said no"):
        world.up(*ALL)
    assert "network" in world.cloud.there
    assert world.phases()["network"] in (MADE, READY)
    world.cloud.trouble.clear()
    assert world.up(*ALL).counts.created == 3  # network is not made twice
    assert world.cloud.done.count("create network") == 1


def test_an_error_ends_the_waits_of_all_others(
    world: EngineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails for good is told at once, not when the slowest of the others is ready."""
    waits = threading.Event()

    def pending(resource: Resource, status: str, *_: str) -> None:
        assert (resource.step, status) == ("network", "pending")
        waits.set()

    def fail() -> None:
        assert waits.wait(SECONDS)
        raise ProvisionError("AWS said no")

    monkeypatch.setattr(world.watcher, "status", pending)
    world.cloud.trouble["create database"] = fail
    world.cloud.born = "pending"
    with pytest.raises(ProvisionError, match="AWS said no"):
        world.up(NETWORK, DATABASE)
    failed = [each[1] for each in world.watcher.told if each[0] == "failed"]
    assert failed == ["database"]  # the network's wait was ended, and did not time out


def test_a_state_that_does_not_become_good_ends_the_run_with_its_reason(world: EngineWorld) -> None:
    world.up(*ALL)
    world.cloud.there["database"] |= {"status": "broken", "reason": "storage is full"}
    with pytest.raises(ResourceFailed, match=r"database: broken \(storage is full\)") as caught:
        world.up(*ALL)
    assert "python -m provision doctor" in caught.value.next_step


def test_a_bug_in_one_step_is_raised_as_it_is_and_nobody_waits_for_it(world: EngineWorld) -> None:
    def bug() -> None:
        raise ZeroDivisionError("a bug")

    world.cloud.trouble["create database"] = bug
    with pytest.raises(ZeroDivisionError):
        world.up(*ALL)
    assert "create proxy" not in " ".join(world.cloud.done)


def test_an_interruption_begins_nothing_more_and_records_what_is_there(world: EngineWorld) -> None:
    engine = world.engine(*ALL)
    world.cloud.trouble["create database"] = (
        engine.poll_policy.stop.set
    )  # Ctrl-C while it is asked for
    with pytest.raises(Interrupted):
        engine.carry_out(world.plan(engine))
    assert "database" in world.cloud.there
    assert world.phases()["database"] in (MADE, READY)
    assert "proxy" not in world.phases()
    assert not any("proxy" in each for each in world.cloud.done)
    world.cloud.trouble.clear()
    world.up(*ALL)
    assert world.cloud.done.count("create database") == 1
    assert set(world.phases().values()) == {READY}


# --- down -----------------------------------------------------------------------------------------


def test_each_goes_when_nobody_refers_to_it_any_more(world: EngineWorld) -> None:
    world.up(*ALL)
    world.cloud.done.clear()
    engine = world.down(*ALL)
    assert world.cloud.done[:2] == ["delete function", "delete proxy"]
    assert set(world.cloud.done[2:]) == {"delete database", "delete network"}
    assert engine.counts.deleted == 4
    assert world.phases() == {}
    assert world.cloud.there == {}


def test_what_cannot_be_deleted_holds_up_only_what_it_stands_on(world: EngineWorld) -> None:
    other = Thing("other")
    world.up(*ALL, other)
    world.cloud.trouble["delete proxy"] = fails("it is protected")
    with pytest.raises(ProvisionError, match="it is protected"):
        world.down(*ALL, other)
    assert set(world.cloud.there) == {"network", "database", "proxy"}
    assert ("skipped", "database", "proxy failed") in world.watcher.told
    assert set(world.phases()) == {"network", "database", "proxy"}
    world.cloud.trouble.clear()
    assert world.down(*ALL, other).counts.deleted == 3


def test_a_teardown_of_nothing_deletes_nothing(world: EngineWorld) -> None:
    assert world.down(*ALL).counts.deleted == 0
    assert world.cloud.done == []


def test_what_begins_to_be_deleted_ends_also_what_aws_made_by_itself(world: EngineWorld) -> None:
    world.up(NETWORK)
    byproduct = Byproduct("byproduct", needs=(NETWORK.id,))
    world.cloud.there["byproduct"] = {}
    engine = world.down(NETWORK, byproduct, DATABASE)
    told = [each for each in world.watcher.told if each[1] != "network" or "delet" in each[2]]
    assert told == [
        ("began", "byproduct", "deleting"),
        ("status", "byproduct", "gone", ""),
        ("finished", "byproduct", "deleted", "by-1"),
        ("began", "network", "deleting"),
        ("finished", "network", "deleted", "id-of-network"),
    ]
    assert engine.counts.deleted == 1  # the network; and of the database nothing was there to tell


# --- what AWS takes in portions, or never shows ---------------------------------------------------


@dataclass(frozen=True)
class Keyed(Thing):
    """Something with a key that nobody can read again, and that has to be awake to be changed."""

    key: str = ""
    write_only = {"Key": "key"}  # noqa: RUF012
    urgent = frozenset({"Awake"})

    def find(self, aws: Any, known: Mapping[str, str]) -> Seen | None:
        seen = super().find(aws, known)
        if seen is None or not aws.there[self.step].get("asleep"):
            return seen
        return replace(seen, properties={**seen.properties, "Awake": False})

    def properties(self) -> dict[str, Any]:
        return {**super().properties(), "Awake": True}

    def update(self, aws: Any, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.do(f"update {self.step}: {' '.join(sorted(changes))}")
        if "Awake" in changes:
            del aws.there[self.step]["asleep"]
        else:
            aws.there[self.step]["size"] = self.size


def test_what_nobody_can_see_is_written_when_what_it_comes_from_is_new(world: EngineWorld) -> None:
    keyed = Keyed("keyed", key=f"key of {NETWORK.id}")
    world.up(NETWORK, keyed)
    world.cloud.done.clear()
    world.up(NETWORK, keyed)
    assert world.cloud.done == []
    world.up(NETWORK, keyed, replace=("network",))
    assert world.cloud.done == ["delete network", "create network", "update keyed: Key"]


def test_it_is_written_again_when_nobody_knows_whether_it_was(world: EngineWorld) -> None:
    keyed = Keyed("keyed", key=f"key of {NETWORK.id}")
    world.up(NETWORK, keyed)
    world.cloud.trouble["update keyed: Key"] = fails()
    with pytest.raises(ProvisionError, match="AWS said no"):
        world.up(NETWORK, keyed, replace=("network",))
    world.cloud.trouble.clear()
    world.cloud.done.clear()
    world.up(NETWORK, keyed)
    world.up(NETWORK, keyed)
    assert world.cloud.done == ["update keyed: Key"]


def test_what_is_asleep_is_woken_before_it_is_changed_and_nothing_is_forgotten(
    world: EngineWorld,
) -> None:
    keyed = Keyed("keyed", key=f"key of {NETWORK.id}", size=2)
    world.up(NETWORK, replace(keyed, size=1))
    world.cloud.there["keyed"]["asleep"] = True
    world.cloud.done.clear()
    world.up(NETWORK, keyed, replace=("network",))
    assert world.cloud.done[2:] == ["update keyed: Awake", "update keyed: Key Size"]


# --- plans ----------------------------------------------------------------------------------------


def test_a_plan_goes_in_the_order_of_the_environment_and_changes_nothing(
    world: EngineWorld,
) -> None:
    world.up(NETWORK, DATABASE)
    world.cloud.done.clear()
    engine = world.engine(NETWORK, Thing("database", size=2), PROXY, FUNCTION)
    plan = world.plan(engine)
    assert [(each.step, each.action) for each in plan.steps] == [
        ("network", Action.NONE),
        ("database", Action.UPDATE),
        ("proxy", Action.CREATE),
        ("function", Action.CREATE),
    ]
    assert world.cloud.done == []


def test_a_step_is_replaced_by_name_though_nothing_demands_it(world: EngineWorld) -> None:
    world.up(*ALL)
    world.cloud.done.clear()
    world.up(*ALL, replace=("network",))
    assert world.cloud.done == ["delete network", "create network"]
