"""The state in a file of this machine, and its lock.

Mode 0600, replaced as a whole (temporary file, fsync, rename), so that it is always correct,
whenever the process is killed. One writer at a time, through a lock file beside it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from provision.config.files import Unreadable, read_text
from provision.errors import Locked, StateError
from provision.state.document import now
from provision.state.location import DEFAULT_FOLDER
from provision.state.store import Snapshot

VERSION = ""  # of a file: the lock alone sees to it that there is one writer


class LocalHold:
    """A lock of the operating system, which ends with its process."""

    taken_from = ""

    def check(self) -> None:
        """Do nothing: the lock cannot be lost."""


class LocalStore:
    """A state in a file."""

    distant = False

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> str:
        """The file's path."""
        return str(self.path)

    def known(self) -> bool:
        """Return whether there is a file."""
        return self.path.exists()

    def read(self) -> Snapshot | None:
        """Return what the file holds, or None when there is none. Raises StateError."""
        try:
            return Snapshot(read_text(self.path), VERSION)
        except FileNotFoundError:
            return None
        except Unreadable as error:
            raise StateError(
                f"{self.path}: cannot be read: {error}",
                next_step=error.next_step or "Name another file with --state.",
            ) from error

    def write(self, text: str, replaces: str | None) -> str:
        """Put `text` in the file's place, whatever it holds. Raises StateError."""
        del replaces  # the lock sees to it that there is one writer
        try:
            replace_file(self.path, text)
        except OSError as error:
            raise unwritable(self.path, error) from error
        return VERSION

    @contextlib.contextmanager
    def lock(self, command: str, on_lost: Callable[[], None]) -> Iterator[LocalHold]:
        """Hold the lock of the file. Raises Locked or StateError."""
        del on_lost  # it is never lost
        with locked(self.path, command):
            yield LocalHold()


def replace_file(path: Path, text: str) -> None:
    """Put `text` in place of the file in one step that survives a crash. Raises OSError."""
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(path: Path, command: str) -> Iterator[None]:
    """Hold the lock of a state file for the block. Raises Locked or StateError.

    The operating system frees the lock of a process that died, so a stale one never blocks.
    """
    lock = path.with_name(path.name + ".lock")
    holder = f"{command}, process {os.getpid()} on {socket.gethostname()}, since {now()}\n"
    with opened_lock(lock, path) as handle:
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, holder.encode(), 0)
        except OSError as error:
            raise unwritable(lock, error) from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)  # while it is held: nobody can have locked this very file


@contextlib.contextmanager
def opened_lock(lock: Path, path: Path) -> Iterator[int]:
    """Open and lock the lock file; again when another run has deleted it in between."""
    while True:
        try:
            make_folder(lock.parent)
            # Whoever may write to the folder could have put a link there, or a pipe.
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise not_a_lock(lock) from error
            raise unwritable(lock, error) from error
        try:
            check_lock(handle, lock)
            take(handle, path)
            if same_file(handle, lock):
                yield handle
                return
        finally:
            os.close(handle)


def make_folder(path: Path) -> None:
    """Create a folder that only the user can enter. One of another program is left as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    about = path.lstat()
    ours = path.name == DEFAULT_FOLDER and about.st_uid == os.geteuid()
    if ours and stat.S_ISDIR(about.st_mode) and about.st_mode & 0o077:
        path.chmod(0o700)


def check_lock(handle: int, lock: Path) -> None:
    """Raise StateError unless the open file is a regular one, the user's own and nothing else."""
    about = os.fstat(handle)
    regular = stat.S_ISREG(about.st_mode) and about.st_nlink <= 1
    if not regular or about.st_uid != os.geteuid():
        raise not_a_lock(lock)


def not_a_lock(lock: Path) -> StateError:
    """Return the error for a file in the lock file's place that is no lock file."""
    return StateError(
        f"{lock}: is not a lock file of yours: a link, or another user's file",
        next_step="Find out who created it, delete it, then run the same command again.",
    )


def take(handle: int, path: Path) -> None:
    """Lock an open lock file. Raises Locked, with the holder, when another run has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 1000, 0).decode(errors="replace").strip()
        raise Locked(
            f"{path}: in use by {holder or 'another run'}",
            next_step="Wait until that run has ended, then run the same command again.",
        ) from None


def unwritable(path: Path, error: OSError) -> StateError:
    """Return the error for a file that cannot be written."""
    return StateError(
        f"{path}: cannot be written: {error.strerror}",
        next_step="Free some space, or name a writable folder with --state, then run the same "
        "command again: it finds what exists at AWS by its tags and names.",
    )


def same_file(handle: int, path: Path) -> bool:
    """Return whether the open file is still the one at `path`."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False
