"""The rehearsal that `up --dry-run --serve` keeps up, driven from other processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import pytest

from provision.rehearsal import environ
from tests.support.commands import Commands, Result
from tests.support.names import REGION
from tests.support.servers import Silence

SLOW = pytest.mark.sweep(of="module", part=10)
SERVE = ("up", "--dry-run", "--serve", "--speed", "2000")
ENDS_WITH = "--rehearsal doctor\n"  # the last line of how to reach it
FILE = Path("home/.cache/rds-proxy-auth/rehearsal.json")


@dataclass
class Up:
    """A rehearsal that is kept up, and a second terminal whose own settings lead elsewhere."""

    commands: Commands
    process: subprocess.Popen[str]
    text: str  # what it has printed
    elsewhere: Silence

    def second(self, program: str, *arguments: str) -> Result:
        """Run a command in a process of its own, from another folder."""
        return self.commands.spawn(program, *arguments, "--output", "json")

    def exported(self) -> dict[str, str]:
        """What the printed lines export."""
        lines = [line.strip() for line in self.text.splitlines()]
        pairs = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
        return dict(pair.split("=", 1) for pair in pairs)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").mkdir()
    with Silence() as silence:
        reach = environ(silence.endpoint_url, REGION) | {"HOME": str(tmp_path / "home")}
        commands = Commands(tmp_path, reach)
        with commands.running("provision", *SERVE, "--set", "environment.name=shown") as process:
            assert process.stdout is not None
            text = ""
            while not text.endswith(ENDS_WITH):
                line = process.stdout.readline()
                assert line, process.communicate()
                text += line
            second = replace(commands, folder=tmp_path / "elsewhere")
            yield Up(second, process, text, silence)
        assert silence.calls == 0


@SLOW
def test_every_command_reaches_it_from_a_second_process(up: Up) -> None:
    assert up.text.count("36 created") == 1
    assert up.text.count("next:") == 0
    state = up.commands.folder.parent / FILE
    assert stat.S_IMODE(state.stat().st_mode) == 0o600

    status = up.second("provision", "--rehearsal", "status")
    assert status.code == 0, status.stderr
    assert status.summary["url"] in up.text
    plan = up.second("provision", "plan", "--rehearsal", "--exit-code")
    assert (plan.code, plan.to_do) == (0, {})
    for command in (["check"], ["doctor"], ["compare", "--requests", "2"], ["logs"]):
        result = up.second("provision", "--rehearsal", *command)
        assert result.code == 0, (command, result)
    timeline = up.commands.spawn("provision", "--rehearsal", "timeline")
    assert (timeline.code, "up --dry-run" in timeline.stdout) == (0, True)
    status = up.commands.spawn("provision", "--rehearsal", "status")
    assert "python -m provision --rehearsal check" in status.stdout
    again = up.second("provision", "--rehearsal", "up", "--no-check")
    assert (again.code, again.changed) == (0, {})

    down = up.second("teardown", "--rehearsal", "--yes")
    assert (down.code, down.summary["deleted"]) == (0, 35)
    up.process.send_signal(signal.SIGINT)
    out, err = up.process.communicate(timeout=60)
    assert (up.process.returncode, out) == (0, "")
    assert err.splitlines()[-1] == "the rehearsal has ended; nothing was kept"
    assert not state.exists()


@SLOW
def test_what_is_broken_by_hand_is_found(up: Up) -> None:
    exported = up.exported()
    session = boto3.Session(
        aws_access_key_id=exported["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=exported["AWS_SECRET_ACCESS_KEY"],
        region_name=exported["AWS_REGION"],
    )
    rds = session.client("rds", endpoint_url=exported["AWS_ENDPOINT_URL"])
    rds.modify_db_proxy(DBProxyName="shown-iam", RequireTLS=False)
    doctor = up.second("provision", "--rehearsal", "doctor")
    assert (doctor.code, "shown-iam" in doctor.stdout) == (1, True)
    assert "python -m provision --rehearsal up" in doctor.stdout
    mended = up.second("provision", "--rehearsal", "up", "--no-check")
    assert mended.changed == {"proxy-iam": "updated"}


@SLOW
def test_a_second_one_is_not_what_the_flag_reaches(up: Up) -> None:
    state = up.commands.folder.parent / FILE
    before = state.read_bytes()

    with up.commands.running("provision", *SERVE, "--no-check") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any("cannot use it" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert state.read_bytes() == before


@SLOW
def test_one_that_was_killed_is_not_reached(up: Up) -> None:
    up.process.kill()
    up.process.wait()
    assert (up.commands.folder.parent / FILE).exists()
    result = up.second("provision", "--rehearsal", "status")
    assert (result.code, result.error["message"]) == (2, "--rehearsal: no rehearsal is running")


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "{}", json.dumps({"environ": {}, "state": "x"})]
)
def test_without_one_nothing_is_reached(tmp_path: Path, content: str | None) -> None:
    with Silence() as silence:
        home = tmp_path / "home"
        if content is not None:
            (tmp_path / FILE).parent.mkdir(parents=True)
            (tmp_path / FILE).write_text(content)
            (tmp_path / FILE).chmod(0o600)
        reach = environ(silence.endpoint_url, REGION) | {"HOME": str(home)}
        commands = Commands(tmp_path, reach, ())
        for program, *arguments in (
            ("provision", "--rehearsal", "status"),
            ("provision", "up", "--rehearsal"),
            ("teardown", "--rehearsal", "--yes"),
        ):
            before = dict(os.environ)
            result = commands.run(program, *arguments, "--output", "json")
            assert (result.code, result.error["type"]) == (2, "UsageError")
            assert "--dry-run --serve" in result.error["next"]
            assert dict(os.environ) == before
        assert silence.calls == 0


@pytest.mark.parametrize("flag", [("--profile", "mine"), ("--dry-run",)])
def test_flags_that_lead_elsewhere_are_refused(tmp_path: Path, flag: tuple[str, ...]) -> None:
    commands = Commands(tmp_path, {"HOME": str(tmp_path)})
    result = commands.run("provision", "up", "--rehearsal", *flag, "--output", "json")
    assert (result.code, flag[0] in result.error["message"]) == (2, True)
