"""Writes recorded figures into the documents.

A command that measures something (`make sweeps`, `make bench`) records it in
docs/figures/NAME.json, and then runs `python -m docs.write_figures`. In a document figures stand
between two markers, and the function NAME below makes the text from the record:

    <!-- figures: NAME -->
    ...
    <!-- end of figures -->
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "docs" / "figures"
WIDTH = 100
BLOCK = re.compile(r"(<!-- figures: ([a-z]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
KILLS = ("kill-before", "kill-after")

Record = Mapping[str, Any]


def sweeps(record: Record) -> str:
    """Return what the sweeps did and found."""
    faults = record["faults"]
    others = {kind: count for kind, count in faults.items() if kind not in KILLS}
    kinds = ", ".join(f"{count} {kind}" for kind, count in others.items())
    before, after = (faults.get(kind, 0) for kind in KILLS)
    text = (
        f"{before + after} calls killed at ({before} before they took effect, {after} after), "
        f"{sum(others.values())} other faults ({kinds}). {record['inventories']} inventories in "
        f"{record['scenarios']} scenarios: {record['copies']} copies and {record['leftovers']} "
        "leftovers found."
    )
    return textwrap.fill(text, WIDTH) + (
        "\n\n" + spread(record["drawn"]) if "drawn" in record else ""
    )


def spread(drawn: Record) -> str:
    """Return the table of how long AWS took where its durations were drawn."""
    lines = [
        f"AWS's time in {drawn['seeds']} lifecycles whose durations a seed drew:",
        "",
        "| command | least | median | most | most of the longest chain was |",
        "| --- | --- | --- | --- | --- |",
    ]
    for command, row in drawn.items():
        if command != "seeds":
            chains = ", ".join(f"{kind} ({count})" for kind, count in row["chains"].items())
            times = " | ".join(f"{row[name]} s" for name in ("least", "median", "most"))
            lines.append(f"| `{command}` | {times} | {chains} |")
    return "\n".join(lines)


def bench(record: Record) -> str:
    """Return the table of `make bench`."""
    machine = record["machine"]
    lines = [
        f"On {machine['cores']} cores, with Python {machine['python']}:",
        "",
        "| what | median | limit | of it |",
        "| --- | --- | --- | --- |",
    ]
    for row in record["rows"]:
        limit = quantity(row["limit"], row["unit"]) if row["limit"] is not None else ""
        part = f"{row['ratio']:.0%}" if row["ratio"] is not None else ""
        median = quantity(row["measured"], row["unit"])
        lines.append(f"| {row['what'].strip()} | {median} | {limit} | {part} |".replace("  ", " "))
    return "\n".join(lines)


def mutants(record: Record) -> str:
    """Return a table of the mutants, module by module."""
    lines = ["| module | mutants | killed |", "| --- | --- | --- |"]
    for each in record["modules"]:
        share = each["killed"] / each["mutants"]
        lines.append(f"| `{each['path']}` | {each['mutants']} | {share:.0%} |")
    return "\n".join(lines)


def behaviours(record: Record) -> str:
    """Return how many of the rehearsal's behaviours a report names when AWS lacks them."""
    rows = record["behaviours"]
    shown = {name: each for name, each in rows.items() if each["shown"]}
    missed = [f"`{name}`" for name, each in shown.items() if not each["named"]]
    text = (
        f"Of {len(rows)} behaviours, every run must show {len(shown)}; with one of these switched "
        f"off, the report names it in {len(shown) - len(missed)} cases "
        f"({1 - len(missed) / len(shown):.1%})"
    )
    return textwrap.fill(text + (f"; not {', '.join(missed)}." if missed else "."), WIDTH)


def quantity(value: float, unit: str) -> str:
    """Return a figure with its unit."""
    return f"{value:.2f} s" if unit == "s" else f"{value:.0f} {unit}"


WRITERS = {"sweeps": sweeps, "bench": bench, "mutants": mutants, "behaviours": behaviours}


def documents() -> list[Path]:
    """Return the documents that may hold figures."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def written(text: str) -> str:
    """Return a document with the figures as they are recorded. Raises KeyError, OSError."""

    def block(found: re.Match[str]) -> str:
        name = found[2]
        record = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
        return f"{found[1]}{WRITERS[name](record)}\n{found[3]}"

    return BLOCK.sub(block, text)


def main() -> int:
    """Bring every document up to date, and name those that changed. Returns 0."""
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = written(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: figures written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
