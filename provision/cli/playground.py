"""Which rehearsal `--rehearsal` uses: the one that `up --dry-run --serve` keeps running.

It says where it is in a file that only its user may read, and holds a lock on that file for as long
as it lives: what a killed one left behind is recognised by that, whatever has its process id or
port by now.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from provision.cli.options import Options
from provision.errors import UsageError

FILE = "rehearsal.json"
START = (
    "Start one in another terminal, and leave it running: python -m provision up --dry-run --serve"
)


@dataclass(frozen=True)
class Playground:
    """A rehearsal that other processes may reach, and with which flags it was started."""

    environ: Mapping[str, str]  # environment variables that point boto3 at it
    unset: Sequence[str]  # those that must not be set beside them
    config: str
    overrides: Sequence[str]
    region: str
    state: str
    speed: float


def folder() -> Path:
    """Return the user's own cache folder. It may not exist yet."""
    import platformdirs

    return platformdirs.user_cache_path("rds-proxy-auth")


@contextlib.contextmanager
def published(playground: Playground) -> Iterator[bool]:
    """Let `--rehearsal` reach this rehearsal in the block; yields whether it does.

    It does not while another one of this user is up, nor where the folder is not the user's own.
    """
    path = folder() / FILE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield False
        return
    with os.fdopen(handle, "r+", encoding="utf-8") as file:
        if not (is_private(handle) and locked(handle, fcntl.LOCK_EX)):
            yield False
            return
        file.truncate()
        json.dump(asdict(playground), file)
        file.flush()
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # unless something else is kept in it


def is_private(handle: int) -> bool:
    """Return whether a file is the user's own, and nobody else may read it."""
    about = os.fstat(handle)
    return about.st_uid == os.geteuid() and not stat.S_IMODE(about.st_mode) & 0o077


def locked(handle: int, how: int) -> bool:
    """Return whether the file could be locked: no other process holds a lock."""
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def running() -> Playground:
    """Return the running rehearsal. Raises UsageError if there is none."""
    path = folder() / FILE
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8") as file:
            if is_private(file.fileno()) and not locked(file.fileno(), fcntl.LOCK_SH):
                return Playground(**json.load(file))
    except (OSError, ValueError, TypeError):
        pass  # none, one that is just being written, or one of another version
    raise UsageError("--rehearsal: no rehearsal is running", next_step=START)


@contextlib.contextmanager
def joined(options: Options) -> Iterator[Options]:
    """Let this process reach only the running rehearsal in the block.

    Yields the options to use. Raises UsageError if none is running, or with a profile.
    """
    if options.profile:
        raise UsageError(
            "--rehearsal cannot be combined with --profile", next_step="Leave one of them out."
        )
    here = running()
    before = dict(os.environ)
    for name in here.unset:
        os.environ.pop(name, None)
    os.environ.update(here.environ)
    try:
        yield replace(
            options,
            config=options.config or Path(here.config),
            overrides=(*here.overrides, *options.overrides),
            region=options.region or here.region,
            state=options.state or here.state,
            speed=here.speed,
        )
    finally:
        os.environ.clear()
        os.environ.update(before)
