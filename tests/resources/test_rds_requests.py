"""RDS's resources by themselves: what they ask of RDS, and what they make of its answers."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from provision.errors import AwsCallError, ProvisionError
from provision.resources.base import Change, Seen
from provision.resources.rds.db_instance import DBInstance
from provision.resources.rds.db_proxy import DBProxy
from provision.resources.rds.db_proxy_target import DBProxyTarget
from provision.resources.rds.db_subnet_group import DBSubnetGroup
from provision.waiting.poll import Verdict
from tests.support.answers import Answers, refusal
from tests.support.names import NAME, REGION
from tests.support.resources import ARN, answering, changes_of, ours, resource, seen_of

DATABASE = f"{NAME}-database"
ADMINISTRATOR = f"aws rds modify-db-instance --region {REGION} --apply-immediately"


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# --- the DB subnet group --------------------------------------------------------------------------


def subnet_group() -> DBSubnetGroup:
    found: DBSubnetGroup = resource("db-subnet-group")
    return found


def described_group(*subnets: str) -> Answers:
    return {
        "rds.describe_db_subnet_groups": {
            "DBSubnetGroups": [
                {
                    "DBSubnetGroupArn": f"{ARN}:subgrp:{DATABASE}",
                    "DBSubnetGroupName": DATABASE,
                    "DBSubnetGroupDescription": "somebody's",
                    "Subnets": [{"SubnetIdentifier": each} for each in subnets],
                    "SubnetGroupStatus": "Complete",
                }
            ]
        },
        "rds.list_tags_for_resource": {"TagList": tag_list(ours("db-subnet-group"))},
    }


def test_a_subnet_group_gets_its_own_subnets_and_description_back() -> None:
    group = subnet_group()
    with answering(described_group("subnet-9", "subnet-1")) as aws:
        seen = seen_of(group, aws)
        changes = changes_of(group, aws, seen)
        assert changes["SubnetIds"].is_ == ["subnet-1", "subnet-9"]
        assert not changes["SubnetIds"].replaces
        assert changes["DBSubnetGroupDescription"].should == group.description
        group.update(aws, seen, changes)
        assert aws.changes() == [
            (
                "rds.modify_db_subnet_group",
                {
                    "DBSubnetGroupName": DATABASE,
                    "DBSubnetGroupDescription": group.description,
                    "SubnetIds": ["subnet-1", "subnet-2"],
                },
            )
        ]
        by_hand = group.for_administrator(aws, seen)
    assert by_hand.startswith("Somebody changed it by hand")
    assert f"aws rds modify-db-subnet-group --region {REGION}" in by_hand
    assert by_hand.endswith("--subnet-ids subnet-1 subnet-2")


def test_tags_of_rds_are_set_and_removed_by_arn() -> None:
    group = subnet_group()
    seen = Seen({"arn": f"{ARN}:subgrp:{DATABASE}"})
    with answering() as aws:
        group.tag(aws, seen, {"team": "blue"})
        group.untag(aws, seen, ["provision:expires"])
        assert aws.changes() == [
            (
                "rds.add_tags_to_resource",
                {"ResourceName": seen.outputs["arn"], "Tags": tag_list({"team": "blue"})},
            ),
            (
                "rds.remove_tags_from_resource",
                {"ResourceName": seen.outputs["arn"], "TagKeys": ["provision:expires"]},
            ),
        ]


def instance(**more: Any) -> dict[str, Any]:
    """A DB instance as RDS describes it when it is as it should be."""
    return {
        "DBInstanceIdentifier": DATABASE,
        "DBInstanceArn": f"{ARN}:db:{DATABASE}",
        "DbiResourceId": "db-1",
        "DBInstanceStatus": "available",
        "Engine": "mysql",
        "EngineVersion": "8.4.7",
        "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20,
        "DBName": "testdb",
        "MasterUsername": "testdb",
        "BackupRetentionPeriod": 0,
        "DeletionProtection": False,
        "StorageEncrypted": True,
        "StorageType": "gp3",
        "PubliclyAccessible": False,
        "MultiAZ": False,
        "CopyTagsToSnapshot": True,
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-database"}],
        "DBSubnetGroup": {"DBSubnetGroupName": DATABASE},
        "Endpoint": {"Address": "database.example"},
        "TagList": tag_list({"Name": DATABASE, **ours("db-instance")}),
        **more,
    }


def described(*instances: dict[str, Any]) -> Answers:
    """RDS's answers where these are all DB instances of the region."""

    def answer(DBInstanceIdentifier: str = "") -> Any:  # noqa: N803
        found = [
            each for each in instances if DBInstanceIdentifier in ("", each["DBInstanceIdentifier"])
        ]
        if DBInstanceIdentifier and not found:
            return refusal("DBInstanceNotFound")
        return {"DBInstances": found}

    return {"rds.describe_db_instances": answer}


