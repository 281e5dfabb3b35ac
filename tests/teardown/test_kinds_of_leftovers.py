"""The check of what is left: each kind finds ours, and nothing of somebody else's by our names."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from provision.aws.account import Aws, make_session
from provision.config import Config, EnvironmentSettings
from provision.environment import environment
from provision.resources.template import Template
from teardown.leftovers import SWEEPS, Leftover, Search
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
from tests.support.account import Account as Clients
from tests.support.commands import Commands
from tests.support.names import REGION

NAME = "demo"
TEMPLATE = environment(Config(EnvironmentSettings(name=NAME, region=REGION)), packed=False)
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
        api = self.account.apigatewayv2.create_api(Name=NAME, ProtocolType="HTTP", Tags=self.tags)
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
            contextlib.closing(Aws(make_session(None, REGION), environment=NAME)) as aws,
        ):
            search = Search(aws, NAME, self.template, {})
            return {kind: list(SWEEPS[kind](search)) for kind in kinds}


@pytest.mark.slow
def test_what_is_ours_is_found_kind_by_kind() -> None:
    with rehearsed(frozen()) as empty:
        ours = Estate(empty, NAME)
        found = ours.left(*SWEEPS)
    missing = {
        kind: identities
        for kind, identities in ours.identities.items()
        if not identities <= {each.identity for each in found[kind]}
    }
    assert missing == {}
    assert ours.identities.keys() == SWEEPS.keys()
    why = {each.identity: each.why for each in found["secrets"]}
    assert why == {"deleted": "waits for its deletion", TEMPLATE.secret.name: ""}


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


def left(events: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the check reported as left, by kind."""
    return {each["kind"]: [one["identity"] for one in each["left"]] for each in events}


@pytest.mark.slow
def test_a_final_snapshot_is_kept_whatever_case_its_name_has(commands: Commands) -> None:
    assert commands.up("--no-check").code == 0
    down = commands.teardown("--final-snapshot", "Before-We-Left")
    assert down.code == 0, down
    assert not any(left(down.of("left")).values())


@pytest.mark.slow
def test_the_snapshots_name_excuses_nothing_but_the_snapshot(
    commands: Commands, account: Clients
) -> None:
    assert commands.up("--no-check").code == 0
    tags = [{"Key": "provision:environment", "Value": "rds-proxy-auth"}]
    account.secretsmanager.create_secret(Name="keep-me", SecretString="{}", Tags=tags)
    down = commands.teardown("--final-snapshot", "keep-me")
    assert down.code == 1, down
    assert left(down.of("left"))["secrets"] == ["keep-me"]
    assert left(down.of("left"))["snapshots"] == []
    assert "secret keep-me" in json.dumps(down.error)


@pytest.mark.slow
def test_a_rehearsed_teardown_takes_the_final_snapshot(commands: Commands) -> None:
    patient = ("--set", "wait.timeout_minutes=90")
    result = commands.run("teardown", "--dry-run", "--final-snapshot", "Before-We-Left", *patient)
    assert result.code == 0, result
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("snapshots "))
    assert "0" in line.split()
    assert "before-we-left" in line
