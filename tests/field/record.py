"""`make rehearsed`: records what the rehearsal plays, for `report` to compare AWS with.

`python -m tests.field.record codes` brings only the error codes up to date, without playing.

Plays lives of many seeds, and adds up what was recorded of them. Run it after a change to the
rehearsal or to what the product calls; tests/field/ says when that was forgotten.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from botocore.client import BaseClient

from provision.rehearsal.aws import behaviours
from provision.verify.field.public import SERVICES, known_members, public
from provision.verify.field.rehearsed import FILE, rehearsed
from tests.field.added_up import summary
from tests.field.lives import CHANGE, life

SEEDS = 14
BACKUPS = ("--set", "database.backup_retention_days=1")
DENSE = ("--set", "wait.poll_seconds=5")
CHANGES = (
    CHANGE,
    ("--set", "database.allocated_storage_gib=30", "--set", "function.memory_mib=512"),
    ("--set", "proxy.idle_client_timeout_seconds=60"),
    ("--reset-password",),
)
MODULES = {"lambda_": "lambda", "iam_roles": "iam", "target_health": "rds"}

Reads = dict[str, set[str]]


class Tracked(dict[str, Any]):
    """A part of an answer that reports which of its members are taken for granted."""

    def __init__(self, value: dict[str, Any], path: str, read: Callable[[str], None]) -> None:
        super().__init__(value)
        self._path, self._read = path, read

    def __getitem__(self, name: str) -> Any:
        self._read(f"{self._path}.{name}" if self._path else name)
        return super().__getitem__(name)


def tracked(value: Any, path: str, read: Callable[[str], None]) -> Any:
    """Return an answer that reports what is read of it."""
    if isinstance(value, dict):
        parts = {
            name: tracked(each, f"{path}.{name}" if path else name, read)
            for name, each in value.items()
        }
        return Tracked(parts, path, read)
    if isinstance(value, list):
        return [tracked(each, path, read) for each in value]
    return value


@contextmanager
def reads_noted() -> Iterator[Reads]:
    """Note in the block which members of AWS's answers are read without a doubt."""
    reads: Reads = defaultdict(set)
    send = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make_api_call(self: Any, operation: str, params: Any) -> Any:
        answer = send(self, operation, params)
        call = f"{self.meta.service_model.service_name}:{operation}"
        return tracked(answer, "", reads[call].add)

    with mock.patch.object(BaseClient, "_make_api_call", make_api_call):
        yield reads


def codes() -> dict[str, list[str]]:
    """Return the error codes in the code of each service's behaviours."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in Path(behaviours.__file__).parent.glob("*.py"):
        service = MODULES.get(path.stem, path.stem.partition("_")[0])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="AwsError"), args=[ast.Constant(value=str(code)), *_]
                ) if service in SERVICES:
                    found[service].add(code)
    return {service: sorted(each) for service, each in sorted(found.items())}


def recorded(seeds: int) -> dict[str, Any]:
    """Return the summary of so many lives."""
    runs: list[dict[str, Any]] = []
    with reads_noted() as reads:
        for seed in range(seeds):
            flags = (*(DENSE if seed % 3 == 0 else ()), *(BACKUPS if seed % 4 == 1 else ()))
            with tempfile.TemporaryDirectory() as folder:
                _, records = life(Path(folder), seed, *flags, change=CHANGES[seed % len(CHANGES)])
            print(f"seed {seed}: {[run['ok'] for run in records]}", file=sys.stderr)
            runs += records
    assert runs and all(run["ok"] for run in runs), "a life did not end well"  # noqa: PT018
    relied_on = {call: known_members(call, sorted(paths)) for call, paths in reads.items()}
    relied_on = {call: paths for call, paths in relied_on.items() if paths}
    return summary([public(run) for run in runs], relied_on, codes())


def written(document: dict[str, Any]) -> str:
    """Return the summary as the file has it: a line for each row, so that changes can be read."""
    lines = [f' "runs": {document["runs"]}']
    for name in ("kinds", "statuses", "refusals", "orders", "members", "relied_on", "codes"):
        rows = [f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in document[name].items()]
        lines.append(f' "{name}": {{\n' + ",\n".join(rows) + "\n }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(argv: list[str]) -> int:
    """Record the rehearsal anew, or only its error codes. Returns 0."""
    if argv == ["codes"]:
        FILE.write_text(written({**rehearsed(), "codes": codes()}), encoding="utf-8")
        return 0
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    if not FILE.exists():
        FILE.write_text(written(summary([], {}, {})), encoding="utf-8")
    FILE.write_text(written(recorded(SEEDS)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
