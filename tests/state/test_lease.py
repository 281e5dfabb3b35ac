"""The logic of the lock and of writes in S3, answer by answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.errors import Locked, ProvisionError, StateError
from provision.state.conditional_write import ATTEMPTS, Overtaken, read, write
from provision.state.lease import (
    Holder,
    Lease,
    LockDocument,
    acquire,
    lease_lost,
    parse,
    release,
    renew,
    who_holds,
)
from provision.state.requests import (
    Absent,
    Busy,
    Delete,
    Done,
    Found,
    Get,
    Logic,
    Pause,
    Put,
    Refused,
    Request,
    S3Answer,
    Unknown,
    carry_out,
)

KEY = "s3://team/demo.json.lock"
ME = Holder("up", "demo", 4711, "ci-7", "2026-11-26T08:00:00Z")
OTHER = Holder("teardown", "demo", 1, "laptop", "2026-11-26T07:00:00Z")
LOST = Unknown(0.0, ProvisionError("timed out"))
PAUSES = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]  # seconds, after each of the attempts
ALIEN = Found(0.0, b"not json", "v9", 0.0, 0.0)
LOCK = {"version": 1, **vars(OTHER), "lease_seconds": 60, "nonce": "theirs"}


class Script:
    """Answers requests from a list; a callable there gets the request. Waits cost nothing."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[Request] = []
        self.pauses: list[float] = []  # seconds

    def __call__(self, request: Request) -> S3Answer:
        if isinstance(request, Pause):
            self.pauses.append(request.seconds)
            return S3Answer(0.0)
        self.sent.append(request)
        answer = self.answers.pop(0)
        made: S3Answer = answer(request) if callable(answer) else answer
        return made

    def run(self, logic: Logic[Any]) -> Any:
        result = carry_out(logic, self)
        assert not self.answers, "not all was asked"
        return result


def lease(seconds: float = 60) -> Lease:
    return Lease(KEY, ME, seconds)


def held(seconds: float = 60, began: float = 100.0) -> Lease:
    made = lease(seconds)
    Script(Done(began, "v1")).run(acquire(made))
    return made


def theirs(age: float, *, seconds: float = 60) -> Found:
    """The lock of another run, `age` seconds old by S3's clock."""
    document = LOCK | {"lease_seconds": seconds}
    return Found(0.0, json.dumps(document).encode(), "v9", 1000.0, 1000.0 + age)


def echo(script: Script, index: int, version: str) -> Any:
    """The object as the request of this number wrote it."""

    def found(_: Request) -> Found:
        put = script.sent[index]
        assert isinstance(put, Put)
        return Found(0.0, put.body, version, 0.0, 0.0)

    return found


# --- what a lock object says ----------------------------------------------------------------------


def test_a_lock_object_is_json_that_a_person_can_read() -> None:
    assert LockDocument(ME, 60, "a1b2").as_bytes().decode().splitlines() == [
        "{",
        ' "version": 1,',
        ' "command": "up",',
        ' "environment": "demo",',
        ' "process": 4711,',
        ' "host": "ci-7",',
        ' "since": "2026-11-26T08:00:00Z",',
        ' "lease_seconds": 60,',
        ' "nonce": "a1b2"',
        "}",
    ]


@pytest.mark.parametrize("seconds", [0.5, 5, 3600])
def test_what_is_written_is_read(seconds: float) -> None:
    document = LockDocument(ME, seconds, "a1b2")
    assert parse(document.as_bytes()) == document


@pytest.mark.parametrize("seconds", [-1, 0, 3600.5, float("nan"), float("inf"), "60", None])
def test_a_lease_that_nobody_gives_is_none(seconds: Any) -> None:
    assert parse(json.dumps(LOCK | {"lease_seconds": seconds}).encode()) is None


