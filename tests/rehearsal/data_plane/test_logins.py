"""Both logins through the whole rehearsed environment, and each way in which they fail.

One environment serves all tests of this file; each test breaks one thing, and mends it again.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from provision.packaging.zips import function_package, layer_package
from provision.rehearsal import Behaviours, Rehearsal
from provision.rehearsal.data_plane.data_plane import DataPlane
from provision.rehearsal.data_plane.proxy.certificates import CertificateAuthority
from provision.rehearsal.data_plane.runner import InvokeError
from tests.rehearsal.data_plane.environment import (
    PASSWORD,
    USER,
    Environment,
    fetch,
    unzipped,
    zipped,
)
from tests.rehearsal.data_plane.proxy.mariadb import need_mariadbd


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal(Behaviours.plain()) as made:
        yield made


@pytest.fixture(scope="module")
def whole(rehearsal: Rehearsal) -> Environment:
    return Environment(rehearsal.client, rehearsal.data_plane)


@pytest.fixture
def environment(whole: Environment) -> Iterator[Environment]:
    with whole.mended():
        yield whole


def failure(environment: Environment, path: str, status: int = 500) -> Any:
    answer = environment.get(path)
    assert answer.status == status, answer.body
    assert PASSWORD.encode() not in answer.body
    return answer.json


# --- both logins ---


def test_both_logins_see_each_others_rows(environment: Environment) -> None:
    answers = [environment.get(path) for path in ("/", "/func2", "/func1", "/func2")]
    assert [answer.status for answer in answers] == [200] * 4
    assert [answer.headers["x-login"] for answer in answers] == [
        "password",
        "iam",
        "password",
        "iam",
    ]
    assert {answer.headers["x-tls"] for answer in answers} == {"TLSv1.3"}
    for before, after in itertools.pairwise(answers):
        assert len(after.json) == len(before.json) + 1
        assert after.json[: len(before.json)] == before.json
    logins = environment.report.logins[-4:]
    assert [(login.method, login.accepted) for login in logins] == [
        ("password", True),
        ("iam", True),
    ] * 2
    assert {login.tls for login in logins} == {"TLSv1.3"}


def test_nothing_secret_is_in_log_or_report(environment: Environment) -> None:
    environment.set_variables("password", DB_PASSWORD="quite-wrong-password")
    environment.get("/func1")
    environment.get("/func2")
    logs = environment.client("logs")
    said = repr(list(environment.report)) + repr(environment.report.logins)
    for name in ("password", "iam"):
        said += str(logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"])
    for secret in (PASSWORD, "quite-wrong-password", "X-Amz-Signature"):
        assert secret not in said


@pytest.mark.realdb
def test_both_logins_on_a_real_server(environment: Environment, rehearsal: Rehearsal) -> None:
    need_mariadbd()
    with contextlib.closing(DataPlane(rehearsal, "mariadbd")) as plane:
        url = plane.api_endpoint(environment.region, environment.api_id)
        answers = [fetch(url + path) for path in ("/func1", "/func2", "/func1")]
    assert [answer.status for answer in answers] == [200] * 3
    assert [len(answer.json) for answer in answers] == [1, 2, 3]


@pytest.mark.parametrize("database", ["mysql", "localhost:", ":3306", "host:99999", "a:b"])
def test_an_unusable_database_is_told_at_once(rehearsal: Rehearsal, database: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        DataPlane(rehearsal, database)


@pytest.mark.sweep(part=10)
@pytest.mark.parametrize(("parallel", "requests"), [(2, 60), (5, 100), (10, 100), (20, 200)])
def test_of_many_requests_in_parallel_none_is_lost(
    environment: Environment, parallel: int, requests: int
) -> None:
    before = len(environment.get("/").json)
    paths = ["/func1", "/func2"] * (requests // 2)
    with ThreadPoolExecutor(parallel) as pool:
        answers = list(pool.map(environment.get, paths))
    assert [answer.status for answer in answers] == [200] * requests
    assert len(environment.get("/").json) == before + requests + 1


# --- each way in which a login fails ---


def test_wrong_password_in_the_function(environment: Environment) -> None:
    environment.set_variables("password", DB_PASSWORD="wrong")
    assert failure(environment, "/func1")["code"] == 1045
    assert "password differs from the secret's" in environment.reason("proxy password")
    assert environment.get("/func2").status == 200


def test_wrong_password_in_the_secret(environment: Environment) -> None:
    environment.set_secret(json.dumps({"username": USER, "password": "changed-later"}))
    assert failure(environment, "/func1")["code"] == 1045
    assert "password differs from the secret's" in environment.reason("proxy password")
    assert failure(environment, "/func2", 503)["code"] == 9501
    assert "the secret's password is not the database's" in environment.reason("proxy iam")


@pytest.mark.parametrize(
    "value", ["just-a-password", '["a"]', '{"user": "x"}', '{"username": "x", "password": 1}']
)
def test_secret_is_not_as_it_must_be(environment: Environment, value: str) -> None:
    environment.set_secret(value)
    assert failure(environment, "/func2")["code"] == 1045
    reason = environment.reason("proxy iam")
    assert "secret database" in reason
    assert value not in reason


@pytest.mark.parametrize(
    ("proxy_id", "user", "words"),
    [
        ("iam", USER, "dbuser:iam/testdb, but not on"),
        ("db-ABCDEFGHIJKL", USER, "dbuser:db-ABCDEFGHIJKL/testdb, but not on"),
        ("prx-00000000000000000", USER, "prx-00000000000000000/testdb, but not on"),
        ("", "admin", "/admin, but not on"),
    ],
)
def test_policy_on_something_else(
    environment: Environment, proxy_id: str, user: str, words: str
) -> None:
    environment.allow("iam", "rds-db:connect", environment.connect_arn(proxy_id, user))
    assert failure(environment, "/func2")["code"] == 1045
    assert words in environment.reason("proxy iam")
    assert environment.get("/func1").status == 200


def test_no_policy(environment: Environment) -> None:
    environment.forbid("iam", "rds-db:connect")
    assert failure(environment, "/func2")["code"] == 1045
    assert "no policy allows rds-db:connect" in environment.reason("proxy iam")


def test_the_proxys_role_may_not_read_the_secret(environment: Environment) -> None:
    environment.forbid("proxy", "secretsmanager:GetSecretValue")
    assert failure(environment, "/func1")["code"] == 1045
    assert "no policy allows secretsmanager:GetSecretValue" in environment.reason("proxy password")


def test_the_proxys_role_does_not_trust_rds(environment: Environment) -> None:
    environment.trust("proxy", "lambda.amazonaws.com")
    assert failure(environment, "/func1")["code"] == 1045
    assert "does not let rds.amazonaws.com assume it" in environment.reason("proxy password")


@pytest.mark.parametrize("login", ["password", "iam"])
def test_functions_pointed_at_each_others_proxies(environment: Environment, login: str) -> None:
    other = "iam" if login == "password" else "password"
    endpoint = environment.endpoints[other]
    environment.set_variables(login, DB_PROXY_ENDPOINT_ADDRESS=endpoint)
    path = "/func1" if login == "password" else "/func2"
    assert failure(environment, path)["code"] == 1045
    reason = environment.reason(f"proxy {other}")
    assert ("a password, not a token" if login == "password" else "differs") in reason


WITHOUT_TLS = """
import os, mysql.connector
def lambda_handler(event, context):
    try:
        mysql.connector.connect(
            host=os.environ["DB_PROXY_ENDPOINT_ADDRESS"], user="testdb", password="x",
            use_pure=True, ssl_disabled=True)
    except mysql.connector.Error as error:
        return error.errno
