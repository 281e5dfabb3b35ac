"""Durations and chance: by the seed alone, whatever the order; spread as what people measured."""

from __future__ import annotations

import bisect
import statistics

import pytest

from provision.aws.observation.durations import Spread
from provision.rehearsal import Durations, typical
from provision.rehearsal.aws.draws import Draws, new_seed

from .control_plane import account, frozen
from .databases import ready, status

SPREADS = {name: value for name, value in vars(Durations()).items() if isinstance(value, Spread)}


def test_the_nth_draw_for_a_name_is_the_same_whatever_else_is_drawn() -> None:
    one, other = Draws(7), Draws(7)
    first = [one.number("proxy_create", "a"), one.number("proxy_create", "a")]
    other.number("proxy_create", "b")
    second = []
    for _ in range(2):
        second.append(other.number("proxy_create", "a"))
        other.number("instance_create", "a")
    assert first == second
    assert first[0] != first[1]
    assert Draws(8).number("proxy_create", "a") != first[0]
    assert Draws(7).number("proxy_createa", "") != first[0]


def test_draws_are_even() -> None:
    draws = Draws(1)
    numbers = [draws.number("x") for _ in range(4000)]
    assert min(numbers) >= 0
    assert max(numbers) < 1
    tenths = statistics.quantiles(numbers, n=10)
    assert tenths == pytest.approx([n / 10 for n in range(1, 10)], abs=0.03)
    assert sum(draws.happens(0.05, "y") for _ in range(4000)) == pytest.approx(200, abs=60)


def test_without_a_seed_nothing_is_left_to_chance() -> None:
    draws = Draws()
    assert {draws.number("x") for _ in range(10)} == {0.5}
    assert [draws.happens(p, "y") for p in (0.0, 0.99, 1.0)] == [False, False, True]
    for name, spread in SPREADS.items():
        assert spread.at(draws.number(name)) == typical(spread) == spread.typical


@pytest.mark.parametrize("name", SPREADS)
def test_a_duration_lies_between_least_and_most_and_half_are_at_most_typical(name: str) -> None:
    spread, draws = SPREADS[name], Draws(3)
    found = [spread.at(draws.number(name)) for _ in range(2000)]
    assert spread.least <= min(found)
    assert max(found) <= spread.most
    assert spread.least < spread.typical < spread.most
    assert statistics.median(found) == pytest.approx(spread.typical, rel=0.05)
    slow = sorted(found)[int(len(found) * 0.95)]
    assert spread.typical < slow < spread.most


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("instance_create", (196, 279, 1026)),
        ("instance_delete", (111, 266, 700)),
    ],
)
def test_the_spread_is_what_people_reported(name: str, reported: tuple[float, ...]) -> None:
    assert SPREADS[name] == reported


def test_long_tails_happen_and_are_rare() -> None:
    draws = Draws(5)
    found = [SPREADS["proxy_delete"].at(draws.number("x")) for _ in range(3000)]
    assert 0 < sum(each > 1800 for each in found) < 150


def available_after(seconds: float, seed: int | None) -> bool:
    """Whether an instance is available so many of AWS's seconds after it was asked for."""
    with account(frozen(seed=seed, upgrades_minor_version=False)) as aws:
        aws.instance(ready(aws), BackupRetentionPeriod=0)
        aws.pass_time(seconds)
        return status(aws) == "available"


def takes(seconds: float, seed: int | None) -> bool:
    """Whether an instance takes just so many of AWS's seconds."""
    return available_after(seconds, seed) and not available_after(seconds - 1, seed)


@pytest.mark.slow
def test_a_seed_decides_how_long_an_instance_takes() -> None:
    spread = SPREADS["instance_create"]
    assert takes(spread.typical, None)
    possible = range(int(spread.least), int(spread.most) + 1)
    one = possible[bisect.bisect_left(possible, True, key=lambda each: available_after(each, 11))]
    assert takes(one, 11)
    assert not takes(one, 12)
    assert not available_after(spread.least - 1, 12)
    assert available_after(spread.most, 12)


def test_what_follows_counts_from_when_it_was_due_not_from_the_next_call() -> None:
    """Two steps that were both due when nobody called are both done at the next call."""
    with account(frozen()) as aws:
        done: list[str] = []
        world = aws.rehearsal.world
        with world.lock:
            world.later(10, lambda: world.later(10, lambda: done.append("second")))
        aws.pass_time(25)
        aws.sts.get_caller_identity()
        assert done == ["second"]


def test_a_new_seed_is_short_and_new() -> None:
    seeds = {new_seed() for _ in range(50)}
    assert len(seeds) > 40
    assert all(0 <= seed < 1_000_000 for seed in seeds)
