"""How things stand, in one vocabulary: its words and signs mean the same in every view and run.

AWS's own status stands beside the word where it says more.
"""

from __future__ import annotations

from enum import Enum

from provision.views.style import Meaning, Styled, styled


class Condition(Enum):
    """How a resource stands, from good to bad: the word for it, its sign and its colour."""

    READY = "ready", "✓", Meaning.GOOD
    CREATING = "creating", "◐", Meaning.CREATING
    UPDATING = "updating", "◑", Meaning.CHANGED
    DELETING = "deleting", "◒", Meaning.DELETING
    WAITING = "waiting", "◌", Meaning.WAITING  # for another resource, before AWS takes the call
    DIFFERS = "differs", "≠", Meaning.CHANGED  # from config.toml
    FAILED = "failed", "✗", Meaning.BAD
    FOREIGN = "not ours", "⊘", Meaning.BAD
    UNPROVEN = "unproven", "?", Meaning.WARNING  # it may be ours, or its tags cannot be read
    MISSING = "missing", "○", Meaning.BAD

    def __init__(self, word: str, sign: str, colour: Meaning) -> None:
        self.word = word
        self.sign = sign  # one character, which says the same as the colour
        self.colour = colour


# AWS's statuses (of RDS, Lambda, EC2, API Gateway), and ours of a step, in lower case.
# Those that say no more than the word:
SAME = {
    Condition.READY: {"active", "answers", "available", "complete", "deployed", "enabled", "ready",
                      "successful", "there"},
    Condition.CREATING: {"create_in_progress", "creating", "made", "pending"},
    Condition.UPDATING: {"inprogress", "modifying", "update_in_progress", "updating"},
    Condition.DELETING: {"absent", "delete_in_progress", "deleting", "gone"},
    Condition.WAITING: {"waiting"},
    Condition.FAILED: {"failed"},
    Condition.MISSING: {"missing"},
}  # fmt: skip
# Those that say more:
MORE = {
    Condition.CREATING: {"backing-up", "not visible yet", "registering", "starting", "unavailable"},
    Condition.UPDATING: {"maintenance", "rebooting", "renaming", "resetting-master-credentials",
                         "upgrading"},
    Condition.DELETING: {"in use", "stopping"},
    Condition.WAITING: {"calling", "looking", "unsure"},
    Condition.FAILED: {"delete-precheck", "inactive", "restore-error", "stopped", "storage-full",
                       "suspended"},
}  # fmt: skip
STARTS = {
    Condition.UPDATING: ("configuring-", "converting-", "moving-", "storage-"),
    Condition.FAILED: ("failed", "inaccessible-", "incompatible-", "insufficient-"),
}
BY_STATUS = {
    status: state for known in (SAME, MORE) for state, those in known.items() for status in those
}


def condition_of(status: str) -> Condition | None:
    """Return what a status means; None for one that is not known."""
    word = status.lower()
    if word in BY_STATUS:
        return BY_STATUS[word]
    return next((state for state, starts in STARTS.items() if word.startswith(starts)), None)


def in_words(state: Condition, status: str = "") -> str:
    """Return a state in words, with AWS's own status beside it where that says more."""
    word = status.lower()
    says_no_more = not word or word == state.word or word in SAME.get(state, ())
    return state.word if says_no_more else f"{state.word} ({status})"


def status_in_words(status: str) -> str:
    """Return what a status means, with the status beside it; one that is not known as it is."""
    state = condition_of(status)
    return in_words(state, status) if state else status


def shown(state: Condition, status: str = "") -> Styled:
    """Return a state with its sign, in words, in its colour."""
    return styled(f"{state.sign} {in_words(state, status)}", state.colour)