@pytest.mark.parametrize("key", LOCK)
def test_a_lock_without_one_of_its_members_is_none(key: str) -> None:
    assert parse(json.dumps(LOCK).encode()) is not None
    assert parse(json.dumps({k: v for k, v in LOCK.items() if k != key}).encode()) is None
    assert parse(json.dumps(LOCK | {key: ["x"]}).encode()) is None


# --- the lock -------------------------------------------------------------------------------------


def test_a_free_lock_is_made_only_where_there_is_none_and_says_who_has_it() -> None:
    script, mine = Script(Done(100.0, "v1")), lease()
    script.run(acquire(mine))
    (put,) = script.sent
    assert isinstance(put, Put)
    assert put.replaces is None
    assert put.key == KEY
    document = parse(put.body)
    assert document is not None
    assert document.holder == ME
    assert document.lease_seconds == 60
    assert mine.version == "v1"
    assert mine.began == 100.0


def test_the_holder_stops_two_seconds_before_its_lease_ends_counted_from_when_it_began() -> None:
    mine = held(60, began=100.0)
    assert mine.next_renewal == 120.0, "two renewals may fail"
    assert mine.holds(157.9)
    assert not mine.holds(158.0)
    assert mine.lost == "it was not renewed for 58 s; the lease is 60 s"
    assert not mine.holds(101.0), "once lost it stays lost"
    assert not mine.holds(999.0)
    mine.lose("another has it")
    assert mine.lost == "it was not renewed for 58 s; the lease is 60 s", "the first reason stays"


@pytest.mark.parametrize(("age", "taken"), [(0, False), (61, False), (62, True), (9999, True)])
def test_another_takes_over_two_seconds_after_it_has_ended_by_the_clock_of_s3(
    age: float, taken: bool
) -> None:
    script = Script(Refused(0.0), theirs(age), *([Done(5.0, "v10")] if taken else []))
    mine = lease(5)
    if not taken:
        with pytest.raises(Locked, match="in use by teardown, process 1 on laptop, since") as told:
            script.run(acquire(mine))
        assert f"its lease expires in {62 - age:.0f} s." in told.value.next_step
        return
    script.run(acquire(mine))
    last = script.sent[-1]
    assert isinstance(last, Put)
    assert last.replaces == "v9", "in place of that very version"
    assert mine.taken_from == OTHER
    assert mine.holds(7.9)
    assert not mine.holds(8.0)


def test_it_is_the_lease_in_the_lock_that_counts_not_ours() -> None:
    with pytest.raises(Locked, match="process 1"):
        Script(Refused(0.0), theirs(100, seconds=600)).run(acquire(lease(5)))


def test_of_two_that_take_over_one_is_told_that_the_other_has_it() -> None:
    script = Script(Refused(0.0), theirs(100), Refused(0.0), theirs(0))
    with pytest.raises(Locked):
        script.run(acquire(lease()))


def test_a_lost_answer_to_taking_it_is_settled_by_reading() -> None:
    script, mine = Script(), lease()
    script.answers = [Unknown(100.0, LOST.error), echo(script, 0, "v1")]
    script.run(acquire(mine))
    assert mine.version == "v1"
    assert mine.began == 100.0
    script, mine = Script(LOST, Absent(0.0), Done(7.0, "v2")), lease()
    script.run(acquire(mine))
    assert mine.version == "v2"


def test_a_conflict_is_tried_again_and_never_ending_ones_are_told() -> None:
    Script(Busy(0.0), Absent(0.0), Busy(0.0), Absent(0.0), Done(1.0, "v1")).run(acquire(lease()))
    script = Script(*[Busy(0.0), Absent(0.0)] * ATTEMPTS)
    with pytest.raises(ProvisionError, match="ConditionalRequestConflict") as told:
        script.run(acquire(lease()))
    assert told.value.next_step
    assert script.pauses == PAUSES


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"version": 1}', b"\xff"])
def test_an_object_that_is_no_lock_is_left_as_it_is(body: bytes) -> None:
    script = Script(Refused(0.0), Found(0.0, body, "v9", 0.0, 1e9))
    with pytest.raises(StateError, match="not a lock of this program") as told:
        script.run(acquire(lease()))
    assert told.value.next_step
    assert len(script.sent) == 2


