"""What a run would do: AWS is looked at, compared with what is wanted, and nothing is changed.

`look` asks AWS about every resource at once; what was known last time saves it from asking in turn.
`compare` goes through the environment in order and says for each step what has to happen.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from provision.aws.account import Aws, calling
from provision.engine.action import Action
from provision.engine.outputs import StepOutputs
from provision.errors import ForeignResource, ProvisionError, ReplacementRefused
from provision.resources.base import (
    AccountResource,
    Change,
    CreatableResource,
    ManagedResource,
    Resource,
    Seen,
    bind,
    references,
    unresolved,
)
from provision.state.document import CREATING, UPDATING, State
from provision.waiting.poll import PollPolicy, PollResult, Verdict, until

LAG_SECONDS = 15.0  # how long a new resource may stay hidden from a lookup (EC2: usually under 5)


@dataclass(frozen=True)
class Planned:
    """One step of a plan."""

    resource: Resource
    action: Action
    seen: Seen | None = None
    changes: tuple[Change, ...] = ()
    write_only: tuple[Change, ...] = ()  # those of them that AWS does not show, before or after

    @property
    def step(self) -> str:
        """The step's name."""
        return self.resource.step


@dataclass(frozen=True)
class Plan:
    """Every step, in the order of the environment."""

    steps: tuple[Planned, ...]
    refused: tuple[ProvisionError, ...] = ()

    @property
    def to_do(self) -> list[Planned]:
        """The steps at which something has to be done."""
        return [each for each in self.steps if each.action is not Action.NONE]

    @property
    def counted(self) -> list[Planned]:
        """The steps that make something: not what is only looked up, or made by AWS itself."""
        return [each for each in self.steps if isinstance(each.resource, CreatableResource)]

    def refuse(self) -> None:
        """Raise what stands against carrying the plan out, if anything does."""
        if self.refused:
            raise self.refused[0]


