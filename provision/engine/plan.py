"""What a run would do: what AWS has is compared with what is wanted, and nothing is changed.

`compare` goes through the environment in order and says for each step what has to happen. Nothing
here needs boto3: views show plans, and are ready before it is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from provision.engine.graph import found_within
from provision.errors import ForeignResource, ProvisionError, ReplacementRefused
from provision.resources.base import (
    AccountResource,
    Change,
    CreatableResource,
    ManagedResource,
    Resource,
    Seen,
)
from provision.resources.ownership import STEP, Owner, Ownership
from provision.resources.references import bind, references
from provision.state.document import UPDATING
from provision.state.state import State

if TYPE_CHECKING:
    from provision.aws.account import Aws


class Action(Enum):
    """What happens to a step in a run."""

    CREATE = "create"
    ADOPT = "adopt"
    UPDATE = "update"
    REPLACE = "replace"
    NONE = "unchanged"


@dataclass(frozen=True)
class Planned:
    """One step of a plan."""

    resource: Resource
    action: Action
    seen: Seen | None = None
    changes: tuple[Change, ...] = ()
    write_only: tuple[Change, ...] = ()  # those of them that AWS does not show, before or after
    kept: tuple[str, ...] = ()  # what is not as config.toml has it and stays so, in words

    @property
    def step(self) -> str:
        """The step's name."""
        return self.resource.step

    @property
    def doing(self) -> tuple[object, ...]:
        """The action and its target, for a comparison."""
        identity = self.resource.identity(self.seen.outputs) if self.seen else ""
        return self.step, self.action, identity, self.changes


@dataclass(frozen=True)
class Plan:
    """Every step, in the order of the environment."""

    steps: tuple[Planned, ...]
    refused: tuple[ProvisionError, ...] = ()

    @property
    def to_do(self) -> list[Planned]:
        """The steps that have something to do."""
        return [each for each in self.steps if each.action is not Action.NONE]

    @property
    def kept(self) -> list[str]:
        """What differs from config.toml and is kept, in words, with its step."""
        return [f"{each.step}: {text}" for each in self.steps for text in each.kept]

    @property
    def counted(self) -> list[Planned]:
        """The steps that create something: not data sources, nor what AWS itself creates."""
        return [each for each in self.steps if isinstance(each.resource, CreatableResource)]

    def same_as(self, other: Plan) -> bool:
        """Return whether both plans would do the same."""
        return [each.doing for each in self.steps] == [each.doing for each in other.steps]

    def of(self, resource: Resource) -> Planned:
        """Return what is planned for a resource of the environment."""
        return next(each for each in self.steps if each.step == resource.step)

    def refuse(self) -> None:
        """Raise the reason why the plan cannot be carried out, if there is one."""
        if self.refused:
            raise self.refused[0]


def pseudo(aws: Aws) -> dict[str, str]:
    """Return what `${aws.…}` refers to."""
    who = aws.identity
    return {"account": who.account, "region": aws.region, "partition": who.partition}


def compare(
    aws: Aws,
    resources: Sequence[Resource],
    seen: Mapping[str, Seen | None],
    state: State,
    *,
    replace: Collection[str] = (),
    forced: Mapping[str, Change] | None = None,
) -> Plan:
    """Return the plan that makes AWS match `resources`.

    `replace` names steps to replace though nothing demands it (and allows a database to be);
    `forced` holds, by step, a change to make though none is seen.
    """
    known: dict[str, dict[str, str]] = {"aws": pseudo(aws)}
    fresh: set[str] = set()  # steps that will be made anew: their outputs are not known yet
    recomputed: set[tuple[str, str]] = set()  # outputs that will be others, of steps that stay
    planned: list[Planned] = []
    refused: list[ProvisionError] = []
    for resource in resources:
        there = seen[resource.step]
        if found_within(resource) & fresh:
            there = None  # it goes with its container
        write_only = to_write_again(resource, fresh, recomputed, state)
        if forced and resource.step in forced:
            write_only += (forced[resource.step],)
        entry = one(aws, bind(resource, known), resource, there, state, replace, write_only)
        planned.append(entry)
        refused += refusals(aws, entry, state, replace)
        if entry.action in (Action.CREATE, Action.REPLACE):
            fresh.add(resource.step)
        elif there:
            known[resource.step] = resource.lasting(there, entry.changes)
            recomputed |= {(resource.step, output) for output in resource.recomputed(entry.changes)}
    return Plan(tuple(planned), tuple(refused))


