"""What a report names of the rehearsal's behaviours, as recorded; tests/sweeps plays it again."""

from __future__ import annotations

from tests.field.behaviours import LEAST_SHARE, recorded, registry, share

MOST_NEW = 5


def test_the_behaviours_were_switched_off_one_by_one() -> None:
    """But for one or two that are newer than the record."""
    other = set(recorded()) ^ set(registry())
    assert len(other) <= MOST_NEW, f"python -m tests.field.behaviours {' '.join(sorted(other))}"


def test_a_report_names_nearly_all_that_a_run_must_show() -> None:
    rows = recorded()
    assert sum(each["shown"] for each in rows.values()) >= 30
    missed = [name for name, each in rows.items() if each["shown"] and not each["named"]]
    assert share(rows) >= LEAST_SHARE, missed


def test_what_no_run_shows_has_a_reason() -> None:
    assert [
        name for name, each in recorded().items() if not each["shown"] and not each["why"]
    ] == []
