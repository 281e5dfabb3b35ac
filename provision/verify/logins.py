"""Calls the routes until both logins are proven, or it is known that waiting does not help.

What AWS has decides how patient to be: while nothing there explains a failure, it may be that a new
API, role or policy has not spread yet; once something does, the failure is reported at once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise

from provision.aws.account import calling
from provision.context import Run
from provision.errors import ResourceFailed, WaitTimeout
from provision.resources.base import Resource
from provision.resources.references import bind
from provision.resources.template import LOGINS, Login
from provision.verify.diagnosis import Cause, Diagnosis
from provision.verify.http_client import LOGIN_ROUTES, Answer, LoginRoute, call, counted
from provision.waiting.poll import PollResult, Verdict, interrupted, until

PATIENCE_SECONDS = 120.0  # of AWS's time: how long a new API, role or policy may still refuse
FIRST_LOOKS = 2  # at targets, each with a diagnosis
LOOKS_BETWEEN = 12  # looks at targets between two later diagnoses
CLOCK_SECONDS = 30.0  # by which AWS's clock may differ from ours
# What a function answers although it may pass: a role, policy or secret that has not reached the
# proxy yet (1045), no connection free (9501, 1040), AWS's own trouble (1105), a broken connection.
MAY_PASS = {"1045", "9501", "1040", "1105", "2003", "2006", "2013"}


@dataclass
class Proof:
    """The calls of one check: each route's last answer, and every good one in its order."""

    run: Run
    url: str
    answers: dict[LoginRoute, Answer] = field(default_factory=dict)
    good: list[tuple[LoginRoute, Answer]] = field(default_factory=list)
    diagnosis: Diagnosis = field(init=False)

    def __post_init__(self) -> None:
        self.diagnosis = Diagnosis(self.run, since=time.time() - CLOCK_SECONDS)
        self._looks = 0
        self._open: list[LoginRoute] = []
        self._waited: dict[Resource, float] = {}  # since when

    # --- the targets ------------------------------------------------------------------------------

    def wait_for_targets(self) -> None:
        """Wait until both proxies' targets are AVAILABLE, or it is known that they will not be.

        Raises Interrupted, or what AWS refuses. What becomes of a wait in vain is shown by
        the calls, and the diagnosis knows why.
        """
        self._wait(self._look_at_targets, "the proxies' targets")

    def _look_at_targets(self) -> PollResult:
        looks = {login: self._target(login) for login in LOGINS}
        waiting = [r for r in LOGIN_ROUTES if looks[r.login].verdict is not Verdict.READY]
        if not waiting:
            return PollResult(Verdict.READY, "")
        self._looks += 1
        if self._looks <= FIRST_LOOKS or self._looks % LOOKS_BETWEEN == 0:
            self.diagnosis.examine(dict.fromkeys(waiting))
        worst = max(
            (looks[route.login] for route in waiting),
            key=lambda look: (look.verdict is Verdict.FAILED, look.grace_seconds),
        )
        if all(self.diagnosis.certain(route) for route in waiting):
            return PollResult(Verdict.FAILED, worst.status, worst.reason)
        return worst

    def _target(self, login: Login) -> PollResult:
        template = self.run.template
        target, proxy = template.targets[login], template.proxies[login]
        instance = template.db_instance
        names = {proxy.step: {"proxy": proxy.name}, instance.step: {"id": instance.name}}
        with calling(target.step):
            look = target.look(bind(target, names).find(self.run.aws, {}))
        self._tell(target, look)
        return look

    # --- the calls --------------------------------------------------------------------------------

    def call_all(self) -> None:
        """Call every route that works, or was not called yet. Raises Interrupted."""
        self._open = [
            route
            for route in LOGIN_ROUTES
            if route not in self.answers or self.answers[route].works(route.login)
        ]
        self._wait(self._look_at_answers, "the routes")

    def _look_at_answers(self) -> PollResult:
        for route in self._open:
            if self.run.poll_policy.stop.is_set():
                raise interrupted()
            answer = self.answers[route] = call(self.url, route)
            if answer.works(route.login):
                self.good.append((route, answer))
            self._tell(self.run.template.routes[route.name], look_of(route, answer))
        self._open = self.failing()
        if not self._open:
            return PollResult(Verdict.READY, "")
        self.diagnosis.examine({route: self.answers[route] for route in self._open})
        first = self._open[0]
        hopeful = any(
            may_pass(self.answers[route]) and not self.diagnosis.certain(route)
            for route in self._open
        )
        return look_of(first, self.answers[first], hopeful=hopeful)

    def failing(self) -> list[LoginRoute]:
        """Return the routes whose last answer is not that of a login that worked."""
        return [r for r in LOGIN_ROUTES if r in self.answers and not self.answers[r].works(r.login)]

    def cause(self, route: LoginRoute) -> Cause:
        """Return why a route that was called does not work."""
        return self.diagnosis.causes[route]

    # --- waiting ----------------------------------------------------------------------------------

    def _wait(self, look: Callable[[], PollResult], what: str) -> None:
        try:
            until(look, what=what, poll_policy=self.run.poll_policy, report=lambda *_: None)
        except (ResourceFailed, WaitTimeout):
            pass  # what came of it is in `answers`, and why in the diagnosis
        finally:
            for resource in list(self._waited):
                self._ended(resource)

    def _tell(self, resource: Resource, look: PollResult) -> None:
        """Report what is waited for, and when that ends; nothing of what needs no wait."""
        output = self.run.output
        if look.verdict is not Verdict.READY:
            self._waited.setdefault(resource, time.monotonic())
            output.status(resource, look.status, look.reason)
        elif resource in self._waited:
            output.status(resource, look.status, look.reason)
            self._ended(resource)

    def _ended(self, resource: Resource) -> None:
        seconds = time.monotonic() - self._waited.pop(resource)
        self.run.output.finished(resource, "unchanged", resource.name, seconds)


