"""Lists in pages: AWS pages them, moto mostly does not, so a missing paginator goes unnoticed.

Which calls are paged, and how their tokens are called, is botocore's own paginators data. Pages
are small (`Behaviours.page_size`), so that a list of a few things already has more than one.
"""

from __future__ import annotations

import base64
import dataclasses
from functools import cache
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import World


@cache
def _paginators(service: str) -> dict[str, Any]:
    try:
        data: dict[str, Any] = Loader().load_service_model(service, "paginators-1")
    except UnknownServiceError:
        return {}
    pagination: dict[str, Any] = data["pagination"]
    return pagination


def pages(call: Call) -> bool:
    """Whether AWS answers this call in pages.

    EC2 does not when it is asked for things by their ids: a list of ids is its own bound. S3's
    pages are moto's.
    """
    if call.service == "s3":
        return False
    if call.operation not in _paginators(call.service):
        return False
    by_id = (k for k, v in call.params.items() if v and k.endswith(("Ids", "GroupNames")))
    return not (call.service == "ec2" and any(by_id))


def unpaged(call: Call) -> Call:
    """The call for the whole list: without page token and page size."""
    data = _paginators(call.service)[call.operation]
    dropped = {data["input_token"], data.get("limit_key")}
    return dataclasses.replace(
        call, params={k: v for k, v in call.params.items() if k not in dropped}
    )


def whole(world: World, call: Call, answer: dict[str, Any]) -> dict[str, Any]:
    """moto's whole list, also where moto itself has pages, of which `answer` is the first."""
    data = _paginators(call.service)[call.operation]
    last = answer
    while token := last.get(data["output_token"]):
        params = {**call.params, data["input_token"]: token}
        last = world.moto.ask(dataclasses.replace(call, params=params))
        for key in _result_keys(data):
            answer[key] = answer.get(key, []) + last.get(key, [])
    answer.pop(data["output_token"], None)
    return answer


def cut(world: World, call: Call, answer: dict[str, Any]) -> bool:
    """Cuts the whole list in `answer` down to the page that `call` asks for: whether it is less."""
    data = _paginators(call.service)[call.operation]
    start = _offset(call.get(data["input_token"]))
    size = world.behaviours.page_size
    asked_for = call.get(data.get("limit_key", ""))
    if asked_for:
        size = min(size, int(asked_for))
    more = False
    for key in _result_keys(data):
        items = answer.get(key)
        if isinstance(items, list):
            more = more or len(items) > start + size
            answer[key] = items[start : start + size]
    if more:
        answer[data["output_token"]] = _token(start + size)
    if "more_results" in data:
        answer[data["more_results"]] = more
    return more or start > 0


def _result_keys(data: dict[str, Any]) -> list[str]:
    keys = data["result_key"]
    return keys if isinstance(keys, list) else [keys]


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"page from {offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("page from "))
    except ValueError:
        raise AwsError("InvalidParameterValue", f"unknown page token {token!r}") from None
