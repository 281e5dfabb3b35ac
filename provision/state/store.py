"""Where a state is kept, for the code above: a file (local.py) or an object in S3 (s3.py)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Snapshot:
    """A document as it was read: its text, and which version that is."""

    text: str
    version: str


class Hold(Protocol):
    """A lock that is held."""

    @property
    def taken_from(self) -> str:
        """Who held it before and let its lease expire, in words; "" if nobody did."""

    def check(self) -> None:
        """Raise LeaseLost when the lock may no longer be acted upon."""


class Store(Protocol):
    """One place where a state is kept. All of its methods raise StateError and its kin."""

    @property
    def where(self) -> str:
        """The place, as the user names it."""

    @property
    def distant(self) -> bool:
        """Whether a write is a round trip: then writes that can be deferred are not waited for."""

    def known(self) -> bool:
        """Return whether a state exists, or may, without a call over a network."""

    def read(self) -> Snapshot | None:
        """Return the document, or None when there is none."""

    def write(self, text: str, replaces: str | None) -> str:
        """Write the document in place of that version (None: the first). Returns the new version.

        Raises StateError, and leaves the document, when it is another version.
        """

    def lock(self, command: str, on_lost: Callable[[], None]) -> AbstractContextManager[Hold]:
        """Hold the lock for a block. Raises Locked, with the holder, when another run has it.

        `on_lost` is called, on any thread, when the lock is lost within the block.
        """