def look_of(route: LoginRoute, answer: Answer, *, hopeful: bool = True) -> PollResult:
    """Return what an answer means for the one who waits for a good one."""
    if answer.works(route.login):
        return PollResult(Verdict.READY, "answers")
    verdict = Verdict.SUSPECT if hopeful else Verdict.FAILED
    return PollResult(verdict, "calling", str(answer), PATIENCE_SECONDS)


def may_pass(answer: Answer) -> bool:
    """Return whether the same call may be answered well a little later."""
    if answer.error:
        return answer.error.code in MAY_PASS or answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    return answer.status in (0, 404, 429, 500, 502, 503, 504)


# --- rows that one login stores and the other sees ------------------------------------------------


def not_shared(good: list[tuple[LoginRoute, Answer]]) -> tuple[str, str, str] | None:
    """Return who does not see the rows that the other login stored just before: both, and proof."""
    for (first, earlier), (second, later) in pairwise(good):
        if first.login != second.login and not contains(later, earlier):
            proof = f"{described(first, earlier)}; then {described(second, later)}"
            return first.login, second.login, proof
    return None


def contains(later: Answer, earlier: Answer) -> bool:
    """Return whether all times of an answer are in a later one, each as often, and one more.

    Others may write meanwhile, and many rows may have one second's time. A truncated answer leaves
    out the oldest, which are then not looked for.
    """
    stored, before = later.rows or (), earlier.rows or ()
    expected = Counter(row for row in before if not later.truncated or row > stored[0])
    return expected <= Counter(stored) and (later.truncated or len(stored) > len(before))


def described(route: LoginRoute, answer: Answer) -> str:
    """Return in words what a route had stored."""
    rows = answer.rows or ()
    newest = f", the newest of {rows[-1]}" if rows else ""
    return f"GET {route.path} had {counted(rows)}{newest}"
