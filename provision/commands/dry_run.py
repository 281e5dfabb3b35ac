"""`--dry-run`: the same commands against a rehearsed AWS on this machine; nothing stays of it."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from provision.cli.options import Options, configuration
from provision.context import opened
from provision.engine.events import Display, Summary
from provision.errors import UsageError

SPEED = 300.0  # how many times faster than AWS, when nothing else is asked for


@contextlib.contextmanager
def rehearsed(
    options: Options,
    output: Display,
    *,
    speed: float | None = None,
    seed: int | None = None,
    database: str | None = None,
) -> Iterator[Options]:
    """Rehearse AWS for the block. Yields the options to work with there.

    `speed` is how many times faster than AWS (default SPEED); `seed` is what chance is drawn by
    (default a new one); `database` a server behind the proxies, as HOST:PORT (default SQLite).

    The caller's credentials, profile, endpoints and state file are left out of it. Raises
    UsageError when the packages of a rehearsal are not installed.
    """
    speed = speed or SPEED
    config = configuration(replace(options, profile=None))
    try:
        from provision.rehearsal import Behaviours, Rehearsal, new_seed
        from provision.rehearsal.data_plane.data_plane import checked_database
    except ImportError as error:
        raise UsageError(
            f"--dry-run needs packages that are not installed ({error.name})",
            next_step="Install them: pip install -e '.[rehearsal]'",
        ) from None
    try:
        checked_database(database)
    except ValueError as error:
        raise UsageError(
            f"--rehearse-db {database}: {error}",
            next_step="For example: --rehearse-db 127.0.0.1:3306; without it SQLite is used.",
        ) from None
    seed = new_seed() if seed is None else seed
    with (
        tempfile.TemporaryDirectory(prefix="rehearsal-") as folder,
        Rehearsal(
            Behaviours(speed=speed, seed=seed), region=config.environment.region, database=database
        ) as rehearsal,
        rehearsal.applied(),
    ):
        output.note(
            f"rehearsal on this machine: no AWS, no bill; {speed:g} times faster than AWS; "
            f"--seed {seed}"
        )
        output.note(f"rehearsal: {rehearsal.protection}")
        state = str(Path(folder) / "state.json")
        yield replace(options, profile=None, state=state, speed=speed)


def flags_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the flags say of the rehearsal."""
    flags = {"speed": arguments.speed, "seed": arguments.seed}
    return {**flags, "database": arguments.rehearse_db}


def refuse_flags_without_dry_run(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a flag that means something only in a rehearsal."""
    for flag in ("serve", "speed", "seed", "rehearse_db"):
        value = getattr(arguments, flag, None)
        if value is not None and value is not False:
            raise UsageError(
                f"--{flag.replace('_', '-')} goes with --dry-run",
                next_step="Add --dry-run, or leave it out.",
            )


def up(
    options: Options, output: Display, arguments: argparse.Namespace, settings: Mapping[str, Any]
) -> Summary:
    """`up --dry-run`: rehearse `up`; with `--serve`, stay until Ctrl-C. Returns the summary."""
    from provision.commands.up import bring_up

    with (
        rehearsed(options, output, **flags_of(arguments)) as inner,
        opened(inner, "up --dry-run", output) as run,
    ):
        summary = bring_up(run, **settings, yes=True)
        if arguments.serve:
            output.summary(summary)
            output.note("serving until Ctrl-C")
            inner.stop.wait()
            inner.stop.clear()
        return replace(
            summary,
            notes=(),
            lasting=False,
            next_commands=[
                ("python -m provision plan", "what a real `up` would do (reads only)"),
                ("python -m provision up", "build it at AWS"),
            ],
        )
