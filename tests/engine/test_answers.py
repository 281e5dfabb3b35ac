"""What the engine makes of AWS's answers while it creates, changes and deletes one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from provision.engine import converge, delete, discovery
from provision.engine.application import apply
from provision.engine.delete import Remover
from provision.errors import (
    AwsAnswer,
    AwsCallError,
    ForeignResource,
    ProvisionError,
    ResourceFailed,
    UnsureError,
)
from provision.resources.base import Change, Seen
from provision.resources.blockers import Blocker
from provision.state.document import CREATING, READY
from tests.support.things import EngineWorld, Thing

NETWORK = Thing("network")
LOST = UnsureError("network", AwsAnswer("CreateThing", "ReadTimeoutError", "no answer"))


def answer(operation: str, code: str, message: str = "no") -> AwsCallError:
    """An error as AWS answers it."""
    return AwsCallError("network", AwsAnswer(operation, code, message, 400))


def first(*errors: ProvisionError) -> Callable[[], None]:
    """Each of the errors once, one after another; then all is well."""
    left = list(errors)

    def trouble() -> None:
        if left:
            raise left.pop(0)

    return trouble


def waits(world: EngineWorld) -> list[tuple[str, ...]]:
    """What was reported while something was waited for."""
    return [each[2:] for each in world.watcher.told if each[0] == "status"]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graces and numbers of attempts that are over soon."""
    monkeypatch.setattr(discovery, "LAG_SECONDS", 1.0)
    monkeypatch.setattr(delete, "LASTING_SECONDS", 1.0)
    monkeypatch.setattr(converge, "CREATE_ATTEMPTS", 2)
    monkeypatch.setattr(converge, "APPLY_ATTEMPTS", 2)
    monkeypatch.setattr(converge, "PATIENT_LOOKS", 1)


# --- creating -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Foreign(Thing):
    """Something that is not ours, wherever it is found."""

    def find(self, aws: Any, known: Mapping[str, str]) -> Seen | None:
        seen = super().find(aws, known)
        return seen and replace(seen, ours=False)


def stands(world: EngineWorld, error: ProvisionError) -> Callable[[], None]:
    """The error, and the thing stands there all the same."""

    def trouble() -> None:
        thing = {"size": 1, "fixed": 1, "status": "ready", "id": "id-of-network"}
        world.cloud.there["network"] = thing
        raise error

    return trouble


def test_what_was_made_though_the_answer_was_lost_is_not_made_again(world: EngineWorld) -> None:
    world.cloud.trouble["create network"] = stands(world, LOST)
    assert world.up(NETWORK).counts.created == 1
    assert world.cloud.done == []  # the second create
    assert ("looking", "the answer was lost") in waits(world)
    assert world.phases() == {"network": READY}


def test_what_was_not_made_is_asked_for_again(world: EngineWorld) -> None:
    world.cloud.trouble["create network"] = first(LOST)
    assert world.up(NETWORK).counts.created == 1
    assert world.cloud.done == ["create network"]


def test_when_each_answer_is_lost_the_next_run_looks_first(world: EngineWorld) -> None:
    world.cloud.trouble["create network"] = first(LOST, LOST)
    with pytest.raises(UnsureError, match="no answer"):
        world.up(NETWORK)
    assert world.phases() == {"network": CREATING}
    assert world.up(NETWORK).counts.created == 1


def test_a_name_that_our_own_has_is_no_error(world: EngineWorld) -> None:
    taken = answer("CreateThing", "ThingAlreadyExists")
    world.cloud.trouble["create network"] = stands(world, taken)
    assert world.up(NETWORK).counts.created == 1
    assert ("looking", "the name is taken") in waits(world)


def test_a_name_that_somebody_else_has_ends_the_run_and_nothing_is_recorded(
    world: EngineWorld,
) -> None:
    taken = answer("CreateThing", "ThingAlreadyExists")
    world.cloud.trouble["create network"] = stands(world, taken)
    with pytest.raises(ForeignResource, match="exists and is not this environment's"):
        world.up(Foreign("network"))
    assert world.phases() == {}


def test_a_name_that_is_taken_by_what_nobody_finds_is_somebody_elses(world: EngineWorld) -> None:
    world.cloud.trouble["create network"] = first(answer("CreateThing", "ResourceConflict"))
    with pytest.raises(ForeignResource):
        world.up(NETWORK)
    assert world.phases() == {}


def test_a_create_that_aws_refuses_is_raised_and_not_recorded_as_begun(world: EngineWorld) -> None:
    world.cloud.trouble["create network"] = first(answer("CreateThing", "AccessDenied"))
    with pytest.raises(AwsCallError, match="CreateThing answered AccessDenied: no"):
        world.up(NETWORK)
    assert world.phases() == {}


@dataclass(frozen=True)
class Leaving(Thing):
    """Something that AWS is deleting: it is seen twice more."""

    def find(self, aws: Any, known: Mapping[str, str]) -> Seen | None:
        thing = aws.there.get(self.step)
        if thing and thing["status"] == "deleting":
            thing["looks"] = thing.get("looks", 0) + 1
            if thing["looks"] > 2:
                del aws.there[self.step]
        return super().find(aws, known)


