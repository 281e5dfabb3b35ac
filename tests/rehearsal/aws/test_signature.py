"""Who may speak to a rehearsed AWS: only who has one of its keys, and signs with it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlencode, urlsplit

import boto3
import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from provision.rehearsal import AccessKey, Behaviours, environ
from provision.rehearsal.aws.signature import check_signature, read_signature
from provision.rehearsal.http_server import Request
from tests.support.names import REGION

from .control_plane import ONCE, PlayedAccount, account, policy, refused, trust

IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def aws() -> Iterator[PlayedAccount]:
    with account(Behaviours.plain()) as made:
        yield made


def client(aws: PlayedAccount, service: str, key: AccessKey) -> Any:
    """A client that signs with this key."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION,
        endpoint_url=aws.rehearsal.endpoint_url,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        aws_session_token=key.session_token or None,
        config=ONCE,
    )


def credentials(key: AccessKey) -> Credentials:
    return Credentials(key.id, key.secret, key.session_token or None)


def signed(
    aws: PlayedAccount,
    key: AccessKey | None = None,
    *,
    at: datetime | None = None,
    service: str = "sts",
    region: str = REGION,
    headers: dict[str, str] | None = None,
) -> AWSRequest:
    """A signed GetCallerIdentity, to be spoiled."""
    url = aws.rehearsal.endpoint_url + "/"
    given = {"Host": urlsplit(url).netloc, "Content-Type": FORM, **(headers or {})}
    request = AWSRequest("POST", url, given, IDENTITY)
    with clock(at):
        SigV4Auth(credentials(key or aws.rehearsal.key()), service, region).add_auth(request)
    return request


def presigned(aws: PlayedAccount, *, at: datetime | None = None, seconds: int = 60) -> str:
    """A presigned GetCallerIdentity: its path and query."""
    request = AWSRequest("GET", f"{aws.rehearsal.endpoint_url}/?{IDENTITY}")
    with clock(at):
        signer = SigV4QueryAuth(credentials(aws.rehearsal.key()), "sts", REGION, seconds)
        signer.add_auth(request)
    return str(request.url).removeprefix(aws.rehearsal.endpoint_url)


def clock(at: datetime | None) -> Any:
    """Let the signer's clock say this."""
    moment = at or datetime.now(UTC)
    return mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment)


def send(aws: PlayedAccount, request: AWSRequest) -> tuple[int, str]:
    """The answer's status and body."""
    target = str(request.url).removeprefix(aws.rehearsal.endpoint_url)
    return send_raw(aws, str(request.method), target, dict(request.headers.items()), request.data)


def send_raw(
    aws: PlayedAccount, method: str, target: str, headers: dict[str, str], body: Any = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(aws.rehearsal.endpoint_url).netloc, timeout=20)
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


# --- keys ---


