"""Asks a person before something costs or deletes: on a terminal only, and without the lock."""

from __future__ import annotations

import sys

from provision.engine.events import Reporter
from provision.errors import Declined


def can_ask(output: Reporter) -> bool:
    """Return whether there is a person to ask: stdin and stderr are terminals, no program reads."""
    return output.interactive and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, word: str) -> None:
    """Ask, and go on when the answer is `word`. Raises Declined for any other."""
    print(f"{question} Type {word} to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != word:
        raise Declined("not confirmed: nothing was changed")
