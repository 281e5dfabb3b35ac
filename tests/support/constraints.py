"""The constraints of botocore's service models, held against the requests that are made.

The models say which texts match which pattern, how long a text or a list may be, between which
bounds a number lies, and which values there are. botocore checks names, types and what is required,
and little of the rest; AWS checks all of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import regex
from botocore.client import BaseClient
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

NUMBERS = {"integer", "long", "float", "double"}


@dataclass(frozen=True)
class Request:
    """One call as it was made: its parameters, and botocore's model of it."""

    model: OperationModel
    params: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As in `rds:CreateDBProxy`."""
        return f"{self.model.service_model.signing_name}:{self.model.name}"

    def problems(self) -> Iterator[str]:
        """What AWS would refuse, if it holds what its model says."""
        shape = self.model.input_shape
        if shape is None:
            return
        report = ParamValidator().validate(self.params, shape)
        if report.has_errors():
            yield f"{self.name}: {report.generate_report()}"
        for place, problem in broken(self.params, shape):
            yield f"{self.name}: {place}: {problem}"

    def values(self) -> int:
        """How many texts and numbers are in it."""
        return leaves(self.params)


@contextlib.contextmanager
def recorded(made: list[Request]) -> Iterator[None]:
    """Add every call that any client of this process makes to `made`, as it is about to be sent."""
    send = BaseClient._convert_to_request_dict  # type: ignore[attr-defined]

    def noted(
        client: BaseClient,
        api_params: Any,
        operation_model: OperationModel,
        *more: Any,
        **named: Any,
    ) -> Any:
        made.append(Request(operation_model, dict(api_params)))
        return send(client, api_params, operation_model, *more, **named)

    with mock.patch.object(BaseClient, "_convert_to_request_dict", noted):
        yield


def leaves(value: Any) -> int:
    """How many texts and numbers are in a value."""
    if isinstance(value, Mapping):
        return sum(map(leaves, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(leaves, value))
    return 1


def broken(value: Any, shape: Shape, place: str = "") -> Iterator[tuple[str, str]]:
    """Each place in a value where a constraint of its shape does not hold, and which."""
    yield from ((place, problem) for problem in broken_here(value, shape))
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from broken(value[name], member, f"{place}.{name}".lstrip("."))
    elif isinstance(shape, ListShape) and isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from broken(item, shape.member, f"{place}[{number}]")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        for key, item in value.items():
            yield from broken(key, shape.key, f"{place}.{key} (key)")
            yield from broken(item, shape.value, f"{place}.{key}")


def broken_here(value: Any, shape: Shape) -> Iterator[str]:
    """The constraints of a shape that do not hold for the value itself."""
    about = shape.metadata
    number = shape.type_name in NUMBERS
    size = value if number else len(value) if hasattr(value, "__len__") else None
    what = "range" if number else "length"
    if size is not None and size < about.get("min", size):
        yield f"{what}: {size} is under {about['min']}"
    if size is not None and size > about.get("max", size):
        yield f"{what}: {size} is over {about['max']}"
    if isinstance(value, str):
        if "enum" in about and value not in about["enum"]:
            yield f"enum: {value!r} is none of {', '.join(about['enum'])}"
        if "pattern" in about and not regex.fullmatch(about["pattern"], value):
            yield f"pattern: {value!r} does not match {about['pattern']}"
