"""A record that is safe to publish, built from what is allowed in it and from nothing else.

Every text of it is the name of an operation or of a member in botocore's models, a region that
botocore knows, a status or an error code made of known words, or a word of the vocabulary
(masking.py); all else in it is numbers. A field that is none of these is not copied.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from provision.aws.observation.document import COMMANDS, Run
from provision.aws.observation.masking import MASK, masked, masked_name
from provision.aws.observation.observer import NEW
from provision.aws.observation.things import GONE, KINDS
from provision.verify.field.rehearsed import rehearsed

SERVICES = (
    *("apigatewayv2", "ec2", "iam", "lambda", "logs", "pricing", "rds", "s3", "secretsmanager"),
    "sts",
)
EMPTY = "(empty)"
_OWN = frozenset({"", GONE, NEW, EMPTY, MASK})
_KINDS = frozenset(kind.name for kind in KINDS)
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,2}")  # three parts at most: no address
_PATH = re.compile(r"[A-Za-z0-9]{1,80}(\.[A-Za-z0-9]{1,80}){0,11}")


def public(run: Run) -> dict[str, Any]:
    """Return the record of a run as it may be shown. `run` has the form that `check` checks."""
    return {
        "command": run["command"] if run["command"] in COMMANDS else COMMANDS[0],
        "ok": run["ok"] if run["ok"] in (True, False) else None,
        "speed": number(run["speed"]),
        "region": region(run["region"]),
        "seconds": number(run["seconds"]),
        "calls": calls(run["calls"]),
        "accepted": {
            call: [number(each) for each in at]
            for call, at in run["accepted"].items()
            if known_call(call)
        },
        "refusals": [refusal(each) for each in run["refusals"] if known_call(each["call"])],
        "things": [thing(each) for each in run["things"] if each["kind"] in _KINDS],
        "orders": [
            [call, kind, status(was), number(count)]
            for call, kind, was, count in run["orders"]
            if known_call(call) and kind in _KINDS
        ],
        "members": {
            call: {
                status(was): known_members(call, paths) for was, paths in by_status.items()
            }
            for call, by_status in run["members"].items()
            if known_call(call)
        },
    }  # fmt: skip


def number(value: Any) -> Any:
    """Return a number with at most two places."""
    return value if isinstance(value, int) else round(float(value), 2)


def region(name: str) -> str:
    """Return a region that botocore knows, else a mask."""
    return name if name in known_regions() else MASK


def version(text: str) -> str:
    """Return a version, else a mask."""
    return text if _VERSION.fullmatch(text) else MASK


def calls(counted: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return the counts of calls; codes that look alike once masked are counted together."""
    found: dict[str, dict[str, int]] = {}
    for call, counts in counted.items():
        if known_call(call):
            together: Counter[str] = Counter()
            for each, count in counts.items():
                together[code(call, each)] += count
            found[call] = dict(together)
    return found


def refusal(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a refusal as it may be shown."""
    times = {name: number(row[name]) for name in ("count", "first", "last")}
    accepted = None if row["accepted"] is None else number(row["accepted"])
    return {
        "call": row["call"],
        "code": code(row["call"], row["code"]),
        "words": masked(row["words"]),
        **times,
        "accepted": accepted,
    }


def thing(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a thing went through as it may be shown."""
    episodes = [
        {
            "trigger": each["trigger"] if known_call(each["trigger"]) else "",
            "at": number(each["at"]),
            "statuses": [[status(was), *map(number, times)] for was, *times in each["statuses"]],
        }
        for each in row["episodes"]
    ]
    return {"kind": row["kind"], "number": number(row["number"]), "episodes": episodes}


def status(text: str) -> str:
    """Return a status: one that the rehearsal plays as it is, another one by its known words."""
    return text if text in _OWN or text in played_statuses() else masked_name(text)


def code(call: str, text: str) -> str:
    """Return an error code: a known one as it is, another one by its known words."""
    known = not text or text in modelled_codes(call.partition(":")[0])
    return text if known else masked_name(text)


# --- what is known --------------------------------------------------------------------------------


@cache
def _session() -> Any:
    import botocore.session

    from provision.aws.service_models import Models

    session = botocore.session.Session()
    loader = Models(session.get_component("data_loader").search_paths)
    session.register_component("data_loader", loader)
    return session


@cache
def _model(service: str) -> Any:
    return _session().get_service_model(service)


@cache
def known_call(call: str) -> bool:
    """Return whether a call is an operation of a service that this program uses."""
    service, _, operation = call.partition(":")
    return service in SERVICES and operation in _model(service).operation_names


@cache
def known_regions() -> frozenset[str]:
    """Return every region that botocore knows, of every partition."""
    session = _session()
    return frozenset(
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("ec2", partition, allow_non_regional=False)
    )


@cache
def modelled_codes(service: str) -> frozenset[str]:
    """Return the error codes that botocore's model or the rehearsal has for a service."""
    found = set(rehearsed()["codes"].get(service, ()))
    for call, by_code in rehearsed()["refusals"].items():
        if call.startswith(f"{service}:"):
            found.update(by_code)
    if service in SERVICES:
        for shape in _model(service).error_shapes:
            found |= {shape.name, shape.error_code}
    return frozenset(found)


@cache
def played_statuses() -> frozenset[str]:
    """Return every status that the rehearsal plays."""
    return frozenset(
        name
        for by_trigger in rehearsed()["statuses"].values()
        for row in by_trigger.values()
        for names in row["statuses"].values()
        for name in names
    )


def known_members(call: str, paths: Iterable[str]) -> list[str]:
    """Return the paths that the call's answer has in botocore's model."""
    service, _, operation = call.partition(":")
    shape = _model(service).operation_model(operation).output_shape
    return [path for path in paths if _PATH.fullmatch(path) and _has(shape, path)]


def _has(shape: Any, path: str) -> bool:
    for name in path.split("."):
        while shape is not None and shape.type_name == "list":
            shape = shape.member
        if shape is None or shape.type_name != "structure" or name not in shape.members:
            return False
        shape = shape.members[name]
    return True
