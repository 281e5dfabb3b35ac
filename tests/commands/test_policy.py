"""The printed policies against whole lives of an environment: nothing denied, nothing unused."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provision.aws.advice import DENIED
from provision.rehearsal import Remote
from tests.support import drifts as drift
from tests.support.account import Account
from tests.support.built import Built, commands_at
from tests.support.commands import Commands, Result
from tests.support.names import NAME
from tests.support.servers import rehearsal_server

LONGEST = "a-name-of-28-characters-is-l"  # as long as a name may be
REGIONS = ("ap-northeast-1", "cn-northwest-1", "us-gov-east-1")
BOUNDARY = "environment.permissions_boundary=arn:aws:iam::123456789012:policy/boundary"
LIMIT = 6144  # characters of a managed policy, white space not counted

Documents = list[dict[str, Any]]


def printed(commands: Commands, *flags: str) -> Documents:
    """What `provision policy` prints, as documents."""
    result = commands.run("provision", "policy", "--output", "plain", *flags)
    assert result.code == 0, result.stderr
    found = json.loads(result.stdout)
    return found if isinstance(found, list) else [found]


@pytest.mark.sweep(of="module", part=10)
def test_a_boundary_is_a_change_in_place(built: Built) -> None:
    found = built.account.iam.create_policy(PolicyName="b", PolicyDocument=drift.EVERYTHING)
    arn = found["Policy"]["Arn"]
    flags = ("--set", f"environment.permissions_boundary={arn}")
    plan = built.commands.plan(*flags)
    assert plan.to_do == dict.fromkeys(ROLES, "update")
    assert plan.changes("role-api")["PermissionsBoundary"]["should"] == arn
    assert built.commands.up(*flags).changed == dict.fromkeys(ROLES, "updated")
    role = built.account.iam.get_role(RoleName=drift.role("api"))["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    assert built.commands.up(*flags).counts()
    assert built.commands.up().changed == dict.fromkeys(ROLES, "updated")
    assert (
        "PermissionsBoundary" not in built.account.iam.get_role(RoleName=drift.role("api"))["Role"]
    )
    built.account.iam.delete_policy(PolicyArn=arn)


@pytest.mark.sweep(of="module", part=10)
def test_a_boundary_that_does_not_exist_is_named(commands: Commands) -> None:
    result = commands.up("--set", BOUNDARY)
    assert result.code == 1
    assert "policy/boundary does not exist or is not attachable" in result.error["message"]


ROLES = ("role-api", "role-function-iam", "role-function-password", "role-proxy")


def size(document: dict[str, Any]) -> int:
    """A document's characters, as IAM counts them."""
    return len("".join(json.dumps(document).split()))


# --- whole lives ----------------------------------------------------------------------------------


class Life:
    """An environment under its printed policies, in a rehearsed AWS of its own."""

    def __init__(self, commands: Commands, remote: Remote, *flags: str) -> None:
        self.commands, self.remote, self.flags = commands, remote, flags
        self.account = Account.of(remote)
        self.documents = printed(commands, *flags)
        remote.set_policy(self.documents)

    def done(self, result: Result) -> None:
        """Assert that a command came to its end."""
        assert result.code == 0, result.stdout[-1500:] + result.stderr[-500:]

    def up(self, *flags: str) -> None:
        """`up`, which has to succeed."""
        self.done(self.commands.up(*self.flags, *flags))

    def run(self, *words: str) -> Result:
        """Any command."""
        return self.commands.run(*words, "--output", "json", *self.flags)

    def denied(self) -> set[str]:
        """The operations that were denied so far."""
        return {each.operation for each in self.remote.journal() if each.code in DENIED}

    def unused(self) -> set[tuple[str, str]]:
        """What is in the documents and was never needed: actions, and resources of a statement."""
        used = self.remote.used()
        return {
            (part, str(item))
            for number, document in enumerate(self.documents)
            for index, statement in enumerate(document["Statement"])
            for part in ("action", "resource")
            for item in statement[part.capitalize()]
            if item
            not in {
                getattr(grant, part)
                for grant in used
                if (grant.document, grant.statement) == (number, index)
            }
        }


