"""The state file: what we know we made, and what we were about to do.

JSON, mode 0600, replaced as a whole (temporary file, fsync, rename), so that it is true at every
moment, whenever the process is killed. One writer at a time, through a lock file beside it. It
holds identities and no secret: no password, token or secret value is ever put into it.

    {"version": 1, "serial": 7, "environment": "demo", "account": "…", "region": "…",
     "steps": {"vpc": {"phase": "ready", "outputs": {"id": "vpc-…"}, "since": "2026-11-24T…Z"}},
     "runs": [...]}

`phase` is what was last begun or done: creating (asked for; perhaps there), made (there; its
outputs known), ready, updating, deleting. CONTRIBUTING.md has the whole format.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from provision.errors import Locked, StateError

VERSION = 1
RUNS_KEPT = 20
CREATING, MADE, READY, UPDATING, DELETING = "creating", "made", "ready", "updating", "deleting"
PHASES = (CREATING, MADE, READY, UPDATING, DELETING)


@dataclass
class StepState:
    """What is known of one step's resource."""

    phase: str
    outputs: dict[str, str] = field(default_factory=dict)
    since: str = ""


class State:
    """The state of one environment, in memory and on disk alike."""

    def __init__(self, path: Path, *, environment: str, region: str, writes: bool = True) -> None:
        self.path = path
        self.environment = environment
        self.account = ""  # until it is known who is calling
        self.region = region
        self.serial = 0
        self.steps: dict[str, StepState] = {}
        self.runs: list[dict[str, Any]] = []
        self.under_way: Callable[[], dict[str, Any] | None] = lambda: None  # the run, so far
        self._writes = writes
        self._lock = threading.Lock()

    # --- reading ----------------------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        environment: str,
        region: str,
        account: str | None = None,
        writes: bool = True,
    ) -> State:
        """Return the state at `path`; an empty one when there is no file.

        Raises StateError for a file that is cut off, foreign, of a newer version, or of another
        environment, region or account. The file is left as it is. Without `account`, because the
        caller is not known yet, `belong_to` has to follow.
        """
        state = cls(path, environment=environment, region=region, writes=writes)
        document = read(path)
        if document is not None:
            refuse_another(document, path, environment=environment, region=region)
            state.account, state.serial = document["account"], document["serial"]
            state.steps = {name: StepState(**step) for name, step in document["steps"].items()}
            state.runs = document.get("runs", [])
        if account is not None:
            state.belong_to(account)
        return state

    def belong_to(self, account: str) -> None:
        """Take the account of the caller. Raises StateError for the state of another one."""
        ours = {"account": self.account, "steps": self.steps}
        refuse_another(ours, self.path, account=account)
        self.account = account

    def known(self) -> dict[str, dict[str, str]]:
        """Return each step's outputs of last time."""
        return {name: dict(step.outputs) for name, step in self.steps.items()}

    # --- writing ----------------------------------------------------------------------------------

    def begin(self, step: str, phase: str) -> None:
        """Record what is about to be asked of AWS, before it is asked."""
        with self._lock:
            outputs = self.steps[step].outputs if step in self.steps else {}
            self.steps[step] = StepState(phase, dict(outputs), now())
            self._save()

    def record(self, step: str, phase: str, outputs: Mapping[str, str]) -> None:
        """Record what AWS answered. Writes only what is news."""
        with self._lock:
            before = self.steps.get(step)
            if before and (before.phase, before.outputs) == (phase, dict(outputs)):
                return
            self.steps[step] = StepState(phase, dict(outputs), now())
            self._save()

    def forget(self, step: str) -> None:
        """Record that a step's resource is gone."""
        with self._lock:
            if self.steps.pop(step, None) is not None:
                self._save()

    def add_run(self, run: Mapping[str, Any]) -> None:
        """Keep the record of a run that has ended, and of the last ones before it."""
        with self._lock:
            self.under_way = lambda: None
            self.runs = [*self.runs, dict(run)][-RUNS_KEPT:]
            self._save()

    def check_writable(self) -> None:
        """Write the file once. Raises StateError, before anything is asked of AWS."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        if not self._writes:
            return
        self.serial += 1
        run = self.under_way()  # so that of a run that is killed there is a record too
        document = {
            "version": VERSION,
            "serial": self.serial,
            "environment": self.environment,
            "account": self.account,
            "region": self.region,
            "steps": {name: asdict(step) for name, step in sorted(self.steps.items())},
            "runs": [*self.runs, run][-RUNS_KEPT:] if run else self.runs,
        }
        try:
            replace_file(self.path, json.dumps(document, indent=1) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error


def now() -> str:
    """Return the time in UTC, as the file writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def replace_file(path: Path, text: str) -> None:
    """Put `text` in place of the file in one step that survives a crash. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
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


def read(path: Path) -> dict[str, Any] | None:
    """Return the document of a state file, or None when there is no file. Raises StateError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path}: cannot be read: {error}") from error
    keep = (
        "It was left as it is. Restore it from a copy, or move it away: then everything is found "
        "again at AWS by its tags and names."
    )
    try:
        document = json.loads(text)
    except ValueError as error:
        raise StateError(f"{path}: cut off or not JSON ({error})", next_step=keep) from error
    if not isinstance(document, dict) or "version" not in document:
        raise StateError(f"{path}: not a state file of this program", next_step=keep)
    if document["version"] != VERSION:
        raise StateError(
            f"{path}: version {document['version']}; this program knows version {VERSION}",
            next_step="Use the program that wrote it, or a newer one. The file was left as it is.",
        )
    if problem := malformed(document):
        raise StateError(f"{path}: {problem}", next_step=keep)
    return document


