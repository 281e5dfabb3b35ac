"""Measures `up` and `teardown` against what they cannot beat: `python -m benchmarks.up`.

Every command is a whole process, and the rehearsed AWS another one. Five parts:

1. A fresh `up` and a `teardown` while AWS's own durations pass `--speed` times faster, against the
   longest chain of AWS's waits in the same scaled seconds: 1.05 times that, and 2 s. On AWS the
   commands look every 5 s; so that they do not look 60 times less often than there,
   `wait.poll_seconds` is scaled too.
2. A second `up`, which finds nothing to do: at most 48 reads; with 0, 50 and 150 ms of latency per
   call at most 1.02 times what straight-line boto3 takes that makes the very same reads on 16
   threads, tuned (benchmarks/floor.py). The reads are those of the rehearsal's journal, and it is
   checked that both make the same. They run in turn, so that both meet the same machine; what
   counts is the medians' ratio. The rehearsal throttles nobody here, and does not cut its lists
   into pages of two: AWS's pages hold 50 things and more.
3. `--help` and a bad value in the configuration: under 0.3 s.
4. `make dry-run` once it is set up: at most 6 s, and 250 MiB with the rehearsed AWS, the proxies
   and the database inside it. The calls of its `up` at `--seed 1`: at most 240.
5. What a state in S3 takes longer than one in a file: a fresh `up` at 50 ms a call at most 2 s, a
   second one at most two round trips.
6. The most memory that a fresh `up` and a second one hold, with either state: at most 90 MiB.

Prints a table and exits with 1 when a limit is missed. On a busy machine the ratios hold better
than the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name
from rich.console import Console
from rich.table import Table

from provision.cli.clean_environ import cleaned
from provision.rehearsal import SOMEBODY_ELSE, Durations, Entry, Remote, typical

ROOT = Path(__file__).resolve().parent.parent
REGION = "ap-northeast-1"
POLL_SECONDS = 5.0  # config.toml's own, between two looks at AWS
LATENCIES = (0.0, 0.050, 0.150)  # seconds
READERS = 16  # threads of the straight-line reads
CHAIN_FACTOR, CHAIN_SECONDS = 1.05, 2.0
SECOND_UP_FACTOR = 1.02
SECOND_UP_READS = 48
ANSWER_SECONDS = 0.3
STATE_SPEED, STATE_LATENCY = 300.0, 0.050  # of the fresh ups with a state in S3
STATE_SECONDS, ROUND_TRIPS = 2.0, 2  # what it may take longer
BUCKET = "states"
DRY_RUN_SECONDS, DRY_RUN_MIB, DRY_RUN_CALLS = 6.0, 250.0, 240
REAL_MIB = 90.0

CALL_LINE = re.compile(r"aws [a-z0-9-]+ [A-Z][A-Za-z]+: ")
Call = tuple[str, str, dict[str, Any]]  # boto3's service, boto3's method, parameters


@dataclass(frozen=True)
class Usage:
    """What one process took, as benchmarks/timed.py tells it."""

    code: int
    seconds: float
    cpu_seconds: float
    mib: float
    stderr: str


@dataclass(frozen=True)
class Row:
    """A line of the table: the median of `samples`, and the limit, where there is one."""

    what: str
    unit: str
    samples: Sequence[float]
    limit: float | None = None
    against: str = ""  # what the limit was made from

    @property
    def measured(self) -> float:
        """The median."""
        return statistics.median(self.samples)

    @property
    def ratio(self) -> float | None:
        """How much of the limit was used up; above 1 it is missed."""
        return None if self.limit is None else self.measured / self.limit

    @property
    def ok(self) -> bool:
        """Whether the limit is met, or there is none."""
        return self.ratio is None or self.ratio <= 1

    def as_dict(self) -> dict[str, Any]:
        """Return the row as the JSON file has it."""
        return asdict(self) | {"measured": self.measured, "ratio": self.ratio, "ok": self.ok}


@dataclass
class Place:
    """Where commands run: a folder with config.toml, and nothing but the rehearsal to reach."""

    folder: Path
    remote: Remote
    seen: list[Usage] = field(default_factory=list)

    def run(self, *arguments: str, code: int = 0) -> Usage:
        """Run `python -m ARGUMENTS`. Raises RuntimeError when it ends with another exit code."""
        timer = [sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "timed.py")]
        command = [*timer, str(self.folder), sys.executable, "-m", *arguments]
        told = subprocess.run(
            command, env=self.environ(), stdout=subprocess.PIPE, text=True, check=True
        )
        usage = Usage(**json.loads(told.stdout))
        if usage.code != code:
            raise RuntimeError(f"{' '.join(arguments)} exited with {usage.code}: {usage.stderr}")
        return usage

    def up(self, *arguments: str) -> Usage:
        """Run `provision up` without its calls of the two routes."""
        return self.run("provision", "up", "--no-check", "--output", "plain", *arguments)

    def teardown(self, *arguments: str) -> Usage:
        """Run `teardown --yes`."""
        return self.run("teardown", "--yes", "--output", "plain", *arguments)

    def environ(self) -> dict[str, str]:
        """Return the environment of a command: nothing but the rehearsal's."""
        home = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT)}
        return home | self.remote.environ()


