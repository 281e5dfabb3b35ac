"""Text from outside, made fit to be shown: what a terminal or a CI log would obey becomes visible.

Names, descriptions, messages and log lines come from AWS, and may have been written by anybody.
Control characters are shown as Python writes them (`\\x1b`), not dropped.
"""

from __future__ import annotations

import re

# C0 and C1, what changes the direction of text or hides in it, line ends of Unicode, surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# `::error::`, `##[error]`, `##vso[…]`, `##teamcity[…]`: what CI takes for orders in a log.
_ORDER = re.compile(r"^(\s*):(?=:)|#(?=#\w*\[)")

_TWO_DIGITS, _FOUR_DIGITS = 0x100, 0x10000


def visible(text: str) -> str:
    """Return text with every control character shown; line feeds and tabs stay."""
    return _UNSEEN.sub(lambda found: _shown(found[0]), text)


def one_line(text: str) -> str:
    """Return text as one line: line feeds and tabs are shown, too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def printable(line: str) -> str:
    """Return a line that is fit for a terminal and for a CI log, which takes no order from it."""
    return _ORDER.sub(lambda found: found[0][:-1] + _shown(found[0][-1]), one_line(line))


def _shown(character: str) -> str:
    number = ord(character)
    if number < _TWO_DIGITS:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < _FOUR_DIGITS else f"\\U{number:08x}"
