"""Asks before something costs money or is deleted: only on a terminal, and without the lock."""

from __future__ import annotations

import select
import sys
import threading

from provision.engine.events import Reporter
from provision.errors import Declined, Interrupted

STOP_SECONDS = 0.2  # how long Ctrl-C may go unnoticed while a person thinks


def can_ask(output: Reporter) -> bool:
    """Return whether there is a person to ask: stdin and stderr are terminals, no program reads."""
    return output.interactive and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, word: str, *, stop: threading.Event, otherwise: str) -> None:
    """Ask, and continue if the answer is `word`.

    Raises Declined for any other, and when the command is to stop meanwhile; `otherwise` says what
    that means: "nothing was deleted".
    """
    print(f"{question} Type {word} to continue: ", end="", file=sys.stderr, flush=True)
    while not select.select([sys.stdin], [], [], STOP_SECONDS)[0]:
        if stop.is_set():
            print(file=sys.stderr)
            raise Interrupted(f"interrupted: {otherwise}")
    if sys.stdin.readline().strip() != word:
        raise Declined(f"cancelled: {otherwise}")
