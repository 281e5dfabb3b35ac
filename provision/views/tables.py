"""Tables that fit their terminal: columns give way in an order, and no word is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from provision.views.folding import cells, folded, longest_word
from provision.views.style import Meaning, Styled, styled

GAP = 2  # cells between two columns
INDENT = 4  # cells before what stands on a line of its own
COMFORT = 32  # cells that the last column keeps as long as others can give way

Row = Sequence[str]


def table_lines(
    title: str, columns: Row, rows: Sequence[Row], *, width: int | None = None
) -> Iterator[str]:
    """Yield a table in columns as wide as their widest cell. Nothing is cut.

    On a terminal, `width` cells wide, cells go on below, from word to word: first those of the
    last column, then of the others. Where that is not enough the last cell, an id or a reason, has
    a line of its own; and where not even that is, each cell has.
    """
    if title:
        yield title
    if not rows:
        return
    heads = [styled(each, Meaning.READ) for each in columns]
    lines = [heads, *rows]
    widths = fitted(lines, width)
    if widths is not None:
        for row in lines:
            yield from cells_below_each_other(row, widths)
        return
    fronts = [row[:-1] for row in lines]
    widths = fitted(fronts, width)
    if widths is None:
        yield from blocks(columns, rows, width)
        return
    room = (width or 0) - sum(widths) - GAP * len(widths)
    for row, front in zip(lines, fronts, strict=True):
        if longest_word(row[-1]) <= room:
            yield from cells_below_each_other(row, [*widths, room])
        else:
            yield from cells_below_each_other(front, widths)
            yield from (" " * INDENT + part for part in folded(row[-1], (width or 0) - INDENT, 0))


def blocks(columns: Row, rows: Sequence[Row], width: int | None) -> Iterator[str]:
    """Yield each row as a block: its first cell, and below it the others with their heads."""
    for row in rows:
        yield row[0]
        for head, cell in zip(columns[1:], row[1:], strict=True):
            yield from folded(Styled(" " * INDENT, f"{head}: ", cell), width)


def natural(rows: Sequence[Row]) -> list[int]:
    """Return the width of each column's widest cell."""
    return [max(map(cells, column)) for column in zip(*rows, strict=True)]


def fitted(rows: Sequence[Row], width: int | None) -> list[int] | None:
    """Return a width for each column, so that the whole fits; None where no words would."""
    widths = natural(rows)
    if width is None:
        return widths
    words = [max(map(longest_word, column)) for column in zip(*rows, strict=True)]
    over = sum(widths) + GAP * (len(widths) - 1) - width
    last = len(widths) - 1
    order = [
        (last, max(words[last], COMFORT)),
        *((at, words[at]) for at in range(last - 1, -1, -1)),
    ]
    for at, least in [*order, (last, words[last])]:
        gives = max(0, min(over, widths[at] - least))
        widths[at] -= gives
        over -= gives
    return widths if over <= 0 else None


def cells_below_each_other(row: Row, widths: Sequence[int]) -> Iterator[str]:
    """Yield a row in as many lines as its longest cell has."""
    columns = [folded(cell, width, 0) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, columns))):
        parts = [column[number] if number < len(column) else "" for column in columns]
        last = max((at for at, part in enumerate(parts) if part), default=0)
        line = Styled()
        for at, part in enumerate(parts[: last + 1]):
            gap = " " * (widths[at] + GAP - cells(part)) if at < last else ""
            line = Styled(line, part, gap)
        yield line
