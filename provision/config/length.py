"""Lengths of time as config.toml and flags have them: "90m", "8h", "2d"."""

from __future__ import annotations

import datetime
import re

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
SHORTEST = datetime.timedelta(minutes=1)
LONGEST = datetime.timedelta(days=365)
LENGTHS = "a length of time from 1m to 365d, such as 90m, 8h or 2d"


def length_of(text: str) -> datetime.timedelta | None:
    """Return what `text` says, or None where it is no length of time from SHORTEST to LONGEST."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text, re.ASCII)
    if found is None:
        return None
    length = datetime.timedelta(**{UNITS[found[2]]: int(found[1])})
    return length if SHORTEST <= length <= LONGEST else None
