"""The pictures show nothing of the machine that took them; figures are those that were recorded."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from docs import write_figures as figures
from provision.commands.command_line import COMMANDS
from tests.support.commands import ROOT
from tests.sweeps.figures import document

PICTURES = ROOT / "docs" / "screenshots"
MOST_BYTES = 200_000
OUTSIDE = re.compile(
    rb"https?://(?!127\.0\.0\.1:|www\.w3\.org/2000/svg|docs\.aws\.amazon\.com/)|/(?:home|root|tmp|Users)/"
)


def test_the_readme_shows_every_picture_and_none_that_is_not_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    there = [str(path.relative_to(ROOT)) for path in sorted(PICTURES.iterdir())]
    assert sorted(shown) == there


def test_each_command_has_a_picture() -> None:
    pictures = {path.stem for path in PICTURES.iterdir()}
    assert {"help", "teardown", *(name for name, *_ in COMMANDS)} <= pictures


@pytest.mark.parametrize("path", sorted(PICTURES.iterdir()), ids=lambda path: path.name)
def test_a_picture_is_small_and_refers_to_nothing_outside(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) < MOST_BYTES
    if path.suffix == ".svg":
        assert not OUTSIDE.findall(data)


@pytest.mark.parametrize("path", figures.documents(), ids=lambda path: path.name)
def test_a_document_has_the_figures_that_were_recorded(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == figures.written(text), "run `python -m docs.write_figures`"


def test_every_record_is_shown_and_every_writer_has_its_record() -> None:
    shown = {
        found[1]
        for path in figures.documents()
        for found in figures.BLOCK.findall(path.read_text(encoding="utf-8"))
    }
    assert shown == {path.stem for path in figures.RECORDS.glob("*.json")} == set(figures.WRITERS)


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of records in the place of ours."""
    monkeypatch.setattr(figures, "RECORDS", tmp_path)
    return tmp_path


def test_a_figure_that_was_written_by_hand_is_found(records: Path) -> None:
    faults = {"kill-after": 2, "kill-before": 3, "lost": 4}
    record = {"scenarios": 5, "inventories": 9, "copies": 1, "leftovers": 0, "faults": faults}
    (records / "sweeps.json").write_text(json.dumps(record))
    text = "a\n<!-- figures: sweeps -->\nby hand\n<!-- end of figures -->\nb\n"
    written = figures.written(text)
    assert written.startswith("a\n<!-- figures: sweeps -->\n5 calls killed at (3 before they took")
    assert "4 other faults (4 lost)" in written
    assert written.endswith("leftovers found.\n<!-- end of figures -->\nb\n")
    assert figures.written(written) == written


def test_the_spread_of_what_was_drawn_is_a_table(records: Path) -> None:
    lives = [
        {"up": {"seconds": seconds, "chain": chain}, "teardown": {"seconds": 300.2, "chain": "VPC"}}
        for seconds, chain in ((420.4, "proxy"), (500.0, "DB instance"), (900.6, "proxy"))
    ]
    record = document(Counter(scenarios=3, inventories=9), lives)
    (records / "sweeps.json").write_text(json.dumps(record))
    written = figures.written("<!-- figures: sweeps -->\n<!-- end of figures -->")
    assert "AWS's time in 3 lifecycles" in written
    assert "\n| `up` | 420 s | 500 s | 901 s | proxy (2), DB instance (1) |\n" in written
    assert "\n| `teardown` | 300 s | 300 s | 300 s | VPC (3) |\n" in written


def test_the_bench_is_a_table(records: Path) -> None:
    rows = [
        {"what": "  up", "unit": "s", "measured": 1.234, "limit": 2.0, "ratio": 0.617},
        {"what": "memory", "unit": "MiB", "measured": 86.6, "limit": None, "ratio": None},
    ]
    record = {"machine": {"cores": 2, "python": "3.13.1"}, "rows": rows}
    (records / "bench.json").write_text(json.dumps(record))
    written = figures.written("<!-- figures: bench -->\n<!-- end of figures -->")
    assert "\n| up | 1.23 s | 2.00 s | 62% |\n| memory | 87 MiB | | |\n" in written
    assert "On 2 cores, with Python 3.13.1:" in written
