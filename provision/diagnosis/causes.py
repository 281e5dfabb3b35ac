"""All causes, in the order in which a request meets them: the first that is found is the root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from provision.diagnosis.cause import CHECK, Cause
from provision.diagnosis.evidence import Evidence

CAUSES: tuple[Callable[[Evidence], Cause | None], ...] = ()


def cause_of(evidence: Evidence) -> Cause:
    """Return why a login does not work, or what is known when nothing explains it."""
    for find in CAUSES:
        if cause := find(evidence):
            return replace(cause, kind=find.__name__.replace("_", "-"))
    return replace(unexplained(evidence), kind="unexplained")


def unexplained(evidence: Evidence) -> Cause:
    """What is known when nothing explains it."""
    proof = evidence.said()
    if evidence.problem:
        proof += f"; AWS could not be read: {evidence.problem}"
    return Cause("nothing that AWS tells explains it", proof, CHECK, certain=False)
