"""The rehearsed HTTP API: routes, permissions, throttling, and a function's answer."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from provision.rehearsal import Behaviours, Rehearsal
from provision.rehearsal.data_plane.http_api import (
    BODY_LIMIT,
    Gateway,
    GatewayError,
    HttpApi,
    best_route,
    formatted,
)
from provision.rehearsal.data_plane.rehearsed_aws import RehearsedAws
from provision.rehearsal.data_plane.report import Report
from provision.rehearsal.data_plane.runner import InvokeError
from provision.rehearsal.http_server import Request
from tests.rehearsal.data_plane.environment import document, fetch, trust
from tests.support.names import ACCOUNT, REGION

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:hello"
NOT_FOUND, ERROR = {"message": "Not Found"}, {"message": "Internal Server Error"}


class Function:
    """Stands for the runner: remembers events, answers what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answer: Callable[[], Any] = lambda: {"statusCode": 200, "body": "hello"}
        self.error = False

    def invoke(self, function_name: str, payload: bytes) -> dict[str, Any]:
        assert function_name == FUNCTION
        self.events.append(json.loads(payload))
        answer: dict[str, Any] = {"Payload": json.dumps(self.answer()).encode()}
        return answer | ({"FunctionError": "Unhandled"} if self.error else {})


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal(Behaviours.plain(), data_plane=False) as made:
        yield made


