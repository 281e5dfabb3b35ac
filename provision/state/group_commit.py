"""Combines pending writes: one write carries all of them."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable


class GroupCommit:
    """Calls `write` on a thread of its own while something is pending, one call at a time.

    What is requested while a write is under way is carried by the next one, all of it together.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._asked = 0  # how many changes there were
        self._at_work = False
        self._tried: list[int] = []  # for each write, up to which change it went
        self._errors: list[BaseException | None] = []  # and how it ended

    def ask(self) -> int:
        """Let what is now in memory be written soon. Returns the number to `wait` for."""
        with self._changed:
            self._asked += 1
            if not self._at_work:
                self._at_work = True
                threading.Thread(target=self._work, name="state", daemon=True).start()
            return self._asked

    def wait(self, number: int | None = None) -> None:
        """Return when the change of this number is written; without one, when all are.

        Raises what the write that carried it raised.
        """
        with self._changed:
            wanted = self._asked if number is None else number
            self._changed.wait_for(lambda: wanted <= (self._tried[-1] if self._tried else 0))
            error = self._errors[bisect.bisect_left(self._tried, wanted)] if wanted else None
        if error is not None:
            raise error

    def _work(self) -> None:
        while True:
            with self._changed:
                number = self._asked
            error: BaseException | None = None
            try:
                self._write()
            except BaseException as raised:  # raised in each thread that waits for it
                error = raised
            with self._changed:
                self._tried.append(number)
                self._errors.append(error)
                self._changed.notify_all()
                if self._asked == number:
                    self._at_work = False
                    return
