"""One vocabulary: what each of AWS's statuses is called, and with which sign."""

from __future__ import annotations

import pytest

from provision.views.condition import (
    MORE,
    SAME,
    Condition,
    condition_of,
    in_words,
    shown,
    status_in_words,
)
from provision.views.style import Meaning, encodable
from provision.views.timeline.terminal import FILLS
from tests.support.outputs import RESOURCES

FAILED = sorted({status for each in RESOURCES for status in each.failed})


@pytest.mark.parametrize("status", FAILED)
def test_what_ends_a_wait_is_called_failed(status: str) -> None:
    assert status_in_words(status) == (
        "failed" if status.lower() == "failed" else f"failed ({status})"
    )


def test_what_a_wait_is_for_is_never_called_failed_or_missing() -> None:
    ready = {status for each in RESOURCES for status in each.ready}
    assert ready
    for status in ready:
        assert condition_of(status) in (Condition.READY, Condition.CREATING, Condition.UPDATING)


def test_a_status_has_one_meaning() -> None:
    known = [status for group in (SAME, MORE) for each in group.values() for status in each]
    assert len(known) == len(set(known))
    assert all(status == status.lower() for status in known)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("available", "ready"), ("AVAILABLE", "ready"), ("Successful", "ready"), ("there", "ready"),
        ("Pending", "creating"), ("CREATE_IN_PROGRESS", "creating"),
        ("backing-up", "creating (backing-up)"), ("UNAVAILABLE", "creating (UNAVAILABLE)"),
        ("InProgress", "updating"), ("configuring-iam", "updating (configuring-iam)"),
        ("gone", "deleting"), ("in use", "deleting (in use)"), ("waiting", "waiting"),
        ("inaccessible-encryption-credentials", "failed (inaccessible-encryption-credentials)"),
        ("a-new-word", "a-new-word"), ("", ""),
    ],
)  # fmt: skip
def test_a_status_in_words(status: str, words: str) -> None:
    assert status_in_words(status) == words


def test_aws_s_status_stands_beside_the_word_where_it_says_more() -> None:
    assert in_words(Condition.READY, "available") == "ready"
    assert in_words(Condition.READY, "backing-up") == "ready (backing-up)"
    assert in_words(Condition.DIFFERS) == "differs"
    assert in_words(Condition.FAILED, "Failed") == "failed"


def test_each_state_has_its_own_sign_also_in_ascii_beside_its_word() -> None:
    assert len({state.sign for state in Condition}) == len(Condition)
    assert all(encodable(state.sign, "ascii").isascii() for state in Condition)
    for charset in FILLS.values():
        assert len(set(charset.values())) == len(Condition) + 1
    for state in Condition:
        (part,) = shown(state).parts
        assert part.text == f"{state.sign} {state.word}"
        assert part.meaning is not Meaning.PLAIN
