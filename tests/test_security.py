"""SECURITY.md's tables of what the caller can and cannot do, row by row, against the policies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from provision.commands.policy_document import policies
from provision.config import Config
from provision.config.schema import EnvironmentSettings
from provision.rehearsal.aws.iam_policy import decide
from tests.support.commands import ROOT
from tests.support.names import ACCOUNT, NAME, REGION

BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
CELL = re.compile(r"`([^`]+)`")
SETTING = re.compile(r"`([^`]+)` = `([^`]+)`")


@dataclass(frozen=True)
class Claim:
    """One row of a table, with what the document's placeholders stand for."""

    words: str
    actions: tuple[str, ...]
    places: tuple[str, ...]
    context: tuple[tuple[str, str], ...]
    allowed: bool
    bounded: bool


def claims() -> Iterator[Claim]:
    """Every row of the tables under "What the caller needs"."""
    text = (ROOT / "SECURITY.md").read_text()
    text = text[text.index("### What the caller cannot do") : text.index("## A rehearsal")]
    text = text.replace("BOUNDARY", BOUNDARY).replace("REGION", REGION).replace("NAME", NAME)
    allowed = bounded = False
    for line in text.splitlines():
        allowed = allowed or line.startswith("### What the caller can do beyond")
        bounded = not allowed and (bounded or line.startswith("With `environment.permissions"))
        if line.startswith("| ") and "`" in line:
            words, actions, places, where = (cell.strip() for cell in line.strip("|").split(" | "))
            yield Claim(
                words.strip(),
                tuple(CELL.findall(actions)),
                tuple(CELL.findall(places)),
                tuple(SETTING.findall(where)),
                allowed,
                bounded,
            )


@cache
def documents(bounded: bool) -> list[dict[str, object]]:
    """The printed documents, without and with a permissions boundary."""
    boundary = BOUNDARY if bounded else ""
    settings = EnvironmentSettings(name=NAME, region=REGION, permissions_boundary=boundary)
    return policies(Config(settings))


def arn(action: str, place: str) -> str:
    """The ARN of what a row names by its last part."""
    service = action.partition(":")[0].replace("sts", "iam")
    region = "" if service == "iam" else REGION
    account = "" if service == "apigateway" else ACCOUNT
    return "*" if place == "*" else f"arn:aws:{service}:{region}:{account}:{place}"


CLAIMS = list(claims())


@pytest.mark.parametrize("claim", CLAIMS, ids=[each.words for each in CLAIMS])
def test_the_claim_is_true(claim: Claim) -> None:
    assert claim.actions
    assert claim.places
    for bounded in {claim.bounded, True} if not claim.allowed else {False}:
        for action in claim.actions:
            for place in claim.places:
                found = decide(documents(bounded), action, arn(action, place), dict(claim.context))
                assert found.allowed is claim.allowed, (action, place, found.reason)


def test_the_tables_are_read_whole() -> None:
    assert sum(not each.allowed for each in CLAIMS) > 30
    assert sum(each.bounded for each in CLAIMS) == 6
    assert sum(each.allowed for each in CLAIMS) == 10
