"""Measures both logins through the stand-in proxy: `python -m benchmarks.login`.

Of each login, with the number of measurements and their spread: the login alone, as the function
itself tells it (Server-Timing); the whole request, HTTP API -> function -> proxy -> database and
back, to a warm and to a cold function; and many requests at once, none of which may be lost.

The figures are this machine's and the rehearsal's: they compare the two logins with each other,
and say nothing about AWS.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from provision.rehearsal import Behaviours, Rehearsal
from provision.rehearsal.data_plane.data_plane import OWN_SERVER
from tests.rehearsal.data_plane.environment import LOGINS, Answer, Environment

PATHS = {"password": "/func1", "iam": "/func2"}
Times = list[float]  # seconds


def main() -> int:
    """Print the table; 1 when a request was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.login", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("-n", type=int, default=50, help="warm requests of each (default: 50)")
    parser.add_argument("--cold", type=int, default=5, help="cold ones of each (default: 5)")
    parser.add_argument("--clients", type=int, default=20, help="clients at once (default: 20)")
    parser.add_argument("--requests", type=int, default=200, help="of all of them (default: 200)")
    parser.add_argument(
        "--database",
        metavar="SERVER",
        help=f"{OWN_SERVER} (started here) or HOST:PORT; default: SQLite",
    )
    options = parser.parse_args()
    with Rehearsal(Behaviours.plain(), database=options.database) as rehearsal:
        environment = Environment(rehearsal.client, rehearsal.data_plane)
        print(f"Database: {options.database or 'SQLite'}. Times in milliseconds.\n")
        print(f"{'':28}{'n':>5}{'median':>9}{'mean':>9}{'stdev':>9}{'min':>9}{'max':>9}")
        cold(environment, options.cold)
        warm(environment, options.n)
        return at_once(environment, options.requests, options.clients)


def cold(environment: Environment, n: int) -> None:
    """Measure functions that were changed just before, so that a new process has to start."""
    times: dict[str, Times] = {login: [] for login in LOGINS}
    for turn in range(n):
        for login in LOGINS:
            environment.configure(login, Description=f"cold {turn}")
            times[login].append(measured(environment, PATHS[login])[0])
    for login in LOGINS:
        row(f"{login}: request, cold", times[login])


def warm(environment: Environment, n: int) -> None:
    """Measure one after the other, the two logins in turn, so that both meet the same machine."""
    logins: dict[str, Times] = {login: [] for login in LOGINS}
    requests: dict[str, Times] = {login: [] for login in LOGINS}
    for _ in range(n):
        for login in LOGINS:
            seconds, answer = measured(environment, PATHS[login])
            requests[login].append(seconds)
            logins[login].append(login_seconds(answer))
    for login in LOGINS:
        row(f"{login}: request, warm", requests[login])
    for login in LOGINS:
        row(f"{login}: login alone, warm", logins[login])


def at_once(environment: Environment, requests: int, clients: int) -> int:
    """Measure many requests at once; return 1 when one was lost."""
    paths = [PATHS[LOGINS[n % len(LOGINS)]] for n in range(requests)]
    before = len(environment.get("/").json)
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = [seconds for seconds, _ in pool.map(lambda p: measured(environment, p), paths)]
    seconds = time.perf_counter() - started
    row(f"both: request, {clients} at once", times)
    stored = len(environment.get("/").json) - before - 1
    print(
        f"\n{requests} requests, {clients} at once: {len(times)} answered, {stored} rows stored, "
        f"{requests / seconds:.0f} requests/s."
    )
    return 0 if stored == requests else 1


def measured(environment: Environment, path: str) -> tuple[float, Answer]:
    """Call a route; return the seconds and the answer. Raises RuntimeError if it is not a 200."""
    started = time.perf_counter()
    answer = environment.get(path)
    seconds = time.perf_counter() - started
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(f"{path}: {answer.status} {answer.body.decode()[:500]}")
    return seconds, answer


def login_seconds(answer: Answer) -> float:
    """Return what the function itself measured."""
    found = re.search(r"login;dur=([0-9.]+)", answer.headers["server-timing"])
    if found is None:
        raise RuntimeError(f"no login in Server-Timing: {answer.headers['server-timing']}")
    return float(found[1]) / 1000


def row(name: str, times: Times) -> None:
    """Print one line of the table."""
    ms = [seconds * 1000 for seconds in times]
    spread = statistics.stdev(ms) if len(ms) > 1 else 0.0
    figures = [statistics.median(ms), statistics.mean(ms), spread, min(ms), max(ms)]
    print(f"{name:28}{len(ms):>5}" + "".join(f"{figure:>9.1f}" for figure in figures), flush=True)


if __name__ == "__main__":
    sys.exit(main())
