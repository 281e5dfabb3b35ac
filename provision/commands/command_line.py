"""`python -m provision`: builds the environment, and shows that it works."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from provision.cli.completion import completes, offer
from provision.cli.options import refuse_without_config
from provision.cli.parser import (
    COMMON,
    DRY_RUN,
    EXPLAIN,
    REHEARSAL,
    Flag,
    HelpFormatter,
    extension,
    flag,
    group,
    parser,
    positive,
    whole,
)
from provision.cli.process import CHANGES_FOUND, Job

if TYPE_CHECKING:
    from provision.cli.options import Options
    from provision.engine.events import Display, Summary

    Work: TypeAlias = Callable[[Options, Display, argparse.Namespace], tuple[Summary, int]]

DESCRIPTION = """\
Builds an environment in which Lambda reaches MySQL through two RDS Proxies,
one with password login and one with IAM login, and proves that both work.
Uses boto3 and no IaC tool. `python -m teardown` deletes everything again.
"""
EXAMPLES = """\
examples:
  python -m provision up --dry-run        rehearse it on this machine: no AWS
  python -m provision init                write config.toml with the defaults
  python -m provision plan                what `up` would do in your account
  python -m provision up                  build it (10 minutes), try both logins
  python -m provision up --set environment.name=demo --region eu-west-1
  python -m provision up --extend 8h      let it expire 8 hours from now
  python -m provision status              what exists, and what it costs
  python -m provision list --all-regions  every environment of the account
  python -m provision timeline            what the last run did and when
  python -m provision timeline --html page.html --live
  python -m provision doctor              what AWS would refuse, what is broken
  python -m provision logs --follow       what both functions log, until Ctrl-C
  python -m provision compare             measure both logins
  python -m provision report --out report.json    what AWS did, safe to publish

exit codes:
  0 done                        2 bad usage or configuration, nothing changed
  1 failed at AWS, locked,      3 `plan --exit-code` found something to do
    or a check failed           130 interrupted, state saved
"""


def prepare() -> Job:
    """Return the job that the arguments ask for. Raises UsageError."""
    arguments = arguments_of(sys.argv[1:])
    return Job(arguments, arguments.work, reads_config=arguments.title != "init")


def arguments_of(argv: list[str]) -> argparse.Namespace:
    """Return the parsed arguments, with `work` to be called. Raises UsageError."""
    named = next((word for word in argv if not word.startswith("-")), "")
    top = parser("python -m provision", DESCRIPTION, EXAMPLES, REHEARSAL)
    commands = top.add_subparsers(metavar="COMMAND", required=True, title="commands")
    only_one = argv[:1] == [named] and not completes()  # of no use are the others then
    wanted = [each for each in COMMANDS if each[0] == named] if only_one else []
    for name, words, work, *flags in wanted or COMMANDS:
        command = commands.add_parser(
            name, help=words, description=words, allow_abbrev=False, epilog=examples_of(name),
            formatter_class=HelpFormatter, usage=f"{top.prog} {name} [FLAGS]",
        )  # fmt: skip
        for add in (*flags, COMMON):
            add(command)
        command.set_defaults(work=work, title=name)
    offer(top)
    if not argv:
        top.print_help()
        top.exit()
    arguments: argparse.Namespace = top.parse_args(argv)
    return arguments


def examples_of(command: str) -> str:
    """Return the examples of one command."""
    lines = [line for line in EXAMPLES.splitlines() if f"provision {command}" in line]
    return "\n".join(["examples:", *lines]) if lines else ""


# --- what carries a command out -------------------------------------------------------------------


def calling(name: str, *settings: str, function: str = "") -> Work:
    """Return the function of a command's own module, which is imported when it is called.

    `settings` are the flags that its function takes by keyword; `function` is another name of it.
    """

    def work(
        options: Options, output: Display, arguments: argparse.Namespace
    ) -> tuple[Summary, int]:
        module = importlib.import_module(f"provision.commands.{name}")
        chosen = {each: getattr(arguments, each) for each in settings}
        return getattr(module, function or name)(options, output, **chosen), 0

    return work


def up(options: Options, output: Display, arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision up`."""
    from provision.commands import dry_run
    from provision.commands.up import up as make

    settings = {
        "check": not arguments.no_check,
        "preflight": not arguments.no_preflight,
        "replace": arguments.replace,
        "reset_password": arguments.reset_password,
        "explain": arguments.explain,
        "extend": arguments.extend or "",
    }
    if arguments.dry_run:
        return dry_run.up(options, output, arguments, settings), 0
    dry_run.refuse_flags_without_dry_run(arguments)
    refuse_without_config(options)
    return make(options, output, **settings, yes=arguments.yes), 0


