"""What an environment costs, as `plan` and `status` show it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from provision.context import Run
from provision.engine.events import Display
from provision.pricing.table import HOURS_OF_30_DAYS, Estimate, dollars, estimate
from provision.resources.base import Seen


def size_of(instance: Seen | None) -> dict[str, Any]:
    """Return the arguments of `estimate` for a DB instance as AWS has it; none without one."""
    has = instance.properties if instance else {}
    return {
        "instance_class": str(has.get("DBInstanceClass", "")),
        "storage_gib": int(has.get("AllocatedStorage", 0)),
    }


def priced(run: Run, prices: str, instance: Seen | None = None) -> Estimate:
    """Return what the environment costs by our "table", or "live": by AWS's own list of today.

    `instance` is the DB instance as AWS has it, else as config.toml wants it. Raises AwsCallError
    when AWS's list does not answer.
    """
    size, at_aws = size_of(instance), None
    if prices == "live":
        from provision.pricing.live import live_prices

        wanted = run.config.database.instance_class
        at_aws = live_prices(run.aws, size["instance_class"] or wanted)
    return estimate(run.config, prices=at_aws, **size)


def show_costs(output: Display, costs: Estimate) -> None:
    """Show each part with its price, and the sum; report the sum to a program."""
    record_costs(output, costs)
    rows = [(part.what, *amounts(part.per_hour)) for part in costs.parts]
    rows.append(("total", *amounts(costs.per_hour)))
    columns = ("what costs", "an hour", "in 30 days")
    output.table(f"what it costs in {costs.region}, in US dollars:", columns, rows)


def amounts(per_hour: Decimal | None) -> tuple[str, str]:
    """Return the price of an hour and of 30 days, in words."""
    if per_hour is None:
        return "unknown", "unknown"
    return dollars(per_hour), dollars(per_hour * HOURS_OF_30_DAYS)


def record_costs(
    output: Display, costs: Estimate, *, so_far: Decimal | None = None, since: str | None = None
) -> None:
    """Report to a program what it costs, in US dollars; null where there is no price."""
    output.record(
        "cost",
        currency="USD",
        per_hour=number(costs.per_hour),
        per_30_days=number(costs.per_30_days),
        so_far=number(so_far),
        since=since,
        dated=costs.dated.isoformat(),
        source=costs.source,
        verified=costs.verified,
        missing=list(costs.missing),
    )


def number(amount: Decimal | None) -> float | None:
    """Return an amount for JSON, to a hundredth of a cent."""
    return None if amount is None else round(float(amount), 4)