"""


def test_iam_proxy_without_tls(environment: Environment) -> None:
    environment.upload("iam", zipped({"index.py": WITHOUT_TLS}))
    assert environment.invoke("iam")["Payload"] == 3159
    assert "does not use TLS" in environment.reason("proxy iam")


def words(environment: Environment, told: dict[str, Any]) -> str:
    """What the function's log says of a failure that its answer names by the request's id alone."""
    assert set(told) == {"error", "code", "request_id"}
    events = environment.client("logs").filter_log_events(logGroupName="/aws/lambda/iam")["events"]
    lines = [event["message"] for event in events if told["request_id"] in event["message"]]
    (line,) = [line for line in lines if line.startswith("{")]
    message: str = json.loads(line)["message"]
    return message


def test_certificate_missing(environment: Environment) -> None:
    environment.upload("iam", changed("iam", {"AmazonRootCA1.pem": None}))
    assert "AmazonRootCA1.pem" in words(environment, failure(environment, "/func2"))


def test_certificate_of_another(environment: Environment) -> None:
    wrong = CertificateAuthority().pem
    environment.upload("iam", changed("iam", {"AmazonRootCA1.pem": wrong}))
    assert "CERTIFICATE_VERIFY_FAILED" in words(environment, failure(environment, "/func2"))
    assert "TLS failed" in environment.reason("proxy iam")


def test_expired_token(environment: Environment) -> None:
    clock = environment.data_plane.clock
    clock.shift(timedelta(minutes=16))
    try:
        assert failure(environment, "/func2")["code"] == 1045
        assert "the token expired" in environment.reason("proxy iam")
        assert environment.get("/func1").status == 200
    finally:
        clock.shift(-timedelta(minutes=16))


def test_target_not_registered(environment: Environment) -> None:
    environment.deregister("iam")
    assert failure(environment, "/func2", 503)["code"] == 9501
    assert "no target is registered" in environment.reason("proxy iam")


@pytest.mark.parametrize(
    ("group", "direction", "other"),
    [("function", "egress", "proxy"), ("proxy", "ingress", "function")],
)
def test_no_way_to_the_proxy(
    environment: Environment, group: str, direction: str, other: str
) -> None:
    environment.close(group, direction, other)
    assert environment.get("/func1").status >= 500
    reason = environment.reason("function password")
    word = "outbound" if direction == "egress" else "inbound"
    assert f"no {word} rule of {environment.groups[group]} ({group}) lets tcp 3306" in reason


@pytest.mark.parametrize(
    ("group", "direction", "other"),
    [("proxy", "egress", "database"), ("database", "ingress", "proxy")],
)
def test_no_way_to_the_database(
    environment: Environment, group: str, direction: str, other: str
) -> None:
    environment.close(group, direction, other)
    assert failure(environment, "/func1", 503)["code"] == 9501
    assert environment.groups[group] in environment.reason("proxy password")


def test_another_port_is_closed(environment: Environment) -> None:
    environment.set_variables("password", DB_ENDPOINT_PORT="3307")
    assert environment.get("/func1").status >= 500
    assert "listens on 3306 only" in environment.reason("function password")


# --- the function itself ---


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([], "Unable to import module 'index': No module named 'mysql'"),
        ([zipped({"site-packages/x.py": ""})], "No module named 'mysql'"),
        (
            [zipped({f"lib/{name}": b"" for name in unzipped(layer_package().content)})],
            "No module named 'mysql'",
        ),
    ],
    ids=["missing", "something else", "not under python/"],
)
def test_layer_missing_or_built_wrong(
    environment: Environment, layers: list[bytes], words: str
) -> None:
    environment.configure("iam", Layers=[environment.publish(content) for content in layers])
    assert environment.get("/func2").json == {"message": "Internal Server Error"}
    answer = environment.invoke("iam")
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == "Runtime.ImportModuleError"
    assert words in answer["Payload"]["errorMessage"]
    assert words in environment.reason("function iam")
    assert "[ERROR] Runtime.ImportModuleError" in log_of(answer)


@pytest.mark.parametrize(
    ("handler", "kind", "words"),
    [
        ("index.handle", "Runtime.HandlerNotFound", "Handler 'handle' missing on module 'index'"),
        ("main.handler", "Runtime.ImportModuleError", "No module named 'main'"),
        ("index", "Runtime.MalformedHandlerName", "Bad handler 'index'"),
        ("sys.exit", "Runtime.BuiltInModuleConflict", "built-in module sys"),
    ],
)
def test_handler_name_wrong(environment: Environment, handler: str, kind: str, words: str) -> None:
    environment.configure("password", Handler=handler)
    answer = environment.invoke("password")
    assert answer["Payload"]["errorType"] == kind
    assert words in answer["Payload"]["errorMessage"]
    assert environment.get("/func1").json == {"message": "Internal Server Error"}


def changed(login: Any, files: dict[str, bytes | None]) -> bytes:
    """A function's zip with files replaced, or, for None, left out."""
    content = {**unzipped(function_package(login).content), **files}
    return zipped({name: data for name, data in content.items() if data is not None})


