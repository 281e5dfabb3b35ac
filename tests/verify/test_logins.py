"""The proof of both logins: what is waited for, what is not, and what a person is told of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest

from provision.commands.check import prove_logins
from provision.config import Config
from provision.context import Run
from provision.environment import environment
from provision.errors import CheckFailed, Interrupted
from provision.verify import logins
from provision.verify.diagnosis import Cause
from provision.verify.http_client import LOGIN_ROUTES, Answer, FunctionError, LoginRoute
from provision.verify.logins import contains, look_of, may_pass, not_shared
from provision.waiting.poll import PollPolicy, PollResult, Verdict

URL = "https://a1b2c3.execute-api.eu-west-1.amazonaws.com"
PASSWORD, ROOT, IAM = LOGIN_ROUTES
READY = PollResult(Verdict.READY, "AVAILABLE")
WAIT = PollResult(Verdict.WAIT, "REGISTERING")
FAILED = PollResult(Verdict.FAILED, "UNAVAILABLE", "AUTH_FAILURE")
WRONG = Cause("the secret has another password", "Access denied (1045)", "up --reset-password")
DENIED = Answer(500, "iam", error=FunctionError("ProgrammingError", "1045"))
BROKEN = Answer(500, "password", error=FunctionError("ImportError", ""))


def good(route: LoginRoute, *rows: str, tls: str = "TLSv1.3") -> Answer:
    return Answer(200, route.login, tls, 12.4, 80.04, rows or ("2026-11-26 08:00:00",))


class AtOnce(threading.Event):
    """A run's `stop` on which no wait takes any time."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class Told:
    """Keeps what a person and a program are told."""

    def __init__(self) -> None:
        self.statuses: list[tuple[str, str]] = []
        self.ended: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.rows: list[list[str]] = []
        self.notes: list[str] = []

    def status(self, resource: Any, status: str, reason: str = "") -> None:
        self.statuses.append((resource.step, status))

    def finished(self, resource: Any, *_: object) -> None:
        self.ended.append(resource.step)

    def activity(self, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)

    def record(self, event: str, **values: Any) -> None:
        self.records.append({"event": event, **values})

    def table(self, title: str, columns: Any, rows: Any) -> None:
        self.rows = rows


class Diagnosis:
    """Knows the causes of a test; certain from the second look on, as the real one is."""

    def __init__(self, causes: Mapping[str, Cause]) -> None:
        self.looks = 0
        self.causes = {r: causes[r.login] for r in LOGIN_ROUTES if r.login in causes}

    def examine(self, failing: Mapping[LoginRoute, Any]) -> None:
        self.looks += 1

    def certain(self, route: LoginRoute) -> bool:
        return self.looks > 1 and route in self.causes and self.causes[route].certain


class Bench:
    """A run whose routes and targets answer what a test says; the last answer stays."""

    def __init__(self) -> None:
        self.told = Told()
        self.stop = AtOnce()
        self.answers: dict[LoginRoute, list[Answer]] = {}
        self.targets: dict[str, list[PollResult]] = {}
        self.causes: dict[str, Cause] = {}
        self.weak: Cause | None = None
        self.remembered: dict[str, Any] = {}
        self.calls: list[str] = []
        self.written = 0
        template = environment(Config(), packed=False)
        self.run = SimpleNamespace(
            template=template,
            url=URL,
            output=self.told,
            poll_policy=PollPolicy(0.01, 0.5, stop=self.stop),
            remember_check=self.remembered.update,
            summary=lambda **given: given,
        )

    def call(self, url: str, route: LoginRoute) -> Answer:
        assert url == URL
        self.calls.append(route.path)
        self.written += 1  # each call stores a row that both logins then see
        rows = tuple(f"2026-11-26 08:00:{second:02}" for second in range(self.written))
        return taken(self.answers.get(route)) or good(route, *rows)

    def prove(self) -> None:
        def target(proof: logins.Proof, login: Any) -> PollResult:
            look = taken(self.targets.get(login)) or READY
            proof._tell(self.run.template.targets[login], look)
            return look

        with (
            mock.patch.object(logins, "call", self.call),
            mock.patch.object(logins, "Diagnosis", return_value=Diagnosis(self.causes)),
            mock.patch.object(logins.Proof, "_target", target),
            mock.patch("provision.commands.check.weak_settings", return_value=self.weak),
        ):
            prove_logins(cast("Run", self.run))

    def failed(self) -> CheckFailed:
        with pytest.raises(CheckFailed) as told:
            self.prove()
        return told.value


