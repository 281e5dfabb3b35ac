"""Answers that equal reads share: one list of all subnets, not one call a subnet.

AWS counts calls per account, and everybody in the account shares the count. An answer is shared

- during one discovery of a whole environment: until the discovery ends;
- at any other time: while the question is on its way, and for a moment afterwards, so that two who
  wait for a proxy each ask once, and nobody who asks again gets what he has seen before.

An answer to a question that was asked before something of the same service was changed here serves
nobody afterwards. Shared answers are lists that everybody reads, and nobody changes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")

MOMENT = 0.5  # AWS's seconds for which an answer counts as new; less than the least gap of a wait


@dataclass
class _Answer:
    """A read, when it was sent, and what AWS answered."""

    changes: int  # of the service, before the read was sent
    asked_at: float
    future: Future[Any] = field(default_factory=Future)


class SharedAnswers:
    """The answers that are shared now, by service and read. Thread-safe."""

    def __init__(self, speed: float = 1.0) -> None:
        self._moment = MOMENT / speed
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, Hashable], _Answer] = {}
        self._changes: Counter[str] = Counter()
        self._members: dict[str, set[str]] = defaultdict(set)
        self.looking = False  # at a whole environment, now
        self._from = 0.0  # reads sent before are too old for the discovery

    def ask(
        self, service: str, question: Hashable, read: Callable[[], T], *, lasting: bool = False
    ) -> T:
        """Return what `read` returns, or has returned to another thread for the same read.

        `lasting`: an answer of any age will do, unless we have changed something since; for what
        nobody else is expected to change while we wait. Raises what `read` raises, for everybody
        who asked.
        """
        with self._lock:
            answer = self._answers.get((service, question))
            first = answer is None or not self._serves(service, answer, lasting=lasting)
            if first:
                answer = _Answer(self._changes[service], time.monotonic())
                self._answers[service, question] = answer
        assert answer is not None  # noqa: S101 - one was made above
        if first:
            try:
                answer.future.set_result(read())
            except BaseException as error:  # raised below, and for each that waits
                answer.future.set_exception(error)
        return cast("T", answer.future.result())

    def _serves(self, service: str, answer: _Answer, *, lasting: bool) -> bool:
        """Return whether an answer is new enough for a read that is sent now."""
        if answer.changes != self._changes[service]:
            return False
        on_its_way = not answer.future.done()
        if self.looking:
            return answer.asked_at >= self._from or (lasting and not on_its_way)
        if on_its_way:
            return True
        if answer.future.exception() is not None:
            return False
        return lasting or time.monotonic() - answer.asked_at < self._moment

    def changed(self, service: str) -> None:
        """Note that something of a service has been changed."""
        with self._lock:
            self._changes[service] += 1

    def look_again(self) -> None:
        """During a discovery: send every read again from now on."""
        self._from = time.monotonic()

    # --- one look at a whole environment ----------------------------------------------------------

    def begin_look(self, members: Iterable[tuple[str, str]]) -> None:
        """Share every answer until `end_look`. `members` are those that one call lists, by list."""
        with self._lock:
            self._members.clear()
            for name, member in members:
                self._members[name].add(member)
            self.looking = True
            self._from = time.monotonic()

    def end_look(self) -> None:
        """From now on, share answers only for a moment."""
        with self._lock:
            self._members.clear()
            self.looking = False

    def listed_with(self, name: str, member: str) -> tuple[str, ...]:
        """Return the members of a list that are looked up now, if `member` is one; else only it."""
        with self._lock:
            members = self._members.get(name, ())
            return tuple(sorted(members)) if member in members else (member,)
