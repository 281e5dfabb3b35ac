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
from provision.views.words import change_lines

OURS = Ownership(Owner.OURS)
NOT_OURS = {
    Owner.FOREIGN: "NOT OURS",
    Owner.COPY: "PERHAPS OURS",
    Owner.UNREADABLE: "TAGS UNREADABLE",
}


@dataclass(frozen=True)
class Standing:
    """One resource as AWS has it, beside what it should be."""

    resource: Resource
    seen: Seen | None
    whose: Ownership = OURS
    drift: tuple[Change, ...] = ()

    @property
    def there(self) -> bool:
        """Whether AWS has it, and it is ours."""
        return self.seen is not None and self.whose.ours

    @property
    def identity(self) -> str:
        """The id or name that a person would look for at AWS."""
        return self.resource.identity(self.seen.outputs) if self.seen else self.resource.name

    @property
    def status(self) -> str:
        """AWS's own status; what is without one is there, missing, or not ours."""
        if not self.whose.ours:
            return NOT_OURS[self.whose.owner]
        if self.seen is None:
            return "missing"
        return self.seen.status or "there"


def status(options: Options, output: Display, *, live: bool = False) -> Summary:
    """Show the environment as AWS has it now. Returns the summary; drift is no failure.

    `live` prices are AWS's own of today. Raises ProvisionError when AWS cannot be asked.
    """
    with opened(options, "status", output) as run:
        run.start()
        seen = run.look()
        plan = compare(run.aws, run.template, seen, run.state)
        standings = list(stand(run, plan, seen))
        api = seen[run.template.api.step]
        run.url = api.outputs.get("endpoint") if api else None
        record(output, standings, run.url)
        show(output, standings)
        notes = [
            *findings(run, plan, standings),
            *costs(run, seen, standings, live=live),
            *lifetime_notes(run),
        ]
        return run.summary(notes=notes, next_commands=next_commands(standings))


def stand(run: Run, plan: Plan, seen: Mapping[str, Seen | None]) -> Iterator[Standing]:
    """Yield each resource that we make, as AWS has it."""
    known = run.state.known()
    for planned in plan.steps:
        resource, there = planned.resource, seen[planned.step]
        if not isinstance(resource, CreatableResource):
            continue
        whose = OURS
        if there is not None and isinstance(resource, ManagedResource):
            whose = resource.ownership(run.aws, there, known.get(planned.step, {}))
        yield Standing(resource, there, whose, drift(planned) if whose.ours else ())


def drift(planned: Planned) -> tuple[Change, ...]:
    """Return what of a resource that is there is not as it should be."""
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
            ours=each.there,
        )
    output.record(
        "urls",
        password=f"{url}/func1" if url else None,
        iam=f"{url}/func2" if url else None,
    )


def show(output: Display, standings: Sequence[Standing]) -> None:
    """Show a person each resource, then what differs."""
    rows = [
        (each.resource.step, each.status + ("*" if each.drift else ""), each.identity)
        for each in standings
        if each.seen is not None
    ]
    if rows:
        output.table("", ("step", "AWS says", "id or name"), rows)
    lines = [
        f"{each.resource.step}: {each.seen.status}: {each.seen.reason}"
        for each in standings
        if each.seen is not None and each.seen.reason
    ]
    drifted = [each for each in standings if each.drift]
    if drifted:
        lines += ["", "* not as config.toml wants it (is -> should):"]
    for each in drifted:
        lines.append(f"  {each.resource.step}")
        lines += [f"    {line}" for change in each.drift for line in change_lines(change)]
    if lines:
        output.document("\n".join(lines))


def findings(run: Run, plan: Plan, standings: Sequence[Standing]) -> Iterator[str]:
    """Yield what is there, missing, different or somebody else's, in words."""
    ours = [each for each in standings if isinstance(each.resource, ManagedResource)]
    there = sum(each.there for each in ours)
    differing = sum(bool(each.drift) for each in standings)
    missing = [each.resource.step for each in standings if each.seen is None]
    if there == 0:
        yield f"nothing of environment {run.config.environment.name} is there"
    else:
        differ = f", {differing} not as they should be" if differing else ""
        yield f"{there} of {len(ours)} resources are there{differ}"
        if own := [s.resource.step for s in standings if isinstance(s.resource, AccountResource)]:
            yield f"not counted: {', '.join(own)} (the account's own)"
        if missing:
            yield f"missing: {', '.join(missing)}"
    unknown = [
        each.resource.step
        for each in standings
        if each.there
        and isinstance(each.resource, ManagedResource)
        and each.resource.step not in run.state.steps
    ]
    if unknown:
        yield f"not in the state file, found by tags and names: {', '.join(unknown)}"
    yield from plan.kept
    yield from (refusal.message for refusal in plan.refused if isinstance(refusal, ForeignResource))


def costs(
    run: Run, seen: Mapping[str, Seen | None], standings: Sequence[Standing], *, live: bool
) -> Iterator[str]:
    """Report, and yield in words, what AWS has of it costs an hour, and has cost so far."""
    present = {each.resource.step for each in standings if each.there}
    instance = seen[run.template.db_instance.step]
    has = instance.properties if instance else {}
    full = priced(
        run,
        live=live,
        instance_class=str(has.get("DBInstanceClass", "")),
        storage_gib=int(has.get("AllocatedStorage", 0)),
    )
    billed = full.of(present)
    since = {
        step: datetime.datetime.fromisoformat(there.created)
        for step, there in seen.items()
        if step in present and there is not None and there.created
    }
    so_far = spent(billed, since, datetime.datetime.now(datetime.UTC))
    first = min(since.values()).isoformat() if since else None
    record_costs(run.output, billed, so_far=so_far, since=first)
    yield note_of(billed) if billed.parts else "costs nothing now"
    if so_far is not None and since:
        yield f"has cost about {dollars(so_far)} since {min(since.values()):%Y-%m-%d %H:%M} UTC"


def next_commands(standings: Sequence[Standing]) -> list[tuple[str, str]]:
    """Return the commands that make sense now."""
    there = any(each.there for each in standings if isinstance(each.resource, ManagedResource))
    complete = all(each.there and not each.drift for each in standings)
    if complete:
        first = ("python -m provision check", "call both routes")
    elif there:
        first = ("python -m provision up", "make what is missing, put right what differs")
    else:
        return [("python -m provision up", "make it")]
    return [first, ("python -m teardown", "delete it all")]
