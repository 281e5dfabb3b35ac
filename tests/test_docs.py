"""The README's pictures are there, and show nothing of the machine that took them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import ROOT

PICTURES = ROOT / "docs" / "screenshots"
MOST_BYTES = 200_000
OUTSIDE = re.compile(rb"https?://(?!127\.0\.0\.1:|www\.w3\.org/2000/svg)|/(?:home|root|tmp|Users)/")


def test_the_readme_shows_every_picture_and_none_that_is_not_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    there = [str(path.relative_to(ROOT)) for path in sorted(PICTURES.iterdir())]
    assert sorted(shown) == there


@pytest.mark.parametrize("path", sorted(PICTURES.iterdir()), ids=lambda path: path.name)
def test_a_picture_is_small_and_refers_to_nothing_outside(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) < MOST_BYTES
    if path.suffix == ".svg":
        assert not OUTSIDE.findall(data)
