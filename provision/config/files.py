"""Files that users pass to the program: read whole, or refused with a one-line error."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LARGEST = 16 * 1024 * 1024  # bytes: far more than any configuration or state
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unreadable(Exception):
    """A file that cannot be read as text. `next_step` says what to do; it may be empty."""

    def __init__(self, why: str, next_step: str = "") -> None:
        super().__init__(why)
        self.next_step = next_step


def read_text(path: Path) -> str:
    """Return the UTF-8 text of a regular file, without a byte-order mark.

    Only a regular file is read: a pipe or a device may never end, and may not be read twice.
    Raises FileNotFoundError or Unreadable.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not hang
        with os.fdopen(handle, "rb") as file:
            kind = stat.S_IFMT(os.fstat(handle).st_mode)
            if kind != stat.S_IFREG:
                what = KINDS.get(kind, "a special file")
                raise Unreadable(f"is {what}, not a file", "Write it to a file, and name that.")
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise Unreadable("is a folder, not a file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Unreadable(getattr(error, "strerror", None) or str(error)) from None
    if len(data) > LARGEST:
        raise Unreadable(f"is larger than {LARGEST // 1024**2} MiB")
    return decoded(data)


def decoded(data: bytes) -> str:
    """Return the text of UTF-8 bytes. Raises Unreadable."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise Unreadable("not UTF-8 but UTF-16 or UTF-32", "Save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"not UTF-8 (line {line})", "Save it as UTF-8.") from None
