"""What moto does again at each call, done once; and its XML, written without a SAX handler.

A rehearsal makes a thousand calls, and moto's own work is most of what they cost. What a client
reads in moto's answers stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def apply() -> None:
    """Let moto's responses take these shortcuts."""
    from moto.core import responses, serialize

    responses.method_names_from_class = cache(responses.method_names_from_class)
    serialize.xmltodict = SimpleNamespace(unparse=unparse)
    picker = serialize.XFormedAttributePicker
    picker.get_possible_keys = _keys_found_once(picker)


def _keys_found_once(picker: Any) -> Any:
    """Return a picker's `get_possible_keys` that finds the keys of a member of a class once.

    They follow from the class of the object and from the member's shape alone.
    """
    find = picker.get_possible_keys
    known: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def get_possible_keys(self: Any, context: Any) -> tuple[str, ...]:
        shape = context.shape
        about = shape and (shape.name, shape.type_name, shape.serialization.get("name"))
        parent = getattr(getattr(shape, "parent", None), "name", None)
        service = context.service_model.service_name
        mark = (type(self), service, type(context.obj), context.key, about, parent)
        if mark not in known:
            known[mark] = tuple(find(self, context))
        return known[mark]

    return get_possible_keys


def unparse(document: Mapping[str, Any], full_document: bool = True, **_: Any) -> str:
    """Return `document` as xmltodict.unparse writes it, in the forms that moto uses of it.

    `@name` is an attribute, `#text` the text; a list is an element for each of its items.
    """
    text = "".join(part for name, value in document.items() for part in _element(name, value))
    return _DECLARATION + text if full_document else text


def _element(name: str, value: Any) -> Iterator[str]:
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    for each in value if several else (value,):
        if not isinstance(each, Mapping):
            yield f"<{name}>{_text(each)}</{name}>"
            continue
        attributes, text, children = "", "", []
        for key, inner in each.items():
            if key == "#text":
                text = _text(inner)
            elif key.startswith("@"):
                attributes += f" {key[1:]}={quoteattr(str(inner))}"
            elif inner != []:
                children.append((key, inner))
        yield f"<{name}{attributes}>"
        for key, inner in children:
            yield from _element(key, inner)
        yield f"{text}</{name}>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(value.decode(errors="replace") if isinstance(value, bytes) else str(value))
