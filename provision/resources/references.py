"""References: values that a resource takes from what AWS answers about another one.

`vpc.id` is the text `${vpc.id}`, as in CloudFormation's Fn::Sub, and may be part of a longer text.
The engine replaces it with the real value before a resource sees it; a plan shows the text itself
for what is not known yet.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")

Reference = tuple[str, str]  # (step, output)
REFERENCE = re.compile(r"\$\{([a-z0-9-]+)\.([a-z_0-9]+)\}")


class Output:
    """An output that AWS returns when the resource is created, as a reference for others."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, resource: Any, owner: type | None = None) -> str:
        return f"${{{resource.step}.{self.name}}}"


def arn(service: str, resource: str) -> str:
    """Return the ARN of a resource, or a pattern, in the account and region of the run."""
    region = "" if service == "iam" else "${aws.region}"
    account = "" if service == "apigateway" else "${aws.account}"
    return f"arn:${{aws.partition}}:{service}:{region}:{account}:{resource}"


def texts(value: Any) -> Iterator[str]:
    """Yield every string inside `value`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def unresolved(value: Any) -> set[Reference]:
    """Return what `value` refers to."""
    return {match for text in texts(value) for match in REFERENCE.findall(text)}


def references(
    resource: DataclassInstance, fields: tuple[str, ...] | None = None
) -> set[Reference]:
    """Return what a resource, or some fields of it, refer to."""
    names = fields if fields is not None else field_names(resource)
    return {pair for name in names for pair in unresolved(getattr(resource, name))}


def field_names(resource: DataclassInstance) -> tuple[str, ...]:
    """Return the names of a resource's fields, except its step."""
    return tuple(each.name for each in dataclasses.fields(resource) if each.name != "step")


def substitute(value: Any, known: Mapping[str, Mapping[str, str]]) -> Any:
    """Return `value` with every known reference replaced by its value."""
    if isinstance(value, str):
        return REFERENCE.sub(
            lambda match: known.get(match[1], {}).get(match[2], match[0]),
            value,
        )
    if isinstance(value, Mapping):
        return {key: substitute(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(substitute(item, known) for item in value)
    return value


def bind(resource: R, known: Mapping[str, Mapping[str, str]]) -> R:
    """Return the resource with every known reference replaced by its value."""
    values = {name: substitute(getattr(resource, name), known) for name in field_names(resource)}
    return dataclasses.replace(resource, **values)
