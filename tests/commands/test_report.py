"""`provision report`: what AWS did in the runs, beside the state, and compared with a rehearsal."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest

from provision.rehearsal import Fault, Remote
from provision.verify.field.files import parse, written
from tests.support.account import Account
from tests.support.commands import ROOT, Commands, Result
from tests.support.lifetime import later
from tests.support.names import ACCOUNT
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


# --- the report ---------------------------------------------------------------------------------


def report(commands: Commands, *flags: str) -> Result:
    return commands.run("provision", "report", "--output", "json", *flags)


def file_of(commands: Commands, *runs: dict[str, Any]) -> str:
    """A public file with these runs."""
    path = commands.folder / "theirs.json"
    path.write_text(written(runs, "1.0.0", "1.44.5"))
    return str(path)


@pytest.fixture
def played() -> dict[str, Any]:
    """The record of an up as the rehearsal plays it: nothing in it is a difference."""
    (run,) = parse(
        (ROOT / "tests" / "field" / "example-of-a-rehearsal.json").read_text(), "example"
    )
    return copy.deepcopy(dict(run))


def differing(commands: Commands, run: dict[str, Any]) -> list[tuple[str, str, str]]:
    result = report(commands, "--compare", file_of(commands, run))
    assert result.code == 0, result.stdout
    return [(each["sort"], each["where"], each["what"]) for each in result.of("difference")]


def thing(run: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in run["things"] if each["kind"] == kind)
    return found


def test_without_a_run_it_says_what_records_one(unheard: Commands) -> None:
    result = report(unheard)
    assert result.code == 1
    assert "no run is recorded" in result.error["message"]
    assert "provision up" in result.error["next"]


def test_a_run_at_aws_own_speed_is_as_rehearsed(unheard: Commands, played: dict[str, Any]) -> None:
    assert differing(unheard, played) == []
    shown = unheard.run("provision", "report", "--compare", file_of(unheard, played))
    assert "as rehearsed, in 1 run" in shown.stdout + shown.stderr


def test_a_status_that_is_never_played_is_named(unheard: Commands, played: dict[str, Any]) -> None:
    thing(played, "DBInstance")["episodes"][0]["statuses"].insert(
        1, ["incompatible-network", 9, 9, 9]
    )
    assert ("status", "DBInstance", "incompatible-network after rds:CreateDBInstance") in differing(
        unheard, played
    )


def test_a_status_that_stays_away_is_named(unheard: Commands, played: dict[str, Any]) -> None:
    for each in played["things"]:
        for episode in each["episodes"] if each["kind"] == "Function" else ():
            episode["statuses"] = [one for one in episode["statuses"] if one[0] != "Pending"]
    assert ("status", "Function", "Pending after lambda:CreateFunction") in differing(
        unheard, played
    )


@pytest.mark.parametrize("seconds", [3.0, 5000.0])
def test_a_duration_outside_is_named(
    unheard: Commands, played: dict[str, Any], seconds: float
) -> None:
    episode = thing(played, "DBInstance")["episodes"][0]
    at = episode["at"]
    episode["statuses"] = [
        ["creating", at, at, at + seconds],
        ["available", at + seconds, at + seconds + 5, at + seconds + 5],
    ]
    found = differing(unheard, played)
    assert ("duration", "DBInstance creating", "instance_create") in found


def test_durations_of_a_rehearsal_are_not_compared(
    unheard: Commands, played: dict[str, Any]
) -> None:
    episode = thing(played, "DBInstance")["episodes"][0]
    episode["statuses"] = [["creating", 1, 1, 1], ["available", 1, 2, 2]]
    played["speed"] = 300.0
    assert [each for each in differing(unheard, played) if each[0] == "duration"] == []


@pytest.mark.parametrize(
    ("call", "code", "words", "named"),
    [
        ("rds:CreateDBProxy", "InvalidDBFleetState", "the fleet is busy", True),
        ("rds:CreateDBInstance", "InsufficientDBInstanceCapacity", "not enough capacity", True),
        ("lambda:CreateFunction", "InvalidParameterValueException", "the role is too new", True),
        ("rds:CreateDBProxy", "Throttling", "Rate exceeded", False),
        ("rds:CreateDBProxy", "AccessDenied", "User: … is not authorized", False),
        ("ec2:DeleteSubnet", "DependencyViolation", "it has dependencies", False),
    ],
)
def test_an_error_that_no_row_knows_is_named(
    unheard: Commands, played: dict[str, Any], call: str, code: str, words: str, named: bool
) -> None:
    times = {"count": 1, "first": 1.0, "last": 1.0, "accepted": None}
    played["refusals"].append({"call": call, "code": code, "words": words, **times})
    found = [each for each in differing(unheard, played) if each[0] == "error"]
    assert bool(found) is named, found
    assert all(where == call for _, where, _ in found)


def test_a_member_that_is_left_out_is_named(unheard: Commands, played: dict[str, Any]) -> None:
    members = played["members"]["rds:DescribeDBProxies"]
    for status, paths in members.items():
        members[status] = [each for each in paths if each != "DBProxies.Status"]
    result = report(unheard, "--compare", file_of(unheard, played))
    (found,) = (each for each in result.of("difference") if each["sort"] == "member")
    assert found["where"] == "rds:DescribeDBProxies"
    assert found["what"].startswith("DBProxies.Status")
    assert found["rehearsal"] == "always present, and needed"


def test_an_order_that_was_never_seen_is_named(unheard: Commands, played: dict[str, Any]) -> None:
    episode = thing(played, "DBProxy")["episodes"][0]
    last = episode["statuses"][-1][3]
    episode["statuses"].append(["creating", last, last, last])
    played["orders"].append(["rds:RegisterDBProxyTargets", "DBInstance", "stopped", 1])
    found = differing(unheard, played)
    assert ("order", "DBProxy", "available > creating after rds:CreateDBProxy") in found
    stopped = "accepted while DBInstance is stopped"
    assert ("order", "rds:RegisterDBProxyTargets", stopped) in found


def test_a_report_is_written_and_read_again(commands: Commands) -> None:
    assert commands.up().code == 0
    assert commands.teardown().code == 0
    other = commands.run(
        "provision", "up", "--no-check", "--output", "json", "--set", "environment.name=other"
    )
    assert other.code == 0
    here = report(commands, "--out", "report.json")
    assert here.code == 0
    assert [each["command"] for each in here.of("report-run")] == ["up", "teardown", "up"]
    there = report(commands, "--compare", "report.json")
    assert there.of("difference") == here.of("difference")
    assert there.of("report-run") == here.of("report-run")
    text = (commands.folder / "report.json").read_text()
    names = (ACCOUNT, "rds-proxy-auth-", "vpc-", "arn:", "127.0.0.1")
    assert [each for each in names if each in text] == []


def test_an_expired_environments_teardown_is_in_the_report(commands: Commands) -> None:
    lives = ("--set", "environment.expires_after=1h")
    assert commands.up(*lives).code == 0
    with later(2):
        assert commands.teardown("--expired").code == 0
    result = report(commands)
    assert [each["command"] for each in result.of("report-run")] == ["up", "teardown"]


def test_a_spoiled_record_is_left_out_and_said(commands: Commands) -> None:
    assert commands.up().code == 0
    spoiled = commands.folder / ".provision" / "rds-proxy-auth.observed" / "1-1.json"
    spoiled.write_text('{"version": 1, "began": "now", "run": {"secret": "x"}}')
    result = commands.run("provision", "report", "--output", "plain")
    assert result.code == 0
    assert (
        f"not a record of a run: {spoiled.relative_to(commands.folder)}"
        in result.stderr + result.stdout
    )


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--compare", "missing.json"), "missing.json"),
        (("--compare", "."), "is a folder"),
        (("--compare", "config.toml"), "not JSON"),
        (("--compare", "config.toml", "--out", "x"), "--out"),
        (("--format", "x"), "--format"),
    ],
)
def test_a_bad_flag_or_file_changes_nothing(
    unheard: Commands, flags: tuple[str, ...], named: str
) -> None:
    result = report(unheard, *flags)
    assert result.code == 2
    assert named in result.error["message"]


def test_a_file_that_cannot_be_written_is_said(commands: Commands) -> None:
    assert commands.up().code == 0
    result = report(commands, "--out", "no/such/folder/report.json")
    assert result.code == 2
    assert "--out no/such/folder/report.json" in result.error["message"]


def test_it_needs_no_package_of_a_rehearsal(unheard: Commands, played: dict[str, Any]) -> None:
    script = (
        "import sys\nfrom importlib.abc import MetaPathFinder\n"
        "class No(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.partition('.')[0] in ('moto', 'werkzeug'): raise ImportError(name)\n"
        "        if name.startswith('provision.rehearsal'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from provision.__main__ import main\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "report", "--compare", file_of(unheard, played)],
        cwd=unheard.folder, env=unheard.process_environ(), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
