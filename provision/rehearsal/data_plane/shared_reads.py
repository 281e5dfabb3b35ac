"""Lets threads that ask the same question at the same time share one answer.

An answer is never older than the question: whoever asks while a read is under way waits for the
next one, together with all others who came meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class SharedReads:
    """Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gathering: dict[Hashable, Future[Any]] = {}
        self._turns: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what `read` returns, called by this thread or another after this call began.

        Raises what `read` raises. The same key must always mean the same read.
        """
        with self._lock:
            future = self._gathering.get(key)
            first = future is None
            if future is None:
                future = self._gathering[key] = Future()
            turn = self._turns.setdefault(key, threading.Lock())
        if first:
            with turn:  # one read of a kind at a time
                with self._lock:
                    del self._gathering[key]
                try:
                    future.set_result(read())
                except BaseException as error:  # raised below, and for each that waits
                    future.set_exception(error)
        answer: T = future.result()
        return answer
