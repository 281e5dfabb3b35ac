"""`provision status`: each resource as AWS has it now, drift, URLs and cost. Reads only."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from provision.cli.options import Options
from provision.commands.costs import priced, record_costs
from provision.commands.lifetimes import lifetime_notes
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.engine.plan import Action, Plan, Planned, compare
from provision.errors import ForeignResource
from provision.pricing.table import dollars, note_of, spent
from provision.resources.base import (
    AccountResource,
    Change,
    CreatableResource,
    ManagedResource,
    Resource,
    Seen,
)
from provision.resources.ownership import Owner, Ownership
from provision.resources.references import bind
from provision.views.condition import Condition, condition_of, shown
from provision.views.style import Styled, link
from provision.views.timeline.things import page_of
from provision.views.words import change_lines
from provision.waiting.poll import Verdict

OURS = Ownership(Owner.OURS)
NOT_OURS = {
    Owner.FOREIGN: (Condition.FOREIGN, ""),
    Owner.COPY: (Condition.UNPROVEN, "perhaps ours"),
    Owner.UNREADABLE: (Condition.UNPROVEN, "tags unreadable"),
}
VERDICTS = {Verdict.READY: Condition.READY, Verdict.FAILED: Condition.FAILED}


@dataclass(frozen=True)
class Standing:
    """One resource as AWS has it, beside what it should be."""

    resource: Resource
    seen: Seen | None
    whose: Ownership = OURS
    drift: tuple[Change, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether AWS has it, and it is ours."""
        return self.seen is not None and self.whose.ours

    @property
    def identity(self) -> str:
        """The id or name that a person would look for at AWS."""
        return self.resource.identity(self.seen.outputs) if self.seen else self.resource.name

    @property
    def condition(self) -> Condition:
        """Its state, in the words of every view."""
        if not self.whose.ours:
            return NOT_OURS[self.whose.owner][0]
        if self.seen is None:
            return Condition.MISSING
        if self.drift:
            return Condition.DIFFERS
        verdict = self.resource.look(self.seen).verdict
        return VERDICTS.get(verdict) or condition_of(self.seen.status) or Condition.CREATING

    @property
    def status(self) -> str:
        """AWS's own status; of what is not ours, why not."""
        if not self.whose.ours:
            return NOT_OURS[self.whose.owner][1]
        status = self.seen.status if self.seen else ""
        plain = self.condition is Condition.DIFFERS and condition_of(status) is Condition.READY
        return "" if plain else status


def status(options: Options, output: Display, *, prices: str) -> Summary:
    """Show the environment as AWS has it now. Returns the summary; drift is no failure.

    `prices` are "table" or "live" (costs.py). Raises ProvisionError when AWS does not answer.
    """
    with opened(options, "status", output) as run:
        run.start()
        seen = run.look()
        plan = compare(run.aws, run.template, seen, run.state)
        standings = list(stand(run, plan, seen))
        api = seen[run.template.api.step]
        run.url = api.outputs.get("endpoint") if api else None
        record(output, standings, run.url)
        show(run, standings)
        notes = [
            *findings(run, plan, standings),
            *costs(run, seen, standings, prices),
            *lifetime_notes(run),
        ]
        return run.summary(notes=notes, next_commands=next_commands(standings))


def stand(run: Run, plan: Plan, seen: Mapping[str, Seen | None]) -> Iterator[Standing]:
    """Yield each resource of the environment, as AWS has it."""
    known = run.state.known()
    for planned in plan.steps:
        resource, existing = planned.resource, seen[planned.step]
        if not isinstance(resource, CreatableResource):
            continue
        whose = OURS
        if existing is not None and isinstance(resource, ManagedResource):
            whose = resource.ownership(run.aws, existing, known.get(planned.step, {}))
        yield Standing(resource, existing, whose, drift(planned) if whose.ours else ())


def drift(planned: Planned) -> tuple[Change, ...]:
    """Return the properties of an existing resource that differ from the configuration."""
    return planned.changes if planned.action in (Action.UPDATE, Action.REPLACE) else ()