class Api:
    """An API of one route, `GET /`, anew for each test."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.aws = RehearsedAws(rehearsal)
        self.client = self.aws.client("apigatewayv2")
        self.report, self.function = Report(), Function()
        self.id = self.client.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
        iam = self.aws.client("iam")
        self.role = f"role-{self.id}"
        arn = iam.create_role(
            RoleName=self.role, AssumeRolePolicyDocument=trust("apigateway.amazonaws.com")
        )["Role"]["Arn"]
        self.allow(FUNCTION)
        self.integration = self.client.create_integration(
            ApiId=self.id,
            IntegrationType="AWS_PROXY",
            IntegrationMethod="POST",
            IntegrationUri=FUNCTION,
            CredentialsArn=arn,
            PayloadFormatVersion="2.0",
        )["IntegrationId"]
        self.add("GET /")
        self.client.create_stage(ApiId=self.id, StageName="$default", AutoDeploy=True)
        self.gateway = Gateway(self.id, self.aws, self.function, self.report)

    def allow(self, *resources: str) -> None:
        statement = {
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": list(resources),
        }
        self.aws.client("iam").put_role_policy(
            RoleName=self.role, PolicyName="invoke", PolicyDocument=document(statement)
        )

    def add(self, key: str, target: str = "") -> str:
        route: str = self.client.create_route(
            ApiId=self.id, RouteKey=key, Target=target or f"integrations/{self.integration}"
        )["RouteId"]
        return route

    def integrate(self, **changes: Any) -> None:
        self.client.update_integration(ApiId=self.id, IntegrationId=self.integration, **changes)

    def get(self, target: str = "/", method: str = "GET", **rest: Any) -> tuple[int, Any]:
        response = self.gateway.answer(Request(method, target, **rest))
        kind = dict(response.headers).get("content-type")
        body = response.body
        return response.status, json.loads(body) if kind == "application/json" else body.decode()


@pytest.fixture
def api(rehearsal: Rehearsal) -> Iterator[Api]:
    made = Api(rehearsal)
    yield made
    made.gateway.close()


# --- routes ---


def test_a_route_leads_to_its_function(api: Api) -> None:
    assert api.get() == (200, "hello")
    assert list(api.report) == []


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/nope"), ("POST", "/"), ("HEAD", "/"), ("GET", "//"), ("GET", "/default/")],
)
def test_no_route(api: Api, method: str, target: str) -> None:
    assert api.get(target, method) == (404, NOT_FOUND)
    assert "no route for" in api.report[-1].reason
    assert api.function.events == []


def test_the_api_is_gone(api: Api) -> None:
    api.client.delete_api(ApiId=api.id)
    assert api.get() == (404, NOT_FOUND)


def test_no_default_stage(api: Api) -> None:
    api.client.delete_stage(ApiId=api.id, StageName="$default")
    assert api.get() == (404, NOT_FOUND)
    assert "no $default stage" in api.report[-1].reason


def test_a_named_stage_is_the_first_part_of_the_path(api: Api) -> None:
    api.client.create_stage(ApiId=api.id, StageName="test", AutoDeploy=True)
    assert api.get("/test/") == (200, "hello")
    assert api.function.events[-1]["requestContext"]["stage"] == "test"


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/a", "GET /a", {}),
        ("POST", "/a", "ANY /a", {}),
        ("GET", "/a/7", "GET /a/{id}", {"id": "7"}),
        ("GET", "/a/7/8", "GET /a/{rest+}", {"rest": "7/8"}),
        ("GET", "/a.", "$default", {}),
        ("PUT", "/b", "$default", {}),
    ],
)
def test_the_most_specific_route_wins(
    method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    keys = ["$default", "ANY /a", "GET /a/{rest+}", "GET /a/{id}", "GET /a"]
    found = best_route([{"RouteKey": key} for key in keys], method, path)
    assert found == ({"RouteKey": key}, parameters)


# --- integration and permission ---


@pytest.mark.parametrize("target", ["integrations/nosuch", "nonsense"])
def test_no_integration(api: Api, target: str) -> None:
    api.add("GET /broken", target)
    assert api.get("/broken") == (500, ERROR)
    assert "has no integration" in api.report[-1].reason


def test_the_role_may_not_invoke(api: Api) -> None:
    api.allow(f"{FUNCTION}-of-another-name")
    assert api.get() == (500, ERROR)
    assert f"but not on {FUNCTION}" in api.report[-1].reason


def test_the_role_does_not_trust_api_gateway(api: Api) -> None:
    api.aws.client("iam").update_assume_role_policy(
        RoleName=api.role, PolicyDocument=trust("lambda.amazonaws.com")
    )
    assert api.get() == (500, ERROR)
    assert "does not let apigateway.amazonaws.com assume it" in api.report[-1].reason


def test_the_role_is_gone(api: Api) -> None:
    api.integrate(CredentialsArn=f"arn:aws:iam::{ACCOUNT}:role/gone")
    assert api.get() == (500, ERROR)
    assert "role/gone does not exist" in api.report[-1].reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PayloadFormatVersion": "1.0"}, "only payload 2.0"),
        ({"IntegrationUri": "https://example.com"}, "is no function"),
        ({"IntegrationType": "HTTP_PROXY"}, "is not AWS_PROXY"),
    ],
)
def test_an_integration_that_is_not_rehearsed(
    api: Api, changes: dict[str, str], words: str
) -> None:
    api.integrate(**changes)
    assert api.get() == (500, ERROR)
    assert words in api.report[-1].reason


def test_an_integration_by_apigateways_own_arn(api: Api) -> None:
    path = f"lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
    api.integrate(IntegrationUri=f"arn:aws:apigateway:{REGION}:{path}")
    assert api.get() == (200, "hello")


# --- the function's side ---


def test_a_function_that_fails(api: Api) -> None:
    api.function.error = True
    api.function.answer = lambda: {"errorType": "ValueError", "errorMessage": "seven"}
    assert api.get() == (500, ERROR)
    assert api.report[-1].reason == "ValueError: seven"


def test_a_function_that_is_refused(api: Api) -> None:
    def refuse() -> Any:
        raise InvokeError("ResourceNotFoundException", "Function not found", 404)

    api.function.answer = refuse
    assert api.get() == (500, ERROR)


def test_a_function_slower_than_the_integration(api: Api) -> None:
    api.integrate(TimeoutInMillis=50)
    done = threading.Event()
    api.function.answer = lambda: done.wait(20)
    assert api.get() == (503, {"message": "Service Unavailable"})
    done.set()


def test_throttling(api: Api) -> None:
    api.client.delete_stage(ApiId=api.id, StageName="$default")
    api.client.create_stage(
        ApiId=api.id,
        StageName="$default",
        AutoDeploy=True,
        DefaultRouteSettings={"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 2},
    )
    statuses = [api.get()[0] for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert api.get() == (429, {"message": "Too Many Requests"})
    assert len(api.function.events) == 2


def test_the_event_has_format_2(api: Api) -> None:
    api.add("POST /items/{id}")
    headers = (("Cookie", "a=1; b=2"), ("X-Two", "1"), ("x-two", "2"), ("User-Agent", "test"))
    api.get("/items/7%20x?q=1&q=2&e=", "POST", headers=headers, body=b"text")
    [event] = api.function.events
    context = event["requestContext"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == context["routeKey"] == "POST /items/{id}"
    assert event["rawPath"] == "/items/7 x"
    assert event["rawQueryString"] == "q=1&q=2&e="
    assert event["queryStringParameters"] == {"q": "1,2", "e": ""}
    assert event["pathParameters"] == {"id": "7 x"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"] == {"x-two": "1,2", "user-agent": "test"}
    assert (event["body"], event["isBase64Encoded"]) == ("text", False)
    assert context["stage"] == "$default"
    assert context["http"]["method"] == "POST"
    assert (context["apiId"], context["accountId"]) == (api.id, ACCOUNT)


def test_a_body_that_is_not_text_is_base64(api: Api) -> None:
    api.add("POST /")
    api.get("/", "POST", body=b"\xff\x00")
    assert base64.b64decode(api.function.events[0]["body"]) == b"\xff\x00"
    assert api.function.events[0]["isBase64Encoded"] is True


# --- the answer ---


@pytest.mark.parametrize("answer", [{"a": 1}, ["x"], "text", 7, None])
def test_an_answer_without_status_is_the_body(answer: Any) -> None:
    response = formatted(json.dumps(answer).encode())
    assert (response.status, json.loads(response.body)) == (200, answer)
    assert response.headers == (("content-type", "application/json"),)


def test_an_answer_in_full() -> None:
    response = formatted(
        json.dumps(
            {
                "statusCode": "418",
                "headers": {"X-Number": 7, "X-Flag": True},
                "cookies": ["a=1", "b=2"],
                "body": base64.b64encode(b"\xff").decode(),
                "isBase64Encoded": True,
            }
        ).encode()
    )
    assert (response.status, response.body) == (418, b"\xff")
    assert set(response.headers) == {
        ("x-number", "7"),
        ("x-flag", "true"),
        ("content-type", "text/plain; charset=utf-8"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    }


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "ok"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"x": None}},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True},
    ],
)
def test_a_malformed_answer_is_a_500(answer: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as error:
        formatted(json.dumps(answer).encode())
    assert error.value.status == 500


# --- over HTTP ---


@pytest.fixture
def served(api: Api) -> Iterator[str]:
    server = HttpApi(api.gateway)
    yield server.url
    server.close()


@pytest.mark.usefixtures("api")
def test_over_http(served: str) -> None:
    answer = fetch(served + "/")
    assert (answer.status, answer.body) == (200, b"hello")
    assert len(answer.headers["apigw-requestid"]) == 16
    assert fetch(served + "/", "DELETE").json == NOT_FOUND


def test_head_has_no_body(api: Api, served: str) -> None:
    api.add("HEAD /")
    answer = fetch(served + "/", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "5"


def test_many_requests_on_one_connection(served: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(served).netloc, timeout=20)
    for path, status in [("/", 200), ("/nope", 404), ("/", 200)]:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("content-length", str(BODY_LIMIT + 1), b""),
        ("transfer-encoding", "chunked", f"{BODY_LIMIT + 1:x}\r\n".encode()),
    ],
)
def test_a_body_too_large_is_refused_unread(
    served: str, name: str, value: str, sent: bytes
) -> None:
    connection = http.client.HTTPConnection(urlsplit(served).netloc, timeout=20)
    connection.putrequest("POST", "/", skip_accept_encoding=True)
    connection.putheader(name, value)
    connection.endheaders(sent)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (
        413,
        {"message": "Request Entity Too Large"},
    )
    connection.close()


# --- an API that is not open to everybody ---


def test_a_disabled_endpoint_answers_nobody(api: Api) -> None:
    api.client.update_api(ApiId=api.id, DisableExecuteApiEndpoint=True)
    assert api.get() == (404, NOT_FOUND)
    assert "execute-api endpoint is disabled" in api.report[-1].reason
    assert api.function.events == []
    api.client.update_api(ApiId=api.id, DisableExecuteApiEndpoint=False)
    assert api.get() == (200, "hello")


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [("AWS_IAM", 403, "Forbidden"), ("JWT", 401, "Unauthorized"), ("CUSTOM", 401, "Unauthorized")],
)
def test_a_route_that_wants_authorization_refuses_an_anonymous_client(
    api: Api, kind: str, status: int, message: str
) -> None:
    (route,) = api.client.get_routes(ApiId=api.id)["Items"]
    change = {"ApiId": api.id, "RouteId": route["RouteId"], "AuthorizationType": kind}
    api.client.update_route(**change)
    assert api.get() == (status, {"message": message})
    assert kind in api.report[-1].reason
    assert api.function.events == []


def test_a_stage_that_was_never_deployed_has_no_routes(api: Api) -> None:
    api.client.delete_stage(ApiId=api.id, StageName="$default")
    api.client.create_stage(ApiId=api.id, StageName="$default")
    assert api.get() == (404, NOT_FOUND)
    assert "never deployed" in api.report[-1].reason


def test_the_default_stage_is_no_path(api: Api) -> None:
    api.add("GET /func1")
    assert api.get("/func1") == (200, "hello")
    assert api.get("/$default/func1") == (404, NOT_FOUND)
    assert api.get("/$default") == (404, NOT_FOUND)


def test_a_function_without_concurrency_is_unavailable(api: Api) -> None:
    def throttle() -> Any:
        raise InvokeError("TooManyRequestsException", "Rate Exceeded.", 429)

    api.function.answer = throttle
    assert api.get() == (503, {"message": "Service Unavailable"})
    assert "Rate Exceeded" in api.report[-1].reason
