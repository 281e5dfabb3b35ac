"""Unexpected exceptions: one line for the user, and the traceback in a file or with -v."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

from provision.errors import UnforeseenError, shown


def unforeseen(error: BaseException, *, verbose: bool) -> UnforeseenError:
    """Return the error to report in place of `error`; its traceback is written down.

    With `verbose` the traceback goes to stderr, else into a file that only its owner may read.
    """
    text = "".join(traceback.format_exception(error))
    if verbose:
        print(text, file=sys.stderr, end="", flush=True)
        where = "above"
    else:
        where = written(text)
    words = shown(str(error))[1:-1]
    return UnforeseenError(
        f"{type(error).__name__}: {words}" if words else type(error).__name__,
        next_step=f"This is a bug in the program. Its traceback is {where}: please report it. The "
        "state is correct: run the same command again, or `python -m teardown`.",
    )


def written(text: str) -> str:
    """Write a traceback into a file. Returns in words where it is."""
    try:
        handle, path = tempfile.mkstemp(prefix="provision-traceback-", suffix=".txt")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return "shown with -v"
    return f"in {path}"