def to_write_again(
    resource: Resource,
    fresh: Collection[str],
    recomputed: Collection[tuple[str, str]],
    state: State,
) -> tuple[Change, ...]:
    """Return the changes of write-only properties: new ones, or those whose update was cut off."""
    if not isinstance(resource, ManagedResource):
        return ()
    entry = state.steps.get(resource.step)
    cut_short = entry is not None and entry.phase == UPDATING
    return tuple(
        Change(name, None, None, sensitive=True)
        for name, field_name in resource.write_only.items()
        if cut_short
        or any(
            pair in recomputed or pair[0] in fresh for pair in references(resource, (field_name,))
        )
    )


def one(
    aws: Aws,
    bound: Resource,
    declared: Resource,
    seen: Seen | None,
    state: State,
    replace: Collection[str],
    write_only: tuple[Change, ...],
) -> Planned:
    """Return what has to happen at one step."""
    if isinstance(declared, AccountResource):
        return Planned(declared, Action.NONE if seen else Action.CREATE, seen)
    if not isinstance(bound, ManagedResource):
        return Planned(declared, Action.NONE, seen)
    if seen is None or bound.going(seen):
        return Planned(declared, Action.CREATE, seen)
    changes = (*bound.differences(seen, aws), *write_only)
    if declared.step in replace or any(change.replaces for change in changes):
        return Planned(declared, Action.REPLACE, seen, changes)
    kept = tuple(bound.kept(seen))
    if changes:
        return Planned(declared, Action.UPDATE, seen, changes, write_only, kept)
    adopted = declared.step not in state.steps
    return Planned(declared, Action.ADOPT if adopted else Action.NONE, seen, kept=kept)


def refusals(
    aws: Aws, planned: Planned, state: State, replace: Collection[str]
) -> Iterable[ProvisionError]:
    """Yield the objections to a step: what exists is not ours, or holds data."""
    resource, seen = planned.resource, planned.seen
    if seen is None or not isinstance(resource, ManagedResource):
        return
    recorded = state.known().get(resource.step, {})
    whose = resource.ownership(aws, seen, recorded)
    if not whose.ours:
        yield not_ours(aws, resource, seen, whose, recorded)
        return
    if planned.action is Action.REPLACE and (protected := resource.protected(seen)):
        yield protected
    if planned.action is Action.REPLACE and resource.holds_data and resource.step not in replace:
        because = "; ".join(
            f"{c.property} is {c.is_}, should be {c.should}" for c in planned.changes if c.replaces
        )
        yield ReplacementRefused(
            f"{resource.step}: AWS can only replace it ({because}), and it holds data",
            next_step="To keep it, set config.toml to what the DB instance has. To replace it and "
            f"lose its data: `up --replace {resource.step}`.",
        )


def mend(resource: Resource, seen: Seen) -> str:
    """Return what makes it certain that a resource with our tags is ours."""
    if seen.name:
        return f"rename it back to {resource.name}" if resource.name else "rename it back"
    if (seen.tags or {}).get(STEP) != resource.step:
        return f"set its tag {STEP} to {resource.step!r}"
    return "remove them from the others"


def not_ours(
    aws: Aws, resource: Resource, seen: Seen, whose: Ownership, recorded: Mapping[str, str]
) -> ForeignResource:
    """Return the error for a resource in the place of ours that is not proven to be ours.

    `recorded` are the outputs that the state file has of the step.
    """
    identity = seen.name or resource.identity(seen.outputs)
    what = f"{resource.title} {identity}".strip()
    in_state = bool(recorded) and resource.same_id(seen, recorded) is not False
    says = "; the state file says that it is ours" if in_state else ""
    if whose.owner is Owner.UNREADABLE:
        return ForeignResource(
            f"{resource.step}: whether the {what} is this environment's cannot be determined: it "
            f"{whose.because}{says}. It was not touched.",
            next_step="Allow the caller to read its tags (`python -m provision policy` prints the "
            "permissions), then run the same command again.",
        )
    if whose.owner is Owner.COPY:
        return ForeignResource(
            f"{resource.step}: the {what} {whose.because}: it may be this environment's. It was "
            "not touched.",
            next_step="If it is not, remove its tags provision:environment and provision:step. "
            f"If it is, {mend(resource, seen)}.",
        )
    marks = f", ours would have {aws.environment!r} and {resource.step!r}"
    marks = marks if seen.tags is not None else ""  # some kinds have no tags
    return ForeignResource(
        f"{resource.step}: the {what} exists and is not this environment's: it {whose.because}"
        f"{marks}{says}. It was not touched.",
        next_step="Choose another environment.name, or remove or rename the existing one"
        + (", or restore its tags." if in_state and seen.tags is not None else "."),
    )
