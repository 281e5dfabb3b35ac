"""The figures of the sweeps, printed when all is done: what was swept, and what was found."""

from __future__ import annotations

from collections import Counter
from typing import Any

NAME = "swept"
KILLS = ("kill-before", "kill-after")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was swept."""
    figures: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, value in report.user_properties:
                    figures.update(value if name == NAME else {})
    if not figures:
        return
    kills = sum(figures[kind] for kind in KILLS)
    others = {
        kind: count
        for kind, count in sorted(figures.items())
        if kind not in (*KILLS, "scenarios", "copies", "leftovers")
    }
    told = ", ".join(f"{count} {kind}" for kind, count in others.items())
    terminalreporter.section("sweeps")
    terminalreporter.write_line(
        f"{kills} calls killed at ({figures['kill-before']} before they took effect, "
        f"{figures['kill-after']} after), {sum(others.values())} other faults ({told})"
    )
    terminalreporter.write_line(
        f"{figures['lives']} inventories: {figures['copies']} copies found, "
        f"{figures['leftovers']} leftovers"
    )
