"""What colours and signs mean, in one place; and text that knows what its parts mean.

Colour never says anything alone: beside it stands a sign or a word. A `Styled` is a `str`: where
there is no terminal, or one without colours, it is written as it is. What comes from outside is
made visible part by part before colours and links (ECMA-48, OSC 8) are put around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from provision.views.visible import printable


class Meaning(Enum):
    """What a part of a line means: in a word, its colour, and the sign that says the same.

    The colours are a terminal's own (ECMA-48, "select graphic rendition"), which suit its
    background.
    """

    PLAIN = "", ""
    CREATED = "created", "32", "+"
    CHANGED = "changed", "33", "~"
    DELETED = "deleted", "31", "-"
    UNCHANGED = "unchanged", "2", "·"
    GOOD = "good", "32", "✓"
    BAD = "bad", "31", "✗"
    WARNING = "warning", "33", "!"
    CREATING = "creating", "36"
    DELETING = "deleting", "35"
    WAITING = "waiting", "34"
    ROUTINE = "routine", "2"  # what a person may skip
    READ = "read", "1"  # what a person has to read
    COPY = "copy", "1"  # what a person may have to copy

    def __init__(self, _word: str, colour: str, sign: str = "") -> None:
        self.colour = colour
        self.sign = sign  # "" where words say the same


URL = re.compile(r"(https?://[^\s\"'<>`]*[^\s\"'<>`.,;:)\]])")
ASCII = str.maketrans("·✓✗◐◑◒◌≠⊘○█▓▒░", ".+x*~-:~/o#=-.")


@dataclass(frozen=True)
class Piece:
    """A part of a line: what it means, and where it leads."""

    text: str
    meaning: Meaning = Meaning.PLAIN
    url: str = ""


class Styled(str):
    """A line of text whose parts have a meaning; as text it is complete."""

    parts: tuple[Piece, ...]

    def __new__(cls, *parts: Piece | str) -> Styled:
        whole: list[Piece] = []
        for part in parts:
            if isinstance(part, Piece):
                whole.append(part)
            else:
                whole += parts_of(part)
        self = super().__new__(cls, "".join(part.text for part in whole))
        self.parts = tuple(whole)
        return self

    def __radd__(self, before: str) -> Styled:
        return Styled(before, self)

    def __add__(self, after: str) -> Styled:
        return Styled(self, after)

    def piece(self, start: int, end: int) -> Styled:
        """Return the line from one character to another."""
        parts, at = [], 0
        for part in self.parts:
            text = part.text[max(0, start - at) : max(0, end - at)]
            at += len(part.text)
            if text:
                parts.append(Piece(text, part.meaning, part.url))
        return Styled(*parts)


def each_part(line: str, change: Callable[[str], str]) -> str:
    """Return a line with the text of each part changed; what it means stays."""
    if not isinstance(line, Styled):
        return change(line)
    return Styled(*(Piece(change(part.text), part.meaning, part.url) for part in line.parts))


def parts_of(text: str) -> tuple[Piece, ...]:
    """Return the parts of a text, which is one where it has no style."""
    return text.parts if isinstance(text, Styled) else (Piece(text),)


def styled(text: str, meaning: Meaning) -> Styled:
    """Return text in the colour of what it means."""
    return Styled(Piece(text, meaning))


def signed(meaning: Meaning, words: str) -> Styled:
    """Return words in the colour of what they mean, with its sign before them."""
    return styled(f"{meaning.sign} {words}", meaning)


def link(text: str, url: str, meaning: Meaning = Meaning.PLAIN) -> Styled:
    """Return text that leads to a URL where a terminal can follow it."""
    return Styled(Piece(text, meaning, url))


def rendered(text: str, *, colours: bool = True) -> str:
    """Return a line for a terminal: colours and links around its parts, all else made visible.

    A URL leads to itself, wherever it stands.
    """
    parts = (each for part in parts_of(text) for each in with_links(part))
    return "".join(rendered_part(part, colours=colours) for part in parts)


def with_links(part: Piece) -> Iterator[Piece]:
    """Yield the pieces of a part, the URLs in it as links."""
    texts = [part.text] if part.url else URL.split(part.text)
    if not all(map(may_lead_to, texts[1::2])):
        texts = [part.text]
    for number, text in enumerate(texts):
        yield Piece(text, part.meaning, part.url or (text if number % 2 else ""))


def rendered_part(part: Piece, *, colours: bool) -> str:
    """Return a part for a terminal."""
    shown = printable(part.text)
    if colours and part.meaning.colour and shown.strip():
        shown = f"\x1b[{part.meaning.colour}m{shown}\x1b[0m"
    return f"\x1b]8;;{part.url}\x1b\\{shown}\x1b]8;;\x1b\\" if may_lead_to(part.url) else shown


def may_lead_to(url: str) -> bool:
    """Return whether a URL may stand in a link: of the web, and without anything but ASCII."""
    web = url.startswith(("https://", "http://"))
    return web and url.isascii() and url.isprintable() and " " not in url


def encodable(text: str, encoding: str | None) -> str:
    """Return text with the signs that an encoding does not have in ASCII."""
    try:
        text.encode(encoding or "utf-8")  # a stream without one takes any text
    except (UnicodeError, LookupError):
        return text.translate(ASCII)
    return text
