"""Flags, exit codes, signals: what both commands share.

Exit codes: 0 done; 1 failed at AWS, locked, or a check failed; 2 bad usage or configuration, and
nothing was changed; 3 `plan --exit-code` found something to do; 130 interrupted, state saved.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from provision.cli.memory import one_heap, stop_collecting
from provision.cli.options import Options, configuration
from provision.cli.version import ShowVersion
from provision.errors import ProvisionError, UsageError

if TYPE_CHECKING:
    from provision.engine.events import Display, Summary

ENVIRONMENT = """
environment variables:
  AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...   as boto3 takes them
  NO_COLOR=1                 no colours on a terminal
  GITHUB_STEP_SUMMARY=FILE   append a summary in Markdown (GitHub Actions sets it)
"""
MOST_SECONDS = 1e6
MOST_COUNTED = 10_000

CHANGES_FOUND = 3
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """argparse, with our own error for bad usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, next_step=f"`{self.prog} --help` shows what there is.")


@dataclass
class Job:
    """A command, ready to run: what `main` of both programs makes of the arguments."""

    arguments: argparse.Namespace
    work: Callable[[Options, Display, argparse.Namespace], tuple[Summary, int]]
    reads_config: bool = True


def parser(prog: str, description: str, epilog: str) -> Parser:
    """Return a parser whose help keeps its line breaks."""
    made = Parser(
        prog=prog,
        description=description,
        epilog=epilog + ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action=ShowVersion, nargs=0, help="show the version, and exit")
    return made


def add_common_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags that every command takes."""
    group = to.add_argument_group("flags of every command")
    group.add_argument(
        "--config", metavar="PATH", type=Path,
        help="the configuration (default: config.toml)",
    )  # fmt: skip
    group.add_argument(
        "--state", metavar="PATH", type=state_place,
        help="where the state is kept, a path or s3://BUCKET/KEY (default: state.location, or else "
        ".provision/NAME.json)",
    )  # fmt: skip
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="overrides",
        help="override one key of the configuration, e.g. database.name=shop; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--output", choices=("auto", "rich", "plain", "json"), default="auto",
        help="auto: a live table on a terminal, lines elsewhere (default)",
    )  # fmt: skip
    group.add_argument("--profile", metavar="NAME", help="the AWS profile (default: boto3's own)")
    group.add_argument("--region", metavar="NAME", help="overrides environment.region")
    group.add_argument(
        "-v", "--verbose", action="store_true",
        help="show each AWS call, without its parameters, on stderr",
    )  # fmt: skip


def add_dry_run_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of a rehearsal."""
    to.add_argument(
        "--dry-run", action="store_true",
        help="rehearse on this machine: no AWS, no credentials, nothing kept",
    )  # fmt: skip
    to.add_argument(
        "--speed", type=positive, metavar="N",
        help="of the rehearsal: N times faster than AWS (default: 300)",
    )  # fmt: skip
    to.add_argument(
        "--seed", type=seed, metavar="N",
        help="of the rehearsal: draw what is left to chance, durations above all, as another run "
        "with this seed did (default: a new one, which is shown)",
    )  # fmt: skip
    to.add_argument(
        "--rehearse-db", metavar="HOST:PORT",
        help="of the rehearsal: a MySQL or MariaDB server behind the proxies (default: SQLite)",
    )  # fmt: skip


def add_explain_flag(to: argparse.ArgumentParser) -> None:
    """Add `--explain`."""
    to.add_argument(
        "--explain", action="store_true",
        help="show for each step the AWS CLI line that would do the same, and AWS's page about it",
    )  # fmt: skip


def state_place(text: str) -> str:
    """Return a place for a state."""
    from provision.config.checks import state_location

    expected = state_location(text) if text else "a path or s3://BUCKET/KEY"
    if expected:
        raise argparse.ArgumentTypeError(f"{text!r}: must be {expected}")
    return text


