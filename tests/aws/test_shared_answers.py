"""Answers that serve several who ask: who gets which, and who asks AWS himself."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from provision.aws.shared_answers import MOMENT, SharedAnswers
from tests.support.clock import Clock


@dataclass
class Asked:
    """A question to AWS: answers how often it was asked, or fails."""

    shared: SharedAnswers
    times: int = 0
    fails: bool = False
    service: str = "rds"
    began: threading.Event = field(default_factory=threading.Event)
    waits_for: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.waits_for.set()

    def read(self) -> int:
        self.times = number = self.times + 1
        self.began.set()
        self.waits_for.wait(10)
        if self.fails:
            raise LookupError("refused")
        return number

    def ask(self, *, lasting: bool = False) -> int:
        return self.shared.ask(self.service, "proxies", self.read, lasting=lasting)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asked() -> Asked:
    return Asked(SharedAnswers())


def test_two_who_ask_in_the_same_moment_share_one_answer(asked: Asked, clock: Clock) -> None:
    with clock.ticking():
        assert [asked.ask(), asked.ask()] == [1, 1]


def test_who_asks_later_gets_a_new_answer(asked: Asked, clock: Clock) -> None:
    with clock.ticking():
        asked.ask()
        clock.now += MOMENT
        assert asked.ask() == 2


def test_a_moment_passes_faster_in_a_rehearsal(clock: Clock) -> None:
    asked = Asked(SharedAnswers(speed=100))
    with clock.ticking():
        asked.ask()
        clock.now += MOMENT / 100
        assert asked.ask() == 2


def test_a_question_on_its_way_serves_whoever_asks_meanwhile(asked: Asked) -> None:
    asked.waits_for.clear()
    with ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(asked.ask) for _ in range(3)]
        asked.waits_for.set()
        assert {each.result() for each in answers} == {1}


def test_a_change_of_the_service_ends_what_was_read_before(asked: Asked, clock: Clock) -> None:
    with clock.ticking():
        asked.ask()
        asked.shared.changed("iam")
        assert asked.ask() == 1
        asked.shared.changed("rds")
        assert asked.ask() == 2


def test_a_change_while_a_question_is_on_its_way_ends_it_for_those_who_ask_later(
    asked: Asked,
) -> None:
    """Who has just made something has to see it, and not what was asked before."""
    asked.waits_for.clear()
    with ThreadPoolExecutor(2) as threads:
        before = threads.submit(asked.ask)
        assert asked.began.wait(10)
        asked.shared.changed("rds")
        after = threads.submit(asked.ask)
        asked.waits_for.set()
        assert (before.result(), after.result()) == (1, 2)


def test_questions_of_two_services_are_two(asked: Asked, clock: Clock) -> None:
    other = Asked(asked.shared, service="ec2", times=10)
    with clock.ticking():
        assert (asked.ask(), other.ask()) == (1, 11)


def test_what_lasts_is_asked_again_after_a_change_only(asked: Asked, clock: Clock) -> None:
    with clock.ticking():
        asked.ask()
        clock.now += 3600
        assert asked.ask(lasting=True) == 1
        asked.shared.changed("rds")
        assert asked.ask(lasting=True) == 2


def test_an_error_is_everybodys_who_asked_and_nobodys_later(asked: Asked, clock: Clock) -> None:
    asked.fails = True
    with clock.ticking():
        for lasting in (False, True):
            with pytest.raises(LookupError, match="refused"):
                asked.ask(lasting=lasting)
        assert asked.times == 2
        asked.fails = False
        assert asked.ask() == 3


# --- one look at a whole environment --------------------------------------------------------------


def test_within_a_look_an_answer_serves_however_long_it_takes(asked: Asked, clock: Clock) -> None:
    with clock.ticking():
        asked.shared.begin_look([])
        asked.ask()
        clock.now += 3600
        assert asked.ask() == 1
        asked.shared.end_look()
        assert asked.ask() == 2


def test_a_look_begins_with_nothing_of_before(asked: Asked, clock: Clock) -> None:
    with clock.ticking():
        asked.ask()
        clock.now += 0.001
        asked.shared.begin_look([])
        assert asked.ask(lasting=True) == 1  # but for what lasts
        assert asked.ask() == 2


def test_who_looks_again_within_a_look_asks_again(asked: Asked, clock: Clock) -> None:
    with clock.ticking():
        asked.shared.begin_look([])
        asked.ask()
        clock.now += 0.001
        asked.shared.look_again()
        assert asked.ask() == 2


def test_the_members_of_a_list_are_known_within_a_look(asked: Asked) -> None:
    shared = asked.shared
    assert shared.listed_with("rules", "sg-1") == ("sg-1",)
    shared.begin_look([("rules", "sg-2"), ("rules", "sg-1"), ("groups", "/aws/x")])
    assert shared.listed_with("rules", "sg-1") == ("sg-1", "sg-2")
    assert shared.listed_with("rules", "sg-new") == ("sg-new",)  # not the one of last time
    assert shared.listed_with("groups", "/aws/x") == ("/aws/x",)
    shared.end_look()
    assert shared.listed_with("rules", "sg-1") == ("sg-1",)
