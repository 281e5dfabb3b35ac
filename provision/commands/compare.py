"""`provision compare`: both logins side by side, in figures.

Calls both routes in turn, over a connection of its own each time, as a new client would. The first
call of a route may meet a function that has to be started (a cold start), and is kept apart; all
others are warm. Nothing is changed at AWS, but for the row that each call stores.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from provision.cli.options import Options
from provision.commands.check import api_endpoint
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.errors import CheckFailed
from provision.verify.http_client import LOGIN_ROUTES, Answer, LoginRoute, call
from provision.waiting.poll import PollResult, Verdict, interrupted, until

ROUTES = tuple(route for route in LOGIN_ROUTES if route.path != "/")  # one for each login
ROWS_ASKED = 1  # so that a call costs the same however many rows there are
COLUMNS = ("", "password", "iam", "iam - password")


def compare(options: Options, output: Display, *, requests: int) -> Summary:
    """Call each route `requests` times, in turn, and show how the logins compare.

    Returns the summary. Raises CheckFailed when a route never answered as it should, ProvisionError
    when there is no environment, Interrupted.
    """
    with opened(options, "compare", output, packed=False, looks=False) as run:
        run.start()
        run.url = api_endpoint(run)
        throttle = run.config.api.throttle_rate_per_second
        output.note(
            f"{requests} calls of each of {' and '.join(route.path for route in ROUTES)}, "
            f"at most {throttle:g} a second"
        )
        samples = collect(run, run.url, requests)
        show(output, samples)
        if unheard := [each for each in samples if not each.good]:
            raise no_answer(unheard)
        failed = sum(each.failed for each in samples)
        notes = [f"{failed} calls failed and are not counted; `check` shows why"] if failed else []
        return run.summary(notes=[in_a_sentence(*samples), *notes])


@dataclass
class Sample:
    """The calls of one route."""

    route: LoginRoute
    good: list[Answer] = field(default_factory=list)
    first: Answer | None = None  # its first call, if it was good: it may be cold
    failed: int = 0
    throttled: int = 0  # answers 429, each called again
    last_failure: str = ""

    @property
    def warm(self) -> list[Answer]:
        """All successful calls except the first."""
        return [answer for answer in self.good if answer is not self.first]


def collect(run: Run, url: str, requests: int) -> list[Sample]:
    """Return the results of so many calls to each route, called in turn."""
    samples = [Sample(route) for route in ROUTES]
    turnstile = Turnstile(run)
    for number in range(requests):
        for sample in samples:
            answer = turnstile.call(url, sample)
            if answer.works(sample.route.login):
                sample.good.append(answer)
                if number == 0:
                    sample.first = answer
            else:
                sample.failed += 1
                sample.last_failure = str(answer)
    return samples


class Turnstile:
    """Lets calls through no faster than the API's throttle does."""

    def __init__(self, run: Run) -> None:
        self._stop = run.poll_policy.stop
        self._seconds = 1 / run.config.api.throttle_rate_per_second
        # A refused call is repeated at the throttle's own pace, in real time also in a rehearsal.
        self._pace = replace(run.poll_policy, poll_seconds=self._seconds, speed=1.0)
        self._next = time.monotonic()

    def call(self, url: str, sample: Sample) -> Answer:
        """Return a route's answer, called again while the API throttles. Raises Interrupted."""
        answers: list[Answer] = []

        def look() -> PollResult:
            self._pass()
            answers.append(call(url, sample.route, rows=ROWS_ASKED))
            if answers[-1].status != HTTPStatus.TOO_MANY_REQUESTS:
                return PollResult(Verdict.READY, "answered")
            sample.throttled += 1
            return PollResult(Verdict.WAIT, "throttled", str(answers[-1]))

        until(look, what=f"GET {sample.route.path}", poll_policy=self._pace, report=lambda *_: None)
        return answers[-1]

    def _pass(self) -> None:
        """Wait for the next call's turn."""
        if self._stop.wait(max(0.0, self._next - time.monotonic())):
            raise interrupted()
        self._next = max(self._next, time.monotonic()) + self._seconds


def no_answer(unheard: Sequence[Sample]) -> CheckFailed:
    """Return the error for routes that never answered as they should."""
    lines = [f"GET {each.route.path} never worked: {each.last_failure}" for each in unheard]
    return CheckFailed("\n".join(lines), next_step="Run `python -m provision check` to see why.")


