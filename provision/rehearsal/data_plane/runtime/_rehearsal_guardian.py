"""Lets nothing that a function starts outlive it, or the rehearsal.

The process that the rehearsal starts becomes the guardian of one child, the function's own. When
that ends, or when the rehearsal's end of the pipe closes (also by `kill -9`), the guardian kills
all that descends from the child: orphans fall to it, wherever they tried to go (Linux).
"""

import contextlib
import ctypes
import os
import select
import signal
import sys

_SET_CHILD_SUBREAPER = 36  # prctl's


def guard(pipe: int) -> None:
    """Fork; return in the child. The guardian ends as the child does, and never returns.

    `pipe` is the reading end of a pipe that the rehearsal holds the other end of. Where the system
    is not Linux, nobody is forked.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child:
        os._exit(_watch(child, pipe))


def _watch(child: int, pipe: int) -> int:
    """Wait for the child's end, or the pipe's; kill what is left; return the exit code."""
    for descriptor in (1, 2):  # else nobody would see the child's ends closed
        with contextlib.suppress(OSError):
            os.close(descriptor)
    held = os.pidfd_open(child)
    poll = select.poll()
    poll.register(held, select.POLLIN)
    poll.register(pipe, 0)  # POLLHUP is always told
    poll.poll()
    with contextlib.suppress(ChildProcessError):
        signal.pidfd_send_signal(held, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    while _kill_children():
        pass
    code = os.waitstatus_to_exitcode(status)
    if code < 0:  # end by the same signal, so that the rehearsal sees it
        with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _kill_children() -> bool:
    """Kill all children and reap those that ended; whether there may be more."""
    for pid in _children():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        return False
    return True


def _children() -> list[int]:
    """Return the ids of this process's children."""
    own, found = os.getpid(), []
    with contextlib.suppress(OSError), open(f"/proc/{own}/task/{own}/children") as told:  # noqa: PTH123
        return [int(pid) for pid in told.read().split()]
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - keep it light
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as stat:  # noqa: PTH123
            if int(stat.read().rpartition(")")[2].split()[1]) == own:
                found.append(int(name))
    return found
