"""moto's XML as the rehearsal writes it reads as what xmltodict writes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
import xmltodict

from provision.rehearsal.aws.moto_speed import unparse

DOCUMENTS: dict[str, dict[str, Any]] = {
    "attributes": {"r": {"@xmlns": 'http://a/?b=1&c="2"', "a": {"@id": 1, "#text": "<&>"}}},
    "lists": {"r": {"a": [1, "two", {"b": None}], "empty": [], "pair": ("x", "y")}},
    "values": {"r": {"yes": True, "no": False, "none": None, "bytes": b"\xc3\xa4", "n": 1.5}},
    "control characters": {"r": {"a": "one\ntwo\tthree  four", "b": "\u00e4\u4e2d"}},
    "nothing": {"r": {}},
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_it_reads_as_xmltodict_writes_it(document: dict[str, Any]) -> None:
    written = ElementTree.canonicalize(unparse(document))
    assert written == ElementTree.canonicalize(xmltodict.unparse(document))


def test_a_part_has_no_declaration() -> None:
    assert unparse({"a": "b"}, full_document=False) == "<a>b</a>"
