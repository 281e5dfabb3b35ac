"""When an environment expires: by its tags, its configuration and `--extend` together.

The first `up` fixes the moment, and every resource carries it from its create call on. Later runs
take it from the tags, whatever the configuration says by then.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provision.config.length import length_of
from provision.engine.plan import Action, Plan
from provision.errors import Expired
from provision.resources.base import CreatableResource, ManagedResource, Resource, Seen
from provision.resources.expiry import EXPIRES, NEVER, latest, moment_of, value_of
from provision.resources.references import bind
from provision.state.state import State

if TYPE_CHECKING:
    from provision.aws.account import Aws


def now() -> datetime.datetime:
    """Return the time in UTC."""
    return datetime.datetime.now(datetime.UTC)


@dataclass
class Lifetime:
    """When the environment of a run expires.

    `after` is environment.expires_after, `extend` what `--extend` says; "" for neither.
    """

    after: str = ""
    extend: str = ""
    began: datetime.datetime | None = None  # from when on lengths count; one for all of a run
    expires: str = ""  # the tag's value that is wanted; "" = never
    ignored: bool = False  # whether `after` comes too late: the environment was created without

    def settle(
        self, aws: Aws, resources: Sequence[Resource], seen: Mapping[str, Seen | None], state: State
    ) -> None:
        """Decide from what was seen which value the tags get; `aws.expires` has it afterwards."""
        ours = list(proven(aws, resources, seen, state))
        found = latest(there.tags for _, there in ours if there.tags is not None)
        self.ignored = False
        if self.extend:
            self.expires = self._from_now(self.extend)
        elif found:
            self.expires = "" if found == NEVER else found
        elif self.after and not any(resource.costs for resource, _ in ours):
            self.expires = self._from_now(self.after)
        else:
            self.expires, self.ignored = "", bool(self.after)
        aws.expires = self.expires

    def _from_now(self, text: str) -> str:
        """Return the value for a length of time from now; "" for NEVER."""
        length = length_of(text)
        self.began = self.began or now()
        return "" if length is None else value_of(self.began + length)

    @property
    def moment(self) -> datetime.datetime | None:
        """When the environment expires, in UTC; None for never."""
        return moment_of(self.expires) if self.expires else None

    @property
    def over(self) -> bool:
        """Whether it has expired."""
        return self.moment is not None and self.moment <= now()

    def refuse_new(self, plan: Plan) -> Plan:
        """Return the plan, refused if it would create something after the expiry."""
        new = [
            each.step
            for each in plan.steps
            if each.action in (Action.CREATE, Action.REPLACE)
            and isinstance(each.resource, CreatableResource)
        ]
        if not (self.over and new):
            return plan
        refusal = Expired(
            f"the environment expired at {self.expires}: nothing new is created ({', '.join(new)})",
            next_step="`python -m provision up --extend 8h` extends it to 8 hours from now, "
            "`--extend never` removes the expiry; `python -m teardown` deletes it.",
        )
        return dataclasses.replace(plan, refused=(refusal, *plan.refused))


def proven(
    aws: Aws, resources: Sequence[Resource], seen: Mapping[str, Seen | None], state: State
) -> Iterator[tuple[ManagedResource, Seen]]:
    """Yield each managed resource that exists and is proven to be this environment's."""
    known = state.known()
    for resource in resources:
        there = seen.get(resource.step)
        if there is None or not isinstance(resource, ManagedResource):
            continue
        if resource.ownership(aws, there, known.get(resource.step, {})).ours:
            yield resource, there


@contextlib.contextmanager
def expiry_removed(aws: Aws, plan: Plan, state: State) -> Iterator[None]:
    """Let the block remove the expiry tags; a run that is killed meanwhile does no harm.

    One of them says NEVER until all others are removed: nobody takes what is left of them for the
    moment that counts. Raises what AWS refuses.
    """
    from provision.aws.account import calling  # views import the engine, and need no AWS

    seen = {each.step: each.seen for each in plan.steps}
    resources = [each.resource for each in plan.steps]
    tagged = [
        (resource, there)
        for resource, there in proven(aws, resources, seen, state)
        if EXPIRES in (there.tags or {})
    ]
    if aws.expires or not tagged:
        yield
        return
    saying_never = (each for each in tagged if (each[1].tags or {})[EXPIRES] == NEVER)
    declared, there = next(saying_never, tagged[0])
    bound = bind(declared, {step: each.outputs for step, each in seen.items() if each})
    if (there.tags or {})[EXPIRES] != NEVER:
        with calling(declared.step):
            bound.tag(aws, there, {EXPIRES: NEVER})
    aws.expiry_kept_at = declared.step
    try:
        yield
    finally:
        aws.expiry_kept_at = ""
    with calling(declared.step):
        bound.untag(aws, there, [EXPIRES])