@pytest.fixture
def life(
    request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Life]:
    """A life in a region, with flags: the parameter."""
    region, *flags = request.param
    monkeypatch.setattr(drift, "NAME", LONGEST)
    monkeypatch.setattr(drift, "REGION", region)
    with rehearsal_server("--region", region) as remote:
        Account.of(remote).iam.create_policy(PolicyName="boundary", PolicyDocument=drift.EVERYTHING)
        commands = commands_at(remote, tmp_path, name=LONGEST, region=region)
        yield Life(commands, remote, *flags)


def changed_by_hand(life: Life) -> None:
    """Change everything in every way that `up` puts right."""
    account, name = life.account, LONGEST
    account.rds.deregister_db_proxy_targets(
        DBProxyName=f"{name}-iam", DBInstanceIdentifiers=[f"{name}-database"]
    )
    (attached,) = account.iam.list_attached_role_policies(RoleName=drift.role("function-iam"))[
        "AttachedPolicies"
    ]
    account.iam.attach_role_policy(RoleName=drift.role("api"), PolicyArn=attached["PolicyArn"])
    for each in (*drift.FIRST, *drift.SECOND):
        each.make(account)
    drift.scheduled_secret(account)


def every_read(life: Life) -> None:
    """Run every command that only reads."""
    for words in (
        ("provision", "plan", "--prices", "live"),
        ("provision", "status"),
        ("provision", "logs"),
        ("provision", "doctor"),
        ("provision", "list", "--all-regions"),
        ("teardown", "--plan"),
    ):
        assert life.run(*words).code in (0, 1), words


def interfaces_left_behind(life: Life) -> None:
    """Let Lambda leave its interfaces to us, by roles that may not delete them."""
    for login in ("password", "iam"):
        name = drift.role(f"function-{login}")
        found = life.account.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        for each in found:
            life.account.iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])


def held_by_somebody(life: Life) -> Callable[[], None]:
    """Let a gateway hold the VPC, and an instance profile a role. Returns what lets them go."""
    ec2, iam, role = life.account.ec2, life.account.iam, drift.role("api")
    vpc = life.account.tagged("vpcs", "vpc", LONGEST)["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    iam.create_instance_profile(InstanceProfileName="bastion")
    iam.add_role_to_instance_profile(InstanceProfileName="bastion", RoleName=role)

    def release() -> None:
        ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        iam.remove_role_from_instance_profile(InstanceProfileName="bastion", RoleName=role)

    return release


@pytest.mark.sweep(part=10)
@pytest.mark.parametrize(
    "life",
    [
        (REGIONS[0],),
        (REGIONS[1],),
        (REGIONS[2], "--set", BOUNDARY.replace("arn:aws:", "arn:aws-us-gov:")),
    ],
    indirect=True,
    ids=["aws", "aws-cn", "aws-us-gov, with a boundary"],
)
def test_nothing_is_denied_and_nothing_unused_in_a_whole_life(life: Life) -> None:
    life.up("--extend", "8h")
    every_read(life)
    life.up("--extend", "2d")
    life.up("--extend", "never")
    changed_by_hand(life)
    boundary(life)
    life.up("--reset-password", "--set", "database.allocated_storage_gib=30")
    life.up("--replace", "target-iam", "--set", "database.engine_version=8.4.10")
    interfaces_left_behind(life)
    release = held_by_somebody(life)
    last_words = ("teardown", "--yes", "--final-snapshot", "last-words")
    assert life.run(*last_words, "--set", "wait.timeout_minutes=0.03").code == 1
    release()
    life.done(life.run(*last_words))
    # Before it exists, IAM knows a secret by its bare name, which no ARN matches.
    assert life.denied() == {"DescribeSecret", "GetSecretValue"}
    assert life.unused() == set()


def boundary(life: Life) -> None:
    """Change a role's permissions boundary by hand: there is one, or it is gone."""
    name = drift.role("proxy")
    if life.flags:
        life.account.iam.delete_role_permissions_boundary(RoleName=name)
        return
    (found,) = life.account.iam.list_policies(Scope="Local")["Policies"]
    life.account.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=found["Arn"])


# --- what the policy leaves to an administrator ---------------------------------------------------


@pytest.fixture
def humble(built: Built) -> Iterator[Built]:
    """The shared environment, whose caller has no more than the printed policies."""
    built.remote.set_policy(printed(built.commands))
    yield built
    built.remote.set_policy(None)


