"""Standard streams that are closed, full, or of an encoding that lacks a character.

A run that changes AWS must not stop halfway because its output cannot be written:
what cannot be written is left out, and the command ends with an error.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast


class Steady:
    """A text stream whose errors end nothing but its output; `error` is the first one.

    A reader who goes away is no error of the stream: BrokenPipeError is raised as it is.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, unless it has failed before."""
        self._unless_failed(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, unless it has failed before."""
        self._unless_failed(self._stream.flush)

    def _unless_failed(self, do: Callable[[], object]) -> None:
        try:
            if self.error is None:
                do()
        except BrokenPipeError:
            raise
        except OSError as error:
            self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def make_usable() -> None:
    """Put all three standard streams into a state in which they can be used.

    A closed one becomes the null device: else the next file that is opened would take its place,
    the state file for one. What an encoding lacks is written with a backslash.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stdout = steady(sys.stdout, 1)
    sys.stderr = steady(sys.stderr, 2)


def steady(stream: TextIO | None, number: int) -> TextIO:
    """Return an output stream, or the null device in its place, on which nothing fails."""
    if stream is None:
        stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    with contextlib.suppress(AttributeError, ValueError):
        cast(Any, stream).reconfigure(errors="backslashreplace")
    return cast(TextIO, Steady(stream))


def finish(code: int) -> int:
    """Write out what is buffered. Returns the exit code: 1 in place of 0 where stdout failed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    error = getattr(sys.stdout, "error", None)
    if error is None:
        return code
    print(f"error: standard output: {error.strerror or error}", file=sys.stderr, flush=True)
    return code or 1
