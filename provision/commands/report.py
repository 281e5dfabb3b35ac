"""`provision report`: how the AWS of the runs differed from the rehearsal. Needs no AWS.

Reads the records that runs leave beside the state (state/observed.py), or another user's file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from provision.aws.observation.document import Run
from provision.cli.options import Options, state_location
from provision.cli.output_file import write_text
from provision.cli.version import installed, version
from provision.engine.events import Display, Summary
from provision.errors import StateError, UsageError
from provision.state.observed import folder_of
from provision.verify.field import files
from provision.verify.field.differences import (
    AT_AWS_SPEED,
    Difference,
    differences,
    left_out,
)
from provision.verify.field.public import public
from provision.views.words import duration

RUNS = ("run", "region", "ended", "AWS's time", "calls", "refused", "differences")
DIFFERENCES = ("what", "where", "detail", "this AWS", "the rehearsal", "runs")
ENDED = {True: "well", False: "with an error", None: "cut off"}
MASKED = (
    "It is safe to publish: it has numbers, AWS's own words and plain English; everything else is "
    "masked; no account, id, name, address or secret"
)


def report(options: Options, output: Display, *, out: Path | None, compare: Path | None) -> Summary:
    """Show how AWS differed from the rehearsal in the recorded runs, or in those of a file.

    `out` also writes a file that is safe to publish; `compare` reads such a file. Returns the
    summary. Raises StateError when no run is recorded, UsageError for a file that is none or cannot
    be written.
    """
    if out is not None and compare is not None:
        raise UsageError(
            "--out cannot be combined with --compare", next_step="Leave one of them out."
        )
    notes: list[str] = []
    if compare is not None:
        runs = files.read(compare)
    else:
        folder = folder_of(state_location(options, config := options.configuration),
                           config.environment.name)  # fmt: skip
        recorded, bad = files.runs_beside(folder)
        notes += [f"left out, since it is not a record of a run: {path}" for path in bad]
        if not recorded:
            raise StateError(
                f"no run is recorded in {folder.parent}",
                next_step="`python -m provision up` and `python -m teardown` record what AWS did.",
            )
        runs = [public(run) for run in recorded]
        if out is not None:
            write_text("--out", out, files.written(recorded, version(), installed("botocore")))
            notes.append(f"written: {out}. {MASKED}.")
    found = [differences(run) for run in runs]
    show_runs(output, runs, found)
    show_differences(output, found)
    notes += remarks(runs)
    for note in notes:
        output.note(note)
    return Summary(
        "report", ok=True, verdict=verdict(runs, found), next_commands=after(out, compare)
    )


# --- what is shown --------------------------------------------------------------------------------


def show_runs(output: Display, runs: Sequence[Run], found: Sequence[Sequence[Difference]]) -> None:
    """Show each run in a line."""
    rows = []
    for run, each in zip(runs, found, strict=True):
        answered = sum(sum(counts.values()) for counts in run["calls"].values())
        refused = answered - sum(counts.get("", 0) for counts in run["calls"].values())
        facts = {name: run[name] for name in ("command", "region", "ok", "seconds", "speed")}
        counts = {"calls": answered, "refused": refused, "differences": len(each)}
        output.record("report-run", **facts, **counts)
        ended = ENDED[run["ok"]]
        took = duration(run["seconds"])
        rows.append((run["command"], run["region"], ended, took, *map(str, counts.values())))
    output.table(f"{len(runs)} runs:" if len(runs) != 1 else "1 run:", RUNS, rows)


def show_differences(output: Display, found: Sequence[Sequence[Difference]]) -> None:
    """Show each difference once, with the number of runs that have it."""
    together = Counter(each for per_run in found for each in dict.fromkeys(per_run))
    rows = []
    for each, runs in sorted(together.items(), key=lambda pair: tuple(pair[0].as_dict().values())):
        output.record("difference", **each.as_dict(), runs=runs)
        rows.append((*each.as_dict().values(), str(runs)))
    if rows:
        output.table("how this AWS differs from the rehearsal:", DIFFERENCES, rows)


def remarks(runs: Sequence[Run]) -> Iterator[str]:
    """Yield remarks that are not differences."""
    if any(run["speed"] != AT_AWS_SPEED for run in runs):
        yield "durations of a rehearsal are not compared: time passes faster there"
    more = {(call, path) for run in runs for call, paths in left_out(run).items() for path in paths}
    if more:
        calls = len({call for call, _ in more})
        yield (
            f"members of AWS's answers that the rehearsal never has: {len(more)}, "
            f"in {calls} of the calls; not counted as differences"
        )


def verdict(runs: Sequence[Run], found: Sequence[Sequence[Difference]]) -> str:
    """Return in a line how many differences there are, and of which sort."""
    together = dict.fromkeys(each for per_run in found for each in per_run)
    ran = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    if not together:
        return f"report: as rehearsed, in {ran}"
    sorts = Counter(each.sort for each in together)
    words = ", ".join(f"{sort} {count}" for sort, count in sorted(sorts.items()))
    return f"report: {len(together)} differences from the rehearsal in {ran}: {words}"


def after(out: Path | None, compare: Path | None) -> list[tuple[str, str]]:
    """Return the suggested next command."""
    if out is not None or compare is not None:
        return []
    return [
        ("python -m provision report --out report.json", "write a file that is safe to publish")
    ]
