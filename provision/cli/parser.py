"""Flags that both programs share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from provision.cli.version import ShowVersion
from provision.errors import UsageError, shown
from provision.views.spelling import spelled

ENVIRONMENT = """
environment variables:
  AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...   as boto3 takes them
  NO_COLOR=1                 no colours on a terminal
  GITHUB_STEP_SUMMARY=FILE   append a summary in Markdown
"""
MOST_SECONDS = 1e6
MOST_COUNTED = 10_000


class Parser(argparse.ArgumentParser):
    """argparse, with our own error for bad usage, and our commands spelled as they were typed."""

    def format_help(self) -> str:
        return spelled(super().format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, next_step=f"`{self.prog} --help` shows the usage.")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._command(getattr(parsed, "title", "")).refuse(unknown[0])
        return parsed

    def _command(self, name: str) -> Parser:
        """Return the parser of a command; without one of this name, the program's."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and name in action.choices:
                return cast(Parser, action.choices[name])
        return self

    def refuse(self, unknown: str) -> NoReturn:
        """Raise UsageError for an unknown argument, with the nearest flag."""
        flag = unknown.partition("=")[0]
        if not flag.startswith("-"):
            self.error(f"{self.prog} takes no argument {shown(flag)}")
        flags = [name for name in self._option_string_actions if name.startswith("--")]
        self.error(f"{self.prog} has no flag {shown(flag)}{nearest(flag, flags)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = [str(each) for each in action.choices or ()]
        if not choices or value in choices:
            return
        what = "/".join(action.option_strings)
        about = f"{what} {shown(value)}" if what else f"no command {shown(value)}"
        known = ", ".join(choices)
        self.error(f"{about}: must be one of {known}{nearest(str(value), choices)}")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help whose text keeps its line breaks, with room for the flags beside what they do."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


Flag = Callable[[argparse._ActionsContainer], object]


def flag(spec: str, words: str, **settings: Any) -> Flag:
    """Return what adds a flag to a parser: `--since MINUTES`; or `--yes`, which is on or off.

    `words` are its help, `settings` those of argparse.
    """
    names, _, metavar = spec.partition(" ")
    kind: dict[str, Any] = {"metavar": metavar} if metavar else {"action": "store_true"}
    return lambda to: to.add_argument(*names.split(","), help=words, **kind, **settings)


def group(title: str, *flags: Flag) -> Flag:
    """Return what adds flags under a title of their own."""

    def add(to: argparse._ActionsContainer) -> None:
        under = to.add_argument_group(title)
        for each in flags:
            each(under)

    return add


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the known word that was probably meant, as the end of a sentence; or ""."""
    import difflib

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def parser(prog: str, description: str, epilog: str, *flags: Flag) -> Parser:
    """Return a parser whose help keeps its line breaks."""
    made = Parser(
        prog=prog,
        description=description,
        epilog=epilog + ENVIRONMENT,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action=ShowVersion, nargs=0, help="show the version and exit")
    made.set_defaults(rehearsal=False)
    for add in flags:
        add(made)
    return made


def state_place(text: str) -> str:
    """Return a place for a state."""
    from provision.config.checks import state_location

    expected = state_location(text) if text else "a path or s3://BUCKET/KEY"
    if expected:
        raise argparse.ArgumentTypeError(f"{text!r}: must be {expected}")
    return text


def snapshot_name(text: str) -> str:
    """Return a name for a DB snapshot as RDS stores it: in lower case."""
    from provision.config import checks

    if expected := checks.snapshot_name(text):
        raise argparse.ArgumentTypeError(f"{text!r}: must be {expected}")
    return text.lower()


def extension(text: str) -> str:
    """Return the length of time until an environment expires, or "never"."""
    from provision.config.length import LENGTHS, length_of

    if text != "never" and length_of(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r}: must be never or {LENGTHS}")
    return text


def positive(text: str) -> float:
    """Return a number above 0."""
    plain = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}", text)
    number = float(text) if plain else 0.0
    if not 0 < number < MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def seed(text: str) -> int:
    """Return a whole number, 0 or more."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number from 1 to 10000."""
    if not (re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= MOST_COUNTED):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


# --- flags that several commands take -------------------------------------------------------------

REHEARSAL = flag(
    "--rehearsal",
    "use the rehearsal that `up --dry-run --serve` keeps running, never AWS",
    default=argparse.SUPPRESS,  # it may stand before a command, which then must not undo it
)
COMMON = group(
    "flags of every command",
    flag("--config PATH", "the configuration (default: config.toml)", type=Path),
    flag("--state PATH", type=state_place,
         words="where the state is kept, a path or s3://BUCKET/KEY (default: state.location, or "
         "else .provision/NAME.json)"),
    flag("--set KEY=VALUE", action="append", default=[], dest="overrides",
         words="override one key of the configuration, e.g. database.name=shop; repeatable"),
    flag("--output KIND", choices=("auto", "rich", "plain", "json"), default="auto",
         words="rich: a live table; plain: lines; json: a JSON object a line; auto (default): rich "
         "on a terminal, else plain"),
    flag("--profile NAME", "the AWS profile (default: boto3's own)"),
    flag("--region NAME", "overrides environment.region"),
    REHEARSAL,
    flag("-v,--verbose", "show every step, and each AWS call without its parameters"),
)  # fmt: skip
DRY_RUN = (
    flag("--dry-run", "rehearse on this machine: no AWS, no credentials, nothing kept"),
    flag("--speed N", "with --dry-run: N times faster than AWS (default: 1000)", type=positive),
    flag("--seed N", type=seed,
         words="with --dry-run: the seed of random choices such as durations; each run shows its "
         "seed (default: a new one)"),
    flag("--rehearse-db HOST:PORT",
         "with --dry-run: a MySQL or MariaDB server behind the proxies (default: SQLite)"),
)  # fmt: skip
EXPLAIN = flag(
    "--explain",
    "show for each step the equivalent AWS CLI command, and AWS's page about the call",
)


def json_asked_for(arguments: Sequence[str]) -> bool:
    """Return whether `--output json` is among arguments that are wrong otherwise."""
    only = Parser(add_help=False, allow_abbrev=False)
    only.add_argument("--output")
    try:
        known, _ = only.parse_known_args(arguments)
    except UsageError:
        return False
    return bool(known.output == "json")
