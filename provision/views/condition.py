"""How things stand, in one vocabulary: its words and signs mean the same in every view and run.

AWS's own status stands beside the word where it says more.
"""

from __future__ import annotations

from enum import Enum


class Condition(Enum):
    """How a resource stands, from good to bad; the value is the word for it."""

    READY = "ready"
    CREATING = "creating"
    UPDATING = "updating"
    DELETING = "deleting"
    WAITING = "waiting"  # for another resource, before AWS takes the call
    DIFFERS = "differs"  # from config.toml
    FAILED = "failed"
    MISSING = "missing"

    @property
    def sign(self) -> str:
        """One character, which says the same as its colour."""
        return SIGNS[self]


SIGNS = {
    Condition.READY: "✓",
    Condition.CREATING: "◐",
    Condition.UPDATING: "◑",
    Condition.DELETING: "◒",
    Condition.WAITING: "◌",
    Condition.DIFFERS: "≠",
    Condition.FAILED: "✗",
    Condition.MISSING: "○",
}
# AWS's statuses (of RDS, Lambda, EC2, API Gateway), and ours of a step, in lower case.
MEANINGS = {
    Condition.READY: {"active", "answers", "available", "complete", "deployed", "enabled", "ready",
                  "successful", "there"},
    Condition.CREATING: {"backing-up", "create_in_progress", "creating", "made", "pending",
                     "registering", "starting", "unavailable"},
    Condition.UPDATING: {"inprogress", "maintenance", "modifying", "rebooting", "renaming",
                     "resetting-master-credentials", "update_in_progress", "updating", "upgrading"},
    Condition.DELETING: {"absent", "delete_in_progress", "deleting", "gone", "in use", "stopping"},
    Condition.WAITING: {"calling", "waiting"},
    Condition.FAILED: {"delete-precheck", "failed", "inactive", "restore-error", "stopped",
                   "storage-full", "suspended"},
    Condition.MISSING: {"missing"},
}  # fmt: skip
STARTS = {
    Condition.UPDATING: ("configuring-", "converting-", "moving-", "storage-"),
    Condition.FAILED: ("failed", "inaccessible-", "incompatible-", "insufficient-"),
}
BY_STATUS = {status: state for state, statuses in MEANINGS.items() for status in statuses}


def condition_of(status: str) -> Condition | None:
    """Return what a status means; None for one that is not known."""
    word = status.lower()
    if word in BY_STATUS:
        return BY_STATUS[word]
    return next((state for state, starts in STARTS.items() if word.startswith(starts)), None)


def in_words(state: Condition, status: str = "") -> str:
    """Return a state in words, with AWS's own status beside it where that says more."""
    plain = not status or (condition_of(status) is state and (state is Condition.READY or (
        status.lower() == state.value)))  # fmt: skip
    return state.value if plain else f"{state.value} ({status})"
