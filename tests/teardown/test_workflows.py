"""The workflows' own `run:` steps, in a shell, against the rehearsal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from provision.rehearsal import Remote
from tests.support.account import Account
from tests.support.built import commands_at
from tests.support.commands import ROOT
from tests.support.lifetime import existing, later
from tests.support.names import REGION
from tests.support.s3_state import BUCKET, make_bucket

WORKFLOWS = ROOT / ".github" / "workflows"


def step(workflow: str, name: str) -> str:
    """The shell lines of a step."""
    text = (WORKFLOWS / workflow).read_text()
    found = re.search(
        rf"^      - name: {name}\n(?:        if: .*\n)?        run: (\|\n(?:          .*\n)+|.*\n)",
        text, re.MULTILINE,
    )  # fmt: skip
    assert found, f"{workflow} has no step {name}"
    return found[1].removeprefix("|\n")


class Job:
    """A job of GitHub's: a folder with a summary, and the environment variables of the workflow."""

    def __init__(self, rehearsal: Remote, folder: Path) -> None:
        self.commands = commands_at(rehearsal, folder, name="elsewhere")
        self.summary = folder / "summary.md"
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "python").symlink_to(sys.executable)

    def run(self, workflow: str, name: str) -> subprocess.CompletedProcess[str]:
        """Run one step as GitHub does: bash with -e and pipefail."""
        environ = self.commands.process_environ() | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "CI": "true",
            "AWS_REGION": REGION,
            "ENVIRONMENT": "pr-7",
            "STATE": f"s3://{BUCKET}/{{name}}.json",
        }
        # The tests' rehearsal has no functions that can be called.
        lines = step(workflow, name).replace("provision up", "provision up --no-check")
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines]
        return subprocess.run(
            shell, cwd=self.commands.folder, env=environ, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip


@pytest.mark.slow
def test_a_pull_requests_environment_lives_and_is_deleted(
    rehearsal: Remote, account: Account, tmp_path: Path
) -> None:
    make_bucket(account)
    job = Job(rehearsal, tmp_path / "job")
    made = job.run("pull-request-environment.yml", "up")
    assert made.returncode == 0, made.stderr
    (found,) = existing(job.commands).values()
    assert found["name"] == "pr-7"
    assert found["whole"]
    assert found["expires"]
    assert found["state"] == f"s3://{BUCKET}/pr-7.json"
    assert "expires at" in job.summary.read_text()
    closed = job.run("pull-request-environment.yml", "teardown")
    assert closed.returncode == 0, closed.stderr
    assert existing(job.commands) == {}
    assert "teardown: done" in job.summary.read_text()


@pytest.mark.slow
def test_the_nightly_sweep_deletes_what_has_expired(rehearsal: Remote, tmp_path: Path) -> None:
    with later(-9):
        old = commands_at(rehearsal, tmp_path / "old", name="old")
        assert old.up("--set", "environment.expires_after=8h").code == 0
    young = commands_at(rehearsal, tmp_path / "young", name="young")
    assert young.up("--set", "environment.expires_after=8h").code == 0
    job = Job(rehearsal, tmp_path / "job")
    listed = job.run("sweep.yml", "list")
    assert listed.returncode == 0, listed.stderr
    assert "EXPIRED" in listed.stdout
    swept = job.run("sweep.yml", "sweep")
    assert swept.returncode == 0, swept.stderr
    assert set(existing(job.commands)) == {"young"}
    assert "teardown" in job.summary.read_text()


@pytest.mark.parametrize("workflow", ["pull-request-environment.yml", "sweep.yml"])
def test_credentials_come_by_oidc_alone(workflow: str) -> None:
    text = (WORKFLOWS / workflow).read_text()
    assert "id-token: write" in text
    assert "secrets." not in text
