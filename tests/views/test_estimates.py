"""The time left that a run shows, held against what AWS may take: runs whose durations are drawn.

Each step takes what the rehearsal draws for it by a seed, as soon as what it needs is there. At
some moments of the run the range that is shown is compared with what was then really left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

import pytest

from provision.aws.observation.durations import Spread
from provision.engine.graph import created_before, deleted_before
from provision.rehearsal import Durations
from provision.rehearsal.aws.draws import Draws
from provision.resources.base import CreatableResource, DeletableResource, Resource
from provision.resources.ec2 import FunctionInterfaces
from provision.resources.lambda_ import Function
from provision.resources.rds.db_instance import DBInstance
from provision.resources.rds.db_proxy import DBProxy
from provision.resources.rds.db_proxy_target import DBProxyTarget
from provision.views.progress import Progress
from tests.support.outputs import RESOURCES, ViewClock, everything

SEEDS = 300
HELD = 0.9
MOMENTS = (0.0, 0.25, 0.5, 0.75)  # of the run
CALLS_SECONDS = 2.0  # what is a matter of calls

# What the rehearsal draws for a step; of several, one after the other.
CREATED: Mapping[type[Resource], Sequence[str]] = {
    DBInstance: ("instance_create",),
    DBProxy: ("proxy_create",),
    DBProxyTarget: ("target_registering", "target_capacity"),
    Function: ("role_assumable", "function_pending"),
}
DELETED: Mapping[type[Resource], Sequence[str]] = {
    DBInstance: ("instance_delete",),
    DBProxy: ("proxy_delete",),
    Function: ("function_update",),
    FunctionInterfaces: ("interface_in_use_detached",),
}

Needs = Mapping[str, set[str]]


def seconds(
    draws: Draws, resource: Resource, drawn: Mapping[type[Resource], Sequence[str]]
) -> float:
    """How long AWS takes for one step."""
    total = CALLS_SECONDS
    for name in drawn.get(type(resource), ()):
        spread = getattr(Durations(), name)
        assert isinstance(spread, Spread)
        total += spread.at(draws.number(name, resource.step))
    return total


def schedule(takes: Mapping[str, float], needs: Needs) -> dict[str, tuple[float, float]]:
    """When each step begins and ends, each as soon as what it needs has ended."""
    times: dict[str, tuple[float, float]] = {}

    def ended(step: str) -> float:
        if step not in times:
            began = max((ended(need) for need in needs[step] if need in takes), default=0.0)
            times[step] = (began, began + takes[step])
        return times[step][1]

    for step in takes:
        ended(step)
    return times


@cache
def needs_of(doing: str) -> Needs:
    """What each step waits for: the same in every run."""
    if doing == "creating":
        made = [each for each in RESOURCES if isinstance(each, CreatableResource)]
        return {each.step: created_before(each) for each in made}
    going = [each for each in RESOURCES if isinstance(each, DeletableResource)]
    return {each.step: deleted_before(each, going) for each in going}


def shown(seed: int, doing: str) -> Iterator[tuple[float, tuple[float, float], float]]:
    """A run: at each moment (its part of the run) what range is shown, and what was really left."""
    clock = ViewClock()
    progress = Progress(clock)
    progress.start(RESOURCES)
    needs = needs_of(doing)
    if doing == "creating":
        resources = [each for each in RESOURCES if isinstance(each, CreatableResource)]
        drawn = CREATED
        begin: Callable[[], None] = partial(progress.planned, everything())
    else:
        going = [each for each in RESOURCES if isinstance(each, DeletableResource)]
        drawn = DELETED
        begin = partial(progress.removing, going)
        resources = list(going)  # type: ignore[arg-type]
    draws = Draws(seed)
    times = schedule({each.step: seconds(draws, each, drawn) for each in resources}, needs)
    whole = max(end for _, end in times.values())
    begin()
    start = clock.now
    events = [
        (at, number, each) for each in resources for number, at in enumerate(times[each.step])
    ]
    events.sort(key=lambda event: event[:2])
    for part in MOMENTS:
        while events and events[0][0] <= part * whole:
            at, number, resource = events.pop(0)
            clock.now = start + at
            if number == 0:
                progress.began(resource, doing)
            else:
                progress.finished(resource, "created" if doing == "creating" else "deleted")
        clock.now = start + part * whole
        yield part, progress.view().left, (1 - part) * whole


@cache
def all_shown(doing: str) -> list[list[tuple[float, tuple[float, float], float]]]:
    """What is shown in the runs of all seeds."""
    return [list(shown(seed, doing)) for seed in range(SEEDS)]


@pytest.mark.parametrize("doing", ["creating", "deleting"])
def test_the_range_that_is_shown_holds_in_nine_of_ten_runs(doing: str) -> None:
    runs = all_shown(doing)
    for number, part in enumerate(MOMENTS):
        held = [least <= left <= most for _, (least, most), left in (run[number] for run in runs)]
        assert sum(held) >= HELD * SEEDS, (part, sum(held))


@pytest.mark.parametrize(("doing", "widest"), [("creating", 12 * 60), ("deleting", 20 * 60)])
def test_the_range_says_something(doing: str, widest: float) -> None:
    """A range from now to never would hold as well."""
    ranges = [next(shown(seed, doing))[1] for seed in range(10)]
    assert len(set(ranges)) == 1  # nothing is known before it begins
    ((least, most),) = set(ranges)
    assert least >= 2 * 60
    assert most - least <= widest
    endless = [math.isinf(most) for run in all_shown(doing) for _, (_, most), _ in run]
    assert sum(endless) <= (1 - HELD) * len(endless)
