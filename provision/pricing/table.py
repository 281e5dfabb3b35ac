"""What an environment costs, by the dated table in prices.toml, or by AWS's list (live.py).

AWS bills the DB instance by the second from `available` until it is deleted, ten minutes at least
(RDS User Guide, "On-Demand DB instances"); a proxy by the hour for every vCPU of the instance
behind it, two at least; storage and the secret by the month, counted as 730 hours. A region or an
instance class that is not in the table has no price: none is invented.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from provision.config import Config
from provision.environment import environment

TABLE = Path(__file__).with_name("prices.toml")
HOURS_A_MONTH = 730
WHOLE_DOLLARS = 10  # from here on cents do not matter
HOURS_OF_30_DAYS = 720
LEAST_PROXY_VCPUS = 2
LEAST_INSTANCE_HOURS = Decimal(10) / 60


@dataclass(frozen=True)
class Part:
    """One thing that costs money."""

    step: str  # the step whose resource is billed
    what: str
    per_hour: Decimal | None = None  # US dollars; None where the table has no price
    verified: bool = False


@dataclass(frozen=True)
class Estimate:
    """What an environment costs, in US dollars. Traffic, requests and logs are left out."""

    region: str
    parts: tuple[Part, ...]
    dated: datetime.date  # of the prices
    source: str
    live: bool = False  # whether AWS's price list was used, not the table

    @property
    def per_hour(self) -> Decimal | None:
        """What all parts cost an hour; None when one of them has no price in the table."""
        known = [part.per_hour for part in self.parts if part.per_hour is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.parts) else None

    @property
    def per_30_days(self) -> Decimal | None:
        """What all parts cost in 30 days; None when one of them has no price in the table."""
        return None if self.per_hour is None else self.per_hour * HOURS_OF_30_DAYS

    @property
    def verified(self) -> bool:
        """Whether every price was read at its source."""
        return all(part.verified for part in self.parts)

    @property
    def missing(self) -> tuple[str, ...]:
        """What has no price in the table."""
        return tuple(part.what for part in self.parts if part.per_hour is None)

    def of(self, steps: Collection[str]) -> Estimate:
        """Return the estimate for these steps alone."""
        return replace(self, parts=tuple(part for part in self.parts if part.step in steps))


def estimate(
    config: Config,
    *,
    instance_class: str = "",
    storage_gib: int = 0,
    prices: Mapping[str, Any] | None = None,
) -> Estimate:
    """Return what the environment of `config` costs in its region.

    `instance_class` and `storage_gib` take the place of the configuration's: what AWS really has.
    `prices` are those of `live_prices`, or the table's.
    """
    table = price_table() if prices is None else prices
    region = config.environment.region
    rates = table.get(region, {})
    name = instance_class or config.database.instance_class
    gib = storage_gib or config.database.allocated_storage_gib
    vcpus = table["vcpus"].get(name)
    proxy = rates.get("proxy") if vcpus else None
    template = environment(config, packed=False)
    instance = template.db_instance.step
    parts = [
        part(instance, f"DB instance {name}", rates.get("instance", {}).get(name)),
        part(instance, f"{gib} GiB of gp3 storage", rates.get("storage"), gib),
        Part(instance, "Extended Support: opted out of", Decimal(0), verified=True),
        *(
            part(each.step, f"RDS Proxy {each.step}", proxy, max(LEAST_PROXY_VCPUS, vcpus or 0))
            for each in template.proxies.values()
        ),
        part(template.secret.step, "secret", rates.get("secret")),
    ]
    live = prices is not None
    return Estimate(region, tuple(parts), table["dated"], table["source"], live)


def part(step: str, what: str, rate: Mapping[str, Any] | None, quantity: int = 1) -> Part:
    """Return one part at `rate`: an entry of the table, or None where the table has none."""
    if rate is None:
        return Part(step, what)
    hours = HOURS_A_MONTH if rate["per"].endswith("month") else 1
    return Part(step, what, rate["price"] * quantity / hours, rate["verified"])


def spent(
    estimate: Estimate, created: Mapping[str, datetime.datetime], now: datetime.datetime
) -> Decimal | None:
    """Return what the parts have cost by `now`, in US dollars; None when one has no price.

    `created` has, by step, since when each is billed (with a time zone); a part that is not in it
    has cost nothing. Takes it that a part was all the time as it is now.
    """
    total = Decimal(0)
    for each in estimate.parts:
        since = created.get(each.step)
        if since is None:
            continue
        if each.per_hour is None:
            return None
        hours = Decimal(max(0.0, (now - since).total_seconds())) / 3600
        least = LEAST_INSTANCE_HOURS if each.what.startswith("DB instance") else Decimal(0)
        total += each.per_hour * max(hours, least)
    return total


def cost_note(config: Config) -> str:
    """Return in one line what the environment of `config` costs, and how sure that is."""
    return note_of(estimate(config))


def note_of(what: Estimate) -> str:
    """Return an estimate in one line."""
    table = f"{'AWS price list' if what.live else 'table'} of {what.dated:%Y-%m-%d}"
    if what.per_hour is None or what.per_30_days is None:
        the = table if what.live else f"price {table}"
        everything = all(not part.per_hour for part in what.parts)
        which = "" if everything else f" for {', '.join(what.missing)}"
        return f"cost unknown: the {the} has no price in {what.region}{which}"
    sure = any(part.verified for part in what.parts if part.per_hour)
    doubt = "" if what.verified else ", partly unverified" if sure else ", unverified"
    return (
        f"costs about {dollars(what.per_hour)} an hour ({dollars(what.per_30_days)} in 30 days), "
        f"{table}{doubt}"
    )


def dollars(amount: Decimal) -> str:
    """Return an amount as a person reads it: $73, $1.25, $0.101, under $0.001."""
    if amount >= WHOLE_DOLLARS:
        return f"${amount:,.0f}"
    if amount >= 1 or amount == 0:
        return f"${amount:.2f}"
    if amount < Decimal("0.001"):
        return "under $0.001"
    return f"${amount:.3f}".removesuffix("0")


@cache
def price_table() -> dict[str, Any]:
    """Return the table; its amounts are exact decimals."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"), parse_float=Decimal)