UNKNOWN = {
    "sts": ("get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    "rds": ("describe_db_instances", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    "ec2": ("describe_vpcs", "AuthFailure", "AuthFailure"),
    "lambda": ("list_functions", "UnrecognizedClientException", "InvalidSignatureException"),
    "secretsmanager": (
        "list_secrets",
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ),
}


@pytest.mark.parametrize("service", UNKNOWN)
def test_an_unknown_key_and_a_wrong_secret_are_refused_in_the_services_words(
    aws: PlayedAccount, service: str
) -> None:
    operation, unknown, wrong = UNKNOWN[service]
    before = len(aws.rehearsal.journal)
    with refused(unknown):
        getattr(client(aws, service, AccessKey.random()), operation)()
    with refused(wrong):
        getattr(client(aws, service, replace(aws.rehearsal.key(), secret="x")), operation)()
    assert len(aws.rehearsal.journal) == before  # it never got as far as a call


@pytest.mark.parametrize("name", ["AKIAREHEARSALINSIDE0", "AKIAREHEARSALOUTSIDE"])
def test_the_fixed_keys_of_before_open_nothing(aws: PlayedAccount, name: str) -> None:
    with refused("UnrecognizedClientException"):
        client(aws, "lambda", AccessKey(name, "rehearsal")).list_functions()


def test_a_session_is_known_with_its_token_alone(aws: PlayedAccount) -> None:
    role = aws.iam.create_role(RoleName="session", AssumeRolePolicyDocument=trust("x"))["Role"]
    given = aws.sts.assume_role(RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert ":assumed-role/session/me" in client(aws, "sts", key).get_caller_identity()["Arn"]
    for other in (replace(key, session_token=""), replace(key, session_token="x")):
        with refused("InvalidClientTokenId"):
            client(aws, "sts", other).get_caller_identity()
    with refused("InvalidClientTokenId"):
        client(aws, "sts", replace(aws.rehearsal.key(), session_token="x")).get_caller_identity()


def test_a_session_ends(aws: PlayedAccount) -> None:
    role = aws.iam.create_role(RoleName="ends", AssumeRolePolicyDocument=trust("x"))["Role"]
    given = aws.sts.assume_role(RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    sessions = aws.rehearsal.world.backend("sts").assumed_roles
    sessions[-1].expiration = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    with refused("ExpiredToken"):
        client(aws, "sts", key).get_caller_identity()


def test_a_users_key_is_good_while_it_is_active(aws: PlayedAccount) -> None:
    aws.iam.create_user(UserName="joe")
    given = aws.iam.create_access_key(UserName="joe")["AccessKey"]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"])
    assert client(aws, "sts", key).get_caller_identity()["Arn"].endswith("user/joe")
    aws.iam.update_access_key(UserName="joe", AccessKeyId=key.id, Status="Inactive")
    with refused("InvalidClientTokenId"):
        client(aws, "sts", key).get_caller_identity()


def test_a_policy_holds_for_whoever_signs(aws: PlayedAccount) -> None:
    aws.rehearsal.policy = policy("ec2:*")
    try:
        with refused("AccessDeniedException"):
            client(aws, "logs", aws.rehearsal.key("colleague")).describe_log_groups()
    finally:
        aws.rehearsal.policy = None


# --- what is signed ---


def test_what_came_is_what_was_signed(aws: PlayedAccount) -> None:
    assert send(aws, signed(aws))[0] == 200
    spoiled = {}
    for name in ("body", "header", "method", "path", "query"):
        spoiled[name] = signed(aws)
    spoiled["body"].data = IDENTITY.replace("2011", "2012")
    spoiled["header"].headers.replace_header("Content-Type", FORM + "; x=y")
    spoiled["method"].method = "PUT"
    spoiled["path"].url = f"{aws.rehearsal.endpoint_url}/x"
    spoiled["query"].url = f"{aws.rehearsal.endpoint_url}/?Action=ListRoles"
    for name, request in spoiled.items():
        code, text = send(aws, request)
        assert (name, code) == (name, 403)
        assert "SignatureDoesNotMatch" in text


def test_an_amazon_header_that_is_not_signed_is_refused(aws: PlayedAccount) -> None:
    request = signed(aws)
    request.headers["X-Amz-Target"] = "secretsmanager.GetSecretValue"
    assert send(aws, request)[0] == 403


def test_the_digest_in_a_header_must_be_the_bodys(aws: PlayedAccount) -> None:
    request = signed(aws, headers={"X-Amz-Content-SHA256": "0" * 64})
    assert send(aws, request)[0] == 403
    request = signed(aws, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert send(aws, request)[0] == 403


def test_a_request_is_for_its_service_region_and_host(aws: PlayedAccount) -> None:
    request = signed(aws, service="ec2")
    text = str(request.headers["Authorization"]).replace("/ec2/", "/sts/")
    request.headers.replace_header("Authorization", text)
    assert send(aws, request)[0] == 403
    elsewhere = signed(aws, headers={"Host": "sts.amazonaws.com"})
    assert send(aws, elsewhere)[0] == 403
    elsewhere.headers.replace_header("Host", urlsplit(aws.rehearsal.endpoint_url).netloc)
    assert send(aws, elsewhere)[0] == 403


@pytest.mark.parametrize(
    ("minutes", "answer"),
    [(0, 200), (-4.9, 200), (4.9, 200), (-5.1, 403), (5.1, 403), (-3000, 403)],
)
def test_a_signature_is_good_for_five_minutes(
    aws: PlayedAccount, minutes: float, answer: int
) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    code, text = send(aws, signed(aws, at=at))
    assert code == answer
    if answer == 403:
        assert ("not yet current" if minutes > 0 else "Signature expired") in text


def test_ec2_words_an_old_signature_its_own_way(aws: PlayedAccount) -> None:
    at = datetime.now(UTC) - timedelta(minutes=6)
    assert "RequestExpired" in send(aws, signed(aws, at=at, service="ec2"))[1]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic eDp5",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20261126/r/s/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/20261126/r/s/x, SignedHeaders=h, Signature=" + "0" * 64,
    ],
)  # fmt: skip
def test_a_signature_that_cannot_be_read_is_refused(aws: PlayedAccount, header: str) -> None:
    headers = {"Authorization": header, "X-Amz-Date": "20261126T000000Z", "Content-Type": FORM}
    code, text = send_raw(aws, "POST", "/", headers if header else {}, IDENTITY)
    assert code in (400, 403)
    assert "MissingAuthenticationToken" in text or "IncompleteSignature" in text


@pytest.mark.parametrize(
    ("stamp", "code"),
    [("", 400), ("20269999T000000Z", 400), ("20261126T000000", 400), ("yesterday", 400)],
)
def test_a_date_that_is_none_is_refused(aws: PlayedAccount, stamp: str, code: int) -> None:
    request = signed(aws)
    request.headers.replace_header("X-Amz-Date", stamp)
    text = str(request.headers["Authorization"])
    if stamp[:8].isdigit():  # whose credential agrees with it
        text = text.replace(text.split("/")[1], stamp[:8])
        request.headers.replace_header("Authorization", text)
    assert send(aws, request)[0] == code


def test_signed_garbage_is_an_answer_and_no_traceback(
    aws: PlayedAccount, capfd: pytest.CaptureFixture[str]
) -> None:
    for service, body in (("lambda", "{"), ("secretsmanager", "{nonsense"), ("logs", "\xff")):
        host = urlsplit(aws.rehearsal.endpoint_url).netloc
        headers = {"Host": host, "X-Amz-Target": "secretsmanager.ListSecrets"}
        url = aws.rehearsal.endpoint_url + "/"
        request = AWSRequest("POST", url, headers, body.encode("latin-1"))
        SigV4Auth(credentials(aws.rehearsal.key()), service, REGION).add_auth(request)
        assert send(aws, request)[0] < 500
    assert "Traceback" not in capfd.readouterr().err


# --- presigned ---


def test_a_presigned_request_is_good_for_as_long_as_it_says(aws: PlayedAccount) -> None:
    assert send_raw(aws, "GET", presigned(aws), {})[0] == 200
    before = datetime.now(UTC) - timedelta(seconds=59)
    assert send_raw(aws, "GET", presigned(aws, at=before, seconds=100), {})[0] == 200
    assert send_raw(aws, "GET", presigned(aws, at=before, seconds=50), {})[0] == 403


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("GetCallerIdentity", "GetSessionToken", 403),
        ("X-Amz-Expires=60", "X-Amz-Expires=61", 403),
        ("X-Amz-Expires=60", "X-Amz-Expires=%2B60", 400),
        ("X-Amz-Expires=60", "X-Amz-Expires=6_0", 400),
        ("X-Amz-Expires=60", "X-Amz-Expires=0", 400),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", 400),
        ("X-Amz-Expires=60", "X-Amz-Expires=%D9%A6%D9%A0", 400),
        ("X-Amz-Expires=60&", "", 400),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=", 400),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=x", 403),
        ("X-Amz-Signature=", "X-Amz-Signature=0", 403),
        ("X-Amz-Signature=", "X-Amz-Signature=&X-Amz-Signature=", 400),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-HMAC-SHA1", 400),
    ],
)
def test_a_presigned_request_that_was_changed_is_refused(
    aws: PlayedAccount, old: str, new: str, code: int
) -> None:
    whole = presigned(aws)
    assert old in whole
    assert send_raw(aws, "GET", whole.replace(old, new, 1), {})[0] == code


