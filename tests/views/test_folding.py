"""Lines that end between words, whatever is in them, and tables in any width."""

from __future__ import annotations

import random
import re

import pytest

from provision.views.folding import cells, folded, longest_word
from provision.views.style import Meaning, Piece, Styled, rendered, signed
from provision.views.tables import table_lines

ARN = "arn:aws:iam::123456789012:role/" + "x" * 40
WORDS = [
    "a", "role", "cannot", ARN, "日本語の", "`aws iam get-role --role-name x`", "200 %", "12 min",
    "é", "✓ ready", "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html,",
]  # fmt: skip
COLUMNS = ("step", "state", "id or name")
ROWS = [
    ("vpc", signed(Meaning.GOOD, "ready"), "vpc-0a1b2c3d"),
    ("role-function-password", signed(Meaning.BAD, "missing"), ARN),
]


@pytest.mark.parametrize("width", [1, 10, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("margin", [None, 0, 7])
def test_no_line_is_too_wide_unless_it_is_one_word(width: int, margin: int | None) -> None:
    chance = random.Random(width)  # noqa: S311 - a draw that repeats
    for _ in range(50):
        words = [chance.choice(WORDS) for _ in range(chance.randrange(1, 30))]
        indent = 4 if margin is None else margin
        lines = folded(" ".join(words), width, margin)
        assert " ".join(line.strip() for line in lines) == " ".join(words)  # nothing added or lost
        for number, line in enumerate(lines):
            assert cells(line) <= width or line.strip() in words
            assert number == 0 or line.startswith(" " * indent)


def test_what_fits_and_what_has_no_width_stays_as_it_is() -> None:
    assert folded("a  b", 4) == ["a  b"]
    assert folded("a b " * 99, None) == ["a b " * 99]
    assert folded("", 1) == [""]


@pytest.mark.parametrize(
    "whole", [
        "`aws rds x --y`,", "200 %", "5 min.", "✓ ready", "! warning",
        "python -m provision up --yes",
        "aws iam get-role-policy --role-name a --policy-name b;", "python -m teardown",
        "aws rds modify-db-instance --apply-immediately --db-instance-identifier x",
    ],
)  # fmt: skip
def test_what_belongs_together_is_not_parted(whole: str) -> None:
    assert folded(f"aa {whole} bb", 1, 0) == ["aa", whole, "bb"]
    assert longest_word(f"aa {whole} bb") == cells(whole)


@pytest.mark.parametrize(
    "text", ["a - b", "5 minutes", "the % of", "`open and not closed", "aws says so", "python -m x"]
)
def test_what_only_looks_like_it_is(text: str) -> None:
    assert len(folded(text, 1, 0)) >= 2


def test_each_part_keeps_its_style_and_its_link() -> None:
    line = Styled(Piece("one two", Meaning.BAD), " ", Piece("three", Meaning.COPY, "https://a.b"))
    first, second, third = folded(line, 5, 1)
    assert rendered(first) == "\x1b[31mone\x1b[0m"
    assert rendered(second) == " \x1b[31mtwo\x1b[0m"
    assert rendered(third) == " \x1b]8;;https://a.b\x1b\\\x1b[1mthree\x1b[0m\x1b]8;;\x1b\\"


def test_wide_characters_take_two_cells_and_combining_ones_none() -> None:
    assert [cells(text) for text in ("abc", "日本", "e\u0301", "✓ok")] == [3, 4, 1, 3]
    (head, *_, row) = table_lines("", ("a", "b"), [("日本", "x"), ("abc", "y")], width=80)
    assert head == "a     b"
    assert row == "abc   y"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200, None])
def test_a_table_breaks_no_word_and_loses_none(width: int | None) -> None:
    lines = list(table_lines("", COLUMNS, ROWS, width=width))
    text = "\n".join(lines)
    for row in ROWS:
        assert all(cell in text for cell in row)
    assert all(
        width is None or cells(line) <= width or re.fullmatch(r"\s*\S+", line) for line in lines
    )
    if width == 20:  # no columns fit: blocks
        assert lines[:3] == ["vpc", "    state: ✓ ready", "    id or name:"]
    if width == 80:  # an id on a line of its own, the others in columns
        assert lines[1:] == [
            "vpc                     ✓ ready    vpc-0a1b2c3d",
            "role-function-password  ✗ missing",
            f"    {ARN}",
        ]
