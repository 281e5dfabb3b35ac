"""What the rehearsal plays, as records of rehearsed runs show it: rehearsed.json.

`make rehearsed` plays lifecycles with many seeds, and writes the file from their records, which are
those of any run (tests/field/). Durations are not in it: those are `Durations`, from which they
are drawn.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from provision.aws.observation.document import Run

FILE = Path(__file__).with_name("rehearsed.json")
CREATES = ("ec2:CreateVpc", "rds:CreateDBInstance")
DELETES = ("ec2:DeleteVpc", "rds:DeleteDBInstance")
BEFORE = " > "  # between a status and the next


@cache
def rehearsed() -> Mapping[str, Any]:
    """Return what was recorded of the rehearsal."""
    known: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return known


def profile(run: Run) -> str:
    """Return what a run did as a whole: "create" or "delete" all of it, or ""."""
    if not run["ok"]:
        return ""
    for name, calls in (("create", CREATES), ("delete", DELETES)):
        if all(call in run["accepted"] for call in calls):
            return name
    return ""


def episodes(run: Run) -> Iterator[tuple[str, str, list[str]]]:
    """Yield kind, trigger and statuses of each episode that has some."""
    for thing in run["things"]:
        for episode in thing["episodes"]:
            if statuses := [each[0] for each in episode["statuses"]]:
                yield thing["kind"], episode["trigger"], statuses


def steps(statuses: list[str]) -> list[str]:
    """Return each status with the next."""
    return [BEFORE.join(pair) for pair in itertools.pairwise(statuses)]