def test_a_renewal_replaces_what_we_wrote_and_is_never_equal_to_it() -> None:
    script, mine = Script(Done(100.0, "v1"), Done(120.0, "v2")), lease()
    carry_out(acquire(mine), script)
    assert carry_out(renew(mine), script)
    first, second = script.sent
    assert isinstance(first, Put)
    assert isinstance(second, Put)
    assert second.replaces == "v1"
    assert first.body != second.body
    assert mine.version == "v2"
    assert mine.deadline == 178.0


def test_a_renewal_whose_answer_was_lost_counts_from_when_it_was_sent() -> None:
    mine, script = held(began=100.0), Script()
    script.answers = [Unknown(120.0, LOST.error), echo(script, 0, "v2")]
    assert script.run(renew(mine)) is True
    assert mine.version == "v2"
    assert mine.began == 120.0


def test_a_renewal_that_did_not_take_effect_is_to_be_tried_again() -> None:
    mine = held(began=100.0)
    nonce = next(iter(mine.nonces))
    old = json.dumps({"version": 1, **vars(ME), "lease_seconds": 60, "nonce": nonce}).encode()
    assert Script(LOST, Found(0.0, old, "v1", 0.0, 0.0)).run(renew(mine)) is False
    assert Script(LOST, LOST).run(renew(mine)) is False
    assert mine.began == 100.0
    assert not mine.lost


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (theirs(0), "held now by teardown, process 1 on laptop"),
        (Absent(0.0), "deleted"),
        (ALIEN, "its object is not this program's"),
    ],
)
def test_a_renewal_that_finds_another_lock_or_none_has_lost_it(there: S3Answer, why: str) -> None:
    mine = held()
    assert Script(Refused(0.0), there).run(renew(mine)) is False
    assert why in mine.lost
    assert not mine.holds(0.0)


def test_only_the_version_that_we_wrote_is_deleted() -> None:
    script = Script(Done(0.0))
    script.run(release(held()))
    assert script.sent == [Delete(KEY, "v1")]
    for there in (theirs(0), ALIEN):
        script = Script(Refused(0.0), there)
        script.run(release(held()))
        assert script.sent == [Delete(KEY, "v1"), Get(KEY)]


def test_a_lost_answer_to_the_delete_is_settled_by_reading() -> None:
    Script(LOST, Absent(0.0)).run(release(held()))
    script = Script(LOST, theirs(0))
    script.run(release(held()))
    assert [type(each) for each in script.sent] == [Delete, Get]
    script = Script(LOST, LOST, Done(0.0))
    script.run(release(held()))
    assert script.sent == [Delete(KEY, "v1"), Get(KEY), Delete(KEY, "v1")]


def test_a_lock_that_cannot_be_deleted_is_left_to_its_lease() -> None:
    script = Script(*[LOST, LOST] * ATTEMPTS)
    script.run(release(held()))
    assert script.pauses == PAUSES


def test_a_renewal_of_ours_that_was_not_answered_is_deleted_all_the_same() -> None:
    mine, script = held(), Script()
    renewal = renew(mine)
    put = next(renewal)  # sent, and not answered
    assert isinstance(put, Put)
    script.answers = [Refused(0.0), Found(0.0, put.body, "v2", 0.0, 0.0), Done(0.0)]
    script.run(release(mine))
    assert script.sent[-1] == Delete(KEY, "v2")


