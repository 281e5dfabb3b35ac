"""Rules that change AWS's answers, given in-process and in a file; and somebody else's calls."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provision.rehearsal import SOMEBODY_ELSE, Behaviours, Fault, Override

from .control_plane import account, frozen, policy, refused

PLAIN = Behaviours.plain()


def test_a_refusal_in_the_words_of_the_rule_and_nothing_done() -> None:
    with account(PLAIN) as aws:
        rule = Override("ec2:CreateVpc", code="VpcLimitExceeded", message="The maximum number")
        aws.rehearsal.overrides.set([rule])
        before = len(aws.ec2.describe_vpcs()["Vpcs"])
        with refused("VpcLimitExceeded", match="The maximum number"):
            aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
        assert len(aws.ec2.describe_vpcs()["Vpcs"]) == before
        assert aws.calls(operation="CreateVpc")[0].code == "VpcLimitExceeded"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "status"),
    [
        ("ec2", "describe_vpcs", {}, 503),
        ("iam", "list_roles", {}, 409),
        ("lambda_", "list_functions", {}, 429),
        ("logs", "describe_log_groups", {}, 500),
        ("sts", "get_caller_identity", {}, 403),
    ],
)
def test_code_and_status_arrive_whatever_the_service_speaks(
    service: str, operation: str, parameters: dict[str, Any], status: int
) -> None:
    with account(PLAIN) as aws:
        aws.rehearsal.overrides.set([Override(code="SomethingNew", status=status)])
        with refused("SomethingNew") as caught:
            getattr(getattr(aws, service), operation)(**parameters)
        response = caught.value.response["ResponseMetadata"]
        assert response["HTTPStatusCode"] == status


def test_a_status_left_out_is_that_of_the_model() -> None:
    with account(PLAIN) as aws:
        aws.rehearsal.overrides.set([Override("rds:*", code="DBInstanceNotFound")])
        with refused("DBInstanceNotFound") as caught:
            aws.rds.describe_db_instances()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_nth_and_times_count_the_calls_that_match() -> None:
    with account(PLAIN) as aws:
        rule = Override("DescribeLogGroups", nth=2, times=2, code="ThrottlingException")
        aws.rehearsal.overrides.set([rule])
        codes = []
        for _ in range(5):
            aws.logs.describe_metric_filters()  # does not match, does not count
            try:
                aws.logs.describe_log_groups()
                codes.append("")
            except aws.logs.exceptions.ClientError as error:
                codes.append(error.response["Error"]["Code"])
        assert codes == ["", "ThrottlingException", "ThrottlingException", "", ""]


@pytest.mark.parametrize("when", ["wanted", {"logGroupName": "w*"}])
def test_only_calls_with_these_parameters(when: Any) -> None:
    with account(PLAIN) as aws:
        aws.rehearsal.overrides.set([Override("logs:*", when=when, code="LimitExceededException")])
        aws.logs.create_log_group(logGroupName="other")
        with refused("LimitExceededException"):
            aws.logs.create_log_group(logGroupName="wanted")


def test_members_are_dropped_and_set_also_deep_within() -> None:
    with account(frozen()) as aws:
        aws.ec2.create_vpc(
            CidrBlock="10.0.0.0/16",
            TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "blue"}]}],
        )
        aws.rehearsal.overrides.set(
            [
                Override("ec2:DescribeVpcs", drop=("Tags",)),
                Override(
                    "ec2:DescribeVpcs",
                    within={"CidrBlock": "10.*", "VpcId": "vpc-*"},
                    set={"State": "pending"},
                ),
            ]
        )
        found = {each["CidrBlock"]: each for each in aws.ec2.describe_vpcs()["Vpcs"]}
        assert found["10.0.0.0/16"]["State"] == "pending"
        assert found["172.31.0.0/16"]["State"] == "available"
        assert not any("Tags" in each for each in found.values())


def test_without_within_a_member_is_set_at_the_top_of_the_answer() -> None:
    with account(PLAIN) as aws:
        aws.rehearsal.overrides.set([Override("sts:*", set={"Account": "999999999999"})])
        assert aws.sts.get_caller_identity()["Account"] == "999999999999"


def test_somebody_else_sees_what_is_true_and_may_do_everything() -> None:
    with account(PLAIN) as aws:
        aws.rehearsal.policy = policy("logs:Describe*")
        aws.rehearsal.faults.add(Fault("error500", times=100))
        aws.rehearsal.overrides.set([Override("logs:*", code="SomethingNew")])
        logs = aws.rehearsal.somebody_else("logs")
        logs.create_log_group(logGroupName="theirs")
        (group,) = logs.describe_log_groups()["logGroups"]
        assert group["logGroupName"] == "theirs"
        with refused("InternalFailure"):  # ours meets the fault
            aws.logs.create_log_group(logGroupName="ours")
        assert [e.access_key for e in aws.calls(code=None)] == [
            aws.rehearsal.key(SOMEBODY_ELSE).id
        ] * 2


@pytest.mark.parametrize(
    "rule",
    [
        {"operation": "*"},
        {"code": "A", "drop": ["B"]},
        {"code": "A", "nth": 0},
        {"code": "A", "times": 0},
        {"op": "*", "code": "A"},
        "code",
    ],
)
def test_what_is_no_rule_is_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"override|count from 1"):
        Override.from_plain(rule)


def test_a_rule_survives_its_way_through_json() -> None:
    rule = Override("ec2:*", when={"VpcId": "v*"}, drop=("Tags",), within="VpcId", times=3)
    assert Override.from_plain(json.loads(json.dumps(dataclasses.asdict(rule)))) == rule


def rewrite(path: Path, rules: Any) -> None:
    """Write the rules so that the file's time differs from before, however coarse it is."""
    path.write_text(json.dumps(rules) if not isinstance(rules, str) else rules)
    os.utime(path, ns=(time.time_ns(), time.time_ns()))