def test_a_subnet_group_is_held_by_the_instances_in_it() -> None:
    theirs = instance(
        DBInstanceIdentifier="theirs", TagList=tag_list({"provision:environment": "other"})
    )
    nobodys = instance(DBInstanceIdentifier="nobodys", TagList=[])
    replica = instance(
        DBInstanceIdentifier="replica", TagList=[], ReadReplicaSourceDBInstanceIdentifier="theirs"
    )
    elsewhere = instance(
        DBInstanceIdentifier="elsewhere", DBSubnetGroup={"DBSubnetGroupName": "default"}
    )
    our_own = instance(DBInstanceStatus="deleting")
    with answering(described(theirs, nobodys, replica, elsewhere, our_own)) as aws:
        found = subnet_group().blocked_by(aws, Seen({"group": DATABASE}))
    assert [(str(each), each.lasts) for each in found] == [
        ("DB instance theirs, available (of the environment 'other')", True),
        ("DB instance nobodys, available (no tag of this program)", True),
        ("read replica replica of theirs, available (no tag of this program)", True),
        (f"DB instance {DATABASE}, deleting (of the environment '{NAME}')", False),
    ]
    assert "--db-instance-identifier theirs" in found[0].command


@pytest.mark.parametrize("step", ["db-subnet-group", "db-instance", "proxy-iam", "target-iam"])
def test_what_is_deleted_already_counts_as_deleted(step: str) -> None:
    missing = {
        "rds.delete_db_subnet_group": refusal("DBSubnetGroupNotFoundFault"),
        "rds.delete_db_instance": refusal("DBInstanceNotFound"),
        "rds.delete_db_proxy": refusal("DBProxyNotFoundFault"),
        "rds.deregister_db_proxy_targets": refusal("DBProxyTargetNotFoundFault"),
    }
    each = resource(step)
    seen = Seen({"id": "x", "proxy": "x", "target": "x"})
    with answering(missing) as aws:
        each.delete(aws, seen)
        ((call, _),) = aws.changes()
    assert call in missing
    with (
        answering({call: refusal("InvalidState")}) as aws,
        pytest.raises(ClientError, match="InvalidState"),
    ):
        each.delete(aws, seen)


# --- the DB instance ------------------------------------------------------------------------------


def database(**fields: Any) -> DBInstance:
    found: DBInstance = resource("db-instance", **fields)
    return found


def modified(each: DBInstance, *names: str, **is_: Any) -> dict[str, Any]:
    """The parameters of the call that puts these properties right.

    `is_` is how RDS describes the instance, where it is not as it should be.
    """
    with answering(described(instance(**is_))) as aws:
        seen = seen_of(each, aws)
        changes = changes_of(each, aws, seen)
        assert set(changes) == set(names)
        each.update(aws, seen, changes)
        ((call, given),) = aws.changes()
    assert (call, given.pop("ApplyImmediately", True)) == ("rds.modify_db_instance", True)
    assert given.pop("DBInstanceIdentifier") == DATABASE
    return given


