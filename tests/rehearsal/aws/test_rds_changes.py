"""Changes of instances and proxies: late, rounded, grown, renamed; and what AWS may answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from provision.rehearsal import Behaviours

from .control_plane import (
    Network,
    PlayedAccount,
    account,
    frozen,
    instance_parameters,
    looks,
    policy,
    refused,
)
from .databases import health, proven, ready, registered, status

MINUTE = 60.0
SECRET = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:login-AbCdEf"
DATABASE = {"DBInstanceIdentifier": "database"}


@contextmanager
def existing(behaviours: Behaviours | None = None, **changes: Any) -> Iterator[PlayedAccount]:
    """An account with an instance that is available."""
    with account(behaviours) as aws:
        aws.instance(ready(aws), **changes)
        aws.pass_time(8 * MINUTE)
        assert status(aws) == "available"
        yield aws


def seen(aws: PlayedAccount) -> dict[str, Any]:
    """The one instance."""
    (instance,) = aws.rds.describe_db_instances()["DBInstances"]
    found: dict[str, Any] = instance
    return found


def change(aws: PlayedAccount, **changes: Any) -> dict[str, Any]:
    """Change the instance at once; the answer."""
    answer = aws.rds.modify_db_instance(**DATABASE, ApplyImmediately=True, **changes)
    instance: dict[str, Any] = answer["DBInstance"]
    return instance


# --- late ---


def test_a_new_password_is_pending_and_hidden_before_it_counts() -> None:
    with existing() as aws:
        answer = change(aws, MasterUserPassword="another-horse")
        assert answer["PendingModifiedValues"] == {"MasterUserPassword": "****"}
        assert status(aws) == "available"
        aws.pass_time(30)
        assert status(aws) == "resetting-master-credentials"
        aws.pass_time(MINUTE)
        assert status(aws) == "available"
        assert seen(aws)["PendingModifiedValues"] == {}


def test_a_password_takes_along_nothing_that_waits_for_the_window() -> None:
    with existing() as aws:
        aws.rds.modify_db_instance(**DATABASE, DBInstanceClass="db.t4g.small")
        aws.rds.modify_db_instance(**DATABASE, MasterUserPassword="another-horse")
        aws.pass_time(5 * MINUTE)
        now = seen(aws)
        assert now["DBInstanceClass"] == "db.t4g.micro"
        assert now["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.small"}


def test_a_second_change_joins_one_that_has_not_begun() -> None:
    with existing() as aws:
        change(aws, DBInstanceClass="db.t4g.small")
        change(aws, AllocatedStorage=30)
        aws.pass_time(3 * MINUTE)
        now = seen(aws)
        assert (now["DBInstanceClass"], now["AllocatedStorage"]) == ("db.t4g.small", 30)
        assert now["PendingModifiedValues"] == {}


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_change_begins_within_a_minute(seed: int) -> None:
    with existing(frozen(seed=seed, upgrades_minor_version=False)) as aws:
        for _ in range(20):
            aws.pass_time(MINUTE)
        change(aws, DBInstanceClass="db.t4g.small")
        aws.pass_time(MINUTE)
        done = seen(aws)["DBInstanceClass"] == "db.t4g.small"
        assert done or status(aws) == "modifying"


# --- storage and versions ---


@pytest.mark.parametrize(("wanted", "given"), [(21, 22), (22, 22), (40, 40)])
def test_a_small_growth_is_rounded_up_to_a_tenth(wanted: int, given: int) -> None:
    with existing() as aws:
        assert change(aws, AllocatedStorage=wanted)["PendingModifiedValues"] == {
            "AllocatedStorage": given
        }
        aws.pass_time(3 * MINUTE)
        assert seen(aws)["AllocatedStorage"] == given


def test_autoscaling_grows_the_storage_up_to_its_most() -> None:
    with existing() as aws:
        change(aws, MaxAllocatedStorage=32)
        day = 24 * 60 * MINUTE
        sizes = []
        for _ in range(5):
            aws.pass_time(1.1 * day)
            sizes.append(seen(aws)["AllocatedStorage"])
        assert sizes == [25, 30, 32, 32, 32]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"AllocatedStorage": 19}, "cannot be decreased"),
        ({"AllocatedStorage": 40, "Iops": 3000}, "less than 400"),
        ({"AllocatedStorage": 400}, "at least 12000"),
        ({"AllocatedStorage": 400, "Iops": 3000}, "at least 12000"),
        ({"EngineVersion": "8.4.7"}, "Cannot upgrade mysql from 8.4.9 to 8.4.7"),
        ({"EngineVersion": "8.0.45"}, "Cannot upgrade"),
        ({"EngineVersion": "8.4.99"}, "Cannot find version"),
    ],
)
def test_changes_that_rds_refuses(changes: dict[str, Any], match: str) -> None:
    with existing() as aws, refused("InvalidParameterCombination", match=match):
        change(aws, **changes)


def test_a_major_version_needs_leave() -> None:
    with existing(EngineVersion="8.0") as aws:
        with refused("InvalidParameterCombination", match="AllowMajorVersionUpgrade"):
            change(aws, EngineVersion="8.4")
        change(aws, EngineVersion="8.4.10", AllowMajorVersionUpgrade=True)
        aws.pass_time(3 * MINUTE)
        assert seen(aws)["EngineVersion"] == "8.4.10"


def test_striped_storage_with_its_iops_is_taken() -> None:
    with existing() as aws:
        change(aws, AllocatedStorage=400, Iops=12_000)
        aws.pass_time(3 * MINUTE)
        assert (seen(aws)["AllocatedStorage"], seen(aws)["Iops"]) == (400, 12_000)


@pytest.mark.parametrize("name", ["order", "SELECT"])
def test_words_of_the_engine_name_no_database_and_no_user(name: str) -> None:
    with account() as aws:
        network = ready(aws)
        with refused("InvalidParameterValue", match="reserved word"):
            aws.instance(network, DBName=name)
        aws.rds.delete_db_subnet_group(DBSubnetGroupName="group")
        with refused("InvalidParameterValue", match="reserved word"):
            aws.instance(network, MasterUsername=name)


# --- names ---


def test_a_renamed_instance_answers_to_its_new_name_alone() -> None:
    with account() as aws:
        registered(aws, Tags=[{"Key": "team", "Value": "blue"}])
        before = seen(aws)
        change(aws, NewDBInstanceIdentifier="Main")
        assert seen(aws)["PendingModifiedValues"] == {"DBInstanceIdentifier": "Main"}
        aws.pass_time(30)
        assert seen(aws)["DBInstanceStatus"] == "renaming"
        aws.pass_time(MINUTE)
        now = seen(aws)
        assert now["DBInstanceIdentifier"] == "main"
        for name in ("DbiResourceId", "TagList"):
            assert now[name] == before[name]
        assert now["DBInstanceArn"] == before["DBInstanceArn"].replace(":database", ":main")
        assert now["Endpoint"]["Address"].startswith("main.")
        with refused("DBInstanceNotFound"):
            aws.rds.describe_db_instances(**DATABASE)
        tags = aws.rds.list_tags_for_resource(ResourceName=now["DBInstanceArn"])["TagList"]
        assert tags == before["TagList"]
        (backup,) = aws.rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
        assert backup["DBInstanceIdentifier"] == "main"
        (target,) = aws.rds.describe_db_proxy_targets(DBProxyName="proxy")["Targets"]
        assert target["RdsResourceId"] == "main"
        assert health(aws) == {"State": "AVAILABLE"}
        aws.rds.delete_db_instance(DBInstanceIdentifier="main", SkipFinalSnapshot=True)
        aws.pass_time(10 * MINUTE)
        assert aws.rds.describe_db_instances()["DBInstances"] == []


def test_an_instance_takes_no_name_that_another_has() -> None:
    with existing() as aws:
        network = Network("", [], "", "", seen(aws)["VpcSecurityGroups"][0]["VpcSecurityGroupId"])
        aws.rds.create_db_instance(**instance_parameters(network, DBInstanceIdentifier="other"))
        with refused("DBInstanceAlreadyExists"):
            change(aws, NewDBInstanceIdentifier="OTHER")


@pytest.mark.parametrize("moves", [False, True])
def test_a_renamed_proxy_keeps_its_id_and_its_targets(moves: bool) -> None:
    with account(frozen(renames_proxy_endpoint=moves)) as aws:
        registered(aws)
        (before,) = aws.rds.describe_db_proxies()["DBProxies"]
        aws.rds.modify_db_proxy(DBProxyName="proxy", NewDBProxyName="other")
        aws.pass_time(MINUTE)
        (now,) = aws.rds.describe_db_proxies()["DBProxies"]
        assert now["DBProxyName"] == "other"
        assert now["DBProxyArn"] == before["DBProxyArn"]
        assert (now["Endpoint"] != before["Endpoint"]) is moves
        with refused("DBProxyNotFoundFault"):
            aws.rds.describe_db_proxies(DBProxyName="proxy")
        (target,) = aws.rds.describe_db_proxy_targets(DBProxyName="other")["Targets"]
        assert target["TargetHealth"] == {"State": "AVAILABLE"}


# --- where nobody knows what AWS answers: both ---


@pytest.mark.parametrize("registers", [False, True])
def test_a_target_registered_while_its_instance_is_created(registers: bool) -> None:
    with account(frozen(registers_while_creating=registers)) as aws:
        network = ready(aws)
        read = policy("secretsmanager:GetSecretValue")
        aws.proxy(network, aws.secret(), aws.role("proxy", "rds.amazonaws.com", read))
        aws.pass_time(5 * MINUTE)
        aws.instance(network)
        register = {"DBProxyName": "proxy", "DBInstanceIdentifiers": ["database"]}
        if registers:
            aws.rds.register_db_proxy_targets(**register)
            assert health(aws)["State"] != "AVAILABLE"
            aws.pass_time(6 * MINUTE)
            assert health(aws) == {"State": "AVAILABLE"}
        else:
            match = r"CREATING, needs to be in \[AVAILABLE, MODIFYING, BACKING_UP\]"
            with refused("InvalidDBInstanceState", match=match):
                aws.rds.register_db_proxy_targets(**register)


def test_the_message_of_2024_names_creating_too() -> None:
    with account(frozen(registers_while_creating=True)) as aws:
        proven(aws)
        aws.rds.delete_db_instance(**DATABASE, SkipFinalSnapshot=True)
        match = r"DELETING, needs to be in \[AVAILABLE, MODIFYING, BACKING_UP, CREATING\]"
        with refused("InvalidDBInstanceState", match=match):
            aws.rds.register_db_proxy_targets(
                DBProxyName="proxy", DBInstanceIdentifiers=["database"]
            )


def test_until_an_instance_is_there_its_target_says_different_things_by_the_seed() -> None:
    found = set()
    for seed in range(12):
        with account(
            frozen(seed=seed, registers_while_creating=True, upgrades_minor_version=False)
        ) as aws:
            network = ready(aws)
            aws.proxy(network, aws.secret(), aws.role("proxy", "rds.amazonaws.com"))
            aws.pass_time(15 * MINUTE)
            aws.instance(network)
            aws.rds.register_db_proxy_targets(
                DBProxyName="proxy", DBInstanceIdentifiers=["database"]
            )
            said = health(aws)
            found.add((said["State"], said.get("Reason")))
    assert found == {
        ("REGISTERING", None),
        ("UNAVAILABLE", "PENDING_PROXY_CAPACITY"),
        ("UNAVAILABLE", "CONNECTION_FAILED"),
    }


def test_a_fresh_role_is_refused_for_a_proxy_in_one_of_two_ways() -> None:
    found = set()
    for seed in range(8):
        with account(frozen(seed=seed, consistency=True, checks_proxy_role=True)) as aws:
            network = ready_slowly(aws)
            role = aws.role("proxy", "rds.amazonaws.com")
            create = partial(aws.proxy, network, SECRET, role)
            found |= set(looks(create, passing=aws))
    assert found == {"InvalidParameterValue", "InvalidClientTokenId"}


def ready_slowly(aws: PlayedAccount) -> Network:
    """A network that everybody sees, in an account with RDS's service-linked role."""
    aws.rehearsal.set_manners(consistency=False)
    network = ready(aws)
    aws.rehearsal.set_manners(consistency=True)
    return network


