"""`python -m provision`: builds the environment, and shows that it works."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from provision.cli.completion import offer
from provision.cli.options import refuse_without_config
from provision.cli.parser import (
    HelpFormatter,
    add_common_flags,
    add_dry_run_flags,
    add_explain_flag,
    add_rehearsal_flag,
    extension,
    parser,
    positive,
    whole,
)
from provision.cli.process import CHANGES_FOUND, Job

if TYPE_CHECKING:
    from provision.cli.options import Options
    from provision.engine.events import Display, Summary

DESCRIPTION = """\
Builds, without any IaC tool, an environment in which Lambda reaches MySQL
through two RDS Proxies: one takes a password, the other takes IAM. Shows that
both work. `python -m teardown` deletes it.
"""
EXAMPLES = """\
examples:
  python -m provision up --dry-run        rehearse it on this machine: no AWS
  python -m provision init                write config.toml with the defaults
  python -m provision plan                what `up` would do on the real account
  python -m provision up                  build it (10 minutes), and call it
  python -m provision up --set environment.name=demo --region eu-west-1
  python -m provision up --extend 8h      let it live 8 hours from now
  python -m provision status              what exists, and what it costs
  python -m provision list --all-regions  every environment of the account
  python -m provision timeline            what the last run did and when
  python -m provision timeline --html page.html --live
  python -m provision doctor              what is in the way, what is broken
  python -m provision logs --follow       what both functions log, until Ctrl-C
  python -m provision compare             both logins in figures

exit codes:
  0 done                        2 bad usage or configuration, nothing changed
  1 failed at AWS, locked,      3 `plan --exit-code` found something to do
    or a check failed           130 interrupted, state saved
"""


def prepare() -> Job:
    """Return the job that the arguments ask for. Raises UsageError."""
    arguments = arguments_of(sys.argv[1:])
    return Job(arguments, arguments.work, reads_config=arguments.work is not init)


def arguments_of(argv: list[str]) -> argparse.Namespace:
    """Return the parsed arguments, with `work` to be called. Raises UsageError."""
    top = parser("python -m provision", DESCRIPTION, EXAMPLES)
    add_rehearsal_flag(top)
    commands = top.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for name, words, add_flags, work in COMMANDS:
        command = commands.add_parser(
            name, help=words, description=words, allow_abbrev=False, epilog=examples_of(name),
            formatter_class=HelpFormatter, usage=f"{top.prog} {name} [FLAGS]",
        )  # fmt: skip
        add_flags(command)
        add_common_flags(command)
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


# --- up -------------------------------------------------------------------------------------------


def up_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of `up`."""
    to.add_argument("--no-check", action="store_true", help="do not call the two routes at the end")
    to.add_argument(
        "--no-preflight", action="store_true",
        help="continue even when the checks of account and region say that AWS will refuse",
    )  # fmt: skip
    replace_flag(to)
    to.add_argument(
        "--reset-password", action="store_true",
        help="write a new password to the secret, the DB instance and the function",
    )  # fmt: skip
    to.add_argument(
        "--yes", action="store_true",
        help="do not ask before creating what costs money (on a terminal)",
    )  # fmt: skip
    to.add_argument(
        "--extend", metavar="LENGTH", type=extension,
        help="move the expiry to this long from now, e.g. 8h; `never` removes it",
    )  # fmt: skip
    add_explain_flag(to)
    add_dry_run_flags(to).add_argument(
        "--serve", action="store_true",
        help="with --dry-run: keep it running until Ctrl-C, both routes on a loopback URL",
    )  # fmt: skip


def replace_flag(to: argparse.ArgumentParser) -> None:
    """Add `--replace`."""
    to.add_argument(
        "--replace", metavar="STEP", action="append", default=[],
        help="replace a step's resource, e.g. db-instance (its data is lost); repeatable",
    )  # fmt: skip


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


# --- plan, status, check --------------------------------------------------------------------------


def plan_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of `plan`."""
    to.add_argument(
        "--exit-code", action="store_true", help="exit with 3 when there is something to do"
    )
    replace_flag(to)
    add_explain_flag(to)
    prices_flag(to)


def plan(options: Options, output: Display, arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision plan`."""
    from provision.commands.plan import plan as show

    summary, to_do = show(
        options,
        output,
        replace=arguments.replace,
        explain=arguments.explain,
        live=arguments.prices == "live",
    )
    return summary, CHANGES_FOUND if to_do and arguments.exit_code else 0


def prices_flag(to: argparse.ArgumentParser) -> None:
    """Add `--prices`."""
    to.add_argument(
        "--prices", choices=("table", "live"), default="table",
        help="from this program's dated table (default), or from AWS's price list now",
    )  # fmt: skip


