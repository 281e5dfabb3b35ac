"""Which of the rehearsal's behaviours a report names when AWS lacks them: each switched off once.

`python -m tests.field.behaviours` plays a life without each behaviour, compares it as `report`
does, and records what was named in docs/figures/behaviours.json.

A behaviour is one that a run must show when its absence changes what goes over the wire: an error
code, a status, or a member of an answer that is there in every life with it. What changes values
alone, which no public file has, and what no run of a whole life meets, is none.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from provision.aws.observation.durations import Spread
from provision.rehearsal import Behaviours, Durations, Rehearsal
from provision.rehearsal.aws import front
from provision.rehearsal.aws.moto_app import SERVICES, parse_answer, service_model
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.http_server import Response
from provision.verify.field.differences import Difference, differences
from provision.verify.field.public import public
from tests.field.lives import life
from tests.support.commands import ROOT

FIGURES = ROOT / "docs" / "figures" / "behaviours.json"
SEED = 7
LEAST_SHARE = 0.95
# How often to look: for what is short as by default, for what is long sparsely.
POLLS = {"below": ("--set", "wait.poll_seconds=5"), "above": ("--set", "wait.poll_seconds=30")}
FACTOR = 6.0  # by which a duration is longer than the longest, or shorter than the shortest
# Switched off as a whole. Throttling is none of them: in a simulated time it is never played.
WHOLE = tuple(
    each.name
    for each in dataclasses.fields(Behaviours)
    if each.default is True and each.name != "throttling"
)

Element = tuple[str, ...]


@dataclass
class Wire:
    """What went over the wire in a life: error codes, members and statuses, by operation."""

    elements: set[Element] = field(default_factory=set)
    drawn: set[str] = field(default_factory=set)  # fields of Durations
    called: set[str] = field(default_factory=set)  # behaviours

    def answered(self, call: Any, raw: Response) -> None:
        """Note what an answer has."""
        name = f"{call.service}:{call.operation}"
        try:
            answer = parse_answer(raw, call.service, call.operation)
        except AwsError as error:
            self.elements.add(("error", name, error.code))
        else:
            self._members(name, "", answer, service_model(call.service)
                          .operation_model(call.operation).output_shape)  # fmt: skip

    def _members(self, name: str, path: str, value: Any, shape: Any) -> None:
        if isinstance(value, dict) and shape is not None and shape.type_name == "structure":
            for key, each in value.items():
                at = f"{path}.{key}" if path else key
                if each not in (None, "", [], {}):
                    self.elements.add(("member", name, at))
                    if key.endswith(("State", "Status", "Reason")) and isinstance(each, str):
                        self.elements.add(("status", name, at, each))
                    self._members(name, at, each, shape.members.get(key))
        elif isinstance(value, list) and shape is not None and shape.type_name == "list":
            for each in value:
                self._members(name, path, each, shape.member)


def registry() -> list[str]:
    """Return every behaviour: those that are switched as a whole, durations, and calls."""
    durations = [
        f"durations.{name} {way}"
        for name, value in vars(Durations()).items()
        if isinstance(value, Spread)
        for way in ("above", "below")
    ]
    return [*(f"behaviours.{name}" for name in WHOLE), *durations, *calls()]


def calls() -> Iterator[str]:
    """Yield the behaviour of each call that has one, as service:Operation."""
    for service in SERVICES:
        for operation in service_model(service).operation_names:
            if front.behaviour_for(service, operation) is not None:
                yield f"{service}:{operation}"


@contextmanager
def watched(rehearsal: Rehearsal, wire: Wire, without: frozenset[str]) -> Iterator[None]:
    """Note what goes over the wire in the block; play these calls as moto does by itself."""
    played, found = front.Front._played, front.behaviour_for
    takes = type(rehearsal.world).takes

    def note(self: Any, environ: Any, body: bytes, call: Any) -> Response:
        try:
            raw = played(self, environ, body, call)
        except AwsError as error:
            wire.elements.add(("error", f"{call.service}:{call.operation}", error.code))
            raise
        if call.service in SERVICES:
            wire.answered(call, raw)
        return raw

    def behaviour_for(service: str, operation: str) -> Any:
        name = f"{service}:{operation}"
        if found(service, operation) is not None:
            wire.called.add(name)
        return None if name in without else found(service, operation)

    def drawn(self: Any, what: str, *of: str) -> float:
        wire.drawn.add(what)
        return takes(self, what, *of)

    with (
        mock.patch.object(front.Front, "_played", note),
        mock.patch.object(front, "behaviour_for", behaviour_for),
        mock.patch.object(type(rehearsal.world), "takes", drawn),
    ):
        yield


@dataclass(frozen=True)
class Life:
    """A life, what went over the wire in it, and what a report says of it."""

    wire: Wire
    found: tuple[Difference, ...]
    runs: int


def lived(
    *flags: str, seed: int = SEED, without: frozenset[str] = frozenset(),
    durations: Durations | None = None, **behaviours: Any,
) -> Life:  # fmt: skip
    """Play a life without these behaviours."""
    wire = Wire()

    def prepare(rehearsal: Rehearsal) -> Any:
        return watched(rehearsal, wire, without)

    with tempfile.TemporaryDirectory() as folder:
        _, runs = life(
            Path(folder), seed, *flags, prepare=prepare, durations=durations, **behaviours
        )
    found = dict.fromkeys(each for run in runs for each in differences(public(run)))
    return Life(wire, tuple(found), len(runs))


@dataclass(frozen=True)
class References:
    """Lives with all behaviours."""

    always: frozenset[Element]
    ever: frozenset[Element]
    drawn: frozenset[str]
    called: frozenset[str]

    def changed(self, wire: Wire) -> list[Element]:
        """Return what went over the wire otherwise than in any life with all behaviours."""
        return sorted((self.always - wire.elements) | (wire.elements - self.ever))


def references(seeds: tuple[int, ...] = (SEED, 3, 11)) -> References:
    """Play lives with all behaviours. A report of them must name nothing."""
    lives = [lived(seed=seed) for seed in seeds]
    assert [each.found for each in lives] == [()] * len(lives), [each.found for each in lives]
    wires = [each.wire for each in lives]
    return References(
        functools.reduce(frozenset.intersection, (frozenset(each.elements) for each in wires)),
        frozenset().union(*(each.elements for each in wires)),
        frozenset().union(*(each.drawn for each in wires)),
        frozenset().union(*(each.called for each in wires)),
    )


# --- each switched off ----------------------------------------------------------------------------


def stretched(names: Mapping[str, str]) -> Durations:
    """Return durations of which these are longer ("above") or shorter ("below") than any."""

    def other(value: Any, way: str) -> Spread:
        if way == "above":
            return Spread(*(value.most * FACTOR + 30,) * 3)
        return Spread(*(value.least / FACTOR,) * 3)

    played = Durations()
    changes: Any = {name: other(getattr(played, name), way) for name, way in names.items()}
    return dataclasses.replace(played, **changes)


Row = dict[str, Any]


# Durations that are drawn in a life, and that no run can show.
NOT_SHOWN = {
    "target_policy_seen": "only a repaired role or secret waits for it",
    "secret_name_freed": "a life takes no name a second time",
    "interface_available": "the product deletes the interface as soon as Lambda lets go of it",
    "id_visible below": "shorter than the time from a call to the next",
    "vpc_pending below": "shorter than the time from a call to the next",
    "minor_upgrade_begins": "days later, when no run is at work",
    "instance_modify_lag below": "nothing is shorter than no time",
    "function_update below": "shorter than the time from a call to the next",
    "role_assumable below": "a role is refused once at least, however short it is",
}


def all_durations(known: References) -> dict[str, Row]:
    """Return what is recorded of each duration: all longer in one life, all shorter in another.

    They do not hide each other: each is named by itself. One that is not named has a life alone.
    """
    rows: dict[str, Row] = {}
    for way in ("above", "below"):
        names = [each for each, spread in vars(Durations()).items() if isinstance(spread, Spread)]
        shown = []
        for name in names:
            why = NOT_SHOWN.get(name) or NOT_SHOWN.get(f"{name} {way}", "")
            if why or name not in known.drawn:
                never = "never drawn in a life"
                rows[f"durations.{name} {way}"] = {"shown": False, "why": why or never}
            else:
                shown.append(name)
        together = lived(*POLLS[way], durations=stretched(dict.fromkeys(shown, way)))
        for name in shown:
            named = about_duration(name, together) or about_duration(
                name, lived(*POLLS[way], durations=stretched({name: way}))
            )
            rows[f"durations.{name} {way}"] = row(True, named)
    return rows


def about_duration(name: str, life: Life) -> list[Difference]:
    """Return the differences that are about a duration."""
    return [each for each in life.found if each.sort == "duration" and each.what == name]


def alone(name: str) -> Life:
    """Play a life without one behaviour of the registry."""
    group, _, rest = name.partition(".")
    if group == "durations":
        duration, way = rest.split()
        return lived(*POLLS[way], durations=stretched({duration: way}))
    if group == "behaviours":
        flag: Any = {rest: False}
        return lived(**flag)
    return lived(without=frozenset({name}))


def judged(name: str, known: References) -> Row:
    """Return whether a run must show a behaviour, and a report names it."""
    duration = name.removeprefix("durations.")
    if why := NOT_SHOWN.get(duration) or NOT_SHOWN.get(duration.partition(" ")[0]):
        return {"shown": False, "why": why}
    if ":" in name and name not in known.called:
        return {"shown": False, "why": "no life makes the call"}
    without = alone(name)
    shown = bool(known.changed(without.wire)) or name.startswith("durations.")
    return row(shown, without.found)


def row(shown: bool, named: Sequence[Difference]) -> Row:
    """Return what is recorded of a behaviour."""
    if not shown:
        return {"shown": False, "why": "nothing but values changes"}
    about = f"{named[0].sort}: {named[0].where}: {named[0].what}" if named else ""
    return {"shown": True, "named": bool(named), "as": about}


def share(rows: Mapping[str, Row]) -> float:
    """Return the share of the behaviours that a run must show which a report names."""
    shown = [each for each in rows.values() if each["shown"]]
    return float(sum(each["named"] for each in shown) / len(shown))


def recorded() -> dict[str, Row]:
    """Return what was recorded of each behaviour."""
    document: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    rows: dict[str, Row] = document["behaviours"]
    return rows


def main(argv: list[str]) -> int:
    """Play a life without each behaviour (or those named), and record it. Returns 0 for enough."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    known = references()
    durations = all_durations(known) if not argv else {}
    rows = recorded() if argv else {}
    for name in argv or registry():
        rows[name] = durations[name] if name in durations else judged(name, known)
        print(name, rows[name], flush=True)
    rows = {name: rows[name] for name in registry() if name in rows}
    record = {"shown": sum(each["shown"] for each in rows.values()), "behaviours": rows}
    FIGURES.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"named: {share(rows):.1%} of those that a run must show")
    return int(share(rows) < LEAST_SHARE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
