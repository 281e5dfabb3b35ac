"""What AWS cannot change in place: refused where data would be lost, made anew where asked for."""

from __future__ import annotations

from typing import Any

import pytest

from provision.rehearsal import Fault
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import Commands
from tests.support.design import Described, differing
from tests.support.names import NAME
from tests.support.servers import mutating

pytestmark = pytest.mark.sweep
NEW_INSTANCE = {"db-instance", "target-password", "target-iam"}  # and what registers it


def instance(account: Account) -> dict[str, Any]:
    """The DB instance."""
    found = account.rds.describe_db_instances(DBInstanceIdentifier=f"{NAME}-database")
    one: dict[str, Any] = found["DBInstances"][0]
    return one


def health(account: Account) -> set[str]:
    """How both proxies stand with the database."""
    return {
        target["TargetHealth"]["State"]
        for login in ("password", "iam")
        for target in account.rds.describe_db_proxy_targets(DBProxyName=f"{NAME}-{login}")[
            "Targets"
        ]
    }


def as_the_design_says(built: Built) -> bool:
    """Whether everything is there, and all points to what is there now, not to what was."""
    return differing(Described(built.account)) == [] and built.commands.up().counts()


# --- refused --------------------------------------------------------------------------------------

REFUSED = {
    "vpc": ("--set", "network.vpc_cidr=10.0.0.0/20"),
    "subnets": ("--set", "network.database_subnet_cidrs=['10.0.4.0/24', '10.0.5.0/24']"),
    "user": ("--set", "database.username=other"),
    "vpc by name": ("--replace", "vpc"),
    "database's group by name": ("--replace", "security-group-database"),
}


@pytest.mark.parametrize("flags", REFUSED.values(), ids=REFUSED.keys())
def test_what_would_lose_the_data_is_refused_before_anything_is_called(
    built: Built, flags: tuple[str, ...]
) -> None:
    before = len(built.remote.journal())
    result = built.commands.up(*flags)
    assert result.code == 1
    assert result.error["type"] == "ReplacementRefused"
    assert "--replace db-instance" in result.error["next"]
    assert result.to_do["db-instance"] == "replace"  # the plan is told all the same
    assert mutating(built.remote, before) == []


def test_a_protected_instance_is_not_replaced_and_nothing_around_it_is_touched(
    built: Built,
) -> None:
    protect = ("--set", "database.deletion_protection=true")
    assert built.commands.up(*protect).changed == {"db-instance": "updated"}
    before = len(built.remote.journal())
    for flags in (protect, ()):
        refused = built.commands.up("--replace", "db-instance", *flags)
        assert refused.code == 1
        assert "has deletion protection" in refused.error["message"]
        assert "--no-deletion-protection" in refused.error["next"]
    assert mutating(built.remote, before) == []
    assert built.commands.up().changed == {"db-instance": "updated"}
    assert not instance(built.account)["DeletionProtection"]


# --- asked for ------------------------------------------------------------------------------------


@pytest.mark.spoils
def test_storage_grows_in_place_and_is_smaller_only_in_a_new_instance(built: Built) -> None:
    old = instance(built.account)["DbiResourceId"]
    grown = built.commands.up("--set", "database.allocated_storage_gib=30")
    assert grown.changed == {"db-instance": "updated"}
    assert instance(built.account)["DbiResourceId"] == old
    before = len(built.remote.journal())
    kept = built.commands.up()
    assert kept.counts()
    assert mutating(built.remote, before) == []

    replaced = built.commands.up("--replace", "db-instance")
    assert replaced.code == 0
    assert replaced.changed == dict.fromkeys(NEW_INSTANCE, "created")
    assert instance(built.account)["DbiResourceId"] != old
    assert health(built.account) == {"AVAILABLE"}
    assert as_the_design_says(built)
    left = built.account.everything()
    assert left["snapshots"] == []
    assert len(left["automated backups"]) <= 1
    assert len(left["DB instances"]) == 1


def test_another_user_is_the_new_instances_and_everybodys_who_logs_in(built: Built) -> None:
    password = built.account.secret(f"{NAME}/database")["password"]
    flags = ("--set", "database.username=other")
    replaced = built.commands.up("--replace", "db-instance", *flags)
    assert replaced.code == 0, replaced.summary["error"]
    followed = {"secret", "function-password", "function-iam", "role-function-iam"}
    expected = dict.fromkeys(NEW_INSTANCE, "created") | dict.fromkeys(followed, "updated")
    assert replaced.changed == expected
    assert instance(built.account)["MasterUsername"] == "other"
    pair = {"username": "other", "password": password}
    assert built.account.secret(f"{NAME}/database") == pair
    described = Described(built.account)
    for login in ("password", "iam"):
        assert described.property(f"function-{login}", "Environment.Variables.DB_USER") == "other"
    (statement,) = described.property("role-function-iam", "Policies.connect-to-proxy.Statement")
    assert statement["Resource"].endswith(":dbuser:<proxy-iam.prx>/other")
    assert health(built.account) == {"AVAILABLE"}
    assert built.commands.up(*flags).counts()

    back = built.commands.up("--replace", "db-instance")
    assert back.code == 0
    assert back.changed == expected
    assert as_the_design_says(built)