def test_or_it_is_not_looked_at() -> None:
    with account(frozen(consistency=True, checks_proxy_role=False)) as aws:
        network = ready_slowly(aws)
        aws.proxy(network, SECRET, aws.role("proxy", "rds.amazonaws.com"))


@pytest.mark.parametrize("refuses", [False, True])
def test_deleting_an_instance_that_is_being_created(refuses: bool) -> None:
    with account(frozen(refuses_delete_while_creating=refuses)) as aws:
        aws.instance(ready(aws))
        if refuses:
            with refused("InvalidDBInstanceState", match="being created"):
                aws.rds.delete_db_instance(**DATABASE, SkipFinalSnapshot=True)
            aws.pass_time(6 * MINUTE)
        aws.rds.delete_db_instance(**DATABASE, SkipFinalSnapshot=True)
        assert status(aws) == "deleting"


def test_what_is_not_known_is_decided_once_by_the_seed_and_without_one_never_done() -> None:
    with account(frozen()) as aws:
        assert not aws.rehearsal.world.possible("checks_proxy_role")
    decided = set()
    for seed in range(20):
        with account(frozen(seed=seed)) as aws:
            (once,) = {aws.rehearsal.world.possible("checks_proxy_role") for _ in range(5)}
            decided.add(once)
    assert decided == {False, True}
