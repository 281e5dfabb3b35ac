"""Why a login does not work: in one sentence, with its proof, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from provision.resources.base import HIDDEN, Change

UP = "python -m provision up"
RESET_PASSWORD = "python -m provision up --reset-password"  # noqa: S105 - a command
CHECK = "python -m provision check"


@dataclass(frozen=True)
class Cause:
    """Why a login does not work. `proof` is what AWS says; it never holds a secret."""

    sentence: str
    proof: str
    next_step: str = UP
    certain: bool = True  # what AWS has is wrong, and stays so; False: read from the symptoms
    kind: str = ""  # the name of the function that found it, for programs


def is_should(what: str, is_: Any, should: Any) -> str:
    """Return the proof that something is not as it should be."""
    return f"{what} is {shown(is_)}; should be {shown(should)}"


def differing(what: str, change: Change) -> str:
    """Return the proof that a property is not as it should be; hidden values stay hidden."""
    if change.sensitive:
        return f"{what} is not the expected one"
    return is_should(what, change.is_, change.should)


def lower(change: Change | None) -> TypeGuard[Change]:
    """Return whether a number is lower than it should be."""
    return change is not None and change.is_ is not None and change.is_ < change.should


def shown(value: Any) -> str:
    """Return a value as a person reads it."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "nothing"
    if isinstance(value, list | tuple):
        return ", ".join(shown(each) for each in value) or "nothing"
    return HIDDEN if "${secret." in str(value) else str(value)