def log_of(answer: dict[str, Any]) -> str:
    return base64.b64decode(answer["LogResult"]).decode()


@pytest.fixture
def run(environment: Environment) -> Callable[..., dict[str, Any]]:
    """Puts other code in the function's place, and calls it."""

    def run(code: str, event: Any = None) -> dict[str, Any]:
        environment.upload("password", zipped({"index.py": code}))
        return environment.invoke("password", event)

    return run


Run = Callable[..., dict[str, Any]]


def test_an_exception_is_reported_as_lambda_does(run: Run) -> None:
    answer = run("def lambda_handler(event, context):\n    raise ValueError(event['x'])", {"x": 7})
    payload = answer["Payload"]
    assert answer["FunctionError"] == "Unhandled"
    assert (payload["errorMessage"], payload["errorType"]) == ("7", "ValueError")
    assert len(payload["stackTrace"]) == 1
    assert "raise ValueError" in payload["stackTrace"][0]
    assert "[ERROR] ValueError: 7" in log_of(answer)


def test_a_syntax_error(run: Run) -> None:
    assert run("def (")["Payload"]["errorType"] == "Runtime.UserCodeSyntaxError"


def test_an_error_while_it_starts(run: Run) -> None:
    payload = run("raise RuntimeError('too early')")["Payload"]
    assert (payload["errorType"], payload["errorMessage"]) == ("RuntimeError", "too early")


