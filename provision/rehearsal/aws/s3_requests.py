"""Which S3 call an HTTP request makes: moto's own router knows all services but S3.

By botocore's model: among the operations with the request's method and kind of path, the one with
most query words and required parameters, all of which the request has. Path-style addresses only,
as any client uses them with an endpoint that is an IP address. Members of a body are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs


def read(
    model: Any, method: str, path: str, query: str, headers: Mapping[str, str]
) -> tuple[str, dict[str, Any]] | None:
    """The operation's name and its parameters; None when no operation of the model fits.

    `headers` have lower-case names.
    """
    bucket, _, key = path.removeprefix("/").partition("/")
    words = parse_qs(query, keep_blank_values=True)
    best: tuple[int, str] | None = None
    for name, wanted_query, required in _operations(model, method, bool(bucket), bool(key)):
        if wanted_query <= set(words) and all(_given(r, words, headers) for r in required):
            score = len(wanted_query) + len(required)
            if best is None or score > best[0]:
                best = score, name
    if best is None:
        return None
    return best[1], _parameters(model.operation_model(best[1]), bucket, key, words, headers)


@cache
def _operations(
    model: Any, method: str, bucket: bool, key: bool
) -> list[tuple[str, set[str], list[tuple[str, str]]]]:
    """Operations of this method and path: name, words of the query, (location, name) required.

    The path's parts are those of the input: a client of S3 takes the bucket out of the model's URI.
    """
    path = {"Bucket"} if bucket else set()
    path |= {"Key"} if key else set()
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        members = operation.input_shape.members if operation.input_shape else {}
        places = {name: member.serialization.get("location") for name, member in members.items()}
        at = {each for each, place in places.items() if place == "uri"}
        if (operation.http["method"], at) != (method, path) or operation.deprecated:
            continue
        query = operation.http["requestUri"].partition("?")[2]
        required = [
            (places[each], members[each].serialization["name"])
            for each in (operation.input_shape.required_members if operation.input_shape else ())
            if places[each] in ("querystring", "header")
        ]
        found.append((name, set(parse_qs(query, keep_blank_values=True)), required))
    return found


def _given(
    parameter: tuple[str, str], words: Mapping[str, Any], headers: Mapping[str, str]
) -> bool:
    location, name = parameter
    return name in words if location == "querystring" else name.lower() in headers


def _parameters(
    operation: Any,
    bucket: str,
    key: str,
    words: Mapping[str, list[str]],
    headers: Mapping[str, str],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in operation.input_shape.members.items() if operation.input_shape else ():
        location, at = (member.serialization.get(each) for each in ("location", "name"))
        if location == "uri":
            found[name] = bucket if name == "Bucket" else key
        elif location == "querystring" and at in words:
            found[name] = words[at][0]
        elif location == "header" and at.lower() in headers:
            found[name] = headers[at.lower()]
    return found