def administrator(account: Account, advice: str) -> None:
    """Carry out the AWS CLI's line that an error has, as an administrator."""
    words = shlex.split(advice[advice.index("aws ") :])[1:]
    service, operation, *flags = words
    parameters: dict[str, Any] = {}
    for word in flags:
        if word.startswith("--"):
            values = parameters[word] = []
        else:
            values.append(word)
    parameters.pop("--region")
    given: dict[str, Any] = {
        xform_flag(flag): values if flag in ("--resources", "--subnet-ids") else values[0]
        for flag, values in parameters.items()
    }
    if "Tags" in given and service == "apigatewayv2":
        given["Tags"] = json.loads(given["Tags"])
    elif "Tags" in given:
        pairs = (dict(part.split("=") for part in tag.split(",")) for tag in parameters["--tags"])
        given["Tags"] = list(pairs)
    getattr(getattr(account, service), operation.replace("-", "_"))(**given)


def xform_flag(flag: str) -> str:
    """The parameter of the API behind a flag of the AWS CLI."""
    words = flag.removeprefix("--").split("-")
    return "".join({"db": "DB"}.get(word, word.capitalize()) for word in words)


def lost(kind: str, id_key: str, step: str) -> Callable[[Account], None]:
    """Remove this environment's tag from something of EC2."""
    return drift.ec2_tag(kind, id_key, step, **{"provision:environment": None})


def api_lost(account: Account) -> None:
    arn = f"arn:aws:apigateway:{account.region}::/apis/{drift.api_id(account)}"
    account.apigatewayv2.untag_resource(ResourceArn=arn, TagKeys=["provision:environment", "team"])


def other_subnets(account: Account) -> None:
    found = account.rds.describe_db_subnet_groups(DBSubnetGroupName=f"{NAME}-database")
    ids = [each["SubnetIdentifier"] for each in found["DBSubnetGroups"][0]["Subnets"]]
    more = account.tagged("subnets", "subnet-function", NAME)["SubnetId"]
    account.rds.modify_db_subnet_group(DBSubnetGroupName=f"{NAME}-database", SubnetIds=[*ids, more])


@pytest.mark.sweep(of="module", part=10)
@pytest.mark.parametrize(
    ("change", "step", "operation", "command"),
    [
        (lost("vpcs", "VpcId", "vpc"), "vpc", "CreateTags", "aws ec2 create-tags"),
        (lost("security_groups", "GroupId", "security-group-proxy"),
         "security-group-proxy", "CreateTags", "aws ec2 create-tags"),
        (api_lost, "api", "TagResource", "aws apigatewayv2 tag-resource"),
        (other_subnets, "db-subnet-group", "ModifyDBSubnetGroup",
         "aws rds modify-db-subnet-group"),
    ],
    ids=["vpc", "group", "api", "subnet-group"],
)  # fmt: skip
def test_a_denial_has_the_command_for_an_administrator(
    humble: Built, change: Callable[[Account], None], step: str, operation: str, command: str
) -> None:
    change(humble.account)
    result = humble.commands.up()
    assert result.code == 1
    assert result.error["code"] in DENIED
    assert (result.error["step"], result.error["operation"]) == (step, operation)
    assert command in result.error["next"]
    administrator(humble.account, result.error["next"])
    assert humble.commands.up().code == 0
    again = humble.commands.up()
    assert again.code == 0
    assert again.counts()


@pytest.mark.sweep(of="module", part=10)
def test_an_explicit_deny_is_no_matter_of_tags(humble: Built) -> None:
    lost("vpcs", "VpcId", "vpc")(humble.account)
    deny = {"Effect": "Deny", "Action": "ec2:CreateTags", "Resource": "*"}
    documents = [*printed(humble.commands), {"Version": "2012-10-17", "Statement": [deny]}]
    humble.remote.set_policy(documents)
    result = humble.commands.up()
    assert result.code == 1
    assert "explicit deny" in result.error["aws_message"]
    assert "create-tags" not in result.error["next"]
    humble.remote.set_policy(None)
    assert humble.commands.up().code == 0