def plan(options: Options, output: Display, arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision plan`."""
    from provision.commands.plan import plan as look

    settings = {"replace": arguments.replace, "explain": arguments.explain}
    summary, to_do = look(options, output, **settings, prices=arguments.prices)
    return summary, CHANGES_FOUND if to_do and arguments.exit_code else 0


# --- the commands and their flags -----------------------------------------------------------------


REPLACE = flag(
    "--replace STEP", action="append", default=[],
    words="replace a step's resource, e.g. db-instance (its data is lost); repeatable",
)  # fmt: skip
PRICES = flag(
    "--prices {table,live}", choices=("table", "live"), default="table",
    words="this program's dated table (default), or AWS's current price list",
)  # fmt: skip
# A command's name, what its help says, what carries it out, and the flags that it takes.
COMMANDS: Sequence[tuple[str, str, Work, *tuple[Flag, ...]]] = (
    ("init", "write config.toml: every default, with comments", calling("init")),
    (
        "up", "make AWS match config.toml, then prove that both logins work", up,
        flag("--no-check", "do not call the two routes at the end"),
        flag("--no-preflight",
             "continue even if the checks of account and region find that AWS will refuse"),
        REPLACE,
        flag("--reset-password",
             "write a new password to the secret, the DB instance and the function"),
        flag("--yes", "do not ask before creating anything that costs money"),
        flag("--extend LENGTH", type=extension,
             words="move the expiry to this long from now, e.g. 8h; `never` removes it"),
        EXPLAIN,
        group("rehearsal", *DRY_RUN,
              flag("--serve", "with --dry-run: keep it running until Ctrl-C, both routes on a "
                   "loopback URL")),
    ),
    (
        "plan", "what `up` would do in your account; read-only", plan,
        flag("--exit-code", "exit with 3 when there is something to do"),
        REPLACE, EXPLAIN, PRICES,
    ),
    (
        "status", "each resource as AWS has it now, drift, URLs, cost; read-only",
        calling("status", "prices"), PRICES,
    ),
    (
        "list", "every environment in the account and region, with expiry and cost; read-only",
        calling("list", "all_regions", function="list_environments"),
        flag("--all-regions", "all enabled regions of the account"),
    ),
    ("check", "call both routes; show for each whether and how it logged in", calling("check")),
    (
        "doctor", "check account, region and each link from client to database; read-only",
        calling("doctor"),
    ),
    (
        "logs", "what both functions logged, by request; read-only",
        calling("logs", "since_minutes", "follow"),
        flag("--since MINUTES", type=positive, default=10.0, dest="since_minutes",
             words="how many minutes to look back (default: 10)"),
        flag("--follow", "continue until Ctrl-C"),
    ),
    (
        "compare", "call both routes many times, and compare the two logins",
        calling("compare", "requests"),
        flag("--requests N", type=whole, default=50,
             words="calls to each route (default: 50); each stores a row"),
    ),
    (
        "timeline", "what a run did and when, as bars; works offline",
        calling("timeline", "run_number", "html", "live"),
        flag("--run N", type=int, dest="run_number",
             words="the Nth run, counted from the newest (default: 1)"),
        flag("--html FILE", type=Path,
             words="write an HTML page instead: the environment as a diagram, and the run"),
        flag("--live", "with --html: ids and states as AWS has them now; read-only"),
    ),
    (
        "report", "how AWS differed from the rehearsal in the last runs; works offline",
        calling("report", "out", "compare"),
        flag("--out FILE", type=Path,
             words="also write what AWS did to a file that is safe to publish: it has no "
             "account, id, name, address or secret"),
        flag("--compare FILE", type=Path,
             words="compare the runs in such a file instead of those recorded here"),
    ),
    (
        "policy", "the IAM policies that the caller needs; works offline",
        calling("policy", "number"),
        flag("--document N", type=int, dest="number",
             words="print only the Nth document, counted from 1 (default: all, as a JSON array)"),
    ),
)  # fmt: skip
