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
    """Return how `provision` or `teardown` is started here: as this process was."""
    path = PurePath(sys.argv[0] if sys.argv else "")
    # `python -m` puts the path of a module there.
    as_script = path.stem in SCRIPTS and path.suffix != ".py"
    return name if as_script else f"python -m {name}"


def spelled(text: str) -> str:
    """Return a text with our commands in it as they have to be typed here."""
    if "python -m " not in text:
        return text
    flag = " --rehearsal" if _rehearsal else ""
    return COMMAND.sub(lambda found: f"{program(found[1])}{flag}{found[2] or ''}", text)