def positive(text: str) -> float:
    """Return a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def seed(text: str) -> int:
    """Return a whole number, 0 or more."""
    if not (text.isdecimal() and text.isascii()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number from 1 to 10000."""
    if not (text.isdecimal() and 1 <= int(text) <= MOST_COUNTED):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


def execute(prepare: Callable[[], Job], command: str) -> int:
    """Run a command from arguments to exit code. Nothing escapes as a traceback but a bug."""
    began = time.monotonic()
    stop = threading.Event()
    output: Display | None = None
    try:
        job = prepare()
        command = job.arguments.title
        output = make_output(job.arguments.output)
        if "GITHUB_STEP_SUMMARY" in os.environ:
            from provision.views.github_summary import with_step_summary

            output = with_step_summary(output)
        options = make_options(job.arguments, stop)
        if job.reads_config:
            configuration(options)  # a bad value is told before anything slow is imported
        with stopping_on_signals(stop, output):
            summary, code = job.work(options, output, job.arguments)
        output.summary(summary)
        return code
    except ProvisionError as error:
        return report(error, output, command, time.monotonic() - began)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        if output is not None:
            output.close()


def report(error: ProvisionError, output: Display | None, command: str, seconds: float) -> int:
    """Tell an error and how the command ended. Returns the exit code."""
    from provision.engine.events import Summary

    if output is None:
        output = make_output("json" if json_asked_for(sys.argv[1:]) else "plain")
    output.error(error)
    if isinstance(error.summary, Summary):
        output.summary(error.summary)
    else:
        output.summary(Summary(command, ok=False, seconds=seconds, error=error))
    return error.exit_code


def json_asked_for(arguments: Sequence[str]) -> bool:
    """Return whether `--output json` is among arguments that are wrong otherwise."""
    only = Parser(add_help=False, allow_abbrev=False)
    only.add_argument("--output")
    try:
        known, _ = only.parse_known_args(arguments)
    except UsageError:
        return False
    return bool(known.output == "json")


def make_output(name: str) -> Display:
    """Return the output of `--output`."""
    if name == "auto":
        name = "rich" if sys.stderr.isatty() and not os.environ.get("CI") else "plain"
    if name == "json":
        from provision.views.json_lines import JsonLines

        return JsonLines()
    if name == "rich":
        from provision.views.live import Live

        return Live()
    from provision.views.plain import Plain

    return Plain()


def make_options(arguments: argparse.Namespace, stop: threading.Event) -> Options:
    """Return what the common flags say."""
    return Options(
        config=arguments.config,
        state=arguments.state,
        overrides=tuple(arguments.overrides),
        profile=arguments.profile,
        region=arguments.region,
        stop=stop,
        call_log=print_call if arguments.verbose else None,
    )


def print_call(service: str, operation: str, outcome: str, seconds: float) -> None:
    """Print one AWS call, for `-v`."""
    from provision.views.visible import printable

    line = printable(f"aws {service} {operation}: {outcome} ({seconds:.2f} s)")
    print(line, file=sys.stderr, flush=True)


def be_a_process(main: Callable[[], int]) -> NoReturn:
    """Run `main` as all that this process does, and end it at once with main's exit code.

    No garbage is collected before the command asks for it (heap.py), and the interpreter is not
    torn down: both would take longer than the work of a second `up`.
    """
    one_heap()
    stop_collecting()
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


class stopping_on_signals:  # noqa: N801 - used as a statement: `with stopping_on_signals(...)`
    """Ctrl-C or SIGTERM stops the run in good order; a second Ctrl-C stops it at once.

    The state file is true either way: it is replaced as a whole, before and after each call.
    """

    def __init__(self, stop: threading.Event, output: Display) -> None:
        self._stop = stop
        self._output = output
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set() and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        self._stop.set()
        # Told from a thread: the main thread may hold the output's lock at this very moment.
        threading.Thread(
            target=self._output.note,
            args=("stopping: nothing new is started, calls under way are recorded; "
                  "Ctrl-C again stops at once",),
        ).start()  # fmt: skip
