"""`provision list`: every environment in the account and region. Reads only."""

from __future__ import annotations

import time

from provision.cli.options import Options
from provision.commands.environments import Existing, everywhere
from provision.engine import lifetime
from provision.engine.events import Display, Summary
from provision.pricing.table import dollars
from provision.resources.expiry import moment_of
from provision.views.words import duration

COLUMNS = ("name", "region", "age", "expires", "an hour", "resources", "state")


def list_environments(options: Options, output: Display, *, all_regions: bool) -> Summary:
    """Show every environment of the account: in the configured region, or in all. Reads only.

    Returns the summary. Raises ProvisionError when AWS does not answer.
    """
    began = time.monotonic()
    rows = []
    for each in everywhere(options, output, all_regions=all_regions):
        each.record(output)
        rows.append(row(each))
    output.table("" if rows else "no environments", COLUMNS if rows else (), rows)
    return Summary("list", ok=True, seconds=time.monotonic() - began)


def row(each: Existing) -> tuple[str, ...]:
    """Return an environment's line for a person."""
    now = lifetime.now()
    born, ends = moment_of(each.created), moment_of(each.expires)
    age = duration((now - born).total_seconds()) if born else "unknown"
    expires = "never"
    if ends is not None:
        left = (ends - now).total_seconds()
        when = f"in {duration(left)}" if left > 0 else f"EXPIRED {duration(-left)} ago"
        expires = f"{ends:%Y-%m-%d %H:%M} UTC, {when}"
    price = "unknown" if each.usd_per_hour is None else dollars(each.usd_per_hour)
    made = f"{each.resources}" if each.whole else f"{each.resources} of {each.of}: incomplete"
    return each.name, each.region, age, expires, price, made, each.state or "unknown"
