"""The very steps of `make test-aws`, against a rehearsal; and when it does not begin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.rehearsal import Behaviours, Fault, Rehearsal, Remote, environ
from provision.verify.field.files import parse
from tests.field.at_aws import AGREED, REPORT
from tests.support.account import Account
from tests.support.commands import ROOT
from tests.support.names import REGION
from tests.support.servers import Silence

QUICK = ("--set", "wait.poll_seconds=0.02")


def started(
    folder: Path, reach: dict[str, str], *flags: str, agree: str = "yes"
) -> subprocess.Popen[str]:
    (folder / "home").mkdir(exist_ok=True)
    home = {"HOME": str(folder / "home"), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.field.at_aws", *QUICK, *flags],
        cwd=folder, env=home | reach | {AGREED: agree}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    text, _ = process.communicate(timeout=120)
    return process.returncode, text


def test_without_a_terminal_and_without_a_word_it_refuses(
    tmp_path: Path, rehearsal: Remote
) -> None:
    code, text = ended(started(tmp_path, rehearsal.environ(), agree="perhaps"))
    assert code == 2
    assert f"{AGREED}=yes" in text
    assert "account 123456789012" in text
    assert "costs about $" in text
    assert "minutes" in text
    assert [each.operation for each in rehearsal.journal()] == ["GetCallerIdentity"]
    assert not (tmp_path / ".test-aws" / ".provision").exists()


def test_without_aws_it_says_why(tmp_path: Path, silence: Silence) -> None:
    reach = environ(silence.endpoint_url, REGION) | {"AWS_MAX_ATTEMPTS": "1"}
    code, text = ended(started(tmp_path, {**reach, "AWS_ACCESS_KEY_ID": ""}))
    assert code == 1
    assert "next: " in text


@pytest.fixture
def whole() -> Iterator[Rehearsal]:
    """A rehearsed AWS with functions that can be called."""
    with Rehearsal(Behaviours(speed=2000)) as rehearsal:
        yield rehearsal


@pytest.mark.sweep(of="module", part=10)
def test_the_whole_life(tmp_path: Path, whole: Rehearsal) -> None:
    code, text = ended(started(tmp_path, whole.environ()))
    assert code == 0, text
    commands = [line.split()[3:5] for line in text.splitlines() if line.startswith("$ ")]
    assert [each[:2] for each in commands] == [
        ["provision", "up"],
        ["provision", "check"],
        ["provision", "compare"],
        ["provision", "up"],
        ["teardown", "--yes"],
        ["provision", "report"],
    ]
    assert "nothing is left of it" in text
    runs = parse((tmp_path / REPORT).read_text(), "report")
    assert [run["command"] for run in runs] == ["up", "up", "teardown"]
    assert "123456789012" not in (tmp_path / REPORT).read_text()


@pytest.mark.sweep(of="module", part=10)
def test_what_fails_is_torn_down(tmp_path: Path, rehearsal: Remote) -> None:
    rehearsal.set_faults(Fault("denied", operation="CreateDBProxy", times=10))
    code, text = ended(started(tmp_path, rehearsal.environ()))
    assert code == 1, text
    assert "what was made is deleted now" in text
    assert "nothing is left of it" in text
    assert Account.of(rehearsal).rds.describe_db_instances()["DBInstances"] == []
    assert parse((tmp_path / REPORT).read_text(), "report")


@pytest.mark.sweep(of="module", part=10)
def test_what_cannot_be_deleted_is_said(tmp_path: Path, rehearsal: Remote) -> None:
    rehearsal.set_faults(
        Fault("denied", operation="CreateDBProxy", times=10),
        Fault("denied", operation="DeleteSecret", times=10),
    )
    code, text = ended(started(tmp_path, rehearsal.environ()))
    assert code == 1
    assert "NOT ALL IS DELETED" in text
    assert "cd .test-aws && python -m teardown --yes" in text


@pytest.mark.sweep(of="module", part=10)
def test_after_ctrl_c_it_is_torn_down(tmp_path: Path, rehearsal: Remote) -> None:
    process = started(tmp_path, rehearsal.environ())
    while not any(each.operation == "CreateDBInstance" for each in rehearsal.journal()):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    code, text = ended(process)
    assert code == 130, text
    assert "nothing is left of it" in text
    account = Account.of(rehearsal)
    assert account.rds.describe_db_instances()["DBInstances"] == []
    assert json.loads((tmp_path / REPORT).read_text())["runs"]
