"""The rehearsed HTTP API on loopback: answers a client as API Gateway would.

Stage, route, integration, permission, function, one after the other, as they stand at the rehearsed
AWS at this moment. What goes wrong on the way is told to the client as API Gateway tells it, which
is little, and to the report as it is.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import responses
from typing import Any, Protocol
from urllib.parse import parse_qsl

from botocore.exceptions import ClientError

from provision.rehearsal.aws.iam_policy import (
    PolicyUnknownError,
    decide_for_service,
    parse_document,
)
from provision.rehearsal.data_plane.rehearsed_aws import RehearsedAws, is_deployed
from provision.rehearsal.data_plane.report import Report
from provision.rehearsal.data_plane.runner import InvokeError
from provision.rehearsal.http_server import HttpServer, Request, Response
from provision.rehearsal.token_bucket import TokenBucket

BODY_LIMIT = 10 * 1024 * 1024  # bytes, of a request
ACCOUNT_RATE, ACCOUNT_BURST = 10_000, 5_000  # requests per second; requests
_IDLE_SECONDS = 30.0
_PARALLEL = 64
_URI = re.compile(
    r"(?:arn:[^:]+:apigateway:[^:]+:lambda:path/2015-03-31/functions/)?"
    r"(arn:[^:]+:lambda:[^:]+:[^:]+:function:[^:/]+)(?:/invocations)?"
)


class GatewayError(Exception):
    """A request ends here: what the client sees is the status, the message is for the report."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Invoker(Protocol):
    """Whatever calls functions."""

    def invoke(self, function_name: str, payload: bytes) -> dict[str, Any]:
        """See Runner.invoke."""


@dataclass(frozen=True)
class Match:
    """A stage, one of its routes, and what the route's variables stand for."""

    stage: Mapping[str, Any]
    route: Mapping[str, Any]
    parameters: Mapping[str, str]


