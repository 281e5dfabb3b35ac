"""The same seed gives the same run in simulated time: to the second, and change by change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from provision.rehearsal import Behaviours, Rehearsal, Remote
from tests.support.built import commands_at
from tests.support.simulated_time import simulated_time

pytestmark = pytest.mark.slow
SEED = 7
PACE = ("--set", "wait.poll_seconds=30", "--set", "wait.timeout_minutes=120")


def life(folder: Path) -> tuple[list[float], Counter[tuple[str, str]], set[tuple[str, str]]]:
    """How many seconds `up` and teardown took, which changes were made how often, what was read."""
    behaviours = Behaviours(seed=SEED, speed=1.0, throttling=False)
    with simulated_time(), Rehearsal(behaviours, data_plane=False) as aws:
        commands = commands_at(cast(Remote, aws), folder, name="demo")
        assert commands.up(*PACE).code == 0
        assert commands.teardown(*PACE).code == 0
        changes = Counter(
            (entry.service, entry.operation)
            for entry in aws.journal
            if entry.mutating and not entry.code
        )
        reads = {(entry.service, entry.operation) for entry in aws.journal if not entry.mutating}
        runs: list[dict[str, Any]] = commands.state("demo")["runs"]
    return [run["seconds"] for run in runs], changes, reads


def test_a_seed_repeats_its_durations_and_its_changes(tmp_path: Path) -> None:
    """What is read or refused how often may differ: threads that ask at once share an answer."""
    assert life(tmp_path / "first") == life(tmp_path / "second")
