"""`provision up`: makes AWS match config.toml, then proves that both logins work."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from provision.cli.options import Options
from provision.commands.asking import ask, can_ask
from provision.commands.lifetimes import lifetime_notes
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.engine.lifetime import expiry_removed
from provision.engine.plan import Action, Plan
from provision.pricing.table import cost_note
from provision.resources.base import Change
from provision.views.style import Meaning, signed

RESET = Change("Password", None, None, sensitive=True)  # what uses the password follows


def up(options: Options, output: Display, **settings: Any) -> Summary:
    """Open a run, and bring it up; `settings` are those of `bring_up`. Returns the summary."""
    with opened(options, "up", output) as run:
        return bring_up(run, **settings)


def bring_up(
    run: Run,
    *,
    check: bool = True,
    preflight: bool = True,
    replace: Collection[str] = (),
    reset_password: bool = False,
    explain: bool = False,
    yes: bool = False,
    extend: str = "",
) -> Summary:
    """Make AWS match the configuration of an opened run; with `check`, prove both logins then.

    `extend` moves the expiry: "8h" from now, or "never". `replace` names steps to replace;
    `explain` shows each step's calls; `yes` does not ask before creating what costs money; without
    `preflight` the checks of account and region stop nothing. Returns the summary. Raises
    ProvisionError; Declined if the user says no.

    It plans, asks, takes the lock and plans again, so that no other run waits while a question is
    open. If the second plan differs, it releases the lock, shows the plan and asks again. If nobody
    was asked and no other run interfered, the first plan is still recent, and is used.
    """
    forced = {run.template.secret.step: RESET} if reset_password else {}
    look = functools.partial(run.plan, replace=replace, forced=forced)
    run.lifetime.extend = extend
    run.start()
    plan = look()
    while True:
        show(run, plan, explain=explain)
        if run.engine.has_nothing_to_do(plan):
            finish(run, plan, check=check)
            break
        examine(run, plan, strict=preflight)
        asked = not yes and costs(plan) and can_ask(run.output)
        if asked:
            question = f"Create this? {cost_note(run.config)}."
            ask(question, "yes", stop=run.poll_policy.stop, otherwise="nothing was changed")
        with run.changing():
            again = look(recent=not asked)
            if again.same_as(plan) or not asked:
                if not again.same_as(plan):
                    show(run, again, explain=explain)
                    examine(run, again, strict=preflight)
                run.state.check_writable()
                finish(run, again, check=check)
                break
        plan = again
    notes = [cost_note(run.config), *lifetime_notes(run)]
    return run.summary(notes=notes, next_commands=after_up())


def show(run: Run, plan: Plan, *, explain: bool) -> None:
    """Show what is going to be done, and with `explain` how."""
    run.output.planned(plan)
    if explain:
        from provision.views.explain import explain_plan

        explain_plan(run.aws, plan, run.output)


def examine(run: Run, plan: Plan, *, strict: bool) -> None:
    """Check account and region before a change. `strict`: raise what AWS is certain to refuse."""
    plan.refuse()
    layer = run.template.layer
    if plan.of(layer).action is not Action.NONE:
        layer.package.ensure()  # what cannot be built is known before anything is made
    if plan.to_do:
        from provision.verify.doctor.finding import Grade, of_grade
        from provision.verify.doctor.preflight import POOLS, preflight

        for each in of_grade(Grade.WARNING, preflight(run, plan, strict=strict)):
            if each.what == POOLS and run.poll_policy.speed > 1 and not run.output.verbose:
                continue  # a rehearsal's database takes any number of connections
            what_next = f" -> {each.next_step}" if each.next_step else ""
            words = f"warning: {each.what}: {each.reason}{what_next}"
            run.output.note(signed(Meaning.WARNING, words))


def finish(run: Run, plan: Plan, *, check: bool) -> None:
    """Carry the plan out, and with `check` prove both logins."""
    with expiry_removed(run.aws, plan, run.state):
        run.engine.carry_out(plan)
    api = plan.of(run.template.api).seen
    known = run.state.known().get(run.template.api.step) or (api.outputs if api else {})
    run.url = known.get("endpoint")
    if check:
        from provision.commands.check import prove_logins

        prove_logins(run)


def costs(plan: Plan) -> bool:
    """Return whether anything that is billed by the hour would be created."""
    return any(
        each.resource.costs and each.action in (Action.CREATE, Action.REPLACE)
        for each in plan.steps
    )


def after_up() -> list[tuple[str, str]]:
    """Return the suggested next commands."""
    return [
        ("python -m provision check", "call both routes again"),
        ("python -m provision status", "what exists, and what it costs"),
        ("python -m teardown", "delete everything"),
    ]
