"""What a check of the account, or of a link of the chain, has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """What a finding means."""

    GOOD = "good"
    WARNING = "warning"  # may be in the way, or cannot be read
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `reason` says why it is good or bad; it holds no secret."""

    what: str
    verdict: Grade
    reason: str
    next_step: str = ""
    login: str = ""  # password, iam or both; none for what is the account's

    @property
    def where(self) -> str:
        """What was looked at, with the login that it is about."""
        return f"{self.what} ({self.login} login)" if self.login else self.what


def good(what: str, reason: str) -> Finding:
    """Return a finding that nothing is in the way."""
    return Finding(what, Grade.GOOD, reason)


def warning(what: str, reason: str, next_step: str = "") -> Finding:
    """Return a finding that may be in the way, or that something cannot be read."""
    return Finding(what, Grade.WARNING, reason, next_step)


def bad(what: str, reason: str, next_step: str) -> Finding:
    """Return a finding that something is in the way for certain."""
    return Finding(what, Grade.BAD, reason, next_step)


def of_grade(grade: Grade, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of a grade."""
    return [each for each in findings if each.verdict is grade]


def in_words(findings: Sequence[Finding]) -> str:
    """Return findings as lines of an error."""
    return "\n".join(f"{each.where}: {each.reason}" for each in findings)


def next_steps(findings: Sequence[Finding]) -> str:
    """Return what to do about findings, each thing once."""
    return "; ".join(dict.fromkeys(each.next_step for each in findings if each.next_step))
