"""The front: gives moto the behaviours of the real AWS.

Each request with a good signature becomes a `Call`; the behaviour of its name, if there is one,
answers it, refuses it, or lets moto answer. What no behaviour touches passes through as moto's own
bytes.
"""

from __future__ import annotations

import importlib
import logging
import time
from dataclasses import replace
from email.utils import format_datetime
from functools import cache
from typing import Any

from botocore import xform_name

from provision.rehearsal.aws import permissions
from provision.rehearsal.aws.access_keys import INSIDE, SOMEBODY_ELSE, AccessKeys
from provision.rehearsal.aws.behaviours import consistency, ec2, paging, throttling
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.faults import Faults
from provision.rehearsal.aws.journal import Entry, redacted
from provision.rehearsal.aws.moto_app import (
    SERVICES,
    Environ,
    parse_answer,
    read_call,
    service_of,
    write_answer,
    write_error,
    wsgi_environ,
)
from provision.rehearsal.aws.overrides import Overrides, refusal
from provision.rehearsal.aws.refusals import AwsError, denied
from provision.rehearsal.aws.signature import Signed, check_signature, read_signature
from provision.rehearsal.aws.world import Behaviour, World
from provision.rehearsal.http_server import ConnectionCut, Request, Response

_log = logging.getLogger(__name__)
_MODULES = {
    "ec2": ("ec2", "ec2_dependents"),
    "lambda": ("lambda_",),
    "rds": (
        "rds_catalogue",
        "rds_changes",
        "rds_instances",
        "rds_proxies",
        "rds_subnet_groups",
        "rds_targets",
    ),
}
"""The modules with a service's behaviours, where they are not the one of its name."""


class Front:
    """Answers requests. `journal` holds every call, in order of arrival."""

    def __init__(self, world: World, faults: Faults, overrides: Overrides) -> None:
        self.world = world
        self.keys = AccessKeys(self._backend)
        self.faults = faults
        self.overrides = overrides
        self.journal: list[Entry] = []

    def answer(self, request: Request) -> Response:
        """The HTTP answer to a request, dated. Raises ConnectionCut when it must not arrive."""
        raw = self._serve(request)
        date = format_datetime(self.world.clock.date(), usegmt=True)
        headers = ((name, str(text)) for name, text in raw.headers if name.lower() != "date")
        return Response(raw.status, (*headers, ("Date", date)), raw.body)

    def _serve(self, request: Request) -> Response:
        service = "sts"
        try:
            signed = read_signature(request)
            service = service_of(signed, request.path)
            check_signature(request, signed, self.keys.find)
            environ = wsgi_environ(request)
            principal = self.keys.principal(signed.access_key_id)
            if principal == INSIDE:
                with self.world.lock:
                    return self.world.moto.serve(environ, request.body)
            with self.world.lock:  # AWS's models are read at first use, and once is enough
                call = replace(_read(environ, request.body, signed), principal=principal)
        except AwsError as error:
            return write_error(service, error)
        time.sleep(self.world.behaviours.latency_seconds)
        entry = self._note(call)
        try:
            raw = self._answer(environ, request.body, call, entry)
        except AwsError as error:
            entry.code = error.code
            return write_error(call.service, error)
        except ConnectionCut:
            raise
        except Exception as error:
            entry.code = "InternalFailure"
            _log.exception("the rehearsal stumbled over %s:%s", call.service, call.operation)
            stumbled = AwsError("InternalFailure", f"the rehearsal stumbled: {error!r}", 500)
            return write_error(call.service, stumbled)
        if raw.status >= 300 and call.service in SERVICES:
            entry.code = _code_of(raw, call)
        return raw

    def _backend(self, service: str) -> Any:
        return self.world.backend(service)

    def _note(self, call: Call) -> Entry:
        with self.world.lock:
            entry = Entry(
                len(self.journal) + 1,
                call.service,
                call.operation,
                call.mutating,
                call.access_key,
                redacted(call.params),
            )
            self.journal.append(entry)
        return entry

    def _answer(self, environ: Environ, body: bytes, call: Call, entry: Entry) -> Response:
        if call.principal == SOMEBODY_ELSE:
            with self.world.lock:
                return self._played(environ, body, call)
        armed = self.faults.due(call)
        if armed:
            entry.fault = armed.fault.kind
            armed.before(call)
        missing = permissions.check(self.world, call)
        overrides = self.overrides.due(call)
        if refused := refusal(overrides):
            raise refused
        with self.world.lock:
            raw = self._played(environ, body, call)
        if overrides or missing:
            answer = parse_answer(raw, call.service, call.operation)
            if "lambda:ListTags" in missing and answer.pop("Tags", None) is not None:
                refused = denied(call, "lambda:ListTags", answer["Configuration"]["FunctionArn"])
                answer["TagsError"] = {"ErrorCode": refused.code, "Message": refused.message}
            for override in overrides:
                override.apply(answer)
            raw = write_answer(call, answer)
        if armed:
            armed.after()
        return raw

    def _played(self, environ: Environ, body: bytes, call: Call) -> Response:
        """The call's effect and its answer, with all behaviours that are on."""
        world = self.world
        world.settle()
        if world.behaviours.throttling:
            throttling.take(world, call)
        if call.service not in SERVICES:
            return world.moto.serve(environ, body)
        if world.behaviours.consistency:
            consistency.check(world, call)
        if call.service == "ec2":
            ec2.before(world, call)
        behaviour = behaviour_for(call.service, call.operation)
        pages = world.behaviours.paging and paging.pages(call)
        watched = world.behaviours.consistency and consistency.watches(call)
        moto = _Asked(world, environ, body, call, pages)
        answer = behaviour(world, moto.call, moto.proceed) if behaviour else None
        if answer is None and not pages and not watched:
            return moto.raw()
        of_moto = answer is None
        answer = dict(moto.proceed() if answer is None else answer)
        if watched:
            consistency.note(world, call, answer)
        less = pages and paging.cut(world, call, answer)
        if of_moto and moto.in_one_page and not watched and not less:
            return moto.raw()
        return write_answer(call, answer)


