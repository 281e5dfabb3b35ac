"""Which resource depends on which: what exists first, what is deleted first, what lies within what.

Pure functions of the declared resources. Planner, executor, progress, timeline and `--explain` all
ask here, so that what is done and what is shown cannot differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from provision.resources.base import Resource
from provision.resources.references import field_names, references


def created_before(resource: Resource) -> set[str]:
    """Return the steps that must exist before this resource: all that it refers to."""
    return steps_of(resource, field_names(resource))


def container_of(resource: Resource) -> set[str]:
    """Return the step of the container that AWS deletes this resource with, if any."""
    return steps_of(resource, (resource.within,) if resource.within else ())


def found_within(resource: Resource) -> set[str]:
    """Return the steps whose id has to be known before this resource can be looked up."""
    return steps_of(resource, resource.find_by)


def deleted_before(resource: Resource, going: Iterable[Resource]) -> set[str]:
    """Return the steps among `going` that must be deleted before this resource.

    That is its container, where that goes too; else whatever refers to it, but for what lies within
    it and for references that AWS does not hold to (`non_blocking`).
    """
    going = list(going)
    if container := container_of(resource) & {each.step for each in going}:
        return container
    return {each.step for each in going if resource.step in blocking(each)}


def blocking(resource: Resource) -> set[str]:
    """Return the steps that AWS does not delete while this resource exists."""
    fields = [name for name in field_names(resource) if name not in resource.non_blocking]
    return steps_of(resource, fields) - container_of(resource)


def with_contents(steps: Iterable[str], resources: Iterable[Resource]) -> set[str]:
    """Return these steps and all that are looked up within their resources.

    That is deleted when they are replaced, and is nobody's of ours where they are not ours.
    `resources` are in the order of the environment.
    """
    found = set(steps)
    for each in resources:
        if found_within(each) & found:
            found.add(each.step)
    return found


def steps_of(resource: Resource, fields: Collection[str]) -> set[str]:
    """Return the steps that some fields of a resource refer to."""
    return {step for step, _ in references(resource, tuple(fields))}
