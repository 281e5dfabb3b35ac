"""`provision list` and `teardown --expired`: every environment of an account, by tags alone."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pytest

from provision.rehearsal import Fault, Remote
from tests.support.account import Account
from tests.support.built import commands_at
from tests.support.commands import Commands, Result
from tests.support.lifetime import existing, later
from tests.support.s3_state import BUCKET, make_bucket

EXPIRES = "provision:expires"
PAST = "2020-01-01T00:00:00Z"


def sweep(commands: Commands, *flags: str) -> Result:
    """`teardown --expired --yes`."""
    return commands.run("teardown", "--expired", "--yes", "--output", "json", *flags)


def make(rehearsal: Remote, folder: Path, name: str, *flags: str) -> Commands:
    """An environment of a name, made from a folder of its own."""
    commands = commands_at(rehearsal, folder / name, name=name)
    assert commands.up(*flags).code == 0
    return commands


def ended(rehearsal: Remote, folder: Path, name: str, *flags: str) -> Commands:
    """An environment whose time has come an hour ago."""
    with later(-9):
        return make(rehearsal, folder, name, "--set", "environment.expires_after=8h", *flags)


@pytest.mark.sweep(of="module", part=10)
def test_list_names_each_environment(
    rehearsal: Remote, tmp_path: Path, account: Account, commands: Commands
) -> None:
    assert existing(commands) == {}
    make(rehearsal, tmp_path, "one", "--set", "environment.expires_after=2d")
    half = commands_at(rehearsal, tmp_path / "half", name="half")
    rehearsal.set_faults(Fault("denied", "CreateDBInstance", times=99))
    assert half.up().code == 1
    rehearsal.set_faults()
    account.ec2.create_vpc(
        CidrBlock="10.9.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [
            {"Key": "provision:environment", "Value": "others"},
            {"Key": EXPIRES, "Value": PAST},
        ]}],
    )  # fmt: skip
    before = account.everything()
    found = existing(commands)
    assert set(found) == {"one", "half"}
    one, other = found["one"], found["half"]
    assert one["whole"]
    assert one["expires"].endswith("Z")
    assert one["usd_per_hour"] > 0.1
    assert one["state"].startswith("file://")
    born = datetime.datetime.fromisoformat(one["created"])
    assert abs(datetime.datetime.now(datetime.UTC) - born) < datetime.timedelta(days=2)
    assert not other["whole"]
    assert other["expires"] is None
    assert 0 < other["resources"] < one["resources"]
    person = commands.run("provision", "list", "--output", "plain")
    assert "incomplete" in person.stdout
    assert account.everything() == before


@pytest.mark.sweep(of="module", part=10)
def test_regions_that_cannot_be_looked_at_are_named(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_faults(Fault("denied", "DescribeVpcs", nth=1))
    result = commands.run("provision", "list", "--output", "json")
    assert result.code == 0
    assert "DescribeVpcs" in result.of("unreadable")[0]["message"]


@pytest.mark.sweep(of="module", part=10)
def test_what_has_expired_goes_and_nothing_else(
    rehearsal: Remote, tmp_path: Path, commands: Commands
) -> None:
    old = ended(rehearsal, tmp_path, "old")
    make(rehearsal, tmp_path, "young", "--set", "environment.expires_after=8h")
    make(rehearsal, tmp_path, "endless")
    kept = {name: each for name, each in existing(commands).items() if name != "old"}
    shutil.rmtree(commands.folder / ".provision", ignore_errors=True)
    planned = commands.run("teardown", "--expired", "--plan", "--output", "json")
    assert planned.code == 0
    assert [each["name"] for each in planned.of("environment")] == ["old"]
    assert set(existing(commands)) == {"old", "young", "endless"}
    done = sweep(commands)
    assert done.code == 0, done.stdout[-2000:]
    assert done.summary["deleted"] > 25
    assert existing(commands) == kept
    assert old.state("old")["steps"] == {}  # its state, reachable from here, was used
    assert sweep(commands).counts()


@pytest.mark.sweep(of="module", part=10)
def test_one_that_fails_keeps_none_of_the_others(
    rehearsal: Remote, tmp_path: Path, account: Account, commands: Commands
) -> None:
    for name in ("first", "second"):
        ended(rehearsal, tmp_path, name)
    account.rds.modify_db_instance(
        DBInstanceIdentifier="first-database", DeletionProtection=True, ApplyImmediately=True
    )
    result = sweep(commands)
    assert result.code == 1
    assert "1 of 2" in result.error["message"]
    assert "first" in result.error["message"]
    assert set(existing(commands)) == {"first"}


@pytest.mark.sweep(of="module", part=10)
def test_an_extension_that_comes_between_is_respected(
    rehearsal: Remote, tmp_path: Path, account: Account, commands: Commands
) -> None:
    mine = ended(rehearsal, tmp_path, "mine")
    assert mine.up("--extend", "8h").code == 0
    before = account.everything()
    assert sweep(commands).counts()
    assert account.everything() == before


@pytest.mark.sweep(of="module", part=10)
def test_the_lock_of_a_state_in_s3_is_respected(
    rehearsal: Remote, tmp_path: Path, account: Account, commands: Commands
) -> None:
    make_bucket(account)
    place = ("--state", f"s3://{BUCKET}/{{name}}.json")
    ended(rehearsal, tmp_path, "team", *place)
    account.s3.put_object(
        Bucket=BUCKET,
        Key="team.json.lock",
        Body=(
            b'{"version": 1, "command": "up", "environment": "team", "process": 1, "host": "ci",'
            b' "since": "2026-11-26T08:00:00Z", "lease_seconds": 3600, "nonce": "5e0c"}'
        ),
    )
    locked = sweep(commands)
    assert locked.code == 1
    assert "team" in locked.error["message"]
    assert existing(commands)["team"]["whole"]
    account.s3.delete_object(Bucket=BUCKET, Key="team.json.lock")
    assert sweep(commands).code == 0
    assert existing(commands) == {}


def test_it_asks_or_wants_yes(commands: Commands) -> None:
    assert commands.run("teardown", "--expired").code == 2


@pytest.mark.parametrize(
    "flags", [("--dry-run",), ("--final-snapshot", "x"), ("--explain",), ("--state", "x.json")]
)
def test_flags_that_do_not_fit(unheard: Commands, flags: tuple[str, ...]) -> None:
    result = unheard.run("teardown", "--expired", "--yes", *flags)
    assert result.code == 2
    assert flags[0] in result.stderr
