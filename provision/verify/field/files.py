"""Files of records: those that runs left here, and one that somebody else shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from provision.aws.observation.document import Malformed, Run, check
from provision.config.files import Unreadable, read_text
from provision.errors import UsageError, shown
from provision.state.document import finite
from provision.state.observed import SUFFIX, VERSION, ObservedRuns
from provision.verify.field.public import public, version

WHAT = "rds-proxy-auth"
MOST_BYTES = 8 * 1024**2
MOST_RUNS = 400
ASK = "Ask whoever wrote it for the file that `python -m provision report --out FILE` writes."


def runs_beside(folder: Path) -> tuple[list[Run], list[Path]]:
    """Return the runs that were recorded beside a state, and the files that are no record.

    Of every environment in the folder; the oldest first.
    """
    runs: list[tuple[str, Run]] = []
    bad: list[Path] = []
    for each in sorted(folder.parent.glob(f"*{SUFFIX}")):
        for path, document in ObservedRuns(each).all():
            if run := kept_run(document):
                runs.append((path.name, run))
            else:
                bad.append(path)
    return [run for _, run in sorted(runs, key=lambda pair: pair[0])], bad


def kept_run(document: Any) -> Run | None:
    """Return the run of a file that a run left, or None for what is none."""
    match document:
        case {"version": int(number), "began": str(), "run": run} if number == VERSION:
            try:
                return check(run)
            except Malformed:
                return None
    return None


def written(runs: Sequence[Run], program: str, botocore: str) -> str:
    """Return the document that is safe to publish."""
    document = {
        "report": WHAT,
        "version": VERSION,
        "program": version(program),
        "botocore": version(botocore),
        "runs": [public(run) for run in runs],
    }
    return json.dumps(document, ensure_ascii=False, indent=None) + "\n"


def read(path: Path) -> list[Run]:
    """Return the runs of somebody's file, as they may be shown. Raises UsageError for a bad one."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise UsageError(f"--compare {path}: there is no such file", next_step=ASK) from None
    except Unreadable as error:
        next_step = error.next_step or ASK
        raise UsageError(f"--compare {path}: {error}", next_step=next_step) from None
    return parse(text, f"--compare {path}")


def parse(text: str, where: str) -> list[Run]:
    """Return the runs of a file's text, as they may be shown. Raises UsageError for a bad one."""
    if len(text) > MOST_BYTES:
        raise UsageError(f"{where}: larger than {MOST_BYTES // 1024**2} MiB", next_step=ASK)
    try:
        document = json.loads(text, parse_float=finite, parse_constant=finite)
    except RecursionError:
        raise UsageError(f"{where}: nested too deep", next_step=ASK) from None
    except ValueError as error:
        raise UsageError(f"{where}: not JSON ({shown(str(error))})", next_step=ASK) from None
    runs = list(_runs(document, where))
    return [public(run) for run in runs]


def _runs(document: Any, where: str) -> Iterator[Run]:
    if not isinstance(document, Mapping) or document.get("report") != WHAT:
        raise UsageError(f"{where}: is not a report of this program", next_step=ASK)
    if type(document.get("version")) is not int or document["version"] != VERSION:
        raise UsageError(
            f"{where}: version {shown(document.get('version'))}; "
            f"this program knows version {VERSION}",
            next_step="Use the program that wrote it, or a newer one.",
        )
    runs = document.get("runs")
    if not isinstance(runs, list) or len(runs) > MOST_RUNS:
        raise UsageError(f"{where}: 'runs' must be a list of at most {MOST_RUNS}", next_step=ASK)
    for number, run in enumerate(runs, 1):
        try:
            yield check(run)
        except Malformed as error:
            raise UsageError(f"{where}: run {number}: {error}", next_step=ASK) from None
