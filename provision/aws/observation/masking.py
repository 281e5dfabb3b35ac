"""What may stay of AWS's words: those of a fixed vocabulary, and nothing else.

An error's message names things: ids, ARNs, accounts, people. None of that can be told apart from
words by removing what looks like it; so a word stays only when it is in vocabulary.txt (words of
AWS's error messages, and plain English), and everything else becomes `…`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

MASK = "…"
LONGEST = 40  # words of a message that are kept
LONGEST_TEXT = 4000  # characters of a message that are read
LONGEST_NAME = 80  # characters of a code or a status
_TOKEN = re.compile(r"\S+")
_WORD = re.compile(r"([(]?)([A-Za-z][A-Za-z'-]*)([.,:;!?)]{0,2})")
_NAME = re.compile(r"[A-Za-z…]+(?:[._/-][A-Za-z…]+)*|[1-5][0-9]{2}")  # or an HTTP status
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[._/-]|…|[0-9]+")
_SEPARATORS = frozenset("._/-")


@cache
def vocabulary() -> frozenset[str]:
    """Return every word that may stay, in lower case."""
    text = Path(__file__).with_name("vocabulary.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def may_stay(word: str, private: Collection[str] = ()) -> bool:
    """Return whether a word is of the vocabulary, in a case of its own, and not a name of ours."""
    plain = word in (word.lower(), word.upper(), word.capitalize())
    return plain and word.lower() in vocabulary() and word.lower() not in private


def masked(text: str, private: Collection[str] = ()) -> str:
    """Return a message in which only known words stay; a row of masks is one mask.

    `private` are words, in lower case, that are names here. What is quoted is a name too.
    """
    words: list[str] = []
    for token in _TOKEN.findall(text[:LONGEST_TEXT]):
        found = _WORD.fullmatch(token)
        good = found is not None and may_stay(found[2], private)
        if good or words[-1:] != [MASK]:
            words.append(token if good else MASK)
        if len(words) == LONGEST:
            break
    return " ".join(words)


def masked_name(text: str) -> str:
    """Return an error code or a status in which only known parts stay, as `Invalid…State`.

    A code that AWS never used before is worth knowing, and is made of AWS's words; whatever else
    stands in its place, a name for example, is not: what has other characters than letters, is
    long, or is more unknown than known, is masked as a whole.
    """
    if len(text) > LONGEST_NAME or not _NAME.fullmatch(text):
        return MASK
    parts = _PARTS.findall(text)
    known = [
        part in _SEPARATORS or part.isdecimal() or (len(part) > 1 and may_stay(part))
        for part in parts
    ]
    kept = sum(len(part) for part, good in zip(parts, known, strict=True) if good)
    if kept * 2 < len(text):
        return MASK
    shown: list[str] = []
    for part, good in zip(parts, known, strict=True):
        if good or shown[-1:] != [MASK]:
            shown.append(part if good else MASK)
    return "".join(shown)
