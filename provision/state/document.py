"""The state file: what this program created, and what it was about to do.

A JSON document, in a file or in S3. It holds identities and no secret: no password, token or secret
value is ever put into it. Here is what it says and whether that is sound; nothing is read or
written.

    {"version": 1, "serial": 7, "environment": "demo", "account": "…", "region": "…",
     "steps": {"vpc": {"phase": "ready", "outputs": {"id": "vpc-…"}, "since": "2026-11-24T…Z"}},
     "runs": [...]}

`phase` is what was last begun or done: creating (requested; may exist), made (exists; its
outputs known), ready, updating, deleting. CONTRIBUTING.md has the whole format.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provision.errors import StateError, shown

VERSION = 1
TIME = "%Y-%m-%dT%H:%M:%SZ"
MOST_SECONDS = 1e9  # of a run: thirty years
RUNS_KEPT = 20
CREATING, MADE, READY, UPDATING, DELETING = "creating", "made", "ready", "updating", "deleting"
PHASES = (CREATING, MADE, READY, UPDATING, DELETING)


@dataclass
class StepState:
    """What is recorded of one step's resource."""

    phase: str
    outputs: dict[str, str] = field(default_factory=dict)
    since: str = ""


def now() -> str:
    """Return the time in UTC, as the file writes it."""
    return datetime.datetime.now(datetime.UTC).strftime(TIME)


def serialise(document: Mapping[str, Any]) -> str:
    """Return a document as text, with a line for each step and each run.

    Not by `indent`, which takes json's slow encoder: this is written again at each change.
    """
    members = {"version": VERSION, **document}
    lines = (f" {json.dumps(name)}: {_by_line(value)}" for name, value in members.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _by_line(value: Any) -> str:
    if isinstance(value, Mapping) and value:
        lines = [f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n }"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
    return json.dumps(value)


def parse(text: str, where: str) -> dict[str, Any]:
    """Return the document of a text that was read at `where`. Raises StateError for a bad one."""
    keep = (
        "It was left as it is. Restore it from a copy, or move it away: then everything is found "
        "again at AWS by its tags and names."
    )
    try:
        document = json.loads(text, parse_float=finite, parse_constant=finite)
    except RecursionError:
        raise StateError(f"{where}: nested too deep", next_step=keep) from None
    except ValueError as error:
        raise StateError(f"{where}: cut off or not JSON ({error})", next_step=keep) from error
    if not isinstance(document, dict) or "version" not in document:
        raise StateError(f"{where}: not a state file of this program", next_step=keep)
    if type(document["version"]) is not int or document["version"] != VERSION:
        raise StateError(
            f"{where}: version {shown(document['version'])}; this program knows version {VERSION}",
            next_step="Use the program that wrote it, or a newer one. The file was left as it is.",
        )
    if problem := malformed(document):
        raise StateError(f"{where}: {problem}", next_step=keep)
    return document


def finite(text: str) -> float:
    """Return a number of JSON. Raises ValueError for one that is none, or infinite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a number")
    return number


def moment(text: str) -> datetime.datetime | None:
    """Return the time that now() wrote, or None for what is none."""
    try:
        return datetime.datetime.strptime(text, TIME).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def refuse_another(document: Mapping[str, Any], where: str, **ours: str) -> None:
    """Raise StateError for the state of another environment, account or region."""
    for key, our in ours.items():
        if document[key] != our and document["steps"]:
            raise StateError(
                f"{where}: the state of {key} {document[key]!r}, but this run is for {our!r}",
                next_step="Name this environment's own state file with --state, or use the "
                "credentials and configuration that the file was written with.",
            )


def malformed(document: Mapping[str, Any]) -> str:
    """Return what is wrong with a document of our version, or ""."""
    kinds = {"serial": int, "environment": str, "account": str, "region": str, "steps": dict}
    for key, kind in kinds.items():
        if not isinstance(document.get(key), kind) or isinstance(document.get(key), bool):
            return f"{key!r} is missing or not of the right type"
    for name, step in document["steps"].items():
        good = (
            isinstance(step, dict)
            and set(step) <= {"phase", "outputs", "since"}
            and step.get("phase") in PHASES
            and isinstance(step.get("outputs"), dict)
            and all(isinstance(text, str) for text in step["outputs"].values())
            and isinstance(step.get("since", ""), str)
        )
        if not good:
            return f"step {name!r} is malformed"
    runs = document.get("runs", [])
    if not (isinstance(runs, list) and all(map(sound_run, runs))):
        return "'runs' is malformed"
    return ""


def sound_number(number: Any) -> bool:
    """Return whether a run can have taken so many seconds."""
    good = isinstance(number, int | float) and not isinstance(number, bool)
    return good and 0 <= number <= MOST_SECONDS


def sound_run(run: Any) -> bool:
    """Return whether the record of a run has the form that history.py gives it."""
    match run:
        case {
            "command": str(),
            "began": str(),
            "seconds": seconds,
            "ok": bool() | None,
            "steps": dict() as steps,
        } if sound_number(seconds) and isinstance(run.get("expires", ""), str):
            return all(map(sound_step, steps.values()))
    return False


def sound_step(step: Any) -> bool:
    """Return whether a step of such a record has its form."""
    match step:
        case {"began": began, "doing": str(), "statuses": list() as told} if sound_number(began):
            good = all(map(sound_status, told))
        case _:
            return False
    match step:
        case {"action": str(), "ended": ended} if sound_number(ended):
            return good
    return good and not {"action", "ended"} & step.keys()


def sound_status(told: Any) -> bool:
    """Return whether what was reported of a step is (when, status, reason)."""
    match told:
        case [when, str(), str()]:
            return sound_number(when)
    return False