def test_two_signatures_are_one_too_many(aws: PlayedAccount) -> None:
    header = str(signed(aws).headers["Authorization"])
    assert send_raw(aws, "GET", presigned(aws), {"Authorization": header})[0] == 400


# --- the signer and its check agree ---


@pytest.mark.parametrize("service", ["s3", "lambda"])
@pytest.mark.parametrize("path", ["/", "/a b/c%2Fd//e/../f", "/a?b=c&a=%20&a=&flag", "/~x/$y"])
def test_botocore_signs_and_the_check_agrees(service: str, path: str) -> None:
    key = AccessKey.random()
    signer = {"s3": S3SigV4Auth}.get(service, SigV4Auth)
    request = AWSRequest("PUT", f"http://127.0.0.1:1{path.replace(' ', '%20')}", {}, b"body")
    request.headers["X-Amz-Meta"] = "  two   spaces "
    signer(credentials(key), service, REGION).add_auth(request)
    target = str(request.url).removeprefix("http://127.0.0.1:1")
    headers = (("Host", "127.0.0.1:1"), *((str(n), str(v)) for n, v in request.headers.items()))
    given = Request("PUT", target, headers, b"body")
    check_signature(given, read_signature(given), {key.id: key}.get)


def test_what_another_process_exports_lets_it_in(aws: PlayedAccount) -> None:
    names = aws.rehearsal.environ("exported")
    assert names["AWS_ACCESS_KEY_ID"] == aws.rehearsal.key("exported").id
    assert environ(aws.rehearsal.endpoint_url, REGION) != names  # a made-up key
    assert json.dumps(names)
    query = urlencode({"Action": "GetCallerIdentity"})
    assert send_raw(aws, "GET", f"/?{query}", {})[0] == 403
