"""`provision plan`: what `up` would do in the account. Reads only."""

from __future__ import annotations

from collections.abc import Collection

from provision.cli.options import Options
from provision.commands.costs import priced, show_costs
from provision.commands.lifetimes import lifetime_notes
from provision.commands.up import show
from provision.context import opened
from provision.engine.events import Display, Summary
from provision.engine.plan import Plan
from provision.pricing.table import note_of
from provision.resources.base import DataSource
from provision.verify.doctor.preflight import oversubscribed
from provision.views.style import Meaning, signed
from provision.views.words import plan_result


def plan(
    options: Options, output: Display, *, replace: Collection[str], explain: bool, prices: str
) -> tuple[Summary, int]:
    """Show what has to be done. Returns the summary and how many steps have something to do.

    `explain` shows each step's calls too; `prices` are "table" or "live" (costs.py). Raises
    ForeignResource or ReplacementRefused when `up` would refuse to start.
    """
    with opened(options, "plan", output) as run:
        run.start()
        found = run.plan(replace=replace)
        show(run, found, explain=explain)
        found.refuse()
        unchanged = len(found.counted) - len(found.to_do)
        costs = priced(run, prices)
        show_costs(output, costs)
        notes = [*not_counted(found), note_of(costs), *lifetime_notes(run)]
        percent, proxies = run.config.proxy.max_connections_percent, len(run.template.proxies)
        if words := oversubscribed(percent, proxies):
            notes.append(signed(Meaning.WARNING, f"warning: {words[0]}. {words[1]}"))
        summary = run.summary(
            unchanged=unchanged,
            verdict=plan_result(found),
            notes=notes,
            next_commands=[("python -m provision up", "carry this out")] if found.to_do else [],
        )
        return summary, len(found.to_do)


def not_counted(plan: Plan) -> list[str]:
    """Return in a line which parts of the environment no figure counts."""
    others = [each.resource for each in plan.steps if each not in plan.counted]
    looked_up = [each.step for each in others if isinstance(each, DataSource)]
    made_by_aws = [each.step for each in others if not isinstance(each, DataSource)]
    parts = [
        f"{', '.join(steps)} ({why})"
        for steps, why in ((looked_up, "only read"), (made_by_aws, "created by AWS"))
        if steps
    ]
    return [f"not counted: {', '.join(parts)}"] if parts else []
