"""What has to be done at one step, and what stands against it; AWS is what the tests say it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from provision.engine.plan import Action, Plan, compare, mend
from provision.errors import ForeignResource, ProvisionError, ReplacementRefused
from provision.resources.base import (
    AccountResource,
    AwsMadeResource,
    Change,
    DataSource,
    ManagedResource,
    Resource,
    Seen,
)
from provision.resources.references import Output
from provision.state.document import READY, UPDATING
from provision.state.local import LocalStore
from provision.state.state import State

AWS: Any = SimpleNamespace(
    environment="demo",
    region="eu-west-1",
    extra_tags={},
    expires="",
    expiry_kept_at="",
    identity=SimpleNamespace(account="123456789012", partition="aws-cn"),
)


@dataclass(frozen=True)
class Box(ManagedResource):
    """A managed thing with an id, a size, a colour that cannot be changed, and a key."""

    size: str = "1"
    colour: str = "red"
    holds: str = ""
    key: str = ""

    kind = "Demo::Box"
    title = "box"
    lasting_id = "id"
    requires_replacement = frozenset({"Colour"})
    write_only: ClassVar[Mapping[str, str]] = {"Key": "key"}
    recomputes: ClassVar[Mapping[str, tuple[str, ...]]] = {"Size": ("volume",)}

    id, volume = Output(), Output()

    def properties(self) -> dict[str, Any]:
        return {"Size": self.size, "Colour": self.colour, "Holds": self.holds}

    def kept(self, seen: Seen) -> list[str]:
        return ["Grown to 9, stays so"] if seen.properties.get("Size") == "9" else []


@dataclass(frozen=True)
class Vault(Box):
    """A box with data in it, which may be locked."""

    holds_data = True

    def protected(self, seen: Seen) -> ProvisionError | None:
        return ProvisionError("locked") if seen.status == "locked" else None


@dataclass(frozen=True)
class Shelf(Box):
    """Stands within a box, and is found in it."""

    box: str = ""
    within = "box"
    find_by = ("box",)


class Role(AccountResource):
    """The account's own."""

    kind = title = "role"


class Zones(DataSource):
    """Looked up."""

    kind = title = "zones"


class Interfaces(AwsMadeResource):
    """AWS's own."""

    kind = title = "interfaces"


TAGS = {"provision:environment": "demo", "provision:step": "box", "Name": "demo-box"}