def test_another_network_takes_everything_in_it_along(commands: Commands, account: Account) -> None:
    assert commands.up().code == 0
    before = account.everything()
    flags = ("--set", "network.vpc_cidr=10.0.0.0/20")
    moved = commands.up("--replace", "db-instance", *flags)
    assert moved.code == 0, moved.stdout[-1500:]
    stayed = {"secret", "layer", "api", "stage", "role-proxy", "role-api", "log-group-iam"}
    assert not stayed & set(moved.changed)
    assert commands.up(*flags).counts()
    (vpc,) = (each for each in account.everything()["VPCs"] if not each["IsDefault"])
    assert vpc["CidrBlock"] == "10.0.0.0/20"
    after = account.everything()
    assert {kind: len(things) for kind, things in after.items()} == {
        kind: len(things) for kind, things in before.items()
    }
    described = Described(account)
    old = {"CidrBlock": "10.0.0.0/16", "Routes": ["10.0.0.0/16 local"]}
    assert [row[:2] for row in differing(described)] == [("vpc", name) for name in old]


def test_steps_are_replaced_by_name_and_what_uses_them_follows(built: Built) -> None:
    """Each of them is in use: by a rule of another group, by a route, by a login."""
    steps = ("security-group-proxy", "integration-iam", "secret", "layer", "role-function-iam")
    flags = [flag for step in steps for flag in ("--replace", step)]
    old = Described(built.account).names
    replaced = built.commands.up(*flags)
    assert replaced.code == 0, replaced.summary["error"]
    assert {replaced.steps[step] for step in steps} == {"created"}
    assert replaced.steps["db-instance"] == "updated"  # the new secret's password is written to it
    chosen = {name: each for each, name in old.items()}
    recomputed = {"security-group-proxy", "integration-iam", "secret", "password", "layer"}
    new = {name: each for each, name in Described(built.account).names.items()}
    assert {name for name in recomputed if new[name] == chosen[name]} == set()
    assert new["vpc"] == chosen["vpc"]
    assert health(built.account) == {"AVAILABLE"}
    assert as_the_design_says(built)


def test_a_secret_that_somebody_deleted_for_good_is_made_again_with_all_that_use_it(
    built: Built,
) -> None:
    """Its password is lost: a new one goes to the secret, the database and the function."""
    account = built.account
    password = account.secret(f"{NAME}/database")["password"]
    account.secretsmanager.delete_secret(
        SecretId=f"{NAME}/database", ForceDeleteWithoutRecovery=True
    )
    built.remote.advance(600)
    plan = built.commands.plan()
    assert plan.to_do["secret"] == "create"
    assert set(plan.changes("db-instance")) == {"MasterUserPassword"}
    repaired = built.commands.up()
    assert repaired.code == 0, repaired.stdout[-1500:]
    assert repaired.steps["secret"] == "created"
    assert repaired.steps["db-instance"] == "updated"
    assert account.secret(f"{NAME}/database")["password"] != password
    assert health(account) == {"AVAILABLE"}
    assert as_the_design_says(built)


# --- a new password -------------------------------------------------------------------------------


def test_a_new_password_is_the_secrets_the_databases_and_the_functions(built: Built) -> None:
    password = built.account.secret(f"{NAME}/database")["password"]
    before = len(built.remote.journal())
    reset = built.commands.up("--reset-password")
    assert reset.code == 0, reset.stdout[-1500:]
    assert reset.changed == dict.fromkeys(("secret", "db-instance", "function-password"), "updated")
    assert sorted(mutating(built.remote, before)) == [
        "ModifyDBInstance",
        "PutSecretValue",
        "UpdateFunctionConfiguration",
    ]
    pair = built.account.secret(f"{NAME}/database")
    assert pair["username"] == "testdb"
    assert pair["password"] != password
    assert health(built.account) == {"AVAILABLE"}
    assert as_the_design_says(built)


@pytest.mark.parametrize("held", ["theirs, in words", '{"username": "testdb"}'])
def test_a_secret_that_holds_no_password_needs_a_new_one(built: Built, held: str) -> None:
    name = f"{NAME}/database"
    built.account.secretsmanager.put_secret_value(SecretId=name, SecretString=held)
    refused = built.commands.up()
    assert refused.code == 1
    assert refused.error["message"].startswith("secret: ")
    assert "up --reset-password" in refused.error["next"]
    assert held not in refused.stdout
    reset = built.commands.up("--reset-password")
    assert reset.code == 0, reset.stdout[-1500:]
    assert health(built.account) == {"AVAILABLE"}
    assert as_the_design_says(built)


def test_a_new_password_that_did_not_reach_the_database_does_with_the_next_up(
    built: Built,
) -> None:
    built.remote.set_faults(Fault("denied", "ModifyDBInstance"))
    stopped = built.commands.up("--reset-password")
    built.remote.set_faults()
    assert stopped.code == 1
    assert stopped.error["step"] == "db-instance"
    went_on = built.commands.up()
    assert went_on.code == 0, went_on.stdout[-1500:]
    assert went_on.steps["db-instance"] == "updated", went_on.stdout[-1500:]
    assert health(built.account) == {"AVAILABLE"}
    assert as_the_design_says(built)
