"""`provision check`, and the end of every `up`: calls the routes and says whether both logins work.

It changes nothing at AWS, except that each call stores a row. When a login does not
work, the diagnosis says why, with proof, and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.aws.account import calling
from provision.cli.options import Options
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.engine.history import LoginRecord, check_record
from provision.errors import CheckFailed, ProvisionError
from provision.verify.diagnosis import Cause, weak_settings
from provision.verify.http_client import LOGIN_ROUTES, Answer, LoginRoute
from provision.verify.logins import Proof, not_shared
from provision.views.style import Meaning, link, signed
from provision.views.words import some_fail

COLUMNS = ("route", "login", "TLS", "login ms", "whole ms", "rows", "verdict")


@dataclass(frozen=True)
class Failure:
    """A failure, and its cause."""

    what: str
    cause: Cause


def check(options: Options, output: Display) -> Summary:
    """Prove both logins of an existing environment. Returns the summary.

    Raises CheckFailed when a login does not work, ProvisionError when there is no environment.
    """
    with opened(options, "check", output, looks=False) as run:
        run.start()
        run.url = api_endpoint(run)
        prove_logins(run)
        return run.summary(happened=f"all {len(LOGIN_ROUTES)} routes work, with both logins")


def api_endpoint(run: Run) -> str:
    """Return the URL of the environment's API, found by its tags. Raises ProvisionError."""
    api = run.template.api
    known = run.state.known().get(api.step, {})
    with calling(api.step):
        seen = api.find(run.aws, known)
    if seen is None or not api.owned(run.aws, seen, known):
        raise ProvisionError(
            f"no HTTP API to call in the {run.about()}",
            next_step="`python -m provision up` creates it. If it should exist, check the account, "
            "the region and environment.name.",
        )
    return seen.outputs["endpoint"]


def prove_logins(run: Run) -> None:
    """Call the routes of `run.url` until both logins are proven, and show how it went.

    Raises CheckFailed, with cause, proof and next command, when a login does not work; Interrupted.
    """
    proof = Proof(run, run.url or api_endpoint(run))
    proof.wait_for_targets()
    run.output.activity(f"calling {', '.join(f'GET {route.path}' for route in LOGIN_ROUTES)}")
    proof.call_all()
    proof.call_all()  # once more: warm, and each login then sees what the other has stored
    run.output.activity("")
    show(run.output, proof)
    run.remember_check(check_record(found(proof)))
    if failed := failures(proof):
        raise check_failed(run, failed, verdict_of(proof))
    run.output.note("both logins work, and each sees the rows that the other stores")


def found(proof: Proof) -> dict[str, LoginRecord]:
    """Return the result of the last call for each login."""
    failing = {route.login for route in proof.failing()}
    return {
        route.login: LoginRecord(
            route.login not in failing, answer.tls, answer.login_ms, round(answer.ms, 1)
        )
        for route, answer in proof.answers.items()
    }


def failures(proof: Proof) -> list[Failure]:
    """Return the failures: of the logins, or else of what they have to do together."""
    by_cause: dict[str, list[LoginRoute]] = {}
    for route in proof.failing():
        by_cause.setdefault(proof.cause(route).sentence, []).append(route)
    failed = [Failure(named(routes), proof.cause(routes[0])) for routes in by_cause.values()]
    return failed or shortcomings(proof)


def named(routes: list[LoginRoute]) -> str:
    """Return routes in words: `password login (GET /func1, GET /) and iam login (GET /func2)`."""
    paths: dict[str, list[str]] = {}
    for route in routes:
        paths.setdefault(route.login, []).append(f"GET {route.path}")
    return " and ".join(f"{login} login ({', '.join(same)})" for login, same in paths.items())


def shortcomings(proof: Proof) -> list[Failure]:
    """Return what is wrong even though both logins work."""
    failed = []
    if cause := weak_settings(proof.run):
        failed.append(Failure("iam login", cause))
    if apart := not_shared(proof.good):
        first, second, seen = apart
        sentence = "the two functions do not use the same table of the same database"
        where = f"rows that the {first} login stores are not seen by the {second} login"
        failed.append(Failure(where, Cause(sentence, seen, kind="rows-apart")))
    return failed


def verdict_of(proof: Proof) -> str:
    """Return in words how many routes fail."""
    if failing := proof.failing():
        return some_fail(len(failing), len(LOGIN_ROUTES), "routes")
    return "every route answers, but not as it should"


def check_failed(run: Run, failed: list[Failure], verdict: str) -> CheckFailed:
    """Return the error that says what does not work, why, and what to do."""
    lines = []
    for each in failed:
        lines += [f"{each.what}: {each.cause.sentence}", f"  proof: {each.cause.proof}"]
    steps = dict.fromkeys(each.cause.next_step for each in failed)
    error = CheckFailed("\n".join(lines), next_step="; ".join(steps), verdict=verdict)
    error.summary = run.summary(ok=False, error=error)
    return error


# --- what is shown --------------------------------------------------------------------------------


def show(output: Display, proof: Proof) -> None:
    """Show a table to a person, and a record for each route to a program."""
    failing, rows = proof.failing(), []
    for route in LOGIN_ROUTES:
        answer = proof.answers[route]
        cause = proof.cause(route) if route in failing else None
        output.record("check", **facts(route, answer, cause))
        rows.append(cells(proof.url, route, answer, works=cause is None))
    output.table("both logins, as the API answers:", COLUMNS, rows)


def facts(route: LoginRoute, answer: Answer, cause: Cause | None) -> dict[str, object]:
    """Return a route's record; times in milliseconds."""
    return {
        "route": route.path,
        "login": answer.login or route.login,
        "ok": cause is None,
        "tls": answer.tls or None,
        "login_ms": answer.login_ms,
        "ms": round(answer.ms, 1),
        "rows": None if answer.rows is None else len(answer.rows),
        "kind": cause.kind if cause else None,
        "cause": cause.sentence if cause else None,
        "proof": cause.proof if cause else None,
        "next": cause.next_step if cause else None,
    }


def cells(url: str, route: LoginRoute, answer: Answer, *, works: bool) -> list[str]:
    """Return a route's line of the table."""
    rows = "-" if answer.rows is None else f"{len(answer.rows)}{'+' if answer.truncated else ''}"
    return [
        link(f"GET {route.path}", url + route.path),
        answer.login or route.login,
        answer.tls or "-",
        "-" if answer.login_ms is None else f"{answer.login_ms:.0f}",
        f"{answer.ms:.0f}",
        rows,
        signed(Meaning.GOOD, "works") if works else signed(Meaning.BAD, "DOES NOT WORK"),
    ]