def test_an_answer_that_is_not_json(run: Run) -> None:
    payload = run("lambda_handler = lambda event, context: object()")["Payload"]
    assert payload["errorType"] == "Runtime.MarshalError"


def test_an_answer_too_large(run: Run) -> None:
    payload = run("lambda_handler = lambda event, context: 'x' * 7_000_000")["Payload"]
    assert payload["errorType"] == "Function.ResponseSizeTooLarge"


@pytest.mark.slow
def test_a_timeout(run: Run, environment: Environment) -> None:
    environment.configure("password", Timeout=1)
    answer = run("import time\ndef lambda_handler(event, context):\n    time.sleep(60)")
    payload = answer["Payload"]
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds" in log_of(answer)
    assert environment.get("/func1").status == 500


@pytest.mark.parametrize(
    ("code", "words"),
    [("os._exit(3)", "exit status 3"), ("os.kill(os.getpid(), 9)", "signal: SIGKILL")],
)
def test_a_process_that_ends_itself(run: Run, code: str, words: str) -> None:
    answer = run(f"import os\ndef lambda_handler(event, context):\n    {code}")
    assert answer["Payload"]["errorType"] == "Runtime.ExitError"
    assert words in answer["Payload"]["errorMessage"]
    assert run("lambda_handler = lambda event, context: 'back'")["Payload"] == "back"