def taken(answers: list[Any] | None) -> Any:
    """The next of some answers; the last one is given again and again."""
    if not answers:
        return None
    return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_each_route_is_called_twice_and_each_login_sees_the_others_rows(bench: Bench) -> None:
    bench.prove()
    assert bench.calls == ["/func1", "/", "/func2"] * 2
    assert [each["ok"] for each in bench.told.records] == [True] * 3
    record = bench.told.records[2]
    assert record | {"rows": 0} == {
        "event": "check", "route": "/func2", "login": "iam", "ok": True, "tls": "TLSv1.3",
        "login_ms": 12.4, "ms": 80.0, "rows": 0, "kind": None, "cause": None, "proof": None,
        "next": None,
    }  # fmt: skip
    assert [row[1] for row in bench.told.rows] == ["password", "password", "iam"]
    assert all(row[-1].endswith("works") for row in bench.told.rows)
    assert bench.told.statuses == [], "nothing was waited for"
    assert {k: v.get("ok", True) for k, v in bench.remembered["logins"].items()}.keys() == {
        "password",
        "iam",
    }
    assert bench.told.notes == ["both logins work, and each sees the rows that the other stores"]


def test_a_target_that_registers_is_waited_for_and_said(bench: Bench) -> None:
    bench.targets["iam"] = [WAIT, WAIT, READY]
    bench.prove()
    assert ("target-iam", "REGISTERING") in bench.told.statuses
    assert bench.told.statuses[-1] == ("target-iam", "AVAILABLE")
    assert bench.told.ended == ["target-iam"]


def test_a_target_that_does_not_become_available_ends_in_the_calls(bench: Bench) -> None:
    bench.targets["iam"] = [FAILED]
    bench.causes = {"iam": WRONG, "password": WRONG}
    bench.answers[IAM] = [DENIED]
    told = bench.failed()
    assert bench.calls[:3] == ["/func1", "/", "/func2"], "the calls show what becomes of it"
    assert "target-iam" in bench.told.ended
    assert told.next_step == "up --reset-password"


def test_an_answer_that_may_pass_is_waited_for(bench: Bench) -> None:
    bench.causes = {"iam": Cause("not known", "-", certain=False), "password": WRONG}
    bench.answers[IAM] = [
        DENIED,
        DENIED,
        good(IAM, *(f"2026-11-26 08:00:{s:02}" for s in range(9))),
    ]
    bench.answers[PASSWORD] = [good(PASSWORD)]
    bench.answers[ROOT] = [good(ROOT)]
    with pytest.raises(CheckFailed, match="not seen by the password login"):
        bench.prove()  # the password login has one row and no more
    assert bench.calls.count("/func2") == 4
    assert ("route-func2", "calling") in bench.told.statuses


def test_a_login_that_fails_for_a_certain_cause_is_told_with_its_proof(bench: Bench) -> None:
    bench.causes = {"iam": WRONG, "password": WRONG}
    bench.answers[IAM] = [DENIED]
    told = bench.failed()
    assert told.message == (
        "iam login (GET /func2): the secret has another password\n  proof: Access denied (1045)"
    )
    assert "1 of 3 routes fails" in told.verdict
    assert bench.calls == ["/func1", "/", "/func2", "/func2", "/func1", "/"]
    record = bench.told.records[2]
    assert (record["ok"], record["cause"], record["next"]) == (
        False, "the secret has another password", "up --reset-password",
    )  # fmt: skip
    assert bench.told.rows[2][2:6] == ["-", "-", "0", "-"]
    assert bench.told.rows[2][-1].endswith("DOES NOT WORK")
    assert cast("Any", told.summary)["ok"] is False


