"""The figures of the sweeps: what was swept, and what was found.

They are printed when all is done, and `--figures FILE` writes them, so that the documents can show
them (docs/write_figures.py). Only a run without a failure is recorded: of all
sweeps, or of all seeds (`pytest -m sweep --sweeps all tests/sweeps/test_seeds.py --figures FILE`).
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from docs.write_figures import sweeps as sentence

NAME = "swept"
DRAWN = "drawn"  # how long each command of a drawn life took, and on what


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--figures`."""
    parser.addoption("--figures", metavar="FILE", type=Path, help="record the sweeps' figures")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what was swept, and record it."""
    swept: Counter[str] = Counter()
    drawn: list[Mapping[str, Any]] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, value in report.user_properties:
                    if name == NAME:
                        swept.update({**value, "scenarios": 1})
                    elif name == DRAWN:
                        drawn.append(value)
    if not swept:
        return
    figures = document(swept, drawn)
    terminalreporter.section("sweeps")
    terminalreporter.write_line(sentence(figures))
    failed = terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")
    if config.option.figures and not failed:
        record(config, figures)


def record(config: pytest.Config, figures: Mapping[str, Any]) -> None:
    """Write the figures of all sweeps, or what a run of all seeds drew beside the others."""
    file: Path = config.option.figures
    if whole(config):
        file.write_text(json.dumps(figures, indent=1) + "\n")
    elif "drawn" in figures and config.option.sweeps == 1 and not config.option.keyword:
        before = json.loads(file.read_text())
        file.write_text(json.dumps({**before, "drawn": figures["drawn"]}, indent=1) + "\n")


def whole(config: pytest.Config) -> bool:
    """Return whether a run takes all of the sweeps."""
    everywhere = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return everywhere and config.option.sweeps == 1 and not config.option.keyword


def document(swept: Counter[str], drawn: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return what is recorded: how many scenarios, inventories, faults of each kind, finds.

    And of the lives that were drawn by a seed, how long AWS took.
    """
    found = ("scenarios", "inventories", "copies", "leftovers")
    faults = {kind: count for kind, count in sorted(swept.items()) if kind not in found}
    figures = {**{name: swept[name] for name in found}, "faults": faults}
    return {**figures, "drawn": spread(drawn)} if drawn else figures


def spread(drawn: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the spread of AWS's seconds by command, and what its longest chain was spent on."""
    commands: dict[str, Any] = {}
    for command in drawn[0]:
        seconds = [each[command]["seconds"] for each in drawn]
        chains = Counter(each[command]["chain"] for each in drawn)
        commands[command] = {
            "least": round(min(seconds)),
            "median": round(statistics.median(seconds)),
            "most": round(max(seconds)),
            "chains": dict(chains.most_common()),
        }
    return {"seeds": len(drawn), **commands}
