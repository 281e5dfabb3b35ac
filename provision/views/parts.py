"""The environment's parts (network, database, ...): for plans and runs in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provision.engine.plan import Action
from provision.resources.base import CreatableResource, Resource
from provision.views.style import Meaning, signed

if TYPE_CHECKING:
    from provision.engine.plan import Plan

LONG_SECONDS = 30.0  # typical time at AWS from which on a step is slow


def parts_of(resources: Sequence[Resource]) -> dict[str, str]:
    """Return the part to which each step belongs; nothing for what is not a whole environment."""
    from provision.resources.template import Template

    return resources.parts() if isinstance(resources, Template) else {}


def counted(resources: Sequence[Resource]) -> str:
    """Return resources by what they are: `VPC, 3 subnets, 3 security groups`."""
    counts = Counter(each.title for each in resources if isinstance(each, CreatableResource))
    return ", ".join(
        title if number == 1 else f"{number} {plural(title)}" for title, number in counts.items()
    )


def plural(title: str) -> str:
    """Return what several of these are called."""
    if title.endswith("y"):
        return f"{title.removesuffix('y')}ies"
    return f"{title.removesuffix('s')}s"


def folded_lines(plan: Plan, parts: Mapping[str, str]) -> Iterator[str]:
    """Yield what a plan creates, a line for each part of the environment."""
    created: dict[str, list[Resource]] = {}
    for each in plan.counted:
        if each.action is Action.CREATE:
            created.setdefault(parts[each.step], []).append(each.resource)
    width = max(map(len, created), default=0)
    for part, resources in created.items():
        creates = signed(Meaning.CREATED, "create ")
        yield creates + f"  {part:<{width}}  {counted(resources)}"


@dataclass
class PartsUnderWay:
    """Which parts of a run have not ended yet."""

    resources: Sequence[Resource]  # what the run does something to
    parts: Mapping[str, str]
    _open: dict[str, dict[str, Resource]] = field(init=False)

    def __post_init__(self) -> None:
        self._open = {}
        for each in self.resources:
            self._open.setdefault(self.parts.get(each.step, each.step), {})[each.step] = each

    def ended(self, step: str) -> str:
        """Note that a step has ended. Returns the part that has ended with it, or ""."""
        part = self.parts.get(step, step)
        still_open = self._open.get(part, {})
        if still_open.pop(step, None) is None or still_open:
            return ""
        return part

    def of(self, part: str) -> list[Resource]:
        """Return what the run does something to in a part."""
        return [each for each in self.resources if self.parts.get(each.step, each.step) == part]


def slowest(resources: Sequence[Resource], action: str) -> float:
    """Return the seconds that the slowest of these typically takes at AWS."""
    deleted = action == "deleted"
    seconds = ((each.deletion if deleted else each.creation).typical for each in resources)
    return max(seconds, default=0.0)
