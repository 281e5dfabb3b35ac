"""10,000 schedules of runs that share a state in S3: store and lock alone, in simulated time."""

from __future__ import annotations

import pytest

from tests.support.schedules import EVERYTHING, SAMPLE, played

pytestmark = pytest.mark.sweep
SCHEDULES, PARTS = 10_000, 10


@pytest.mark.parametrize("part", range(PARTS))
def test_no_write_is_lost_no_lock_of_another_deleted_nothing_changed_without_the_lease(
    part: int,
) -> None:
    of_each = SCHEDULES // PARTS
    first = SAMPLE + part * of_each
    assert set(played(range(first, first + of_each))) >= EVERYTHING
