"""Ten environments in one account; `teardown --expired`, killed twice, and run again.

What has expired is deleted, whole or half made, or killed while it was being made; of the rest, and
of what is somebody else's, nothing is touched.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provision.rehearsal import Fault, Remote
from provision.rehearsal.aws.faults import Kind
from tests.support.account import Account
from tests.support.built import commands_at
from tests.support.commands import Commands
from tests.support.lifetime import later
from tests.sweeps.world import KILLED, Place

pytestmark = pytest.mark.sweep(part=0.1)  # half a minute of CPU each

AFTER = ("--set", "environment.expires_after=8h")
# `up`, nine hours ago; it waits for a line on stdin.
UP_IN_THE_PAST = """
import datetime, sys
from unittest import mock
from provision.engine import lifetime
from provision.__main__ import main
sys.stdin.readline()
past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=9)
sys.argv = ["provision", "up", "--no-check", "--set", "environment.expires_after=8h"]
with mock.patch.object(lifetime, "now", return_value=past):
    sys.exit(main())
"""


def half(commands: Commands, remote: Remote, operation: str, *flags: str) -> None:
    """Make a part of an environment: AWS denies the rest."""
    remote.set_faults(Fault("denied", operation, times=99))
    assert commands.up(*flags).code == 1
    remote.set_faults()


def killed(commands: Commands, remote: Remote, fault: Fault) -> None:
    """Make a part of an environment whose time has come: its `up` is killed."""
    run = subprocess.Popen(
        [sys.executable, "-c", UP_IN_THE_PAST],
        cwd=commands.folder, env=commands.process_environ(), stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    remote.register(run.pid)
    remote.set_faults(fault, victim=run.pid)
    run.communicate(b"\n", timeout=120)
    assert run.returncode == KILLED
    remote.set_faults()


def somebody_elses(account: Account) -> None:
    """Things with names like ours, and with some of our tags."""
    some = [
        {"Key": "provision:environment", "Value": "others"},
        {"Key": "provision:expires", "Value": "2020-01-01T00:00:00Z"},
    ]
    account.ec2.create_vpc(
        CidrBlock="10.7.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": some}]
    )
    account.secretsmanager.create_secret(Name="others/database", SecretString="x", Tags=some)
    account.logs.create_log_group(logGroupName="/aws/lambda/old-0-iam-2")
    account.logs.create_log_group(logGroupName="/aws/lambda/not-ours-iam")


def fill(remote: Remote, folder: Path, account: Account) -> dict[str, object]:
    """Make ten environments. Returns all that is in the account beside those that expired."""

    def at(name: str) -> Commands:
        return commands_at(remote, folder / name, name=name)

    somebody_elses(account)
    assert at("young-0").up(*AFTER).code == 0
    half(at("young-1"), remote, "CreateDBInstance", *AFTER)
    half(at("endless-0"), remote, "CreateDBProxy")
    half(at("endless-1"), remote, "CreateSubnet")
    before = account.everything()
    with later(-9):
        assert at("old-0").up(*AFTER).code == 0
        half(at("old-1"), remote, "CreateDBInstance", *AFTER)
        half(at("old-2"), remote, "CreateFunction", *AFTER)
    killed(at("old-3"), remote, Fault("kill-after", "CreateSubnet", nth=2))
    killed(at("old-4"), remote, Fault("kill-before", "CreateDBProxy"))
    killed(at("old-5"), remote, Fault("kill-after", "CreateSecret"))
    return before


@pytest.mark.parametrize("when", ["kill-before", "kill-after"])
@pytest.mark.parametrize("nth", [1, 3, 6, 10, 14, 19, 24, 30])
def test_nothing_expired_is_left_and_nothing_else_touched(
    place: Place, when: Kind, nth: int
) -> None:
    remote, account = place.account.remote, Account.of(place.account.remote)
    remote.set_manners(throttling=False)
    before = fill(remote, place.folder, account)
    assert account.everything() != before
    for call in (nth, 31 - nth):
        fault = Fault(when, mutating_only=True, nth=call, times=99)
        killed = place.start("teardown", "--expired", "--yes", faults=[fault]).go().end()
        assert killed.code == KILLED, killed
    last = place.start("teardown", "--expired", "--yes", faults=[]).go().end()
    assert last.code == 0, last
    again = place.start("teardown", "--expired", "--yes", faults=[]).go().end()
    assert again.code == 0, again
    assert again.summary["deleted"] == 0
    assert account.everything() == before
