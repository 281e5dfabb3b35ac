"""`python -m teardown --dry-run`: rehearses `up`, and then the teardown of what it created."""

from __future__ import annotations

import argparse
from dataclasses import replace

from provision.cli.options import Options
from provision.commands.dry_run import flags_of, rehearsed
from provision.commands.up import bring_up
from provision.context import opened
from provision.engine.events import Display, Summary
from teardown.command import show_calls, take_down

AFTERWARDS = (
    ("python -m provision up --dry-run --serve", "look around: make playground"),
    ("python -m provision plan", "what `up` would do in your account"),
    ("python -m provision up", "build it on AWS"),
)


def up_and_down(options: Options, output: Display, arguments: argparse.Namespace) -> Summary:
    """Rehearse `up`, then the teardown. Returns the teardown's summary."""
    snapshot = arguments.final_snapshot or ""
    with (
        rehearsed(options, output, **flags_of(arguments)) as (inner, _),
        opened(inner, "up --dry-run", output, final_snapshot=snapshot) as run,
    ):
        made = bring_up(run, yes=True)
        output.summary(replace(made, notes=(), next_commands=(), lasting=False))
        down = run.then("teardown --dry-run")
        down.start()
        seen = down.look()
        if arguments.explain:
            show_calls(down, seen)
        return replace(
            take_down(down, seen, final_snapshot=snapshot),
            next_commands=AFTERWARDS,
        )
