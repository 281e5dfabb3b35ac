"""The front: a WSGI application that gives moto the behaviours of the real AWS.

Each request becomes a `Call`; the behaviour of its name, if there is one, answers it, refuses it,
or lets moto answer. What no behaviour touches passes through as moto's own bytes.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Iterable
from email.utils import format_datetime
from functools import cache
from typing import Any

from botocore import xform_name

from provision.rehearsal.aws import permissions
from provision.rehearsal.aws.behaviours import consistency, ec2, paging, throttling
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.faults import ConnectionCut, Faults
from provision.rehearsal.aws.journal import Entry, redacted
from provision.rehearsal.aws.moto_app import (
    SERVICES,
    Environ,
    Raw,
    credential_scope,
    parse_answer,
    read_call,
    write_answer,
    write_error,
)
from provision.rehearsal.aws.overrides import Overrides, refusal
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import INSIDE_KEY, SOMEBODY_ELSE, Behaviour, World

_log = logging.getLogger(__name__)
_MODULES = {
    "lambda": ("lambda_",),
    "rds": ("rds_catalogue", "rds_instances", "rds_proxies", "rds_subnet_groups"),
}
"""The modules with a service's behaviours, where they are not the one of its name."""


class Front:
    """The WSGI application. `journal` holds every call, in order of arrival."""

    def __init__(self, world: World, faults: Faults, overrides: Overrides) -> None:
        self.world = world
        self.faults = faults
        self.overrides = overrides
        self.journal: list[Entry] = []

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """WSGI. Raises ConnectionCut when the answer must not arrive."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        raw = self.serve(environ, environ["wsgi.input"].read(length) if length else b"")
        start_response(f"{raw.status} AWS", raw.headers)
        return [raw.body]

    def serve(self, environ: Environ, body: bytes) -> Raw:
        """The HTTP answer to a request, dated. Raises ConnectionCut when it must not arrive."""
        raw = self._served(environ, body)
        date = format_datetime(self.world.clock.date(), usegmt=True)
        raw.headers = [*((k, v) for k, v in raw.headers if k.lower() != "date"), ("Date", date)]
        return raw

    def _served(self, environ: Environ, body: bytes) -> Raw:
        service = "sts"
        try:
            access_key, _, service = credential_scope(environ)
            if access_key == INSIDE_KEY:
                with self.world.lock:
                    return self.world.moto.serve(environ, body)
            with self.world.lock:  # AWS's models are read at first use, and once is enough
                call = read_call(environ, body)
        except AwsError as error:
            return write_error(service, error)
        time.sleep(self.world.behaviours.latency_seconds)
        entry = self._note(call)
        try:
            raw = self._answer(environ, body, call, entry)
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

    def _answer(self, environ: Environ, body: bytes, call: Call, entry: Entry) -> Raw:
        if call.access_key == SOMEBODY_ELSE:
            with self.world.lock:
                return self._played(environ, body, call)
        armed = self.faults.due(call)
        if armed:
            entry.fault = armed.fault.kind
            armed.before(call)
        permissions.check(self.world, call)
        overrides = self.overrides.due(call)
        if refused := refusal(overrides):
            raise refused
        with self.world.lock:
            raw = self._played(environ, body, call)
        if overrides:
            answer = parse_answer(raw, call.service, call.operation)
            for override in overrides:
                override.apply(answer)
            raw = write_answer(call, answer)
        if armed:
            armed.after()
        return raw

    def _played(self, environ: Environ, body: bytes, call: Call) -> Raw:
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
        if behaviour is None and not pages and not watched:
            return world.moto.serve(environ, body)
        moto = _Asked(world, environ, body, call, pages)
        answer = behaviour(world, moto.call, moto.proceed) if behaviour else None
        if answer is None and not pages and not watched:
            return moto.raw()
        answer = dict(moto.proceed() if answer is None else answer)
        if watched:
            consistency.note(world, call, answer)
        if pages:
            paging.cut(world, call, answer)
        return write_answer(call, answer)


class _Asked:
    """moto's part in one call: asked once at most, however often `proceed` is called."""

    def __init__(
        self, world: World, environ: Environ, body: bytes, call: Call, pages: bool
    ) -> None:
        self._world = world
        self._request = environ, body
        self._pages = pages
        self.call = paging.unpaged(call) if pages else call
        self._raw: Raw | None = None
        self._answer: dict[str, Any] | None = None

    def raw(self) -> Raw:
        """moto's answer in moto's own bytes."""
        if self._raw is None:
            self._raw = self._world.moto.serve(*self._request)
        return self._raw

    def proceed(self) -> dict[str, Any]:
        """moto's answer as a dict; of a list, the whole. Raises AwsError."""
        if self._answer is None:
            if self._pages:
                self._answer = paging.whole(self._world, self.call)
            else:
                self._answer = parse_answer(self.raw(), self.call.service, self.call.operation)
        return self._answer


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


def _code_of(raw: Raw, call: Call) -> str | None:
    """The error code in an answer of moto's."""
    try:
        parse_answer(raw, call.service, call.operation)
    except AwsError as error:
        return error.code
    return None