def test_two_logins_that_fail_alike_are_told_once(bench: Bench) -> None:
    bench.causes = {"iam": WRONG, "password": WRONG}
    bench.answers = {PASSWORD: [BROKEN], ROOT: [BROKEN], IAM: [DENIED]}
    told = bench.failed()
    both = "password login (GET /func1, GET /) and iam login (GET /func2): "
    assert told.message.startswith(both)
    assert "3 of 3 routes fail" in told.verdict


def test_weak_settings_fail_though_both_logins_work(bench: Bench) -> None:
    bench.weak = Cause("the proxy does not require TLS", "RequireTLS is False")
    told = bench.failed()
    assert "iam login: the proxy does not require TLS" in told.message
    assert told.verdict == "every route answers, but not as it should"


def test_an_interrupted_check_calls_no_further_route(bench: Bench) -> None:
    def stopped(_url: str, route: LoginRoute) -> Answer:
        bench.stop.set()
        bench.calls.append(route.path)
        return good(route)

    with mock.patch.object(bench, "call", stopped), pytest.raises(Interrupted):
        bench.prove()
    assert bench.calls == ["/func1"]
    assert bench.told.rows == []


# --- what an answer means -------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["1045", "9501", "1040", "1105", "2003", "2006", "2013"])
def test_what_the_database_refuses_for_a_while_may_pass(code: str) -> None:
    assert may_pass(Answer(500, error=FunctionError("OperationalError", code)))
    assert not may_pass(Answer(500, error=FunctionError("OperationalError", code + "0")))


@pytest.mark.parametrize(
    ("status", "passes"),
    [(0, True), (404, True), (429, True), (500, True), (504, True), (200, False), (403, False)],
)
def test_what_the_api_refuses_for_a_while_may_pass(status: int, passes: bool) -> None:
    assert may_pass(Answer(status)) is passes


def test_an_error_of_a_function_passes_only_where_it_is_not_available() -> None:
    error = FunctionError("ImportError", "")
    assert may_pass(Answer(503, error=error))
    assert not may_pass(Answer(500, error=error))


def test_an_answer_in_the_wrong_way_is_not_one_that_works() -> None:
    assert look_of(IAM, good(IAM)).verdict is Verdict.READY
    assert look_of(IAM, good(IAM, tls="none")).verdict is Verdict.SUSPECT
    assert look_of(IAM, good(PASSWORD), hopeful=False).verdict is Verdict.FAILED


ONE, TWO, THREE = (f"2026-11-26 08:00:0{n}" for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("earlier", "later", "seen"),
    [
        ((ONE,), (ONE, TWO), True),
        ((ONE,), (ONE, ONE), True),  # two in one second
        ((ONE,), (ONE,), False),
        ((ONE, ONE), (ONE, TWO, THREE), False),
        ((ONE, TWO), (TWO, THREE), False),
    ],
)
def test_rows_are_shared_when_all_are_seen_and_one_more(
    earlier: tuple[str, ...], later: tuple[str, ...], seen: bool
) -> None:
    first, then = good(PASSWORD, *earlier), good(IAM, *later)
    assert contains(then, first) is seen
    apart = not_shared([(PASSWORD, first), (IAM, then)])
    assert (apart is None) is seen
    if apart:
        assert apart[:2] == ("password", "iam")
        assert apart[2].startswith("GET /func1 had ")
        assert f"the newest of {later[-1]}" in apart[2]
    assert not_shared([(PASSWORD, first), (ROOT, then)]) is None, "one login"


def test_the_oldest_rows_may_be_left_out() -> None:
    later = Answer(200, "iam", rows=(TWO, THREE), truncated=True)
    assert contains(later, good(PASSWORD, ONE, THREE))
    assert not contains(later, good(PASSWORD, ONE, THREE, THREE))
