"""What exists before what, is deleted before what, lies within what."""

from __future__ import annotations

from dataclasses import dataclass

from provision.config import Config
from provision.engine.graph import (
    blocking,
    container_of,
    created_before,
    deleted_before,
    found_within,
    with_contents,
)
from provision.environment import environment
from provision.resources.base import ManagedResource
from provision.resources.references import Output


@dataclass(frozen=True)
class Thing(ManagedResource):
    """A resource that may refer to others in every way that there is."""

    refers_to: tuple[str, ...] = ()
    may_outlive: tuple[str, ...] = ()
    parent: str = ""

    within = "parent"
    find_by = ("parent",)
    non_blocking = frozenset({"may_outlive"})

    id = Output()


ROLE, HOUSE = Thing("role"), Thing("house")
ROOM = Thing("room", parent=HOUSE.id, refers_to=(f"arn:{ROLE.id}/x",))
LAMP = Thing("lamp", parent=ROOM.id, may_outlive=(ROLE.id,))
ALL = (ROLE, HOUSE, ROOM, LAMP)


def test_everything_that_a_resource_refers_to_exists_before_it() -> None:
    assert created_before(ROLE) == set()
    assert created_before(ROOM) == {"role", "house"}
    assert created_before(LAMP) == {"role", "room"}


def test_what_lies_within_a_container_is_found_by_it_and_goes_with_it() -> None:
    assert container_of(ROOM) == found_within(ROOM) == {"house"}
    assert container_of(HOUSE) == found_within(HOUSE) == set()
    assert deleted_before(ROOM, ALL) == {"house"}
    assert deleted_before(HOUSE, ALL) == set()


def test_without_its_container_a_resource_is_deleted_after_what_refers_to_it() -> None:
    assert deleted_before(ROOM, (ROLE, ROOM, LAMP)) == set()
    assert deleted_before(ROLE, ALL) == {"room"}
    assert deleted_before(ROLE, (ROLE, HOUSE)) == set()  # what does not go keeps nothing waiting


def test_only_references_that_aws_holds_to_block_a_deletion() -> None:
    assert blocking(ROOM) == {"role"}
    assert blocking(LAMP) == set()


def test_a_replacement_takes_along_what_is_within_at_any_depth() -> None:
    assert with_contents({"house"}, ALL) == {"house", "room", "lamp"}
    assert with_contents({"role"}, ALL) == {"role"}
    assert with_contents((), ALL) == set()


def test_the_environment_can_be_made_in_its_order_and_deleted_without_a_circle() -> None:
    resources = list(environment(Config(), packed=False))
    made = {"aws"}
    for each in resources:
        assert created_before(each) <= made, each.step
        made.add(each.step)
    left = {each.step: deleted_before(each, resources) for each in resources}
    while left:
        free = {step for step, before in left.items() if not before & left.keys()}
        assert free, left
        left = {step: before for step, before in left.items() if step not in free}