def test_who_holds_it_now_in_words() -> None:
    assert "teardown, process 1 on laptop" in Script(theirs(0)).run(who_holds(held()))
    assert Script(ALIEN).run(who_holds(held())) == "its object is not this program's"
    assert Script(Absent(0.0)).run(who_holds(held())) == "nobody holds it now"
    cannot = "its current holder cannot be read (timed out)"
    assert Script(LOST).run(who_holds(held())) == cannot
    script = Script()
    script.answers = [Done(100.0, "v1"), echo(script, 0, "v1")]
    mine = lease()
    carry_out(acquire(mine), script)
    assert script.run(who_holds(mine)) == "nobody has taken it over yet"


@pytest.mark.parametrize(
    ("why", "who", "words"),
    [
        ("it was deleted", "nobody holds it now", ": it was deleted; nobody holds it now. The"),
        ("it was deleted", "", ": it was deleted. The"),
        ("up, process 1, has it", "up, process 1", ": up, process 1, has it. The"),  # once
    ],
)
def test_a_lost_lease_says_why_and_who_has_it(why: str, who: str, words: str) -> None:
    told = lease_lost("s3://team/demo.json", why, who)
    assert told.message.startswith("s3://team/demo.json: this run lost its lock")
    assert words in told.message
    assert told.next_step


# --- writes ---------------------------------------------------------------------------------------


def test_a_write_names_the_version_that_it_replaces() -> None:
    script = Script(Done(0.0, "v2"))
    assert script.run(write("k", b"new", "v1")) == "v2"
    assert script.sent == [Put("k", b"new", "v1")]


def test_a_write_over_another_version_is_refused_and_not_repeated() -> None:
    other = Found(0.0, b"other", "v7", 0.0, 0.0)
    for first in (Refused(0.0), Busy(0.0), LOST):
        script = Script(first, other)
        with pytest.raises(Overtaken, match="another version") as caught:
            script.run(write("k", b"new", "v1"))
        assert caught.value.found == other
        assert script.pauses == []
    with pytest.raises(Overtaken):
        Script(Refused(0.0), Absent(0.0)).run(write("k", b"new", "v1"))


def test_a_refused_write_is_not_sent_again_though_the_old_version_is_back() -> None:
    script = Script(Refused(0.0), Found(0.0, b"old", "v1", 0.0, 0.0))
    with pytest.raises(Overtaken):
        script.run(write("k", b"new", "v1"))


def test_a_lost_answer_to_a_write_is_settled_by_reading() -> None:
    assert Script(LOST, Found(0.0, b"new", "v2", 0.0, 0.0)).run(write("k", b"new", "v1")) == "v2"
    script = Script(LOST, Found(0.0, b"old", "v1", 0.0, 0.0), Done(0.0, "v2"))
    assert script.run(write("k", b"new", "v1")) == "v2"
    assert script.sent[0] == script.sent[2], "under the same condition"
    late = Script(LOST, LOST, LOST, Found(0.0, b"old", "v1", 0.0, 0.0), Refused(0.0),
                  Found(0.0, b"new", "v2", 0.0, 0.0))  # fmt: skip
    assert late.run(write("k", b"new", "v1")) == "v2"


def test_the_first_write_makes_the_object_only_where_there_is_none() -> None:
    script = Script(Busy(0.0), Absent(0.0), Done(0.0, "v1"))
    assert script.run(write("k", b"new", None)) == "v1"
    assert [each for each in script.sent if isinstance(each, Put)] == [Put("k", b"new", None)] * 2


def test_s3_that_never_answers_is_told_as_it_was() -> None:
    script = Script(*[LOST] * ATTEMPTS)
    with pytest.raises(ProvisionError, match="timed out"):
        script.run(read("k"))
    assert script.pauses == PAUSES
    script = Script(*[LOST, Found(0.0, b"old", "v1", 0.0, 0.0)] * ATTEMPTS)
    with pytest.raises(ProvisionError, match="timed out"):
        script.run(write("k", b"new", "v1"))
    assert script.pauses == PAUSES
    assert Script(LOST, Absent(0.0)).run(read("k")) is None
