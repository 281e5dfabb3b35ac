"""What there is of an environment, and what may talk to what: the facts behind the drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from provision.resources.apigateway import Api
from provision.resources.base import AccountResource, CreatableResource, Resource
from provision.resources.ec2 import SecurityGroupRules
from provision.resources.iam import Role
from provision.resources.references import REFERENCE, bind, unresolved
from provision.state import document as phases

PHASES = {
    phases.CREATING: "being made",
    phases.MADE: "made, not ready yet",
    phases.READY: "ready",
    phases.UPDATING: "being changed",
    phases.DELETING: "being deleted",
}
RULE = re.compile(r"(\S+ \S+) \$\{([a-z0-9-]+)\.id\}")  # protocol and port, the other group's step


class Level(Enum):
    """How a thing stands, from good to bad; the value is its mark."""

    READY = "●"
    BUSY = "◐"
    DIFFERS = "≠"
    FAILED = "✕"
    ABSENT = "○"


@dataclass(frozen=True)
class Thing:
    """One resource as it is known to be."""

    resource: Resource  # every reference that is known replaced by its value
    identity: str  # "" when it is not there
    state: str  # in words
    level: Level

    @property
    def step(self) -> str:
        """The step's name."""
        return self.resource.step


@dataclass(frozen=True)
class Passage:
    """Something that may talk to something else."""

    source: str
    target: str
    how: str  # tcp 3306, or IAM actions
    level: Level  # the worst of all that it takes


Things = Mapping[str, Thing]  # by step


def drawn(resources: Sequence[Resource]) -> list[Resource]:
    """Return the resources that are things: those that we make."""
    return [each for each in resources if isinstance(each, CreatableResource)]


def things_in_state(
    resources: Sequence[Resource], steps: Mapping[str, Mapping[str, Any]]
) -> dict[str, Thing]:
    """Return each declared resource as the state file's `steps` have it."""
    known = {step: entry["outputs"] for step, entry in steps.items()}

    def thing(resource: Resource) -> Thing:
        bound = bind(resource, known)
        if resource.step not in steps:
            return Thing(bound, "", "not there", Level.ABSENT)
        phase = steps[resource.step]["phase"]
        if isinstance(resource, AccountResource) and phase == phases.MADE:
            phase = phases.READY  # the account's own: it is not waited for
        level = Level.READY if phase == phases.READY else Level.BUSY
        return Thing(bound, resource.identity(known[resource.step]), PHASES[phase], level)

    return {each.step: thing(each) for each in drawn(resources)}


# --- what may talk to what ------------------------------------------------------------------------


def passages(resources: Sequence[Resource], things: Things) -> Iterator[Passage]:
    """Yield what may talk to what, through the network and by IAM."""
    for each in resources:
        if isinstance(each, Api):
            level = worst(things, each.step, "stage")
            yield Passage("any client", each.step, "HTTPS, without a login", level)
    yield from network_passages(resources, things)
    for thing in things.values():
        if isinstance(thing.resource, Role):
            yield from grants(thing, thing.resource)


def network_passages(resources: Sequence[Resource], things: Things) -> Iterator[Passage]:
    """Yield which security group may open connections to which: a rule that lets out, met by one
    that lets in.
    """
    out: dict[tuple[str, str, str], str] = {}  # the rules' step by source, target, protocol
    in_: dict[tuple[str, str, str], str] = {}
    for each in resources:
        if isinstance(each, SecurityGroupRules):
            ((group, _),) = unresolved(each.group_id)
            out |= {(group, other, protocol): each.step for protocol, other in parsed(each.egress)}
            in_ |= {(other, group, protocol): each.step for protocol, other in parsed(each.ingress)}
    for source, target, protocol in sorted(out.keys() & in_.keys()):
        rules = (out[source, target, protocol], in_[source, target, protocol])
        yield Passage(source, target, protocol, worst(things, source, target, *rules))


def parsed(rules: Sequence[str]) -> list[tuple[str, str]]:
    """Return (protocol and port, the other group's step) of each rule that names a group."""
    return [(match[1], match[2]) for rule in rules if (match := RULE.fullmatch(rule))]


def grants(thing: Thing, role: Role) -> Iterator[Passage]:
    """Yield what a role's own policies allow."""
    for policy in role.policies.values():
        for statement in policy["Statement"]:
            for target in listed(statement["Resource"]):
                known = known_or(target.split(":", 5)[-1], "not there yet")
                how = ", ".join(listed(statement["Action"]))
                level = thing.level if known in target else Level.ABSENT
                yield Passage(role.step, known, how, level)


def listed(value: str | Sequence[str]) -> Sequence[str]:
    """Return a policy's value, which may be one text or several, as several."""
    return [value] if isinstance(value, str) else value


def worst(things: Things, *steps: str) -> Level:
    """Return how the worst of these stands."""
    return max((things[step].level for step in steps), key=list(Level).index)


def known_or(text: str, otherwise: str) -> str:
    """Return a value, or `otherwise` when it is a reference to what is not known yet."""
    return otherwise if REFERENCE.search(text) else text
