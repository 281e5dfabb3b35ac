"""A run to be shown, without AWS: the real resources, a clock that is set, and what happens."""

from __future__ import annotations

from collections.abc import Collection

from provision.config import Config
from provision.engine.plan import Action, Plan, Planned
from provision.environment import environment
from provision.resources.base import Change, CreatableResource, Resource, Seen

RESOURCES = environment(Config(), packed=False)
STEP = {each.step: each for each in RESOURCES}
ABOUT = "environment demo, account 123456789012, ap-northeast-1"
REASON = "The function is being created [1/2]."
LONG_ARN = "arn:aws:rds-db:ap-northeast-1:123456789012:dbuser:prx-0123456789abcdef0/" + "u" * 40


class ViewClock:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def __iadd__(self, seconds: float) -> ViewClock:
        self.now += seconds
        return self


def plan_of(
    create: Collection[str] = (),
    update: Collection[tuple[str, Change]] = (),
    replace: Collection[tuple[str, Change]] = (),
) -> Plan:
    """Return the plan that does this, and leaves everything else."""
    updates, replaces = dict(update), dict(replace)

    def planned(resource: Resource) -> Planned:
        if resource.step in create:
            return Planned(resource, Action.CREATE)
        if resource.step in updates:
            return Planned(resource, Action.UPDATE, Seen({}), (updates[resource.step],))
        if resource.step in replaces:
            return Planned(resource, Action.REPLACE, Seen({}), (replaces[resource.step],))
        return Planned(resource, Action.NONE, Seen({}))

    return Plan(tuple(map(planned, RESOURCES)))


def everything() -> Plan:
    """Return the plan of a first run."""
    return plan_of([each.step for each in RESOURCES if isinstance(each, CreatableResource)])
