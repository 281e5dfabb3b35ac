"""Runs that share a state in S3, whatever happens to them: a sample of what the sweeps play."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.schedules import play

SAMPLE = 150
EVERYTHING = {
    "took", "took over", "locked", "lost", "killed", "paused", "changed", "ended well",
    "cut", "late", "slow", "busy",
}  # fmt: skip


def played(seeds: range) -> Counter[str]:
    """Play schedules; the seed of one that fails is in the error."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        try:
            counts += play(seed)
        except AssertionError as error:
            pytest.fail(f"schedule {seed}: {error}")
    return counts


def test_no_write_is_lost_no_lock_of_another_deleted_nothing_changed_without_the_lease() -> None:
    counts = played(range(SAMPLE))
    assert set(counts) >= EVERYTHING, f"never happened: {EVERYTHING - set(counts)}"
