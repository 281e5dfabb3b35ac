"""When an environment expires, and what it costs until then, for `up`, `plan` and `status`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal

from provision.commands.costs import number
from provision.context import Run
from provision.engine import lifetime
from provision.pricing.table import Estimate, dollars, estimate
from provision.resources.expiry import TIME
from provision.views.words import duration


def lifetime_notes(run: Run) -> Iterator[str]:
    """Report, and yield in words, when the environment expires and what it costs until then."""
    if run.lifetime.ignored:
        after = run.lifetime.after
        yield (
            f"environment.expires_after = {after!r} has no effect: the environment was created "
            f"without an expiry. `python -m provision up --extend {after}` gives it one"
        )
    moment = run.lifetime.moment
    if moment is None:
        return
    left, costs = moment - lifetime.now(), estimate(run.config)
    run.output.record(
        "lifetime",
        expires=moment.strftime(TIME),
        seconds_left=round(left.total_seconds()),
        usd_left=number(cost_of(costs, left)),
    )
    yield lifetime_words(moment, costs)


def cost_of(costs: Estimate, left: datetime.timedelta) -> Decimal | None:
    """Return what an environment costs in the time that it has left; None without a price."""
    if costs.per_hour is None:
        return None
    return costs.per_hour * Decimal(max(0.0, left.total_seconds())) / 3600


def lifetime_words(moment: datetime.datetime, costs: Estimate) -> str:
    """Return in a line when an environment expires, and what it costs until then."""
    left = moment - lifetime.now()
    at = f"{moment:%Y-%m-%d %H:%M} UTC"
    if left <= datetime.timedelta():
        return (
            f"expired at {at}, {duration(-left.total_seconds())} ago: `python -m teardown "
            "--expired` deletes it, `python -m provision up --extend 8h` extends it"
        )
    amount = cost_of(costs, left)
    price = "an unknown amount" if amount is None else f"about {dollars(amount)}"
    return f"expires at {at}, in {duration(left.total_seconds())}: {price} until then"
