"""Every report from the field is a check of the rehearsal; and the rehearsal is as recorded."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from provision.verify.field.differences import Difference, differences
from provision.verify.field.files import parse
from provision.verify.field.public import public
from provision.verify.field.rehearsed import rehearsed
from provision.verify.field.stretches import measured
from tests.field.lives import life
from tests.field.record import codes

HERE = Path(__file__).parent
REPORTS = sorted(HERE.glob("*.json"))
ACCEPTED: dict[str, list[dict[str, str]]] = tomllib.loads((HERE / "accepted.toml").read_text())


def found_in(path: Path) -> list[Difference]:
    """How the AWS of a report differs from the rehearsal."""
    runs = parse(path.read_text(encoding="utf-8"), path.name)
    assert runs, f"{path.name}: no run"
    return list(dict.fromkeys(each for run in runs for each in differences(run)))


def is_accepted(difference: Difference, row: dict[str, str]) -> bool:
    about = difference.as_dict()
    return all(about[name] == row[name] for name in ("sort", "where", "what"))


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.name)
def test_the_rehearsal_plays_what_aws_did(path: Path) -> None:
    rows = ACCEPTED.get(path.name, [])
    left = [
        each for each in found_in(path) if not any(is_accepted(each, row) for row in rows)
    ]  # fmt: skip
    assert left == [], "mend the rehearsal, or put it into accepted.toml with a reason"


def test_what_is_accepted_has_a_reason_and_is_still_there() -> None:
    for name, rows in ACCEPTED.items():
        found = found_in(HERE / name)
        for row in rows:
            assert row["reason"].strip(), row
            assert any(is_accepted(each, row) for each in found), row


@pytest.mark.slow
def test_a_life_of_another_seed_is_as_recorded(tmp_path: Path) -> None:
    """Else the rehearsal, or what is called, has changed since `make rehearsed`."""
    _, runs = life(tmp_path, seed=4711)
    assert [run["command"] for run in runs] == ["up", "up", "teardown"]
    assert [each for run in runs for each in differences(public(run))] == [], "make rehearsed"
    shown = {each.duration for run in runs for each in measured(run)}
    assert len(shown) >= 10, shown


def test_the_recorded_codes_are_those_of_the_rehearsal() -> None:
    recorded: dict[str, Any] = dict(rehearsed()["codes"])
    assert recorded == codes(), "python -m tests.field.record codes"
