"""The check at the end of a teardown finds what is left, kind by kind, and nothing of others."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

import pytest

from provision.cli.options import Options
from provision.context import opened
from provision.engine.events import Display
from provision.errors import LeftBehind
from provision.rehearsal import Remote
from provision.resources.base import Seen
from teardown.leftovers import SWEEPS, Leftover, check_nothing_left
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import Commands
from tests.support.names import NAME

MINE = {"provision:environment": NAME}
OTHERS = {"provision:environment": f"{NAME}-2", "team": "theirs"}
UP = {  # what an environment that is up leaves where nobody takes it away
    "DB instances": 1,
    "RDS Proxies": 2,
    "snapshots": 0,
    "automated backups": 0,
    "secrets": 1,
    "DB subnet groups": 1,
    "functions": 2,
    "layer versions": 1,
    "HTTP APIs": 1,
    "roles": 4,
    "log groups": 4,
    "security groups": 3,
    "subnets": 3,
    "VPCs": 1,
}
Make = Callable[[Account, dict[str, str]], None]


class Told(Display):
    """Keeps what the check tells a program and a person."""

    def __init__(self) -> None:
        self.left: dict[str, list[dict[str, Any]]] = {}
        self.rows: dict[str, tuple[str, str]] = {}
        self.passed_over: list[str] = []

    def record(self, event: str, **values: Any) -> None:
        if event == "passed-over":
            self.passed_over.append(values["message"])
        else:
            assert event == "left"
            self.left[values["kind"]] = values["left"]

    def table(self, title: str, columns: Any, rows: Any) -> None:
        if not rows:
            assert title == "✓ nothing is left at AWS (15 kinds of resource searched)"
            self.rows = dict.fromkeys(self.left, ("0", ""))
            return
        assert (title, len(columns)) == ("left at AWS:", 3)
        self.rows = {kind: (count, words) for kind, count, words in rows}

    def counts(self) -> dict[str, int]:
        """Return how many of each kind are left; both have to be told the same."""
        counts = {kind: len(left) for kind, left in self.left.items()}
        assert counts == {kind: int(count) for kind, (count, _) in self.rows.items()}
        return counts


@contextlib.contextmanager
def checking(
    commands: Commands,
    *settings: str,
    kept: str = "",
    seen: Mapping[str, Seen] | None = None,
) -> Iterator[tuple[Told, Any]]:
    """Run the check, of a run that found `seen` at its beginning.

    Yields what it told, and what it kept or the error that it raised.
    """
    told = Told()
    options = Options(config=commands.folder / "config.toml", overrides=settings)
    with (
        contextlib.chdir(commands.folder),
        mock.patch.dict(os.environ, commands.environ, clear=True),
        opened(options, "teardown", told, packed=False, looks=False) as run,
    ):
        ended: list[Leftover] | LeftBehind
        try:
            ended = check_nothing_left(run, seen or {}, kept_snapshot=kept)
        except LeftBehind as error:
            ended = error
        yield told, ended


def found(commands: Commands, *settings: str) -> dict[str, int]:
    """Return how many of each kind the check finds, where it finds any."""
    with checking(commands, *settings) as (told, ended):
        counts = {kind: count for kind, count in told.counts().items() if count}
        assert bool(counts) == isinstance(ended, LeftBehind)
        return counts


def test_every_kind_of_an_environment_that_is_up_is_found(built: Built) -> None:
    with checking(built.commands) as (told, ended):
        counts = told.counts()
        interfaces = counts.pop("network interfaces")
        assert counts == UP
        assert interfaces >= 1  # Lambda's, and what RDS has for instance and proxies
        assert isinstance(ended, LeftBehind)
        total = sum(UP.values()) + interfaces
        assert ended.message.startswith(f"{total} left at AWS: DB instance {NAME}-database, ")
        for words in (f"RDS Proxy {NAME}-iam", f"secret {NAME}/database", f"function {NAME}-iam"):
            assert words in ended.message
        assert ended.next_step
    assert told.rows["DB instances"] == ("1", f"{NAME}-database available")


def test_another_environment_of_the_account_is_no_leftover(built: Built) -> None:
    other = "environment.name=somebody-elses"
    with checking(built.commands, other, kept="") as (told, ended):
        assert set(told.counts()) == set(SWEEPS)
        assert not any(told.counts().values())
        assert ended == []


def test_a_copy_of_what_was_deleted_is_named_and_left(built: Built) -> None:
    """Tags can be copied: a VPC or an API with ours that the run never knew is somebody else's."""
    deleted = {
        "vpc": Seen({"id": "vpc-0123456789abcdef0"}, {}),
        "api": Seen({"id": "a1b2c3d4e5"}, {}),
    }
    with checking(built.commands, seen=deleted) as (told, ended):
        within = ("VPCs", "subnets", "security groups", "network interfaces", "HTTP APIs")
        assert {kind: told.counts()[kind] for kind in within} == dict.fromkeys(within, 0)
        assert told.counts()["DB instances"] == 1
        assert len(told.passed_over) == 1 + 3 + 3 + 1
        assert all("is not what the environment was found to be" in m for m in told.passed_over)
        assert "VPC" not in ended.message


def test_what_was_known_and_is_still_there_is_left(built: Built) -> None:
    vpc = built.account.tagged("vpcs", "vpc", NAME)["VpcId"]
    api = built.account.api(NAME)["ApiId"]
    known = {"vpc": Seen({"id": vpc}, {}), "api": Seen({"id": api}, {})}
    with checking(built.commands, seen=known) as (told, _):
        counts = told.counts()
        assert counts.pop("network interfaces") >= 1
        assert counts == UP
        assert told.passed_over == []


