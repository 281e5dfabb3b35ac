"""When an environment ends: a tag on everything of it that carries tags.

Its value is a moment in UTC (ISO 8601). Where the tags of an environment disagree, because a change
of all of them was cut off, the latest counts; NEVER is later than any moment.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

EXPIRES = "provision:expires"
STATE = "provision:state"  # of the VPC: where the state is kept (state/location.py)
NEVER = "never"  # while the tags are being removed: a run that is cut off has not said "now"
TIME = "%Y-%m-%dT%H:%M:%SZ"


def moment_of(text: str) -> datetime.datetime | None:
    """Return the moment that a tag's value names, in UTC; None where it names none."""
    try:
        found = datetime.datetime.fromisoformat(text.strip())
        aware = found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found
        return aware.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


def value_of(moment: datetime.datetime) -> str:
    """Return the tag's value for a moment."""
    return moment.astimezone(datetime.UTC).strftime(TIME)


def latest(all_tags: Iterable[Mapping[str, str]]) -> str:
    """Return the value that counts: the latest moment, NEVER, or "" where no tag names any."""
    values = [tags[EXPIRES] for tags in all_tags if EXPIRES in tags]
    if NEVER in values:
        return NEVER
    moments = [moment for each in values if (moment := moment_of(each))]
    return value_of(max(moments)) if moments else ""