def test_an_instance_as_it_should_be_needs_nothing() -> None:
    with answering(described(instance())) as aws:
        each = database()
        seen = seen_of(each, aws)
        assert changes_of(each, aws, seen) == {}
        assert each.look(seen).verdict is Verdict.READY
        assert each.kept(seen) == []
        assert each.for_administrator(aws, seen) == ""


def test_only_what_differs_is_changed_and_at_once() -> None:
    given = modified(
        database(), "BackupRetentionPeriod", "MultiAZ", MultiAZ=True, BackupRetentionPeriod=7
    )
    assert given == {"BackupRetentionPeriod": 0, "MultiAZ": False}


def test_a_newer_major_version_is_allowed_in_the_call() -> None:
    given = modified(database(), "EngineVersion", EngineVersion="8.0.40")
    assert given == {"EngineVersion": database().engine_version, "AllowMajorVersionUpgrade": True}


@pytest.mark.parametrize(
    ("size", "is_", "storage"),
    [
        (100, {"AllocatedStorage": 20}, {"AllocatedStorage": 100}),  # below 400 GiB RDS takes none
        (500, {"AllocatedStorage": 20}, {"AllocatedStorage": 500, "Iops": 12_000}),
        (500, {"AllocatedStorage": 400, "Iops": 15_000}, {"AllocatedStorage": 500, "Iops": 15_000}),
    ],
)
def test_striped_storage_wants_its_iops_named(
    size: int, is_: dict[str, int], storage: dict[str, int]
) -> None:
    assert modified(database(allocated_storage=size), "AllocatedStorage", **is_) == storage


def test_another_kind_of_striped_storage_names_size_and_iops_too() -> None:
    given = modified(database(), "StorageType", StorageType="io1", AllocatedStorage=600, Iops=1000)
    assert given == {"StorageType": "gp3", "AllocatedStorage": 600, "Iops": 12_000}


def test_a_large_instance_is_created_with_its_iops() -> None:
    answers = {"rds.create_db_instance": {"DBInstance": instance()}}
    for size, iops in ((20, None), (400, 12_000)):
        with answering(answers) as aws:
            outputs = database(allocated_storage=size).create(aws)
            ((_, given),) = aws.changes()
        assert given.get("Iops") == iops
        assert given["EngineLifecycleSupport"] == "open-source-rds-extended-support-disabled"
        assert (given["StorageEncrypted"], given["PubliclyAccessible"]) == (True, False)
        assert outputs["resource_id"] == "db-1"


def test_what_somebody_else_has_pending_does_not_come_with_ours() -> None:
    pending = {"DBInstanceClass": "db.r6g.large", "MasterUserPassword": "****"}
    given = modified(database(), "MultiAZ", MultiAZ=True, PendingModifiedValues=pending)
    assert given == {"MultiAZ": False, "DBInstanceClass": "db.t4g.micro"}


def test_a_stopped_instance_is_started_before_anything_else() -> None:
    each = database()
    with answering(described(instance(DBInstanceStatus="stopped", MultiAZ=True))) as aws:
        seen = seen_of(each, aws)
        changes = changes_of(each, aws, seen)
        assert changes["DBInstanceStatus"].is_ == "stopped"
        each.update(aws, seen, changes)
        assert aws.changes() == [("rds.start_db_instance", {"DBInstanceIdentifier": DATABASE})]


def test_backups_that_aws_backup_keeps_are_left_alone() -> None:
    held = instance(BackupRetentionPeriod=35, AwsBackupRecoveryPointArn="arn:aws:backup:1")
    with answering(described(held)) as aws:
        each = database()
        assert changes_of(each, aws, seen_of(each, aws)) == {}


