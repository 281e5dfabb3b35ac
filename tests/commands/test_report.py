"""`provision report`: what AWS did in the runs, beside the state, and compared with a rehearsal."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from provision.rehearsal import Fault, Remote
from tests.support.account import ACCOUNT, Account
from tests.support.commands import Commands
from tests.support.s3_state import FLAGS, make_bucket


def observed(commands: Commands, name: str = "rds-proxy-auth") -> list[dict[str, Any]]:
    """The records of the runs, the oldest first."""
    folder = commands.folder / ".provision" / f"{name}.observed"
    return [json.loads(path.read_text())["run"] for path in sorted(folder.glob("*.json"))]


def test_a_run_records_what_aws_did(commands: Commands) -> None:
    assert commands.up().code == 0
    (run,) = observed(commands)
    assert (run["command"], run["ok"], run["speed"]) == ("up", True, 1.0)
    assert run["calls"]["rds:CreateDBProxy"][""] == 2
    kinds = {each["kind"] for each in run["things"]}
    assert kinds >= {"Vpc", "DBInstance", "DBProxy", "DBProxyTarget", "Function"}
    (instance,) = (each for each in run["things"] if each["kind"] == "DBInstance")
    seen = [each[0] for each in instance["episodes"][0]["statuses"]]
    assert (seen[0], seen[-1]) == ("creating", "available")
    assert any(each["call"] == "lambda:CreateFunction" for each in run["refusals"])


def test_the_record_is_the_users_alone_and_names_nothing(commands: Commands) -> None:
    assert commands.up().code == 0
    folder = commands.folder / ".provision" / "rds-proxy-auth.observed"
    (path,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    outputs = [
        value
        for step in commands.state()["steps"].values()
        for value in step["outputs"].values()
        if len(value) > 6
    ]
    assert outputs
    assert [each for each in [*outputs, ACCOUNT, "rds-proxy-auth"] if each in text] == []


def test_a_run_that_changes_nothing_records_nothing(commands: Commands) -> None:
    assert commands.up().code == 0
    assert commands.up().counts()
    assert len(observed(commands)) == 1


def test_a_run_that_fails_is_recorded(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_policy(
        {
            "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "rds:CreateDBProxy", "Resource": "*"},
            ]
        }
    )
    assert commands.up().code == 1
    (run,) = observed(commands)
    assert run["ok"] is False
    assert run["calls"]["rds:CreateDBProxy"]["AccessDenied"] >= 1
    (denied,) = (each for each in run["refusals"] if each["code"] == "AccessDenied")
    assert "is not authorized to perform" in denied["words"]
    assert "arn:" not in denied["words"]


def test_without_a_place_for_records_a_run_works(commands: Commands) -> None:
    place = commands.folder / ".provision" / "rds-proxy-auth.observed"
    place.parent.mkdir()
    place.write_text("a file where the folder would be")
    assert commands.up().code == 0
    assert place.is_file()


def test_with_a_state_in_s3_records_stay_on_the_machine(
    commands: Commands, account: Account
) -> None:
    make_bucket(account)
    assert commands.up(*FLAGS).code == 0
    (run,) = observed(commands)
    assert run["calls"]["s3:PutObject"][""] > 1


def test_each_run_has_a_file_and_the_last_twenty_stay(commands: Commands) -> None:
    folder = commands.folder / ".provision" / "rds-proxy-auth.observed"
    folder.mkdir(parents=True)
    for number in range(25):
        (folder / f"20250101T0000{number:02}Z-1.json").write_text("{}")
    assert commands.up().code == 0
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 20
    assert names[0] == "20250101T000006Z-1.json"


def test_what_a_killed_run_did_until_its_last_step_stays(
    commands: Commands, rehearsal: Remote
) -> None:
    """Without the pause between two writes: a rehearsed run ends before it."""
    script = (
        "import sys\nfrom provision import context\ncontext.KEPT_EVERY = 0.0\n"
        "from provision.__main__ import main\nsys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "up", "--no-check", "--output", "json"],
        cwd=commands.folder, env=commands.process_environ(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    rehearsal.register(process.pid)
    rehearsal.set_faults(Fault("kill-before", operation="CreateDBProxy"), victim=process.pid)
    assert process.wait(60) == -9
    (run,) = observed(commands)
    assert run["ok"] is None
    assert run["calls"]["ec2:CreateVpc"] == {"": 1}
