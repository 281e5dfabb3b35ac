"""The memory of a process of ours: one heap for all threads, and garbage that can wait."""

from __future__ import annotations

import contextlib
import ctypes
import gc

THRESHOLD = 50_000  # new objects after which garbage is collected; Python's own is 700
M_MMAP_THRESHOLD = -3  # and how large is what goes back to the system when it is let go
LARGE = 256 * 1024  # bytes: a model of AWS's is read as megabytes of text
M_ARENA_MAX = -8  # glibc's malloc.h; musl and macOS have no mallopt


def one_heap() -> None:
    """Let all threads of this process share one heap, where the C library takes the wish.

    glibc gives threads heaps of their own, which keep what was ever needed: 10 to 30 MiB here.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)


def stop_collecting() -> None:
    """Collect no garbage for now: a start makes many objects, and almost all of them live on."""
    gc.disable()
    gc.set_threshold(THRESHOLD)


def resume_collecting() -> None:
    """Collect garbage again, of what is made from now on: for what may take minutes."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