def test_what_aws_is_deleting_is_waited_for_and_made_anew(world: EngineWorld) -> None:
    leaving = Leaving("network")
    world.up(leaving)
    world.cloud.there["network"]["status"] = "deleting"
    assert world.up(leaving).counts.created == 1
    assert world.cloud.done == ["create network"] * 2
    assert ("deleting", "") in waits(world)


# --- changing -------------------------------------------------------------------------------------

LARGER = replace(NETWORK, size=2)


def test_a_change_whose_answer_was_lost_is_looked_at(world: EngineWorld) -> None:
    world.up(NETWORK)

    def lost() -> None:
        world.cloud.there["network"]["size"] = 2
        raise LOST

    world.cloud.trouble["update network"] = lost
    assert world.up(LARGER).counts.updated == 1
    assert "update network" not in world.cloud.done  # it took effect: not sent again


def test_a_change_that_aws_refuses_for_a_while_is_repeated(world: EngineWorld) -> None:
    world.up(NETWORK)
    busy = answer("ModifyDBInstance", "InvalidDBInstanceState", "is backing up")
    world.cloud.trouble["update network"] = first(busy)
    assert world.up(LARGER).counts.updated == 1
    (because,) = (reason for status, reason in waits(world) if status == "waiting")
    assert "is backing up" in because
    assert because.endswith("the DB instance is busy")


def test_a_change_that_aws_refuses_for_good_ends_the_run(world: EngineWorld) -> None:
    world.up(NETWORK)
    world.cloud.trouble["update network"] = first(answer("ModifyThing", "InvalidValue"))
    with pytest.raises(AwsCallError, match="InvalidValue"):
        world.up(LARGER)
    assert world.up(LARGER).counts.updated == 1