# --- figures --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Distribution:
    """The distribution of some times, in milliseconds. `iqr` is the interquartile range."""

    count: int
    median: float
    p5: float
    p95: float
    iqr: float


def spread(times: Sequence[float]) -> Distribution | None:
    """Return the distribution of these times; None if there are none."""
    if not times:
        return None
    if len(times) == 1:
        return Distribution(1, times[0], times[0], times[0], 0.0)
    cuts = statistics.quantiles(times, n=20, method="inclusive")  # 5 %, 10 %, ... 95 %
    return Distribution(len(times), statistics.median(times), cuts[0], cuts[18], cuts[14] - cuts[4])


def in_a_sentence(password: Sample, iam: Sample) -> str:
    """Return which login is slower by how much, and whether that is within the spread.

    The spread is the wider of the two interquartile ranges: about half of each login's times lie
    in its own.
    """
    first, second = (spread(login_times(each.warm)) for each in (password, iam))
    if first is None or second is None:
        return "too few warm calls for a comparison: --requests N makes more"
    between = second.median - first.median
    wider = max(first.iqr, second.iqr)
    slower, faster = ("iam", "password") if between >= 0 else ("password", "iam")
    if abs(between) <= wider:
        where, verdict = "within", "no difference that these calls can prove"
    else:
        where, verdict = "more than", "a real difference"
    return (
        f"the {slower} login is slower than the {faster} login by {abs(between):.1f} ms (medians, "
        f"warm), {where} the spread of {wider:.1f} ms: {verdict}"
    )


def login_times(answers: Sequence[Answer]) -> list[float]:
    """Return how long the logins took, in milliseconds, as the functions measured them."""
    return [answer.login_ms for answer in answers if answer.login_ms is not None]


def whole_times(answers: Sequence[Answer]) -> list[float]:
    """Return how long the calls took, in milliseconds, as measured here."""
    return [answer.ms for answer in answers]


# --- what is shown --------------------------------------------------------------------------------


def show(output: Display, samples: Sequence[Sample]) -> None:
    """Show a table to a person, a record for each login to a program."""
    for sample in samples:
        output.record("compare", **facts(sample))
    password, iam = (figures(sample) for sample in samples)
    rows = [(name, *cells(password[name], iam[name])) for name in password]
    calls = [f"{len(each.warm)} warm, {each.failed} failed" for each in samples]
    output.table("both logins, side by side:", COLUMNS, [*rows, ("calls", *calls, "")])


FIGURES = {
    "median": "median",
    "5th percentile": "p5",
    "95th percentile": "p95",
    "interquartile range": "iqr",
}


def figures(sample: Sample) -> dict[str, float | None]:
    """Return what the table shows of a login, by the name of its line, in milliseconds."""
    first = sample.first
    shown = {
        "first call (may be cold): login ms": first.login_ms if first else None,
        "first call (may be cold): whole ms": first.ms if first else None,
    }
    for what, times in (("login", login_times), ("whole", whole_times)):
        found = spread(times(sample.warm))
        for words, name in FIGURES.items():
            shown[f"warm: {what} ms, {words}"] = getattr(found, name) if found else None
    return shown


def cells(password: float | None, iam: float | None) -> tuple[str, str, str]:
    """Return a figure of both logins, and by how much they differ."""
    shown = ["-" if each is None else f"{each:.1f}" for each in (password, iam)]
    between = "-" if password is None or iam is None else f"{iam - password:+.1f}"
    return shown[0], shown[1], between


def facts(sample: Sample) -> Mapping[str, Any]:
    """Return a login's record; times in milliseconds."""
    first = sample.first
    return {
        "route": sample.route.path,
        "login": sample.route.login,
        "requests": len(sample.good) + sample.failed,
        "failed": sample.failed,
        "throttled": sample.throttled,
        "first": {"login_ms": first.login_ms, "ms": round(first.ms, 1)} if first else None,
        "warm": {
            "login_ms": rounded(spread(login_times(sample.warm))),
            "ms": rounded(spread(whole_times(sample.warm))),
        },
    }


def rounded(distribution: Distribution | None) -> dict[str, float] | None:
    """Return a distribution for JSON, to a tenth of a millisecond."""
    if distribution is None:
        return None
    return {name: round(value, 1) for name, value in vars(distribution).items()}