class _Asked:
    """moto's part in one call: asked once at most, however often `proceed` is called."""

    def __init__(
        self, world: World, environ: Environ, body: bytes, call: Call, pages: bool
    ) -> None:
        self._world = world
        self._request = environ, body
        self._pages = pages
        self._given = call
        self.call = paging.unpaged(call) if pages else call
        self.in_one_page = False  # moto's own bytes hold the whole list
        self._raw: Response | None = None
        self._answer: dict[str, Any] | None = None

    def raw(self) -> Response:
        """moto's answer in moto's own bytes."""
        if self._raw is None:
            self._raw = self._world.moto.serve(*self._request)
        return self._raw

    def proceed(self) -> dict[str, Any]:
        """moto's answer as a dict; of a list, the whole. Raises AwsError."""
        if self._answer is None:
            self._answer = self._whole() if self._pages else self._parsed()
        return self._answer

    def _parsed(self) -> dict[str, Any]:
        return parse_answer(self.raw(), self.call.service, self.call.operation)

    def _whole(self) -> dict[str, Any]:
        if self.call.params != self._given.params:  # moto is not asked for the page
            return paging.whole(self._world, self.call, self._world.moto.ask(self.call))
        first = self._parsed()
        whole = paging.whole(self._world, self.call, dict(first))
        self.in_one_page = whole == first
        return whole


def _read(environ: Environ, body: bytes, signed: Signed) -> Call:
    """The call that a request makes. Raises AwsError for one that makes no sense."""
    try:
        return read_call(environ, body, signed)
    except AwsError:
        raise
    except Exception as error:
        text = f"the request cannot be read: {error!r}"
        raise AwsError("SerializationException", text, 400) from error


@cache
def behaviour_for(service: str, operation: str) -> Behaviour | None:
    """The behaviour: in `behaviours/<service>.py`, a function named as boto3's method."""
    for name in _MODULES.get(service, (service,)):
        try:
            module = importlib.import_module(f"provision.rehearsal.aws.behaviours.{name}")
        except ModuleNotFoundError:
            continue
        behaviour: Behaviour | None = getattr(module, xform_name(operation), None)
        if behaviour is not None:
            return behaviour
    return None


def _code_of(raw: Response, call: Call) -> str | None:
    """The error code in an answer of moto's."""
    try:
        parse_answer(raw, call.service, call.operation)
    except AwsError as error:
        return error.code
    return None
