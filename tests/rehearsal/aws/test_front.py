"""The front: services' own words for errors, the journal, pages, faults, policies, throttling."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from provision.rehearsal import UNWANTED, Behaviours, Fault, Rehearsal
from provision.rehearsal.aws.journal import redacted

from .control_plane import account, frozen, looks, policy, refused, zipped

PLAIN = Behaviours.plain()


def test_every_service_answers_through_one_address() -> None:
    with account(PLAIN) as aws:
        assert aws.ec2.describe_vpcs()["Vpcs"]
        assert aws.rds.describe_db_instances()["DBInstances"] == []
        assert aws.iam.list_roles()["Roles"] == []
        assert aws.lambda_.list_functions()["Functions"] == []
        assert aws.secretsmanager.list_secrets()["SecretList"] == []
        assert aws.apigatewayv2.get_apis()["Items"] == []
        assert aws.logs.describe_log_groups()["logGroups"] == []
        assert aws.sts.get_caller_identity()["Account"] == "123456789012"


def test_the_server_listens_on_loopback_only() -> None:
    with account(PLAIN) as aws:
        assert aws.rehearsal.endpoint_url.startswith("http://127.0.0.1:")


def test_one_connection_carries_many_calls() -> None:
    with account(PLAIN) as aws:
        port = int(aws.rehearsal.endpoint_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for _ in range(2):
                host = f"Host: 127.0.0.1:{port}".encode()
                connection.sendall(b"GET / HTTP/1.1\r\n" + host + b"\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 403")  # it is not signed


def test_a_second_rehearsal_in_the_process_is_refused() -> None:
    with account(PLAIN), pytest.raises(RuntimeError):
        Rehearsal(data_plane=False)
    with account(PLAIN) as aws:
        assert aws.rehearsal.journal == []


def test_each_rehearsal_has_keys_of_its_own() -> None:
    with account(PLAIN) as first:
        old, names = first.rehearsal.key(), first.rehearsal.environ()
        assert first.rehearsal.key() == old != first.rehearsal.key("somebody-else")
        assert old.secret not in repr(old)
        first.sts.get_caller_identity()
    with account(PLAIN) as second:
        assert second.rehearsal.key().id != old.id
        here = second.rehearsal.endpoint_url
        with pytest.MonkeyPatch.context() as patch, refused("InvalidClientTokenId"):
            for name, text in names.items():
                patch.setenv(name, here if "ENDPOINT" in name and "http" in text else text)
            boto3.client("sts").get_caller_identity()


def test_the_rehearsals_own_clients_leave_no_trace() -> None:
    with account(PLAIN) as aws:
        assert aws.rehearsal.client("ec2").describe_vpcs()["Vpcs"]
        assert aws.rehearsal.journal == []
        aws.rehearsal.client("ec2", inside=False).describe_vpcs()
        assert len(aws.rehearsal.journal) == 1


def test_each_rehearsal_starts_empty() -> None:
    with account(PLAIN) as aws:
        aws.logs.create_log_group(logGroupName="left")
    with account(PLAIN) as aws:
        assert aws.logs.describe_log_groups()["logGroups"] == []


def test_a_call_that_neither_moto_nor_the_rehearsal_has_is_a_clear_error() -> None:
    with account(PLAIN) as aws, refused("InvalidAction", match="cannot play"):
        aws.rds.describe_certificates()


def test_an_unsigned_request_is_refused() -> None:
    with account(PLAIN) as aws, pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(aws.rehearsal.endpoint_url, data=b"x")  # noqa: S310


def test_environ_points_a_client_here_whatever_the_user_has_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "theirs")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATHEIRS")
    with account(PLAIN) as aws:
        with aws.rehearsal.applied():
            assert not set(UNWANTED) & set(os.environ)
            boto3.Session().client("ec2").describe_vpcs()
        (entry,) = aws.rehearsal.journal
        assert entry.access_key != "AKIATHEIRS"
        assert os.environ["AWS_PROFILE"] == "theirs"


# Journal


def test_the_journal_tells_reads_from_changes_and_how_they_ended() -> None:
    with account(PLAIN) as aws:
        aws.secretsmanager.get_random_password()
        aws.logs.create_log_group(logGroupName="a")
        with refused("ResourceAlreadyExistsException"):
            aws.logs.create_log_group(logGroupName="a")
        found = [(e.n, e.operation, e.mutating, e.code) for e in aws.rehearsal.journal]
    assert found == [
        (1, "GetRandomPassword", False, None),
        (2, "CreateLogGroup", True, None),
        (3, "CreateLogGroup", True, "ResourceAlreadyExistsException"),
    ]


def test_the_journal_holds_no_secret() -> None:
    with account(PLAIN) as aws:
        aws.secretsmanager.create_secret(Name="a", SecretString="correct-horse")
        aws.rds.create_db_instance(
            DBInstanceIdentifier="a",
            Engine="mysql",
            DBInstanceClass="db.t4g.micro",
            MasterUsername="testdb",
            MasterUserPassword="correct-horse",
        )
        assert "correct-horse" not in str(aws.rehearsal.journal)


def test_redacted_keeps_what_is_not_secret() -> None:
    given = {"Environment": {"Variables": {"DB_PASSWORD": "x", "REGION": "y"}}, "Zip": b"123"}
    assert redacted(given) == {
        "Environment": {"Variables": {"DB_PASSWORD": "<secret>", "REGION": "y"}},
        "Zip": "<3 bytes>",
    }


def test_inside_calls_meet_no_fault_and_leave_no_trace() -> None:
    with account(faults=[Fault("denied", times=99)], policy=policy("none:*")) as aws:
        assert aws.rehearsal.client("ec2").describe_vpcs()["Vpcs"]
        assert aws.rehearsal.journal == []


# Pages


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_list_of_more_than_a_page_needs_a_paginator(size: int) -> None:
    with account(frozen(paging=True, page_size=size)) as aws:
        for n in range(3):
            aws.logs.create_log_group(logGroupName=f"group-{n}")
        first = aws.logs.describe_log_groups()
        pages = list(aws.logs.get_paginator("describe_log_groups").paginate())
    assert len(first["logGroups"]) == size
    assert ("nextToken" in first) == (size < 3)
    names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    assert names == ["group-0", "group-1", "group-2"]


def test_pages_use_each_services_own_tokens() -> None:
    with account(frozen(paging=True, page_size=1)) as aws:
        for name in ("one", "two"):
            aws.role(name, "lambda.amazonaws.com")
            aws.secretsmanager.create_secret(Name=name, SecretString="x")
            aws.apigatewayv2.create_api(Name=name, ProtocolType="HTTP")
            aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
            aws.lambda_.publish_layer_version(LayerName=name, Content={"ZipFile": zipped()})
        assert aws.iam.list_roles()["IsTruncated"] is True
        assert aws.iam.list_roles()["Marker"]
        assert aws.secretsmanager.list_secrets()["NextToken"]
        assert aws.apigatewayv2.get_apis()["NextToken"]
        assert aws.ec2.describe_vpcs()["NextToken"]
        assert aws.lambda_.list_layers()["NextMarker"]


def test_ec2_does_not_page_what_is_asked_for_by_id() -> None:
    with account(frozen(paging=True, page_size=1)) as aws:
        ids = [aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(3)]
        assert len(aws.ec2.describe_vpcs(VpcIds=ids)["Vpcs"]) == 3


def test_a_made_up_page_token_is_refused() -> None:
    with account(frozen(paging=True)) as aws, refused("InvalidParameterValue"):
        aws.ec2.describe_vpcs(NextToken="nonsense")


# Faults


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", "describe_vpcs", "RequestLimitExceeded"),
        ("rds", "describe_db_instances", "Throttling"),
        ("iam", "list_roles", "Throttling"),
        ("secretsmanager", "list_secrets", "ThrottlingException"),
        ("logs", "describe_log_groups", "ThrottlingException"),
        ("lambda_", "list_functions", "TooManyRequestsException"),
        ("apigatewayv2", "get_apis", "TooManyRequestsException"),
    ],
)
def test_throttled_in_the_services_own_words(service: str, call: str, code: str) -> None:
    with account(faults=[Fault("throttle")]) as aws:
        with refused(code):
            getattr(getattr(aws, service), call)()
        getattr(getattr(aws, service), call)()


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", "describe_vpcs", "UnauthorizedOperation"),
        ("rds", "describe_db_instances", "AccessDenied"),
        ("iam", "list_roles", "AccessDenied"),
        ("secretsmanager", "list_secrets", "AccessDeniedException"),
        ("lambda_", "list_functions", "AccessDeniedException"),
        ("apigatewayv2", "get_apis", "AccessDeniedException"),
    ],
)
def test_denied_in_the_services_own_words(service: str, call: str, code: str) -> None:
    with account(policy=policy("none:None")) as aws, refused(code, match="not authorized"):
        getattr(getattr(aws, service), call)()


def test_expired_credentials() -> None:
    with account(faults=[Fault("expired", times=3)]) as aws:
        with refused("ExpiredToken"):
            aws.sts.get_caller_identity()
        with refused("RequestExpired"):
            aws.ec2.describe_vpcs()
        with refused("ExpiredTokenException"):
            aws.lambda_.list_functions()


def test_a_lost_answer_has_taken_effect() -> None:
    with account(faults=[Fault("lost", "CreateVpc")]) as aws:
        before = len(aws.ec2.describe_vpcs()["Vpcs"])
        with pytest.raises(ConnectionClosedError):
            aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
        assert len(aws.ec2.describe_vpcs()["Vpcs"]) == before + 1
        assert [e.fault for e in aws.calls(operation="CreateVpc")] == ["lost"]


def test_a_cut_connection_has_not() -> None:
    with account(faults=[Fault("cut", "ec2:CreateVpc")]) as aws:
        before = len(aws.ec2.describe_vpcs()["Vpcs"])
        with pytest.raises(ConnectionClosedError):
            aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
        assert len(aws.ec2.describe_vpcs()["Vpcs"]) == before


def test_a_fault_hits_the_nth_matching_call_and_as_many_as_it_says() -> None:
    fault = Fault("error500", mutating_only=True, nth=2, times=2)
    with account(faults=[fault]) as aws:
        outcomes = []
        for n in range(5):
            aws.logs.describe_log_groups()
            try:
                aws.logs.create_log_group(logGroupName=f"group-{n}")
                outcomes.append("")
            except ClientError as error:
                outcomes.append(error.response["Error"]["Code"])
    assert outcomes == ["", "InternalFailure", "InternalFailure", "", ""]


@pytest.mark.parametrize(("kind", "made"), [("kill-before", 0), ("kill-after", 1)])
def test_the_victim_is_killed_before_or_after_the_call_took_effect(kind: str, made: int) -> None:
    code = (
        "import boto3; logs = boto3.client('logs'); "
        "logs.create_log_group(logGroupName='a'); print('survived')"
    )
    with account(PLAIN) as aws:
        env = {"PATH": os.environ["PATH"], **aws.rehearsal.environ()}
        victim = subprocess.Popen(
            [sys.executable, "-c", "input(); " + code],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        kill = Fault(kind, "CreateLogGroup")  # type: ignore[arg-type]
        aws.rehearsal.faults.processes.register(victim.pid)
        aws.rehearsal.faults.set([kill], victim=victim.pid)
        output, _ = victim.communicate(b"\n", timeout=60)
        assert (victim.returncode, output) == (-9, b"")
        assert len(aws.logs.describe_log_groups()["logGroups"]) == made


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        Fault("sleep")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count from 1"):
        Fault("cut", nth=0)


# Throttling


def test_a_burst_empties_the_bucket_and_time_fills_it() -> None:
    with account(frozen(throttling=True)) as aws:
        for _ in range(40):
            aws.apigatewayv2.get_apis()
        with refused("TooManyRequestsException"):
            aws.apigatewayv2.get_apis()
        aws.pass_time(0.1)
        aws.apigatewayv2.get_apis()
        with refused("TooManyRequestsException"):
            aws.apigatewayv2.get_apis()


def test_services_have_buckets_of_their_own() -> None:
    with account(frozen(throttling=True)) as aws:
        for _ in range(10):
            aws.logs.describe_log_groups()
        with refused("ThrottlingException"):
            aws.logs.describe_log_groups()
        aws.ec2.describe_vpcs()


# Eventual consistency


def test_a_new_vpc_is_missed_at_first() -> None:
    with account(frozen(consistency=True)) as aws:
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        with refused("InvalidVpcID.NotFound"):
            aws.ec2.describe_vpcs(VpcIds=[vpc])
        listed = aws.ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
        assert listed["Vpcs"] == []
        aws.pass_time(3)
        assert aws.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]


def test_a_new_id_is_missed_by_the_first_look_however_late_but_not_for_ever() -> None:
    with account(frozen(consistency=True)) as aws:
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        aws.pass_time(10)
        make = {"VpcId": vpc, "GroupName": "a", "Description": "a"}
        assert looks(lambda: aws.ec2.create_security_group(**make)) == ["InvalidVpcID.NotFound"]
        other = aws.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        aws.pass_time(61)
        assert aws.ec2.describe_vpcs(VpcIds=[other])["Vpcs"]


def test_without_consistency_a_new_id_is_seen_at_once() -> None:
    with account() as aws:
        vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        assert aws.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]


# Policies


def test_a_policy_allows_what_it_names_and_nothing_else() -> None:
    with account(policy=policy("logs:CreateLogGroup")) as aws:
        aws.logs.create_log_group(logGroupName="a")
        with refused("AccessDeniedException", match="logs:TagResource"):
            aws.logs.create_log_group(logGroupName="b", tags={"a": "b"})
        with refused("AccessDeniedException", match="logs:DescribeLogGroups"):
            aws.logs.describe_log_groups()
        aws.sts.get_caller_identity()
        aws.rehearsal.policy = None
        assert len(aws.logs.describe_log_groups()["logGroups"]) == 1


def test_a_policy_is_asked_for_http_apis_by_verb_and_path() -> None:
    path = "arn:aws:apigateway:ap-northeast-1::/apis"
    with account(policy=policy("apigateway:POST", resource=path)) as aws:
        api = aws.apigatewayv2.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
        with refused("AccessDeniedException", match=f"POST on resource: {path}/{api}/stages"):
            aws.apigatewayv2.create_stage(ApiId=api, StageName="$default")
        with refused("AccessDeniedException", match="apigateway:GET"):
            aws.apigatewayv2.get_apis()


def test_a_policy_beyond_the_evaluator_is_an_error_not_a_guess() -> None:
    strange = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "NotAction": "iam:*"}}
    with account(policy=strange) as aws, refused("InternalFailure", match="NotAction"):
        aws.ec2.describe_vpcs()


# Many at once


def test_calls_from_many_threads_do_not_disturb_each_other() -> None:
    with account(PLAIN) as aws:
        logs = aws.logs
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: logs.create_log_group(logGroupName=f"g-{n}"), range(40)))
        assert len(logs.describe_log_groups()["logGroups"]) == 40
        assert [e.n for e in aws.rehearsal.journal] == list(range(1, 42))


def test_latency_is_added_to_every_answer() -> None:
    with account(Behaviours(latency_seconds=0.05)) as aws:
        start = time.monotonic()
        aws.logs.describe_log_groups()
        assert time.monotonic() - start >= 0.05


def test_manners_can_change_on_the_way() -> None:
    with account(frozen(paging=True, page_size=1)) as aws:
        aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
        assert len(aws.ec2.describe_vpcs()["Vpcs"]) == 1
        aws.rehearsal.set_manners(paging=False)
        assert len(aws.ec2.describe_vpcs()["Vpcs"]) == 2
        with pytest.raises(TypeError):
            aws.rehearsal.set_manners(politeness=True)


def test_reset_empties_the_account_and_the_journal() -> None:
    with account(PLAIN, policy=policy("logs:*")) as aws:
        aws.logs.create_log_group(logGroupName="a")
        aws.rehearsal.reset()
        assert aws.rehearsal.journal == []
        assert aws.ec2.describe_vpcs()["Vpcs"]
        assert aws.logs.describe_log_groups()["logGroups"] == []