def test_a_file_of_rules_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text("")
    with account(PLAIN, overrides=path) as aws:
        aws.logs.describe_log_groups()
        rewrite(path, [{"operation": "logs:*", "code": "SomethingNew"}])
        with refused("SomethingNew"):
            aws.logs.describe_log_groups()
        rewrite(path, "[{]")
        with refused("InternalFailure", match=r"rules\.json"):
            aws.logs.describe_log_groups()
        rewrite(path, [])
        aws.logs.describe_log_groups()


@pytest.mark.slow
def test_from_a_shell_with_nothing_but_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('[{"operation": "logs:*", "code": "SomethingNew"}]')
    command = "-m provision.rehearsal --no-data-plane --plain --shell --overrides"
    script = f"""
        {sys.executable} {command} {path} > {tmp_path}/address < /dev/null & server=$!
        until [ -s {tmp_path}/address ]; do sleep 0.05; done
        . {tmp_path}/address
        {sys.executable} -c '
import boto3; boto3.client("logs").describe_log_groups()' 2>&1 | tail -1
        AWS_ACCESS_KEY_ID=$SOMEBODY_ELSE AWS_SECRET_ACCESS_KEY=$SOMEBODY_ELSE_SECRET \\
        {sys.executable} -c '
import boto3; print(boto3.client("logs").describe_log_groups()["logGroups"])'
        kill $server; wait $server; echo "exit $?"
    """
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"PATH": os.environ["PATH"], "AWS_PROFILE": "theirs"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    refused_line, seen, ended = done.stdout.splitlines()
    assert "SomethingNew" in refused_line
    assert (seen, ended) == ("[]", "exit 0")


@pytest.mark.slow
def test_a_file_that_cannot_be_read_ends_it_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "provision.rehearsal", "--overrides", tmp_path / "none.json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "none.json" in done.stderr


def test_the_rules_of_a_rehearsal_end_with_reset() -> None:
    with account(PLAIN) as aws:
        aws.rehearsal.overrides.set([Override(code="SomethingNew")])
        aws.rehearsal.reset()
        assert aws.logs.describe_log_groups()["logGroups"] == []
