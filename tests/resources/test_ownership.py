"""Whose a thing is: every combination of what tags, id, name and rivals say of it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from botocore.exceptions import ClientError

from provision.resources.ownership import (
    Owner,
    Ownership,
    Tags,
    Witnesses,
    judge,
    marked,
    read_tags,
)

OURS = {"provision:environment": "demo", "provision:step": "vpc", "team": "blue"}
OTHER_ENVIRONMENT = OURS | {"provision:environment": "demo-2"}
OTHER_STEP = OURS | {"provision:step": "subnet"}
HALF = {"provision:environment": "demo"}
STEP_ONLY = {"provision:step": "vpc"}
SAME_ID = (True, False, None)


def verdict(tags: Mapping[str, str] | None, **more: object) -> Ownership:
    """Return what is judged of a thing with these tags; the words are there unless it is ours."""
    given: dict[str, object] = {"unreadable": "ListTags answered AccessDenied"} if not tags else {}
    found = judge(Witnesses(tags, **{**given, **more}), "demo", "vpc")  # type: ignore[arg-type]
    assert found.ours == (found.owner is Owner.OURS)
    assert bool(found.because) == (not found.ours)
    return found


@pytest.mark.parametrize("own_name", [True, False])
@pytest.mark.parametrize("rivals", [(), ("vpc-2", "vpc-3")])
def test_the_recorded_id_with_both_tags_is_ours_whatever_else(
    own_name: bool, rivals: tuple[str, ...]
) -> None:
    assert verdict(OURS, same_id=True, own_name=own_name, rivals=rivals).ours


def test_both_tags_under_our_name_are_ours() -> None:
    assert verdict(OURS).ours
    assert verdict(OURS, same_id=False).ours  # made anew, by somebody who lost the state


def test_both_tags_under_another_name_are_a_copy() -> None:
    for same_id, rivals in product((False, None), ((), ("vpc-2",))):
        found = verdict(OURS, same_id=same_id, own_name=False, rivals=rivals)
        assert found.owner is Owner.COPY
        assert "another name" in found.because


def test_one_of_several_with_both_tags_is_a_copy_unless_the_state_knows_it() -> None:
    for same_id in (False, None):  # False: the one that the state knows is not there any more
        found = verdict(OURS, same_id=same_id, rivals=("vpc-2", "vpc-3"))
        assert found.owner is Owner.COPY
        assert "besides vpc-2, vpc-3" in found.because


@pytest.mark.parametrize("same_id", SAME_ID)
def test_another_environments_tags_are_foreign_even_at_our_id(same_id: bool | None) -> None:
    found = verdict(OTHER_ENVIRONMENT, same_id=same_id)
    assert found.owner is Owner.FOREIGN
    assert "'demo-2'" in found.because
    assert "'vpc'" in found.because


@pytest.mark.parametrize("tags", [OTHER_STEP, HALF])
def test_our_environments_tag_with_another_step_may_be_ours(tags: dict[str, str]) -> None:
    assert verdict(tags, same_id=True).ours
    for same_id in (False, None):
        found = verdict(tags, same_id=same_id)
        assert found.owner is Owner.COPY
        assert repr(tags.get("provision:step")) in found.because


@pytest.mark.parametrize("tags", [{"team": "theirs"}, STEP_ONLY])
def test_without_our_environments_tag_only_the_recorded_id_proves_it(tags: dict[str, str]) -> None:
    assert verdict(tags, same_id=True).ours
    for same_id in (False, None):
        found = verdict(tags, same_id=same_id)
        assert found.owner is Owner.FOREIGN
        assert found.because == "has no tag of this program"


def test_no_tags_at_all_are_no_proof() -> None:
    assert judge(Witnesses({}), "demo", "vpc").owner is Owner.FOREIGN
    assert judge(Witnesses({}, same_id=True), "demo", "vpc").ours


def test_tags_that_cannot_be_read_prove_nothing_in_either_direction() -> None:
    assert verdict(None, same_id=True).ours
    for same_id in (False, None):
        found = verdict(None, same_id=same_id)
        assert found.owner is Owner.UNREADABLE
        assert "ListTags answered AccessDenied" in found.because


@pytest.mark.parametrize("tags", [OTHER_ENVIRONMENT, OTHER_STEP, HALF, STEP_ONLY, {}])
def test_only_both_tags_are_our_mark(tags: dict[str, str]) -> None:
    assert marked(OURS, "demo", "vpc")
    assert Tags(OURS).carry("demo", "vpc")
    assert not marked(tags, "demo", "vpc")
    assert not Tags(tags).carry("demo", "vpc")


def test_what_cannot_be_read_carries_nothing() -> None:
    assert not Tags(None, "denied").carry("demo", "vpc")


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not you"}}, "ListTags")


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
def test_a_denied_read_is_said_and_not_raised(code: str) -> None:
    def read() -> Mapping[str, str]:
        raise refused(code)

    assert read_tags(read) == Tags(None, f"ListTags answered {code}: not you")


def test_what_is_read_is_returned_and_any_other_error_raised() -> None:
    assert read_tags(lambda: OURS) == Tags(OURS)

    def read() -> Mapping[str, str]:
        raise refused("Throttling")

    with pytest.raises(ClientError, match="Throttling"):
        read_tags(read)
