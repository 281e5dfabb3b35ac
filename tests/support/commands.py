"""Runs the two commands as a person does, in this process (quick) or in one of its own.

result = commands.up("--no-check")            # python -m provision up --no-check --output json
assert result.code == 0 and result.steps["vpc"] == "created"
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 120  # of a command in a process of its own: far more than it ever takes


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout; every line has to be one."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [each for each in self.events if each["event"] == event]

    @property
    def summary(self) -> dict[str, Any]:
        """The last line, which has to be the summary."""
        last = self.events[-1]
        assert last["event"] == "summary", last
        return last

    @property
    def error(self) -> dict[str, Any]:
        """The summary's error, which has to be there."""
        assert self.summary["ok"] is False
        error: dict[str, Any] = self.summary["error"]
        return error

    @property
    def steps(self) -> dict[str, str]:
        """What happened to each step: its action by its name."""
        return {each["step"]: each["action"] for each in self.of("step")}

    @property
    def changed(self) -> dict[str, str]:
        """`steps` without those that were left as they were."""
        return {step: action for step, action in self.steps.items() if action != "unchanged"}

    @property
    def to_do(self) -> dict[str, str]:
        """What is planned: the action of each step that has something to do."""
        planned = self.of("planned")
        return {each["step"]: each["action"] for each in planned if each["action"] != "unchanged"}

    def changes(self, step: str) -> dict[str, dict[str, Any]]:
        """A step's planned changes, by property."""
        (planned,) = (each for each in self.of("planned") if each["step"] == step)
        return {change["property"]: change for change in planned["changes"]}

    def counts(self, **wanted: int) -> bool:
        """Whether the summary counts exactly these, and nothing of the rest."""
        words = ("created", "adopted", "updated", "deleted")
        return {w: self.summary[w] for w in words} == dict.fromkeys(words, 0) | wanted


@dataclass(frozen=True)
class Commands:
    """The two commands, run in `folder` with exactly the environment variables `environ`.

    `flags` are given to each of them.
    """

    folder: Path
    environ: Mapping[str, str]
    flags: tuple[str, ...] = ()

    def up(self, *arguments: str) -> Result:
        """`provision up` without the calls of the routes, in this process, told in JSON."""
        return self.run("provision", "up", "--no-check", *self._json(), *arguments)

    def plan(self, *arguments: str) -> Result:
        """`provision plan --exit-code`, in this process, told in JSON."""
        return self.run("provision", "plan", "--exit-code", *self._json(), *arguments)

    def teardown(self, *arguments: str) -> Result:
        """`teardown --yes`, in this process, told in JSON."""
        return self.run("teardown", "--yes", *self._json(), *arguments)

    def run(self, program: str, *arguments: str, stdin: str = "") -> Result:
        """Run `python -m PROGRAM ARGUMENTS` inside this process."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environ, clear=True),
            mock.patch.object(sys, "argv", [f"{program}/__main__.py", *arguments]),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = _main(program)
        return Result(code, out.getvalue(), err.getvalue())

    def spawn(self, program: str, *arguments: str, stdin: str = "") -> Result:
        """Run `python -m PROGRAM ARGUMENTS` in a process of its own, with no terminal."""
        done = subprocess.run(
            self.command(program, *arguments),
            cwd=self.folder,
            env=self.process_environ(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def running(
        self, program: str, *arguments: str, **options: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """The same, still at work; killed at the end of the block if it has not ended by then."""
        process = subprocess.Popen(
            self.command(program, *arguments),
            cwd=self.folder,
            env=self.process_environ(),
            text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            | options,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    @staticmethod
    def command(program: str, *arguments: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", program, *arguments]

    def process_environ(self) -> dict[str, str]:
        """`environ`, with what Python needs to find the two programs."""
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **measured(), **self.environ}

    def state(self, name: str = "rds-proxy-auth") -> dict[str, Any]:
        """The state file of an environment."""
        document: dict[str, Any] = json.loads(self.state_path(name).read_text())
        return document

    def state_path(self, name: str = "rds-proxy-auth") -> Path:
        """Where the state file of an environment is by default."""
        return self.folder / ".provision" / f"{name}.json"

    def _json(self) -> tuple[str, ...]:
        return ("--output", "json", *self.flags)


def measured() -> dict[str, str]:
    """Return the variables with which a command in a process of its own counts for the coverage.

    None where nothing is measured. What is not to be measured (a rehearsed AWS, a tool) starts
    without them: tracing would double what it costs.
    """
    coverage = sys.modules.get("coverage")
    if coverage is None or coverage.Coverage.current() is None:
        return {}
    return {
        "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"),
        "COVERAGE_FILE": os.environ.get("COVERAGE_FILE", str(ROOT / ".coverage")),
    }


def _main(program: str) -> int:
    from provision.__main__ import main as provision
    from teardown.__main__ import main as teardown

    try:
        return {"provision": provision, "teardown": teardown}[program]()
    except SystemExit as ended:  # `--help`
        return int(ended.code or 0)
