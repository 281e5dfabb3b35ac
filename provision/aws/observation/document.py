"""The record of what AWS did in a run, as JSON: what it has, and whether it is sound.

    {"command": "up", "ok": true, "speed": 1.0, "region": "eu-west-1", "seconds": 611.2,
     "calls": {"rds:CreateDBProxy": {"": 2, "InvalidParameterValue": 3}},
     "accepted": {"rds:CreateDBProxy": [31.0, 31.4]},
     "refusals": [{"call": …, "code": …, "words": …, "count": 3, "first": 21.0, "last": 29.1,
                   "accepted": 31.0}],
     "things": [{"kind": "DBProxy", "number": 1, "episodes": [{"trigger": "rds:CreateDBProxy",
                 "at": 31.0, "statuses": [["creating", 31.0, 31.0, 250.2], …]}]}],
     "orders": [["rds:RegisterDBProxyTargets", "DBInstance", "creating", 2]],
     "members": {"rds:DescribeDBProxies": {"available": ["DBProxies", "DBProxies.DBProxyArn"]}}}

`calls` counts answers by error code ("" = accepted). A status is [status, when the poll before it
was, first seen, last seen]. All times are AWS's seconds since the run began. There is no id, no
name and no date in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from provision.aws.observation.masking import masked
from provision.aws.observation.observer import Observer

Run = Mapping[str, Any]

COMMANDS = ("up", "teardown")
MOST_SECONDS = 1e9
MOST_ITEMS = 5000  # of a list or an object
LONGEST = 400  # characters of a text


def document(
    observer: Observer, command: str, *, ok: bool | None, region: str, private: Collection[str]
) -> dict[str, Any]:
    """Return the record of a run so far. `private` are words, in lower case, that are names here.

    `ok` is None for a run that has not ended.
    """
    with observer.lock:
        return {
            "command": command.partition(" ")[0],  # of `teardown --expired`, say
            "ok": ok,
            "speed": observer.speed,
            "region": region,
            "seconds": _seconds(observer.at()),
            "calls": {call: dict(counts) for call, counts in observer.calls.items()},
            "accepted": {call: [*map(_seconds, at)] for call, at in observer.accepted.items()},
            "refusals": _refusals(observer, private),
            "things": [_thing(thing) for thing in observer.things.values()],
            "orders": [[*key, count] for key, count in observer.orders.items()],
            "members": _members(observer),
        }


def _seconds(number: float) -> float:
    return round(max(0.0, number), 2)


def _refusals(observer: Observer, private: Collection[str]) -> list[dict[str, Any]]:
    """Refusals with the same words are one, whatever they name."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for (call, code, message), refusal in observer.refusals.items():
        key = (call, code, masked(message, private))
        accepted = None if refusal.accepted is None else _seconds(refusal.accepted)
        row = {
            **dict(zip(("call", "code", "words"), key, strict=True)),
            "count": refusal.count,
            "first": _seconds(refusal.first),
            "last": _seconds(refusal.last),
            "accepted": accepted,
        }
        if known := found.get(key):
            known["count"] += row["count"]
            known["first"] = min(known["first"], row["first"])
            known["last"] = max(known["last"], row["last"])
            known["accepted"] = known["accepted"] if accepted is None else accepted
        else:
            found[key] = row
    return list(found.values())


def _thing(thing: Any) -> dict[str, Any]:
    episodes = [
        {
            "trigger": each.trigger,
            "at": _seconds(each.at),
            "statuses": [[status, *map(_seconds, times)] for status, *times in each.statuses],
        }
        for each in thing.episodes
    ]
    return {"kind": thing.kind.name, "number": thing.number, "episodes": episodes}


def _members(observer: Observer) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for (call, status), paths in observer.members.items():
        found.setdefault(call, {})[status] = sorted(paths)
    return found


# --- whether it is sound --------------------------------------------------------------------------


class Malformed(ValueError):
    """What is wrong with a record; names the member, never shows its value."""


def check(run: Any) -> Run:
    """Return the record of a run, which has exactly the form above. Raises Malformed."""
    RUN(run, "run")
    return dict(run)


def text(value: Any, where: str) -> None:
    """Check a text: short, and printable."""
    if not isinstance(value, str) or len(value) > LONGEST or not (value.isprintable()):
        raise Malformed(f"{where}: must be a printable text of at most {LONGEST} characters")


def number(value: Any, where: str) -> None:
    """Check a number of seconds."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not math.isfinite(value) or not 0 <= value <= MOST_SECONDS:
        raise Malformed(f"{where}: must be a number from 0 to {MOST_SECONDS:g}")


def count(value: Any, where: str) -> None:
    """Check a count."""
    if type(value) is not int or not 0 <= value <= MOST_SECONDS:
        raise Malformed(f"{where}: must be a whole number, 0 or more")


def command(value: Any, where: str) -> None:
    """Check a command's name."""
    if value not in COMMANDS:
        raise Malformed(f"{where}: must be one of {', '.join(COMMANDS)}")


def ended(value: Any, where: str) -> None:
    """Check how a run ended: well, not well, or not at all."""
    if value is not None and not isinstance(value, bool):
        raise Malformed(f"{where}: must be true, false or null")


Check = Callable[[Any, str], None]


def maybe(inner: Check) -> Check:
    """Return a check that lets null pass."""
    return lambda value, where: None if value is None else inner(value, where)


def many(inner: Check) -> Check:
    """Return the check of a list."""

    def check_list(value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) > MOST_ITEMS:
            raise Malformed(f"{where}: must be a list of at most {MOST_ITEMS}")
        for index, each in enumerate(value):
            inner(each, f"{where}[{index}]")

    return check_list


def row(*inner: Check) -> Check:
    """Return the check of a list with exactly these items."""

    def check_row(value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) != len(inner):
            raise Malformed(f"{where}: must be a list of {len(inner)}")
        for index, (each, one) in enumerate(zip(value, inner, strict=True)):
            one(each, f"{where}[{index}]")

    return check_row


def by_text(inner: Check) -> Check:
    """Return the check of an object whose keys are texts."""

    def check_object(value: Any, where: str) -> None:
        if not isinstance(value, dict) or len(value) > MOST_ITEMS:
            raise Malformed(f"{where}: must be an object of at most {MOST_ITEMS}")
        for key, each in value.items():
            text(key, f"a key of {where}")
            inner(each, f"{where}.*")

    return check_object


def exactly(**inner: Check) -> Check:
    """Return the check of an object with exactly these members."""

    def check_members(value: Any, where: str) -> None:
        if not isinstance(value, dict) or set(value) != set(inner):
            raise Malformed(f"{where}: must be an object with {', '.join(inner)}")
        for name, each in inner.items():
            each(value[name], f"{where}.{name}")

    return check_members


RUN = exactly(
    command=command,
    ok=ended,
    speed=number,
    region=text,
    seconds=number,
    calls=by_text(by_text(count)),
    accepted=by_text(row(number, number)),
    refusals=many(
        exactly(
            call=text, code=text, words=text, count=count,
            first=number, last=number, accepted=maybe(number),
        )
    ),
    things=many(
        exactly(
            kind=text,
            number=count,
            episodes=many(
                exactly(
                    trigger=text, at=number, statuses=many(row(text, number, number, number))
                )
            ),
        )
    ),
    orders=many(row(text, text, text, count)),
    members=by_text(by_text(many(text))),
)  # fmt: skip