def main() -> int:
    """Measure, print the table, write the JSON file. Returns 1 when a limit was missed."""
    options = arguments()
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with rehearsal(options.speed) as remote, tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), remote)
        (place.folder / "config.toml").write_text((ROOT / "config.toml").read_text())
        rows += chains(place, options.speed, options.fresh)
        rows += second_ups(place, options.rounds)
        rows += states(place, options.fresh, options.rounds)
        rows += answers(place, options.fresh)
        rows += dry_runs(place, options.fresh)
        rows += memory(place)
    show(rows, load)
    if options.json:
        options.json.write_text(json.dumps(document(rows, load, options.speed), indent=1) + "\n")
    return 0 if all(row.ok for row in rows) else 1


def arguments() -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.up", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=15, help="of each second up (default: 15)")
    parser.add_argument("--fresh", type=int, default=3, help="fresh ups, teardowns (default: 3)")
    parser.add_argument(
        "--speed", type=float, default=60.0, help="AWS seconds in one (default: 60)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    return parser.parse_args()


@contextlib.contextmanager
def rehearsal(speed: float) -> Iterator[Remote]:
    """Serve a rehearsed AWS from a process of its own for the block."""
    command = [
        sys.executable,
        "-m",
        "provision.rehearsal",
        "--no-data-plane",
        "--control",
        "--typical",
        "--speed",
        str(speed),
    ]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env=cleaned(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdin  # noqa: S101 - a pipe
        assert server.stdout  # noqa: S101 - a pipe
        try:
            yield Remote(json.loads(server.stdout.readline()))
        finally:
            server.stdin.close()
            server.wait(timeout=10)


# --- 1: the longest chain -------------------------------------------------------------------------


def up_chains(durations: Durations, *, backups: bool) -> dict[str, float]:
    """Return the chains of AWS's waits in a fresh `up`, in AWS's seconds.

    A target can be registered when its proxy is there and the instance is past `creating`; with
    `backups` that is before its first backup ends.
    """
    instance = typical(durations.instance_create)
    registrable = instance - (typical(durations.instance_first_backup) if backups else 0.0)
    health = max(typical(durations.target_registering), typical(durations.target_capacity))
    return {
        "DB instance": instance,
        "DB instance, target health": max(registrable, typical(durations.proxy_create)) + health,
        "role, function": typical(durations.role_assumable) + typical(durations.function_pending),
    }


def teardown_chains(durations: Durations) -> dict[str, float]:
    """Return the chains of AWS's waits in a `teardown`, in AWS's seconds."""
    return {
        "DB instance": typical(durations.instance_delete),
        "proxy": typical(durations.proxy_delete),
        "function detached, its interfaces released": typical(durations.function_update)
        + typical(durations.interface_in_use_detached),
    }


def chains(place: Place, speed: float, rounds: int) -> Iterator[Row]:
    """Measure fresh `up`s and `teardown`s against their longest chains."""
    polls = ("--set", f"wait.poll_seconds={max(0.01, POLL_SECONDS / speed):.4f}")
    place.up()  # once unmeasured: Python compiles, the disk is read
    place.teardown()
    ups, downs = [], []
    for _ in range(rounds):
        ups.append(place.up(*polls))
        downs.append(place.teardown(*polls))
    place.seen += ups
    yield chain_row("fresh up", ups, up_chains(Durations(), backups=False), speed)
    yield chain_row("teardown", downs, teardown_chains(Durations()), speed)


def chain_row(what: str, used: Sequence[Usage], found: Mapping[str, float], speed: float) -> Row:
    """Return the row of a command that can be no faster than the longest of these chains."""
    name = max(found, key=lambda each: found[each])
    seconds = found[name] / speed
    against = f"{CHAIN_FACTOR} x {seconds:.2f} s ({name}) + {CHAIN_SECONDS:g} s"
    limit = CHAIN_FACTOR * seconds + CHAIN_SECONDS
    return Row(what, "s", [each.seconds for each in used], limit, against)


# --- 2: a second up -------------------------------------------------------------------------------


def second_ups(place: Place, rounds: int) -> Iterator[Row]:
    """Measure `up`s that find nothing to do, in turn with the bare reads that they make."""
    remote = place.remote
    remote.set_manners(speed=2000.0)
    place.up("--set", "wait.poll_seconds=0.02")
    remote.set_manners(throttling=False, paging=False)
    reads = calls(remote, place.up)
    path = place.folder / "calls.json"
    path.write_text(json.dumps(reads))

    def straight(*flags: str, threads: int = READERS) -> Callable[[], Usage]:
        return lambda: place.run("benchmarks.floor", str(path), str(threads), *flags)

    if not same(calls(remote, straight()), reads):
        raise RuntimeError("the straight-line reads are not those of a second `up`")
    yield Row("reads of a second up", "", [len(reads)], SECOND_UP_READS)
    for latency in LATENCIES:
        remote.set_manners(latency_seconds=latency)
        at = f"{latency * 1000:.0f} ms a call"
        ups, tuned = in_turn((place.up, straight("--tuned")), rounds)
        place.seen += ups
        bare = Row(f"  its {len(reads)} reads alone, {READERS} threads, tuned", "s", seconds(tuned))
        limit, against = SECOND_UP_FACTOR * bare.measured, f"{SECOND_UP_FACTOR} x the next line"
        yield Row(f"second up, {at}", "s", seconds(ups), limit, against)
        yield bare
        fewer = max(1, rounds // 5)
        usual, slow = in_turn((straight(), straight(threads=1)), fewer)
        yield Row("  the same, not tuned", "s", seconds(usual))
        yield Row("  the same, one by one", "s", seconds(slow))
    remote.set_manners(latency_seconds=0.0)


def calls(remote: Remote, work: Callable[[], Any]) -> list[Call]:
    """Return what `work` asks of AWS, service by service, each in the order of its first call."""
    before = len(remote.journal())
    work()
    return by_service(remote.journal()[before:])


def by_service(entries: Sequence[Entry]) -> list[Call]:
    """Return the calls of a journal as boto3 makes them, service by service."""
    services = list(dict.fromkeys(entry.service for entry in entries))
    made = [(entry.service, xform_name(entry.operation), entry.params) for entry in entries]
    return sorted(made, key=lambda call: services.index(call[0]))


def same(some: Sequence[Call], others: Sequence[Call]) -> bool:
    """Return whether both are the same calls, in whatever order."""
    one, other = (
        Counter(json.dumps(call, sort_keys=True) for call in each) for each in (some, others)
    )
    return one == other


def in_turn(ways: Sequence[Callable[[], Usage]], rounds: int) -> list[list[Usage]]:
    """Return what each of the ways took, round by round; every other round backwards."""
    used: list[list[Usage]] = [[] for _ in ways]
    for number in range(rounds):
        order = list(enumerate(ways))
        for index, way in order if number % 2 == 0 else reversed(order):
            used[index].append(way())
    return used


def seconds(used: Sequence[Usage]) -> list[float]:
    """Return how long each of the processes lived."""
    return [each.seconds for each in used]


# --- 5: a state in S3 -----------------------------------------------------------------------------


def states(place: Place, fresh: int, rounds: int) -> Iterator[Row]:
    """Measure `up`s with their state in S3, in turn with the same ones with a file."""
    remote = place.remote
    place.teardown()
    make_bucket(remote)
    remote.set_manners(speed=STATE_SPEED, latency_seconds=STATE_LATENCY)
    polls = ("--set", f"wait.poll_seconds={POLL_SECONDS / STATE_SPEED:.4f}")
    in_s3 = ("--state", f"s3://{BUCKET}/{{name}}.json")

    def fresh_up(*flags: str) -> Callable[[], Usage]:
        def measured() -> Usage:
            used = place.up(*polls, *flags)
            place.teardown(*polls, *flags)
            return used

        return measured

    file, s3 = in_turn((fresh_up(), fresh_up(*in_s3)), fresh)
    place.seen += s3
    yield from beside(f"fresh up, {STATE_LATENCY * 1000:.0f} ms a call", file, s3, STATE_SECONDS)
    for flags in ((), in_s3):
        place.up(*polls, *flags)  # the second finds it by its tags
    latency = LATENCIES[-1]
    remote.set_manners(latency_seconds=latency)
    file, s3 = in_turn((place.up, lambda: place.up(*in_s3)), max(1, rounds // 2))
    place.seen += s3
    what = f"second up, {latency * 1000:.0f} ms a call"
    yield from beside(what, file, s3, ROUND_TRIPS * latency)
    remote.set_manners(latency_seconds=0.0)


def beside(what: str, file: Sequence[Usage], s3: Sequence[Usage], more: float) -> Iterator[Row]:
    """Yield the rows of a command with its state in S3 and in a file."""
    bare = Row("  with a file", "s", seconds(file))
    against = f"the next line + {more:g} s"
    yield Row(f"{what}, state in S3", "s", seconds(s3), bare.measured + more, against)
    yield bare


def make_bucket(remote: Remote) -> None:
    """Make the bucket for the states."""
    variables = remote.environ(SOMEBODY_ELSE)
    session = botocore.session.Session()
    session.set_credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    s3: Any = session.create_client("s3", region_name=REGION, endpoint_url=remote.endpoint_url)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})


# --- 3, 4, 6: quick answers, dry runs, memory -----------------------------------------------------


def answers(place: Place, rounds: int) -> Iterator[Row]:
    """Measure `--help`, and a configuration with a bad value."""
    for what, arguments, code in (
        ("up --help", ("up", "--help"), 0),
        ("a bad value in config.toml", ("up", "--set", "database.engine_version=8.0"), 2),
    ):
        used = [place.run("provision", *arguments, code=code) for _ in range(rounds)]
        yield Row(what, "s", seconds(used), ANSWER_SECONDS)


def dry_runs(place: Place, rounds: int) -> Iterator[Row]:
    """Measure the two commands of `make dry-run`, and count the calls of its `up`."""
    whole: list[float] = []
    rehearsed: list[Usage] = []
    for _ in range(rounds):
        packed = place.run("provision.packaging.zips")
        rehearsed.append(place.run("teardown", "--dry-run", "--yes"))
        whole.append(packed.seconds + rehearsed[-1].seconds)
    yield Row("make dry-run", "s", whole, DRY_RUN_SECONDS)
    yield Row("memory, make dry-run", "MiB", [each.mib for each in rehearsed], DRY_RUN_MIB)
    yield Row("calls of a rehearsed up, seed 1", "", [rehearsed_calls(place)], DRY_RUN_CALLS)


def rehearsed_calls(place: Place) -> int:
    """Return how many calls `up --dry-run --seed 1` makes, as its `-v` lists them."""
    flags = ("up", "--dry-run", "--seed", "1", "-v", "--output", "plain")
    command = [sys.executable, "-m", "provision", *flags]
    done = subprocess.run(
        command, env=place.environ(), cwd=place.folder, capture_output=True, text=True, check=True
    )
    return len(CALL_LINE.findall(done.stderr))


def memory(place: Place) -> Iterator[Row]:
    """Return the most memory of the commands that were measured before."""
    most = max(each.mib for each in place.seen)
    yield Row("memory, fresh or second up", "MiB", [most], REAL_MIB)


# --- the table and the file -----------------------------------------------------------------------


def show(rows: Sequence[Row], load: float) -> None:
    """Print the table."""
    title = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} before"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("what", no_wrap=True)
    for name in ("n", "median", "limit", "of it"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("made from")
    for row in rows:
        table.add_row(*cells(row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def cells(row: Row) -> tuple[str, ...]:
    """Return a row of the table as text."""
    measured = amount(row.measured, row.unit)
    if row.limit is None or row.ratio is None:
        return row.what, str(len(row.samples)), measured, "", "", "", ""
    limit, ratio = amount(row.limit, row.unit), f"{row.ratio:.0%}"
    verdict = "ok" if row.ok else "MISSED"
    return row.what, str(len(row.samples)), measured, limit, ratio, verdict, row.against


def amount(value: float, unit: str) -> str:
    """Return a figure with its unit."""
    return f"{value:.2f} s" if unit == "s" else f"{value:.0f} {unit}".rstrip()


def document(rows: Sequence[Row], load: float, speed: float) -> dict[str, Any]:
    """Return what the JSON file holds."""
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load_before": load,
    }
    return {"machine": machine, "speed": speed, "rows": [row.as_dict() for row in rows]}


if __name__ == "__main__":
    sys.exit(main())
