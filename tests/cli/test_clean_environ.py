"""A rehearsal's processes never held the credentials of whoever started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from provision.cli.clean_environ import cleaned
from tests.support.commands import ROOT

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
CANARY = "canary-7b1f"
SECRETS = {
    "AWS_ACCESS_KEY_ID": CANARY,
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AWS_SESSION_TOKEN": CANARY,
    "AWS_BEARER_TOKEN_BEDROCK": CANARY,
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": CANARY,
    "AWS_WEB_IDENTITY_TOKEN_FILE": CANARY,
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": CANARY,
    "GITHUB_TOKEN": CANARY,
    "DATABASE_URL": CANARY,
}


def test_only_what_is_known_to_be_harmless_is_kept() -> None:
    kept = {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "PYTHONPATH": "x", "AWS_REGION": "r"}
    assert cleaned({**kept, **SECRETS}) == kept


def holding_canaries(session: int) -> list[str]:
    """The processes of a session that show a canary."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            ours = int(stat.read_text().rpartition(")")[2].split()[3]) == session
            if ours and CANARY.encode() in (stat.parent / "environ").read_bytes():
                found.append((stat.parent / "cmdline").read_text())
        except OSError:
            continue  # it has ended meanwhile
    return found


def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **SECRETS}


@LINUX
@pytest.mark.slow
def test_a_served_rehearsal_holds_none(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "provision", "up", "--dry-run", "--serve"]
    with subprocess.Popen(
        [*command, "--output", "json"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            events = map(json.loads, process.stdout)
            summary = next(event for event in events if event["event"] == "summary")
            assert summary["ok"], summary
            with urllib.request.urlopen(summary["url"] + "/func2") as answer:  # noqa: S310
                assert answer.status == 200
            assert holding_canaries(process.pid) == []
        finally:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0


@LINUX
@pytest.mark.slow
def test_a_rehearsal_of_its_own_process_holds_none(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "provision.rehearsal", "--plain"],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        about = json.loads(process.stdout.readline())
        assert about["pid"] == process.pid
        assert "function code" in about["protection"]
        assert CANARY not in json.dumps(about)
        assert holding_canaries(process.pid) == []
        process.communicate(timeout=60)