def test_an_empty_account_has_nothing_left(commands: Commands) -> None:
    assert found(commands) == {}


# --- what nobody made on purpose ------------------------------------------------------------------


def ec2_tags(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def vpc(account: Account, tags: dict[str, str]) -> None:
    account.ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=ec2_tags("vpc", tags))


def secret(account: Account, tags: dict[str, str]) -> None:
    account.secretsmanager.create_secret(Name="old", SecretString="-", Tags=listed(tags))


def secret_that_waits(account: Account, tags: dict[str, str]) -> None:
    secret(account, tags)
    account.secretsmanager.delete_secret(SecretId="old", RecoveryWindowInDays=30)


def role(account: Account, tags: dict[str, str]) -> None:
    account.iam.create_role(
        RoleName=f"{NAME}-api-{account.region}",
        AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}',
        Tags=listed(tags),
    )


def api(account: Account, tags: dict[str, str]) -> None:
    account.apigatewayv2.create_api(Name="another-name", ProtocolType="HTTP", Tags=tags)


def log_group(account: Account, tags: dict[str, str]) -> None:
    account.logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}-iam", tags=tags)


def subnet_group(account: Account, tags: dict[str, str]) -> None:
    vpc_id = account.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        account.ec2.create_subnet(
            VpcId=vpc_id, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=f"{account.region}{zone}"
        )["Subnet"]["SubnetId"]
        for n, zone in ((1, "a"), (2, "c"))
    ]
    account.rds.create_db_subnet_group(
        DBSubnetGroupName=f"{NAME}-database",
        DBSubnetGroupDescription="-",
        SubnetIds=subnets,
        Tags=listed(tags),
    )


ALONE: dict[str, tuple[str, Make]] = {
    "a VPC": ("VPCs", vpc),
    "a secret": ("secrets", secret),
    "a secret that waits for its deletion": ("secrets", secret_that_waits),
    "a role": ("roles", role),
    "an API of any name": ("HTTP APIs", api),
    "a log group": ("log groups", log_group),
    "a DB subnet group": ("DB subnet groups", subnet_group),
}


@pytest.mark.parametrize("what", ALONE)
def test_one_thing_that_is_left_is_found_by_itself(
    commands: Commands, account: Account, rehearsal: Remote, what: str
) -> None:
    rehearsal.set_manners(consistency=False)
    kind, make = ALONE[what]
    account.iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    make(account, MINE)
    assert found(commands) == {kind: 1}


@pytest.mark.parametrize("what", ALONE)
def test_the_same_thing_of_somebody_else_is_none(
    commands: Commands, account: Account, rehearsal: Remote, what: str
) -> None:
    rehearsal.set_manners(consistency=False)
    account.iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    ALONE[what][1](account, OTHERS)
    assert found(commands) == {}


def test_a_log_group_without_tags_that_nobody_writes_to_is_found(
    commands: Commands, account: Account
) -> None:
    log_group(account, {})
    assert found(commands) == {"log groups": 1}


def test_a_secret_that_waits_says_so_and_since_when(commands: Commands, account: Account) -> None:
    secret_that_waits(account, MINE)
    with checking(commands) as (told, _):
        count, words = told.rows["secrets"]
        assert count == "1"
        assert words.startswith("old waits for its deletion since 20")


# --- the snapshot that is kept on purpose ---------------------------------------------------------


@pytest.fixture
def snapshot(built: Built) -> Iterator[str]:
    """A snapshot of the instance, with our tag."""
    named = {"DBSnapshotIdentifier": "before-we-left"}
    built.account.rds.create_db_snapshot(
        DBInstanceIdentifier=f"{NAME}-database", Tags=listed(MINE), **named
    )
    built.remote.advance(3600)
    yield named["DBSnapshotIdentifier"]
    built.account.rds.delete_db_snapshot(**named)


def test_a_snapshot_is_found_with_its_state_and_date(built: Built, snapshot: str) -> None:
    with checking(built.commands) as (told, ended):
        assert told.counts()["snapshots"] == 1
        assert f"DB snapshot {snapshot}" in ended.message
        words = told.rows["snapshots"][1]
        assert words.startswith(f"{snapshot} available, taken by hand")
        assert f"aws rds delete-db-snapshot --db-snapshot-identifier {snapshot};" in words
        assert " since 20" in words


def test_the_snapshot_that_was_asked_for_is_kept_and_nothing_else(
    built: Built, snapshot: str
) -> None:
    with checking(built.commands, kept=snapshot) as (told, ended):
        assert told.counts()["snapshots"] == 0
        assert snapshot not in ended.message
        assert f"DB instance {NAME}-database" in ended.message
    with checking(built.commands, kept="another") as (told, _):
        assert told.counts()["snapshots"] == 1


def test_a_snapshot_alone_is_what_was_kept(built: Built, snapshot: str) -> None:
    """Only snapshots of our instance are looked at: here all that the check finds is one."""
    only = {"snapshots": SWEEPS["snapshots"]}
    with (
        mock.patch.dict("teardown.leftovers.SWEEPS", only, clear=True),
        checking(built.commands, kept=snapshot) as (told, ended),
    ):
        assert [(each.kind, each.identity) for each in ended] == [("DB snapshot", snapshot)]
        assert told.counts() == {"snapshots": 0}
