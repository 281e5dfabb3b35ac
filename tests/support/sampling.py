"""A pytest plugin: a run takes a sample of every sweep, another one each day.

A sweep is a module's tests that cost seconds each and are many, or one test with many parameters.
To make one, mark the module, or the test:

    pytestmark = pytest.mark.sweep

Where a module has quick ones, too, `pytest.mark.sweep(of="module")` makes its slow ones one sweep.

A sweep of many tests that differ little takes a part of that share, and one of few tests several
times it: `pytest.mark.sweep(part=0.1)`, `pytest.mark.sweep(part=5)`.

A run takes `--sweeps` of them: a share from 0 to 1 (but at least one of each sweep), or `all`. One
that is named on the command line is always taken. Which ones a share takes depends on the seed
alone; pytest-randomly orders the tests by the same one. The seed is the date (UTC) unless
`--randomly-seed` sets another. A run that fails prints the commands that repeat it.
"""

from __future__ import annotations

import argparse
import datetime
import random
import shlex
from itertools import groupby
from typing import Any

import pytest

DEFAULT_SHARE = 0.0
LEAST = 1  # test of each sweep
MARK = "sweep"


def share(text: str) -> float:
    """Return the share that an option asks for."""
    if text == "all":
        return 1.0
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a share from 0 to 1 nor `all`")
    return number


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--sweeps`."""
    parser.addoption(
        "--sweeps", metavar="SHARE", type=share, default=DEFAULT_SHARE,
        help="the share of each sweep to run, or `all` (default: one test of each)",
    )  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set the seed of the day where no other is wanted."""
    config.addinivalue_line(
        "markers", f"{MARK}: takes seconds, and is one of many: a run takes a sample"
    )
    if config.option.randomly_seed == "default" and not hasattr(config, "workerinput"):
        config.option.randomly_seed = int(f"{datetime.datetime.now(datetime.UTC):%Y%m%d}")


def pytest_report_header(config: pytest.Config) -> str:
    """Say what is sampled."""
    share, seed = config.option.sweeps, config.option.randomly_seed
    return f"sweeps: {share:.0%} of each one's tests, at least {LEAST}, chosen by the seed {seed}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the sample. Sweeps are slow tests too."""
    sweeps = [item for item in items if item.get_closest_marker(MARK)]
    for item in sweeps:
        item.add_marker("slow")
    taken = {argument.partition("::")[2] for argument in config.args}
    asked = config.option.sweeps
    for sweep, tests in groupby(sorted(sweeps, key=sweep_of), key=sweep_of):
        cases = {item.nodeid: part_of(item) for item in tests}
        part = asked if asked == 1 else asked * next(iter(cases.values()))
        taken |= sample(sorted(cases), part, f"{config.option.randomly_seed} {sweep}")
    left_out = [
        item for item in sweeps if not taken & {item.nodeid, item.nodeid.partition("::")[2]}
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        left = set(left_out)
        items[:] = [item for item in items if item not in left]


def sweep_of(item: pytest.Item) -> str:
    """Return the sweep of a test: the test without its parameters, or its file, as is marked."""
    own = any(mark.name == MARK and "of" not in mark.kwargs for mark in item.own_markers)
    return item.nodeid.partition("[" if own else "::")[0]


def part_of(item: pytest.Item) -> float:
    """Return the part of a share that a sweep takes."""
    marker = item.get_closest_marker(MARK)
    return float(marker.kwargs.get("part", 1.0)) if marker else 1.0


def sample(tests: list[str], part: float, seed: str) -> set[str]:
    """Return a share of the tests, and at least `LEAST`: the same ones for the same seed."""
    size = min(len(tests), max(LEAST, round(len(tests) * part)))
    return set(random.Random(seed).sample(tests, size))  # noqa: S311 - no secret


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how a run that failed is repeated."""
    failed = [
        report.nodeid
        for outcome in ("failed", "error")
        for report in terminalreporter.stats.get(outcome, ())
        if getattr(report, "nodeid", None)
    ]
    if not failed:
        return
    seed = f"--randomly-seed={config.option.randomly_seed}"
    given = [each for each in config.invocation_params.args if "--randomly-seed" not in each]
    again = shlex.join(["python", "-m", "pytest", *map(str, given), seed])
    alone = shlex.join(["python", "-m", "pytest", seed, *dict.fromkeys(failed)])
    terminalreporter.section("repeat")
    terminalreporter.write_line(f"the same tests:   {again}")
    terminalreporter.write_line(f"only the failed:  {alone}")
