"""RDS as the rehearsal plays it: instances, subnet groups, proxies and their targets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.rehearsal import Behaviours
from provision.rehearsal.aws.behaviours import target_health

from .control_plane import (
    account,
    frozen,
    instance_parameters,
    permission,
    refused,
)
from .databases import MINUTE, health, proven, ready, registered, status

# Offers


def test_versions_of_a_major() -> None:
    with account(Behaviours.plain()) as aws:
        found = aws.rds.describe_db_engine_versions(Engine="mysql", EngineVersion="8.4")
        names = [each["EngineVersion"] for each in found["DBEngineVersions"]]
        every = aws.rds.describe_db_engine_versions(
            Engine="mysql", EngineVersion="8.4", IncludeAll=True
        )["DBEngineVersions"]
    assert names
    assert all(name.startswith("8.4.") for name in names)
    assert {each["Status"] for each in every} == {"available", "deprecated"}


def test_one_default_version() -> None:
    with account(Behaviours.plain()) as aws:
        (found,) = aws.rds.describe_db_engine_versions(Engine="mysql", DefaultOnly=True)[
            "DBEngineVersions"
        ]
        assert found["MajorEngineVersion"] == "8.4"
        (found,) = aws.rds.describe_db_engine_versions(
            Engine="mysql", EngineVersion="8.0", DefaultOnly=True
        )["DBEngineVersions"]
        assert found["MajorEngineVersion"] == "8.0"
        assert not aws.rds.describe_db_engine_versions(Engine="oracle-ee")["DBEngineVersions"]


def test_when_support_ends() -> None:
    with account(Behaviours.plain()) as aws:
        found = aws.rds.describe_db_major_engine_versions(Engine="mysql", MajorEngineVersion="8.0")
    (major,) = found["DBMajorEngineVersions"]
    ends = {
        each["LifecycleSupportName"]: each["LifecycleSupportEndDate"].date().isoformat()
        for each in major["SupportedEngineLifecycles"]
    }
    assert ends["open-source-rds-standard-support"] == "2026-07-31"


def test_classes_and_their_zones() -> None:
    with account(Behaviours.plain()) as aws:
        wanted = {"Engine": "mysql", "EngineVersion": "8.4.10", "DBInstanceClass": "db.t4g.micro"}
        found = aws.rds.describe_orderable_db_instance_options(**wanted)
        zones = aws.ec2.describe_availability_zones()["AvailabilityZones"]
        wanted["DBInstanceClass"] = "db.t4g.huge"
        none = aws.rds.describe_orderable_db_instance_options(**wanted)
    options = found["OrderableDBInstanceOptions"]
    assert {each["StorageType"] for each in options} == {"gp2", "gp3"}
    assert [z["Name"] for z in options[0]["AvailabilityZones"]] == [z["ZoneName"] for z in zones]
    assert none["OrderableDBInstanceOptions"] == []


def test_quotas_count_what_is_used() -> None:
    with account() as aws:
        aws.instance(ready(aws))
        quotas = aws.rds.describe_account_attributes()["AccountQuotas"]
    used = {each["AccountQuotaName"]: each["Used"] for each in quotas}
    assert (used["DBInstances"], used["AllocatedStorage"]) == (1, 20)


# Subnet groups


def test_a_new_account_lacks_the_service_linked_role() -> None:
    with account() as aws:
        network = aws.network()
        group = {"DBSubnetGroupName": "group", "DBSubnetGroupDescription": "x"}
        with refused("InvalidParameterValue", match="Missing necessary credentials"):
            aws.rds.create_db_subnet_group(**group, SubnetIds=network.subnets)
        with refused("InvalidParameterValue", match="create service linked role"):
            aws.rds.create_db_instance(**instance_parameters(network, DBSubnetGroupName=None))
        role = aws.role("proxy", "rds.amazonaws.com")
        with refused("InvalidParameterValue", match="not authorized to assume service-linked"):
            aws.proxy(network, aws.secret(), role)
        aws.rds_ready()
        aws.rds.create_db_subnet_group(**group, SubnetIds=network.subnets)


def test_a_subnet_group_needs_two_zones_and_real_subnets() -> None:
    with account() as aws:
        network = ready(aws)
        group = {"DBSubnetGroupName": "group", "DBSubnetGroupDescription": "x"}
        with refused("DBSubnetGroupDoesNotCoverEnoughAZs"):
            aws.rds.create_db_subnet_group(**group, SubnetIds=network.subnets[:1])
        with refused("InvalidSubnet"):
            aws.rds.create_db_subnet_group(**group, SubnetIds=["subnet-1", network.subnets[0]])
        with refused("DBSubnetGroupNotFoundFault"):
            aws.rds.delete_db_subnet_group(DBSubnetGroupName="group")


def test_a_subnet_group_is_not_made_twice_nor_deleted_in_use() -> None:
    with account() as aws:
        network = ready(aws)
        aws.instance(network)
        with refused("DBSubnetGroupAlreadyExists"):
            aws.rds.create_db_subnet_group(
                DBSubnetGroupName="GROUP",
                DBSubnetGroupDescription="x",
                SubnetIds=network.subnets,
            )
        aws.pass_time(8 * MINUTE)
        aws.rds.delete_db_instance(DBInstanceIdentifier="database", SkipFinalSnapshot=True)
        with refused("InvalidDBSubnetGroupStateFault"):
            aws.rds.delete_db_subnet_group(DBSubnetGroupName="group")
        aws.pass_time(6 * MINUTE)
        aws.rds.delete_db_subnet_group(DBSubnetGroupName="group")


# Instances


def test_an_instance_is_created_over_minutes() -> None:
    with account() as aws:
        made = aws.instance(ready(aws))["DBInstance"]
        assert made["DBInstanceStatus"] == "creating"
        assert "Endpoint" not in made
        (seen,) = aws.rds.describe_db_instances()["DBInstances"]
        assert "Endpoint" not in seen
        aws.pass_time(4.5 * MINUTE)
        assert status(aws) == "backing-up"
        aws.pass_time(MINUTE)
        (seen,) = aws.rds.describe_db_instances()["DBInstances"]
        assert seen["DBInstanceStatus"] == "available"
        assert seen["Endpoint"]["Port"] == 3306


def test_without_states_an_instance_is_there_at_once() -> None:
    with account(Behaviours.plain()) as aws:
        network = ready(aws)
        aws.instance(network, EngineLifecycleSupport="open-source-rds-extended-support-disabled")
        (seen,) = aws.rds.describe_db_instances()["DBInstances"]
    assert seen["DBInstanceStatus"] == "available"
    assert seen["EngineLifecycleSupport"] == "open-source-rds-extended-support-disabled"
    assert seen["EngineVersion"].startswith("8.4.")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"EngineVersion": "8.4.99"}, "InvalidParameterCombination"),
        ({"DBInstanceClass": "db.z9.micro"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "with/slash"}, "InvalidParameterValue"),
        ({"MasterUserPassword": None}, "InvalidParameterValue"),
        ({"ManageMasterUserPassword": True}, "InvalidParameterCombination"),
        ({"MasterUsername": "rdsadmin"}, "InvalidParameterValue"),
        ({"MasterUsername": "1user"}, "InvalidParameterValue"),
        ({"DBSubnetGroupName": "other"}, "DBSubnetGroupNotFoundFault"),
        ({"VpcSecurityGroupIds": ["sg-1"]}, "InvalidParameterValue"),
        ({"PubliclyAccessible": True}, "InvalidVPCNetworkStateFault"),
        ({"AvailabilityZone": "ap-northeast-1d"}, "InvalidVPCNetworkStateFault"),
        ({"AllocatedStorage": 5}, "InvalidParameterCombination"),
        ({"Iops": 3000}, "InvalidParameterCombination"),
        ({"StorageType": "tape"}, "StorageTypeNotSupported"),
        (
            {
                "EngineVersion": "8.0",
                "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
            },
            "InvalidParameterCombination",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_an_instance_that_rds_would_not_make(changes: dict[str, Any], code: str) -> None:
    with account() as aws:
        network = ready(aws)
        with refused(code):
            aws.instance(network, **changes)
        assert aws.rds.describe_db_instances()["DBInstances"] == []


def test_an_instances_group_must_be_of_its_vpc() -> None:
    with account() as aws:
        network = ready(aws)
        other = aws.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        with refused("InvalidVPCNetworkStateFault"):
            aws.instance(network, VpcSecurityGroupIds=[aws.group(other, "x")])


def test_an_instance_is_not_made_twice() -> None:
    with account() as aws:
        network = ready(aws)
        aws.instance(network)
        with refused("DBInstanceAlreadyExists"):
            aws.rds.create_db_instance(
                **instance_parameters(network, DBInstanceIdentifier="Database")
            )


def test_names_are_kept_in_lower_case() -> None:
    with account() as aws:
        network = ready(aws)
        name = {"DBInstanceIdentifier": "DataBase"}
        made = aws.instance(network, **name, DBSubnetGroupName="Group")["DBInstance"]
        assert made["DBInstanceIdentifier"] == "database"
        aws.pass_time(8 * MINUTE)
        assert aws.rds.describe_db_instances(**name)["DBInstances"]
        aws.rds.modify_db_instance(**name, DeletionProtection=False)
        aws.rds.delete_db_instance(**name, SkipFinalSnapshot=True)
        aws.pass_time(6 * MINUTE)
        aws.rds.delete_db_subnet_group(DBSubnetGroupName="GROUP")


def test_a_change_waits_for_the_window_or_takes_its_time() -> None:
    with account() as aws:
        aws.instance(ready(aws))
        name = {"DBInstanceIdentifier": "database"}
        with refused("InvalidDBInstanceState"):
            aws.rds.modify_db_instance(**name, AllocatedStorage=30)
        aws.pass_time(8 * MINUTE)
        changed = aws.rds.modify_db_instance(**name, AllocatedStorage=30)["DBInstance"]
        assert changed["AllocatedStorage"] == 20
        assert changed["PendingModifiedValues"]["AllocatedStorage"] == 30
        changed = aws.rds.modify_db_instance(**name, ApplyImmediately=True)["DBInstance"]
        assert changed["DBInstanceStatus"] == "available"  # RDS has not begun
        assert changed["PendingModifiedValues"]["AllocatedStorage"] == 30
        aws.pass_time(30)
        assert status(aws) == "modifying"
        aws.pass_time(MINUTE)
        (seen,) = aws.rds.describe_db_instances()["DBInstances"]
        assert (seen["DBInstanceStatus"], seen["AllocatedStorage"]) == ("storage-optimization", 30)
        assert seen["PendingModifiedValues"] == {}
        aws.pass_time(5 * MINUTE)
        assert status(aws) == "available"


def test_what_does_not_wait_for_the_window_is_changed_at_once() -> None:
    with account() as aws:
        aws.instance(ready(aws))
        aws.pass_time(8 * MINUTE)
        name = {"DBInstanceIdentifier": "database"}
        changed = aws.rds.modify_db_instance(**name, DeletionProtection=True)["DBInstance"]
        assert changed["DeletionProtection"] is True
        assert status(aws) == "available"
        with refused("DBInstanceNotFound"):
            aws.rds.modify_db_instance(DBInstanceIdentifier="other", DeletionProtection=True)


def test_how_an_instance_may_be_deleted() -> None:
    with account() as aws:
        network = ready(aws)
        aws.instance(network, DeletionProtection=True)
        name = {"DBInstanceIdentifier": "database"}
        with refused("InvalidParameterCombination", match="protected"):
            aws.rds.delete_db_instance(**name, SkipFinalSnapshot=True)
        aws.pass_time(8 * MINUTE)
        aws.rds.modify_db_instance(**name, DeletionProtection=False)
        with refused("InvalidParameterCombination", match="FinalDBSnapshotIdentifier is required"):
            aws.rds.delete_db_instance(**name)
        with refused("InvalidParameterCombination"):
            aws.rds.delete_db_instance(
                **name, SkipFinalSnapshot=True, FinalDBSnapshotIdentifier="last"
            )
        gone = aws.rds.delete_db_instance(**name, SkipFinalSnapshot=True)["DBInstance"]
        assert gone["DBInstanceStatus"] == "deleting"
        with refused("InvalidDBInstanceState", match="already being deleted"):
            aws.rds.delete_db_instance(**name, SkipFinalSnapshot=True)
        assert status(aws) == "deleting"
        aws.pass_time(6 * MINUTE)
        with refused("DBInstanceNotFound"):
            aws.rds.describe_db_instances(**name)
        with refused("DBInstanceNotFound"):
            aws.rds.delete_db_instance(**name, SkipFinalSnapshot=True)
        assert aws.rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []


def test_a_final_snapshot_is_made_and_stays() -> None:
    with account() as aws:
        aws.instance(ready(aws))
        wanted = {"DBInstanceIdentifier": "database", "FinalDBSnapshotIdentifier": "last"}
        with refused("InvalidDBInstanceState", match="creating"):
            aws.rds.delete_db_instance(**wanted)
        aws.pass_time(8 * MINUTE)
        aws.rds.delete_db_instance(**wanted)
        (snapshot,) = aws.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        assert (snapshot["DBSnapshotIdentifier"], snapshot["Status"]) == ("last", "creating")
        aws.pass_time(6 * MINUTE)
        (snapshot,) = aws.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        assert snapshot["Status"] == "available"


def test_backups_are_kept_where_asked_for_and_can_be_deleted() -> None:
    with account() as aws:
        aws.instance(ready(aws))
        (backup,) = aws.rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
        one = {"DbiResourceId": backup["DbiResourceId"]}
        with refused("InvalidDBInstanceAutomatedBackupState"):
            aws.rds.delete_db_instance_automated_backup(**one)
        aws.rds.delete_db_instance(
            DBInstanceIdentifier="database", SkipFinalSnapshot=True, DeleteAutomatedBackups=False
        )
        aws.pass_time(6 * MINUTE)
        (backup,) = aws.rds.describe_db_instance_automated_backups(DBInstanceIdentifier="database")[
            "DBInstanceAutomatedBackups"
        ]
        assert backup["Status"] == "retained"
        aws.rds.delete_db_instance_automated_backup(**one)
        with refused("DBInstanceAutomatedBackupNotFound"):
            aws.rds.delete_db_instance_automated_backup(**one)
        assert aws.rds.describe_db_snapshots()["DBSnapshots"] == []


def test_without_a_retention_period_there_is_no_backup() -> None:
    with account() as aws:
        aws.instance(ready(aws), BackupRetentionPeriod=0)
        assert aws.rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
        assert aws.rds.describe_db_snapshots()["DBSnapshots"] == []
        aws.pass_time(4.5 * MINUTE)
        assert status(aws) == "creating"


def test_each_instance_has_an_id_of_its_own() -> None:
    with account() as aws:
        network = ready(aws)
        one = aws.instance(network)["DBInstance"]
        two = aws.rds.create_db_instance(
            **instance_parameters(network, DBInstanceIdentifier="other")
        )["DBInstance"]
    assert one["DbiResourceId"] != two["DbiResourceId"]


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        ("db:none", "DBInstanceNotFound"),
        ("db-proxy:prx-none", "DBProxyNotFoundFault"),
        ("subgrp:none", "DBSubnetGroupNotFoundFault"),
        ("snapshot:none", "DBSnapshotNotFound"),
    ],
)
def test_tags_of_what_is_not_there(resource: str, code: str) -> None:
    arn = f"arn:aws:rds:ap-northeast-1:123456789012:{resource}"
    with account() as aws:
        with refused(code):
            aws.rds.list_tags_for_resource(ResourceName=arn)
        with refused(code):
            aws.rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "b"}])


# Proxies


def test_a_proxy_is_created_over_minutes_with_its_endpoint_known() -> None:
    with account() as aws:
        network = ready(aws)
        made = aws.proxy(network, aws.secret(), aws.role("proxy", "rds.amazonaws.com"))
        assert made["Status"] == "creating"
        assert made["Endpoint"].startswith("proxy.proxy-")
        assert made["DBProxyArn"].rpartition(":")[2].startswith("prx-")
        assert made["DefaultAuthScheme"] == "NONE"
        assert made["Auth"][0]["ClientPasswordAuthType"] == "MYSQL_CACHING_SHA2_PASSWORD"
        for call in (aws.rds.delete_db_proxy, aws.rds.describe_db_proxy_targets):
            with refused("InvalidDBProxyStateFault", match="CREATING"):
                call(DBProxyName="proxy")
        aws.pass_time(4 * MINUTE)
        (seen,) = aws.rds.describe_db_proxies(DBProxyName="proxy")["DBProxies"]
        assert (seen["Status"], seen["Endpoint"]) == ("available", made["Endpoint"])
        (inside,) = aws.rehearsal.client("rds").describe_db_proxies()["DBProxies"]
        assert inside["Endpoint"] == made["Endpoint"]


def test_a_proxy_can_be_changed() -> None:
    with account() as aws:
        proven(aws)
        arn = aws.rds.describe_db_proxies()["DBProxies"][0]["Auth"][0]["SecretArn"]
        changed = aws.rds.modify_db_proxy(
            DBProxyName="proxy",
            RequireTLS=False,
            IdleClientTimeout=60,
            Auth=[{"AuthScheme": "SECRETS", "SecretArn": arn}],
        )["DBProxy"]
        assert changed["Status"] == "modifying"
        assert (changed["RequireTLS"], changed["IdleClientTimeout"]) == (False, 60)
        assert changed["Auth"][0]["IAMAuth"] == "DISABLED"
        with refused("InvalidDBProxyStateFault", match="MODIFYING"):
            aws.rds.modify_db_proxy(DBProxyName="proxy", RequireTLS=True)
        aws.pass_time(MINUTE)
        assert aws.rds.describe_db_proxies()["DBProxies"][0]["Status"] == "available"


def test_a_proxys_deletion_takes_its_targets_along() -> None:
    with account() as aws:
        registered(aws)
        assert aws.rds.delete_db_proxy(DBProxyName="proxy")["DBProxy"]["Status"] == "deleting"
        with refused("InvalidDBProxyStateFault", match="DELETING"):
            aws.rds.delete_db_proxy(DBProxyName="proxy")
        aws.pass_time(4 * MINUTE)
        for call in (
            aws.rds.delete_db_proxy,
            aws.rds.describe_db_proxies,
            aws.rds.describe_db_proxy_targets,
            aws.rds.describe_db_proxy_target_groups,
            aws.rds.modify_db_proxy,
            aws.rds.register_db_proxy_targets,
        ):
            with refused("DBProxyNotFoundFault"):
                call(DBProxyName="proxy")


def test_proxies_that_rds_would_not_make() -> None:
    with account() as aws:
        network = ready(aws)
        secret, role = aws.secret(), aws.role("proxy", "rds.amazonaws.com")
        aws.proxy(network, secret, role)
        with refused("DBProxyAlreadyExistsFault"):
            aws.proxy(network, secret, role, name="PROXY")
        with refused("InvalidParameterValue"):
            aws.proxy(network, secret, role, name="two--hyphens")
        with refused("InvalidParameterValue", match="IAM role"):
            aws.proxy(network, secret, f"{role}-missing", name="other")
        network.subnets = network.subnets[:1]
        with refused("InvalidSubnet"):
            aws.proxy(network, secret, role, name="other")


def test_a_proxys_log_group_stays_behind() -> None:
    with account() as aws:
        proven(aws)
        aws.rds.delete_db_proxy(DBProxyName="proxy")
        aws.pass_time(3 * MINUTE)
        (group,) = aws.logs.describe_log_groups()["logGroups"]
    assert group["logGroupName"] == "/aws/rds/proxy/proxy"


def test_a_target_groups_pool() -> None:
    with account() as aws:
        proven(aws)
        name = {"DBProxyName": "proxy", "TargetGroupName": "default"}
        group = aws.rds.modify_db_proxy_target_group(
            **name,
            ConnectionPoolConfig={
                "MaxConnectionsPercent": 80,
                "MaxIdleConnectionsPercent": 0,
                "ConnectionBorrowTimeout": 5,
            },
        )["DBProxyTargetGroup"]
        pool = group["ConnectionPoolConfig"]
        assert (pool["MaxConnectionsPercent"], pool["MaxIdleConnectionsPercent"]) == (80, 0)
        assert pool["ConnectionBorrowTimeout"] == 5
        pool = aws.rds.modify_db_proxy_target_group(**name)["DBProxyTargetGroup"][
            "ConnectionPoolConfig"
        ]
        assert (pool["MaxConnectionsPercent"], pool["ConnectionBorrowTimeout"]) == (100, 120)
        with refused("DBProxyTargetGroupNotFoundFault"):
            aws.rds.describe_db_proxy_target_groups(DBProxyName="proxy", TargetGroupName="x")
        with refused("InvalidParameterValue"):
            aws.rds.modify_db_proxy_target_group(
                **name,
                ConnectionPoolConfig={
                    "MaxConnectionsPercent": 10,
                    "MaxIdleConnectionsPercent": 20,
                },
            )


# Targets


def test_only_a_database_that_takes_connections_is_registered_and_once() -> None:
    with account() as aws:
        network = ready(aws)
        aws.proxy(network, aws.secret(), aws.role("proxy", "rds.amazonaws.com"))
        aws.pass_time(4 * MINUTE)
        aws.instance(network)
        wanted = {"DBProxyName": "proxy", "DBInstanceIdentifiers": ["database"]}
        with refused("InvalidDBInstanceState", match="unsupported state - CREATING"):
            aws.rds.register_db_proxy_targets(**wanted)
        aws.pass_time(6.5 * MINUTE)
        (target,) = aws.rds.register_db_proxy_targets(**wanted)["DBProxyTargets"]
        assert target["TargetHealth"] == {"State": "REGISTERING"}
        with refused("DBProxyTargetAlreadyRegisteredFault"):
            aws.rds.register_db_proxy_targets(**wanted)
        with refused("DBInstanceNotFound"):
            aws.rds.register_db_proxy_targets(DBProxyName="proxy", DBInstanceIdentifiers=["x"])
        aws.rds.deregister_db_proxy_targets(**wanted)
        with refused("DBProxyTargetNotFoundFault"):
            aws.rds.deregister_db_proxy_targets(**wanted)


def test_a_target_becomes_available_by_and_by() -> None:
    with account() as aws:
        proven(aws)
        aws.rds.register_db_proxy_targets(DBProxyName="proxy", DBInstanceIdentifiers=["database"])
        assert health(aws) == {"State": "REGISTERING"}
        aws.pass_time(30)
        found = health(aws)
        assert (found["State"], found["Reason"]) == ("UNAVAILABLE", "PENDING_PROXY_CAPACITY")
        aws.pass_time(2 * MINUTE)
        assert health(aws) == {"State": "AVAILABLE"}
        (target,) = aws.rds.describe_db_proxy_targets(DBProxyName="proxy")["Targets"]
        assert (target["Port"], target["Type"]) == (3306, "RDS_INSTANCE")


def test_a_target_with_a_wrong_password_is_not_available() -> None:
    with account() as aws:
        registered(aws, MasterUserPassword="something-else")
        found = health(aws)
        assert (found["State"], found["Reason"]) == ("UNAVAILABLE", "AUTH_FAILURE")
        assert "correct-horse" not in json.dumps(found)
        aws.rds.modify_db_instance(
            DBInstanceIdentifier="database", MasterUserPassword="correct-horse"
        )
        assert health(aws)["Reason"] == "AUTH_FAILURE"
        aws.pass_time(2 * MINUTE)
        assert health(aws) == {"State": "AVAILABLE"}


def test_a_target_behind_a_closed_group_is_unreachable() -> None:
    with account() as aws:
        network = registered(aws)
        rule = [permission(network.proxy)]
        aws.ec2.revoke_security_group_ingress(GroupId=network.database, IpPermissions=rule)
        assert health(aws)["Reason"] == "UNREACHABLE"
        aws.ec2.authorize_security_group_ingress(GroupId=network.database, IpPermissions=rule)
        assert health(aws) == {"State": "AVAILABLE"}


def test_a_target_needs_the_proxys_way_out_as_well() -> None:
    with account() as aws:
        network = registered(aws)
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        aws.ec2.revoke_security_group_egress(GroupId=network.proxy, IpPermissions=everything)
        assert health(aws)["Reason"] == "UNREACHABLE"


def test_a_proxy_whose_role_cannot_read_the_secret() -> None:
    with account() as aws:
        registered(aws)
        aws.iam.delete_role_policy(RoleName="proxy", PolicyName="inline")
        found = health(aws)
        assert found["Reason"] == "AUTH_FAILURE"
        assert "does not have any registered credentials" in found["Description"]


def test_a_repair_is_not_seen_at_once() -> None:
    with account(frozen(consistency=True)) as aws:
        aws.rehearsal.set_manners(consistency=False)
        registered(aws)
        aws.rehearsal.set_manners(consistency=True)
        aws.secretsmanager.put_secret_value(SecretId="login", SecretString="no json")
        assert health(aws)["Reason"] == "AUTH_FAILURE"
        text = json.dumps({"username": "testdb", "password": "correct-horse"})
        aws.secretsmanager.put_secret_value(SecretId="login", SecretString=text)
        assert health(aws)["Reason"] == "AUTH_FAILURE"
        aws.pass_time(30)
        assert health(aws) == {"State": "AVAILABLE"}


def test_a_target_of_a_deleted_database_is_not_available() -> None:
    with account() as aws:
        registered(aws)
        aws.rds.delete_db_instance(DBInstanceIdentifier="database", SkipFinalSnapshot=True)
        assert health(aws)["Reason"] == "CONNECTION_FAILED"
        aws.pass_time(6 * MINUTE)
        assert health(aws)["Reason"] == "CONNECTION_FAILED"


# The checks behind target health


@pytest.mark.parametrize(
    "secret",
    [
        None,
        "not json",
        "[]",
        '"text"',
        '{"username": "testdb"}',
        '{"username": "testdb", "password": "other"}',
        '{"username": "other", "password": "p"}',
    ],
)
def test_secrets_that_do_not_log_in(secret: str | None) -> None:
    problem = target_health.secret_problem(secret, "testdb", "p")
    assert problem is not None
    assert problem["Reason"] == "AUTH_FAILURE"


def test_a_secret_that_logs_in() -> None:
    secret = '{"username": "testdb", "password": "p", "engine": "mysql"}'
    assert target_health.secret_problem(secret, "testdb", "p") is None
