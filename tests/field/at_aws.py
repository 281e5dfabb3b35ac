"""`make test-aws`: the whole life of an environment on a real account, and a report of it.

Says first what it costs, how long it takes, and on which account and in which region; asks; runs
the commands that a user would run, each as a process of its own; tears down in the end, whatever
happened; writes test-aws-report.json. Never part of `make test`.

    make test-aws ARGS="--region eu-west-1 --profile dev"
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

from provision.aws.account import Aws, make_session
from provision.cli.options import Options
from provision.config import Config
from provision.engine.graph import created_before, deleted_before
from provision.environment import environment
from provision.errors import ProvisionError
from provision.pricing.table import LEAST_INSTANCE_HOURS, dollars, estimate
from provision.resources.base import CreatableResource, DeletableResource, Resource
from provision.resources.durations import Duration

AGREED = "PROVISION_TEST_AWS"  # an environment variable: "yes" is asked nobody
FOLDER = Path(".test-aws")
REPORT = "test-aws-report.json"
CONFIG = """\
[environment]
name = "rds-proxy-auth-test"
expires_after = "4h"
"""
CHANGE = ("--set", "function.memory_mib=512", "--set", "proxy.idle_client_timeout_seconds=60")
STEPS: tuple[tuple[str, ...], ...] = (
    ("provision", "up", "--yes"),
    ("provision", "check"),
    ("provision", "compare", "--requests", "20"),
    ("provision", "up", "--yes", *CHANGE),
)
TEARDOWN = ("teardown", "--yes", *CHANGE)
CHECKS_SECONDS = 180.0  # of the checks, the change and the commands' own work
INTERRUPTED, REFUSED = 130, 2


def main(argv: Sequence[str]) -> int:
    """Run the life. Returns 0 when all of it went well, 1 when not, 2 when it was not begun."""
    arguments = parsed(argv)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "config.toml").write_text(CONFIG, encoding="utf-8")
    try:
        about = facts(arguments)
    except ProvisionError as error:
        say(f"error: {error.message}", f"next: {error.next_step}")
        return error.exit_code
    say(*about)
    return life(flags_of(arguments)) if agreed() else REFUSED


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser("make test-aws", description=__doc__)
    parser.add_argument("--region")
    parser.add_argument("--profile")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    return parser.parse_args(argv)


def flags_of(arguments: argparse.Namespace) -> list[str]:
    """Return the flags that every command gets."""
    flags = [f"--set={each}" for each in arguments.overrides]
    given = {"--region": arguments.region, "--profile": arguments.profile}
    return flags + [part for flag, text in given.items() if text for part in (flag, text)]


# --- before it begins -----------------------------------------------------------------------------


def facts(arguments: argparse.Namespace) -> Iterator[str]:
    """Return account, region, cost and time in lines. Raises ProvisionError."""
    options = Options(
        config=FOLDER / "config.toml", overrides=tuple(arguments.overrides),
        profile=arguments.profile, region=arguments.region,
    )  # fmt: skip
    config = options.configuration
    session = make_session(options.profile, config.environment.region)
    with closing(Aws(session, environment=config.environment.name)) as aws:
        who = aws.identity
    usual, slow = minutes(config)
    return iter(
        [
            f"account {who.account} ({who.arn}), region {config.environment.region}",
            f"environment {config.environment.name}: up, check, compare, a change, teardown",
            f"takes about {usual:.0f} minutes, {slow:.0f} when AWS is slow",
            cost(config, usual, slow),
            f"folder {FOLDER}/ keeps its state; the report will be {REPORT}",
        ]
    )


def cost(config: Config, usual: float, slow: float) -> str:
    """Return in a line what so many minutes cost."""
    what = estimate(config)
    if what.per_hour is None:
        return f"cost unknown: the price table has none for {what.region}"
    least = Decimal(LEAST_INSTANCE_HOURS)
    bounds = [what.per_hour * max(least, Decimal(each) / 60) for each in (usual, slow)]
    doubt = "" if what.verified else " (prices partly unverified)"
    return f"costs about {dollars(bounds[0])}, {dollars(bounds[1])} when AWS is slow{doubt}"


def minutes(config: Config) -> tuple[float, float]:
    """Return how long it takes typically and when AWS is slow: the longest chains of both ways."""
    template = list(environment(config, packed=False))
    made = [each for each in template if isinstance(each, CreatableResource)]
    gone = [each for each in template if isinstance(each, DeletableResource)]
    found = []
    for part in (1, 2):  # typically, slow
        up = chain(made, created_before, lambda each: each.creation, part)
        down = chain(
            gone, lambda each: deleted_before(each, gone), lambda each: each.deletion, part
        )
        found.append((up + down + CHECKS_SECONDS) / 60)
    return found[0], found[1]


def chain(
    resources: Sequence[Resource],
    before: Callable[[Any], Iterable[str]],
    takes: Callable[[Any], Duration],
    part: int,
) -> float:
    """Return the seconds of the longest chain, each step as soon as those before it have ended."""
    by_step: Mapping[str, Resource] = {each.step: each for each in resources}

    @functools.cache
    def ended(step: str) -> float:
        began = max((ended(each) for each in before(by_step[step]) if each in by_step), default=0.0)
        return began + takes(by_step[step])[part]

    return max(map(ended, by_step))


def agreed() -> bool:
    """Return whether somebody agrees: who types yes on a terminal, or who set the variable."""
    if os.environ.get(AGREED) == "yes":
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(
            "refused: this costs money, and there is no terminal to ask on",
            f"next: set {AGREED}=yes to run it all the same",
        )
        return False
    print("Run it? Type yes to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() == "yes":
        return True
    say("cancelled: nothing was called that changes anything")
    return False


# --- the life -------------------------------------------------------------------------------------


def life(flags: Sequence[str]) -> int:
    """Run every step, tear down whatever happened, and write the report. Returns the exit code."""
    with interrupts() as interrupted:
        codes: list[int] = []
        try:
            for step in STEPS:
                if interrupted:
                    break
                codes.append(run(step, flags))
                if codes[-1]:
                    say(f"this failed with exit code {codes[-1]}; what was made is deleted now")
                    break
        finally:
            left = run(TEARDOWN, flags)
        run(("provision", "report", "--out", str(Path("..") / REPORT)), flags)
    if left:
        command = " ".join(["python -m", *TEARDOWN, *flags])
        say(
            f"NOT ALL IS DELETED (teardown ended with {left}), and it may cost money.",
            f"what is left: cd {FOLDER} && python -m teardown --plan {' '.join(flags)}".rstrip(),
            f"to remove it: cd {FOLDER} && {command}",
            "it expires by itself nowhere: `python -m teardown --expired` deletes it after 4 hours",
        )
        return 1
    say("nothing is left of it", f"report: {REPORT}")
    return INTERRUPTED if interrupted else int(any(codes))


def run(step: Sequence[str], flags: Sequence[str]) -> int:
    """Run a command as a user would. Returns its exit code; Ctrl-C is the command's to obey."""
    program, *arguments = step
    command = [sys.executable, "-m", program, *arguments, *flags]
    say("", f"$ python -m {' '.join([program, *arguments, *flags])}")
    root = str(Path(__file__).resolve().parents[2])
    environ = os.environ | {"PYTHONPATH": root}
    with subprocess.Popen(command, cwd=FOLDER, env=environ) as process:
        return process.wait()


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Note Ctrl-C and SIGTERM instead of ending: the teardown comes first. Yields what came."""
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        say("stopping: what was made is deleted first")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(*lines: str) -> None:
    """Print lines for a person."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
