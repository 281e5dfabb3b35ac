"""`provision doctor`: what breaks the path from client to database, or prevents an `up`.

Reads only. It checks account and region as long as no environment exists, each link of the chain
once one exists, and both if a DB instance or a proxy is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from provision.cli.options import Options, state_location
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.engine.plan import Plan
from provision.errors import CheckFailed
from provision.resources.base import ManagedResource
from provision.state.location import S3Location
from provision.verify.doctor.chain import chain_findings
from provision.verify.doctor.finding import Finding, Grade, in_words, next_steps, of_grade
from provision.verify.doctor.preflight import account_findings, costly, credentials, names, pools
from provision.views.style import Meaning, signed
from provision.views.words import some_fail

COLUMNS = ("link", "login", "verdict", "what was found")


def doctor(options: Options, output: Display) -> Summary:
    """Check everything that an environment needs. Returns the summary.

    Raises CheckFailed when something is bad, with what to do about it.
    """
    with opened(options, "doctor", output) as run:
        run.start()
        plan = run.plan()
        account = (
            account_findings(run, plan)
            if costly(plan)
            else [*credentials(run, plan), *names(run, plan), *pools(run, plan)]
        )
        at = state_location(options, run.config)
        if isinstance(at, S3Location):
            from provision.verify.doctor.state_bucket import state_bucket_findings

            account += state_bucket_findings(run, at)
        chain = chain_findings(run, plan) if ours(run, plan) else []
        show(output, "account", "the account and the region:", account)
        show(output, "link", "the chain, as AWS has it:", chain)
        if failed := of_grade(Grade.BAD, [*account, *chain]):
            raise CheckFailed(
                in_words(failed),
                next_step=next_steps(failed),
                verdict=some_fail(len(failed), len(account) + len(chain), "checks"),
                tabled=True,
            )
        return run.summary(notes=[verdict(run, chain)], next_commands=next_commands(chain))


def ours(run: Run, plan: Plan) -> bool:
    """Return whether any resource of the environment exists."""
    known = run.state.known()
    return any(
        each.seen and each.resource.owned(run.aws, each.seen, known.get(each.step, {}))
        for each in plan.steps
        if isinstance(each.resource, ManagedResource)
    )


def show(output: Display, scope: str, title: str, findings: Sequence[Finding]) -> None:
    """Show a table to a person, a record for each finding to a program."""
    rows = []
    for each in findings:
        output.record(
            "finding",
            scope=scope,
            what=each.what,
            login=each.login or None,
            verdict=each.verdict.value,
            reason=each.reason,
            next=each.next_step or None,
        )
        meaning = Meaning[each.verdict.name]
        loud = each.verdict.value.upper() if each.verdict is Grade.BAD else each.verdict.value
        reason = each.reason
        if each.verdict is Grade.WARNING and each.next_step:
            reason += f" -> {each.next_step}"
        rows.append((each.what, each.login or "-", signed(meaning, loud), reason))
    if rows:
        output.table(title, COLUMNS, rows)


def verdict(run: Run, chain: Sequence[Finding]) -> str:
    """Return the result in a line, when nothing is bad."""
    if chain:
        return "every link is good; `check` calls the routes to prove it"
    name = run.config.environment.name
    return f"environment {name} does not exist, and nothing prevents creating it"


def next_commands(chain: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return the suggested next command."""
    if chain:
        return [("python -m provision check", "call both routes")]
    return [("python -m provision up", "create it")]