def test_what_a_function_finds_around_it(run: Run, environment: Environment) -> None:
    answer = run(
        "import os, boto3\n"
        "def lambda_handler(event, context):\n"
        "    print('to the log')\n"
        "    return {'environ': dict(os.environ), 'cwd': os.listdir('.'),\n"
        "            'boto3': boto3.__name__, 'name': context.function_name,\n"
        "            'left': context.get_remaining_time_in_millis()}"
    )
    payload = answer["Payload"]
    environ = payload["environ"]
    assert payload["cwd"] == ["index.py"]
    assert payload["name"] == environ["AWS_LAMBDA_FUNCTION_NAME"] == "password"
    assert 0 < payload["left"] <= 10_000
    assert environ["AWS_REGION"] == environment.region
    assert environ["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environ["DB_USER"] == USER
    assert "AWS_ENDPOINT_URL" not in environ
    assert "HOME" not in environ
    log = log_of(answer)
    assert log.startswith("START RequestId: ")
    assert "\nto the log\nEND RequestId: " in log
    assert "Init Duration" in log


def test_only_what_lambda_brings_can_be_imported(run: Run) -> None:
    answer = run(
        "import importlib.util as find\n"
        "names = ['boto3', 'urllib3', 'dateutil', 'moto', 'pytest', 'provision', 'tests']\n"
        "lambda_handler = lambda e, c: [n for n in names if find.find_spec(n)]"
    )
    assert answer["Payload"] == ["boto3", "urllib3", "dateutil"]


def test_aws_itself_is_out_of_reach(run: Run, environment: Environment) -> None:
    answer = run(
        "import socket\n"
        "def tried(call, *args):\n"
        "    try:\n"
        "        call(*args)\n"
        "    except OSError as error:\n"
        "        return type(error).__name__\n"
        "def lambda_handler(event, context):\n"
        "    return [tried(socket.getaddrinfo, 'sts.amazonaws.com', 443),\n"
        "            tried(socket.create_connection, ('example.com', 443)),\n"
        "            tried(socket.create_connection, ('169.254.169.254', 80)),\n"
        "            tried(socket.create_connection, ('127.0.0.1', event))]",
        int(environment.client("sts").meta.endpoint_url.rsplit(":", 1)[1]),
    )
    assert answer["Payload"] == ["gaierror", "TimeoutError", "TimeoutError", "TimeoutError"]
    reasons = [refusal.reason for refusal in environment.report]
    assert any("sts.amazonaws.com:443 is out of reach" in reason for reason in reasons)


COUNT = "n = 0\ndef lambda_handler(event, context):\n    global n\n    n += 1\n    return n"


def test_an_environment_stays_warm_until_something_changes(
    run: Run, environment: Environment
) -> None:
    assert run(COUNT)["Payload"] == 1
    assert environment.invoke("password")["Payload"] == 2
    environment.configure("password", MemorySize=256)
    assert environment.invoke("password")["Payload"] == 1
    environment.upload("password", zipped({"index.py": COUNT + "\n# changed"}))
    assert environment.invoke("password")["Payload"] == 1


def test_logs_are_written_though_the_group_was_deleted(environment: Environment) -> None:
    logs = environment.client("logs")
    environment.invoke("iam")
    logs.delete_log_group(logGroupName="/aws/lambda/iam")
    environment.invoke("iam")
    events = logs.filter_log_events(logGroupName="/aws/lambda/iam")["events"]
    assert sum(event["message"].startswith("REPORT") for event in events) == 1


def test_no_logs_without_permission(environment: Environment) -> None:
    logs, iam = environment.client("logs"), environment.client("iam")
    [attached] = iam.list_attached_role_policies(RoleName="iam")["AttachedPolicies"]
    policy = {"RoleName": "iam", "PolicyArn": attached["PolicyArn"]}
    environment.invoke("iam")
    logs.delete_log_group(logGroupName="/aws/lambda/iam")
    iam.detach_role_policy(**policy)
    environment.invoke("iam")
    iam.attach_role_policy(**policy)
    assert logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/iam")["logGroups"] == []


def test_a_role_that_lambda_cannot_assume(environment: Environment) -> None:
    environment.trust("iam", "ec2.amazonaws.com")
    environment.configure("iam", Description="a new environment")
    with pytest.raises(InvokeError) as error:
        environment.invoke("iam")
    assert (error.value.code, error.value.status) == ("AccessDeniedException", 403)
    assert "does not let lambda.amazonaws.com assume it" in environment.reason("function iam")


def test_a_function_without_reserved_concurrency_left(environment: Environment) -> None:
    client = environment.client("lambda")
    client.put_function_concurrency(FunctionName="iam", ReservedConcurrentExecutions=0)
    try:
        with pytest.raises(InvokeError) as error:
            environment.invoke("iam")
        assert (error.value.code, error.value.status) == ("TooManyRequestsException", 429)
        assert error.value.extra["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert environment.get("/func2").status == 503
        assert environment.get("/func1").status == 200
        client.put_function_concurrency(FunctionName="iam", ReservedConcurrentExecutions=1)
        assert environment.get("/func2").status == 200
    finally:
        client.delete_function_concurrency(FunctionName="iam")


def test_a_function_that_is_not_there(environment: Environment) -> None:
    with pytest.raises(InvokeError) as error:
        environment.invoke("nosuch")
    assert (error.value.code, error.value.status) == ("ResourceNotFoundException", 404)


@pytest.mark.usefixtures("environment")
def test_nothing_is_left_after_close(rehearsal: Rehearsal) -> None:
    plane = DataPlane(rehearsal)
    answer = plane.invoke("iam", b'{"requestContext": {}}')
    port = plane.proxy_port("iam")
    plane.close()
    plane.close()
    assert answer["StatusCode"] == 200
    with pytest.raises(InvokeError):
        plane.invoke("iam", b"{}")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5)