def no_flags(to: argparse.ArgumentParser) -> None:
    """Add nothing: the command has the common flags only."""


def status(options: Options, output: Display, arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision status`."""
    from provision.commands.status import status as show

    return show(options, output, live=arguments.prices == "live"), 0


def check(options: Options, output: Display, _arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision check`."""
    from provision.commands.check import check as prove

    return prove(options, output), 0


def doctor(
    options: Options, output: Display, _arguments: argparse.Namespace
) -> tuple[Summary, int]:
    """`provision doctor`."""
    from provision.commands.doctor import doctor as examine

    return examine(options, output), 0


def list_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of `list`."""
    to.add_argument("--all-regions", action="store_true", help="in every region of the account")


def list_environments(
    options: Options, output: Display, arguments: argparse.Namespace
) -> tuple[Summary, int]:
    """`provision list`."""
    from provision.commands.list import list_environments as show

    return show(options, output, all_regions=arguments.all_regions), 0


# --- logs, compare --------------------------------------------------------------------------------


def logs_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of `logs`."""
    to.add_argument(
        "--since", metavar="MINUTES", type=positive, default=10.0,
        help="how far to look back (default: 10)",
    )  # fmt: skip
    to.add_argument("--follow", action="store_true", help="continue until Ctrl-C")


def logs(options: Options, output: Display, arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision logs`."""
    from provision.commands.logs import logs as show

    return show(options, output, since_minutes=arguments.since, follow=arguments.follow), 0


def compare_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of `compare`."""
    to.add_argument(
        "--requests", metavar="N", type=whole, default=50,
        help="calls of each route (default: 50); each stores a row",
    )  # fmt: skip


def compare(
    options: Options, output: Display, arguments: argparse.Namespace
) -> tuple[Summary, int]:
    """`provision compare`."""
    from provision.commands.compare import compare as measure

    return measure(options, output, requests=arguments.requests), 0


# --- timeline ------------------------------------------------------------------------------------


def timeline_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of `timeline`."""
    to.add_argument(
        "--run", metavar="N", type=int, dest="run_number",
        help="the Nth run, counted from the newest (default: 1)",
    )  # fmt: skip
    to.add_argument(
        "--html", metavar="FILE", type=Path,
        help="write an HTML page instead: the environment as a diagram, and the run",
    )  # fmt: skip
    to.add_argument(
        "--live", action="store_true",
        help="with --html: ids and states as AWS has them now; reads only",
    )  # fmt: skip


def timeline(
    options: Options, output: Display, arguments: argparse.Namespace
) -> tuple[Summary, int]:
    """`provision timeline`."""
    from provision.commands.timeline import timeline as show

    settings = {"run_number": arguments.run_number, "html": arguments.html, "live": arguments.live}
    return show(options, output, **settings), 0


# --- policy ---------------------------------------------------------------------------------------


def policy_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of `policy`."""
    to.add_argument(
        "--document", metavar="N", type=int, dest="number",
        help="one of several documents, counted from 1 (default: all, as a JSON array)",
    )  # fmt: skip


def policy(options: Options, output: Display, arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision policy`."""
    from provision.commands.policy import policy as show

    return show(options, output, number=arguments.number), 0


# --- init -----------------------------------------------------------------------------------------


def init(options: Options, output: Display, _arguments: argparse.Namespace) -> tuple[Summary, int]:
    """`provision init`."""
    from provision.commands.init import init as write

    return write(options, output), 0


COMMANDS = (
    ("init", "write config.toml with every default and what it means", no_flags, init),
    ("up", "make AWS match config.toml, then prove that both logins work", up_flags, up),
    ("plan", "what `up` would do on the real account; reads only", plan_flags, plan),
    (
        "status",
        "each resource as AWS has it now, drift, URLs, cost; reads only",
        prices_flag,
        status,
    ),
    (
        "list",
        "every environment in the account and region, with expiry and cost; reads only",
        list_flags,
        list_environments,
    ),
    ("check", "call both routes; show for each whether and how it logged in", no_flags, check),
    (
        "doctor",
        "account, region and each link of the chain, good or bad; reads only",
        no_flags,
        doctor,
    ),
    ("logs", "what both functions have logged, by request; reads only", logs_flags, logs),
    ("compare", "call both routes many times: the two logins in figures", compare_flags, compare),
    ("timeline", "what a run did and when, as bars; needs no AWS", timeline_flags, timeline),
    ("policy", "the IAM policies that the caller needs; calls nothing", policy_flags, policy),
)
