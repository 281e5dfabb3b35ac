"""A command as a process: signals, streams, exit codes.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from provision.cli.clean_environ import start_clean
from provision.cli.memory import one_heap, stop_collecting
from provision.cli.options import Options, Stop
from provision.cli.parser import json_asked_for
from provision.cli.streams import finish, make_usable
from provision.errors import Declined, ProvisionError, UsageError
from provision.views.spelling import lead_to_rehearsal

if TYPE_CHECKING:
    from provision.engine.events import Display, Summary

CHANGES_FOUND = 3
INTERRUPTED = 130


@dataclass
class Job:
    """A command that is ready to run, with its parsed arguments."""

    arguments: argparse.Namespace
    work: Callable[[Options, Display, argparse.Namespace], tuple[Summary, int]]
    reads_config: bool = True


def execute(prepare: Callable[[], Job], command: str) -> int:
    """Run a command and return its exit code. No error ends in a traceback."""
    began = time.monotonic()
    stop = Stop()
    lead_to_rehearsal(False)
    output: Display | None = None
    try:
        job = prepare()
        command = job.arguments.title
        output = make_output(
            job.arguments.output,
            verbose=job.arguments.verbose,
            brief=getattr(job.arguments, "dry_run", False),
        )
        if "GITHUB_STEP_SUMMARY" in os.environ:
            from provision.views.github_summary import with_step_summary

            output = with_step_summary(output)
        options = make_options(job.arguments, stop)
        with reaching(options, job.arguments) as options, stopping_on_signals(stop, output):
            if job.reads_config:
                _ = options.configuration  # a bad value is refused before anything slow is imported
            summary, code = job.work(options, output, job.arguments)
        output.summary(summary)
        return code
    except ProvisionError as error:
        return report(error, output, command, time.monotonic() - began)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:  # before anything was begun
        return INTERRUPTED
    except Exception as error:
        from provision.cli.unforeseen import unforeseen

        verbose = not {"-v", "--verbose"}.isdisjoint(sys.argv[1:])
        found = unforeseen(error, verbose=verbose)
        return report(found, output, command, time.monotonic() - began)
    finally:
        if output is not None:
            output.close()


@contextlib.contextmanager
def reaching(options: Options, arguments: argparse.Namespace) -> Iterator[Options]:
    """Let the block reach what the flags say: with `--rehearsal` the running one, else AWS.

    Yields the options to use. Raises UsageError if no rehearsal is running.
    """
    if not arguments.rehearsal:
        yield options
        return
    from provision.cli.playground import joined

    if getattr(arguments, "dry_run", False):
        raise UsageError(
            "--rehearsal cannot be combined with --dry-run",
            next_step="--dry-run starts a rehearsal of its own; --rehearsal uses the one that is "
            "already running.",
        )
    with joined(options) as inner:
        lead_to_rehearsal(True)
        yield inner


def report(error: ProvisionError, output: Display | None, command: str, seconds: float) -> int:
    """Report an error and how the command ended. Returns the exit code."""
    from provision.engine.events import Summary

    if output is None:
        output = make_output("json" if json_asked_for(sys.argv[1:]) else "plain")
    if isinstance(error, Declined):  # an answer, and no error
        output.note(error.message)
        output.summary(Summary(command, ok=False, seconds=seconds, error=error, silent=True))
        return error.exit_code
    output.error(error)
    if isinstance(error.summary, Summary):
        output.summary(error.summary)
    else:
        refused = isinstance(error, UsageError)  # before anything began: the error says it all
        output.summary(Summary(command, ok=False, seconds=seconds, error=error, silent=refused))
    return error.exit_code


def make_output(name: str, *, verbose: bool = False, brief: bool = False) -> Display:
    """Return the display that `--output` chooses. `brief`: a few lines a run, unless `verbose`."""
    if name == "auto":
        name = "rich" if sys.stderr.isatty() and not os.environ.get("CI") else "plain"
    if name == "json":
        from provision.views.json_lines import JsonLines

        return JsonLines()
    if name == "rich":
        from provision.views.live import Live

        return Live(verbose=verbose, brief=brief)
    from provision.views.plain import Plain

    return Plain(verbose=verbose, brief=brief)


def make_options(arguments: argparse.Namespace, stop: Stop) -> Options:
    """Return the options from the common flags."""
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

    No garbage is collected before the command asks for it (memory.py), and the interpreter is not
    torn down: both would take longer than the work of a second `up`.
    """
    if "--dry-run" in sys.argv[1:]:
        start_clean()
    one_heap()
    stop_collecting()
    make_usable()
    try:
        code = main()
    except SystemExit as ended:  # --help, --version
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    os._exit(finish(code))


@contextlib.contextmanager
def stopping_on_signals(stop: Stop, output: Display) -> Iterator[None]:
    """Let Ctrl-C or SIGTERM stop the block in good order; a second Ctrl-C stops it at once.

    The state file is correct either way: it is replaced as a whole, before and after each call.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        stop.set()
        if stop.expected:
            return
        words = (
            "stopping: nothing new is started, calls under way are recorded; "
            "Ctrl-C again stops at once"
        )
        # Shown from a thread: the main thread may hold the output's lock at this very moment.
        threading.Thread(target=output.note, args=(words,)).start()

    before: dict[signal.Signals, Any] = {}
    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            before[each] = signal.signal(each, handle)
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
