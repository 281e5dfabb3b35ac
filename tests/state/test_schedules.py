"""Runs that share a state in S3, whatever happens to them: a sample of what the sweeps play."""

from __future__ import annotations

from tests.support.schedules import EVERYTHING, SAMPLE, played


def test_no_write_is_lost_no_lock_of_another_deleted_nothing_changed_without_the_lease() -> None:
    counts = played(range(SAMPLE))
    assert set(counts) >= EVERYTHING, f"never happened: {EVERYTHING - set(counts)}"
