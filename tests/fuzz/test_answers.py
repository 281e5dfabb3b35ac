"""AWS's answers with members missing, empty or of odd values: an error in words, nothing changed.

For each list call that a command makes, one member after another is left out of what the rehearsed
AWS answers. What a command makes of that is its own business, as long as it is no traceback, and as
long as nothing is made or deleted because of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape

from provision.rehearsal import Override
from tests.support.built import Built

COMMANDS = (("provision", "plan"), ("provision", "status"), ("provision", "doctor"))
SEED = 7  # which members are tried: all of them would take minutes
TRIED = 8


def members(shape: Shape | None, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names of all members of an answer, however deep."""
    if isinstance(shape, ListShape):
        yield from members(shape.member, seen)
    elif isinstance(shape, StructureShape) and shape.name not in seen:
        for name, inner in shape.members.items():
            yield name
            yield from members(inner, seen | {shape.name})


def candidates(built: Built) -> list[tuple[str, str]]:
    """Each read that the commands make, with each member that its answer may have."""
    before = len(built.remote.journal())
    for words in COMMANDS:
        assert built.commands.run(*words, "--output", "json").code in (0, 1)
    calls = {(each.service, each.operation) for each in built.remote.journal()[before:]}
    session = botocore.session.Session()
    found = []
    for service, operation in sorted(calls):
        model = session.get_service_model(service).operation_model(operation)
        found += [
            (f"{service}:{operation}", name) for name in sorted({*members(model.output_shape)})
        ]
    return found


ODD: list[Any] = [None, "", "odd", -1, [], {}]


@pytest.mark.sweep(part=10)
@pytest.mark.parametrize("how", ["dropped", "odd"])
def test_no_answer_of_aws_ends_in_a_traceback(built: Built, how: str) -> None:
    chosen = random.Random(f"{SEED} {how}").sample(candidates(built), TRIED)  # noqa: S311
    for number, (operation, name) in enumerate(chosen):
        if how == "dropped":
            rule = Override(operation, drop=(name,))
        else:
            rule = Override(operation, set={name: ODD[number % len(ODD)]}, within=name)
        before = len(built.remote.journal())
        built.remote.set_overrides(rule)
        try:
            words = COMMANDS[number % len(COMMANDS)]
            result = built.commands.run(*words, "--output", "json")
        finally:
            built.remote.set_overrides()
        about = (operation, name, words, result.stderr[-500:])
        assert result.code in (0, 1), about
        assert "Traceback" not in result.stderr, about
        error = result.summary["error"]
        assert error is None or error["type"] != "UnforeseenError", (about, error)
        assert not [each for each in built.remote.journal()[before:] if each.mutating], about