class Gateway:
    """One HTTP API's behaviour, without its socket."""

    def __init__(self, api_id: str, aws: RehearsedAws, invoker: Invoker, report: Report) -> None:
        self.api_id = api_id
        self._aws, self._invoker, self._report = aws, invoker, report
        self._lock = threading.Lock()
        self._buckets: dict[str, TokenBucket] = {}
        self._workers = ThreadPoolExecutor(_PARALLEL, thread_name_prefix=f"api {api_id}")

    def answer(self, request: Request) -> Response:
        """Return the answer to a request; never raises."""
        request_id = uuid.uuid4().hex[:16]
        try:
            response = self._answer(request, request_id)
        except GatewayError as error:
            where = f"api {self.api_id} {request.method} {request.path[:200]}"
            self._report.refused(where, error.status, str(error))
            response = _plain(error.status)
        headers = (*response.headers, ("apigw-requestid", request_id))
        return Response(response.status, headers, response.body)

    def close(self) -> None:
        """Take no more requests."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _answer(self, request: Request, request_id: str) -> Response:
        self._check_endpoint()
        match = self._match(request)
        _check_authorization(match.route)
        self._throttle(match)
        integration = self._integration(match.route)
        function_arn = self._function(integration, match.route)
        event = self._event(request, request_id, match, function_arn.split(":")[4])
        seconds = integration.get("TimeoutInMillis", 30_000) / 1000
        payload = json.dumps(event).encode()
        future = self._workers.submit(self._invoker.invoke, function_arn, payload)
        try:
            answer = future.result(seconds)
        except FutureTimeoutError:
            raise GatewayError(503, f"the integration's {seconds:g} s are over") from None
        except InvokeError as error:
            throttled = error.code == "TooManyRequestsException"
            raise GatewayError(503 if throttled else 500, str(error)) from error
        if "FunctionError" in answer:
            told = json.loads(answer["Payload"])
            raise GatewayError(500, f"{told.get('errorType')}: {told.get('errorMessage')}")
        return formatted(answer["Payload"])

    def _check_endpoint(self) -> None:
        """Raises GatewayError (404) when the API answers only under a domain name of its own."""
        try:
            api = self._aws.read("apigatewayv2", "get_api", ApiId=self.api_id)
        except ClientError as error:
            raise GatewayError(404, error.response["Error"]["Message"]) from error
        if api.get("DisableExecuteApiEndpoint"):
            raise GatewayError(404, "the API's execute-api endpoint is disabled")

    def _match(self, request: Request) -> Match:
        stages = {stage["StageName"]: stage for stage in self._list("get_stages")}
        routes = self._list("get_routes")
        first, _, rest = request.path[1:].partition("/")
        path = request.path
        stage = stages.get("$default")
        if first in stages and first != "$default":  # a named stage is the path's first part
            stage, path = stages[first], f"/{rest}"
        if stage is None:
            raise GatewayError(404, f"no $default stage, and no stage {first!r}")
        if not is_deployed(self._aws.region, self.api_id, stage):
            raise GatewayError(404, f"the stage {stage['StageName']} was never deployed")
        found = best_route(routes, request.method, path)
        if found is None:
            known = ", ".join(sorted(route["RouteKey"] for route in routes)) or "none"
            raise GatewayError(404, f"no route for {request.method} {path}; there is {known}")
        return Match(stage, *found)

    def _list(self, operation: str) -> list[dict[str, Any]]:
        try:
            return self._aws.everything("apigatewayv2", operation, "Items", ApiId=self.api_id)
        except ClientError as error:
            raise GatewayError(404, error.response["Error"]["Message"]) from error

    def _throttle(self, match: Match) -> None:
        key = match.route["RouteKey"]
        settings = {
            **(match.stage.get("DefaultRouteSettings") or {}),
            **(match.stage.get("RouteSettings") or {}).get(key, {}),
        }
        rate = settings.get("ThrottlingRateLimit", ACCOUNT_RATE)
        burst = settings.get("ThrottlingBurstLimit", ACCOUNT_BURST)
        name = f"{match.stage['StageName']} {key}"
        with self._lock:
            bucket = self._buckets.get(name)
            if bucket is None or (bucket.rate_per_second, bucket.burst) != (rate, burst):
                bucket = self._buckets[name] = TokenBucket(rate, burst)
        if not bucket.take():
            raise GatewayError(429, f"more than {rate:g} requests a second, {burst} at once")

    def _integration(self, route: Mapping[str, Any]) -> Mapping[str, Any]:
        target = route.get("Target") or ""
        integration_id = target.removeprefix("integrations/")
        names = {"ApiId": self.api_id, "IntegrationId": integration_id or "none"}
        try:
            answer = self._aws.read("apigatewayv2", "get_integration", **names)
        except ClientError as error:
            text = f"route {route['RouteKey']} has no integration {target!r}"
            raise GatewayError(500, text) from error
        if answer.get("IntegrationType") != "AWS_PROXY":
            raise GatewayError(500, f"integration {integration_id} is not AWS_PROXY")
        if answer.get("PayloadFormatVersion") != "2.0":
            raise GatewayError(500, f"integration {integration_id}: only payload 2.0 is rehearsed")
        return answer

    def _function(self, integration: Mapping[str, Any], route: Mapping[str, Any]) -> str:
        uri = integration.get("IntegrationUri") or ""
        found = _URI.fullmatch(uri)
        if found is None:
            raise GatewayError(500, f"the integration's URI is no function: {uri!r}")
        function_arn = found[1]
        role = integration.get("CredentialsArn")
        if role:
            allowed = self._aws.may_as(
                "apigateway.amazonaws.com", role, "lambda:InvokeFunction", function_arn
            )
            if not allowed.allowed:
                raise GatewayError(500, f"API Gateway may not call: {allowed.reason}")
        else:
            self._check_function_policy(function_arn, route)
        return function_arn

    def _check_function_policy(self, function_arn: str, route: Mapping[str, Any]) -> None:
        """Without a role of the integration, the function's own policy must let the API in."""
        _, partition, _, region, account, *_ = function_arn.split(":")
        api = f"arn:{partition}:execute-api:{region}:{account}:{self.api_id}"
        source = f"{api}/$default/{route['RouteKey'].replace(' ', '', 1)}"
        context = {"AWS:SourceArn": source, "AWS:SourceAccount": account}
        try:
            given = self._aws.client("lambda").get_policy(FunctionName=function_arn)["Policy"]
            decision = decide_for_service(
                parse_document(given),
                "apigateway.amazonaws.com",
                "lambda:InvokeFunction",
                function_arn,
                context,
            )
        except ClientError as error:
            text = "neither the integration has a role nor the function a policy"
            raise GatewayError(500, text) from error
        except (PolicyUnknownError, ValueError) as error:
            raise GatewayError(500, str(error)) from error
        if not decision.allowed:
            raise GatewayError(500, f"the function's policy: {decision.reason}")

    def _event(
        self, request: Request, request_id: str, match: Match, account: str
    ) -> dict[str, Any]:
        """Return the event of a request, payload format 2.0."""
        headers = _joined((name.lower(), value) for name, value in request.headers)
        cookies = headers.pop("cookie", "")
        query = _joined(parse_qsl(request.query, keep_blank_values=True))
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": match.route["RouteKey"],
            "rawPath": request.path,
            "rawQueryString": request.query,
            "cookies": cookies.split("; ") if cookies else None,
            "headers": headers,
            "queryStringParameters": query or None,
            "requestContext": {
                "accountId": account,
                "apiId": self.api_id,
                "domainName": f"{self.api_id}.execute-api.{self._aws.region}.amazonaws.com",
                "domainPrefix": self.api_id,
                "requestId": request_id,
                "routeKey": match.route["RouteKey"],
                "stage": match.stage["StageName"],
                **_told(request, headers.get("user-agent", "")),
            },
            "pathParameters": dict(match.parameters) or None,
            "isBase64Encoded": False,
        }
        event = {name: value for name, value in event.items() if value is not None}
        return event | (_body_fields(request.body) if request.body else {})