def seen(step: str = "box", /, **more: Any) -> Seen:
    """A box as it should be, with what is given beside."""
    tags = TAGS | {"provision:step": step, "Name": f"demo-{step}"}
    properties = {"Size": "1", "Colour": "red", "Holds": ""} | more.pop("properties", {})
    return Seen({"id": f"{step}-1", "volume": "10"}, properties, **{"tags": tags, **more})


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A state file in which nothing is recorded."""
    store = LocalStore(tmp_path / "state.json")
    return State.load(store, environment="demo", account="1", region="eu-west-1")


def plan(state: State, *pairs: tuple[Resource, Seen | None], **options: Any) -> Plan:
    """Plan for these resources, each with what AWS has of it."""
    resources = [resource for resource, _ in pairs]
    there = {resource.step: found for resource, found in pairs}
    return compare(AWS, resources, there, state, **options)


def recorded(state: State, step: str = "box", phase: str = READY, **outputs: str) -> State:
    """Record a step."""
    state.record(step, phase, outputs or {"id": f"{step}-1", "volume": "10"})
    return state


BOX = Box("box")


# --- one step -------------------------------------------------------------------------------------


def test_what_is_not_there_is_created(state: State) -> None:
    (step,) = plan(state, (BOX, None)).steps
    assert (step.action, step.seen, step.changes) == (Action.CREATE, None, ())


def test_what_aws_is_deleting_is_created_anew(state: State) -> None:
    (step,) = plan(state, (BOX, seen(status="deleting"))).steps
    assert step.action is Action.CREATE
    assert step.seen is not None


def test_what_is_as_it_should_be_is_left_or_adopted(state: State) -> None:
    assert plan(state, (BOX, seen())).steps[0].action is Action.ADOPT
    assert plan(recorded(state), (BOX, seen())).steps[0].action is Action.NONE


def test_what_differs_is_updated_or_replaced(state: State) -> None:
    (step,) = plan(state, (BOX, seen(properties={"Size": "2"}))).steps
    assert step.action is Action.UPDATE
    assert [(c.property, c.is_, c.should) for c in step.changes] == [("Size", "2", "1")]
    (step,) = plan(state, (BOX, seen(properties={"Colour": "blue"}))).steps
    assert step.action is Action.REPLACE
    assert [each.property for each in step.changes] == ["Colour"]


def test_a_step_is_replaced_by_name(state: State) -> None:
    recorded(state)
    assert plan(state, (BOX, seen()), replace=["box"]).steps[0].action is Action.REPLACE
    assert plan(state, (BOX, seen()), replace=["other"]).steps[0].action is Action.NONE


def test_what_aws_keeps_is_said_with_its_step(state: State) -> None:
    grown = seen(properties={"Size": "9"})
    wanted = Box("box", size="9")
    assert plan(state, (wanted, grown)).kept == ["box: Grown to 9, stays so"]
    assert plan(recorded(state), (wanted, grown)).kept == ["box: Grown to 9, stays so"]
    assert plan(state, (BOX, grown)).kept == ["box: Grown to 9, stays so"]  # with an update
    assert plan(state, (BOX, seen())).kept == []


def test_a_change_is_forced_by_its_step(state: State) -> None:
    recorded(state)
    forced = {"box": Change("Password", None, None, sensitive=True)}
    (step,) = plan(state, (BOX, seen()), forced=forced).steps
    assert step.action is Action.UPDATE
    assert step.changes == step.write_only == (forced["box"],)
    other = {"other": forced["box"]}
    assert plan(state, (BOX, seen()), forced=other).steps[0].action is Action.NONE


@pytest.mark.parametrize(
    ("resource", "found", "action"),
    [
        (Role("role"), None, Action.CREATE),
        (Role("role"), Seen({"arn": "arn"}), Action.NONE),
        (Zones("zones"), None, Action.NONE),
        (Zones("zones"), Seen({"first": "a"}), Action.NONE),
        (Interfaces("interfaces"), None, Action.NONE),
        (Interfaces("interfaces"), Seen({}), Action.NONE),
    ],
)
def test_what_is_not_managed_is_never_changed(
    state: State, resource: Resource, found: Seen | None, action: Action
) -> None:
    result = plan(state, (resource, found))
    (step,) = result.steps
    assert (step.action, step.seen) == (action, found)
    assert result.refused == ()


# --- what depends on another ----------------------------------------------------------------------


def test_what_lies_within_a_replaced_one_goes_with_it(state: State) -> None:
    shelf = Shelf("shelf", box=BOX.id)
    recorded(recorded(state), "shelf")
    found = seen("shelf")
    assert plan(state, (BOX, seen()), (shelf, found)).to_do == []
    steps = plan(state, (BOX, seen()), (shelf, found), replace=["box"]).steps
    assert [each.action for each in steps] == [Action.REPLACE, Action.CREATE]
    assert steps[1].seen is None


def test_values_that_refer_to_what_stays_are_compared_with_it(state: State) -> None:
    other = Box("other", holds=BOX.id)
    recorded(recorded(state), "other")
    good = seen("other", properties={"Holds": "box-1"})
    assert plan(state, (BOX, seen()), (other, good)).to_do == []
    (step,) = plan(state, (BOX, seen()), (other, seen("other"))).to_do
    assert [(c.property, c.should) for c in step.changes] == [("Holds", "box-1")]


@pytest.mark.parametrize(
    ("reference", "value"),
    [("account", "123456789012"), ("region", "eu-west-1"), ("partition", "aws-cn")],
)
def test_values_may_refer_to_the_account(state: State, reference: str, value: str) -> None:
    box = Box("box", holds=f"${{aws.{reference}}}")
    (step,) = plan(recorded(state), (box, seen())).to_do
    assert [(c.property, c.should) for c in step.changes] == [("Holds", value)]


def test_what_nobody_can_see_is_written_when_its_source_is_new_or_another(state: State) -> None:
    """And when its last change was cut short."""
    other = Box("other", key=BOX.volume)
    recorded(recorded(state), "other")
    found = seen("other")
    assert plan(state, (BOX, seen()), (other, found)).to_do == []

    def written(box: Seen | None, **options: Any) -> tuple[Change, ...]:
        step = plan(state, (BOX, box), (other, found), **options).steps[1]
        assert step.action is (Action.UPDATE if step.changes else Action.NONE)
        assert step.changes == step.write_only
        return step.write_only

    key = (Change("Key", None, None, sensitive=True),)
    assert written(None) == key  # it is created
    assert written(seen(), replace=["box"]) == key
    assert written(seen(properties={"Size": "2"})) == key  # its volume will be another
    assert written(seen(properties={"Holds": "x"})) == ()  # its volume stays
    recorded(state, "other", UPDATING)
    assert written(seen()) == key


# --- what stands against it -----------------------------------------------------------------------


def refused(state: State, resource: Resource, found: Seen, **options: Any) -> ProvisionError:
    """Return the one thing that stands against a plan."""
    result = plan(state, (resource, found), **options)
    (error,) = result.refused
    with pytest.raises(type(error)) as caught:
        result.refuse()
    assert caught.value is error
    return error


def test_somebody_elses_is_refused(state: State) -> None:
    theirs = TAGS | {"provision:environment": "theirs"}
    error = refused(state, BOX, seen(tags=theirs))
    assert isinstance(error, ForeignResource)
    assert error.message == (
        "box: the box box-1 exists and is not this environment's: it has provision:environment "
        "= 'theirs', provision:step = 'box', ours would have 'demo' and 'box'. It was not touched."
    )
    assert error.next_step.endswith("or remove or rename the existing one.")


def test_what_the_state_knows_can_get_its_tags_back(state: State) -> None:
    theirs = seen(tags=TAGS | {"provision:environment": "theirs"})
    known = refused(recorded(state), BOX, theirs)
    assert "; the state file says that it is ours. It was not touched." in known.message
    assert known.next_step.endswith(", or restore its tags.")
    another = refused(recorded(state, id="box-9"), BOX, theirs)
    assert "the state file" not in another.message
    assert "restore its tags" not in another.next_step


def test_a_kind_without_tags_is_told_without_them(state: State) -> None:
    error = refused(recorded(state), BOX, seen(tags=None, ours=False))
    because = "it is not part of this environment's resources; the state file says that it is ours."
    assert because in error.message
    assert "ours would have" not in error.message
    assert error.next_step.endswith("the existing one.")


def test_what_cannot_be_read_is_no_proof(state: State) -> None:
    hidden = seen(tags=None, unreadable="ListTags answered AccessDenied")
    error = refused(state, BOX, hidden)
    assert error.message == (
        "box: whether the box box-1 is this environment's cannot be determined: it has tags that "
        "cannot be read: ListTags answered AccessDenied. It was not touched."
    )
    assert "policy" in error.next_step
    assert plan(recorded(state), (BOX, hidden)).refused == ()


def test_a_copy_is_named_with_what_to_do(state: State) -> None:
    renamed = refused(state, BOX, seen(name="old-box"))
    assert renamed.message.startswith("box: the box old-box has both of this environment's tags")
    assert "it may be this environment's. It was not touched." in renamed.message
    assert renamed.next_step.endswith("If it is, rename it back.")
    rival = refused(state, BOX, seen(rivals=("box-2",)))
    assert rival.next_step.endswith("If it is, remove them from the others.")


@dataclass(frozen=True)
class NamedBox(Box):
    """A box that has a name at AWS."""

    @property
    def name(self) -> str:
        return "demo-box"


@pytest.mark.parametrize(
    ("resource", "found", "what"),
    [
        (NamedBox("box"), {"name": "old-box"}, "rename it back to demo-box"),
        (BOX, {"name": "old-box"}, "rename it back"),
        (BOX, {"tags": None}, "set its tag provision:step to 'box'"),
        (BOX, {"tags": TAGS | {"provision:step": "vpc"}}, "set its tag provision:step to 'box'"),
        (BOX, {}, "remove them from the others"),
    ],
)
def test_what_makes_it_certain_that_a_thing_is_ours(
    resource: Resource, found: dict[str, Any], what: str
) -> None:
    assert mend(resource, seen(**found)) == what


def test_data_is_replaced_only_by_name(state: State) -> None:
    blue = seen("vault", properties={"Colour": "blue", "Size": "2"})
    error = refused(recorded(state, "vault"), Vault("vault"), blue)
    assert isinstance(error, ReplacementRefused)
    assert error.message == (
        "vault: AWS can only replace it (Colour is blue, should be red), and it holds data"
    )
    assert "`up --replace vault`" in error.next_step
    assert plan(state, (Vault("vault"), blue), replace=["vault"]).refused == ()
    assert plan(state, (Box("vault"), blue)).refused == ()  # holds none
    assert plan(state, (Vault("vault"), seen("vault", properties={"Size": "2"}))).refused == ()


def test_what_is_protected_is_not_replaced_even_by_name(state: State) -> None:
    locked = seen("vault", status="locked")
    assert plan(recorded(state, "vault"), (Vault("vault"), locked)).refused == ()
    error = refused(state, Vault("vault"), locked, replace=["vault"])
    assert error.message == "locked"


def test_the_first_of_several_refusals_is_raised(state: State) -> None:
    theirs = {"provision:environment": "theirs"}
    result = plan(state, (BOX, seen(tags=theirs)), (Box("other"), seen("other", tags=theirs)))
    assert len(result.refused) == 2
    with pytest.raises(ForeignResource, match=r"^box: "):
        result.refuse()
    plan(state, (BOX, None)).refuse()  # nothing stands against this one


# --- the plan as a whole --------------------------------------------------------------------------


def test_what_is_to_do_and_what_counts(state: State) -> None:
    recorded(state)
    interfaces = Interfaces("interfaces")
    pairs = ((Zones("zones"), None), (BOX, seen()), (Role("role"), None), (interfaces, Seen({})))
    result = plan(state, *pairs)
    assert [each.step for each in result.to_do] == ["role"]
    assert [each.step for each in result.counted] == ["box", "role"]
    assert result.of(BOX) is result.steps[1]


def test_two_plans_are_the_same_when_they_do_the_same_to_the_same(state: State) -> None:
    recorded(state)
    wide = seen(properties={"Size": "2"})
    first = plan(state, (BOX, wide))
    assert first.same_as(plan(state, (BOX, wide)))
    others = (
        seen(),
        seen(properties={"Size": "3"}),
        seen(properties={"Colour": "blue"}),
        replace(wide, outputs={"id": "box-2"}),
        None,
    )
    for other in others:
        assert not first.same_as(plan(state, (BOX, other)))
    assert plan(state, (BOX, None)).same_as(plan(state, (BOX, None)))
