"""What exists of an environment, and what may connect to what: the facts behind the drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from provision.aws.console import console_url
from provision.resources.base import AccountResource, CreatableResource, Resource
from provision.resources.iam import Role
from provision.resources.references import REFERENCE, bind
from provision.resources.template import Template
from provision.state import document as phases
from provision.views.condition import Condition, in_words

R = TypeVar("R", bound=Resource)
R_co = TypeVar("R_co", bound=Resource, covariant=True)

STATES = {
    phases.CREATING: Condition.CREATING,
    phases.MADE: Condition.CREATING,
    phases.READY: Condition.READY,
    phases.UPDATING: Condition.UPDATING,
    phases.DELETING: Condition.DELETING,
}
RULE = re.compile(r"(\S+ \S+) \$\{([a-z0-9-]+)\.id\}")  # protocol and port, the other group's step


@dataclass(frozen=True)
class Thing(Generic[R_co]):
    """One resource as it is known to be."""

    resource: R_co  # every reference that is known replaced by its value
    identity: str  # "" when it does not exist
    state: Condition
    status: str = ""  # AWS's own
    console: str = ""  # the URL of its page in the AWS console

    @property
    def step(self) -> str:
        """The step's name."""
        return self.resource.step

    @property
    def stands(self) -> str:
        """How it stands, with its sign."""
        return f"{self.state.sign} {in_words(self.state, self.status)}"


@dataclass(frozen=True)
class Passage:
    """Something that may talk to something else."""

    source: str
    target: str
    how: str  # tcp 3306, or IAM actions
    state: Condition  # the worst of all that it takes


class Things(dict[str, Thing[Resource]]):
    """What is known of every resource, by step."""

    def of(self, resource: R) -> Thing[R]:
        """Return what is known of a declared resource."""
        return cast("Thing[R]", self[resource.step])


def things_in_state(
    resources: Sequence[Resource], steps: Mapping[str, Mapping[str, Any]], region: str = ""
) -> Things:
    """Return each resource that we make as the state file's `steps` have it, in a region."""
    known = {step: entry["outputs"] for step, entry in steps.items()}

    def thing(resource: Resource) -> Thing[Resource]:
        bound = bind(resource, known)
        if resource.step not in steps:
            return Thing(bound, "", Condition.MISSING)
        phase = steps[resource.step]["phase"]
        if isinstance(resource, AccountResource) and phase == phases.MADE:
            phase = phases.READY  # the account's own: it is not waited for
        identity = resource.identity(known[resource.step])
        console = page_of(bound, identity, region)
        return Thing(bound, identity, STATES[phase], console=console)

    ours = (each for each in resources if isinstance(each, CreatableResource))
    return Things({each.step: thing(each) for each in ours})


def page_of(resource: Resource, identity: str, region: str) -> str:
    """Return the URL of a bound resource's page in the AWS console, or ""."""
    return console_url(resource.kind, identity, vars(resource), region)


# --- what may talk to what ------------------------------------------------------------------------


def passages(template: Template, things: Things) -> Iterator[Passage]:
    """Yield what may talk to what, through the network and by IAM."""
    state = worst(things, template.api.step, template.stage.step)
    yield Passage("any client", template.api.step, "HTTPS, without a login", state)
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
                known = known_or(target.split(":", 5)[-1], "known when it exists")
                how = ", ".join(listed(statement["Action"]))
                state = thing.state if known in target else Condition.MISSING
                yield Passage(thing.step, known, how, state)


def listed(value: str | Sequence[str]) -> Sequence[str]:
    """Return a policy's value, which may be one text or several, as several."""
    return [value] if isinstance(value, str) else value


def worst(things: Things, *steps: str) -> Condition:
    """Return how the worst of these stands."""
    return max((things[step].state for step in steps), key=list(Condition).index)


def known_or(text: str, otherwise: str) -> str:
    """Return a value, or `otherwise` when it is a reference to what is not known yet."""
    return otherwise if REFERENCE.search(text) else text
