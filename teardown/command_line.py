"""`python -m teardown`: deletes the environment, and proves that nothing of it is left."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from provision.cli.completion import offer
from provision.cli.options import refuse_without_config
from provision.cli.parser import COMMON, DRY_RUN, EXPLAIN, flag, group, parser, snapshot_name
from provision.cli.process import Job
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.cli.options import Options
    from provision.engine.events import Display, Summary

DESCRIPTION = """\
Deletes everything that `python -m provision up` created, starting with what
costs money. Finds it by the state, tags and names. Waits until it is deleted,
then searches AWS, kind by kind, for anything that is left.
"""
EXAMPLES = """\
examples:
  python -m teardown --plan               what would be deleted (read-only)
  python -m teardown                      delete it, after asking
  python -m teardown --yes                does not ask
  python -m teardown --final-snapshot bye keep the data in a snapshot
  python -m teardown --dry-run            rehearse `up`, then this: no AWS
  python -m teardown --expired --yes      delete every expired environment

exit codes:
  0 nothing is left             2 bad usage or configuration, nothing changed
  1 failed at AWS, locked,      130 interrupted, state saved
    or something is left
"""
FLAGS = (
    flag("--yes", "do not ask first"),
    flag("--plan", "show what would be deleted; read-only"),
    flag("--expired",
         "delete every expired environment of the account and region (environment.expires_after), "
         "found by tags alone"),
    flag("--final-snapshot NAME", type=snapshot_name,
         words="keep the data in a DB snapshot of this name (its storage is billed)"),
    EXPLAIN,
    group("rehearsal", *DRY_RUN),
    COMMON,
)  # fmt: skip


def prepare() -> Job:
    """Return the job that the arguments ask for. Raises UsageError."""
    top = parser("python -m teardown", DESCRIPTION, EXAMPLES, *FLAGS)
    offer(top)
    arguments = top.parse_args(sys.argv[1:])
    arguments.title = "teardown"
    return Job(arguments, work)


def work(options: Options, output: Display, arguments: argparse.Namespace) -> tuple[Summary, int]:
    """Do what the flags say. Returns the summary and the exit code."""
    from provision.commands import dry_run
    from teardown.command import teardown, teardown_plan

    if arguments.plan and (arguments.dry_run or arguments.final_snapshot):
        raise UsageError("--plan cannot be combined with --dry-run or --final-snapshot")
    if arguments.expired:
        return expired(options, output, arguments), 0
    if arguments.dry_run:
        from teardown.rehearsal import up_and_down

        return up_and_down(options, output, arguments), 0
    dry_run.refuse_flags_without_dry_run(arguments)
    refuse_without_config(options)
    if arguments.plan:
        return teardown_plan(options, output, explain=arguments.explain), 0
    settings = {"yes": arguments.yes, "explain": arguments.explain}
    return teardown(options, output, final_snapshot=arguments.final_snapshot or "", **settings), 0


def expired(options: Options, output: Display, arguments: argparse.Namespace) -> Summary:
    """`teardown --expired`. Returns the summary. Raises UsageError for a bad flag."""
    from provision.commands import dry_run
    from teardown.expired import teardown_expired

    for name in ("dry_run", "final_snapshot", "explain", "state"):
        if getattr(arguments, name):
            raise UsageError(
                f"--{name.replace('_', '-')} cannot be combined with --expired",
                next_step="Leave one of them out.",
            )
    dry_run.refuse_flags_without_dry_run(arguments)
    return teardown_expired(options, output, yes=arguments.yes, plan=arguments.plan)
