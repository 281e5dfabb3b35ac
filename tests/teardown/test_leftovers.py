"""The check of what is left, answer by answer: each kind, ours and others', and what is told."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from provision.config import Config, EnvironmentSettings
from provision.context import Run
from provision.environment import environment
from provision.errors import LeftBehind, ProvisionError
from provision.resources.base import Seen
from provision.views.style import parts_of
from teardown.leftovers import COPY, SWEEPS, Leftover, Search, check_nothing_left
from tests.support.answers import AnsweringAws, Answers, refusal, to
from tests.support.names import REGION

NAME = "demo"
CONFIG = Config(EnvironmentSettings(name=NAME, region=REGION))
TEMPLATE = environment(CONFIG, packed=False)
OURS = {"provision:environment": NAME, "provision:step": "x"}
THEIRS = {"provision:environment": f"{NAME}-2", "team": "blue"}
BY_TAG = [{"Name": "tag:provision:environment", "Values": [NAME]}]
WHEN = datetime.datetime(2026, 11, 26, 8, tzinfo=datetime.UTC)
SINCE = "2026-11-26T08:00:00+00:00"
DENIED = refusal("AccessDenied", "ListTagsForResource")
UNREADABLE = "its tags cannot be read: ListTagsForResource answered AccessDenied: no"

INSTANCE = TEMPLATE.db_instance.name
GROUP = TEMPLATE.db_subnet_group.name
PROXY = TEMPLATE.proxies["iam"].name
FUNCTION = TEMPLATE.functions["iam"].name
LAYER = TEMPLATE.layer.name
ROLE = TEMPLATE.proxy_role.name
LOGS = TEMPLATE.function_logs["iam"].name

NOTHING: Answers = {
    "iam.get_role": refusal("NoSuchEntity"),
    "lambda.get_function": refusal("ResourceNotFoundException"),
    "lambda.list_layer_versions": refusal("ResourceNotFoundException"),
    "logs.list_tags_for_resource": refusal("ResourceNotFoundException"),
}


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def left(kind: str, answers: Answers, **deleted: str) -> list[Leftover]:
    """What the check of one kind finds, where a run knew and deleted these ids by step."""
    with contextlib.closing(AnsweringAws(NAME, answers)) as aws:
        return list(SWEEPS[kind](Search(aws, NAME, TEMPLATE, deleted)))


# --- network --------------------------------------------------------------------------------------

VPC = {"VpcId": "vpc-1"}
VPCS = {"ec2.describe_vpcs": to({"Vpcs": [{"VpcId": "vpc-9"}, VPC]}, Filters=BY_TAG)}
IN_VPC: dict[str, tuple[str, Answers]] = {
    "VPCs": ("VPC vpc-1", {"ec2.describe_vpcs": to({"Vpcs": [VPC]}, Filters=BY_TAG)}),
    "subnets": (
        "subnet subnet-1",
        {"ec2.describe_subnets": to({"Subnets": [VPC | {"SubnetId": "subnet-1"}]}, Filters=BY_TAG)},
    ),
    "security groups": (
        "security group sg-1",
        {
            "ec2.describe_security_groups": to(
                {"SecurityGroups": [VPC | {"GroupId": "sg-1"}]}, Filters=BY_TAG
            )
        },
    ),
}


@pytest.mark.parametrize("kind", IN_VPC)
def test_what_is_in_a_vpc_is_ours_by_its_tag_unless_we_knew_another_vpc(kind: str) -> None:
    name, answers = IN_VPC[kind]
    for known in ({}, {"vpc": "vpc-1"}, {"api": "another"}):
        (found,) = left(kind, answers, **known)
        assert f"{found.kind} {found.identity}" == name
        assert (found.why, found.foreign) == ("", False)
    (found,) = left(kind, answers, vpc="vpc-0")
    assert f"{found.kind} {found.identity}" == name
    assert (found.why, found.foreign) == (COPY, True)


def test_an_interface_is_ours_by_the_vpc_that_it_is_in() -> None:
    def described(Filters: Any) -> Any:  # noqa: N803 - as EC2 names it
        ((vpc,),) = (each["Values"] for each in Filters if each["Name"] == "vpc-id")
        about = {"NetworkInterfaceId": f"eni-in-{vpc}", "Status": "in-use"}
        return {"NetworkInterfaces": [about | {"Description": "AWS Lambda"}, about]}

    answers = VPCS | {"ec2.describe_network_interfaces": described}
    ours = [
        Leftover("network interface", "eni-in-vpc-1", "in-use: AWS Lambda"),
        Leftover("network interface", "eni-in-vpc-1", "in-use: "),
    ]
    assert left("network interfaces", answers, vpc="vpc-1") == ours
    assert left("network interfaces", answers)[2:] == ours


# --- database -------------------------------------------------------------------------------------


def instance(name: str, tags: Mapping[str, str] | None) -> dict[str, Any]:
    about = {"DBInstanceIdentifier": name, "DBInstanceStatus": "deleting", "DBInstanceArn": "arn"}
    return about if tags is None else about | {"TagList": listed(tags)}


def test_a_db_instance_is_ours_by_its_tag_under_any_name() -> None:
    there = [instance("renamed", OURS), instance(INSTANCE, THEIRS), instance("bare", {})]
    answers = {"rds.describe_db_instances": {"DBInstances": there}}
    assert left("DB instances", answers) == [Leftover("DB instance", "renamed", "deleting")]


def test_a_db_instance_whose_tags_cannot_be_read_may_be_ours_under_our_name() -> None:
    there = [instance("another", None), instance(INSTANCE, None)]
    answers = {
        "rds.describe_db_instances": {"DBInstances": there},
        "rds.list_tags_for_resource": DENIED,
    }
    assert left("DB instances", answers) == [Leftover("DB instance", INSTANCE, UNREADABLE)]


def proxies(tags: Any) -> Answers:
    there = {"DBProxyName": PROXY, "DBProxyArn": "arn", "Status": "deleting"}
    return {
        "rds.describe_db_proxies": {"DBProxies": [there]},
        "rds.list_tags_for_resource": tags,
    }


def subnet_groups(tags: Any) -> Answers:
    there = [{"DBSubnetGroupName": n, "DBSubnetGroupArn": "arn"} for n in ("another", GROUP)]
    return {
        "rds.describe_db_subnet_groups": {"DBSubnetGroups": there},
        "rds.list_tags_for_resource": tags,
    }


def test_a_proxy_and_a_subnet_group_are_ours_by_name_and_tag() -> None:
    ours, theirs = ({"TagList": listed(tags)} for tags in (OURS, THEIRS))
    assert left("RDS Proxies", proxies(ours)) == [Leftover("RDS Proxy", PROXY, "deleting")]
    assert left("DB subnet groups", subnet_groups(ours)) == [Leftover("DB subnet group", GROUP)]
    assert left("RDS Proxies", proxies(DENIED)) == [Leftover("RDS Proxy", PROXY, UNREADABLE)]
    unreadable = [Leftover("DB subnet group", GROUP, UNREADABLE)]
    assert left("DB subnet groups", subnet_groups(DENIED)) == unreadable
    nothing: tuple[Any, ...] = (theirs, {"TagList": []}, refusal("DBProxyNotFoundFault"))
    for tags in nothing:
        assert left("RDS Proxies", proxies(tags)) == []
        assert left("DB subnet groups", subnet_groups(tags)) == []


def snapshot(**more: Any) -> Answers:
    about = {
        "DBSnapshotIdentifier": "before",
        "DBSnapshotArn": "arn:before",
        "Status": "available",
        "SnapshotType": "manual",
        "SnapshotCreateTime": WHEN,
        "TagList": listed(OURS),
    }
    given = {key: value for key, value in (about | more).items() if value is not None}
    answer = {"DBSnapshots": [given]}
    return {"rds.describe_db_snapshots": to(answer, DBInstanceIdentifier=INSTANCE)}


def test_a_snapshot_says_what_deletes_and_what_keeps_it() -> None:
    (found,) = left("snapshots", snapshot())
    assert (found.kind, found.identity, found.since) == ("DB snapshot", "before", SINCE)
    assert found.why == (
        "available, taken by hand (it costs storage). "
        "To delete it: aws rds delete-db-snapshot --db-snapshot-identifier before; "
        "to keep it: aws rds remove-tags-from-resource --resource-name arn:before "
        "--tag-keys provision:environment"
    )
    unfinished = snapshot(SnapshotType="automated", Status=None, SnapshotCreateTime=None)
    assert left("snapshots", unfinished) == [Leftover("DB snapshot", "before")]
    (found,) = left("snapshots", snapshot(SnapshotType="automated"))
    assert found.why == "available"
    for tags in (listed(THEIRS), [], None):
        assert left("snapshots", snapshot(TagList=tags)) == []


def test_a_retained_backup_is_ours_unless_its_tags_say_another() -> None:
    def backups(status: str, tags: Any) -> Answers:
        about = {"DbiResourceId": "db-1", "Status": status, "TagList": tags}
        answer = {"DBInstanceAutomatedBackups": [about]}
        operation = "rds.describe_db_instance_automated_backups"
        return {operation: to(answer, DBInstanceIdentifier=INSTANCE)}

    retained = [Leftover("automated backup", "db-1", "retained")]
    for tags in (listed(OURS), [], None):
        assert left("automated backups", backups("retained", tags)) == retained
        assert left("automated backups", backups("active", tags)) == []
    assert left("automated backups", backups("retained", listed(THEIRS))) == []
    for code in ("DBInstanceAutomatedBackupNotFound", "AccessDenied"):
        answers = {"rds.describe_db_instance_automated_backups": refusal(code)}
        denied = pytest.raises(ClientError) if code == "AccessDenied" else contextlib.nullcontext()
        with denied:
            assert left("automated backups", answers) == []


# --- secret, roles, functions, API, logs ----------------------------------------------------------


def test_a_secret_is_ours_by_its_tag_also_while_it_waits_for_its_deletion() -> None:
    there = [
        {"Name": "theirs", "Tags": listed(THEIRS)},
        {"Name": "bare"},
        {"Name": "new", "Tags": listed(OURS)},
        {"Name": "old", "Tags": listed(OURS), "DeletedDate": WHEN},
    ]
    answers = {
        "secretsmanager.list_secrets": to({"SecretList": there}, IncludePlannedDeletion=True)
    }
    assert left("secrets", answers) == [
        Leftover("secret", "new"),
        Leftover("secret", "old", "scheduled for deletion", SINCE),
    ]


def test_a_role_is_ours_by_name_and_tag() -> None:
    def roles(tags: Any) -> Answers:
        def got(RoleName: str) -> Any:  # noqa: N803 - as IAM names it
            if RoleName != ROLE:
                return refusal("NoSuchEntity")
            return tags if isinstance(tags, Exception) else {"Role": {"Tags": tags}}

        return {"iam.get_role": got}

    assert left("roles", roles(listed(OURS))) == [Leftover("role", ROLE)]
    assert left("roles", roles(listed(THEIRS))) == []
    assert left("roles", roles(None)) == []
    with pytest.raises(ClientError, match="AccessDenied"):
        left("roles", roles(refusal("AccessDenied")))


def test_a_function_is_ours_by_name_and_tag() -> None:
    def functions(**more: Any) -> Answers:
        def got(FunctionName: str) -> Any:  # noqa: N803 - as Lambda names it
            if FunctionName != FUNCTION:
                return refusal("ResourceNotFoundException")
            return {"Configuration": {"FunctionArn": "arn", "State": "Active"}} | more

        return {"lambda.get_function": got}

    assert left("functions", functions(Tags=OURS)) == [Leftover("function", FUNCTION, "Active")]
    assert left("functions", functions(Tags=THEIRS)) == []
    assert left("functions", functions()) == []
    (found,) = left("functions", functions(TagsError={"ErrorCode": "Denied", "Message": "no"}))
    assert found.why == "its tags cannot be read: ListTags answered Denied: no"
    (found,) = left("functions", functions(Tags=OURS, Configuration={}))
    assert found.why == ""
    with pytest.raises(ClientError, match="AccessDenied"):
        left("functions", {"lambda.get_function": refusal("AccessDenied")})


def test_a_layer_version_is_ours_by_its_description() -> None:
    there = [
        {"Version": number, "CreatedDate": SINCE, **about}
        for number, about in enumerate(
            (
                {"Description": f"provision:environment={NAME} sha256=x"},
                {"Description": f"provision:environment={NAME}-2 sha256=x"},
                {"Description": f"not provision:environment={NAME} "},
                {},
            )
        )
    ]
    answers = {"lambda.list_layer_versions": to({"LayerVersions": there}, LayerName=LAYER)}
    assert left("layer versions", answers) == [Leftover("layer version", f"{LAYER}:0", "", SINCE)]


def test_an_api_is_ours_by_its_tag_unless_we_knew_another() -> None:
    there = [{"ApiId": "a1", "Tags": OURS}, {"ApiId": "a2", "Tags": THEIRS}, {"ApiId": "a3"}]
    answers = {"apigatewayv2.get_apis": {"Items": there}}
    for known in ({}, {"api": "a1"}, {"vpc": "another"}):
        assert left("HTTP APIs", answers, **known) == [Leftover("HTTP API", "a1")]
    assert left("HTTP APIs", answers, api="a0") == [Leftover("HTTP API", "a1", COPY, foreign=True)]


def log_groups(tags: Any, writer: Any = refusal("ResourceNotFoundException")) -> Answers:  # noqa: B008
    def described(logGroupNamePrefix: str) -> Any:  # noqa: N803 - as CloudWatch Logs names it
        return {"logGroups": [{"logGroupName": LOGS}] if logGroupNamePrefix == LOGS else []}

    return {
        "logs.describe_log_groups": described,
        "logs.list_tags_for_resource": tags,
        "lambda.get_function": writer,
    }


def test_a_log_group_is_ours_by_its_tag_or_may_be_where_it_has_none() -> None:
    (found,) = left("log groups", log_groups({"tags": OURS}))
    assert found == Leftover("log group", LOGS)
    (found,) = left("log groups", log_groups(refusal("AccessDenied", "ListTagsForResource")))
    assert found == Leftover("log group", LOGS, UNREADABLE)
    assert left("log groups", log_groups({"tags": THEIRS})) == []
    for writer in (refusal("ResourceNotFoundException"), {"Tags": OURS}, refusal("AccessDenied")):
        (found,) = left("log groups", log_groups({"tags": {}}, writer))
        assert (found.kind, found.identity) == ("log group", LOGS)
        assert found.why.startswith("it has no tags: AWS may have created it")
        assert f"aws logs delete-log-group --log-group-name {LOGS}" in found.why
    assert left("log groups", log_groups({"tags": {}}, {"Tags": THEIRS})) == []


@pytest.mark.parametrize("kind", SWEEPS)
def test_where_nothing_is_nothing_is_found(kind: str) -> None:
    assert left(kind, NOTHING) == []


# --- what is told ---------------------------------------------------------------------------------


class Told:
    """Keeps what a person and a program are told."""

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.notes: list[str] = []
        self.tables: list[tuple[str, Sequence[str], Sequence[tuple[str, str, str]]]] = []

    def record(self, event: str, **values: Any) -> None:
        self.records.append((event, values))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def table(self, title: str, columns: Any, rows: Any) -> None:
        self.tables.append((title, columns, rows))

    @property
    def left(self) -> dict[str, list[dict[str, Any]]]:
        """What is left, by kind."""
        events = [values for event, values in self.records if event == "left"]
        return {values["kind"]: values["left"] for values in events if values["left"]}


def checked(
    answers: Answers,
    told: Told,
    seen: Mapping[str, Seen | None] | None = None,
    *,
    kept: str = "",
) -> list[Leftover]:
    """Run the whole check of a run that found `seen` at its beginning."""
    with contextlib.closing(AnsweringAws(NAME, {**NOTHING, **answers})) as aws:
        run = SimpleNamespace(template=TEMPLATE, aws=aws, config=CONFIG, output=told)
        return check_nothing_left(cast("Run", run), seen or {}, kept_snapshot=kept)


def test_of_nothing_a_person_is_told_in_a_line_and_a_program_by_kind() -> None:
    told = Told()
    assert checked({}, told) == []
    ((title, *rest),) = told.tables
    assert title.endswith("nothing is left at AWS (15 kinds of resource searched)")
    assert rest == [(), ()]
    assert told.records == [("left", {"kind": kind, "left": []}) for kind in SWEEPS]
    assert told.notes == []
    told = Told(verbose=True)
    assert checked({}, told) == []
    rows = [(kind, "0", "") for kind in SWEEPS]
    assert told.tables == [("left at AWS:", ("kind", "left", ""), rows)]


def test_what_is_left_is_an_error_that_names_all_of_it() -> None:
    tags = {"Tags": listed(OURS)}
    one, two = {"Name": "one", **tags}, {"Name": "two", "DeletedDate": WHEN, **tags}
    there = {"SecretList": [one, two]}
    told = Told()
    with pytest.raises(LeftBehind) as ended:
        checked({**VPCS, "secretsmanager.list_secrets": there}, told)
    assert ended.value.message == "4 left at AWS: secret one, secret two, VPC vpc-9, VPC vpc-1"
    assert "python -m teardown" in ended.value.next_step
    ((_, _, rows),) = told.tables
    assert [row for row in rows if row[1] != "0"] == [
        ("secrets", "2", f"one; two scheduled for deletion since {SINCE}"),
        ("VPCs", "2", "vpc-9; vpc-1"),
    ]
    links = [part.url for part in parts_of(rows[-1][2]) if part.url]
    assert [link.rpartition("=")[2] for link in links] == ["vpc-9", "vpc-1"]
    assert {kind: len(those) for kind, those in told.left.items()} == {"secrets": 2, "VPCs": 2}
    first = {"kind": "secret", "identity": "one", "why": "", "since": "", "foreign": False}
    assert told.left["secrets"][0] == first


def test_a_copy_is_told_and_left_alone() -> None:
    told = Told()
    seen = {"vpc": Seen({"id": "vpc-1"}, {}), "api": None, "subnet-function": Seen({}, {})}
    with pytest.raises(LeftBehind, match=r"^1 left at AWS: VPC vpc-1$"):
        checked(VPCS, told, seen)
    message = f"the VPC vpc-9: {COPY}"
    passed_over = {"kind": "VPC", "id": "vpc-9", "message": message}
    assert told.records[0] == ("passed-over", passed_over)
    assert told.notes == [f"left alone: {message}"]
    told = Told()
    assert checked(IN_VPC["VPCs"][1], told, {"vpc": Seen({"id": "vpc-0"}, {})}) == []
    assert told.tables[0][0] == "left at AWS:"


def test_the_snapshot_that_was_asked_for_is_kept_whatever_its_case_and_nothing_else() -> None:
    told = Told()
    kept = checked(snapshot(), told, kept="BeFore")
    assert [each.identity for each in kept] == ["before"]
    assert told.left == {}
    with pytest.raises(LeftBehind, match="DB snapshot before"):
        checked(snapshot(), Told(), kept="another")
    same = {"SecretList": [{"Name": "before", "Tags": listed(OURS)}]}
    with pytest.raises(LeftBehind, match=r"^1 left at AWS: secret before$"):
        checked({**snapshot(), "secretsmanager.list_secrets": same}, Told(), kept="before")


def test_a_check_that_aws_refuses_is_an_error_of_ours() -> None:
    answers = {"rds.describe_db_instances": refusal("AccessDenied", "DescribeDBInstances")}
    with pytest.raises(ProvisionError, match="leftovers: DescribeDBInstances") as told:
        checked(answers, Told())
    assert not isinstance(told.value, LeftBehind)