def refuse_another(document: Mapping[str, Any], path: Path, **ours: str) -> None:
    """Raise StateError for what there is of another environment, account or region than ours."""
    for key, our in ours.items():
        if document[key] != our and document["steps"]:
            raise StateError(
                f"{path}: the state of {key} {document[key]!r}, but this run is for {our!r}",
                next_step="Name this environment's own state file with --state, or use the "
                "credentials and configuration that the file was made with.",
            )


def malformed(document: Mapping[str, Any]) -> str:
    """Return what is wrong with a document of our version, or ""."""
    kinds = {"serial": int, "environment": str, "account": str, "region": str, "steps": dict}
    for key, kind in kinds.items():
        if not isinstance(document.get(key), kind):
            return f"{key!r} is missing or not of the right type"
    for name, step in document["steps"].items():
        good = (
            isinstance(step, dict)
            and set(step) <= {"phase", "outputs", "since"}
            and step.get("phase") in PHASES
            and isinstance(step.get("outputs"), dict)
            and all(isinstance(text, str) for text in step["outputs"].values())
        )
        if not good:
            return f"step {name!r} is malformed"
    runs = document.get("runs", [])
    if not (isinstance(runs, list) and all(map(sound_run, runs))):
        return "'runs' is malformed"
    return ""


def sound_run(run: Any) -> bool:
    """Return whether the record of a run has the form that history.py gives it."""
    match run:
        case {
            "command": str(),
            "began": str(),
            "seconds": int() | float(),
            "ok": bool() | None,
            "steps": dict() as steps,
        }:
            return all(map(sound_step, steps.values()))
    return False


def sound_step(step: Any) -> bool:
    """Return whether a step of such a record has its form."""
    match step:
        case {"began": int() | float(), "doing": str(), "statuses": list() as told}:
            good = all(map(sound_status, told))
        case _:
            return False
    match step:
        case {"action": str(), "ended": int() | float()}:
            return good
    return good and not {"action", "ended"} & step.keys()


def sound_status(told: Any) -> bool:
    """Return whether what was told of a step is (when, status, reason)."""
    match told:
        case [int() | float(), str(), str()]:
            return True
    return False


# --- the lock -------------------------------------------------------------------------------------


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
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unwritable(lock, error) from error
        try:
            take(handle, path)
            if same_file(handle, lock):
                yield handle
                return
        finally:
            os.close(handle)


def take(handle: int, path: Path) -> None:
    """Lock an open lock file. Raises Locked, with the holder, when another run has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 1000, 0).decode(errors="replace").strip()
        raise Locked(
            f"{path}: in use by {holder or 'another run'}",
            next_step="Wait until that run has ended, then run the same again.",
        ) from None


def unwritable(path: Path, error: OSError) -> StateError:
    """Return the error for a file that cannot be written."""
    return StateError(
        f"{path}: cannot be written: {error.strerror}",
        next_step="Make room, or give a folder that can be written to with --state, then run the "
        "same again: what is at AWS is found by its tags and names.",
    )


def same_file(handle: int, path: Path) -> bool:
    """Return whether the open file is still the one that stands at `path`."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False
