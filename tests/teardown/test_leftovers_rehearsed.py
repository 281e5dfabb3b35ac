"""The check at the end of a teardown finds what is left, kind by kind, and nothing of others."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import pytest

from provision.aws.account import Aws, make_session
from provision.cli.options import Options
from provision.config import Config, EnvironmentSettings
from provision.context import opened
from provision.engine.events import Display
from provision.environment import environment
from provision.errors import LeftBehind
from provision.resources.base import Seen
from provision.resources.template import Template
from teardown.leftovers import SWEEPS, Leftover, Search, check_nothing_left
from tests.rehearsal.aws.control_plane import (
    Network,
    PlayedAccount,
    frozen,
    instance_parameters,
    trust,
    zipped,
)
from tests.rehearsal.aws.control_plane import (
    account as rehearsed,
)
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import Commands
from tests.support.names import NAME, REGION

MINE = {"provision:environment": NAME}
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
        assert all("another resource than the one that was deleted" in m for m in told.passed_over)
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


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


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


# --- one thing of each kind ---------------------------------------------------------------------

DEMO = "demo"
TEMPLATE = environment(Config(EnvironmentSettings(name=DEMO, region=REGION)), packed=False)
INSTANCE = TEMPLATE.db_instance.name


class Estate:
    """One thing of each kind under the names of the environment `demo`, marked as `whose`."""

    def __init__(self, account: PlayedAccount, whose: str, template: Template = TEMPLATE) -> None:
        self.account, self.template = account, template
        self.tags = {"provision:environment": whose, "provision:step": "x"}
        self.tag_list = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        self.network = self._network()
        self.identities: dict[str, set[str]] = {
            "VPCs": {self.network.vpc},
            "subnets": set(self.network.subnets),
            "security groups": {
                self.network.function,
                self.network.proxy,
                self.network.database,
            },
            "network interfaces": {self._interface()},
            **self._database(),
            **self._access(),
            **self._serving(whose),
        }

    def _network(self) -> Network:
        network = self.account.network()
        groups = [network.function, network.proxy, network.database]
        everything = [network.vpc, *network.subnets, *groups]
        self.account.ec2.create_tags(Resources=everything, Tags=self.tag_list)
        return network

    def _interface(self) -> str:
        interface = self.account.ec2.create_network_interface(
            SubnetId=self.network.subnets[0], Description="AWS Lambda VPC ENI-x"
        )
        return str(interface["NetworkInterface"]["NetworkInterfaceId"])

    def _database(self) -> dict[str, set[str]]:
        rds, group = self.account.rds, self.template.db_subnet_group.name
        self.account.rds_ready()
        rds.create_db_subnet_group(
            DBSubnetGroupName=group,
            DBSubnetGroupDescription="x",
            SubnetIds=self.network.subnets,
            Tags=self.tag_list,
        )
        parameters = instance_parameters(
            self.network,
            DBInstanceIdentifier=INSTANCE,
            DBSubnetGroupName=group,
            Tags=self.tag_list,
        )
        backup = rds.create_db_instance(**parameters)["DBInstance"]["DbiResourceId"]
        self.account.pass_time(3600)
        rds.create_db_snapshot(
            DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier="kept", Tags=self.tag_list
        )
        self.account.pass_time(3600)
        rds.delete_db_instance(
            DBInstanceIdentifier=INSTANCE, SkipFinalSnapshot=True, DeleteAutomatedBackups=False
        )
        self.account.pass_time(3600)
        rds.create_db_instance(**parameters | {"DBInstanceIdentifier": "renamed"})
        secret = self.account.secret(name="login")
        proxy = self.template.proxies["iam"].name
        role = self.account.role("proxy", "rds.amazonaws.com")
        arn = self.account.proxy(self.network, secret, role, proxy)["DBProxyArn"]
        rds.add_tags_to_resource(ResourceName=arn, Tags=self.tag_list)
        return {
            "DB subnet groups": {group},
            "DB instances": {"renamed"},
            "snapshots": {"kept"},
            "automated backups": {backup},
            "RDS Proxies": {proxy},
        }

    def _access(self) -> dict[str, set[str]]:
        secrets, role = self.account.secretsmanager, self.template.function_roles["iam"].name
        for name in (self.template.secret.name, "deleted"):
            secrets.create_secret(Name=name, SecretString="{}", Tags=self.tag_list)
        secrets.delete_secret(SecretId="deleted", RecoveryWindowInDays=30)
        self.account.iam.create_role(
            RoleName=role,
            AssumeRolePolicyDocument=trust("lambda.amazonaws.com"),
            Tags=self.tag_list,
        )
        return {"secrets": {self.template.secret.name, "deleted"}, "roles": {role}}

    def _serving(self, whose: str) -> dict[str, set[str]]:
        layer, function = self.template.layer.name, self.template.functions["iam"].name
        role = self.account.function_role("other")
        self.account.pass_time(3600)
        self.account.function(role, function, Tags=self.tags)
        self.account.lambda_.publish_layer_version(
            LayerName=layer,
            Description=f"provision:environment={whose} sha256=x",
            Content={"ZipFile": zipped()},
        )
        api = self.account.apigatewayv2.create_api(Name=DEMO, ProtocolType="HTTP", Tags=self.tags)
        logs, group = self.account.logs, self.template.function_logs["password"].name
        logs.create_log_group(logGroupName=group, tags=self.tags)
        return {
            "functions": {function},
            "layer versions": {f"{layer}:1"},
            "HTTP APIs": {api["ApiId"]},
            "log groups": {group},
        }

    def left(self, *kinds: str) -> dict[str, list[Leftover]]:
        """What the check finds of these kinds for the environment `demo`."""
        with (
            self.account.rehearsal.applied(),
            contextlib.closing(Aws(make_session(None, REGION), environment=DEMO)) as aws,
        ):
            search = Search(aws, DEMO, self.template, {})
            return {kind: list(SWEEPS[kind](search)) for kind in kinds}


@pytest.mark.slow
def test_what_is_ours_is_found_kind_by_kind() -> None:
    with rehearsed(frozen()) as empty:
        ours = Estate(empty, DEMO)
        found = ours.left(*SWEEPS)
    missing = {
        kind: identities
        for kind, identities in ours.identities.items()
        if not identities <= {each.identity for each in found[kind]}
    }
    assert missing == {}
    assert ours.identities.keys() == SWEEPS.keys()
    why = {each.identity: each.why for each in found["secrets"]}
    assert why == {"deleted": "scheduled for deletion", TEMPLATE.secret.name: ""}


@pytest.mark.slow
def test_nothing_of_somebody_elses_is_found_though_it_has_our_names() -> None:
    with rehearsed(frozen()) as empty:
        theirs = Estate(empty, "demo-2")  # begins as our name does
        assert theirs.left(*SWEEPS) == {kind: [] for kind in SWEEPS}
        # A log group without tags is ours, unless who writes there is somebody's.
        written = TEMPLATE.function_logs["iam"].name  # by the function `iam`, which exists
        orphaned = TEMPLATE.proxy_logs["password"].name  # there is no proxy `password`
        for group in (written, orphaned):
            empty.logs.create_log_group(logGroupName=group)
        assert [each.identity for each in theirs.left("log groups")["log groups"]] == [orphaned]


# --- what a person keeps --------------------------------------------------------------------------


def reported(events: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the check reported as left, by kind."""
    return {each["kind"]: [one["identity"] for one in each["left"]] for each in events}