@pytest.mark.sweep(of="module", part=10)
def test_a_teardown_that_is_denied_has_the_command_too(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    rehearsal.set_policy(printed(commands))
    api_lost(account)
    lost("security_groups", "GroupId", "security-group-database")(account)
    result = commands.teardown()
    assert result.code == 1
    advised = [each["error"]["next"] for each in result.of("step") if each["action"] == "failed"]
    told = " ".join(advised)
    assert "aws apigatewayv2 tag-resource" in told
    assert "aws ec2 create-tags" in told
    for advice in advised:
        administrator(account, advice)
    assert commands.teardown().code == 0


@pytest.mark.sweep(of="module", part=10)
def test_a_renamed_instance_is_an_administrators_and_keeps_nothing_else_from_going(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    """The policy names the DB instance by the name that it had."""
    assert commands.up().code == 0
    account.rds.modify_db_instance(
        DBInstanceIdentifier=f"{NAME}-database", NewDBInstanceIdentifier="main",
        ApplyImmediately=True,
    )  # fmt: skip
    rehearsal.advance(3600)
    rehearsal.set_policy(printed(commands))
    rename = "--db-instance-identifier main --new-db-instance-identifier"
    changed = commands.up("--set", "database.backup_retention_days=4")
    assert changed.code == 1
    assert (changed.error["step"], changed.error["code"]) == ("db-instance", "AccessDenied")
    assert rename in changed.error["next"]
    ended = commands.teardown()
    assert ended.code == 1
    errors = {e["step"]: e["error"] for e in ended.of("step") if e["action"] == "failed"}
    assert set(errors) == {"db-instance"}, ended.stdout[-1500:]
    assert errors["db-instance"]["operation"] == "DeleteDBInstance"
    for words in (rename, "is billed", f"db:{NAME}-database", "delete-db-instance"):
        assert words in errors["db-instance"]["next"]
    left = account.everything()
    assert [each["DBInstanceIdentifier"] for each in left["DB instances"]] == ["main"]
    for kind in ("proxies", "functions", "APIs", "secrets"):
        assert left[kind] == [], f"{kind} were kept by the instance"
    account.rds.modify_db_instance(
        DBInstanceIdentifier="main", NewDBInstanceIdentifier=f"{NAME}-database",
        ApplyImmediately=True,
    )  # fmt: skip
    rehearsal.advance(3600)
    assert commands.teardown().code == 0


# --- a secret that IAM knows by its bare name -----------------------------------------------------


@pytest.mark.sweep(of="module", part=10)
def test_a_secret_that_may_not_be_described_is_not_taken_for_absent(
    built: Built,
) -> None:
    """Only a secret that is in no list is absent; where the list is denied, nothing is known."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    for denied in (["secretsmanager:DescribeSecret"], ["secretsmanager:*"]):
        deny = {"Effect": "Deny", "Action": denied, "Resource": "*"}
        built.remote.set_policy({"Version": "2012-10-17", "Statement": [everything, deny]})
        try:
            result = built.commands.plan()
        finally:
            built.remote.set_policy(None)
        assert result.code == 1
        assert (result.error["step"], result.error["operation"]) == ("secret", "DescribeSecret")


# --- what is printed ------------------------------------------------------------------------------


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("name", ["a", "rds-proxy-auth", LONGEST])
def test_each_document_fits_into_a_managed_policy(
    commands: Commands, name: str, region: str
) -> None:
    flags = ("--set", f"environment.name={name}", "--region", region)
    for document in printed(commands, *flags):
        assert size(document) <= LIMIT


def test_one_of_several_documents(commands: Commands) -> None:
    documents = printed(commands)
    assert len(documents) > 1
    one_by_one = [
        printed(commands, "--document", str(number + 1)) for number in range(len(documents))
    ]
    assert [each for (each,) in one_by_one] == documents


@pytest.mark.parametrize("number", ["0", "-1", "9"])
def test_a_document_that_is_not_there(commands: Commands, number: str) -> None:
    result = commands.run("provision", "policy", "--output", "json", "--document", number)
    assert result.code == 2
    assert f"--document {number}" in result.error["message"]
    assert "1 to " in result.error["next"]


def test_how_to_attach_them_is_on_stderr(commands: Commands, rehearsal: Remote) -> None:
    result = commands.run("provision", "policy", "--output", "plain")
    json.loads(result.stdout)  # and nothing else
    for number in range(1, len(printed(commands)) + 1):
        assert f"provision policy --document {number} >" in result.stderr
    assert "aws iam create-policy" in result.stderr
    assert "attach-user-policy" in result.stderr
    assert rehearsal.journal() == []
