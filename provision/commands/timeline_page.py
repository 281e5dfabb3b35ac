"""What the timeline's page shows beside the run: logins, cost, and every resource as AWS has it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from provision.cli.options import Options
from provision.commands.lifetimes import lifetime_words
from provision.commands.status import Standing, stand
from provision.config import Config
from provision.context import opened
from provision.engine.events import Display
from provision.engine.history import LoginRecord, last_check
from provision.engine.plan import compare
from provision.pricing.table import dollars, estimate, note_of, spent
from provision.resources.base import Resource
from provision.resources.expiry import moment_of
from provision.resources.references import bind
from provision.resources.template import Template
from provision.state import state as recorded
from provision.state.document import moment
from provision.views.timeline import terminal
from provision.views.timeline.page import Glance, LoginFacts
from provision.views.timeline.things import Thing, Things, page_of


def glance(config: Config, state: recorded.State, template: Template, expires: str) -> Glance:
    """Return what a person opens the page for, from the state file, and when it expires."""
    api = state.steps.get(template.api.step)
    endpoint = api.outputs.get("endpoint", "") if api else ""
    check = last_check(state.runs) if endpoint else None
    ways = (("Password login", "password", "/func1"), ("IAM login", "iam", "/func2"))
    logins = [
        LoginFacts(title, f"{endpoint}{path}" if endpoint else "", *found(check, login))
        for title, login, path in ways
    ]
    return Glance(logins, [*cost_facts(config, state), expiry_fact(config, expires)])


def found(
    check: tuple[str, dict[str, LoginRecord]] | None, login: str
) -> tuple[bool | None, list[tuple[str, str]]]:
    """Return whether a login worked when it was last checked, and how fast."""
    if check is None or login not in check[1]:
        return None, []
    at, record = check[0], check[1][login]
    times = (("Login takes", record.login_ms), ("Whole request", record.ms))
    facts = [(name, f"{ms:.0f} ms") for name, ms in times if ms is not None]
    tls = [("TLS", record.tls)] if record.tls else []
    return record.works, [*facts, *tls, ("Checked", terminal.moment(at))]


def cost_facts(config: Config, state: recorded.State) -> Iterator[tuple[str, str]]:
    """Yield what the environment costs an hour, and has cost so far."""
    billed = estimate(config).of(list(state.steps))
    if not billed.parts:
        yield "Cost per hour", "nothing now"
        return
    if billed.per_hour is None or billed.per_30_days is None:
        yield "Cost per hour", note_of(billed).removeprefix("cost ")
        return
    now = datetime.datetime.now(datetime.UTC)
    yield "Cost per hour", f"about {dollars(billed.per_hour)}"
    yield "Cost in 30 days", f"about {dollars(billed.per_30_days)}"
    since = {part.step: made for part in billed.parts if (made := created(part.step, state))}
    so_far = spent(billed, since, now)
    if so_far is not None and since:
        first = f"{min(since.values()):%Y-%m-%d %H:%M} UTC"
        yield "Cost so far", f"about {dollars(so_far)} by {now:%Y-%m-%d %H:%M} UTC, since {first}"


def expiry_fact(config: Config, expires: str) -> tuple[str, str]:
    """Return when the environment expires, as of now, and what it costs until then."""
    if (moment := moment_of(expires)) is None:
        return "Expires", "never"
    name, _, when = lifetime_words(moment, estimate(config)).partition(" at ")
    return name.capitalize(), f"{when} (as of {datetime.datetime.now(datetime.UTC):%H:%M} UTC)"


def created(step: str, state: recorded.State) -> datetime.datetime | None:
    """Return since when AWS bills a resource: when it was created, or else last changed."""
    for run in reversed(state.runs):
        entry = run["steps"].get(step, {})
        began = moment(run["began"])
        if entry.get("action") == "created" and began:
            return began + datetime.timedelta(seconds=entry["ended"])
    return moment(state.steps[step].since)


def from_aws(options: Options, output: Display) -> tuple[Things, str]:
    """Return every resource as AWS has it, and when it expires. Raises what AWS refuses."""
    with opened(options, "timeline", output) as run:
        run.start()
        seen = run.look()
        plan = compare(run.aws, run.template, seen, run.state)
        known = run.state.known()
        known |= {step: dict(existing.outputs) for step, existing in seen.items() if existing}
        drawn = stand(run, plan, seen)
        things = {each.resource.step: thing_of(each, known, run.aws.region) for each in drawn}
        return Things(things), run.lifetime.expires


def thing_of(
    each: Standing, known: Mapping[str, Mapping[str, str]], region: str
) -> Thing[Resource]:
    """Return a resource as `status` has it, for the drawing."""
    resource = bind(each.resource, known)
    if each.seen is None:
        return Thing(resource, "", each.condition)
    console = page_of(resource, each.identity, region)
    return Thing(resource, each.identity, each.condition, each.status, console)
