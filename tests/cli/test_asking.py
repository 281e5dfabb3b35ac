"""A person thinks without a lock, and is asked again when the plan is another one by then."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provision.rehearsal import Remote
from tests.support.account import Account
from tests.support.built import commands_at
from tests.support.commands import Commands
from tests.support.names import NAME

pytestmark = pytest.mark.sweep(part=10)
PROMPT = "to continue: "


@dataclass
class Terminal:
    """A command on a terminal: what it shows there, and somebody who answers."""

    process: subprocess.Popen[str]
    ours: int
    shown: str = field(default="")

    def until(self, words: str, times: int = 1) -> bool:
        """Read until these words were shown so many times: True; False when it ended before."""
        with contextlib.suppress(OSError):  # the other end is closed
            while self.shown.count(words) < times:
                data = os.read(self.ours, 1 << 16)
                if not data:
                    break
                self.shown += data.decode()
        return self.shown.count(words) >= times

    def type(self, answer: str) -> None:
        """Type a line."""
        os.write(self.ours, f"{answer}\n".encode())

    def end(self) -> int:
        """Return its exit code."""
        self.until("\0")
        return self.process.wait(timeout=120)


@contextlib.contextmanager
def on_a_terminal(commands: Commands, *arguments: str) -> Iterator[Terminal]:
    """Run a command on a terminal for the block."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        commands.command(*arguments, "--output", "plain"),
        cwd=commands.folder,
        env=commands.process_environ(),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.fixture
def colleague(rehearsal: Remote, tmp_path: Path, commands: Commands) -> Commands:
    """The commands in another folder, on the same state file."""
    path = ("--state", str(commands.state_path()))
    there = commands_at(rehearsal, tmp_path / "colleague")
    return Commands(there.folder, there.environ, flags=path)


def test_nobody_waits_for_a_person_who_thinks(
    commands: Commands, colleague: Commands, account: Account
) -> None:
    with on_a_terminal(commands, "provision", "up", "--no-check") as thinking:
        assert thinking.until(PROMPT)
        assert colleague.up().code == 0
        thinking.type("yes")
        assert thinking.end() == 0  # there is nothing to do any more
    assert thinking.shown.count(PROMPT) == 1
    assert len(account.all("rds", "describe_db_instances", "DBInstances")) == 1


def test_up_asks_again_when_there_is_another_plan(
    commands: Commands, colleague: Commands, account: Account
) -> None:
    with on_a_terminal(commands, "provision", "up", "--no-check") as thinking:
        assert thinking.until(PROMPT)
        assert colleague.up().code == 0
        account.rds.deregister_db_proxy_targets(
            DBProxyName=f"{NAME}-iam", DBInstanceIdentifiers=[f"{NAME}-database"]
        )
        account.rds.delete_db_proxy(DBProxyName=f"{NAME}-iam")
        thinking.type("yes")
        assert thinking.until(PROMPT, times=2)
        thinking.type("no")
        assert thinking.end() == 1
    assert thinking.shown.splitlines()[-1].endswith("cancelled: nothing was changed")
    assert "error" not in thinking.shown


def test_teardown_asks_again_when_there_is_something_else_to_delete(
    commands: Commands, account: Account
) -> None:
    assert commands.up().code == 0
    with on_a_terminal(commands, "teardown") as thinking:
        assert thinking.until(PROMPT)
        account.lambda_.delete_function(FunctionName=f"{NAME}-iam")
        thinking.type(NAME)
        assert thinking.until(PROMPT, times=2)
        assert account.all("rds", "describe_db_instances", "DBInstances")
        thinking.type(NAME)
        assert thinking.end() == 0
    assert not account.all("rds", "describe_db_instances", "DBInstances")


def test_who_says_no_has_nothing_deleted(commands: Commands, account: Account) -> None:
    assert commands.up().code == 0
    with on_a_terminal(commands, "teardown") as thinking:
        assert thinking.until(PROMPT)
        thinking.type("yes")  # and not the name
        assert thinking.end() == 1
    assert thinking.shown.splitlines()[-1].endswith("cancelled: nothing was deleted")
    assert account.all("rds", "describe_db_instances", "DBInstances")


def test_ctrl_c_while_a_person_thinks_ends_it(commands: Commands) -> None:
    with on_a_terminal(commands, "provision", "up", "--no-check") as thinking:
        assert thinking.until(PROMPT)
        thinking.process.send_signal(signal.SIGINT)
        assert thinking.end() == 130
    assert "interrupted: nothing was changed" in thinking.shown


def test_a_teardown_of_nothing_asks_nothing(commands: Commands) -> None:
    with on_a_terminal(commands, "teardown") as thinking:
        assert thinking.end() == 0
    assert PROMPT not in thinking.shown