def record(output: Display, standings: Sequence[Standing], url: str | None) -> None:
    """Report to a program each resource, and the URLs."""
    for each in standings:
        output.record(
            "resource",
            step=each.resource.step,
            kind=each.resource.kind,
            id=each.identity,
            status=each.seen.status if each.seen else "",
            reason=each.seen.reason if each.seen else "",
            drift=[change.as_dict() for change in each.drift],
            present=each.seen is not None,
            ours=each.exists,
        )
    output.record(
        "urls",
        password=f"{url}/func1" if url else None,
        iam=f"{url}/func2" if url else None,
    )


def show(run: Run, standings: Sequence[Standing]) -> None:
    """Show a person each resource, then what differs."""
    if any(each.seen for each in standings):
        known = run.state.known()
        known |= {each.resource.step: dict(each.seen.outputs) for each in standings if each.seen}
        rows = [
            (each.resource.step, shown(each.condition, each.status), linked(each, known, run))
            for each in standings
        ]
        run.output.table("", ("step", "state", "id or name"), rows)
    lines: list[str] = [
        Styled(f"{each.resource.step}: ", each.seen.status, f": {each.seen.reason}")
        for each in standings
        if each.seen is not None and each.seen.reason
    ]
    drifted = [each for each in standings if each.drift]
    if drifted:
        lines += ["", "differs from config.toml (is -> should):"]
    for each in drifted:
        lines.append(f"  {each.resource.step}")
        lines += [Styled("    ", line) for change in each.drift for line in change_lines(change)]
    if lines:
        run.output.document(lines, folds=True)


def linked(each: Standing, known: Mapping[str, Mapping[str, str]], run: Run) -> Styled:
    """Return the id or name of a resource, which leads to its page in the AWS console."""
    page = page_of(bind(each.resource, known), each.identity, run.aws.region) if each.seen else ""
    return link(each.identity, page)


def findings(run: Run, plan: Plan, standings: Sequence[Standing]) -> Iterator[str]:
    """Yield how many resources exist, are missing, differ or are another owner's, in words."""
    ours = [each for each in standings if isinstance(each.resource, ManagedResource)]
    exist = sum(each.exists for each in ours)
    differing = sum(bool(each.drift) for each in standings)
    missing = [each.resource.step for each in standings if each.seen is None]
    if exist == 0:
        yield f"environment {run.config.environment.name} does not exist"
    else:
        differ = f"; {differing} {'differs' if differing == 1 else 'differ'}" if differing else ""
        yield f"{exist} of {len(ours)} resources exist{differ}"
        if own := [s.resource.step for s in standings if isinstance(s.resource, AccountResource)]:
            yield f"not counted: {', '.join(own)} (the account's own)"
        if missing:
            yield f"missing: {', '.join(missing)}"
    unknown = [
        each.resource.step
        for each in standings
        if each.exists
        and isinstance(each.resource, ManagedResource)
        and each.resource.step not in run.state.steps
    ]
    if unknown:
        yield f"not in the state file, found by tags and names: {', '.join(unknown)}"
    yield from plan.kept
    yield from (refusal.message for refusal in plan.refused if isinstance(refusal, ForeignResource))


def costs(
    run: Run, seen: Mapping[str, Seen | None], standings: Sequence[Standing], prices: str
) -> Iterator[str]:
    """Report, and yield in words, what AWS has of it costs an hour, and has cost so far."""
    present = {each.resource.step for each in standings if each.exists}
    billed = priced(run, prices, seen[run.template.db_instance.step]).of(present)
    since = {
        step: datetime.datetime.fromisoformat(existing.created)
        for step, existing in seen.items()
        if step in present and existing is not None and existing.created
    }
    so_far = spent(billed, since, datetime.datetime.now(datetime.UTC))
    first = min(since.values()).isoformat() if since else None
    record_costs(run.output, billed, so_far=so_far, since=first)
    yield note_of(billed) if billed.parts else "costs nothing now"
    if so_far is not None and since:
        yield f"has cost about {dollars(so_far)} since {min(since.values()):%Y-%m-%d %H:%M} UTC"


def next_commands(standings: Sequence[Standing]) -> list[tuple[str, str]]:
    """Return the suggested next commands."""
    exists = any(each.exists for each in standings if isinstance(each.resource, ManagedResource))
    complete = all(each.exists and not each.drift for each in standings)
    if complete:
        first = ("python -m provision check", "call both routes")
    elif exists:
        first = ("python -m provision up", "create what is missing, change what differs")
    else:
        return [("python -m provision up", "create it")]
    return [first, ("python -m teardown", "delete all of it")]
