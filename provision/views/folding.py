"""How wide text is on a terminal, and where its lines end: between words, never within one."""

from __future__ import annotations

import re

from provision.views.style import Styled

# What has to be copied as it is: a command of ours or of the AWS CLI, or what is in backquotes.
COMMAND = (
    r"aws [a-z0-9]+ [a-z]+(?:-[a-z0-9]+)+(?: --[a-z-]+(?: (?!--)\S+)?)*"
    r"|python -m (?:provision|teardown)(?: (?:--[a-z-]+|init|up|plan|status|list|check|doctor|logs"
    r"|compare|timeline|policy)\b)*"
)
# A word, with the sign before it and the unit after it.
WORD = re.compile(
    rf"(?:[·✓✗!+~◐◑◒◌≠⊘?○-] (?=\S))?(?:{COMMAND}|`[^`]*`|\S)+"
    r"(?: (?:%|s|ms|min|MiB|GiB|UTC)(?!\w)\S*)?"
)
MARGIN = 4  # cells by which what goes on below stands further right


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes: two for each wide character."""
    if text.isascii():
        return len(text)
    import unicodedata  # most text does without

    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def longest_word(text: str) -> int:
    """Return how many cells the longest word of a text takes."""
    return max(map(cells, WORD.findall(text)), default=0)


def folded(line: str, width: int | None, margin: int | None = None) -> list[str]:
    """Return a line in lines of at most `width` cells, from word to word; None: as it is.

    A longer word stays whole. Lines but the first have a margin, else MARGIN more than the first.
    """
    if width is None or cells(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip()) + MARGIN if margin is None else margin
    lines: list[str] = []
    begin = end = 0
    for word in WORD.finditer(line):
        room = width - (indent if lines else 0)
        if end and cells(line[begin : word.end()]) > room:
            lines.append(Styled(" " * indent if lines else "", piece(line, begin, end)))
            begin = word.start()
        end = word.end()
    return [*lines, Styled(" " * indent if lines else "", piece(line, begin, end))]


def piece(line: str, start: int, end: int) -> str:
    """Return a part of a line, with the style that it has there."""
    return line.piece(start, end) if isinstance(line, Styled) else line[start:end]
