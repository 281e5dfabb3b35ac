"""How our commands are spelled where we suggest one: as the person started this one.

`python -m provision status` is what texts say. Started as the console script `provision`, it is
`provision status`; where `--rehearsal` led this command, it has to lead the next one, too.
"""

from __future__ import annotations

import re
import sys
from pathlib import PurePath

SCRIPTS = ("provision", "teardown")
COMMAND = re.compile(r"python -m (provision|teardown)\b(?!\.| --rehearsal)( (?=[a-z]))?")

_rehearsal = False


def lead_to_rehearsal(yes: bool) -> None:
    """Have every command that is suggested from now on reach the rehearsal, or not."""
    global _rehearsal  # noqa: PLW0603 - of the process, as its arguments are
    _rehearsal = yes


def program(name: str) -> str:
    """Return how `provision` or `teardown` is started here."""
    return name if as_script() else f"python -m {name}"


def as_script() -> bool:
    """Return whether this process was started by one of the console scripts."""
    return bool(sys.argv) and PurePath(sys.argv[0]).stem in SCRIPTS and not in_module(sys.argv[0])


def in_module(path: str) -> bool:
    """Return whether it was `python -m`, which puts the path of a module there."""
    return path.endswith(".py") or path in ("-m", "-c")


def spelled(text: str) -> str:
    """Return a text with our commands in it as they have to be typed here."""
    if "python -m " not in text:
        return text
    return COMMAND.sub(lambda found: as_typed(found[1], found[2] or ""), text)


def as_typed(name: str, space: str) -> str:
    """Return the beginning of a command."""
    flag = " --rehearsal" if _rehearsal else ""
    return f"{program(name)}{flag}{space}"
