"""What the engine and the commands report, and the two interfaces of those who show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provision.errors import ProvisionError

if TYPE_CHECKING:
    from provision.engine.plan import Plan
    from provision.resources.base import Resource


@dataclass(frozen=True)
class Summary:
    """How a command ended."""

    command: str
    ok: bool
    created: int = 0
    adopted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    seconds: float = 0.0
    url: str | None = None
    error: ProvisionError | None = None
    notes: Sequence[str] = field(default=())  # what is worth knowing: cost, what still runs
    happened: str = ""  # in words, in place of "done": for what counts nothing
    verdict: str = ""  # how it ended, as a line in place of "up: done in 3 s: 36 created"
    lasting: bool = True  # else the URLs lead nowhere any more, and are not shown to a person
    silent: bool = False  # the command's result is all that a person wants to see
    next_commands: Sequence[tuple[str, str]] = field(default=())  # (command, what it does)


@dataclass(frozen=True)
class Pace:
    """How long each step usually takes here."""

    speed: float = 1.0  # AWS seconds that pass in one real second (a rehearsal's)
    earlier: Mapping[str, float] = field(default_factory=dict)  # seconds to create, by step


class Watcher:
    """Receives an event for everything that the engine does. Called from many threads.

    Every step that begins ends: finished, failed, or not at all when the run is interrupted.
    """

    def began(self, resource: Resource, doing: str) -> None:
        """A step begins: `doing` is creating, updating or deleting."""

    def status(self, resource: Resource, status: str, reason: str = "") -> None:
        """AWS's status of a step during a wait."""

    def finished(self, resource: Resource, action: str, identity: str, seconds: float) -> None:
        """A step ended: `action` is created, adopted, updated, unchanged or deleted."""

    def failed(self, resource: Resource, error: ProvisionError) -> None:
        """A step failed."""

    def skipped(self, resource: Resource, reason: str) -> None:
        """A step was not started, since one that it depends on has failed."""


class Reporter:
    """Shows what a command finds, plans and results in. No method has to be overridden.

    `verbose`: whether a person wants to see everything (`-v`), not only what matters.
    """

    verbose = False
    interactive = True  # whether a person may be asked something beside it

    def start(self, command: str, resources: Sequence[Resource], about: str, pace: Pace) -> None:
        """A command begins. `about` names the environment, account and region in words."""

    def planned(self, plan: Plan) -> None:
        """The plan of a run, or what `plan` found."""

    def removing(self, resources: Sequence[Resource]) -> None:
        """The resources that a run is going to delete: all of them that exist."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for a person; programs get `record` instead."""

    def activity(self, text: str) -> None:
        """What the command itself is doing, apart from any step; "" when that has ended."""

    def record(self, event: str, **values: Any) -> None:
        """A fact for a program; a person gets `table` or `note` instead."""

    def note(self, text: str) -> None:
        """A line for a person."""

    def document(self, lines: Sequence[str], *, folds: bool = False) -> None:
        """A document for a person, to be copied or sent to a file as it is; or one that `folds`."""

    def error(self, error: ProvisionError) -> None:
        """The error that ended the command, with what to do next."""

    def summary(self, summary: Summary) -> None:
        """How the command ended; its last event."""

    def close(self) -> None:
        """Give the terminal back."""


class Display(Reporter, Watcher):
    """What `--output` chooses: live.py (a terminal), plain.py (lines), json_lines.py (programs)."""
