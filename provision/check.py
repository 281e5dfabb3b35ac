"""`provision check`, and the end of every `up`: calls the routes and says whether both logins work.

Nothing is changed at AWS, but for the rows that the calls themselves store. When a login does not
work, the diagnosis says why, with proof, and what to do next.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from provision.answers import LOGIN_ROUTES, Answer, LoginRoute, call
from provision.aws import calling
from provision.diagnosis import Cause, Diagnosis
from provision.errors import CheckFailed, ProvisionError, ResourceFailed, WaitTimeout
from provision.options import Options
from provision.output.base import Output, Summary
from provision.resources.base import bind
from provision.run import Run, opened
from provision.wait import Look, Verdict, interrupted, until

PATIENCE_SECONDS = 120.0  # of AWS's time: how long a new API, role or policy may still refuse
LOOKS_BETWEEN = 12  # looks at targets between two diagnoses, after the first two
LOG_SLACK_SECONDS = 60.0  # by which AWS's clock may differ from ours
COLUMNS = ("route", "login", "TLS", "login ms", "whole ms", "rows", "verdict")
# What the function answers although it may pass: a role, policy or secret that has not reached the
# proxy yet (1045), no connection free (9501, 1040), AWS's own trouble (1105), a broken connection.
MAY_PASS = {"1045", "9501", "1040", "1105", "2003", "2006", "2013"}


def check(options: Options, output: Output) -> Summary:
    """Prove both logins of an environment that is there. Returns the summary.

    Raises CheckFailed when a login does not work, ProvisionError when there is no environment.
    """
    with opened(options, "check", output) as run:
        output.start("check", run.resources, run.about())
        run.url = api_endpoint(run)
        prove_logins(run)
        return run.summary()


def api_endpoint(run: Run) -> str:
    """Return the URL of the environment's API, found by its tags. Raises ProvisionError."""
    api = run.resource("api")
    with calling("api"):
        seen = api.find(run.aws, run.state.known().get("api", {}))
    if seen is None or not api.owned(run.aws, seen, {}):
        raise ProvisionError(
            f"there is no HTTP API of the {run.about()}: nothing can be called",
            next_step="`python -m provision up` makes what is missing; `python -m provision plan` "
            "shows what that is. Is it another account, region or environment.name?",
        )
    return seen.outputs["endpoint"]


def prove_logins(run: Run) -> None:
    """Call both routes of `run.url` until both logins are proven, and show how they went.

    Raises CheckFailed, with cause, proof and next command, when a login does not work; Interrupted.
    """
    proof = Proof(run, run.url or api_endpoint(run))
    proof.wait_for_targets()
    proof.call_all()
    proof.call_all()  # once more: warm, and each login then sees what the other has stored
    show(run.output, proof)
    if failed := failures(proof):
        raise check_failed(run, failed)
    run.output.note("both logins work, and each sees the rows that the other stores")


@dataclass
class Proof:
    """The calls so far: each route's last answer, and every good one in order."""

    run: Run
    url: str
    answers: dict[LoginRoute, Answer] = field(default_factory=dict)
    good: list[tuple[LoginRoute, Answer]] = field(default_factory=list)
    diagnosis: Diagnosis = field(init=False)

    def __post_init__(self) -> None:
        self.diagnosis = Diagnosis(self.run, since=time.time() - LOG_SLACK_SECONDS)
        self._looks = 0
        self._open: list[LoginRoute] = []
        self._told: set[str] = set()

    # --- the targets ------------------------------------------------------------------------------

    def wait_for_targets(self) -> None:
        """Wait until both proxies' targets are AVAILABLE, or it is known that they will not be."""
        # What becomes of a wait in vain is shown by the calls, and the diagnosis knows why.
        with contextlib.suppress(ResourceFailed, WaitTimeout):
            self._until(self.look_at_targets, "the proxies' targets")

    def look_at_targets(self) -> Look:
        """Look once at both targets."""
        looks = {login: self._target(login) for login in ("password", "iam")}
        if all(look.verdict is Verdict.READY for look in looks.values()):
            return Look(Verdict.READY, "AVAILABLE")
        self._looks += 1
        waiting = [r for r in LOGIN_ROUTES if looks[r.login].verdict is not Verdict.READY]
        if self._looks <= 2 or self._looks % LOOKS_BETWEEN == 0:
            self.diagnosis.examine(dict.fromkeys(waiting))
        worst = max((looks[route.login] for route in waiting), key=lambda look: look.grace_seconds)
        if all(self.diagnosis.certain(route) for route in waiting):
            return Look(Verdict.FAILED, worst.status, worst.reason)
        return worst

    def _target(self, login: str) -> Look:
        run = self.run
        target = run.resource(f"target-{login}")
        names = {
            f"proxy-{login}": {"proxy": run.resource(f"proxy-{login}").name},
            "db-instance": {"id": run.resource("db-instance").name},
        }
        with calling(target.step):
            look = target.look(bind(target, names).find(run.aws, {}))
        self._tell(target.step, look)
        return look

    # --- the calls --------------------------------------------------------------------------------

    def call_all(self) -> None:
        """Call every route that works, or was not called yet, patiently."""
        self._open = [
            route
            for route in LOGIN_ROUTES
            if route not in self.answers or self.answers[route].works(route.login)
        ]
        with contextlib.suppress(ResourceFailed, WaitTimeout):  # `answers` has what came back
            self._until(self.look_at_answers, "the routes")

    def look_at_answers(self) -> Look:
        """Call once every route that is still open."""
        for route in self._open:
            if self.run.pace.stop.is_set():
                raise interrupted()
            answer = self.answers[route] = call(self.url, route)
            if answer.works(route.login):
                self.good.append((route, answer))
            self._tell(route.step, look_of(route, answer))
        self._open = [r for r in self._open if not self.answers[r].works(r.login)]
        if not self._open:
            return Look(Verdict.READY, "")
        self.diagnosis.examine({route: self.answers[route] for route in self._open})
        hopeful = [
            route
            for route in self._open
            if may_pass(self.answers[route]) and not self.diagnosis.certain(route)
        ]
        return look_of(self._open[0], self.answers[self._open[0]], hopeless=not hopeful)

    # --- both -------------------------------------------------------------------------------------

    def _until(self, look: object, what: str) -> None:
        until(look, what=what, pace=self.run.pace, tell=lambda status, reason="": None)  # type: ignore[arg-type]

    def _tell(self, step: str, look: Look) -> None:
        """Tell what is waited for, and when it has come; nothing of what needs no wait."""
        if look.verdict is not Verdict.READY:
            self._told.add(step)
        if step in self._told:
            self.run.output.status(self.run.resource(step), look.status, look.reason)


