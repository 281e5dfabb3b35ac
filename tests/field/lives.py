"""Whole lives of an environment in simulated time at AWS's own speed, and their records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

from provision.rehearsal import Behaviours, Durations, Rehearsal, Remote
from tests.support.built import commands_at
from tests.support.commands import Commands
from tests.support.simulated_time import simulated_time

NAME = "demo"
POLLS = ("--set", "wait.timeout_minutes=240")
SPARSE = ("--set", "wait.poll_seconds=30")
CHANGE = ("--set", "function.memory_mib=512", "--set", "database.instance_class=db.t4g.small")

Prepare = Callable[[Rehearsal], AbstractContextManager[None]]


def life(
    folder: Path,
    seed: int,
    *flags: str,
    change: tuple[str, ...] = CHANGE,
    durations: Durations | None = None,
    prepare: Prepare = lambda _: nullcontext(),
    **behaviours: Any,
) -> tuple[Commands, list[dict[str, Any]]]:
    """Play up, a change and teardown; return the commands and the record of each run.

    A command that fails ends nothing: what AWS did until then is recorded too. `prepare` is given
    the rehearsal, and its context lasts as long as the life.
    """
    played = Behaviours(**{"seed": seed, "speed": 1.0, "throttling": False, **behaviours})
    with (
        simulated_time(),
        Rehearsal(played, data_plane=False, durations=durations) as rehearsal,
        prepare(rehearsal),
    ):
        commands = commands_at(cast(Remote, rehearsal), folder, name=NAME)
        given = (*POLLS, *SPARSE, *flags)
        commands.up(*given)
        if change:
            commands.up(*given, *change)
        commands.teardown(*given, *(flag for flag in change if flag != "--reset-password"))
        return commands, list(records(commands))


def records(commands: Commands, name: str = NAME) -> Iterator[dict[str, Any]]:
    """Yield the record of each run, the oldest first."""
    folder = commands.folder / ".provision" / f"{name}.observed"
    for path in sorted(folder.glob("*.json"), key=lambda each: each.stat().st_mtime_ns):
        yield json.loads(path.read_text())["run"]
