"""moto as the account behind the rehearsal: asked in-process, through its own WSGI application.

Only this module starts moto and speaks its wire formats. What it answers is turned into plain
dicts by botocore's own parsers, so that the behaviours see what a boto3 user would see.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote, urlencode
from xml.sax.saxutils import escape

import botocore.parsers
import botocore.serialize
import botocore.session
from botocore.awsrequest import HeadersDict

from provision.rehearsal.aws import moto_speed, s3_requests
from provision.rehearsal.aws.calls import ACCOUNT, Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.signature import Signed
from provision.rehearsal.http_server import Request, Response

SERVICES = {
    "apigatewayv2": "apigateway",
    "ec2": "ec2",
    "iam": "iam",
    "lambda": "lambda",
    "logs": "logs",
    "pricing": "pricing",
    "rds": "rds",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "sts": "sts",
}
"""The services that the rehearsal knows by heart (boto3's name: name in the signature)."""

_GLOBAL = {"iam", "s3", "sts"}

Environ = dict[str, Any]

_WSGI: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


class NotPlayed(AwsError):
    """Neither moto nor the rehearsal can play this call."""

    def __init__(self, what: str) -> None:
        super().__init__("InvalidAction", f"the rehearsal cannot play {what}", 400)


class Moto:
    """moto's backends and WSGI application. The backends are one per process: so is this."""

    def __init__(self) -> None:
        self._app = _load_moto()

    def reset(self) -> None:
        """An empty account, as moto makes it (with AWS's default VPC in each region)."""
        from moto.core.base_backend import BackendDict
        from moto.core.model_instances import reset_model_data

        BackendDict.reset()
        reset_model_data()

    def backend(self, service: str, region: str) -> Any:
        """moto's own object that holds what `service` has in `region`."""
        from moto.backends import get_backend
        from moto.utilities.utils import get_partition

        where = get_partition(region) if service in _GLOBAL else region
        return get_backend(service)[ACCOUNT][where]

    def serve(self, environ: Environ, body: bytes) -> Response:
        """moto's answer to an HTTP request, `body` being the request's body.

        Raises NotPlayed for calls that moto lacks, AwsError (500) where it stumbles.
        """
        request = {k: v for k, v in environ.items() if not k.startswith("werkzeug.")}
        request["wsgi.input"] = io.BytesIO(body)
        request["CONTENT_LENGTH"] = str(len(body))
        head: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            head.update(status=int(status.split(maxsplit=1)[0]), headers=tuple(headers))

        try:
            body = b"".join(self._app(request, start_response))
        except NotImplementedError as error:
            raise NotPlayed(str(error)) from None
        except Exception as error:
            raise AwsError("InternalFailure", f"moto stumbled: {error!r}", 500) from error
        return Response(**head, body=body)

    def ask(self, call: Call) -> dict[str, Any]:
        """moto's answer to `call`, in-process. Raises AwsError where moto refuses."""
        model = operation_model(call.service, call.operation)
        protocol = model.service_model.protocol
        request = botocore.serialize.create_serializer(protocol).serialize_to_request(
            call.params, model
        )
        answer = self.serve(*_as_environ(request, call))
        return parse_answer(answer, call.service, call.operation)


@cache
def _load_moto() -> Callable[..., Iterable[bytes]]:
    """moto's WSGI application, with only what the rehearsal needs loaded.

    By itself moto loads the models of AWS's services once for each of their users, and all of
    EC2's instance types and images, which nobody here reads: 1 s and 200 MiB more. It also reads
    the user's AWS profile.
    """
    import boto3
    from moto.core import base_backend
    from moto.core import utils as models
    from moto.utilities import utils

    session, load = boto3.Session(botocore_session=quiet_session()), utils.load_resource
    base_backend.Session = models.Session = lambda: session
    models.create_loader = _loader
    utils.load_resource = lambda path: _unread(str(path)) or load(path)
    of_boto3, boto3.Session = boto3.Session, base_backend.Session  # type: ignore[misc]
    try:
        importlib.import_module("moto.ec2.models")
    finally:
        utils.load_resource = load
        boto3.Session = of_boto3  # type: ignore[misc]

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    moto_speed.apply()
    dispatcher = DomainDispatcherApplication(create_backend_app)
    # moto lists the folders of its own package for each request; they stay the same.
    dispatcher.get_backend_for_host = cache(dispatcher.get_backend_for_host)
    app: Callable[..., Iterable[bytes]] = dispatcher
    return app


def quiet_session() -> botocore.session.Session:
    """A botocore session that reads neither the user's files nor a profile."""
    nothing = (None, None, os.devnull, None)
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": nothing,
            "credentials_file": nothing,
        }
    )
    session.register_component("data_loader", _loader())
    return session