@pytest.mark.slow
def test_a_final_snapshot_is_kept_whatever_case_its_name_has(commands: Commands) -> None:
    assert commands.up("--no-check").code == 0
    down = commands.teardown("--final-snapshot", "Before-We-Left")
    assert down.code == 0, down
    assert not any(reported(down.of("left")).values())


@pytest.mark.slow
def test_the_snapshots_name_excuses_nothing_but_the_snapshot(
    commands: Commands, account: Account
) -> None:
    assert commands.up("--no-check").code == 0
    tags = [{"Key": "provision:environment", "Value": "rds-proxy-auth"}]
    account.secretsmanager.create_secret(Name="keep-me", SecretString="{}", Tags=tags)
    down = commands.teardown("--final-snapshot", "keep-me")
    assert down.code == 1, down
    assert reported(down.of("left"))["secrets"] == ["keep-me"]
    assert reported(down.of("left"))["snapshots"] == []
    assert "secret keep-me" in json.dumps(down.error)


@pytest.mark.slow
def test_a_rehearsed_teardown_takes_the_final_snapshot(commands: Commands) -> None:
    patient = ("--set", "wait.timeout_minutes=90")
    result = commands.run("teardown", "--dry-run", "--final-snapshot", "Before-We-Left", *patient)
    assert result.code == 0, result
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("snapshots "))
    assert "0" in line.split()
    assert "before-we-left" in line