def _check_authorization(route: Mapping[str, Any]) -> None:
    """Raises GatewayError for a route that wants more than an anonymous client has."""
    kind = route.get("AuthorizationType") or "NONE"
    if kind != "NONE":
        raise GatewayError(403 if kind == "AWS_IAM" else 401, f"the route wants {kind}")


def _told(request: Request, user_agent: str) -> dict[str, Any]:
    """What the request context tells of the request itself, and when it came."""
    now = datetime.now(UTC)
    return {
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": user_agent,
        },
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }


def best_route(
    routes: list[dict[str, Any]], method: str, path: str
) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return the most specific route for a request, and its path parameters.

    A full path beats one with variables, which beats a greedy one, which beats `$default`; the
    method by its name beats ANY. HEAD is a method like any other: GET does not answer it.
    """
    found: list[tuple[tuple[int, int, bool], dict[str, Any], dict[str, str]]] = []
    for route in routes:
        key = route["RouteKey"]
        if key == "$default":
            found.append(((3, 0, False), route, {}))
            continue
        wanted, _, pattern = key.partition(" ")
        parameters = _path_parameters(pattern, path)
        if parameters is not None and wanted in (method, "ANY"):
            kind = 2 if "+}" in pattern else 1 if "{" in pattern else 0
            found.append(((kind, -len(pattern), wanted == "ANY"), route, parameters))
    if not found:
        return None
    _, route, parameters = min(found, key=lambda item: item[0])
    return route, parameters


def _path_parameters(pattern: str, path: str) -> dict[str, str] | None:
    names: list[str] = []

    def variable(found: re.Match[str]) -> str:
        names.append(found[1].rstrip("+"))
        return "(.+)" if found[1].endswith("+") else "([^/]+)"

    parts = re.split(r"(\{[^{}]+\})", pattern)
    text = "".join(
        re.sub(r"\{(.+)\}", variable, part) if part.startswith("{") else re.escape(part)
        for part in parts
    )
    found = re.fullmatch(text, path)
    return dict(zip(names, found.groups(), strict=True)) if found else None


def formatted(payload: bytes) -> Response:
    """Return the response that a function's answer stands for, format 2.0.

    Without a `statusCode` the whole answer is the body of a 200. Raises GatewayError (500) for an
    answer that API Gateway cannot use.
    """
    answer = json.loads(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Response(200, (("content-type", "application/json"),), payload)
    status, body = _status(answer["statusCode"]), answer.get("body")
    given = answer.get("headers") or {}
    cookies = answer.get("cookies") or []
    usable = isinstance(given, dict) and isinstance(cookies, list)
    if not usable or not (body is None or isinstance(body, str)):
        raise GatewayError(500, "the function's answer is malformed: headers, cookies or body")
    headers = {_header_name(name): _header_value(value) for name, value in given.items()}
    headers.setdefault("content-type", "text/plain; charset=utf-8")
    data = (body or "").encode()
    if answer.get("isBase64Encoded"):
        try:
            data = base64.b64decode(data, validate=True)
        except ValueError:
            raise GatewayError(500, "the function's answer is malformed: not base64") from None
    pairs = [*headers.items(), *(("set-cookie", _header_value(cookie)) for cookie in cookies)]
    return Response(status, tuple(pairs), data)


def _status(given: Any) -> int:
    if isinstance(given, (int, str)) and re.fullmatch(r"[1-5][0-9][0-9]", str(given)):
        return int(given)
    raise GatewayError(500, f"the function's answer is malformed: statusCode {given!r}")


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise GatewayError(500, "the function's answer is malformed: a header's name")
    return name.lower()


def _header_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)) or re.search(r"[\x00-\x08\n-\x1f]", str(value)):
        raise GatewayError(500, "the function's answer is malformed: a header's value")
    return str(value)


def _plain(status: int) -> Response:
    body = json.dumps({"message": responses[status]}, separators=(",", ":")).encode()
    return Response(status, (("content-type", "application/json"),), body)


def _joined(pairs: Any) -> dict[str, str]:
    """Several values under one name, joined by commas, as format 2.0 has it."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body_fields(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


class HttpApi:
    """A Gateway on a loopback port of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._server = HttpServer(gateway.answer, body_limit=BODY_LIMIT, idle_seconds=_IDLE_SECONDS)
        self.url = self._server.url

    def close(self) -> None:
        """Stop answering. Twice is once."""
        self._server.close()
        self._gateway.close()
