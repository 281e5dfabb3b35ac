"""`provision up`: makes AWS match config.toml, then shows that both logins work."""

from __future__ import annotations

from collections.abc import Collection

from provision.cli.options import Options
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.pricing.table import cost_note
from provision.resources.base import Change

RESET = Change("Password", None, None, sensitive=True)  # what uses the password follows


def up(
    options: Options,
    output: Display,
    *,
    check: bool = True,
    replace: Collection[str] = (),
    reset_password: bool = False,
    explain: bool = False,
) -> Summary:
    """Make AWS match the configuration; with `check`, prove both logins afterwards.

    `replace` names steps to make anew; `explain` shows each step's calls. Returns the summary.
    Raises ProvisionError.
    """
    with opened(options, "up", output, writes=True) as run:
        return bring_up(
            run, check=check, replace=replace, reset_password=reset_password, explain=explain
        )


def bring_up(
    run: Run,
    *,
    check: bool = True,
    replace: Collection[str] = (),
    reset_password: bool = False,
    explain: bool = False,
) -> Summary:
    """Make AWS match the configuration of an opened run. Returns the summary."""
    run.start()
    run.state.check_writable()
    forced = {run.template.secret.step: RESET} if reset_password else {}
    plan = run.plan(replace=replace, forced=forced)
    run.output.planned(plan)
    if explain:
        from provision.views.explain import explain_plan

        explain_plan(run, plan)
    if plan.to_do:
        from provision.verify.doctor.finding import warnings
        from provision.verify.doctor.preflight import preflight

        for each in warnings(preflight(run, plan)):
            run.output.note(f"{each.what}: {each.reason}")
    run.engine.carry_out(plan)
    run.url = run.state.steps[run.template.api.step].outputs.get("endpoint")
    if check:
        from provision.commands.check import prove_logins

        prove_logins(run)
    return run.summary(notes=[cost_note(run.config)], next_commands=after_up())


def after_up() -> list[tuple[str, str]]:
    """Return the commands that make sense now."""
    return [
        ("python -m provision check", "call both routes again"),
        ("python -m provision status", "what is there, and what it costs"),
        ("python -m teardown", "delete it all"),
    ]