def look_of(route: LoginRoute, answer: Answer, *, hopeless: bool = False) -> Look:
    """Return what an answer means for the one who waits."""
    if answer.works(route.login):
        return Look(Verdict.READY, "answers")
    verdict = Verdict.FAILED if hopeless else Verdict.SUSPECT
    return Look(verdict, "calling", str(answer), PATIENCE_SECONDS)


def may_pass(answer: Answer) -> bool:
    """Return whether the same call may be answered well a little later."""
    if answer.error:
        return answer.error.code in MAY_PASS or answer.status == 503
    return answer.status in (0, 404, 429, 500, 502, 503, 504)


# --- what is shown --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """A login, or what both logins should do together, that does not work."""

    where: str
    cause: Cause


def failures(proof: Proof) -> list[Failure]:
    """Return what does not work. Routes that fail for one cause are one failure."""
    by_cause: dict[tuple[str, str], list[LoginRoute]] = {}
    for route, answer in proof.answers.items():
        if not answer.works(route.login):
            key = (route.login, proof.diagnosis.causes[route].sentence)
            by_cause.setdefault(key, []).append(route)
    return [
        Failure(
            f"{login} login ({', '.join(f'GET {route.path}' for route in routes)})",
            proof.diagnosis.causes[routes[0]],
        )
        for (login, _), routes in by_cause.items()
    ] + ([apart] if not by_cause and (apart := unshared(proof.good)) else [])


def show(output: Output, proof: Proof) -> None:
    """Show a table to a person, a record for each route to a program."""
    rows = []
    for route in LOGIN_ROUTES:
        answer = proof.answers[route]
        works = answer.works(route.login)
        output.record("check", **facts(route, answer, proof.diagnosis.causes if not works else {}))
        rows.append(cells(route, answer, works))
    output.table("both logins, as the API answers:", COLUMNS, rows)


def facts(
    route: LoginRoute, answer: Answer, causes: Mapping[LoginRoute, Cause]
) -> dict[str, object]:
    """Return a route's record."""
    cause = causes.get(route)
    return {
        "route": route.path,
        "login": answer.login or route.login,
        "ok": answer.works(route.login),
        "tls": answer.tls or None,
        "login_ms": answer.login_ms,
        "ms": round(answer.ms, 1),
        "rows": None if answer.rows is None else len(answer.rows),
        "kind": cause.kind if cause else None,
        "cause": cause.sentence if cause else None,
        "proof": cause.proof if cause else None,
        "next": cause.next_step if cause else None,
    }


def cells(route: LoginRoute, answer: Answer, works: bool) -> list[str]:
    """Return a route's line of the table."""
    rows = "-" if answer.rows is None else str(len(answer.rows))
    return [
        f"GET {route.path}",
        answer.login or route.login,
        answer.tls or "-",
        "-" if answer.login_ms is None else f"{answer.login_ms:.0f}",
        f"{answer.ms:.0f}",
        rows + ("+" if answer.truncated else ""),
        "works" if works else "DOES NOT WORK",
    ]


def check_failed(run: Run, failed: list[Failure]) -> CheckFailed:
    """Return the error that says what does not work, why, and what to do."""
    lines = []
    for each in failed:
        lines += [f"{each.where}: {each.cause.sentence}", f"  proof: {each.cause.proof}"]
    steps = dict.fromkeys(each.cause.next_step for each in failed if each.cause.next_step)
    error = CheckFailed("\n".join(lines), next_step="; then ".join(steps))
    error.summary = run.summary(ok=False, error=error)
    return error


# --- rows -----------------------------------------------------------------------------------------


def unshared(good: list[tuple[LoginRoute, Answer]]) -> Failure | None:
    """Return the failure when a login does not see what the other stored just before it."""
    for (first, earlier), (second, later) in pairwise(good):
        if first.login != second.login and not contains(later, earlier):
            sentence = "the two functions do not use the same table of the same database"
            return Failure(
                f"rows stored by the {first.login} login, seen by the {second.login} login",
                Cause(sentence, f"{described(first, earlier)}; then {described(second, later)}"),
            )
    return None


def contains(later: Answer, earlier: Answer) -> bool:
    """Return whether all times of an answer are in a later one, each as often, and one more.

    Others may write meanwhile, and many rows may have one second's time. A truncated answer leaves
    out the oldest, which are then not looked for.
    """
    stored, before = later.rows or (), earlier.rows or ()
    expected = Counter(time for time in before if not later.truncated or time > stored[0])
    return expected <= Counter(stored) and (later.truncated or len(stored) > len(before))


def described(route: LoginRoute, answer: Answer) -> str:
    """Return in words what a route had stored."""
    rows = answer.rows or ()
    return f"GET {route.path} had {len(rows)} rows up to {rows[-1] if rows else 'none'}"
