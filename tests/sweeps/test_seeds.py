"""One life for each seed: up, a change, teardown, while AWS takes as long as it may take.

A seed draws how long AWS takes for each thing and what it answers where both answers are possible.
Commands and rehearsed AWS share this process and a simulated time (tests/support/simulated_time.py)
at AWS's own speed: the seconds that are recorded are AWS's.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from provision.config import Config, checked
from provision.environment import environment
from provision.rehearsal import Behaviours, Rehearsal, Remote
from provision.views.timeline.model import ChainStep, timeline
from tests.support.built import commands_at
from tests.support.commands import Commands, Result
from tests.support.simulated_time import simulated_time
from tests.sweeps.figures import DRAWN, NAME
from tests.sweeps.inventory import Inventory

pytestmark = pytest.mark.sweep(part=0.1)

SEEDS = 300
ENVIRONMENT = "demo"
# Sparser looks cost fewer calls, and make each wait up to twelve seconds longer than it need be.
PACE = ("--set", "wait.poll_seconds=30", "--set", "wait.timeout_minutes=120")
CHANGES: tuple[tuple[str, ...], ...] = (
    ("--set", "function.memory_mib=512"),
    ("--set", "database.allocated_storage_gib=30"),
    ("--set", "database.instance_class=db.t4g.small"),
    ("--set", "proxy.idle_client_timeout_seconds=60"),
    ("--reset-password",),
)


@pytest.fixture
def aws(request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    """An empty rehearsed account in simulated time, drawn by the test's seed."""
    # In a simulated time no call takes any: a throttle would hold up what AWS never sees at once.
    behaviours = Behaviours(seed=request.param, speed=1.0, throttling=False)
    with simulated_time(), Rehearsal(behaviours, data_plane=False) as rehearsal:
        yield rehearsal


@pytest.mark.parametrize(
    ("aws", "seed"), [(seed, seed) for seed in range(SEEDS)], indirect=["aws"], ids=str
)
def test_a_life_at_any_durations(
    aws: Rehearsal, seed: int, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    print(f"the same durations: python -m teardown --dry-run --yes --seed {seed}")
    commands = commands_at(cast(Remote, aws), tmp_path, name=ENVIRONMENT)
    inventory = Inventory(cast(Remote, aws))
    chance = random.Random(seed)  # noqa: S311 - no secret
    change = [flag for flags in chance.sample(CHANGES, 2) for flag in flags]

    well(commands.up(*PACE))
    held, expected = Counter(inventory.held()), Counter(inventory.expected(ENVIRONMENT))
    copies, missing = held - expected, expected - held
    well(commands.up(*PACE, *change))
    left_alone = [flag for flag in change if flag != "--reset-password"]
    assert well(commands.up(*PACE, *left_alone)).counts(), "not at rest after the change"
    copies += Counter(inventory.held()) - Counter(inventory.expected(ENVIRONMENT))
    well(commands.teardown(*PACE, *left_alone))
    left = Counter(inventory.held())

    found = {"inventories": 3, "copies": copies.total(), "leftovers": left.total()}
    record_property(NAME, found)
    record_property(DRAWN, drawn(commands))
    assert not copies
    assert not missing
    assert not left


def well(result: Result) -> Result:
    """Return how a command ended, which has to be well."""
    assert result.code == 0, result.stdout[-3000:] + result.stderr[-1000:]
    return result


def drawn(commands: Commands) -> dict[str, Any]:
    """How long `up` and teardown took, and what most of their longest chain was spent on."""
    config: Config = checked({"environment": {"name": ENVIRONMENT}}, source="test")
    resources = environment(config, packed=False)
    titles = {each.step: each.title for each in resources}
    runs = commands.state(ENVIRONMENT)["runs"]
    found: dict[str, Any] = {}
    for run in (runs[0], runs[-1]):
        about = timeline(run, list(resources))
        most: ChainStep = max(about.chain, key=lambda link: link.seconds)
        found[run["command"]] = {"seconds": about.seconds, "chain": titles[most.step]}
    return found
