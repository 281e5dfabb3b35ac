"""Records of what AWS did, beside the state and not in it: one file for each run.

A state `.provision/demo.json` has them in the folder `.provision/demo.observed/`, mode 0700, its
files 0600. A run replaces its own file alone, as a whole, so that nothing is lost when it is killed
and runs need no lock. Runs with a state in S3 keep theirs where a local state would be: on the
machine that they ran on.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from provision.config.files import Unreadable, read_text
from provision.state.document import RUNS_KEPT, now
from provision.state.local import replace_file
from provision.state.location import DEFAULT_FOLDER, Location

VERSION = 1
SUFFIX = ".observed"
MODELS = ".models"  # a file: what the clients need of AWS's models (aws/service_models.py)


def folder_of(at: Location, environment: str, suffix: str = SUFFIX) -> Path:
    """Return the folder with the records of an environment whose state is kept at `at`.

    With MODELS as `suffix` it is the file beside it.
    """
    path = at if isinstance(at, Path) else Path(DEFAULT_FOLDER) / environment
    return path.with_name(path.name.removesuffix(".json") + suffix)


def keep_models(path: Path | None, text: str) -> None:
    """Write the parts of AWS's models that later runs need. A failed write is ignored.

    Nobody waits for the disk: a file that a crash cuts off is made anew.
    """
    if path is None or not text:
        return
    with contextlib.suppress(OSError, ValueError):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)


class ObservedRuns:
    """The records in one folder; this process writes one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._began = now()
        self._path: Path | None = None

    def keep(self, run: Mapping[str, Any]) -> None:
        """Write this run's record in place of its last. A failed write is ignored."""
        document = {"version": VERSION, "began": self._began, "run": run}
        with contextlib.suppress(OSError, ValueError):  # ValueError: a NUL in the folder's name
            path = self._path or self._new_path()
            replace_file(path, json.dumps(document, ensure_ascii=False) + "\n")
            if self._path is None:
                self._path = path
                self._forget_old()

    def _new_path(self) -> Path:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        stamp = self._began.replace(":", "").replace("-", "")
        path = self.folder / f"{stamp}-{os.getpid()}.json"
        number = 1
        while path.exists():  # an earlier run of this very process
            number += 1
            path = self.folder / f"{stamp}-{os.getpid()}-{number}.json"
        return path

    def _forget_old(self) -> None:
        for path in self._paths()[:-RUNS_KEPT]:
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        """Return the files of all runs, the oldest first."""
        return sorted(self.folder.glob("*.json"))

    def all(self) -> Iterator[tuple[Path, Any]]:
        """Yield each file with the JSON in it, the oldest first; None where it is not readable."""
        for path in self._paths():
            try:
                yield path, json.loads(read_text(path))
            except (Unreadable, OSError, ValueError, RecursionError):
                yield path, None