@dataclass(frozen=True)
class Stubborn(Thing):
    """Something that takes the first so many changes, and keeps its size."""

    deaf: int = 1

    def update(self, aws: Any, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.do(f"update {self.step}")
        if aws.done.count(f"update {self.step}") > self.deaf:
            aws.there[self.step]["size"] = self.size


def test_a_change_that_aws_does_not_show_is_asked_for_again_and_then_given_up(
    world: EngineWorld,
) -> None:
    world.up(Stubborn("network"))
    assert world.up(Stubborn("network", size=2)).counts.updated == 1
    assert world.cloud.done.count("update network") == 2
    assert ("ready", "AWS does not show it yet: Size") in waits(world)
    with pytest.raises(ResourceFailed, match="stays as it was: Size"):
        world.up(Stubborn("network", size=3, deaf=99))
    assert world.cloud.done.count("update network") == 4


@dataclass(frozen=True)
class Breaking(Thing):
    """Something that a change breaks."""

    def update(self, aws: Any, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.do(f"update {self.step}")
        aws.there[self.step] |= {"status": "broken", "reason": "it did not like that"}


def test_what_a_change_breaks_ends_the_run_and_is_not_changed_again(world: EngineWorld) -> None:
    world.up(Breaking("network"))
    with pytest.raises(ResourceFailed, match=r"network: broken \(it did not like that\)"):
        world.up(Breaking("network", size=2))
    assert world.cloud.done.count("update network") == 1


@dataclass(frozen=True)
class Slow(Thing):
    """Something that looks ready before AWS has begun with a change."""

    settles = 3

    def applying(self, seen: Seen, changes: Any) -> str:
        return "the size" if seen.reason == "at it" else ""


def test_what_was_changed_has_to_look_ready_several_times_in_a_row(world: EngineWorld) -> None:
    world.up(Slow("network"))
    world.watcher.told.clear()
    world.up(Slow("network", size=2))
    sure = "confirming the change"
    assert [reason for _, reason in waits(world)] == ["Size", sure, sure, ""]


def test_what_aws_is_at_is_waited_for_in_its_own_words(world: EngineWorld) -> None:
    world.up(Slow("network"))

    def begins() -> None:
        world.cloud.there["network"]["reason"] = "at it"

    def ends(_: object, status: str, reason: str = "") -> None:
        world.watcher.told.append(("status", "network", status, reason))
        if reason.startswith("AWS applies it"):
            world.cloud.there["network"]["reason"] = ""

    world.cloud.trouble["update network"] = begins
    world.watcher.status = ends  # type: ignore[method-assign,assignment]
    assert world.up(Slow("network", size=2)).counts.updated == 1
    assert ("ready", "AWS applies it: the size") in waits(world)


@dataclass(frozen=True)
class Guarded(Thing):
    """Something about which an administrator can do what we may not."""

    def for_administrator(self, aws: Any, seen: Seen) -> str:
        return f"Ask for {seen.outputs['id']}."


@pytest.mark.parametrize(
    ("code", "message", "next_step"),
    [
        ("AccessDenied", "not authorized", "Ask for id-of-network."),
        ("AccessDenied", "not authorized, with an explicit deny", ""),
        ("InvalidValue", "not authorized", ""),
    ],
)
def test_a_denial_says_what_an_administrator_can_do(
    world: EngineWorld, code: str, message: str, next_step: str
) -> None:
    world.up(Guarded("network"))
    for what in ("update network", "delete network"):
        world.cloud.trouble[what] = first(answer("ModifyThing", code, message))
    with pytest.raises(AwsCallError) as caught:
        world.up(Guarded("network", size=2))
    assert caught.value.next_step == next_step
    with pytest.raises(AwsCallError) as caught:
        world.down(Guarded("network"))
    assert caught.value.next_step == next_step


class Recorder(Thing):
    """Keeps in which order it is changed."""

    def update(self, aws: Any, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.append(("update", list(changes)))

    def tag(self, aws: Any, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.append(("tag", dict(tags)))

    def untag(self, aws: Any, seen: Seen, keys: Any) -> None:
        aws.append(("untag", list(keys)))


def test_tags_come_last_and_those_without_a_value_are_removed() -> None:
    done: Any = []
    changes = [
        Change("Tags.old", "x", None),
        Change("Tags.team", None, "blue"),
        Change("Size", 1, 2),
        Change("Tags.number", "1", 2),
    ]
    apply(done, Recorder("network"), Seen({}), changes)
    assert done == [
        ("update", ["Size"]),
        ("tag", {"team": "blue", "number": "2"}),
        ("untag", ["old"]),
    ]
    done.clear()
    apply(done, Recorder("network"), Seen({}), changes[:1])
    assert done == [("untag", ["old"])]


# --- deleting -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held(Thing):
    """Something that others hold."""

    by: tuple[Blocker, ...] = ()

    def blocked_by(self, aws: Any, seen: Seen) -> list[Blocker]:
        return list(self.by)


THEIRS = Blocker("their subnet", "owner 1", "aws ec2 delete-subnet", lasts=True)
SOON = Blocker("an interface", lasts=False)
IN_USE = answer("DeleteVpc", "DependencyViolation", "has dependencies")


def test_a_delete_whose_answer_was_lost_is_looked_at(world: EngineWorld) -> None:
    world.up(NETWORK)
    world.cloud.trouble["delete network"] = first(LOST)
    assert world.down(NETWORK).counts.deleted == 1
    assert ("unsure", str(LOST)) in waits(world)


def test_what_passes_is_waited_for_and_named(world: EngineWorld) -> None:
    held = Held("network", by=(SOON,))
    world.up(held)
    world.cloud.trouble["delete network"] = first(IN_USE)
    assert world.down(held).counts.deleted == 1
    assert ("in use", "DependencyViolation: has dependencies - an interface") in waits(world)


def test_what_nobody_names_is_waited_for_by_awss_words(world: EngineWorld) -> None:
    world.up(NETWORK)
    world.cloud.trouble["delete network"] = first(IN_USE)
    assert world.down(NETWORK).counts.deleted == 1
    words = "DependencyViolation: has dependencies - something still uses it"
    assert ("in use", words) in waits(world)


@pytest.mark.parametrize("error", [IN_USE, answer("DeleteThing", "InUse")])
def test_what_does_not_go_by_itself_ends_the_wait_soon_with_what_removes_it(
    world: EngineWorld, error: AwsCallError
) -> None:
    held = Held("network", by=(THEIRS, SOON))
    world.up(held)
    world.cloud.trouble["delete network"] = first(*[error] * 99)
    with pytest.raises(ResourceFailed, match=r"their subnet \(owner 1\); an interface") as caught:
        world.down(held)
    assert caught.value.next_step == (
        "Waiting does not remove it: aws ec2 delete-subnet. Then run the same command again."
    )
    assert "network" in world.phases()


@pytest.mark.parametrize("code", ["AccessDenied", "ThrottlingException", "InvalidState"])
def test_a_refusal_that_does_not_pass_is_raised_at_once(world: EngineWorld, code: str) -> None:
    held = Held("network", by=(SOON,))
    world.up(held)
    world.cloud.trouble["delete network"] = first(answer("DeleteThing", code))
    with pytest.raises(AwsCallError, match=code):
        world.down(held)
    assert "network" in world.cloud.there


@dataclass(frozen=True)
class Lasting(Thing):
    """Something with an id that no other ever has."""

    lasting_id = "id"


def remover(world: EngineWorld, thing: Thing) -> Remover:
    """Who removes a thing."""
    engine = world.engine(thing)
    return Remover(
        engine.aws, engine.state, engine.poll_policy, thing, lambda *_: None, lambda: None
    )


def test_another_thing_in_the_place_of_ours_is_not_deleted(world: EngineWorld) -> None:
    world.up(Lasting("network"))
    assert remover(world, Lasting("network")).remove({"id": "another"}) is False
    assert "network" in world.cloud.there
    assert remover(world, Lasting("network")).remove({"id": "id-of-network"}) is True
    assert world.cloud.there == {}


def test_what_turns_out_to_be_somebody_elses_is_not_deleted(world: EngineWorld) -> None:
    world.up(NETWORK)
    with pytest.raises(ForeignResource, match="It was not touched"):
        remover(world, Foreign("network")).remove({})
    assert "network" in world.cloud.there