@cache
def _loader() -> Any:
    """The one loader of AWS's models here: each is read once."""
    from moto.core.loaders import create_loader

    return create_loader()


class _Nothing(dict[str, Any]):
    """An empty resource that is true, and serves as a list as well as a mapping."""

    def __bool__(self) -> bool:
        return True


def _unread(path: str) -> _Nothing | None:
    unread = ("instance_type", "resources/amis", "latest_amis", "optimized_amis")
    return _Nothing() if any(part in path for part in unread) else None


@cache
def service_model(service: str) -> Any:
    """botocore's model of `service`, in moto's dress."""
    from moto.core.utils import get_service_model

    return get_service_model(service)


def operation_model(service: str, operation: str) -> Any:
    """botocore's model of one operation."""
    return service_model(service).operation_model(operation)


def wsgi_environ(request: Request) -> Environ:
    """The request as moto's application takes it."""
    path, _, query = request.target.partition("?")
    environ: Environ = {
        **_WSGI,
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote(path, "latin-1"),
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "QUERY_STRING": query,
        "SERVER_PORT": "".join(request.values("host")).rpartition(":")[2] or "80",
        "REMOTE_ADDR": request.source_ip,
        "wsgi.errors": io.StringIO(),
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def read_call(environ: Environ, body: bytes, signed: Signed) -> Call:
    """The call that an HTTP request makes. Raises NotPlayed when no model knows it."""
    from moto.core.parse import PROTOCOL_PARSERS
    from moto.core.request import Request as MotoRequest
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import NotFound

    access_key, region = signed.access_key_id, signed.region
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    service = service_of(signed, path)
    if service not in SERVICES:
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        name = target or f"{method} {path}"
        return Call(service, name, {}, region, access_key, method, path)
    if service == "s3":
        return _read_s3_call(environ, region, access_key)
    request = MotoRequest(
        {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    )
    try:
        model, uri_params = get_service_router(service).match(request)
    except NotFound:
        raise NotPlayed(f"{service} {method} {path}") from None
    parser = PROTOCOL_PARSERS[model.service_model.protocol](model)
    params = parser.parse(
        {
            "method": method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": path,
            "url_params": uri_params,
        }
    )
    return Call(service, model.name, dict(params or {}), region, access_key, method, path)


def _read_s3_call(environ: Environ, region: str, access_key: str) -> Call:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    path = path.encode("latin-1").decode(errors="replace")
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith(("HTTP_", "CONTENT_"))
    }
    query = environ["QUERY_STRING"]
    found = s3_requests.read(service_model("s3"), method, path, query, headers)
    if found is None:
        raise NotPlayed(f"s3 {method} {path}")
    return Call("s3", *found, region, access_key, method, path)


def service_of(signed: Signed, path: str) -> str:
    """boto3's name of the service that a request is signed for."""
    if signed.service == "apigateway" and path.startswith("/v2/"):
        return "apigatewayv2"
    return signed.service


def parse_answer(raw: Response, service: str, operation: str) -> dict[str, Any]:
    """`raw` as a boto3 user would get it, without ResponseMetadata. Raises AwsError for errors."""
    model = operation_model(service, operation)
    parser = botocore.parsers.create_parser(model.service_model.protocol)
    headers = HeadersDict(dict(raw.headers))
    response = {"body": raw.body, "headers": headers, "status_code": raw.status}
    parsed: dict[str, Any] = parser.parse(response, model.output_shape)
    parsed.pop("ResponseMetadata", None)
    if raw.status >= 300:
        error = parsed.get("Error", {})
        raise AwsError(str(error.get("Code", raw.status)), error.get("Message", ""), raw.status)
    return parsed


def write_answer(call: Call, answer: Mapping[str, Any]) -> Response:
    """`answer` in the wire format of the call's service."""
    from moto.core.serialize import SerializationContext, get_serializer_class

    model = operation_model(call.service, call.operation)
    serializer = get_serializer_class(call.service, model.service_model.protocol)
    request_id = str(uuid.uuid4())
    written = serializer(model, context=SerializationContext(request_id)).serialize(answer)
    body = written["body"] or b""
    headers = (*written["headers"].items(), ("x-amzn-RequestId", request_id))
    status = _status_in(answer, model.output_shape) or written["status_code"]
    return Response(status, headers, body.encode() if isinstance(body, str) else body)


def _status_in(answer: Mapping[str, Any], shape: Any) -> int | None:
    """The HTTP status, where the model keeps it in a member of the answer (Lambda's Invoke)."""
    for name, member in (shape.members if shape else {}).items():
        if member.serialization.get("location") == "statusCode":
            return answer.get(name)
    return None


def write_error(service: str, error: AwsError) -> Response:
    """`error` as `service` words it over HTTP."""
    protocol = service_model(service).protocol if service in SERVICES else "json"
    status = error.status or _modelled_status(service, error.code) or 400
    request_id = str(uuid.uuid4())
    identity = ("x-amzn-RequestId", request_id)
    if protocol in _XML_ERRORS:
        xml = _XML_ERRORS[protocol]
        fault = "Receiver" if status >= 500 else "Sender"
        body = xml.format(
            fault=fault, code=escape(error.code), message=escape(error.message), id=request_id
        )
        return Response(status, (identity, ("Content-Type", "text/xml")), body.encode())
    content = {"__type": error.code, "message": error.message, **error.extra}
    kind = ("Content-Type", "application/json")
    return Response(
        status, (identity, ("x-amzn-ErrorType", error.code), kind), json.dumps(content).encode()
    )


_QUERY_ERROR = (
    "<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message>"
    "</Error><RequestId>{id}</RequestId></ErrorResponse>"
)
_EC2_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
)
_S3_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
    "<Message>{message}</Message><RequestId>{id}</RequestId></Error>"
)
_XML_ERRORS = {"query": _QUERY_ERROR, "ec2": _EC2_ERROR, "rest-xml": _S3_ERROR}


def _modelled_status(service: str, code: str) -> int | None:
    """The HTTP status that botocore's model gives `code`, if it gives one."""
    if service not in SERVICES:
        return None
    for shape in service_model(service).error_shapes:
        if code in (shape.name, shape.error_code):
            status = shape.metadata.get("error", {}).get("httpStatusCode")
            return int(status) if status else None
    return None


def _as_environ(request: Mapping[str, Any], call: Call) -> tuple[Environ, bytes]:
    """A WSGI environ for botocore's serialized `request`, signed for `call` in name only."""
    body = request["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    raw = body.encode() if isinstance(body, str) else bytes(body or b"")
    query = request.get("query_string") or ""
    query = urlencode(query) if isinstance(query, dict) else str(query)
    path, target = request["url_path"], f"{request['url_path']}?{query}"
    scope = f"{call.access_key}/20260101/{call.region}/{SERVICES[call.service]}/aws4_request"
    headers = (
        ("host", "127.0.0.1:80"),
        ("authorization", f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"),
        *((name, str(value)) for name, value in request["headers"].items()),
    )
    return wsgi_environ(Request(request["method"], target if query else path, headers)), raw