def test_what_rds_is_at_is_waited_for_and_what_others_have_pending_is_not() -> None:
    each = database()
    asked = [
        Change("AllocatedStorage", 20, 100),
        Change("MasterUserPassword", "", "", sensitive=True),
    ]
    pending = {"AllocatedStorage": 100, "DBInstanceClass": "db.r6g.large"}
    said = {
        ("modifying", ()): "modifying",
        ("available", ()): "",
        ("storage-optimization", ()): "",
        ("available", tuple(pending.items())): "AllocatedStorage pending",
        ("available", (("AllocatedStorage", 50),)): "",
        ("available", (("MasterUserPassword", "****"),)): "MasterUserPassword pending",
    }
    for (status, waiting), words in said.items():
        assert each.applying(Seen({}, status=status, pending=dict(waiting)), asked) == words


def test_a_renamed_instance_is_found_by_its_lasting_id_and_kept() -> None:
    renamed = instance(DBInstanceIdentifier="renamed")
    each = database()
    with answering(described(renamed, instance(DbiResourceId="db-2", TagList=[]))) as aws:
        seen = seen_of(each, aws, resource_id="db-1")
        assert seen.outputs["id"] == seen.name == "renamed"
        (kept,) = each.kept(seen)
        assert f"{ADMINISTRATOR} --db-instance-identifier renamed" in kept
        by_hand = each.for_administrator(aws, seen)
        assert f"--new-db-instance-identifier {DATABASE}" in by_hand
        assert "--skip-final-snapshot" in by_hand
    with answering(described(renamed)) as aws:  # by its tags, where no id is recorded
        assert seen_of(each, aws).name == "renamed"
    with answering(described()) as aws:
        assert each.find(aws, {"resource_id": "db-1"}) is None


def test_what_aws_has_more_of_is_kept_and_said() -> None:
    larger = instance(AllocatedStorage=50, EngineVersion="9.1.0")
    with answering(described(larger)) as aws:
        each = database()
        seen = seen_of(each, aws)
        assert changes_of(each, aws, seen) == {}
        storage, version = each.kept(seen)
    assert (
        "database.allocated_storage_gib asks for 20, the DB instance has AllocatedStorage 50"
        in storage
    )
    assert "database.engine_version" in version
    assert "upgrades versions and never downgrades them" in version


def test_an_instance_that_is_protected_is_not_deleted() -> None:
    each = database()
    with answering(described(instance(DeletionProtection=True))) as aws:
        with pytest.raises(ProvisionError, match="has deletion protection") as caught:
            each.delete(aws, seen_of(each, aws))
        assert aws.changes() == []
    assert "--no-deletion-protection" in caught.value.next_step