@dataclass
class Looker:
    """Looks at every resource of an environment, once. Finds by state, by tags and by names."""

    aws: Aws
    resources: Sequence[Resource]
    state: State
    poll_policy: PollPolicy

    def __post_init__(self) -> None:
        self._board = StepOutputs(threading.Event())
        self._threads = ThreadPoolExecutor(len(self.resources), thread_name_prefix="look")
        self._found: dict[str, Future[Seen | None]] = {}

    def begin(self) -> None:
        """Begin to look at everything, on threads of its own. Returns at once."""
        for each in self.resources:
            self._found[each.step] = self._threads.submit(self._look_at, each)

    def look(self) -> dict[str, Seen | None]:
        """Return each step's resource as AWS has it. Raises what AWS refuses."""
        if not self._found:
            self.begin()
        self._threads.shutdown()
        errors = [error for future in self._found.values() if (error := future.exception())]
        if errors:
            raise next((e for e in errors if not isinstance(e, ProvisionError)), errors[0])
        return {step: future.result() for step, future in self._found.items()}

    def close(self) -> None:
        """Let go of what was begun, if nobody has waited for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _look_at(self, resource: Resource) -> Seen | None:
        seen = None
        try:
            with calling(resource.step):
                seen = self._find(resource)
            return seen
        finally:
            outputs = {**seen.outputs, **seen.secrets} if seen else {}
            self._board.publish(resource.step, outputs, done=True)

    def _find(self, resource: Resource) -> Seen | None:
        known = self.state.known()
        last = known.get(resource.step, {})
        trusted = bind(resource, known)
        containers = references(resource, resource.find_by)
        if not containers:
            return self._patiently(trusted, last)
        seen = None
        guessed = not unresolved([getattr(trusted, name) for name in resource.find_by])
        if guessed:  # the container's identity of last time: ask at once, check it afterwards
            seen = self._patiently(trusted, last)
        self._board.wait_for_outputs(containers)
        real = bind(resource, self._board.known())
        fields = [getattr(real, name) for name in resource.find_by]
        if unresolved(fields):
            return None  # its container is not there
        if guessed and fields == [getattr(trusted, name) for name in resource.find_by]:
            return seen
        return self._patiently(real, last)

    def _patiently(self, bound: Resource, last: Mapping[str, str]) -> Seen | None:
        """Find; look again for a while when it was asked for a moment ago and does not show."""
        return find_patiently(
            bound, self.aws, last, poll_policy=self.poll_policy, fresh=self._fresh(bound.step)
        )

    def _fresh(self, step: str) -> bool:
        """Return whether a create of this step was asked for lately, its outcome unknown."""
        entry = self.state.steps.get(step)
        if entry is None or entry.phase != CREATING:
            return False
        since = datetime.datetime.fromisoformat(entry.since.replace("Z", "+00:00"))
        age = datetime.datetime.now(datetime.UTC) - since
        return age.total_seconds() < 10 * LAG_SECONDS


def find_patiently(
    bound: Resource, aws: Aws, known: Mapping[str, str], *, poll_policy: PollPolicy, fresh: bool
) -> Seen | None:
    """Return the resource, or None: at once, or, when `fresh`, after looking for LAG_SECONDS."""
    found: list[Seen] = []

    def look() -> PollResult:
        if seen := bound.find(aws, known):
            found.append(seen)
        return PollResult(Verdict.READY if found else Verdict.SUSPECT, "", "", LAG_SECONDS)

    if not fresh:
        return bound.find(aws, known)
    try:
        until(look, what=bound.step, poll_policy=poll_policy, tell=lambda status, reason="": None)
    except ProvisionError:
        if poll_policy.stop.is_set():
            raise
    return found[0] if found else None


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
        if any(step in fresh for step, _ in references(resource, resource.find_by)):
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
    """Return the changes of what AWS never shows: it is new, or its last change was cut short."""
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
    if changes:
        return Planned(declared, Action.UPDATE, seen, changes, write_only)
    adopted = declared.step not in state.steps
    return Planned(declared, Action.ADOPT if adopted else Action.NONE, seen)


def refusals(
    aws: Aws, planned: Planned, state: State, replace: Collection[str]
) -> Iterable[ProvisionError]:
    """Yield what stands against a step: what is there is not ours, or holds data."""
    resource, seen = planned.resource, planned.seen
    if seen is None or not isinstance(resource, ManagedResource):
        return
    entry = state.steps.get(resource.step)
    if not resource.owned(aws, seen, entry.outputs if entry else {}):
        yield foreign(aws, resource, seen, in_state=bool(entry and entry.outputs))
        return
    if planned.action is Action.REPLACE and (protected := resource.protected(seen)):
        yield protected
    if planned.action is Action.REPLACE and resource.holds_data and resource.step not in replace:
        because = "; ".join(
            f"{c.property} is {c.is_}, should be {c.should}" for c in planned.changes if c.replaces
        )
        yield ReplacementRefused(
            f"{resource.step}: only a new one will do ({because}), and it holds data",
            next_step=f"To lose its data: `up --replace {resource.step}`. To keep it, undo the "
            "change in config.toml.",
        )


def foreign(aws: Aws, resource: Resource, seen: Seen, *, in_state: bool) -> ForeignResource:
    """Return the error for something that stands where ours should and is not ours."""
    tags = seen.tags or {}
    owner = (
        f"provision:environment = {tags['provision:environment']!r}, "
        f"provision:step = {tags.get('provision:step')!r}"
        if "provision:environment" in tags
        else "no tag of this program"
    )
    what = f"{resource.title} {resource.name or seen.outputs.get('id', '')}".strip()
    says = "; the state file says that it is ours" if in_state else ""
    return ForeignResource(
        f"{resource.step}: the {what} is there and is not this environment's: it has {owner}, "
        f"ours would have {aws.environment!r} and {resource.step!r}{says}. It was not touched.",
        next_step="Choose another environment.name, or remove or rename what is there"
        + (", or put its tags back." if in_state else "."),
    )
