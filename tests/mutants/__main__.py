"""Mutants: small faults in the modules that must not fail, each of which a test has to notice.

    python -m tests.mutants                       all modules of targets.toml, and known.toml
    python -m tests.mutants provision/engine/graph.py
    python -m tests.mutants --known               only the faults that were found by hand
    python -m tests.mutants --known --only NAME   one of them

Exits with 1 when less than 90 % of a module's mutants make a test fail, when one survives for which
survivors.toml has no reason, or when a fault of known.toml survives.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.mutants.operators import mutants
from tests.mutants.runner import FACTOR, MARGIN, ROOT, Job, Outcome, Runner

HERE = Path(__file__).parent
LEAST = 0.9  # of a module's mutants have to be killed
RECORD = ROOT / "docs" / "figures" / "mutants.json"
KNOWN = "known faults"


def main() -> int:
    """Run what the arguments ask for. Returns the exit code."""
    options = arguments()
    targets = read("targets.toml")["module"]
    unknown = set(options.paths) - {each["path"] for each in targets}
    if unknown:
        raise SystemExit(f"not in targets.toml: {', '.join(sorted(unknown))}")
    reasons = read("survivors.toml")
    good = True
    figures: list[dict[str, Any]] = []
    faults = [] if options.paths else list(known(options.only))
    if options.only and not faults:
        raise SystemExit(f"not in known.toml: {options.only}")
    runner = Runner(options.jobs)
    if not options.paths:
        for each in {each.tests: each for each in faults}.values():
            as_it_is(runner, each.module, each.tests)
        survived = list(survivors_of(runner.run(faults)))
        good = not survived
        print(f"{KNOWN}: {len(survived)} survived", *survived, sep="\n  ", flush=True)
    for target in targets if not options.known else ():
        if options.paths and target["path"] not in options.paths:
            continue
        total, survivors = tried(runner, target)
        if told(target["path"], total, survivors, reasons.get(target["path"], {})):
            killed = total - len(survivors)
            figures.append({"path": target["path"], "mutants": total, "killed": killed})
        else:
            good = False
    record(figures, [each["path"] for each in targets])
    return 0 if good else 1


def arguments() -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("paths", nargs="*", metavar="MODULE", help="of targets.toml; default: all")
    parser.add_argument("--known", action="store_true", help="only the faults of known.toml")
    parser.add_argument("--only", metavar="NAME", help="of them, one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once")
    return parser.parse_args()


def read(name: str) -> dict[str, Any]:
    """Return one of the TOML files beside this one."""
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def module_of(path: str) -> str:
    """Return the name by which a file is imported."""
    return path.removesuffix(".py").replace("/", ".")


def known(only: str | None = None) -> Iterator[Job]:
    """Yield the faults that were found by hand, or the one of them that is called `only`.

    Raises ValueError where one cannot be put in.
    """
    for each in read("known.toml")["fault"]:
        if only in (None, each["name"]):
            yield job_of(each)


def job_of(fault: dict[str, Any]) -> Job:
    """Return a fault of known.toml as a run. Raises ValueError where it cannot be put in."""
    path = ROOT / fault["path"]
    source = path.read_text(encoding="utf-8")
    if source.count(fault["find"]) != 1:
        raise ValueError(f"{fault['path']} has {fault['find']!r} not once: mend known.toml")
    code = compile(source.replace(fault["find"], fault["replace"]), str(path), "exec")
    return Job(fault["name"], module_of(fault["path"]), code, tuple(fault["tests"]))


def tried(runner: Runner, target: dict[str, Any]) -> tuple[int, list[tuple[int, str]]]:
    """Run a module's mutants. Returns how many there are, and line and name of the survivors."""
    path, tests = target["path"], tuple(target["tests"])
    limit = FACTOR * as_it_is(runner, module_of(path), tests) + MARGIN
    source = (ROOT / path).read_text(encoding="utf-8")
    lines: dict[str, int] = {}
    jobs = []
    for each in mutants(source, str(ROOT / path)):
        lines.setdefault(each.name, each.line)
        jobs.append(Job(each.name, module_of(path), each.code, tests, limit))
    survivors = [(lines[name], name) for name in survivors_of(runner.run(jobs))]
    return len(jobs), sorted(survivors)


def as_it_is(runner: Runner, module: str, tests: tuple[str, ...]) -> float:
    """Return the CPU seconds of tests of a module without a fault. Exits where they fail."""
    ((_, outcome),) = runner.run([Job(module, module, None, tests)])
    if outcome.killed:
        raise SystemExit(f"{module}: its tests fail as it is\n{outcome.text[-3000:]}")
    return outcome.seconds


def survivors_of(runs: Iterable[tuple[Job, Outcome]]) -> Iterator[str]:
    """Yield the names of the mutants that no test noticed."""
    for job, outcome in runs:
        if not outcome.killed:
            yield job.name


def record(figures: list[dict[str, Any]], paths: list[str]) -> None:
    """Record the modules that did well beside those of earlier runs, in the order of `paths`."""
    before = json.loads(RECORD.read_text(encoding="utf-8"))["modules"] if RECORD.exists() else []
    by_path = {each["path"]: each for each in [*before, *figures]}
    modules = [by_path[path] for path in paths if path in by_path]
    if modules:
        RECORD.write_text(json.dumps({"modules": modules}, indent=1) + "\n", encoding="utf-8")


def told(path: str, total: int, survivors: list[tuple[int, str]], reasons: dict[str, str]) -> bool:
    """Print how a module fared. Returns whether it did well."""
    share = (total - len(survivors)) / total if total else 1.0
    print(f"{path}: {total - len(survivors)} of {total} killed ({share:.0%})")
    for line, name in survivors:
        print(f"  {path}:{line}: {name}\n      {reasons.get(name, 'NO REASON')}")
    for name in sorted(set(reasons) - {name for _, name in survivors}):
        print(f"  no longer survives: {name}")
    sys.stdout.flush()
    return share >= LEAST and all(name in reasons for _, name in survivors)


if __name__ == "__main__":
    sys.exit(main())