@pytest.mark.parametrize(
    ("name", "snapshot"),
    [
        ("", {"SkipFinalSnapshot": True}),
        ("last", {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": "last"}),
    ],
)
def test_nothing_is_kept_of_a_deleted_instance_but_a_snapshot_that_was_named(
    name: str, snapshot: dict[str, Any]
) -> None:
    each = database(final_snapshot=name)
    with answering(described(instance())) as aws:
        each.delete(aws, seen_of(each, aws))
        ((_, given),) = aws.changes()
    assert given == {
        "DBInstanceIdentifier": DATABASE, "DeleteAutomatedBackups": True, **snapshot
    }  # fmt: skip


def test_read_replicas_are_named_and_do_not_last() -> None:
    replica = instance(
        DBInstanceIdentifier="replica", ReadReplicaSourceDBInstanceIdentifier=DATABASE
    )
    source = instance(ReadReplicaDBInstanceIdentifiers=["replica"])
    with answering(described(source, replica)) as aws:
        each = database()
        (found,) = each.blocked_by(aws, seen_of(each, aws))
    assert (found.what, found.lasts) == (f"read replica replica of {DATABASE}, available", False)


def test_why_an_instance_is_in_trouble_is_rdss_own_words() -> None:
    infos = [{"Message": "no IP address is left"}, {"Status": "no message"}]
    broken = instance(DBInstanceStatus="incompatible-network", StatusInfos=infos)
    with answering(described(broken)) as aws:
        each = database()
        look = each.look(seen_of(each, aws))
    assert (look.verdict, look.reason) == (Verdict.FAILED, "no IP address is left")


# --- the proxies ----------------------------------------------------------------------------------


def proxy(**fields: Any) -> DBProxy:
    found: DBProxy = resource("proxy-iam", **fields)
    return found


SECRET = proxy().secret_arn


def proxy_as(**more: Any) -> dict[str, Any]:
    """The proxy as RDS describes it when it is as it should be."""
    return {
        "DBProxyName": f"{NAME}-iam",
        "DBProxyArn": f"{ARN}:db-proxy:prx-1",
        "Status": "available",
        "EngineFamily": "MYSQL",
        "Auth": [{"AuthScheme": "SECRETS", "SecretArn": SECRET, "IAMAuth": "REQUIRED"}],
        "RequireTLS": True,
        "RoleArn": proxy().role_arn,
        "IdleClientTimeout": 120,
        "DebugLogging": False,
        "VpcSubnetIds": ["subnet-1", "subnet-2"],
        "VpcSecurityGroupIds": ["sg-proxy"],
        "Endpoint": "iam.proxy",
        "CreatedDate": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        **more,
    }


def proxies(*described: dict[str, Any], tags: dict[str, dict[str, str]] | None = None) -> Answers:
    """RDS's answers where these are all proxies; `tags` by their names, ours where not named."""
    arns = {each["DBProxyArn"]: each["DBProxyName"] for each in described}

    def tags_of(ResourceName: str) -> Any:  # noqa: N803
        own = {"Name": f"{NAME}-iam", **ours("proxy-iam")}
        return {"TagList": tag_list((tags or {}).get(arns[ResourceName], own))}

    return {
        "rds.describe_db_proxies": {"DBProxies": list(described)},
        "rds.list_tags_for_resource": tags_of,
    }


def test_a_proxy_as_it_should_be_needs_nothing() -> None:
    with answering(proxies(proxy_as())) as aws:
        seen = seen_of(proxy(), aws)
        assert changes_of(proxy(), aws, seen) == {}
        assert proxy().kept(seen) == []
        assert proxy().for_administrator(aws, seen) == ""
        assert seen.outputs["resource_id"] == "prx-1"
        assert seen.created.startswith("2026-01-01")


def test_the_login_is_put_right_and_what_others_added_stays() -> None:
    others = {"AuthScheme": "SECRETS", "SecretArn": "arn:theirs", "IAMAuth": "DISABLED"}
    own = {"AuthScheme": "SECRETS", "SecretArn": SECRET, "IAMAuth": "DISABLED"}
    with answering(proxies(proxy_as(Auth=[others, own], RequireTLS=False))) as aws:
        seen = seen_of(proxy(), aws)
        changes = changes_of(proxy(), aws, seen)
        assert set(changes) == {"IAMAuth", "RequireTLS"}
        proxy().update(aws, seen, changes)
        ((call, given),) = aws.changes()
        (kept,) = proxy().kept(seen)
    assert call == "rds.modify_db_proxy"
    assert given["Auth"] == [{**own, "IAMAuth": "REQUIRED"}, others]
    assert given["RequireTLS"] is True
    assert "arn:theirs" in kept


def test_a_renamed_proxy_is_used_under_its_new_name() -> None:
    renamed = proxy_as(DBProxyName="renamed")
    foreign = proxy_as(DBProxyArn=f"{ARN}:db-proxy:prx-2")  # somebody took the name
    tags = {f"{NAME}-iam": {"team": "red"}}
    with answering(proxies(foreign, renamed, tags=tags)) as aws:
        seen = seen_of(proxy(), aws, arn=renamed["DBProxyArn"])
        assert (seen.outputs["proxy"], seen.name) == ("renamed", "renamed")
        assert proxy().identity(seen.outputs) == "renamed"
        (kept,) = proxy().kept(seen)
        assert f"--db-proxy-name renamed --new-db-proxy-name {NAME}-iam" in kept
    with answering(proxies(renamed)) as aws:  # no record of it: by its tags
        assert seen_of(proxy(), aws).name == "renamed"
    with answering(proxies(renamed, tags={"renamed": {}})) as aws:
        assert proxy().find(aws, {}) is None


def test_of_two_the_one_of_our_name_with_our_tags_counts() -> None:
    ours_again = proxy_as(DBProxyArn=f"{ARN}:db-proxy:prx-2")
    recorded = proxy_as(DBProxyName="renamed")
    with answering(proxies(ours_again, recorded)) as aws:
        assert seen_of(proxy(), aws, arn=recorded["DBProxyArn"]).outputs["resource_id"] == "prx-2"


def test_debug_logging_that_rds_switched_off_is_said_and_not_switched_on_again() -> None:
    each = proxy(debug_logging=True)
    with answering(proxies(proxy_as(DebugLogging=True))) as aws:
        seen = seen_of(each, aws)
        assert seen.outputs["debug_logging"] == "on"
    with answering(proxies(proxy_as())) as aws:
        never_on = seen_of(each, aws)
        assert set(changes_of(each, aws, never_on)) == {"DebugLogging"}
        was_on = seen_of(each, aws, debug_logging="on")
        assert changes_of(each, aws, was_on) == {}
        (kept,) = each.kept(was_on)
    assert "RDS switches it off after 24 hours" in kept


def test_subnets_that_rds_proxy_leaves_out_are_said_and_others_are_a_replacement() -> None:
    with answering(proxies(proxy_as(VpcSubnetIds=["subnet-1"]))) as aws:
        fewer = seen_of(proxy(), aws)
        assert changes_of(proxy(), aws, fewer) == {}
        assert proxy().kept(fewer) == ["RDS Proxy does not use subnet-2: kept"]
    with answering(proxies(proxy_as(VpcSubnetIds=["subnet-1", "subnet-9"]))) as aws:
        changes = changes_of(proxy(), aws, seen_of(proxy(), aws))
        assert changes["VpcSubnetIds"].replaces


def test_a_proxy_that_lost_its_tag_is_for_an_administrator() -> None:
    with answering(proxies(proxy_as(), tags={f"{NAME}-iam": {"team": "red"}})) as aws:
        by_hand = proxy().for_administrator(aws, seen_of(proxy(), aws))
    assert "aws rds add-tags-to-resource" in by_hand
    assert f"Key=provision:environment,Value={NAME} Key=provision:step,Value=proxy-iam" in by_hand


def test_tags_of_a_proxy_are_sent_whole_since_the_policy_looks_at_the_request() -> None:
    with answering() as aws:
        proxy().tag(aws, Seen({"arn": "arn:1"}), {"team": "blue"})
        ((_, given),) = aws.changes()
    assert {each["Key"] for each in given["Tags"]} == {
        "Name", "provision:environment", "provision:step", "team",
    }  # fmt: skip


ROLE = "The IAM role ARN value is invalid"
TOKEN = "The security token included in the request is invalid"


def role_of_age(minutes: float) -> Any:
    now = datetime.datetime.now(datetime.UTC)
    return {
        "Role": {"CreateDate": now - datetime.timedelta(minutes=minutes)},
        "ResponseMetadata": {"HTTPHeaders": {}},
    }


def refused_with(message: str, code: str = "InvalidParameterValue") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(answer, "CreateDBProxy")


@pytest.mark.parametrize(
    ("role", "final"),
    [
        (role_of_age(1), False),
        (refusal("AccessDenied", "GetRole"), False),  # who may not read it waits, too
        (role_of_age(60), True),
    ],
)
def test_a_role_that_rds_cannot_use_may_be_too_new(role: Any, final: bool) -> None:
    answers = {"rds.create_db_proxy": refused_with(ROLE), "iam.get_role": role}
    with answering(answers) as aws, pytest.raises(AwsCallError) as caught:
        proxy().create(aws)
    assert caught.value.final is final
    assert caught.value.answer.message == ROLE
    assert f"RDS has to be able to assume {proxy().role_arn}" in caught.value.next_step
    assert (("iam.get_role", {"RoleName": "proxy"}) in aws.asked) is True


@pytest.mark.parametrize(
    ("message", "code"),
    [("The subnet is in no VPC", "InvalidSubnet"), (TOKEN, "InvalidClientTokenId")],
)
def test_other_refusals_of_a_proxy_are_not_laid_on_its_role(message: str, code: str) -> None:
    answers = {"rds.create_db_proxy": refused_with(message, code), "iam.get_role": role_of_age(60)}
    with answering(answers) as aws, pytest.raises(ClientError, match=message):
        proxy().create(aws)


# --- a proxy's target -----------------------------------------------------------------------------


def target() -> DBProxyTarget:
    found: DBProxyTarget = resource("target-iam")
    return found


def registered(health: dict[str, str], **pool: Any) -> Answers:
    settings = {
        "MaxConnectionsPercent": 100,
        "MaxIdleConnectionsPercent": 50,
        "ConnectionBorrowTimeout": 120,
        **pool,
    }
    return {
        **described(instance()),
        "rds.describe_db_proxy_targets": {
            "Targets": [{"RdsResourceId": DATABASE.upper(), "TargetHealth": health}]
        },
        "rds.describe_db_proxy_target_groups": {
            "TargetGroups": [{"ConnectionPoolConfig": settings}]
        },
    }


def test_the_pool_is_put_right_as_a_whole() -> None:
    with answering(registered({"State": "AVAILABLE"}, MaxConnectionsPercent=70)) as aws:
        seen = seen_of(target(), aws)
        changes = changes_of(target(), aws, seen)
        assert set(changes) == {"MaxConnectionsPercent"}
        target().update(aws, seen, changes)
        assert aws.changes() == [
            (
                "rds.modify_db_proxy_target_group",
                {
                    "DBProxyName": f"{NAME}-iam",
                    "TargetGroupName": "default",
                    "ConnectionPoolConfig": {
                        "MaxConnectionsPercent": 100,
                        "MaxIdleConnectionsPercent": 50,
                        "ConnectionBorrowTimeout": 120,
                    },
                },
            )
        ]


@pytest.mark.parametrize(
    ("health", "verdict"),
    [
        ({"State": "AVAILABLE"}, Verdict.READY),
        ({"State": "REGISTERING"}, Verdict.WAIT),
        ({"State": "UNAVAILABLE", "Reason": "PENDING_PROXY_CAPACITY"}, Verdict.WAIT),
        ({"State": "UNAVAILABLE", "Reason": "AUTH_FAILURE"}, Verdict.SUSPECT),
        ({"State": "UNAVAILABLE", "Reason": "INVALID_REPLICATION_STATE"}, Verdict.FAILED),
        ({"State": "UNAVAILABLE", "Reason": "PROMOTED"}, Verdict.FAILED),
    ],
)
def test_what_a_targets_health_means(health: dict[str, str], verdict: Verdict) -> None:
    with answering(registered(health | {"Description": "in RDS's words"})) as aws:
        look = target().look(seen_of(target(), aws))
    assert look.verdict is verdict
    assert look.reason.endswith("in RDS's words")


def test_a_busy_proxy_tells_no_targets_and_the_recorded_one_is_waited_for() -> None:
    busy = {"rds.describe_db_proxy_targets": refusal("InvalidDBProxyStateFault")}
    with answering(busy) as aws:
        assert target().find(aws, {}) is None
        seen = seen_of(target(), aws, target=DATABASE)
        assert target().look(seen).verdict is Verdict.WAIT
        assert seen.reason == "the proxy is busy"
    with (
        answering({"rds.describe_db_proxy_targets": refusal("AccessDenied")}) as aws,
        pytest.raises(ClientError, match="AccessDenied"),
    ):
        target().find(aws, {})


def test_a_target_that_is_registered_already_counts_as_registered() -> None:
    already = {"rds.register_db_proxy_targets": refusal("DBProxyTargetAlreadyRegisteredFault")}
    with answering(already) as aws:
        assert target().create(aws) == {"target": DATABASE}
