"""What there is of an environment, and what may talk to what: the facts behind the drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar, cast

from provision.resources.base import AccountResource, CreatableResource, Resource
from provision.resources.iam import Role
from provision.resources.references import REFERENCE, bind
from provision.resources.template import Template
from provision.state import document as phases

R = TypeVar("R", bound=Resource)
R_co = TypeVar("R_co", bound=Resource, covariant=True)

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
class Thing(Generic[R_co]):
    """One resource as it is known to be."""

    resource: R_co  # every reference that is known replaced by its value
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


class Things(dict[str, Thing[Resource]]):
    """What is known of every resource, by step."""

    def of(self, resource: R) -> Thing[R]:
        """Return what is known of a declared resource."""
        return cast("Thing[R]", self[resource.step])


def drawn(resources: Sequence[Resource]) -> list[Resource]:
    """Return the resources that are things: those that we make."""
    return [each for each in resources if isinstance(each, CreatableResource)]


def things_in_state(
    resources: Sequence[Resource], steps: Mapping[str, Mapping[str, Any]]
) -> Things:
    """Return each declared resource as the state file's `steps` have it."""
    known = {step: entry["outputs"] for step, entry in steps.items()}

    def thing(resource: Resource) -> Thing[Resource]:
        bound = bind(resource, known)
        if resource.step not in steps:
            return Thing(bound, "", "not there", Level.ABSENT)
        phase = steps[resource.step]["phase"]
        if isinstance(resource, AccountResource) and phase == phases.MADE:
            phase = phases.READY  # the account's own: it is not waited for
        level = Level.READY if phase == phases.READY else Level.BUSY
        return Thing(bound, resource.identity(known[resource.step]), PHASES[phase], level)

    return Things({each.step: thing(each) for each in drawn(resources)})


# --- what may talk to what ------------------------------------------------------------------------


def passages(template: Template, things: Things) -> Iterator[Passage]:
    """Yield what may talk to what, through the network and by IAM."""
    level = worst(things, template.api.step, template.stage.step)
    yield Passage("any client", template.api.step, "HTTPS, without a login", level)
    yield from network_passages(template, things)
    for role in template.all(Role):
        yield from grants(things.of(role))


def network_passages(template: Template, things: Things) -> Iterator[Passage]:
    """Yield which security group may open connections to which: a rule that lets out, met by one
    that lets in.
    """
    out: dict[tuple[str, str, str], str] = {}  # the rules' step by source, target, protocol
    in_: dict[tuple[str, str, str], str] = {}
    for tier, each in template.rules.items():
        group = template.security_groups[tier].step
        out |= {(group, other, protocol): each.step for protocol, other in parsed(each.egress)}
        in_ |= {(other, group, protocol): each.step for protocol, other in parsed(each.ingress)}
    for source, target, protocol in sorted(out.keys() & in_.keys()):
        rules = (out[source, target, protocol], in_[source, target, protocol])
        yield Passage(source, target, protocol, worst(things, source, target, *rules))


def parsed(rules: Sequence[str]) -> list[tuple[str, str]]:
    """Return (protocol and port, the other group's step) of each rule that names a group."""
    return [(match[1], match[2]) for rule in rules if (match := RULE.fullmatch(rule))]


def grants(thing: Thing[Role]) -> Iterator[Passage]:
    """Yield what a role's own policies allow."""
    for policy in thing.resource.policies.values():
        for statement in policy["Statement"]:
            for target in listed(statement["Resource"]):
                known = known_or(target.split(":", 5)[-1], "not there yet")
                how = ", ".join(listed(statement["Action"]))
                level = thing.level if known in target else Level.ABSENT
                yield Passage(thing.step, known, how, level)


def listed(value: str | Sequence[str]) -> Sequence[str]:
    """Return a policy's value, which may be one text or several, as several."""
    return [value] if isinstance(value, str) else value


def worst(things: Things, *steps: str) -> Level:
    """Return how the worst of these stands."""
    return max((things[step].level for step in steps), key=list(Level).index)


def known_or(text: str, otherwise: str) -> str:
    """Return a value, or `otherwise` when it is a reference to what is not known yet."""
    return otherwise if REFERENCE.search(text) else text
